#!/bin/bash
# Guests with a name: started, listed, talked to, paused and stopped from outside.
. "$(dirname "$0")/lib/lab.sh"
program "$(dirname "$0")/pty.c" "$work/pty" || { not_ok "pty.c compiles"; finish; exit; }
program "$(dirname "$0")/talk.c" "$work/talk" || { not_ok "talk.c compiles"; finish; exit; }

inside "names" --timeout 550 --with "$work/pty" --with "$work/talk" <<'END'
syslogd -O /tmp/log
said() { tail -n 1 /tmp/err; }
socket=/run/lguest/one/control

lguest run --name ../one -- true 2>/tmp/err
is "K1 a bad name" 2 $?
has "K1 ... is told" "^lguest: run: '../one' is no name for a guest; take letters" /tmp/err
lguest run --detach 2>/tmp/err
is "K1 --detach without a name" 2 $?
has "K1 ... is told" '^lguest: run: a guest that is detached needs a name; add --name NAME$' /tmp/err
for command in console stop pause resume balloon; do
	lguest $command 2>/tmp/err
	is "K1 $command without a name" "2 lguest: $command: it takes one NAME; \`lguest list\` shows yours" "$? $(said)"
	lguest $command nobody </dev/null 2>/tmp/err
	is "K1 $command of a guest that is not there" \
		"1 lguest: $command: no guest called 'nobody' runs; \`lguest list\` shows yours" "$? $(said)"
done
lguest run --detach --name one -k /nowhere >/tmp/out 2>/tmp/err
is "K1 a detached guest that cannot start: its caller gets status and message" "122 1" \
	"$? $(grep -c '^lguest: .*/nowhere' /tmp/err)"
is "K1 ... and no place is left" "" "$(ls /run/lguest)"

# The pipe ends: nobody holds it open.
out=$(lguest run --detach --name one 2>&1)
is "K1 --detach returns when the guest runs, and is silent" "0 " "$? $out"
pid=$(launchers)
is "K1 its place is its user's alone" "drwx------ drwx------" "$(echo $(stat -c %A /run/lguest /run/lguest/one))"
is "K1 it belongs to no terminal, and no session but its own" "$pid $pid" \
	"$(awk '{ print $5, $6 }' /proc/$pid/stat)"
lguest run --name one -- true 2>/tmp/err
is "K1 a second guest of that name is refused" \
	"122 lguest: run: a guest called 'one' runs already; take another --name, or \`lguest stop one\`" "$? $(said)"

./pty 'expect:# ' raw: 'send:echo h$((6 * 7))o\r' 'expect:h42o' 'send:stty size\r' 'expect:31 97' \
	'size:44 133' sleep:1 'send:stty size\r' 'expect:44 133' 'send:^Ax' \
	-- lguest console one >/tmp/pty.out 2>&1
is "K5 a console can be attached, with its size; Ctrl-A x leaves it" "pty: status 0 pty: restored" \
	"$(echo $(tr -d '\r' </tmp/pty.out | grep '^pty: '))"
has "K5 ... and says that the guest goes on" "^lguest: left the console of 'one'; the guest goes on" /tmp/pty.out
./pty 'expect:133' raw: 'send:^C^C^C' -- lguest console one >/tmp/pty.out 2>&1
is "K5 it begins with the last lines; three ^C leave it" "pty: status 0 pty: restored" \
	"$(echo $(tr -d '\r' </tmp/pty.out | grep '^pty: '))"
lguest list >/tmp/list
is "K1 the guest is listed" "one $pid running 1 256M" "$(awk '$1 == "one" { print $1, $2, $3, $4, $5 }' /tmp/list)"
between "K1 the launcher of a console-only guest is small (KiB)" 300 3072 \
	"$(awk '$1 == "one" { print $7 + 0 }' /tmp/list)"
between "K1 ... and what the guest touched is another matter (MiB)" 20 256 \
	"$(awk '$1 == "one" { print $6 + 0 }' /tmp/list)"

lguest list --json >/tmp/list
is "K1 list --json is an array of what status says" "[ \"name\": \"one\", \"pid\": $pid, \"state\": \"running\", \"vcpus\": 1, \"memory\": 268435456, ]" \
	"$(echo $(grep -E '^[][]|"(name|pid|state|vcpus|memory)"' /tmp/list))"
lguest logs one >/tmp/logs 2>/tmp/err
is "K1 logs: the last output" "0  1" "$? $(cat /tmp/err) $(grep -c '^h42o' /tmp/logs)"
lguest logs one >/dev/full 2>/tmp/err
is "K1 ... which is lost" 1 $?

