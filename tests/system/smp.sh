#!/bin/bash
# A guest with several vCPUs, as Linux in it finds them: all come up and have a timer, they
# tell each other, go and come back while others work, take NMIs, and any can end it.
. "$(dirname "$0")/lib/lab.sh"

for name in stale clocks; do
	program "$(dirname "$0")/$name.c" "$work/$name" || { not_ok "$name.c compiles"; finish; exit; }
done
cat >"$work/cpus" <<'END'
all=/sys/devices/system/cpu
row() { awk -v name="$1:" '$1 == name { print $2, $3, $4, $5 }' /proc/interrupts; }
here() { taskset "$1" sh -c 'awk "{ print \$39 }" /proc/self/stat'; }

echo "online $(cat $all/online), $(nproc)"
echo "here $(here 1) $(here 2) $(here 4) $(here 8)"
/mnt/share/clocks
echo "topology $(cat $all/cpu[0-9]*/topology/physical_package_id | uniq -c) $(cat $all/cpu[0-9]*/topology/core_id | sort -u | tr '\n' ' ')"
echo "threads $(cat $all/cpu[0-9]*/topology/thread_siblings_list | tr '\n' ' ')"
for cache in $all/cpu1/cache/index*; do
	echo "cache $(cat $cache/level) $(cat $cache/shared_cpu_list)"
done

# Pipes, forks and shootdowns on all of them, while three go and come back.
i=0
while [ $i -lt 8 ]; do
	n=0
	while [ $n -lt 15 ]; do
		echo "$i $n" | cat
		n=$((n + 1))
	done >/tmp/out.$i &
	i=$((i + 1))
done
changes=0
for round in 1 2 3 4 5; do
	for state in 0 1; do
		for cpu in 1 2 3; do
			echo $state >$all/cpu$cpu/online && changes=$((changes + 1))
		done
	done
done
wait
echo "changes $changes, online $(cat $all/online)"
echo "lines $(cat /tmp/out.* | wc -l)"
for cpu in 1 2 4 8; do taskset $cpu sleep 0.1; done

# The other CPUs flush because the Host says so: Linux's interrupts for it stay away.
tlb=$(row TLB)
for n in 1 2 3; do /mnt/share/stale 1; done
echo "shootdowns $tlb, $(row TLB)"

echo "timers $(row 0)"
echo "told $(row CAL)"
dmesg | grep -iE 'BUG|WARNING|call trace|stall|No irq handler|unexpected' | sed 's/^/bad: /'
echo l >/proc/sysrq-trigger
sleep 1
echo "NMIs $(row NMI | tr ' ' '\n' | grep -c -v '^0$')"
END

inside "2 CPUs" --cpu max --smp 2 --timeout 500 --with "$work/cpus" --with "$work/stale" \
	--with "$work/clocks" --with "$lib/busy.sh" <<'END'
lguest run -c 4 --share /lab,ro -- sh /mnt/share/cpus >/tmp/out 2>/tmp/err
is "L1 a guest with 4 vCPUs ends well" 0 $?
show /tmp/err
show /tmp/out
has "L1 it has them all" '^online 0-3, 4$' /tmp/out
has "L1 they are the cores of one package" '^topology  *4 0 0 1 2 3 $' /tmp/out
has "L1 ... with one thread each" '^threads 0 1 2 3 $' /tmp/out
has "L1 ... and caches of their own" '^cache 1 1$' /tmp/out
has "L1 ... but for the last, which all share" '^cache 3 0-3$' /tmp/out
has "L1 a program is on the CPU that it wants" '^here 0 1 2 3$' /tmp/out
has "L1 CPUs go and come back, while others work" '^changes 30, online 0-3$' /tmp/out
has "L1 ... and all that work is done" '^lines 120$' /tmp/out
has "E9 no clock runs backwards from one CPU to another" '^clocks 0 times backwards, 2000 turns on 4 CPUs' /tmp/out
has "L1 each has its own timer" '^timers [1-9][0-9]* [1-9][0-9]* [1-9][0-9]* [1-9]' /tmp/out
has "L1 they tell each other" '^told [1-9][0-9]* [1-9][0-9]* [1-9][0-9]* [1-9]' /tmp/out
is "F7 L1 no vCPU reads a page that is not there any more" 3 \
	"$(grep -c '^looks [1-9][0-9]*, changes [1-9][0-9]*, stale 0$' /tmp/out)"
tlb() { sed -n 's/^shootdowns //p' /tmp/out; }
between "F7 L1 ... and nearly all flushes are the Host's" 0 100 \
	"$(tlb | awk -F'[ ,]+' '{ print $5 + $6 + $7 + $8 - $1 - $2 - $3 - $4 }')"
has "L1 three of four take an NMI" '^NMIs 3$' /tmp/out
hasnt "L1 no BUG, WARNING, stall or call trace" '^bad: ' /tmp/out

lguest run -c 2 -- taskset 2 sh -c 'echo c >/proc/sysrq-trigger' >/tmp/out 2>/tmp/err
is "L1 a panic on vCPU 1 ends the guest" 120 $?
has "L1 ... and is told" "the guest's kernel panicked: sysrq triggered crash" /tmp/err
lguest run -c 2 -- taskset 2 poweroff -f >/tmp/out 2>/tmp/err
is "L1 so does a power-off there, before COMMAND has ended" 118 $?

# What stops or moves all vCPUs at once.
. ./busy.sh
busy_guests
mkdir /tmp/cgroup && mount -t cgroup2 cgroup /tmp/cgroup && mkdir /tmp/cgroup/frozen
for pid in $busy $(for pid in $busy; do machine $pid; done); do echo $pid >/tmp/cgroup/frozen/cgroup.procs; done
for i in 1 2 3; do
	echo 1 >/tmp/cgroup/frozen/cgroup.freeze
	wait_for 20 grep -q 'frozen 1' /tmp/cgroup/frozen/cgroup.events
	is "C6 L1 all vCPUs are frozen ($i)" "frozen 1" "$(grep frozen /tmp/cgroup/frozen/cgroup.events)"
	before="$(rounds 1) $(rounds 2)"
	sleep 1
	is "C6 ... and stand ($i)" "$before" "$(rounds 1) $(rounds 2)"
	echo 0 >/tmp/cgroup/frozen/cgroup.freeze
	they_go_on "C6 L1 and go on ($i)"
done
for i in 1 2 3 4 5; do
	echo 0 >/sys/devices/system/cpu/cpu1/online && echo 1 >/sys/devices/system/cpu/cpu1/online || echo "wrong: $i" >>/tmp/busy1
done
they_go_on "A6 L1 a CPU of the host goes and comes back, and the vCPUs that were there go on"
all_is_right "C6 A6 L1 ... and all that they have computed is right"
kill -TERM $busy
for pid in $busy; do wait $pid; done
is "C3 L1 SIGTERM ends all vCPUs" 143 $?
check "H8 L1 nothing is left" no_guest_left
END
finish
