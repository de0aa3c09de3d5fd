#!/bin/bash
# `make run </dev/null`, as the README promises it. Nothing is built: that is
# `make all`, which came before the tests.
. "$(dirname "$0")/lib/lab.sh"

begin=$EPOCHREALTIME
make --no-print-directory -C "$built/.." -o all run </dev/null >"$work/out" 2>"$work/err"
is "L2 make run without a terminal ends with 0" 0 $?
awk -v a="$begin" -v b="$EPOCHREALTIME" 'BEGIN { printf "# %.1f s\n", b - a }'
check "L2 ... it shows the guest's uname -a" \
	grep -qE "^Linux guest ${release//+/[+]} .*Debian.* x86_64 GNU/Linux" "$work/out"
check "J8 ... and its memory" grep -qE '^MemTotal: +2[0-9]{5} kB' "$work/out"
check "J1 ... and the lines that name lguest" \
	grep -q 'Booting paravirtualized kernel on lguest' "$work/out"
is "K1 ... and no complaint" "" "$(cat "$work/err")"
sed 's/^/# /' "$work/out"

finish
