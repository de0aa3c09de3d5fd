#!/bin/bash
# Many hostile guests on a host of 512 MiB: their shadow tables could fill it, and are
# given back instead (micro/spent.c has the guests). No launcher is killed.
. "$(dirname "$0")/../ktap.sh"
top=$(cd "$(dirname "$0")/../.." && pwd)

make -s -C "$top/tests/micro" O="$work/micro" >&2 || exit 1
"$LAB" --timeout 500 --memory 512M --smp 2 --cpu max --with "$work/micro" -- \
	./micro/run "AT-48 many guests" > "$work/out" 2>&1
is "the host lives, and all guests end as they should" 0 $?
sed 's/^/# /' "$work/out"
check "it was tried" grep -q '^ok 1 - spent.c: AT-48 many guests.*killed$' "$work/out"
finish
