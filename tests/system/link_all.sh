#!/bin/bash
# `lguest link --all` and the hooks of the kernels' packages: in a root folder whose /boot,
# /var and /lib/modules are its own, and the rest this machine's.
. "$(dirname "$0")/lib/lab.sh"
lab=$(dirname "$LAB")
root=$work/root one=$release two=$(basename "$("$lab/fetch-kernel" general)")
headers_one=$("$lab/fetch-headers" "$one") headers_two=$("$lab/fetch-headers" "$two")

mkdir -p "$root"/{usr,proc,dev,tmp,etc,boot,var,lib/modules,"$top","$(cd "$built" && pwd -P)"}
for dir in /bin /sbin /lib64; do cp -P "$dir" "$root/"; done
for dir in /usr/lib/*; do [ "$dir" = /usr/lib/modules ] || ln -s "$dir" "$root/lib/"; done
check "L3 it is installed" make -s -C "$top" install-program DESTDIR="$root" PREFIX=/opt
kernel() {	# RELEASE
	cp "$built/kernels/$1/boot/vmlinuz-$1" "$root/boot/"
	mkdir -p "$root/lib/modules/$1"
}
# In a chroot nobody may make a user namespace, and root needs none.
alone=(unshare --mount)
[ "$(id -u)" = 0 ] || alone=(unshare --map-root-user --mount)
here() {	# COMMAND...: root of that folder
	"${alone[@]}" bash -c '
		for dir in /usr /proc /dev /tmp /etc "$2" "$3"; do
			mount --rbind "$dir" "$1$dir" || exit 126
		done
		root=$1
		shift 3
		PATH=/opt/bin:$PATH exec chroot "$root" "$@"
	' - "$root" "$top" "$(cd "$built" && pwd -P)" "$@" >"$work/out" 2>&1
}
said() { check "$1" grep -q -- "$2" "$work/out"; }
made() { (cd "$root/var" && ls -d lib/lguest/layers/* cache/lguest/*.elf 2>/dev/null) | grep -c -- "$1"; }
hook() { here "/etc.hooks/kernel/$1.d/lguest" "$2"; }
mv "$root/etc/kernel" "$root/opt/kernel" && mkdir "$root/etc.hooks" && mv "$root/opt/kernel" "$root/etc.hooks/"

kernel "$one"
ln -s "$headers_one" "$root/lib/modules/$one/build"
kernel "$two"
here lguest link --all
is "L2 kernels are linked" 0 $?
is "L2 ... the one that has headers" "2 0" "$(made "$one") $(made "$two")"
said "L2 ... and what the other one lacks is said" "^$two: .*install linux-headers-$two"
touch "$work/before"
here lguest link --all
is "L2 nothing is built again" "" "$(find "$root/var" -type f -newer "$work/before")"

ln -s "$headers_two" "$root/lib/modules/$two/build"
hook header_postinst "$two"
is "L2 L13 headers come later" "0 2 2" "$? $(made "$one") $(made "$two")"
rm -r "$root/boot/vmlinuz-$one" "$root/lib/modules/$one"
hook postrm "$one"
is "L2 what was a removed kernel's goes with it" "0 0 2" "$? $(made "$one") $(made "$two")"
is "L2 ... its sum, too" 1 "$(ls "$root/var/cache/lguest" | grep -c '^sha256-')"

# A folder that is for all users is for all, and root runs nobody else's Makefile.
(umask 077; here lguest link --all)
is "L2 what root has linked is everybody's" "755 644" "$(cd "$root/var/cache/lguest" &&
	stat -c %a . ./*.elf | sort -ru | tr '\n' ' ' | sed 's/ $//')"
if [ "$(id -u)" = 0 ]; then
	rm -r "$root/var/lib/lguest/layers/$two"
	cp -rL "$headers_two/Makefile" "$work/Makefile"
	mkdir "$root/opt/users"
	cp "$work/Makefile" "$root/opt/users/"
	chown 1 "$root/opt/users/Makefile"
	ln -sfn /opt/users "$root/lib/modules/$two/build"
	here lguest link --all
	said "L2 a Makefile that is not root's is not run, and that is said" "^$two: .* is not root's"
	ln -sfn "$headers_two" "$root/lib/modules/$two/build"
	here lguest link --all
	is "L2 ... but root's is" "0 2" "$? $(made "$two")"
fi
# A kernel that cannot be a guest is none that needs a layer, or that has failed.
kernel "$one"
ln -s "$headers_one" "$root/lib/modules/$one/build"
sed "s/${one//./[.]} /9.${one#*.} /" "$root/boot/vmlinuz-$one" >"$root/boot/vmlinuz-9.${one#*.}"
mv "$root/lib/modules/$one" "$root/lib/modules/9.${one#*.}"
rm "$root/boot/vmlinuz-$one"
here lguest link --all
is "L2 a kernel that cannot be a guest is no failure" "0 0 2" "$? $(made "9.${one#*.}") $(made "$two")"
said "L2 ... and why it cannot is said" "^9.${one#*.}: .*this lguest knows Linux"
rm -r "$root/boot/vmlinuz-9.${one#*.}" "$root/lib/modules/9.${one#*.}"

# A damaged layer, as a power cut leaves it, and one that other sources made.
: >"$root/var/lib/lguest/layers/$two/layer.o"
here lguest link --all
is "L2 a layer that is damaged is an error" 1 $?
here env ARCH=none lguest link --all
is "L2 ... once, whatever the environment has" "0 2" "$? $(made "$two")"
rm "$root/lib/modules/$two/build"
here lguest link --all
is "L2 headers go: the layer is as good as before" "0 2" "$? $(made "$two")"
cp -r "$root/opt/share/lguest" "$work/share"
echo '/* another layer */' >>"$root/opt/share/lguest/guest/layer.lds"
here lguest link --all
is "L3 ... but not for another lguest" "1 0" "$? $(made "$two")"
said "L3 ... which says what it needs" "^$two: .*install linux-headers-$two"
rm -r "$root/opt/share/lguest"
mv "$work/share" "$root/opt/share/lguest"
ln -s "$headers_two" "$root/lib/modules/$two/build"
here lguest link --all
is "L2 headers come back" "0 2" "$? $(made "$two")"

# Nothing is there at all: a /boot that is not mounted.
mv "$root/boot" "$root/boot.away" && mkdir "$root/boot"
here lguest link --all
is "L2 without a kernel nothing is removed" "1 2" "$? $(made "$two")"
rmdir "$root/boot" && mv "$root/boot.away" "$root/boot"

# Trouble.
echo '#error new' >>"$root/opt/share/lguest/guest/power.c"
hook postinst "$two"
is "L3 a layer that cannot be built ends no kernel's installation" 0 $?
said "L3 ... what to do is said" 'as root: lguest link --all'
is "L3 ... the old one is not taken for it" 0 "$(made "$two")"
here lguest link --all
is "L3 ... by hand it is an error" 1 $?
rm "$root/opt/bin/lguest"
hook postinst "$two"
is "L3 without lguest the hook is silent" "0 " "$? $(cat "$work/out")"
finish
