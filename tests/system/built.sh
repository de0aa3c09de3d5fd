#!/bin/bash
# Is each of the kernel's remedies against speculation in lg.ko, for each kernel that
# can be a host? The source cannot tell: an option of the kernel that got another name
# leaves nothing behind. So this looks at the code that was built; mitigations.sh looks
# what of it is run. And whatever the preprocessor is asked for in the sources, an option
# or another name of the kernel's, has to be one that this kernel knows.
. "$(dirname "$0")/../ktap.sh"
top=$(cd "$(dirname "$0")/../.." && pwd)

# The kernel's name; how often what must be found: in switch_worlds, as it is (text) or
# as a piece that replaces some of it (patch); in the Switcher (switcher); as a symbol that
# is used (symbol), or one of the last two (either); or the feature in the list of what is
# patched for it (feature).
remedies='
KERNEL_IBRS		2 text		wrmsr
RSB_VMEXIT		2 patch		add +\$0x10,%rsp
UNRET			1 patch		entry_untrain_ret|zen_untrain_ret
SRSO_ALIAS		1 patch		srso_alias_untrain_ret
ENTRY_IBPB		1 patch		entry_ibpb|write_ibpb
CLEAR_BHB_LOOP		1 patch		clear_bhb_loop
CLEAR_CPU_BUF		1 switcher	verw
IBPB_EXIT_TO_USER	1 symbol	x86_ibpb_exit_to_user
DIV0			1 either	(U amd_clear_divider$|	div )
IBPB_ON_VMEXIT		1 feature
CLEAR_BHB_(LOOP_ON_)?VMEXIT	1 feature
'

look() {	# WHERE: what it has, one item a line
	case $1 in
	text) objdump -dr --no-show-raw-insn "$ko" |
		awk '/^[0-9a-f]+ <switch_worlds>:/ { p = 1 } /<raise_vector_stubs>:/ { p = 0 } p' ;;
	patch) objdump -dr --no-show-raw-insn -j .altinstr_replacement "$ko" ;;
	switcher) objdump -D --no-show-raw-insn -j .rodata.switcher "$object" ;;
	symbol) nm "$ko" ;;
	either) look patch; look symbol ;;
	feature) objcopy -O binary -j .altinstructions "$ko" "$work/patched" &&
		perl -0777 -ne 'for (my $i = 0; $i < length; $i += '"$entry"') {
			print unpack("v", substr($_, $i + 8, 2)), "\n" }' "$work/patched" ;;
	esac
}

number_of() {	# FEATURE
	echo $(($(grep -wE "#define X86_FEATURE_$1" "$common/arch/x86/include/asm/cpufeatures.h" |
		grep -oE '[0-9]+ ?[*] ?32 ?[+] ?[0-9]+')))
}

look_all() {	# NAME FOLDER-OF-lg.ko FOLDER-OF-OBJECTS HEADERS
	local name want where what
	ko=$2/lg.ko object=$3/switcher.o
	common=$(sed -n 's,^include \(.*\)/Makefile$,\1,p' "$4/Makefile")
	entry=12	# bytes of a struct alt_instr
	! grep -q ft_flags "$common/arch/x86/include/asm/alternative.h" || entry=14
	while read -r name want where what; do
		[ "$name" ] || continue
		check "$1: $name is a feature's name" \
			grep -qwE "X86_(FEATURE|BUG)_$name" "$common/arch/x86/include/asm/cpufeatures.h"
		[ "$where" != feature ] || what="^$(number_of "$name")\$"
		check "$1: $name" test "$(look "$where" | grep -cE "($what)")" -ge "$want"
	done <<<"$remedies"
	look_at_ours "$1"
	is "$1: options that the sources ask for and this kernel does not know" "" \
		"$(unknown_options "${1%%-*}" "$4/.config")"
	is "$1: names that it has and should not, or the other way round" "" \
		"$(wrong_names "${1%%-*}" "$common")"
}

# The two functions of the kernel's that it may have for itself: then they are ours. The
# first returns inside the second begin the upper half of a cache line (ITS).
look_at_ours() {	# NAME
	local code
	nm "$ko" | grep -q ' T write_ibpb$' || return 0
	code=$(objdump -d --no-show-raw-insn --disassemble=write_ibpb "$ko")
	check "$1: our own barrier (IBPB) writes the MSR" grep -q wrmsr <<<"$code"
	check "$1: ... 1 to register 0x49" grep -zqE '\$0x49,%ecx.*\$0x1,%eax.*wrmsr' <<<"$code"
	code=$(objdump -dr --no-show-raw-insn --disassemble=clear_bhb_loop "$ko")
	is "$1: our own clear_bhb_loop has its jumps, calls and fence" "2 2 2 1" \
		"$(for what in 'mov .*\$0x5,' 'call ' 'jn[ez] ' lfence; do
			grep -cE "$what" <<<"$code"; done | xargs)"
	is "$1: ... and its returns where they are fast" "20 20" \
		"$(grep -B1 __x86_return_thunk <<<"$code" | awk -F: '/jmp/ { print $1 }' | head -n 2 |
			while read -r at; do printf '%x ' $((0x$at & 0x3f)); done | xargs)"
	check "$1: ... as its section is aligned to such lines" \
		grep -qE '\.noinstr\.text.* 2\*\*[6-9]' <<<"$(objdump -h "$ko")"
}

