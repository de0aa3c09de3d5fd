#!/bin/bash
# All of the host's memory goes to a disk and comes back from there (hibernation), while
# guests run, which do not notice. Linux can come back at once, without the machine's
# having been off; with a disk to swap to that is in use, from 6.4 on.
#
#	HIBERNATE_ROUNDS=n	so often (2)
. "$(dirname "$0")/lib/lab.sh"

cat >"$work/busy" <<'END'
# System calls, faults, new processes: each round must come to the same sum.
work='while :; do [ "$(seq 2000 | md5sum)" = "$0" ] || echo wrong; echo round; done'
sum=$(seq 2000 | md5sum)
for guest in 1 2; do
	lguest run -m 96M -- sh -c "$work" "$sum" >/tmp/busy$guest 2>&1 </dev/null &
done
rounds() { cat /tmp/busy$1 | grep -c round; }
more_than() { [ $(rounds $2) -gt $1 ]; }	# ROUNDS GUEST
END
echo "times_to_disk=${HIBERNATE_ROUNDS:-2}" >>"$work/busy"
limit=$((300 + 60 * ${HIBERNATE_ROUNDS:-0}))

truncate -s 1G "$work/swap"
inside "to disk" --host 6.12 --timeout $limit --cpu max --smp 2 --memory 1G --disk "$work/swap" --with "$work/busy" <<'END'
. ./busy
for guest in 1 2; do wait_for 100 more_than 3 $guest; done
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
for guest in 1 2; do
	before=$(rounds $guest)
	check "C6 a busy guest goes on after that ($guest)" wait_for 60 more_than $((before + 3)) $guest
done
cat /tmp/busy? >/tmp/busy
hasnt "C6 ... and all it has computed is right" 'wrong|rror' /tmp/busy
lguest run -m 96M -- echo new >/tmp/out 2>/tmp/err
is "C6 ... and a new guest starts" "0 new" "$? $(cat /tmp/out)"
kill -9 $(pidof lguest)
check "C6 nothing is left" no_guest_left
END
check "C6 the disk has had it" test "$(du -m "$work/swap" | cut -f1)" -ge 20
finish
