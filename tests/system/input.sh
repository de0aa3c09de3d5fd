#!/bin/bash
# Input of `lguest run -- COMMAND` without a terminal, byte for byte.
. "$(dirname "$0")/lib/lab.sh"

inside "input" <<'END'
is "K5 COMMAND reads the launcher's stdin" hi "$(echo hi | lguest run -- cat)"
lguest run -- sh -c 'cat; echo end' </dev/null >/tmp/out 2>/tmp/err
is "K5 no input is an end of input" end "$(cat /tmp/out)"
lguest run -- sh -c 'cat; echo end' <&- >/tmp/out 2>/tmp/err
is "K5 ... also when stdin is closed" end "$(cat /tmp/out)"
is "K5 ... and says nothing" "" "$(cat /tmp/err)"

head -c 10485760 /dev/urandom >/tmp/file
begin=$(now)
is "K5 10 MiB of a file arrive as they are" "$(sha256sum </tmp/file)" \
	"$(lguest run -v -- sha256sum </tmp/file 2>/tmp/err)"
took=$(difference "$begin" "$(now)")
echo "10 MiB, with the guest's boot: $took s"
between "K5 ... by the buffer, not by the byte: world switches" 2560 1000000 \
	"$(awk '$1 == "world_switches" { print $2 }' /tmp/err)"

# Every byte there is, one at a time, through pipes, and lines without an end.
{ awk 'BEGIN { for (i = 0; i < 256; i++) printf "\\%03o", i }'; } >/tmp/octal
printf "$(cat /tmp/octal)" >/tmp/all
is "K5 all 256 bytes pass" 256 "$(wc -c </tmp/all)"
dd if=/tmp/all bs=1 2>/dev/null | lguest run -- cat >/tmp/out
check "K5 ... both ways" cmp /tmp/all /tmp/out

{ printf a; sleep 6; printf b; } | lguest run -- sh -c 'dd bs=1 count=1 2>/dev/null; echo; cat' >/tmp/out
is "K5 what comes later is waited for" "a b" "$(echo $(cat /tmp/out))"

yes | timeout 200 lguest run -- head -n 2 >/tmp/out 2>/tmp/err
is "K5 COMMAND may leave input unread" "0 y y" "$? $(echo $(cat /tmp/out))"
yes | timeout 200 lguest run -- sh -c 'exec <&-; exit 9'
is "K5 ... or close it" 9 $?
mkfifo /tmp/endless
timeout 200 lguest run -- sh -c 'exit 8' <>/tmp/endless
is "K5 ... and needs no end of it" 8 $?

# The reader sleeps while the rings are full: nobody may be busy meanwhile.
rm -f /tmp/out
yes | timeout 200 lguest run -- sh -c 'echo up; sleep 15' >/tmp/out & pid=$!
wait_for 60 grep -q up /tmp/out
sleep 2
lguest=$(launchers)
between "K5 input that waits costs nothing: it runs in so many of 20 looks" 0 10 $(busy_looks $lguest 20)
wait $pid
check "K5 nothing is left" no_guest_left
END

finish
