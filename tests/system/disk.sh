#!/bin/bash
# Disks and random numbers: what a guest writes is there when it comes back, and
# what cannot be done is an error for the guest alone.
. "$(dirname "$0")/lib/lab.sh"

# Writes a pattern, reads it back past the guest's cache, and restarts once.
cat >"$work/write-and-reboot" <<'END'
if [ "$(dd if=/dev/vdb bs=512 count=1 2>/dev/null | head -c 6)" = second ]; then
	dd if=/dev/vda of=/dev/null bs=4k count=3000 iflag=direct 2>/dev/null
	echo "after: $(dd if=/dev/vda bs=1M count=64 2>/dev/null | md5sum)"
	exit 0
fi
dd if=/dev/urandom of=/tmp/pattern bs=1M count=64 iflag=fullblock 2>/dev/null
dd if=/tmp/pattern of=/dev/vda bs=1M conv=fsync 2>/dev/null || echo cannot write
echo "pattern: $(md5sum </tmp/pattern)"
blockdev --flushbufs /dev/vda
echo 3 >/proc/sys/vm/drop_caches
echo "before: $(dd if=/dev/vda bs=1M count=64 2>/dev/null | md5sum)"
echo second | dd of=/dev/vdb conv=fsync,notrunc 2>/dev/null
reboot -f
sleep 60
END

cat >"$work/errors" <<'END'
echo "sizes: $(cat /sys/block/vda/size /sys/block/vdb/size /sys/block/vdc/size | tr '\n' ' ')"
echo "ro: $(cat /sys/block/vda/ro /sys/block/vdb/ro | tr '\n' ' ')"
echo "serial: $(cat /sys/block/vda/serial)"
echo "cache: $(cat /sys/block/vda/queue/write_cache)"
echo "scheduler: $(cat /sys/block/vda/queue/scheduler)"
dd if=/dev/zero of=/dev/vdb bs=512 count=1 conv=fsync 2>/dev/null && echo wrote to a read-only disk
dd if=/dev/vda of=/dev/null bs=4k skip=1 count=1 iflag=direct 2>/dev/null || echo cannot read
echo shrink
read -r line
dd if=/dev/vdc of=/dev/null bs=4k skip=1000 count=1 iflag=direct 2>/dev/null && echo read what is gone
dd if=/dev/vda of=/dev/null bs=4k skip=1 count=1 iflag=direct 2>/dev/null && echo the other disk still works
dmesg | grep -c 'I/O error, dev vdc'
END

cat >"$work/rng" <<'END'
cat /sys/class/misc/hw_random/rng_current
head -c 4096 /dev/hwrng | wc -c
a=$(head -c 64 /dev/hwrng | md5sum); b=$(head -c 64 /dev/hwrng | md5sum)
[ "$a" = "$b" ] || echo different
END

cat >"$work/full" <<'END'
# The host's file system is smaller than the disk: an error, then life goes on.
dd if=/dev/zero of=/dev/vda bs=64k count=256 oflag=direct 2>/dev/null && echo wrote more than there is room
dd if=/dev/vda of=/dev/null bs=64k count=4 iflag=direct 2>/dev/null && echo reads still work
END

# fio writes blocks at random, 32 at a time, with one call, and reads all of them again.
cat >"$work/fio" <<'END'
mount -t ext4 -o ro /dev/vdb /mnt || exit 1
mount --bind /dev /mnt/dev && mount -t tmpfs tmp /mnt/tmp
echo 2 >/sys/block/vda/queue/nomerges
exec chroot /mnt /bin/fio --name=random --filename=/dev/vda --thread --ioengine=libaio --direct=1 \
	--rw=randwrite --bs=4k --size=4M --iodepth=32 \
	--iodepth_batch=32 --iodepth_batch_complete_min=32 --verify=crc32c --verify_fatal=1
END

