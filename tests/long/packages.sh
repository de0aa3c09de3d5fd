#!/bin/bash
# The packages on a machine: built in Debian 12 and in Debian 13, installed there, and the
# whole booted as a host by systemd: used, upgraded with lguest and with the kernel,
# removed without a trace (tests/system/lib/packages-host). As root.
#
# Programs and kernels are installed by this machine's own CPU, in a root folder, as that
# takes long in emulation; lguest is upgraded by the booted host, with its module loaded.
. "$(dirname "$0")/../system/lib/lab.sh"
lab=$(dirname "$LAB")
place=$built/packages
mkdir -p "$place"
chmod 700 "$place"	# programs in it give root's rights, and nobody updates them
umount -q "$place"/*-machine 2>/dev/null	# of a run that was killed
trap 'umount -q "$place"/*-machine 2>/dev/null; rm -rf "$work"' EXIT

tools=debhelper,dh-dkms,build-essential,lintian,libjansson-dev,liblz4-dev,liblzma-dev
tools+=,libseccomp-dev,liburing-dev,libzstd-dev,nettle-dev,zlib1g-dev
machine=systemd-sysv,dbus,udev,kmod,initramfs-tools,apt,dkms,adduser,debian-archive-keyring

# What is mounted in a root must go with whoever mounted it.
alone=(unshare --mount --pid --fork --kill-child --mount-proc)

# root_of SUITE PACKAGES FOLDER
root_of() {
	"$lab/apt" "$1" true || return
	grep '^Acquire' "$built/apt/$1/apt.conf" >"$work/apt.conf"
	rm -rf --one-file-system "$3.new"
	"${alone[@]}" mmdebstrap -q --mode=root --variant=minbase --include="$2" --skip=cleanup/apt \
		--aptopt='APT::Install-Recommends "false"' --aptopt="$work/apt.conf" \
		--dpkgopt=force-unsafe-io \
		"$1" "$3.new" "$built/apt/$1/sources.list" || return
	rm -rf --one-file-system "$3"
	mv "$3.new" "$3"
}

# in_root FOLDER COMMAND...: with nothing started, and no mount left behind.
in_root() {
	root=$1 "${alone[@]}" bash -c '
		mount --rbind /dev "$root/dev" && mount -t proc proc "$root/proc" &&
		printf "#!/bin/sh\nexit 101\n" >"$root/usr/sbin/policy-rc.d" &&
		chmod 755 "$root/usr/sbin/policy-rc.d" || exit 126
		shift
		chroot "$root" env -i PATH=/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8 \
			DEBIAN_FRONTEND=noninteractive "$@"
		status=$?
		rm "$root/usr/sbin/policy-rc.d"
		exit $status' - "$@"
}

# debs SUITE: $place/SUITE/*.deb, and a newer version in $place/SUITE/next, as from a tarball.
debs() {
	local builder=$place/$1-builder tree
	[ -e "$builder/usr/bin/lintian" ] || check "$1: a root to build in" root_of "$1" "$tools" "$builder"
	rm -rf --one-file-system "${place:?}/$1" "$builder/src" "$builder/next"
	mkdir -p "$place/$1/next" "$builder/src"
	tar -c -C "$top" --exclude=./build --exclude=./.git --exclude='*.o' --exclude='*.ko' . |
		tar -x -C "$builder/src" --no-same-owner
	cp -r "$builder/src" "$builder/next"
	sed -i '/define LGUEST_VERSION/s/"\(.*\)"/"\1.1"/' "$builder/next/launcher/lguest.h"
	sed -i '1s/(\(.*\))/(\1.1)/' "$builder/next/debian/changelog"
	echo '/* another layer */' >>"$builder/next/guest/layer.lds"
	for tree in src next; do
		check "$1: make deb, without git ($tree)" in_root "$builder" make -C "/$tree" deb
	done
	for tree in lguest lguest-dkms; do
		cp "$builder/src/build/$tree"_*.deb "$place/$1/$tree.deb"
		cp "$builder/next/build/$tree"_*.deb "$place/$1/next/$tree.deb"
	done
	is "$1: lintian has nothing to say" "" "$(in_root "$builder" sh -c \
		'lintian --allow-root -I --suppress-tags initial-upload-closes-no-bugs /src/build/*.changes' 2>&1)"
}

# What hooks make for a kernel.
made_for() {	# ROOT RELEASE
	(cd "$1" && ls -d var/lib/lguest/layers/"$2"/layer.o var/cache/lguest/"$2"-*.elf \
		lib/modules/"$2"/updates/dkms/lg.ko* 2>/dev/null) | wc -l
}