# Consoles to the last place.
consoles=
for i in 1 2 3 4 5 6 7 8; do
	lguest console one </dev/null >/tmp/console.$i 2>&1 & consoles="$consoles $!"
	wait_for 60 test -s /tmp/console.$i
done
lguest console one </dev/null >/tmp/out 2>/tmp/err
is "K1 a ninth console is refused" \
	"1 lguest: console: the guest 'one' refused: it has as many consoles as it can have; leave one" "$? $(said)"
is "K1 ... and list has its answer" running "$(lguest list | awk '$1 == "one" { print $3 }')"
lguest pause one 2>/tmp/err && lguest resume one 2>/tmp/err
is "K1 ... as have pause and resume" "0 " "$? $(cat /tmp/err)"
kill $consoles
wait $consoles

status='"name":"one","pid":'$pid',"state":"running","vcpus":1,"memory":268435456,"touched":[0-9]*,"launcher":[0-9]*,"seconds":[0-9]*,"restarts":0,"ready":true,"exec":"/run/lguest/one/vsock"'
./talk $socket '{"command":"status"}' >/tmp/out
is "K1 status" "{\"ok\":true,$status}" "$(sed 's/\(touched\|launcher\|seconds\)":[0-9]*/\1":[0-9]*/g' /tmp/out)"
./talk $socket '{"command":"statistics"}' >/tmp/out
has "K1 statistics" '^."ok":true,"balloon":."target":0,"actual":0,.*,"counters":.*"launcher_visits":[0-9]+' /tmp/out
./talk $socket '{"command":"balloon","bytes":67108864}' >/tmp/out
is "L5 a balloon can be filled from outside" '{"ok":true}' "$(cat /tmp/out)"
full() { ./talk $socket '{"command":"statistics"}' >/tmp/out; grep -q '"target":67108864,"actual":67108864' /tmp/out; }
check "L5 ... and the guest does so" wait_for 20 full
./talk $socket '{"command":"balloon","bytes":0}' '{"command":"balloon","bytes":1099511627776}' >/tmp/out
is "L5 ... but not beyond its memory" '{"ok":true} {"ok":false,"error":"the guest has less memory than that"}' "$(echo $(cat /tmp/out))"
lguest balloon one -m 192M >/tmp/out 2>/tmp/err
is "L5 lguest balloon says the same" "0 one 256M 192M" "$? $(awk 'NR == 2 { print $1, $2, $3 }' /tmp/out)"
has_less() { lguest balloon one 2>/tmp/err | grep -qE '^one +256M +192M +192M +[1-9][0-9]*M +[1-9][0-9]*M$'; }
check "L5 ... the guest does so, and tells what it has left" wait_for 20 has_less
lguest balloon -m 256M one >/tmp/out
has_all() { lguest balloon one | grep -qE '^one +256M +256M +256M '; }
check "L5 ... and takes it back" wait_for 20 has_all
lguest balloon one -m 257M 2>/tmp/err
is "L5 ... more than there is it cannot have" \
	"1 lguest: balloon: the guest 'one' was started with 256M and can have no more; give less, or start it with more (-m)" "$? $(said)"
./talk $socket '{"command":"fly"}' '{"command":7}' '[]' 'hello' '{"command":"status","command":"stop"}' \
	'{"command":"stop","limit":"long"}' '{"command":"balloon"}' \
	'{"command":"size","rows":"many"}' '[[[[[[[[[[[[' >/tmp/out
is "K1 mistakes are answered, one by one" "9 0" \
	"$(grep -c '^{"ok":false,"error":".*"}$' /tmp/out) $(grep -vc '^{"ok":false' /tmp/out)"
./talk $socket "{\"command\":\"$(head -c 2000 /dev/zero | tr '\0' x)\"}" >/tmp/out
is "K1 a line that is too long ends the connection" '{"ok":false,"error":"the line is too long"}' "$(cat /tmp/out)"
./talk $socket hostile
./talk $socket '{"command":"status"}' >/tmp/out
has "K1 after many broken clients the launcher answers as before" '^."ok":true,"name":"one"' /tmp/out
# For the log, its own socket, and two to its machine.
is "K1 ... and holds no connection of theirs" 4 "$(ls -l /proc/$pid/fd | grep -c socket)"

