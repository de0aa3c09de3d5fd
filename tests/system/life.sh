#!/bin/bash
# How a guest ends, what its user is told, and that nothing is left of it.
. "$(dirname "$0")/lib/lab.sh"

# A kernel whose first instructions are a hypercall that does not exist yet:
# mov $99, %eax; syscall.
linked=$(ls -t "$built"/cache/lguest/"$release"-*.elf 2>/dev/null | head -n 1)
cp "$linked" "$work/rogue.elf"
entry=$(readelf -hW "$work/rogue.elf" | sed -n 's/.*Entry point address: *//p')
offset=$(readelf -lW "$work/rogue.elf" | while read -r type off _ phys size _; do
	[ "$type" = LOAD ] && ((entry >= phys && entry < phys + size)) && echo $((entry - phys + off))
done | head -n 1)
printf '\xb8\x63\x00\x00\x00\x0f\x05' |
	dd of="$work/rogue.elf" bs=1 seek="$offset" conv=notrunc 2>"$work/dd"

inside "one CPU" --with "$work/rogue.elf" <<'END'
echo 'echo the script runs; poweroff -f' | lguest run >/tmp/out 2>/tmp/err
is "I3 power off has status 0" 0 $?
has "K5 a script on stdin reaches the guest's shell" '^the script runs$' /tmp/out
has "I3 J15 the guest says Power down" 'reboot: Power down' /tmp/out
is "I3 power off says nothing on stderr" "" "$(cat /tmp/err)"
echo 'echo only this; poweroff -f' | lguest run -p quiet >/tmp/only 2>/tmp/err
is "K5 what a quiet kernel says on a pipe is its log's, each line with its time" "only this" \
	"$(grep -v -e '^\[ ' -e '^Linux guest ' -e '^Memory: ' -e '^$' /tmp/only)"
between "K5 ... and that is little" 1 20 "$(grep -c '^\[ ' /tmp/only)"
before=$(free_memory)	# not earlier: the host was still freeing its initramfs

lguest run -- poweroff -f >/tmp/out 2>/tmp/err
is "I3 power off before COMMAND ended has status 118" 118 $?
has "I3 ... and a sentence" '^lguest: the guest powered off before the command ended' /tmp/err

lguest run -- sh -c 'echo before; echo c >/proc/sysrq-trigger; sleep 60' >/tmp/out 2>/tmp/err
is "I3 a panic has status 120" 120 $?
has "I3 J8 the panic's text is on stderr" "^lguest: the guest's kernel panicked: sysrq triggered crash" /tmp/err
has "I3 ... after the kernel's last messages" 'Kernel panic - not syncing: sysrq triggered crash' /tmp/err
has "I3 ... with a backtrace of the guest's kernel" 'sysrq_handle_crash' /tmp/err
is "I3 what came before it is kept" before "$(cat /tmp/out)"

lguest run -k rogue.elf -- true >/tmp/out 2>/tmp/err
is "B5 I2 a guest that the Host kills has status 121" 121 $?
has "B5 I2 ... and a reason" '^lguest: the guest was killed: .*hypercall 99' /tmp/err

lguest run --time-limit 7 -- sh -c 'echo up; sleep 100' >/tmp/out 2>/tmp/err
is "K1 the time limit has status 117" 117 $?
has "K1 ... and a sentence" '^lguest: the guest was ended: its time limit was reached' /tmp/err
lguest run --time-limit 1 -- sleep 100 >/tmp/out 2>/tmp/err
is "C3 the time limit ends a booting guest" 117 $?

# The script says after each boot what comes next; restarts leave stdin alone.
mkfifo /tmp/in
lguest run -v -p lguest.test=42 </tmp/in >/tmp/out 2>/tmp/err &
pid=$!
exec 9>/tmp/in
booted() { [ "$(grep -c 'Booting paravirtualized' /tmp/out)" -ge $1 ]; }
for n in 1 2 3 4; do
	wait_for 30 booted $((2 * n - 1))	# as it comes, and the shell's greeting
	[ $n != 1 ] || files="$(ls /proc/$pid/fd | wc -l) $(ls /proc/$(machine $pid)/fd | wc -l)" first=$(machine $pid)
	[ $n != 4 ] || break
	echo "echo \"boot: \$(cat /proc/cmdline)\"; reboot -f; sleep 60" >&9
