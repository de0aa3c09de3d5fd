#!/bin/bash
# Drivers of the guest let go of their devices and take them again: by unbinding,
# and by their module's removal. Each device works afterwards.
. "$(dirname "$0")/lib/lab.sh"

cat >"$work/rebind" <<'END'
cd /sys/bus/virtio/drivers || exit
use() {
	echo "$1: disk $(md5sum </dev/vda)"
	echo "$1: numbers $(head -c 32 /dev/hwrng | wc -c)"
	mount -t virtiofs share /mnt/share
	echo "$1: share $(cat /mnt/share/file)"
	umount /mnt/share
	ip link set eth0 up
	echo "$1: card $(cat /sys/class/net/eth0/carrier)"
	for device in */virtio*/status; do
		echo "$1: $(dirname $(dirname $device)) $(cat $device)"
	done
}
umount /mnt/share
use first
for device in */virtio*; do
	driver=$(dirname $device) device=$(basename $device)
	for round in 1 2; do
		echo $device >$driver/unbind && echo $device >$driver/bind || echo "$driver: no"
	done
done
use second
for name in virtio_blk virtio_net virtio-rng virtio_balloon virtiofs; do
	[ -e /sys/module/${name//-/_}/initstate ] || continue	# this kernel has it built in
	rmmod $name && insmod /lib/modules/$name.ko || echo "$name: no"
done
use third
dmesg | grep -E 'BUG|Oops|cut here'
END

inside "one CPU" --with "$work/rebind" <<'END'
mkdir -p /tmp/folder /tmp/switch
echo content >/tmp/folder/file
head -c 1048576 /dev/urandom >/tmp/a.img
lguest run -d /tmp/a.img -n switch=/tmp/switch --vsock /tmp/v --share /tmp/folder -- \
	sh -c "$(cat /lab/rebind)" </dev/null >/tmp/out 2>/tmp/err
used() { sed -n "s/^$1: //p" /tmp/out | tr -d '\r'; }
is "K13 each kind of device works" "disk $(md5sum </tmp/a.img)
numbers 32
share content
card 1
virtio_balloon 0x0000000f
virtio_blk 0x0000000f
virtio_net 0x0000000f
virtio_rng 0x0000000f
virtiofs 0x0000000f
vmw_vsock_virtio_transport 0x0000000f" "$(used first)"
is "K13 ... after its driver was unbound and bound, twice" "$(used first)" "$(used second)"
is "K13 ... after its driver's module was removed and loaded" "$(used first)" "$(used third)"
hasnt "K13 ... without a complaint of the guest's kernel" 'no$|BUG|Oops|cut here' /tmp/out
is "K13 ... or of the launcher" "" "$(cat /tmp/err)"
END
finish