# A guest whose watchdog is short, and a pause that is longer.
said=0
say() {	# LINE...: until the guest has done them; what it says goes to /tmp/con
	local typist
	said=$((said + 1))
	rm -f /tmp/raw
	printf '%s\n' "$@" "echo said=\$((0 + $said))" | lguest console one >/tmp/raw & typist=$!
	wait_for 60 grep -q "^said=$said" /tmp/raw
	kill $typist
	wait $typist
	tr -d '\r' </tmp/raw >/tmp/con
}
begin=$(now)
say 'echo 2 >/proc/sys/kernel/watchdog_thresh'
say 'echo up=$(cut -d. -f1 /proc/uptime) ticks=$(awk "/timer/ { print \$2; exit }" /proc/interrupts)='
before=$(grep -o '^up=[0-9]* ticks=[0-9]*' /tmp/con | tail -n 1)
lguest pause one
is "K1 pause" 0 $?
lguest pause one
is "K1 ... twice is no harm" 0 $?
is "K1 ... is listed" paused "$(lguest list | awk '$1 == "one" { print $3 }')"
stats() { grep -E '^ *(exit_|launcher_visits)' /sys/kernel/debug/lguest/$(machine $pid)/stats | md5sum; }
first=$(stats)
sleep 12
is "K1 nothing of a paused guest runs" "$first" "$(stats)"
lguest resume one
is "K1 resume" 0 $?
sleep 1
say 'echo up=$(cut -d. -f1 /proc/uptime) ticks=$(awk "/timer/ { print \$2; exit }" /proc/interrupts)=' \
	'dmesg | grep -cE "soft lockup|stall|hung" | sed s/^/stalls=/'
after=$(grep -o '^up=[0-9]* ticks=[0-9]*' /tmp/con | tail -n 1)
number() { echo "$2" | sed "s/.*$1=\([0-9]*\).*/\1/"; }
took=$(awk "BEGIN { print int($(now) - $begin) + 1 }")
between "K1 a guest's clock goes on while it is paused (s)" 12 $((took + 1)) \
	$(($(number up "$after") - $(number up "$before")))
between "K1 its timers do not make up for what they missed (interrupts)" 1 $((250 * (took - 11))) \
	$(($(number ticks "$after") - $(number ticks "$before")))
has "K1 ... nor does its kernel see a lockup" '^stalls=0$' /tmp/con

# A restart keeps process, name and consoles.
rm -f /tmp/con
lguest console one </dev/null >/tmp/con & console=$!
wait_for 60 grep -q . /tmp/con
printf 'reboot -f\n' | lguest console one >/dev/null & typist=$!
wait_for 60 sh -c 'grep -A 99999 "reboot: Restarting" /tmp/con | grep -q "^Linux guest"'
kill $typist
is "I4 a console lives through a restart" 1 "$(grep -A 99999 'reboot: Restarting' /tmp/con | grep -c '^Linux guest')"
is "I4 ... as do process and name" "one $pid running" "$(lguest list | awk 'NR == 2 { print $1, $2, $3 }')"
has "I4 the restart is counted" '"restarts":1' - <<-STATUS
	$(./talk $socket '{"command":"status"}')
	STATUS

lguest stop one >/tmp/out 2>/tmp/err
is "J15 stop lets the guest shut down" "0 " "$? $(cat /tmp/out /tmp/err)"
wait $console
is "K5 its console ends with it" 0 $?
has "J15 ... after the guest's last words" 'reboot: Power down' /tmp/con
has "J15 ... and the guest saw the power button" 'lguest: the power button was pressed' /tmp/con
is "K1 nothing is left of the place, but its status" ".one 0" "$(ls -A /run/lguest) $(cat /run/lguest/.one)"
check "K1 nor of the guest" no_guest_left

lguest run --detach --name six -p 'rdinit=/none init=/none root=/dev/none' 2>/tmp/err
is "K1 a detached guest that never is ready: its caller has its status, and why" "120 1" \
	"$? $(grep -c '^lguest: .*panicked' /tmp/err)"
for n in 1 2 3; do
	lguest run --detach --name six -- sh -c 'exit 7' || break
	lguest wait six
done
is "K1 ... one that is ready and has ended at once has it for wait" "3 7" "$n $?"
lguest run --detach --name six -- sh -c 'sleep 4; exit 7'
lguest wait six 2>/tmp/err
is "K1 wait ends with a detached guest, and with its status" "7 " "$? $(cat /tmp/err)"
lguest wait six 2>/tmp/err
is "K1 ... which is kept" "7 " "$? $(cat /tmp/err)"

background lguest run --name two -- sh -c 'trap "echo bye; exit 7" TERM; echo up; while :; do sleep 0.1; done' </dev/null >/tmp/out 2>/tmp/err
wait_for 60 grep -q up /tmp/out
lguest stop two
is "J15 stop of a COMMAND" 0 $?
wait $pid
is "J15 ... which hears SIGTERM, and gives its status" "7 up bye" "$? $(echo $(cat /tmp/out))"

