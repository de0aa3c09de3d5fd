#!/bin/bash
# Devices that another program serves, by vhost-user: a folder by virtiofsd, disks by
# qemu-storage-daemon. Both are Debian's, with libraries of their own.
. "$(dirname "$0")/lib/lab.sh"

programs=$("$top/lab/fetch-program" qemu-system-common) ||
	{ not_ok "qemu-system-common is fetched"; finish; exit; }
mkdir -p "$work/servers/bin"
cp -r "$programs/lib" "$work/servers"
cp "$programs"/bin/{virtiofsd,qemu-storage-daemon} "$work/servers/bin"

# The beginning of a qcow2 image of 64 KiB that names a file of the host's.
printf 'QFI\373\0\0\0\2\0\0\0\0\0\0\0\110\0\0\0\13\0\0\0\20\0\0\0\0\0\1\0\0' >"$work/names.qcow2"
printf '%s' '/etc/passwd' | dd of="$work/names.qcow2" bs=1 seek=72 status=none
truncate -s 256K "$work/names.qcow2"

inside "servers" --timeout 500 --with "$work/servers" --with "$work/names.qcow2" <<'END'
mkdir -p /usr/lib /usr/bin /tmp/folder /tmp/disks
mv servers /usr/lib/servers
# with NAME ARGUMENT...: that program becomes the shell, with its own libraries.
cat >/usr/bin/with <<'EOF'
#!/bin/sh
name=$1
shift
exec /usr/lib/servers/lib/ld-linux-x86-64.so.2 --library-path /usr/lib/servers/lib \
	/usr/lib/servers/bin/$name "$@"
EOF
chmod 755 /usr/bin/with

cd /tmp/folder
echo content >file
dd if=/dev/urandom of=big bs=1M count=8 2>/dev/null
serve() {	# SOCKET
	with virtiofsd --socket-path=$1 -o source=/tmp/folder,sandbox=chroot >/tmp/server 2>&1 &
	server=$!
	wait_for 20 test -S $1
}
serve /tmp/one
lguest run -v --share /tmp/folder:there,via=/tmp/one -- sh -c '
	cd /mnt/there; cat file; cp big copy; echo new >made; ls | wc -l; exit 7' \
	</dev/null >/tmp/out 2>/tmp/err
is "L10 a folder by virtiofsd: the command's status" 7 $?
is "L10 ... is read and written" "content 4 new" "$(tr '\n' ' ' </tmp/out | tr -d '\r')$(cat made)"
check "L10 ... 8 MiB come back as they were" cmp big copy
check "L10 ... and the server ends with its guest" wait_for 20 test ! -e /proc/$server

serve /tmp/two
lguest run --share /tmp/folder:there,via=/tmp/two -- sh -c '
	d=$(basename $(dirname /sys/bus/virtio/drivers/virtiofs/virtio*/features | head -n 1))
	umount /mnt/there; cd /sys/bus/virtio/drivers/virtiofs
	echo $d >unbind; echo $d >bind
	mount -t virtiofs there /mnt/there && cat /mnt/there/file' </dev/null >/tmp/out 2>/tmp/err
is "L10 a driver that comes again finds the folder" content "$(tr -d '\r' </tmp/out)"
show /tmp/err

serve /tmp/three
background lguest run --share /tmp/folder:there,via=/tmp/three -- sh -c '
	echo up; until [ -e /mnt/there/go ]; do sleep 0.2; done
	echo seen; echo unwritten >/mnt/there/late
	while cat /mnt/there/big >/dev/null 2>&1; do :; done
	cat /mnt/there/file 2>&1; sync; echo synced
	umount /mnt/there; echo unmounted; exit 9' </dev/null >/tmp/out 2>/tmp/err
wait_for 60 grep -q up /tmp/out
touch /tmp/folder/go
wait_for 60 grep -q seen /tmp/out
kill -STOP $server	# what the guest asks now has no answer
sleep 1
kill -9 $server
check "L10 a server that is killed: what its guest waits for ends" wait_for 60 grep -q unmounted /tmp/out
has "L10 ... with an error" 'file.: Input/output error' /tmp/out
has "L10 ... and sync returns" '^synced' /tmp/out
has "L10 ... and the user hears of it" '^lguest: /tmp/folder: its server, /tmp/three, is gone' /tmp/err
wait_for 60 test ! -e /proc/$pid || kill $pid
wait $pid
is "L10 ... and the guest ends by itself" 9 $?
lguest run --share /tmp/folder:there,via=/tmp/three -- true </dev/null >/tmp/out 2>&1
is "L10 a socket without a server" "122 1" "$? $(grep -c 'nobody listens at the socket' /tmp/out)"
lguest run --share /tmp/folder:there,via=/tmp/none -- true </dev/null >/tmp/out 2>&1
is "L10 a socket that is not there" "2 1" "$? $(grep -c 'No such file' /tmp/out)"

