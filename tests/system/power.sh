#!/bin/bash
# Power cuts: what a guest was told is on its disk is there afterwards, when its
# launcher is killed, and when the whole host goes from one moment to the next.
. "$(dirname "$0")/lib/lab.sh"

# Record after record, each to a file system and to a disk without one. What is
# said to be flushed was fsynced on both.
cat >"$work/writer" <<'END'
mount -t ext4 /dev/vda /mnt || exit
i=0
while :; do
	i=$((i + 1))
	yes "record $i" | head -c 20000 | dd of=/mnt/$i conv=fsync 2>/dev/null
	yes "record $i" | head -c 4096 | dd of=/dev/vdb bs=4096 seek=$i conv=fsync,notrunc 2>/dev/null
	echo "flushed $i"
done
END

# A file system with a journal, as a guest's disk or a host's.
disk() {	# IMAGE MIB
	truncate -s "$2M" "$1"
	mke2fs -q -t ext4 -J size=4 "$1"
}

# The file IMAGE was mounted when power went: its journal makes it whole again.
recover() {	# NAME IMAGE
	check "K7 $1: a journal is left" grep -q needs_recovery <(dumpe2fs -h "$2" 2>/dev/null)
	e2fsck -p "$2" >"$work/fsck" 2>&1
	between_0_and_1 "K7 $1: ... which is enough" $? "$work/fsck"
	check "K7 $1: ... and nothing is wrong" e2fsck -f -n "$2"
}
between_0_and_1() {
	if [ "$2" -le 1 ]; then ok "$1"; else
		not_ok "$1"
		sed 's/^/# /' "$3"
	fi
}

# All records that OUT says are flushed, in FS and on RAW.
records() {	# NAME OUT FS RAW
	local n i lost= lost_raw=
	n=$(sed -n 's/^flushed \([0-9]*\)$/\1/p' "$2" | tail -n 1)
	rm -rf "$work/files"
	mkdir "$work/files"
	debugfs -R "rdump / $work/files" "$3" >/dev/null 2>&1
	for ((i = 1; i <= ${n:-0}; i++)); do
		yes "record $i" | head -c 20000 | cmp -s - "$work/files/$i" || lost="$lost $i"
		yes "record $i" | head -c 4096 | cmp -s - <(dd if="$4" bs=4096 skip=$i count=1 2>/dev/null) ||
			lost_raw="$lost_raw $i"
	done
	check "K7 $1: at least 40 records were flushed" test "${n:-0}" -ge 40
	is "K7 $1: of them, these are not in the file system" "" "$lost"
	is "K7 $1: ... and these not on the other disk" "" "$lost_raw"
}

disk "$work/killed.img" 16
inside "kill -9" --with "$work/killed.img" --with "$work/writer" \
	--get /tmp/killed.img:"$work/killed.img" --get /tmp/raw.img:"$work/killed.raw" \
	--get /tmp/out:"$work/killed.out" <<'END'
cp killed.img /tmp
truncate -s 8M /tmp/raw.img
lguest run -d /tmp/killed.img -d /tmp/raw.img -- sh -c "$(cat writer)" >/tmp/out 2>/tmp/err & pid=$!
check "K7 a guest writes" wait_for 120 grep -q '^flushed 40$' /tmp/out
kill -KILL $pid
wait $pid
check "K7 nothing is left of it but its disks" no_guest_left
END
recover "killed" "$work/killed.img"
records "killed" "$work/killed.out" "$work/killed.img" "$work/killed.raw"

# One of the guest's disks is a disk of the host, the other a file on one.
disk "$work/host1.img" 16
disk "$work/host2.img" 32
"$LAB" --timeout 200 --modprobe ext4 --disk "$work/host1.img" --disk "$work/host2.img" \
	--with "$work/writer" -- sh -c '
	mount -t ext4 /dev/nvme0n2 /mnt || exit
	truncate -s 8M /mnt/raw.img
	sync
	lguest run -d /dev/nvme0n1 -d /mnt/raw.img -- sh -c "$(cat writer)" |
	while read -r line; do
		echo "$line"
		[ "$line" != "flushed 40" ] || { sleep 0.7; echo b >/proc/sysrq-trigger; }
	done' </dev/null >"$work/cut.out" 2>"$work/cut.err"
is "K7 the host is gone without a word" 126 $?
check "K7 ... by a reset" grep -q '^lab: [^ ]* ended (status 0) before' "$work/cut.err"
recover "host gone" "$work/host1.img"
recover "the host's own disk" "$work/host2.img"
debugfs -R "dump /raw.img $work/host.raw" "$work/host2.img" >/dev/null 2>&1
records "host gone" "$work/cut.out" "$work/host1.img" "$work/host.raw"

finish
