#!/bin/bash
# Root folders laid out as those of other distributions: os-release, and the stock kernel
# where they have theirs. The kernel is found, and what to install is named as there. All
# else in them is lguest and ld. Needs no lab.
. "$(dirname "$0")/lib/lab.sh"

root=$work/root
mkdir -p "$root"/{boot,etc,tmp,usr/bin,usr/lib/modules,layers}
ln -s usr/lib "$root/lib"
cp "$top/launcher/lguest" "$(readlink -f "$(command -v ld)")" "$root/usr/bin/"
mv "$root"/usr/bin/*ld* "$root/usr/bin/ld"
cp -r "$built/layers/$release" "$root/layers/"
ldd "$root"/usr/bin/* | grep -o '/[^ :]*\.so[^ :]*' | sort -u | while read -r library; do
	mkdir -p "$root${library%/*}"
	cp -L "$library" "$root$library"
done

lguest() {	# in that root, without being root here
	local alone=()
	[ "$(id -u)" = 0 ] || alone=(unshare --map-root-user)
	"${alone[@]}" chroot "$root" /usr/bin/lguest "$@" >"$work/out" 2>&1
}
export LGUEST_LAYERS=/layers XDG_CACHE_HOME=/var/cache
found() { sed -n 's/^ok *a kernel for guests: //p' "$work/out"; }

# distribution ID KERNEL INSTALL-KERNEL INSTALL-BINUTILS
distribution() {
	printf 'NAME=x\nID=%s\n' "$1" >"$root/etc/os-release"
	rm -rf "$root"/boot/* "$root"/usr/lib/modules/* "$root/var/cache"
	lguest check
	check "K1 L2 $1: no kernel, and how to get one" grep -qF -- "$3" "$work/out"
	mkdir -p "$root/usr/lib/modules/$release"
	cp "$vmlinuz" "$root$2"
	mv "$root"/usr/bin/ld "$root/ld"
	lguest check
	check "K2 L2 $1: no ld, and how to get it" grep -qF -- "$4" "$work/out"
	mv "$root/ld" "$root/usr/bin/"
	lguest check
	is "L2 $1: its kernel is found, and linked" "$2" "$(found)"
}
distribution debian "/boot/vmlinuz-$release" '`apt-get install linux-image-amd64`' \
	'`apt-get install binutils`'
distribution ubuntu "/boot/vmlinuz-$release" '`apt-get install linux-image-generic`' \
	'`apt-get install binutils`'
distribution fedora "/usr/lib/modules/$release/vmlinuz" '`dnf install kernel-core`' \
	'`dnf install binutils`'
cp "$vmlinuz" "$root/boot/vmlinuz-$release"
lguest check
is "L2 fedora: of two copies the one in /boot is taken" "/boot/vmlinuz-$release" "$(found)"
distribution arch "/usr/lib/modules/$release/vmlinuz" '`pacman -S linux`' \
	'`pacman -S binutils`'
distribution plan9 "/boot/vmlinuz-$release" 'install a kernel that has CONFIG_XEN_PV' \
	'install the binutils'
finish