cd /tmp/disks
truncate -s 64M base
echo first | dd of=base conv=notrunc 2>/dev/null
sum=$(md5sum <base)
lguest run -d base,overlay=over -- true </dev/null >/tmp/out 2>&1
is "K7 without qemu-storage-daemon: a sentence" "122 1" \
	"$? $(grep -c 'the program qemu-storage-daemon is not installed; ' /tmp/out)"
rm -f over
cat >/usr/bin/qemu-storage-daemon <<'EOF'
#!/bin/sh
exec /usr/bin/with qemu-storage-daemon "$@"
EOF
chmod 755 /usr/bin/qemu-storage-daemon
lguest run -d base,overlay=over -- sh -c '
	[ -e /sys/block/vda ] || exit 5
	dd if=/dev/vda bs=6 count=1 2>/dev/null
	case $(dd if=/dev/vda bs=6 skip=1 count=1 2>/dev/null) in
	again*) echo again ;;
	*) printf "seconda" >/tmp/x; printf "again" | dd of=/dev/vda bs=6 seek=1 conv=fsync 2>/dev/null
		dd if=/dev/urandom of=/dev/vda bs=1M seek=2 count=3 conv=fsync 2>/dev/null
		reboot -f; sleep 60 ;;
	esac
	cat /sys/block/vda/size' </dev/null >/tmp/out 2>/tmp/err
is "K7 an overlay takes what is written, over a restart too" "0 first first again 131072" \
	"$? $(echo $(tr -d '\r' </tmp/out))"
show /tmp/err
is "K7 ... and the image below it is the same" "$sum" "$(md5sum <base)"
between "K7 ... it has as much as was written (KiB)" 3072 4096 "$(du -k over | cut -f 1)"
cp over own.qcow2
lguest run -d own.qcow2,ro -- sh -c '
	dd if=/dev/vda bs=6 skip=1 count=1 2>/dev/null | tr -d "\\0"; cat /sys/block/vda/ro' \
	</dev/null >/tmp/out 2>/tmp/err
is "K7 a qcow2 image, read-only" "again1" "$(tr -d '\r\n' </tmp/out)"
lguest run -d /lab/names.qcow2 -- true </dev/null >/tmp/out 2>&1
is "K7 L8 an image that names a file of the host's is refused" "2 1" \
	"$? $(grep -c 'it names a backing file, which is not opened' /tmp/out)"
cp base not.qcow2
lguest run -d not.qcow2 -- true </dev/null >/tmp/out 2>&1
is "K7 a raw image is no qcow2 by its name" "2 1" "$? $(grep -c 'it is no qcow2 image' /tmp/out)"

background lguest run -d base,overlay=over -- sh -c 'echo up
	while dd if=/dev/vda of=/dev/null bs=4k count=1 2>/dev/null; do
		echo 3 >/proc/sys/vm/drop_caches
	done; sync; exit 9' </dev/null >/tmp/out 2>/tmp/err
wait_for 60 grep -q up /tmp/out
for process in /proc/[0-9]*; do
	grep -qs 'vhost-user-blk' $process/cmdline && kill -9 ${process##*/}
done
wait_for 60 test ! -e /proc/$pid || kill $pid
wait $pid
is "K7 a disk whose server is killed is one with I/O errors, and its guest ends by itself" 9 $?

background lguest run --name x -d base,overlay=over -- sh -c 'echo up; sleep 1000' </dev/null >/tmp/out 2>/tmp/err
wait_for 60 grep -q up /tmp/out
daemon=
for process in /proc/[0-9]*; do
	grep -qs 'vhost-user-blk' $process/cmdline && daemon=${process##*/}
done
is "L8 qemu-storage-daemon can get no privileges" 1 "$(sed -n 's/^NoNewPrivs:\t//p' /proc/$daemon/status)"
is "L8 ... and has a filter of system calls" 2 "$(sed -n 's/^Seccomp:\t//p' /proc/$daemon/status)"
is "L8 ... and has no device of the host's, nor another file than its own" "" \
	"$(ls -l /proc/$daemon/fd | grep -e '/dev/lguest' -e '/dev/kvm' | head -n 3)"
kill -9 $pid
check "L10 it ends with its guest" wait_for 20 test ! -e /proc/$daemon
check "L10 nothing is left" no_guest_left
END

finish
