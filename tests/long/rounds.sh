#!/bin/bash
# The tiny guests' tests that count rounds, a hundred times as long as in each run of the
# tests: minutes, and a million halts.
. "$(dirname "$0")/../ktap.sh"
top=$(cd "$(dirname "$0")/../.." && pwd)

make -s -C "$top/tests/micro" O="$work/micro" >&2 || exit 1
# seen NAME FACTOR LINE...: such tests, which their names' words say, pass with so many rounds
seen() {
	local name=$1 factor=$2
	shift 2
	"$LAB" --timeout 3000 --smp 2 --cpu max --memory 1G --with "$work/micro" -- \
		sh -c 'MICRO_TIMES=$0 exec ./micro/run "$@"' "$factor" "$@" >"$work/out" 2>&1
	is "$name: the host is well" 0 $?
	sed 's/^/# /' "$work/out"
	is "$name" $# "$(grep -c '^ok ' "$work/out")"
}
seen "A5 each of the vectors" 10 "A5 each vector"
seen "C8 a million halts, and none is not woken" 100 "halts against another thread" \
	"HALT against IPIs" "WAIT against KICKs"
seen "A16 a minute beside a guest that spins: packets, timers, ticks" 60 "packets, timers and ticks"
seen "C9 a hundred thousand wake-ups at a guest's entry" 33 "who is woken while a guest is entered"
seen "C10 extended state of guests and programs, for minutes" 100 "patterns in x87, SSE, AVX"
seen "C14 moved, and its memory changed, for minutes" 100 "moved while its launcher's memory"
finish