# One read, which the driver cuts into 32 requests.
cat >"$work/one-read" <<'END'
echo 4 >/sys/block/vda/queue/max_sectors_kb
dd if=/dev/vda of=/dev/null bs=128k skip=8 count=1 iflag=direct 2>/dev/null && echo read
END

# On a device whose blocks are 4096 bytes: the guest's kernel writes no less.
cat >"$work/device" <<'END'
head -c 8388608 /dev/urandom >/tmp/pattern
dd if=/tmp/pattern of=/dev/vda bs=64k oflag=direct 2>/dev/null || echo cannot write
echo "blocks: $(cd /sys/block/vda/queue && echo $(cat logical_block_size physical_block_size))"
echo half | dd of=/dev/vda bs=512 seek=3 count=1 conv=sync,fsync 2>/dev/null || echo cannot write half
echo "half: $(dd if=/dev/vda bs=512 skip=3 count=1 2>/dev/null | head -n 1)"
echo "after: $(dd if=/dev/vda bs=64k count=128 iflag=direct 2>/dev/null | md5sum)"
END

# Restarts while 32 reads of a disk that holds them are on their way; it has a bad block.
cat >"$work/held-reads" <<'END'
get() { dd if=/dev/vda of=/dev/null bs=4k count=1 skip="$1" iflag=direct 2>/dev/null; }
if [ "$(head -c 5 /dev/vdb)" = again ]; then
	get 1024 || echo cannot read
	get 1025 && echo reads the next
	exit 0
fi
echo again | dd of=/dev/vdb conv=fsync,notrunc 2>/dev/null
echo 4 >/sys/block/vda/queue/max_sectors_kb
dd if=/dev/vda of=/dev/null bs=128k skip=8 count=1 iflag=direct 2>/dev/null &
until read -r reads writes </sys/block/vda/inflight && [ "$reads" = 32 ]; do :; done
reboot -f
sleep 60
END

# Disks of the lab's host: /dev/vda, ...
host_disks=(--modprobe virtio_blk --modprobe nbd)
host_disk() {	# ID OPTIONS
	host_disks+=(--qemu-arg -drive --qemu-arg "if=none,id=$1,format=raw,$2"
		--qemu-arg -device --qemu-arg "virtio-blk-pci,drive=$1")
}
mkdir -p "$built/tests"
check "K7 there is an image with fio" "$lib/fio_image" "$built/tests/fio.img"
program "$(dirname "$0")/held.c" "$work/held" || { not_ok "held.c compiles"; finish; exit; }
host_disk fio "readonly=on,file.filename=$built/tests/fio.img"