# Names that not every kernel has: since, and until before.
comings='
CONFIG_CALL_PADDING		6.2	-
X86_FEATURE_USER_SHSTK		6.6	-
X86_FEATURE_INVLPGB		6.15	-
X86_FEATURE_USE_IBPB		-	6.15
X86_FEATURE_IBPB_EXIT_TO_USER	-	-
X86_FEATURE_CLEAR_CPU_BUF_VM	-	-
_TIF_NEED_RESCHED_LAZY		6.13	-
X86_FEATURE_SYSFAST32		7.0	-
'
sources=$(find "$top"/host "$top"/include "$top"/guest '(' -name '*.[chS]' -o -name Kbuild ')' ! -name '*.mod.c')

# VERSION < OTHER, of Linux
before() { [ "$1" != "$2" ] && [ "$(printf '%s\n' "$1" "$2" | sort -V | head -n 1)" = "$1" ]; }

has_come() {	# NAME VERSION: by the table
	local name since until
	while read -r name since until; do
		[ "$name" = "$1" ] || continue
		[ "$since" = - ] || ! before "$2" "$since" || return 1
		[ "$until" = - ] || before "$2" "$until" || return 1
	done <<<"$comings"
}

# One that is off is in .config, too, as "not set", or if it cannot be on then in some
# header. Of several in one line, all of them names of the same thing, one will do.
unknown_options() {	# VERSION CONFIG
	local line
	# shellcheck disable=SC2086
	grep -hE '\bCONFIG_' $sources | while read -r line; do
		line=$(grep -oE '\bCONFIG_[A-Z0-9_]+' <<<"$line")
		grep -qxE "(# )?(${line//$'\n'/|})(=.*| is not set)" "$2" && continue
		grep -rqwE "(${line//$'\n'/|})" "$common/include" && continue
		has_come "$line" "$1" && echo "$line"
	done
}

# What an #ifdef asks for, if it is not our own.
wrong_names() {	# VERSION HEADERS
	local name
	# shellcheck disable=SC2086
	grep -hE '^\s*#\s*(if|elif)' $sources | grep -oE '\b(X86_(FEATURE|BUG)|_?TIF|MSR)_\w+' | sort -u |
	while read -r name; do
		grep -q "^$name\b" <<<"$comings" || echo "$name is not in this test's table"
		if grep -rqE "define\s+$name\b" "$2/arch/x86/include" "$2/include"; then
			has_come "$name" "$1" || echo "$name is there"
		else
			has_come "$name" "$1" && echo "$name is not there"
		fi
	done
}

# What a kernel's list of exports makes of lg.ko: of the functions that it may have for KVM's
# modules (7.x), or, with KVM built in or off, for itself alone.
ours_with() {	# LINE OF Module.symvers
	printf '0x0\tkernel_fpu_begin_mask\tvmlinux\tEXPORT_SYMBOL_GPL\t\n%b' "$1" >"$work/Module.symvers"
	printf 'include %s\nall: ; @echo $(filter %%KVM_ONLY,$(ccflags-y)) $(filter compat/%%,$(lg-y))\n' \
		"$top/host/Kbuild" | make -s -f - objtree="$work" srctree="$work" src="$top/host"
}
ours="-DLG_KVM_ONLY compat/barriers.o compat/async_fault.o"
is "6.1's exports: nothing is ours" "" "$(ours_with '0x50b42ba1\tentry_ibpb\tvmlinux\tEXPORT_SYMBOL_GPL\t\n')"
is "6.15's: nothing" "" "$(ours_with '0x0\twrite_ibpb\tvmlinux\tEXPORT_SYMBOL_GPL\t\n')"
is "7.x's for KVM's modules: they are ours" "$ours" \
	"$(ours_with '0x0\twrite_ibpb\tvmlinux\tEXPORT_SYMBOL_GPL\tmodule:kvm,kvm-amd,kvm-intel\n')"
is "7.x's without KVM's modules: ours" "$ours" "$(ours_with '')"

release=$(modinfo -F vermagic "$top/host/lg.ko" | cut -d' ' -f1)
look_all "$release" "$top/host" "$top/host" "$("$top/lab/fetch-headers" "$release")"
for version in 6.12 7.3; do
	dir=$("$top/lab/stock-host" "$version") || { not_ok "lg.ko for $version"; continue; }
	release=${dir##*/}
	look_all "$release" "$dir" "$dir/module/host" "$("$top/lab/fetch-headers" "$release")"
done
finish
