#!/bin/bash
# What the world switch does against speculation on CPUs that need it is chosen
# when the module is loaded. Emulators show no leak, but they run the code: here
# is a module that thinks it needs all of it, and one on a CPU that really does
# (the return thunks of Zen). The tiny guests must not notice.
. "$(dirname "$0")/../ktap.sh"
top=$(cd "$(dirname "$0")/../.." && pwd)

# Each feature that decides about something becomes one that is always there.
mkdir -p "$work/all" && cp -r "$top/host" "$top/include" "$work/all"
{
	echo '#include <asm/cpufeatures.h>'
	for feature in RSB_VMEXIT KERNEL_IBRS UNRET ENTRY_IBPB CLEAR_BHB_LOOP \
			USE_IBPB CLEAR_CPU_BUF; do
		echo "#undef X86_FEATURE_$feature"
		echo "#define X86_FEATURE_$feature X86_FEATURE_ALWAYS"
	done
} > "$work/all/force.h"
kdir=/usr/src/linux-headers-$(modinfo -F vermagic "$top/host/lg.ko" | cut -d' ' -f1)
make -s -C "$kdir" M="$work/all/host" clean >&2 || exit 1
make -s -C "$kdir" M="$work/all/host" KAFLAGS="-include $work/all/force.h" \
	KCFLAGS="-include $work/all/force.h" modules > "$work/build.log" 2>&1
is "a module with every mitigation forced on builds" 0 $?
mkdir "$work/forced" && cp "$work/all/host/lg.ko" "$work/forced"
make -s -C "$top/tests/micro" O="$work/micro" >&2 || exit 1

cat > "$work/inside.sh" <<'END'
grep -o 'retbleed: .*\|Spectre V2 : .*' /proc/vmstat /dev/null
dmesg | grep -E 'RETBleed|Spectre V2|Speculative Return'
echo "--- CPU"
./micro/run abi traps direct state && echo "CPU: passed"
echo "--- forced"
rmmod lg && insmod forced/lg.ko && ./micro/run abi traps direct state &&
	echo "forced: passed"
END
"$LAB" --cpu EPYC --timeout 200 --with "$work/forced" --with "$work/micro" \
	--with "$work/inside.sh" -- sh inside.sh > "$work/out" 2>&1
is "the lab is content" 0 $?
sed 's/^/# /' "$work/out"
check "the CPU is one whose return predictions need to be untrained" \
	grep -q 'RETBleed: Mitigation: untrained return thunk' "$work/out"
check "tiny guests pass on it" grep -q '^CPU: passed' "$work/out"
check "tiny guests pass with every mitigation forced on" \
	grep -q '^forced: passed' "$work/out"
finish
