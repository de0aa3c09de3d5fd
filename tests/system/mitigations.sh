#!/bin/bash
# What the world switch does against speculation is chosen when the module is
# loaded, for the CPU at hand. Emulators have no leak to show, but they run the
# code, and log what they run: on a CPU that the kernel itself has a remedy for
# (the return thunks of Zen), and with a module that thinks it needs everything.
# The tiny guests must not notice.
. "$(dirname "$0")/../ktap.sh"
top=$(cd "$(dirname "$0")/../.." && pwd)

cat > "$work/inside.sh" <<'END'
[ ! -d forced ] || { rmmod lg && insmod forced/lg.ko || exit 1; }
grep -wE 'switch_worlds|raise_vector_stubs|forget_predictions|separate_predictions|init_predictions|entry_untrain_ret|entry_ibpb|write_ibpb|clear_bhb_loop' /proc/kallsyms
dmesg | grep RETBleed
exec ./micro/run "$@"
END

# What was run of switch_worlds: its calls, fences and writes to MSRs.
way_back() {
	awk 'FNR == NR { if (NF >= 3) name["0x" $1] = $3; at[$3] = "0x" $1 ":"; next }
		$1 >= at["switch_worlds"] && $1 < at["raise_vector_stubs"] &&
		/callq|lfence|wrmsr/ { seen[$1 " " (/callq/ ? "callq " \
			($NF in name ? name[$NF] : $NF) : $NF)] = 1 }
		END { for (line in seen) print line }' "$work/out" "$work/log" | sort
}

# How many writes to MSRs were run between the beginnings of two functions.
msr_writes() {	# FUNCTION NEXT-FUNCTION
	awk -v from="$1" -v to="$2" '
		FNR == NR { at[$3] = "0x" $1 ":"; next }
		$1 >= at[from] && $1 < at[to] && /wrmsr/ { seen[$1] = 1 }
		END { for (line in seen) n++; print n + 0 }' "$work/out" "$work/log"
}

run() {		# NAME TESTS...: in the lab, with what it ran in $work/ran
	local name=$1
	shift
	"$LAB" --cpu EPYC "${host[@]}" --timeout 200 --qemu-arg -d --qemu-arg in_asm \
		--qemu-arg -dfilter --qemu-arg 0xffffffffc0000000+0x3f000000 \
		--qemu-arg -D --qemu-arg "$work/log" --with "$work/micro" \
		--with "$work/inside.sh" "${with[@]}" -- sh inside.sh "$@" > "$work/out" 2>&1
	is "$name: tiny guests pass" 0 $?
	sed 's/^/# /' "$work/out"
	way_back > "$work/ran"
	sed 's/^/# /' "$work/ran"
}

make -s -C "$top/tests/micro" O="$work/micro" >&2 || exit 1
with=() host=()
run "a Zen CPU" "system calls" "1000 loads"
check "a Zen CPU: the kernel untrains its return predictions" \
	grep -q 'RETBleed: Mitigation: untrained return thunk' "$work/out"
check "a Zen CPU: ... and so do we" grep -q 'callq entry_untrain_ret' "$work/ran"
check "a Zen CPU: the return stack is filled" grep -q lfence "$work/ran"
is "a Zen CPU without IBPB: none" "0 0" "$(msr_writes forget_predictions separate_predictions) \
$(msr_writes separate_predictions init_predictions)"
is "a Zen CPU: nothing else is done" "" \
	"$(grep -E 'wrmsr|entry_ibpb|clear_bhb_loop' "$work/ran")"

# Each feature that decides about something becomes one that is always there.
mkdir -p "$work/all" "$work/forced"
cp -r "$top/host" "$top/include" "$work/all"
{
	echo '#include <asm/cpufeatures.h>'
	for feature in RSB_VMEXIT KERNEL_IBRS UNRET IBPB_ON_VMEXIT CLEAR_BHB_LOOP_ON_VMEXIT \
			CLEAR_BHB_VMEXIT USE_IBPB IBPB CLEAR_CPU_BUF_VM; do
		echo "#undef X86_FEATURE_$feature"
		echo "#define X86_FEATURE_$feature X86_FEATURE_ALWAYS"
	done
} > "$work/all/force.h"
kdir=$("$top/lab/fetch-headers" "$(modinfo -F vermagic "$top/host/lg.ko" | cut -d' ' -f1)")
make -s -C "$kdir" M="$work/all/host" clean >&2 || exit 1
"$top/lab/kbuild" "$kdir" "$work/all/host" KAFLAGS="-include $work/all/force.h" \
	KCFLAGS="-include $work/all/force.h" > "$work/build.log" 2>&1
is "all forced on: the module builds" 0 $?
mv "$work/all/host/lg.ko" "$work/forced"

with=(--with "$work/forced")
run "all forced on" traps.c privileged.c frames.c direct
for target in entry_untrain_ret entry_ibpb clear_bhb_loop; do
	check "all forced on: $target" grep -q "callq $target" "$work/ran"
done
# The first test's guests run one after the other, on one CPU.
is "all forced on: a barrier (IBPB) before user space runs again" 1 \
	"$(msr_writes forget_predictions separate_predictions)"
is "all forced on: ... and between two guests" 1 \
	"$(msr_writes separate_predictions init_predictions)"
is "all forced on: IBRS off on the way in, on on the way out" 2 \
	"$(grep -c ' wrmsr' "$work/ran")"

# On 7.x two of these functions are our own (host/compat/barriers.S).
dir=$("$top/lab/stock-host" 7.3)
"$top/lab/build-module" "$work/new" "$("$top/lab/fetch-headers" "${dir##*/}")" \
	KAFLAGS="-include $work/all/force.h" KCFLAGS="-include $work/all/force.h" >&2
is "all forced on, 7.3: the module builds" 0 $?
cp "$work/new/lg.ko" "$work/forced"
host=(--host 7.3)
run "all forced on, 7.3" traps.c privileged.c frames.c direct
for target in entry_untrain_ret write_ibpb clear_bhb_loop; do
	check "all forced on, 7.3: $target" grep -q "callq $target" "$work/ran"
	[ $target = entry_untrain_ret ] || check "all forced on, 7.3: ... of our own" \
		grep -qw "$target.*\[lg\]" "$work/out"
done
is "all forced on, 7.3: IBRS off on the way in, on on the way out" 2 \
	"$(grep -c ' wrmsr' "$work/ran")"
finish
