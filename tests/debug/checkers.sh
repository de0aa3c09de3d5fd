#!/bin/bash
# The debug host's checkers are on, and the lab hears them: a module in lg.ko's
# place does wrong what they look for.
. "$(dirname "$0")/../system/lib/lab.sh"

faulty=$work/faulty
mkdir -p "$faulty" "$work/host"
cp "$top/tests/debug/faulty.c" "$faulty/lg.c"
echo 'obj-m := lg.o' >"$faulty/Kbuild"
check "the faulty module builds" make -s -C "$DEBUG_HOST/src" M="$faulty" \
	KCFLAGS="-include $top/tests/debug/pages.h" modules
cp -rs "$DEBUG_HOST"/{boot,lib,parameters} "$work/host/"
cp "$faulty/lg.ko" "$work/host/"

# LAB_OPTIONS name the host with the real module; what comes later counts.
faulty() {	# HOW: leaves the log in $work/log
	"$LAB" --host-kernel "$work/host" --module-params "how=$1" -- true >"$work/out" 2>&1
	status=$?
	cp "$(sed -n "s/^lab: the host kernel's log (\(.*\)) ends with:/\1/p" "$work/out")" "$work/log"
}

faulty 0
is "KASAN: trouble" 125 $status
check "KASAN: use after free" grep -q 'BUG: KASAN: .*use-after-free.* in init' "$work/log"
check "KASAN: ... ends the host" grep -q 'Kernel panic' "$work/log"
faulty 1
is "others: trouble" 125 $status
check "lockdep: locks in two orders" grep -q 'WARNING: possible circular locking' "$work/log"
check "sleeping in a spinlock" grep -q 'BUG: sleeping function called' "$work/log"
check "kmemleak: an object" grep -q 'lab: kmemleak: unreferenced object' "$work/log"
check "kmemleak: ... with the name of who lost it" grep -q 'lab: kmemleak: .*\[lg\]' "$work/log"
check "kmemleak: a page, in the size of its struct page" \
	grep -q 'lab: kmemleak: unreferenced object .*(size 64)' "$work/log"
finish
