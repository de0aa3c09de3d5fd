#!/bin/bash
# Linux's own tests of itself, in a guest: Debian's general kernel has them as modules.
# Code that is patched while it runs, copies from and to users that fault in their
# midst, programs that the kernel translates and runs.
. "$(dirname "$0")/lib/lab.sh"

kernel=$("$top/lab/fetch-kernel" general)
release=$(basename "$kernel")
another_guest "$release" "$kernel/boot/vmlinuz-$release"

mkdir "$work/in"
stock_modules "$work/in" "$release" lib/test_{static_key_base,static_keys,bpf} arch/x86/kernel/cpuid
# From 6.12 on this one is for KUnit, which Debian's kernels have not got.
copies="J4 F3 copies that fault"
if ls "$kernel/lib/modules/$release/kernel/lib"/test_user_copy.ko* >/dev/null 2>&1; then
	stock_modules "$work/in" "$release" lib/test_user_copy
else
	skip "$copies" "$release has no test_user_copy"
fi
cat >"$work/in/tests" <<'END'
cd /mnt/in
run() { insmod "$@"; echo "$*: $?"; rmmod "${1%.ko}" 2>/dev/null; }
insmod ./test_static_key_base.ko
run test_static_keys.ko
[ ! -e test_user_copy.ko ] || run test_user_copy.ko
run test_bpf.ko test_range=0,120
run test_bpf.ko test_suite=test_tail_calls
run test_bpf.ko test_suite=test_skb_segment
insmod cpuid.ko
echo "leaf: $(dd if=/dev/cpu/0/cpuid bs=16 count=1 iflag=skip_bytes skip=$((0x40000000)) 2>/dev/null |
	tr -dc a-z)"
dmesg
END

inside "$release" --timeout 200 --guests "$guests" --with "$work/in" <<END
lguest run -k /boot/vmlinuz-$release -m 512M --share /lab/in:in,ro -- sh /mnt/in/tests \
	>/tmp/out 2>/tmp/err
is "J4 the guest ends well" 0 \$?
show /tmp/err
show /tmp/out 12
for test in "J4 keys in patched code:test_static_keys.ko" \\
	"J4 121 programs for the packet filter:test_bpf.ko test_range=0,120" \\
	"J4 its tail calls:test_bpf.ko test_suite=test_tail_calls" \\
	"J4 its packets:test_bpf.ko test_suite=test_skb_segment"; do
	has "\${test%%:*}" "^\${test#*:}: 0\$" /tmp/out
done
has "J4 ... each of them says so" "test_bpf: Summary: 121 PASSED, 0 FAILED, .*JIT" /tmp/out
if [ -e in/test_user_copy.ko ]; then
	has "$copies" "^test_user_copy.ko: 0\$" /tmp/out
	has "J4 F3 ... they say so" "test_user_copy: tests passed" /tmp/out
fi
hasnt "J4 no warning in its log" "BUG:|WARNING:|Call Trace|FAIL\$" /tmp/out
is "J1 the CPUID leaf names lguest" lguest "\$(sed -n 's/^leaf: *@*//p' /tmp/out)"
END
finish
