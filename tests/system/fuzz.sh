#!/bin/bash
# The inputs that fuzzing found, once more: built with gcc, ASan and UBSan, and
# fed to the launcher's parsers and devices. No lab. See tests/fuzz/run.
. "$(dirname "$0")/../ktap.sh"

top=$(cd "$(dirname "$0")/../.." && pwd)
out=$top/build/tests/fuzz

again() {	# TARGET
	local said
	said=$(set -o pipefail; "$out/$1" "$top/tests/fuzz/corpus/$1"/* 2>"$work/err" | tail -n 1) ||
		said="a complaint"
	is "K10 fuzz $1: $(find "$top/tests/fuzz/corpus/$1" -type f | wc -l) inputs do no harm" \
		"$(find "$top/tests/fuzz/corpus/$1" -type f | wc -l) inputs" "$said"
	[[ $said == *inputs ]] || tail -n 30 "$work/err" | sed 's/^/# /'
}

check "K10 the fuzz targets are built" make -s -C "$top/tests/fuzz" CC=gcc O="$out"
for target in $(make -s -C "$top/tests/fuzz" list); do
	again "$target"
done
finish
