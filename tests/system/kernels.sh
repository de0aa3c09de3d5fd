#!/bin/bash
# The kernels that are known, as the file KERNELS says: each word that names one finds it,
# and no package that has to be installed changes which kernel the machine boots.
. "$(dirname "$0")/../ktap.sh"
top=$(cd "$(dirname "$0")/../.." && pwd)

of() { "$top/lab/kernels" "$1" 2>&1 | awk '{ print $1, $2, $5 }'; }
while read -r kernel wanted; do
	is "$kernel is $wanted" "$wanted" "$(of "$kernel")"
done <<'END'
6.1.0-57-cloud-amd64			6.1 bookworm-security cloud
6.1.0-57-amd64				6.1 bookworm-security general
6.12.117+deb12-cloud-amd64		6.12 bookworm-security cloud
6.12.118+deb13-cloud-amd64		6.12+deb13 trixie-security cloud
6.12.115+deb13.1-amd64			6.12+deb13 trixie-security general
6.12-rt					6.12 bookworm-security rt
7.3					7.3 trixie-backports cloud
7.3.4+deb13-rt-amd64			7.3 trixie-backports rt
7.2.13+deb14-amd64			7.2 sid general
END
for kernel in 6.6 7 6.6.9-cloud-amd64 6.12.9-cloud-amd64; do
	said=$("$top/lab/fetch-kernel" "$kernel" 2>&1)
	said="$? $said"
	is "$kernel is refused, and which are known is said" \
		"126 lab: no kernel $kernel: the file KERNELS knows $("$top/lab/kernels" --names | xargs)" "$said"
done

# The launcher refuses guests by number.
known() { sed -n "s/^#define $1_KNOWN\t\"\(.*\)\"/\1/p" "$top/launcher/linker/versions.h"; }
names=$("$top/lab/kernels" --names | sed 's/+.*//' | sort -V)
is "the launcher's first known kernel is KERNELS'" "$(head -n 1 <<<"$names")" "$(known FIRST)"
is "... and the last" "$(tail -n 1 <<<"$names")" "$(known LAST)"
hosts=$(awk '!/^#/ && $5 != "" { sub(/[+].*/, "", $1); print $1 }' "$top/KERNELS" | sort -Vu)
is "... and those that it calls tested" "$(sed ':a; N; $!ba; s/\n/, /g' <<<"$hosts")" \
	"$(sed -n 's/^#define TESTED\t*"\(.*\)"/\1/p' "$top/launcher/linker/versions.h")"

# dkms leaves the others out: its own words for it.
make -s -C "$top" install-dkms DESTDIR="$work/dkms" >&2
BUILD_EXCLUSIVE_KERNEL=$(. "$work"/dkms/usr/src/lguest-*/dkms.conf && echo "$BUILD_EXCLUSIVE_KERNEL")
excluded() { [[ $BUILD_EXCLUSIVE_KERNEL && ! $1 =~ $BUILD_EXCLUSIVE_KERNEL ]] && echo "$1"; }
newest=$(known LAST)
is "dkms builds for what is known" "" "$(for release in 6.1.0-57-amd64 6.6.99-x \
	6.12.118+deb13-cloud-amd64 6.19.8+deb13-amd64 7.0.4-amd64 "$newest.4+deb13-amd64"; do
	excluded "$release"; done)"
