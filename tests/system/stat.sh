#!/bin/bash
# `lguest stat`: what guests do.
. "$(dirname "$0")/lib/lab.sh"

inside "stat" <<'END'
lguest stat >/tmp/out 2>/tmp/err
is "K14 stat without a guest" "0 2" "$? $(wc -l </tmp/out)"
lguest stat 1 >/tmp/out 2>/tmp/err
is "K14 stat of a process without a guest" 1 $?
has "K14 ... says so" '^lguest: stat: process 1 has no guest' /tmp/err
for bad in "-n 0" "-n x" "-i 0" "-i now" "0" "abc" "1 2" "--nothing"; do
	lguest stat $bad >/tmp/out 2>/tmp/err
	is "K14 stat $bad: one line and status 2" "2 1 0" "$? $(wc -l </tmp/err) $(wc -c </tmp/out)"
done

# One asks the kernel, one sleeps.
lguest run -- sh -c 'echo up; while :; do read x </proc/uptime; done' </dev/null >/tmp/out1 2>&1 & one=$!
lguest run -- sh -c 'echo up; exec sleep 1000' </dev/null >/tmp/out2 2>&1 & two=$!
wait_for 100 grep -q up /tmp/out1
wait_for 100 grep -q up /tmp/out2
wait_for 60 quiet $two
lguest stat -i 3 -n 2 >/tmp/out 2>/tmp/err
is "K14 stat -i 3 -n 2 has status 0" 0 $?
show /tmp/out
is "K14 ... two reports of two guests and their sum" "PID $one $two all PID $one $two all" \
	"$(echo $(awk 'NF { print $1 }' /tmp/out))"
is "K14 ... every line has all columns" 13 "$(awk 'NF { print NF }' /tmp/out | sort -u)"
is "K14 ... the columns are in line" 1 "$(awk 'NF { print length($0) }' /tmp/out | sort -u | wc -l)"
row() { awk -v p="$1" '$1 == p { print $'"$2"'; exit }' /tmp/out; }
direct=$(row $one 9)
between "K14 the busy guest's direct switches count" 100 1000000000 "$direct"
between "K14 the idle guest makes few world switches" 0 60 "$(row $two 2)"
check "K14 the reasons add up to the world switches" awk '
	$1 ~ /^[0-9]+$/ { d = $2 - $3 - $4 - $5 - $6 - $7; if (d > 3 || d < -3) exit 1; n++ }
	END { exit n != 4 }' /tmp/out
check "K14 the sum is that of the guests" awk '
	$1 ~ /^[0-9]+$/ { s += $2 } $1 == "all" { if (s - $2 > 2 || $2 - s > 2) exit 1; s = 0 }' /tmp/out

# What has not happened yet has no line, and may happen between two looks.
lines() { grep -cv '^vcpu [1-9]' /sys/kernel/debug/lguest/$(machine $one)/stats; }
before=$(lines)
lguest stat -n 1 $one >/tmp/out 2>/tmp/err
is "K14 stat PID has status 0" 0 $?
after=$(lines)
has "K14 ... and every counter" '^direct_syscalls +[0-9]+ +[0-9]+$' /tmp/out
between "K14 ... as the Host has them" "$before" "$after" "$(($(wc -l </tmp/out) - 1))"

lguest stat -i 1 >/tmp/out 2>/tmp/err & stat=$!
reports() { [ "$(grep -c PID /tmp/out)" -ge $1 ]; }
wait_for 60 reports 3
kill $one $two
wait $one $two
seen=$(grep -c PID /tmp/out)
check "K14 stat -i goes on while guests come and go" wait_for 60 reports $((seen + 3))
kill $stat
is "K14 ... without a complaint" "" "$(cat /tmp/err)"
END

finish
