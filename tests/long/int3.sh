#!/bin/bash
# When nobody changes Linux's code, none of its breakpoints is left: static keys of the
# scheduler are switched on and off while four vCPUs on two CPUs change tasks, and then
# the Host counts the breakpoints that they still meet.
#
# QEMU before 8.1 may go on executing one that is not there any more, until it translates
# the code anew: it read the code before it looked after the page (docs/KERNELS.md). There
# a breakpoint that stays says nothing of lguest, and is shown as a skipped test.
. "$(dirname "$0")/../system/lib/lab.sh"

cat >"$work/patching" <<'END'
key=/proc/sys/kernel/sched_schedstats
work() { while [ ! -e /tmp/over ]; do echo x | cat >/dev/null; done; }
for n in 1 2 3 4 5 6; do work & done
round=0
while [ $round -lt 5 ]; do
	n=0
	while [ $n -lt 50 ]; do
		echo 1 >$key && echo 0 >$key && n=$((n + 1))
	done
	sleep 5		# keys that Linux itself switches late
	echo "quiet $round"
	sleep 4
	echo "end $round $n"
	sleep 1
	round=$((round + 1))
done
: >/tmp/over
wait
dmesg | grep -iE 'BUG|WARNING|call trace|stall|int3' | sed 's/^/bad: /'
END

version=$(qemu-system-x86_64 --version | sed -n 's/.*version \([0-9]*\)\.\([0-9]*\).*/\1 \2/p')
read -r major minor <<<"$version"
old_qemu=
[ $((major * 100 + minor)) -ge 801 ] || old_qemu=yes

inside "breakpoints" --smp 2 --timeout 400 --with "$work/patching" <<END
lguest run -c 4 --share /lab,ro -- sh /mnt/share/patching >/tmp/out 2>/tmp/err & pid=\$!
for round in 0 1 2 3 4; do
	wait_for 60 grep -q "quiet \$round" /tmp/out
	before=\$(counter exit_vector_3) switches=\$(counter world_switches)
	wait_for 60 grep -q "end \$round 50" /tmp/out
	left=\$((\$(counter exit_vector_3) - before))
	echo "\$before breakpoints while code was changed, \$left afterwards"
	between "L1 the guest works on" 1 100000000 \$((\$(counter world_switches) - switches))
	if [ \$left != 0 ] && [ "$old_qemu" ]; then
		echo "QEMU $major.$minor executes what it has translated"
		echo "@skip L1 no breakpoint of Linux's stays"
	else
		is "L1 no breakpoint of Linux's stays" 0 \$left
	fi
done
wait \$pid
is "L1 it ends well" 0 \$?
hasnt "L1 no BUG, WARNING, stall or call trace" '^bad: ' /tmp/out
show /tmp/err
END
finish
