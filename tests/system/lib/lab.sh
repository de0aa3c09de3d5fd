# tests/system/lib/lab.sh: sourced by the scripts in tests/system.
#
# A script describes what shall happen on the host as a here-document, and
# `inside` runs all of it in one lab, because booting one costs seconds:
#
#	inside max --cpu max <<'END'
#	is "I3 power-off has status 0" 0 $status
#	END
#
# The words of such a script are those of lib/inside.sh. Their results come
# back on stdout and are numbered here; each name begins with the rows of
# docs/ACCEPTANCE.md it is evidence for.
. "$(dirname "${BASH_SOURCE[0]}")/../../ktap.sh"
lib=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
top=$(cd "$lib/../../.." && pwd)

# The kernel that the lab's guests boot, as the lab finds it.
built=$(cd "$(dirname "$LAB")/.." && pwd)/build
layer=$(ls -d "$built"/layers/*/ 2>/dev/null | sort -V | tail -n 1)
release=$(basename "${layer:-none}")
vmlinuz=$built/kernels/$release/boot/vmlinuz-$release

# inside LABEL [LAB-OPTION...] <SCRIPT: the label is shown behind each name.
inside() {
	local label=$1 line status seen=0
	shift
	cat >"$work/script"
	: >"$work/status"
	while IFS= read -r line; do
		case $line in
		'@ok '*) ok "${line#@ok } [$label]"; seen=$((seen + 1)) ;;
		'@not ok '*) not_ok "${line#@not ok } [$label]"; seen=$((seen + 1)) ;;
		'@skip '*) skip "${line#@skip }" "on this lab ($label)"; seen=$((seen + 1)) ;;
		*) printf '# %s\n' "$line" ;;
		esac
	done < <("$LAB" --timeout 300 --with "$lib/inside.sh" --with "$work/script" "$@" -- \
		sh -c '. ./inside.sh; . ./script; finish_inside' </dev/null 2>"$work/err"; echo $? >"$work/status")
	wait $! 2>/dev/null
	status=$(cat "$work/status")
	if [ "$status" = 0 ] && [ $seen -gt 0 ]; then
		ok "A13 the host stayed well and the module went cleanly [$label]"
	else
		not_ok "A13 the host stayed well and the module went cleanly [$label]"
		echo "# the lab's status is $status, after $seen results"
		tail -n 60 "$work/err" | tr -d '\r' | sed 's/^/# /'
	fi
}

# another_guest RELEASE VMLINUZ: a layer for this kernel, and both linked, in $guests,
# for `inside --guests "$guests"`.
another_guest() {
	guests=$built/guest-$1
	mkdir -p "$guests"
	check "L13 a layer for $1" flock "$guests" \
		make -s -C "$top" layer GUEST_KVER="$1" build="$guests"
	check "L13 ... which links" env XDG_CACHE_HOME="$guests/cache" \
		LGUEST_LAYERS="$guests/layers" "$top/launcher/lguest" link "$2"
}

# program SOURCE OUTPUT: a static program for lab and guest alike.
program() {
	gcc -std=gnu11 -O1 -g0 -s -Wall -Wextra -static -pthread -o "$2" "$1" -lm
}

# stock_modules FOLDER RELEASE MODULE...: modules of a kernel that the lab has, each as its
# path below kernel/ without .ko, into FOLDER. Debian 13's are compressed.
stock_modules() {
	local folder=$1 from=$built/kernels/$2/lib/modules/$2/kernel module file
	shift 2
	for module in "$@"; do
		for file in "$from/$module".ko*; do
			case $file in
			*.xz) xz -dc "$file" ;;
			*.zst) zstd -dcq "$file" ;;
			*) cat "$file" ;;
			esac >"$folder/${module##*/}.ko" || not_ok "$file is there"
		done
	done
}

# initrd FOLDER FILE: FOLDER, with busybox, as an initrd whose /init it holds.
initrd() {
	mkdir -p "$1"/{bin,dev,proc,sys,tmp}
	cp "$(command -v busybox)" "$1/bin/busybox"
	ln -sf busybox "$1/bin/sh"
	chmod 755 "$1/init"
	(cd "$1" && find . -mindepth 1 -print0 | cpio --null --quiet -o -H newc -R 0:0) >"$2"
}