is "... and for nothing else" "4.19.0 5.10.0-9-amd64 6.0.3 8.1.2-amd64 ${newest%.*}.$((${newest#*.} + 1)).0" \
	"$(for release in 4.19.0 5.10.0-9-amd64 6.0.3 8.1.2-amd64 "${newest%.*}.$((${newest#*.} + 1)).0"; do
	excluded "$release"; done | xargs)"

# ... whatever KERNELS has: those of the list that match.
matched() {	# NAMES RELEASE...
	local pattern
	printf '%s\tsuite\t\n' $1 >"$work/tree/KERNELS"
	pattern=$("$work/tree/lab/kernels" --range)
	shift
	printf '%s.0-x\n' "$@" | grep -E -e "$pattern" | sed 's/[.]0-x//' | xargs
}
mkdir -p "$work/tree"
cp -r "$top/lab" "$work/tree/"
all=(5.19 6.0 6.1 6.2 6.9 6.11 6.12 6.13 6.19 6.20 7.0 7.3 7.4 7.19 8.0 8.2 8.3 8.20 9.0)
is "from 6.1 to 7.3" "6.1 6.2 6.9 6.11 6.12 6.13 6.19 6.20 7.0 7.3" "$(matched '6.1 6.12+deb13 6.12 7.3' "${all[@]}")"
is "from 6.12 to 7.3" "6.12 6.13 6.19 6.20 7.0 7.3" "$(matched '6.12+deb13 6.12 7.3' "${all[@]}")"
is "from 6.2 to 6.12" "6.2 6.9 6.11 6.12" "$(matched '6.2 6.12' "${all[@]}")"
is "from 6.12 to 8.2" "6.12 6.13 6.19 6.20 7.0 7.3 7.4 7.19 8.0 8.2" "$(matched '6.12 7.3 8.2' "${all[@]}")"
is "7.3 alone" "7.3" "$(matched '7.3' "${all[@]}")"
cp -r "$top"/{Makefile,packaging} "$work/tree/"
rm "$work/tree/KERNELS"
make -s -C "$work/tree" install-dkms DESTDIR="$work/none" >"$work/out" 2>&1
is "without KERNELS there is no dkms.conf, which would be one for all kernels" "2 " \
	"$? $(ls "$work"/none/usr/src/*/dkms.conf 2>/dev/null)"

# The module is not built for others, unless it is told to.
built_for() {	# VERSION [WORD]
	mkdir -p "$work/for/linux"
	awk -F. '{ print "#define KERNEL_VERSION(a, b, c) (((a) << 16) + ((b) << 8) + (c))"
		print "#define LINUX_VERSION_CODE KERNEL_VERSION(" $1 "," $2 "," $3 + 0 ")" }' \
		<<<"$1" >"$work/for/linux/version.h"
	gcc -E -x c -I "$work/for" ${2:+-D "$2"} "$top/host/compat/kernels.h" 2>&1 >/dev/null |
		grep -m 1 -oE 'lguest knows.*TRY_ANYWAY=1'
}
range="$(known FIRST) to $(known LAST)"
refusal="lguest knows Linux $range and not this kernel; take one of those, or try it with make TRY_ANYWAY=1"
for version in "$(known FIRST).0" "$(known FIRST).300" "$(known LAST).0" "$(known LAST).99"; do
	is "the module is built for $version" "" "$(built_for "$version")"
done
last=$(known LAST)
for version in 5.10.9 6.0.19 "${last%.*}.$((${last#*.} + 1)).0" 99.0.0; do
	is "... not for $version" "$refusal" "$(built_for "$version")"
	is "... but when told to" "" "$(built_for "$version" LG_TRY_ANYWAY)"
done
is "... and says so when it is loaded" "#define LG_KNOWN_KERNELS	\"$range\"" \
	"$(grep LG_KNOWN_KERNELS "$top/host/compat/kernels.h" | head -n 1)"

# One of the future: its number is in the header, in words.
kernel=$("$top/lab/fetch-kernel")
release=${kernel##*/}
future=9.${release#*.}
sed "s/${release//./[.]} /$future /" "$kernel/boot/vmlinuz-$release" >"$work/vmlinuz"
"$top/launcher/lguest" link -o "$work/linked" "$work/vmlinuz" 2>"$work/err"
is "a kernel of the future is refused" 1 $?
is "... with which are known" "lguest: linking $work/vmlinuz: it is Linux $future, and this lguest knows Linux $(known FIRST) to $(known LAST); take one of those, or try it with --try-anyway" "$(cat "$work/err")"
"$top/launcher/lguest" link --try-anyway -o "$work/linked" "$work/vmlinuz" 2>"$work/err"
is "... or tried anyway: then it is the layer that is missing" 1 \
	"$(grep -c "there is no guest layer for Linux $future" "$work/err")"

said=$(DEBIAN_KEYRING=$work/none "$top/lab/apt" bookworm true 2>&1)
is "without Debian's keys nothing is fetched, and a sentence says so" "126 lab: $work/none is missing: install debian-archive-keyring, or name it in DEBIAN_KEYRING" \
	"$? $said"

# What apt leaves of a download that was cut off is not taken for a package.
mkdir -p "$work/tree/build" "$work/bin"
cp "$top/KERNELS" "$work/tree/"
cat >"$work/bin/apt-get" <<'END'
#!/bin/sh
case " $* " in *" download "*) echo half >cut-off_1_amd64.deb; exit 100 ;; esac
END
chmod +x "$work/bin/apt-get"
for try in first second; do
	PATH=$work/bin:$PATH "$work/tree/lab/fetch-package" -s bookworm cut-off >"$work/out" 2>/dev/null
	is "a download that was cut off is no package, the $try time" "126 " "$? $(cat "$work/out")"
done

# Packages of one name are each suite's own; what was put there by hand is everybody's.
fetched() { PATH=$work/bin:$PATH "$work/tree/lab/fetch-package" -s "$1" "$2" 2>/dev/null; }
debs=$work/tree/build/debs
mkdir -p "$debs/trixie"
touch "$debs/trixie/other_1_amd64.deb" "$debs/trixie/other_1.10_amd64.deb" "$debs/mine_1_amd64.deb"
is "a package of another suite is not taken" "126 " "$(fetched bookworm other; echo "$? ")"
is "... for that suite it is, the newest" "$debs/trixie/other_1.10_amd64.deb" "$(fetched trixie-security other)"
is "what was put there by hand is taken" "$debs/mine_1_amd64.deb $debs/mine_1_amd64.deb" \
	"$(fetched bookworm mine) $(fetched trixie mine)"
cat >"$work/bin/apt-cache" <<'END'
#!/bin/sh
exit 1
END
sed -i 's,^case,exit 100\n&,' "$work/bin/apt-get"
chmod +x "$work/bin/apt-cache"
rm -r "$work/tree/build/apt"
said=$(PATH=$work/bin:$PATH "$work/tree/lab/fetch-kernel" 7.3 2>&1)
is "offline it is the list that is missing, and not a kernel" \
	"126 lab: no list of the packages of trixie could be had from ${DEBIAN_MIRROR:-http://deb.debian.org/debian} (DEBIAN_MIRROR)" \
	"$? $said"

# The machine's own is there once, and not a second time in the tree.
is "a root of another suite is empty from within" "" \
	"$("$top/lab/suite" bookworm -- find "$top/build/roots/bookworm/"{proc,dev} -mindepth 1)"

# What would be installed on a machine that has nothing.
for suite in bookworm trixie; do
	# shellcheck disable=SC2046
	"$top/lab/apt" $suite apt-get -q -s install \
		$("$top/lab/install-packages" --list debug bochs) >"$work/installed" 2>&1
	is "lab/install-packages: $suite has its packages" 0 $?
	is "... and none of them brings a kernel" "" \
		"$(grep -E '^Inst linux-(image|binary|headers|modules)' "$work/installed")"
done
finish
