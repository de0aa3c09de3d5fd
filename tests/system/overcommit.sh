#!/bin/bash
# More guest memory than the host has: two guests whose programs use 300 MiB on a host
# that has less to spare, by swapping; and one that a memory group holds to less than it
# uses. Pages are moved all the while. F10, L5.
. "$(dirname "$0")/lib/lab.sh"

mkdir "$work/shared"
program "$(dirname "$0")/pages.c" "$work/shared/pages" || { not_ok "pages.c compiles"; finish; exit; }

inside "swap" --memory 512M --timeout 400 --modprobe lzo-rle --modprobe zram --with "$work/shared" <<'END'
echo 900M >/sys/block/zram0/disksize
check "L5 there is a place to swap to" sh -c "mkswap /dev/zram0 >/dev/null && swapon /dev/zram0"
of() { awk -v what="$1:" '$1 == what { print int($2 / 1024) }' /proc/meminfo; }

# Pages move all the while.
while :; do echo 1 >/proc/sys/vm/compact_memory; sleep 2; done &
compact=$!
for i in 1 2; do
	lguest run -m 256M --share shared,ro -- /mnt/share/pages 150 1 $i >/tmp/out.$i 2>/tmp/err.$i &
	pids="${pids:-} $!"
done
most=0
while kill -0 $pids 2>/dev/null; do
	used=$(($(of SwapTotal) - $(of SwapFree)))
	[ $used -le $most ] || most=$used
	sleep 1
done
for pid in $pids; do wait $pid; done
kill $compact
echo "# at most $most MiB were swapped out of $(of MemTotal) MiB; $(grep -E '^(compact_success|pgmigrate_success|pswpin|pswpout)' /proc/vmstat | tr '\n' ' ')"
for i in 1 2; do
	is "L5 F10 guest $i found each page right" "right $((150 * 256))" "$(cat /tmp/out.$i)"
	show /tmp/err.$i
done
check "L5 a hundred megabytes were swapped" test $most -ge 100
check "L5 pages were moved" test "$(awk '$1 == "pgmigrate_success" { print $2 }' /proc/vmstat)" -ge 1000
check "H8 nothing is left" no_guest_left

# A memory group holds a launcher with all its guest's memory to 100 MiB.
mkdir -p /cg && mount -t cgroup2 none /cg
echo +memory >/cg/cgroup.subtree_control
mkdir /cg/small
echo 100M >/cg/small/memory.max
out() { awk '$1 == "pswpout" { print $2 }' /proc/vmstat; }
before=$(out)
sh -c 'echo 0 >/cg/small/cgroup.procs
	exec lguest run -m 256M --share shared,ro -- /mnt/share/pages 110 1' >/tmp/out 2>/tmp/err
is "L5 a guest in a memory group that is smaller finds each page right" "right $((110 * 256))" "$(cat /tmp/out)"
show /tmp/err
between "L5 ... and it stayed below its limit (MiB)" 50 100 $(($(cat /cg/small/memory.peak) >> 20))
check "L5 ... by swapping" test $(($(out) - before)) -ge 10000
END
finish