done
is "I4 K12 a restart keeps the launcher's process" lguest "$(cat /proc/$pid/comm)"
is "I4 K12 a restart leaves no file open" "$files" "$(ls /proc/$pid/fd | wc -l) $(ls /proc/$(machine $pid)/fd | wc -l)"
is "I4 one guest of one process" $(machine $pid) "$(ls /sys/kernel/debug/lguest)"
check "I4 ... which is another one: nothing of the old guest's is left" sh -c "[ $first != $(machine $pid) ] && [ ! -e /proc/$first ]"
echo "echo \"boot: \$(cat /proc/cmdline)\"; poweroff -f; sleep 60" >&9
exec 9>&-
wait $pid
is "I4 a restarted guest ends as any other" 0 $?
grep '^boot: ' /tmp/out >/tmp/boots
is "I4 the guest restarts in place" 4 "$(wc -l </tmp/boots)"
is "I4 the command line is the same each time" 1 "$(sort -u /tmp/boots | wc -l)"
has "K4 the command line holds the parameters" 'boot: .*lguest.test=42$' /tmp/boots
is "I4 every restart is told" 3 "$(grep -c '^lguest: the guest restarts' /tmp/err)"
has "I4 ... and counted" '^lguest: restarted 3 times' /tmp/err
check "I4 nothing is left of the restarts" no_guest_left

lguest run -v --no-reboot -- sh -c 'reboot -f; sleep 60' >/tmp/out 2>/tmp/err
is "I4 --no-reboot: a command whose guest reboots has no status" "118 1" \
	"$? $(grep -c '^lguest: the guest rebooted before the command ended' /tmp/err)"
has "K1 ... -v tells it, too" '^lguest: same again: .* --no-reboot' /tmp/err
echo 'reboot -f; sleep 60' | lguest run --no-reboot >/tmp/out 2>/tmp/err
is "I4 --no-reboot: a guest that reboots has ended" 0 $?

lguest run -- echo hi >/dev/full 2>/tmp/err
is "K1 output that does not fit is no success" "1 1" "$? $(grep -c "^lguest: the guest's output is lost: No space" /tmp/err)"
lguest run -- sh -c 'echo hi; exit 7' >&- 2>/tmp/err
is "K1 ... and told, with the command's own status" "7 1" "$? $(grep -c "^lguest: the guest's output is lost: Bad file" /tmp/err)"

background lguest run -- sh -c 'echo up; while :; do :; done' </dev/null >/tmp/out 2>/tmp/err
wait_for 30 grep -q up /tmp/out
kill -TERM $pid
begin=$(now)
wait $pid
is "C3 SIGTERM ends the launcher of a busy guest" 143 $?
echo "in $(difference "$begin" "$(now)") s"
check "H23 nothing is left of it" no_guest_left

background lguest run -- sh -c 'echo up; sleep 100' </dev/null >/tmp/out 2>/tmp/err
wait_for 30 grep -q up /tmp/out
kill -KILL $pid
wait $pid
is "H8 SIGKILL ends the launcher of a sleeping guest" 137 $?
check "H8 nothing is left of it" no_guest_left

# Wherever it is: reading the kernel, at its first steps, booting.
for delay in 0.02 0.05 0.1 0.2 0.3 0.5 0.7 1 1.5 2 2.5; do
	lguest run -- true >/dev/null 2>&1 &
	sleep $delay
	kill -KILL $!
	wait $!
done
check "H8 H23 launchers killed at any moment leave nothing" no_guest_left
lguest run -- true
is "H8 ... and the next guest runs" 0 $?
after=$(free_memory)
between "H8 H23 I4 the memory of all these guests is free again (KiB)" -100000 2048 $((before - after))
END

inside "2 CPUs" --smp 2 <<'END'
lguest run -- sh -c 'echo one' >/tmp/out1 2>/tmp/err1 & one=$!
lguest run -- sh -c 'echo two; exit 3' >/tmp/out2 2>/tmp/err2 & two=$!
wait $one; first=$?
wait $two; second=$?
is "B7 two guests at once" "0 one 3 two" "$first $(cat /tmp/out1) $second $(cat /tmp/out2)"

for i in 1 2 3 4; do
	[ $i = 2 ] && seconds=1000 || seconds=4
	lguest run -m 128M -- sh -c "echo guest $i; sleep $seconds; exit 1$i" >/tmp/out$i 2>/tmp/err$i &
	eval pid$i=$!
done
wait_for 20 sh -c '[ $(ls /sys/kernel/debug/lguest | wc -l) = 4 ]'
running=$(ls /sys/kernel/debug/lguest | wc -l)
wait_for 90 grep -q guest /tmp/out2
kill -KILL $pid2
statuses=
for i in 1 2 3 4; do
	eval wait \$pid$i
	statuses="$statuses $?"
done
is "B7 four guests at once" 4 "$running"
is "B7 one is killed, the others end as they should" " 11 137 13 14" "$statuses"
is "B7 each has its own output" "guest 1 guest 2 guest 3 guest 4" \
	"$(echo $(cat /tmp/out1 /tmp/out2 /tmp/out3 /tmp/out4))"
is "B7 none complains" "" "$(cat /tmp/err1 /tmp/err2 /tmp/err3 /tmp/err4)"
check "B7 nothing is left of them" no_guest_left
END

finish
