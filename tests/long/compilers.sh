#!/bin/bash
# The launcher, the guest layer and the module, compiled by each gcc from 12 to 16, as
# Debian's unstable has them: without a warning.
. "$(dirname "$0")/../ktap.sh"
top=$(cd "$(dirname "$0")/../.." && pwd)
versions=(12 13 14 15 16)
copy=$top/build/compilers

in_sid() {
	"$top/lab/suite" sid "${versions[@]/#/gcc-}" zlib1g-dev liblzma-dev libzstd-dev \
		liblz4-dev libseccomp-dev liburing-dev libjansson-dev nettle-dev -- "$@" </dev/null
}

# NAME COMMAND...: it succeeds, without a warning of ours; what kbuild itself has to say is
# that the kernel has been compiled by another compiler.
quietly() {
	local name=$1
	shift
	in_sid "$@" >"$work/log" 2>&1
	is "$name: status" 0 $?
	is "$name: no warning" "" "$(grep -E 'warning: |error: ' "$work/log" |
		grep -v 'the compiler differs' | head -n 5)"
}

for version in "${versions[@]}"; do
	gcc=gcc-$version
	# Headers for gcc 14 ask for an option that older ones have not.
	kernel=6.1
	[ "$version" -lt 14 ] || kernel=7.3
	kdir=$("$top/lab/fetch-headers" "$(basename "$("$top/lab/fetch-kernel" $kernel)")")
	rm -rf "$copy"
	mkdir -p "$copy"
	(cd "$top" && find guest host launcher include -type f '(' -name '*.[chS]' -o -name Kbuild \
		-o -name Makefile -o -name '*.lds' ')' ! -name '*.mod.c' -exec cp --parents -t "$copy" {} +)
	quietly "$gcc: the launcher" make -C "$copy/launcher" O="$copy/launcher.o" CC="$gcc"
	quietly "$gcc: the layer, for $kernel" make -C "$copy/guest" KDIR="$kdir" O="$copy/layer" \
		submake="env -u MAKEFLAGS -u MFLAGS -u MAKEOVERRIDES -u O make CC=$gcc"
	quietly "$gcc: the module, for $kernel" make -C "$kdir" M="$copy/host" CC="$gcc" \
		CONFIG_DEBUG_INFO_BTF_MODULES= PAHOLE_VERSION='$(CONFIG_PAHOLE_VERSION)' modules
done
rm -rf "$copy"
finish