deaf='echo /bin/true >/proc/sys/kernel/poweroff_cmd; echo up; sleep 1000'
background lguest run --name three -- sh -c "$deaf" </dev/null >/tmp/out 2>/tmp/err3
wait_for 60 grep -q up /tmp/out
lguest stop --time-limit 1 three 2>/tmp/err
is "J15 a guest that does not shut down is ended" \
	"1 lguest: stop: the guest 'three' did not shut down in time: it was ended; --time-limit gives it longer" "$? $(said)"
wait $pid
is "J15 ... and its launcher says so, with status 116" \
	"116 lguest: the guest was ended by \`lguest stop\`: it did not shut down in time" "$? $(tail -n 1 /tmp/err3)"

lguest run --detach --name four -- sh -c "$deaf"
is "K1 a COMMAND can be detached" 0 $?
timeout 200 lguest console four </dev/null | grep -m 1 -q up
is "K5 ... and its output is the console's" 0 $?
lguest pause four
lguest stop --force four 2>/tmp/err
is "J15 stop --force, of a paused guest" "0 " "$? $(cat /tmp/err)"
wait_for 5 grep -q 'was ended by' /tmp/log
has "K1 what a detached launcher has to say is in the system's log" \
	'lguest\[[0-9]*\]: the guest was ended by `lguest stop`' /tmp/log

# What runs beside the guest holds nothing of the caller's, and its last words are told.
cat >/usr/bin/passt <<'EOF'
#!/bin/sh
echo 'it cannot listen' >&2
[ ! -e /tmp/short ] || exit 1
exec sleep 1000
EOF
chmod 755 /usr/bin/passt
check "K1 --detach with passt: its caller's stderr is closed" \
	timeout 200 sh -c 'lguest run --detach --name net -n user 2>&1 | cat'
lguest stop --force net
touch /tmp/short
lguest run -n user -- sh -c 'ip link set eth0 up; sleep 1' </dev/null >/tmp/out 2>/tmp/err
has "K6 ... and a passt that ends has its last words told" \
	'passt is gone .it ended: it cannot listen.; the guest' /tmp/err
rm /usr/bin/passt

# A machine that hears nothing more: its launcher does.
lguest run --detach --name seven
kill -STOP $(machine $(launchers))
is "K1 a guest whose machine stands still does not answer" "no answer" "$(lguest list | awk 'NR == 2 { print $3, $4 }')"
lguest stop --force seven 2>/tmp/err
is "J15 ... but can be stopped" "0 " "$? $(cat /tmp/err)"
has "J15 ... by SIGKILL, which the log tells" "lguest.[0-9]*.: the guest's machine does not end: it is killed" /tmp/log
check "J15 ... and nothing is left of it" no_guest_left

lguest run --detach --name five
kill -KILL $(launchers)
wait_for 5 nothing_alive
check "H8 a killed launcher leaves its place" test -S /run/lguest/five/control
lguest stop five 2>/tmp/err
is "H8 ... where nobody is" 1 $?
lguest run --detach --name five
is "H8 ... and the next guest of that name moves in" 0 $?
kill -KILL $(launchers)
wait_for 5 nothing_alive
is "H8 ... or list clears it away" 1 "$(lguest list | wc -l)"
is "H8 nothing is left of the place" "" "$(ls /run/lguest)"

su alice -c 'lguest run --detach --name mine && lguest list' >/tmp/out 2>/tmp/err
is "L9 an ordinary user's guest" mine "$(awk 'NR == 2 { print $1 }' /tmp/out)"
is "L9 its place is the user's alone" "drwx------ alice" "$(stat -c '%A %U' /tmp/lguest-1000)"
su alice -c './talk /tmp/lguest-1000/mine/control "{\"command\":\"statistics\"}"' >/tmp/out
is "L9 ... without the counters, which are root's" "1 0" "$(grep -c '"balloon"' /tmp/out) $(grep -c counters /tmp/out)"
su bob -c 'lguest stop mine' 2>/tmp/err
is "L9 another user does not see it" "lguest: stop: no guest called 'mine' runs; \`lguest list\` shows yours" "$(said)"
su alice -c 'lguest stop --force mine'
rm -rf /tmp/lguest-1000
su bob -c 'mkdir -m 777 /tmp/lguest-1000'
su alice -c 'lguest run --name mine -- true' 2>/tmp/err
is "L9 a place that another user made is refused" \
	"122 lguest: /tmp/lguest-1000 is another user's, or no folder; have it removed, or set XDG_RUNTIME_DIR to a folder of yours" "$? $(said)"
check "K1 nothing is left" no_guest_left
END

finish
