#!/bin/bash
# Is each of the kernel's remedies against speculation in lg.ko, for each kernel that
# can be a host? The source cannot tell: an option of the kernel that got another name
# leaves nothing behind. So this looks at the code that was built. What the kernel
# knows, its header says; mitigations.sh looks what of it is run.
. "$(dirname "$0")/../ktap.sh"
top=$(cd "$(dirname "$0")/../.." && pwd)

# The kernel's name; how often what must be found: in switch_worlds, as it is (text) or
# as a piece that replaces some of it (patch); in the Switcher (switcher); or as a symbol
# that is used (symbol).
remedies='
KERNEL_IBRS		2 text		wrmsr
RSB_VMEXIT		2 patch		add +\$0x10,%rsp
UNRET			1 patch		entry_untrain_ret|zen_untrain_ret
SRSO_ALIAS		1 patch		srso_alias_untrain_ret
ENTRY_IBPB		1 patch		entry_ibpb|write_ibpb
CLEAR_BHB_LOOP		1 patch		clear_bhb_loop
CLEAR_CPU_BUF		1 switcher	verw
IBPB_EXIT_TO_USER	1 symbol	x86_ibpb_exit_to_user
'

look() {	# WHERE: what it has, one item a line
	case $1 in
	text) objdump -dr --no-show-raw-insn "$ko" |
		awk '/^[0-9a-f]+ <switch_worlds>:/ { p = 1 } /<raise_vector_stubs>:/ { p = 0 } p' ;;
	patch) objdump -dr --no-show-raw-insn -j .altinstr_replacement "$ko" ;;
	switcher) objdump -D --no-show-raw-insn -j .rodata.switcher "$object" ;;
	symbol) nm "$ko" ;;
	esac
}

look_all() {	# NAME FOLDER-OF-lg.ko FOLDER-OF-OBJECTS HEADERS
	local features name want where what
	ko=$2/lg.ko object=$3/switcher.o
	features=$(sed -n 's,^include \(.*\)/Makefile$,\1,p' "$4/Makefile")/arch/x86/include/asm/cpufeatures.h
	check "$1: the kernel's list of features is found" test -s "$features"
	while read -r name want where what; do
		[ "$name" ] || continue
		if ! grep -qw "X86_FEATURE_$name" "$features"; then
			skip "$1: $name" "this kernel has none"
			continue
		fi
		check "$1: $name" test "$(look "$where" | grep -cE "($what)")" -ge "$want"
	done <<<"$remedies"
}

release=$(modinfo -F vermagic "$top/host/lg.ko" | cut -d' ' -f1)
look_all "$release" "$top/host" "$top/host" "$("$top/lab/fetch-headers" "$release")"
for version in 6.12; do
	dir=$("$top/lab/stock-host" "$version") || { not_ok "lg.ko for $version"; continue; }
	release=${dir##*/}
	look_all "$release" "$dir" "$dir/module/host" "$("$top/lab/fetch-headers" "$release")"
done
finish
