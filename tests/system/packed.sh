#!/bin/bash
# A stock kernel packed in each way that Linux's build can do it, by the programs that it
# uses: linked, each is the same guest. Needs no lab.
. "$(dirname "$0")/lib/lab.sh"

from=$top/launcher/linker
gcc -I"$top/launcher" -I"$top/include" -Wall -Wextra -Werror -o "$work/unpack" \
	"$(dirname "$0")/unpack.c" "$from"/{bzimage,unpack,util}.c "$from/../distribution.c" \
	-lz -llzma -lzstd -llz4 || exit 1
"$work/unpack" "$vmlinuz" "$work/vmlinux" || exit 1

number() { od -An -t "u$3" -j "$2" -N "$3" "$1" | tr -d ' '; }
bytes() {	# NUMBER: as four bytes, the lowest first
	local i
	for i in 0 8 16 24; do printf '\\x%02x' $(($1 >> i & 255)); done
}

# The stock vmlinuz, with what COMMAND packs in its payload's place. The build puts the
# length behind all but gzip's.
start=$((($(number "$vmlinuz" $((0x1f1)) 1) + 1) * 512 + $(number "$vmlinuz" $((0x248)) 4)))
repack() {	# FILE COMMAND...
	local file=$1
	shift
	head -c "$start" "$vmlinuz" >"$file"
	"$@" <"$work/vmlinux" >>"$file" || return
	[ "$1" = gzip ] || printf "$(bytes "$(stat -c %s "$work/vmlinux")")" >>"$file"
	printf "$(bytes $(($(stat -c %s "$file") - start)))" |
		dd of="$file" bs=1 seek=$((0x24c)) conv=notrunc status=none
}

# A program, and liblzo2, which need not be installed.
fetched() {	# PROGRAM ARGUMENT...
	local dir
	dir=$("$top/lab/fetch-program" "$1") &&
		"$dir/lib/ld-linux-x86-64.so.2" --library-path "$dir/lib" "$dir/bin/$1" "${@:2}"
}
zstd() { cat >"$work/in" && "$work/unpack" -z "$work/in" "$work/out" && cat "$work/out"; }
mkdir "$work/libs"
cp "$("$top/lab/fetch-program" lzop)"/lib/liblzo2.so.2* "$work/libs" || exit 1

link() {	# FILE RESULT
	LD_LIBRARY_PATH=$work/libs LGUEST_LAYERS=$built/layers "$top/launcher/lguest" link -o "$2" "$1"
}

check "L2 the kernel is linked as it is" link "$vmlinuz" "$work/stock.elf"
# The fastest way of each; what the build adds for size changes no format.
while read -r name command; do
	# shellcheck disable=SC2086
	check "L2 a kernel is packed with $name" repack "$work/$name" $command
	check "L2 ... and linked" link "$work/$name" "$work/$name.elf"
	check "L2 ... it is the same guest" cmp "$work/stock.elf" "$work/$name.elf"
done <<'END'
gzip	gzip -n -1
bzip2	bzip2 -1
lzma	xz --format=lzma -0
xz	xz --check=crc32 --x86 --lzma2=preset=0,dict=128MiB
lzo	fetched lzop -1
lz4	fetched lz4 -l -1 - -
zstd	zstd
END

# Without its table of names a kernel cannot be a guest: a layer would be of no use.
sed 's/\x003\x004\x005\x006\x007\x00/\x003\x004\x00?\x006\x007\x00/' "$work/vmlinux" >"$work/nameless"
for layers in "$built/layers" /nowhere; do
	LGUEST_LAYERS=$layers "$top/launcher/lguest" link -o "$work/none" "$work/nameless" 2>"$work/err"
	is "K2 a kernel without names is refused, with what it lacks: layers in ${layers##*/}" \
		"1 1" "$? $(grep -c 'the kernel needs CONFIG_KALLSYMS' "$work/err")"
done
finish
