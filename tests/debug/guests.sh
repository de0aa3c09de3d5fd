#!/bin/bash
# Stock guests on the debug host: what they and their launchers make lg.ko do,
# while the host does to them all that a host may. Its checkers are the judges.
. "$(dirname "$0")/../system/lib/lab.sh"
head -c 4194304 /dev/urandom >"$work/disk"

inside "2 CPUs" --smp 2 --memory 3G --timeout 400 --with "$work/disk" <<'END'
work='i=0; while [ $i -lt 20 ]; do i=$((i + 1)); dd if=/dev/zero bs=1M count=4 2>/dev/null | md5sum; done
	sum=$(md5sum </dev/vda); echo "disk $sum"; exit 9'
want="disk $(md5sum <disk)"

lguest run -m 160M -d disk -- sh -c "$work" >/tmp/out 2>/tmp/err
is "K7 K9 a guest works, with a disk" "9 $want" "$? $(grep disk /tmp/out)"
show /tmp/err

# Two guests; beside them tracing, statistics, merging, compaction, and a CPU
# that goes and comes.
echo 1 >/sys/kernel/debug/tracing/events/lguest/enable
echo 1 >/sys/kernel/mm/ksm/run
for i in 1 2; do
	lguest run -m 160M -d disk,ro -- sh -c "$work" >/tmp/out$i 2>/tmp/err$i &
	eval pid$i=$!
done
while kill -0 $pid1 2>/dev/null || kill -0 $pid2 2>/dev/null; do
	cat /sys/kernel/debug/lguest/*/stats >/dev/null 2>&1
	cat /sys/kernel/debug/tracing/trace >/tmp/trace
	echo 1 >/proc/sys/vm/compact_memory
	echo 0 >/sys/devices/system/cpu/cpu1/online
	sleep 1
	echo 1 >/sys/devices/system/cpu/cpu1/online
	sleep 1
done
wait $pid1; one=$?
wait $pid2; two=$?
is "A6 B7 two guests, while one CPU of two goes and comes" "9 $want 9 $want" \
	"$one $(grep disk /tmp/out1) $two $(grep disk /tmp/out2)"
show /tmp/err1; show /tmp/err2
echo 0 >/sys/kernel/debug/tracing/events/lguest/enable
has "tracing was on" lguest_exit /tmp/trace
echo 2 >/sys/kernel/mm/ksm/run

lguest run -m 160M -- sh -c 'echo c >/proc/sysrq-trigger' >/tmp/out 2>/tmp/err
is "I3 a guest that panics" 120 $?

for delay in 0.3 1 2 4 8 16; do
	lguest run -m 160M -d disk,ro -- true >/dev/null 2>&1 &
	sleep $delay
	kill -KILL $!
	wait $!
done
check "H8 H23 launchers killed at any moment leave nothing" no_guest_left

rounds() {
	local n=0
	while [ $n -lt 3 ]; do
		rmmod lg && insmod /lib/modules/lg.ko || return 1
		lguest run -m 160M --time-limit 10 -- true >/tmp/out 2>/tmp/err
		n=$((n + 1))
	done
}
check "A13 unloaded and loaded three times" rounds
END

finish