disks() {
	cat <<'END'
# count FILE WORD: the number before it in what -v says of a disk at the end.
count() { sed -n "s,^lguest: $1\, queue 0:.*[^0-9]\([0-9]*\) $2.*,\1,p" /tmp/err | tail -n 1; }
words() { cat /lab/$1; }
# hold DEVICE WORD...: a disk of 8 MiB by held.c
hold() {
	local device=/dev/$1
	shift
	./held $device 8 "$@" >/tmp/held &
	holder=$!
	wait_for 20 test -e /sys/block/${device#/dev/}/pid
}
truncate -s 80M /tmp/a.img
truncate -s 1M /tmp/b.img
lguest run -v -d /tmp/a.img -d /tmp/b.img -- sh -c "$(words write-and-reboot)" >/tmp/out 2>/tmp/err
is "K7 a guest with two disks ends well" 0 $?
is "K7 ... with threads where there is no io_uring" "$LGUEST_TEST_DISK" "$(sed -n \
	's,^lguest: /tmp/a.img: no io_uring here: .*; \(.*\) instead,\1,p' /tmp/err | uniq)"
pattern=$(sed -n 's/^pattern: //p' /tmp/out)
is "K7 64 MiB are read back as written" "$pattern" "$(sed -n 's/^before: //p' /tmp/out)"
is "K7 K12 ... and again after a restart" "$pattern" "$(sed -n 's/^after: //p' /tmp/out)"
is "K7 the host's file holds the same" "$pattern" "$(head -c 67108864 /tmp/a.img | md5sum)"
is "K7 the file has kept its size" 83886080 "$(stat -c %s /tmp/a.img)"
hasnt "K13 the stock drivers break no rule" 'bad driver' /tmp/err
visits=$(awk '$1 == "launcher_visits" { print $2 }' /tmp/err | sort -n | tail -n 1)
between "K9 H16 disk traffic needs no visit to the launcher" 0 2500 "$visits"
check "K7 nothing is left" no_guest_left
END
}

truncate -s 16M "$work/device.img"
host_disk device "file.filename=$work/device.img"
host_disks[-1]+=,logical_block_size=4096,physical_block_size=4096

inside "one CPU" --timeout 400 "${host_disks[@]}" --with "$work/device" --with "$work/fio" --with "$work/held" --with "$work/held-reads" --with "$work/one-read" --with "$work/write-and-reboot" --with "$work/errors" --with "$work/rng" \
	--with "$work/full" < <(disks; cat <<'END'
truncate -s 8M /tmp/c.img
mkfifo /tmp/in
rm -f /tmp/out
lguest run -d /tmp/a.img -d /tmp/b.img,ro -d /tmp/c.img -- sh -c "$(words errors)" </tmp/in >/tmp/out 2>/tmp/err &
pid=$!
exec 9>/tmp/in
wait_for 60 grep -q shrink /tmp/out
truncate -s 4096 /tmp/c.img
echo shrunk >&9
wait $pid
exec 9>&-
has "K7 the sizes are those of the files" '^sizes: 163840 2048 16384' /tmp/out
has "K7 a read-only disk says so" '^ro: 0 1' /tmp/out
has "K7 the serial is the file's name" '^serial: a.img' /tmp/out
has "K7 the guest leaves the order of requests to the host" '^scheduler: \[none\]' /tmp/out
has "K7 the cache is flushed on demand" '^cache: write back' /tmp/out
hasnt "K7 a read-only disk takes no write" 'wrote to' /tmp/out
hasnt "K7 a file that shrank gives no data" 'read what is gone' /tmp/out
has "K7 ... but an error, for that disk alone" 'the other disk still works' /tmp/out

mkdir /tmp/small && mount -t tmpfs -o size=4m small /tmp/small
truncate -s 32M /tmp/small/full.img
lguest run -d /tmp/small/full.img,full=error -- sh -c "$(words full)" >/tmp/out 2>/tmp/err
is "K7 a guest on a full host file system ends well" 0 $?
is "K7 no space left is an I/O error for the guest" "reads still work" "$(cat /tmp/out)"
is "K7 ... and is said, once" 1 "$(grep -c '^lguest: /tmp/small/full.img: this host has no room' /tmp/err)"
# Without that the guest stands, says so wherever somebody looks, and goes on by itself.
state() { lguest list --json | sed -n 's,.*"state": "\(.*\)".*,\1,p'; }
stands() { [ "$(state)" = "host full" ]; }
rm /tmp/small/full.img; truncate -s 32M /tmp/small/full.img; dd if=/dev/zero of=/tmp/small/other bs=64k count=32 2>/dev/null
lguest run --detach --name full -d /tmp/small/full.img -- sh -c '
	dd if=/dev/zero of=/dev/vda bs=64k count=50 oflag=direct 2>/dev/null && echo all of it
	sleep 1000' >/tmp/out 2>/tmp/err
wait_for 60 stands
check "K7 a guest whose host is full stands" stands
has "K7 ... lguest list says so" '^full .* host full ' <(lguest list)
has "K7 ... and its console" 'no room for what the guest writes' <(lguest logs full)
hasnt "K7 ... and has no error" 'all of it' <(lguest logs full)
rm /tmp/small/other
goes_on() { ! stands; }
check "K7 ... and goes on by itself when there is room" wait_for 60 goes_on
wrote() { lguest logs full | grep -q 'all of it'; }
check "K7 ... all was written" wait_for 60 wrote
lguest stop full --force
dd if=/dev/zero of=/tmp/small/other bs=64k count=32 2>/dev/null
# dd hears of its error and of the power button at once: deaf to the one, it tells of the other.
lguest run --detach --name full -d /tmp/small/full.img -- sh -c '
	trap "" TERM HUP
	exec dd if=/dev/zero of=/dev/vda bs=64k seek=50 count=64 oflag=direct'
wait_for 60 stands
check "K7 lguest stop ends a guest that stands, and not by force" timeout 100 lguest stop full
is "K7 ... its write has failed" 1 "$(lguest wait full >/dev/null 2>&1; echo $?)"
umount /tmp/small

# 60 reads of 4 KiB, and 200 KiB: less time would be too little, however slow this machine is.
lguest run -d /tmp/a.img,iops=20 -d /tmp/b.img,bps=100K,ro -- sh -c '
	now() { cut -d " " -f 1 /proc/uptime | tr -d .; }
	a=$(now); dd if=/dev/vda of=/dev/null bs=4k count=60 iflag=direct 2>/dev/null; b=$(now)
	dd if=/dev/vdb of=/dev/null bs=4k count=50 iflag=direct 2>/dev/null; c=$(now)
	echo $((b - a)) $((c - b))' >/tmp/out
read -r requests bytes </tmp/out
between "K7 60 requests, 20 in a second" 280 100000 "$requests"
between "K7 200 KiB, 100 in a second" 180 100000 "$bytes"

# Each 32 writes are answered when all of them have come: so many must be on their way.
hold nbd0 write 0 131072 -1
lguest run -v -d /dev/nbd0 -d /dev/vda,ro -- sh -c "$(words fio)" >/tmp/out 2>/tmp/err
is "K7 fio ends well" 0 $?
has "K7 4 MiB at random, 32 requests at a time, are read back as written" 'err= 0' /tmp/out
is "K7 ... so many were on their way" 32 "$(count /dev/nbd0 'at once')"
between "K7 ... 1024 writes and 1024 reads" 2048 3000 "$(count /dev/nbd0 requests)"
others=$(($(count /dev/nbd0 requests) - 2048))
between "K11 a notification serves 16 requests or more" 1 $((2048 / 16 + others + 1)) \
	"$(count /dev/nbd0 notifications)"	# and one is the start
grep '^lguest: /dev/nbd0, queue 0' /tmp/err
kill $holder

# Reads from the second MiB on are answered when the launcher has said that it waits.
hold nbd1 read 1048576 -1 4194304
echo none | dd of=/tmp/b.img conv=notrunc 2>/dev/null
background lguest run -v --time-limit 200 -d /dev/nbd1 -d /tmp/b.img -- sh -c "$(words held-reads)" \
	</dev/null >/tmp/out 2>/tmp/err
check "K7 K12 a restart with requests on their way waits for them" \
	wait_for 150 grep -q '^lguest: /dev/nbd1: waiting for 32 requests' /tmp/err
kill -USR1 $holder
wait $pid
is "K7 K12 ... and goes on then" 0 $?
has "K7 the host's error is told with -v" '^lguest: /dev/nbd1: cannot read at byte 4194304: Input/output error' /tmp/err
is "K7 what the host cannot read is an error, for that block alone" \
	"cannot read reads the next" "$(echo $(cat /tmp/out))"
kill $holder

# While 32 reads end the guest is paused, so that it cannot take them one by one.
hold nbd2 read 1048576 -1 -1
lguest run -v --name moderate -d /dev/nbd2 -- sh -c "$(words one-read)" >/tmp/out 2>/tmp/err &
pid=$!
ended() { [ "$(echo $(cat /sys/block/nbd2/inflight))" = "0 0" ] && ! grep -q ') R ' /proc/$(machine $pid)/task/*/stat; }
check "K7 32 requests of one read are on their way" wait_for 100 grep -q '^131072 ' /tmp/held
lguest pause moderate
kill -USR1 $holder
check "K7 ... and end" wait_for 20 ended
lguest resume moderate
wait $pid
is "K7 ... well" "0 read" "$? $(cat /tmp/out)"
others=$(($(count /dev/nbd2 requests) - 32))
between "K11 one interrupt is for all of them" 1 $((others + 1)) "$(count /dev/nbd2 interrupts)"
grep '^lguest: /dev/nbd2, queue 0' /tmp/err
kill $holder

buffers() { awk '$1 == "Buffers:" { print $2 }' /proc/meminfo; }
before=$(buffers)
lguest run -v -d /dev/vdb -- sh -c "$(words device)" >/tmp/out 2>/tmp/err
is "K7 a guest on a device ends well" 0 $?
between "K7 ... which leaves nothing in the host's page cache" -4096 2048 $(($(buffers) - before))
hasnt "K7 ... and says nothing of it" 'through the page cache' /tmp/err
has "K7 ... and has its blocks" '^blocks: 4096 4096' /tmp/out
has "K7 less than a block of the device is written and read back" '^half: half' /tmp/out
is "K7 8 MiB on a device are what the guest read" \
	"after: $(head -c 8388608 /dev/vdb | md5sum)" "$(grep ^after /tmp/out)"

mkswap /dev/vdb >/dev/null && swapon /dev/vdb
lguest run -d /dev/vdb -- true 2>/tmp/err
is "K7 a device that the host uses is refused" 122 $?
has "K7 ... with a sentence" '^lguest: cannot use the disk /dev/vdb: this host has it mounted' /tmp/err
swapoff /dev/vdb

lguest run -- sh -c "$(words rng)" >/tmp/out 2>/tmp/err
is "K8 the guest's random numbers come from the host" "virtio_rng.0 4096 different" "$(echo $(cat /tmp/out))"

background lguest run -d /tmp/a.img -- sh -c 'echo up; sleep 1000' </dev/null >/tmp/out 2>/tmp/err
wait_for 60 grep -q up /tmp/out
lguest run -d /tmp/a.img -- true 2>/tmp/err2
is "K7 a disk in use is refused" 122 $?
has "K7 ... with a sentence" '^lguest: cannot use the disk /tmp/a.img: another guest uses it' /tmp/err2
kill -KILL $pid
wait $pid
lguest run -d /tmp/a.img -- true 2>/tmp/err2
is "K7 after kill -9 it is free again" 0 $?
lguest run -d /tmp/none.img -- true 2>/tmp/err2
is "K1 a disk that is not there is bad usage" 2 $?
has "K1 ... and a sentence" '^lguest: cannot use the disk /tmp/none.img: No such file' /tmp/err2
head -c 1000001 /dev/zero >/tmp/odd.img
lguest run -d /tmp/odd.img -- true 2>/tmp/err2
has "K7 a size that fills no block is refused, with the way out" 'truncate -s %512' /tmp/err2
printf 'QFI\373' >/tmp/q.img
lguest run -d /tmp/q.img -- true 2>/tmp/err2
has "K7 qcow2 is refused, with the way out" 'qemu-img convert' /tmp/err2
check "K7 nothing is left of all these" no_guest_left
END
)
inside "2 CPUs, threads" --smp 2 --modprobe nbd --with "$work/held" --with "$work/one-read" \
	--with "$work/write-and-reboot" < <(echo export LGUEST_TEST_DISK=threads; disks; cat <<'END'
hold nbd0 read 1048576 -1 -1
lguest run -v -d /dev/nbd0 -- sh -c "$(words one-read)" >/tmp/out 2>/tmp/err &
pid=$!
# As many requests as there are threads, each of 4 KiB, and all of them wait.
check "K7 each thread has a request on its way" wait_for 100 grep -q '^16384 ' /tmp/held
kill -USR1 $holder
wait $pid
is "K7 ... and the read ends well" "0 read" "$? $(cat /tmp/out)"
kill $holder
END
)

finish
