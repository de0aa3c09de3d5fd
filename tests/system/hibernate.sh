#!/bin/bash
# All of the host's memory goes to a disk and comes back from there (hibernation), while
# guests run, which do not notice. Linux can come back at once, without the machine's
# having been off; with a disk to swap to that is in use, from 6.4 on.
#
#	HIBERNATE_ROUNDS=n	so often (2)
. "$(dirname "$0")/lib/lab.sh"

echo "times_to_disk=${HIBERNATE_ROUNDS:-2}" >"$work/times"
limit=$((300 + 60 * ${HIBERNATE_ROUNDS:-0}))

truncate -s 1G "$work/swap"
inside "to disk" --host 6.12 --timeout $limit --cpu max --smp 2 --memory 1G --disk "$work/swap" --with "$work/times" --with "$lib/busy.sh" <<'END'
. ./times
. ./busy.sh
busy_guests
mkswap /dev/nvme0n1 >/dev/null && swapon /dev/nvme0n1
cat /sys/block/nvme0n1/dev >/sys/power/resume
echo test_resume >/sys/power/disk
came_back=0
for i in $(seq $times_to_disk); do
	before=$(rounds 1)
	echo disk >/sys/power/state && came_back=$((came_back + 1))
	wait_for 30 more_than $((before + 2)) 1
done
is "C6 the host's memory went to a disk and came back" $times_to_disk $came_back
is "C6 ... with its log, which does not know of that" 0 "$(dmesg | grep -c 'Image saving done')"
they_go_on "C6 a busy guest goes on after that"
all_is_right "C6 ... and all it has computed is right"
lguest run -m 96M -- echo new >/tmp/out 2>/tmp/err
is "C6 ... and a new guest starts" "0 new" "$? $(cat /tmp/out)"
kill -9 $(pidof lguest)
check "C6 nothing is left" no_guest_left
END
check "C6 the disk has had it" test "$(du -m "$work/swap" | cut -f1)" -ge 20
finish
