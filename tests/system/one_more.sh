#!/bin/bash
# docs/DEVICES.md adds a device: its file and its row are put into a copy of the launcher,
# which boots a guest with it.
. "$(dirname "$0")/lib/lab.sh"

copy=$work/tree
mkdir "$copy" "$work/new"
cp -r "$top/launcher" "$top/include" "$copy"
block() {	# NUMBER: of the chapter's pieces of C
	sed -n '/^## One more device/,/^## A guest that/p' "$top/docs/DEVICES.md" |
		awk -v wanted="$1" '/^```/ { inside = !inside; n += inside; next } inside && n == wanted'
}
block 1 >"$copy/launcher/devices/pad.c"
block 2 >"$work/row"
check "K15 a new device is a file of some 60 lines" \
	test "$(grep -cv '^[ /]\*\|^//\|^$' "$copy/launcher/devices/pad.c")" -le 65
sed -i "/^\tK(rootfs,/e cat $work/row" "$copy/launcher/devices/kinds.h"
is "K15 ... and its row is one" 1 "$(diff "$top/launcher/devices/kinds.h" "$copy/launcher/devices/kinds.h" | grep -c '^>')"
check "K15 the launcher builds with it" make -s -C "$copy/launcher" O="$work/objects" WERROR=-Werror
cp "$copy/launcher/lguest" "$work/new/lguest"
check "K15 help has its option" sh -c "$work/new/lguest run --help | grep -q -e '--pad FILE'"
check "K15 so has the manual" sh -c "$work/new/lguest help --man | grep -q pad"
"$work/new/lguest" run --pad /nonexistent >"$work/out" 2>&1
is "K15 a bad value is bad usage" "2 lguest: cannot use the pad /nonexistent: No such file or directory; give a file with some bytes" \
	"$? $(cat "$work/out")"

inside "a new device" --with "$work/new" <<'END'
printf 0123456789 >/tmp/pad
new/lguest run --pad /tmp/pad -- sh -c 'cd /sys/class/misc/hw_random
	for rng in $(cat rng_available); do
		echo $rng >rng_current
		head -c 40 /dev/hwrng | tr -dc 0-9
		echo
	done' >/tmp/out 2>/tmp/err
is "K15 a guest with it ends well" 0 $?
has "K15 its stock driver gives the file's bytes, again and again" '^[0-9]*01234567890123456789[0-9]*$' /tmp/out
cat /tmp/out /tmp/err
END
finish