# boot SUITE PHASE RELEASE: what packages-host says goes into $place/SUITE-PHASE.
boot() {
	local out=$place/$1-$2
	rm -f "$out" "$out.log"
	timeout "$((3600 * ${LAB_SLOW:-1}))" qemu-system-x86_64 -machine q35 -accel tcg,thread=multi \
		-cpu max,erms=off,fsrm=off -smp 2 -m 2G -nodefaults -no-user-config \
		-display none -no-reboot -kernel "$place/vmlinuz-$3" \
		-initrd "$place/initrd.img-$3" \
		-append "root=/dev/vda rw console=ttyS0 panic=-1 cryptomgr.notests no_timer_check tsc=nowatchdog systemd.show_status=0 packages-host=$2" \
		-drive "if=none,id=disk,format=raw,file=$place/$1.img" -device virtio-blk-pci,drive=disk \
		-chardev "file,id=log,path=$out.log" -serial chardev:log \
		-chardev "file,id=out,path=$out" -serial chardev:out </dev/null
	is "$1: the host of phase $2 ends" 0 $?
	touch "$out"
	tr -d '\r' <"$out" >"$work/out"
	while IFS= read -r line; do
		case $line in
		'@ok '*) ok "$1: ${line#@ok }" ;;
		'@not ok '*) not_ok "$1: ${line#@not ok }" ;;
		*) printf '# %s\n' "$line" ;;
		esac
	done <"$work/out"
	is "$1: phase $2 came to its end" 1 "$(grep -c '^@end$' "$work/out")"
	is "$1: no trouble in its kernel's log" "" \
		"$([ -s "$out.log" ] || echo "there is no log"
		grep -aE 'BUG:|WARNING:|Oops|Call Trace|Kernel panic|soft lockup' "$out.log")"
}

try() {	# SUITE OLD NEW: names of kernels
	local suite=$1 root=$place/$1-machine image=$place/$1.img old new from
	old=$(basename "$("$lab/fetch-kernel" "$2")") new=$(basename "$("$lab/fetch-kernel" "$3")")
	read -r _ from _ <<<"$("$lab/kernels" "$3")"	# what it needs comes from there, too
	debs "$suite"
	[ -e "$place/$suite-base/usr/sbin/dkms" ] ||
		check "$suite: a machine" root_of "$suite" "$machine" "$place/$suite-base"
	rm -rf --one-file-system "$root"
	cp -a "$place/$suite-base" "$root"
	cp -r "$place/$suite" "$root/debs"
	get() { in_root "$root" apt-get -q -y --no-install-recommends install "$@"; }

	# A kernel with its headers, then lguest.
	check "$suite: $old and its headers" get "linux-image-$old" "linux-headers-$old"
	check "$suite: the packages are installed" get /debs/lguest.deb /debs/lguest-dkms.deb
	is "$suite: $old has a module, a layer, and is linked" 3 "$(made_for "$root" "$old")"
	is "$suite: there is a group" 1 "$(grep -c '^lguest:' "$root/etc/group")"
	install -m 755 "$lib/packages-host" "$root/usr/local/sbin/packages-host"
	in_root "$root" packages-host prepare
	cp "$root"/boot/{vmlinuz,initrd.img}-* "$place/"
	rm -f "$image"
	truncate -s 6G "$image"
	check "$suite: an image of it" mke2fs -q -t ext4 -d "$root" "$image"
	rm -rf --one-file-system "$root"
	boot "$suite" use "$old"
	boot "$suite" upgrade "$old"

	# A newer kernel, and at last its headers.
	mkdir "$root"
	mount -o loop "$image" "$root" || { not_ok "$suite: the image can be mounted"; return; }
	is "$suite: $old has a module, a layer, and is linked, once" "3 1" \
		"$(made_for "$root" "$old") $(ls "$root"/usr/src/lguest-* -d | wc -l)"
	get -t "$from" "linux-image-$new" >"$work/log" 2>&1
	is "$suite: $new is installed" 0 $?
	check "$suite: ... what to do is said, if it has no headers" sh -c \
		'[ -e "$1/lib/modules/$2/build/Makefile" ] || grep "linux-headers-$2" "$3"' - "$root" "$new" "$work/log"
	check "$suite: ... then its headers" get -t "$from" "linux-headers-$new"
	is "$suite: $new has a module, a layer, and is linked" 3 "$(made_for "$root" "$new")"
	cp "$root"/boot/{vmlinuz,initrd.img}-"$new" "$place/"
	# The second also unmounts it where somebody's mount namespace has a copy.
	umount "$root" && rmdir "$root"
	boot "$suite" leave "$new"
	[ $ktap_failed -gt 0 ] || rm -f "$image"
}

if [ "$(id -u)" != 0 ]; then
	skip "the packages on a machine" "a root folder with packages is made by root only"
	finish
	exit
fi
for suite in ${SUITES:-bookworm trixie}; do
	case $suite in
	bookworm) try bookworm 6.1 6.12 ;;
	trixie) try trixie 6.12+deb13 7.3 ;;
	esac
done
finish
