#!/bin/bash
# J3: each operation of the kernel's table that is the layer's is reached: a debugger sets a
# breakpoint on each when the kernel starts, a boot and a program's work pass by, and those
# that are left over are the ones that nothing in such a guest calls.
. "$(dirname "$0")/lib/lab.sh"

gdb=$("$top/lab/fetch-program" gdb-minimal) || { not_ok "gdb-minimal is fetched"; finish; exit; }
ln -s "$gdb" "$work/gdb"
mkdir "$work/shared" "$work/module"
gcc -m32 -nostdlib -static -ffreestanding -fno-pic -no-pie -fno-stack-protector -mno-sse \
	-fcf-protection=none -O1 -o "$work/shared/ia32" "$(dirname "$0")/ia32.c" ||
	{ not_ok "ia32.c compiles"; finish; exit; }

cat >"$work/steps.c" <<'E'
#include <signal.h>
static volatile int steps;
static void step(int n) { steps += n == SIGTRAP; }
/* Some instructions with the trap flag set. */
int main(void)
{
	signal(SIGTRAP, step);
	asm volatile("pushf; orl $0x100, (%rsp); popf; nop; nop; pushf; andl $~0x100, (%rsp); popf");
	return steps < 3;
}
E
program "$work/steps.c" "$work/shared/steps" || { not_ok "steps.c compiles"; finish; exit; }

# Where in the kernel's table each is, as its headers say.
names=$(sed -n 's/^	*pv_ops\.\([a-z_0-9.]*\) = lguest_.*/\1/p
	s/.*pv_ops\.\(cpu\.[a-z]*_msr[a-z_]*\).*/\1/p' "$top"/guest/*.c "$top/guest/compat/msr_ops.h" | sort -u)
{
	printf '#include <linux/module.h>\n#include <asm/paravirt.h>\n'
	printf 'MODULE_LICENSE("GPL");\n'
	printf '#define OP(n) { #n, offsetof(struct paravirt_patch_template, n) }\n'
	printf 'const struct { char name[56]; unsigned long at; } ops[] __section("layer_ops") = {\n'
	for name in $names; do printf '\tOP(%s),\n' "$name"; done
	printf '};\n'
} >"$work/module/ops.c"
echo "obj-m := ops.o" >"$work/module/Kbuild"
headers=$("$top/lab/fetch-headers" "$release")
check "J3 the kernel's headers have each" "$top/lab/compiler" "$headers" \
	make -s -C "$headers" M="$work/module" modules
objcopy -O binary -j layer_ops "$work/module/ops.ko" "$work/ops.bin"
perl -e 'local $/; $_ = <>; printf "%s %d\n", unpack("Z56 Q", $1) while /(.{64})/gs' "$work/ops.bin" >"$work/ops"
is "J3 ... and says where it is" "$(wc -w <<<"$names")" "$(wc -l <"$work/ops")"

inside "gdb" --memory 1G --with "$work/gdb" --with "$work/shared" --with "$work/ops" <<'END'
lguest link --debug-file /tmp/kernel /boot/vmlinuz-*
lguest run --time-limit 200 --gdb /tmp/door --share shared,ro -- sh -c '
	/mnt/share/ia32 >/tmp/out && /mnt/share/steps && for i in 1 2 3; do seq 2000 | md5sum >/dev/null; done; sleep 1; echo done' \
	>/tmp/out 2>/tmp/err </dev/null &
pid=$!
wait_for 20 test -S /tmp/door
{
	printf 'set pagination off\nset confirm off\ntarget remote /tmp/door\nbreak start_kernel\ncontinue\ndelete\n'
	while read -r name at; do
		echo "tbreak *(*(long *)((char *)&pv_ops + $at))"
		echo "printf \"op $name %d\\n\", \$bpnum"
	done <ops
	printf 'while 1\ncontinue\nend\n'
} >/tmp/commands
timeout 250 gdb/lib/ld-linux-x86-64.so.2 --library-path gdb/lib gdb/bin/gdb -nx -q -batch \
	-ex 'source /tmp/commands' -ex 'echo left over\n' -ex 'info breakpoints' /tmp/kernel >/tmp/gdb 2>&1
wait $pid
is "J3 the guest does its work and ends well" "0 done" "$? $(cat /tmp/out)"
is "J3 a breakpoint for each" "$(wc -l <ops)" "$(grep -c '^op ' /tmp/gdb)"
sed '1,/^left over/d' /tmp/gdb | awk '$2 == "breakpoint" { print $1 }' >/tmp/left
left=$(while read -r n; do awk -v n="$n" '$1 == "op" && $3 == n { print $2 }' /tmp/gdb; done </tmp/left)
# Counters of events, which a guest has none of; and what only KVM, CPUs that are taken
# offline, and handlers of NMIs use.
is "J3 each is reached, but for those that nothing in such a guest calls" \
	"cpu.read_pmc cpu.store_tr irq.halt mmu.flush_tlb_multi mmu.write_cr2" "$(echo $left)"
show /tmp/gdb 12

# J9: a kernel that is led astray before it has a console driver has said all the same.
lguest run </dev/null >/tmp/good 2>/tmp/err
lguest run --gdb /tmp/door </dev/null >/tmp/broken 2>/tmp/err &
pid=$!
wait_for 20 test -S /tmp/door
cat >/tmp/commands <<'X'
set pagination off
set confirm off
target remote /tmp/door
break trap_init
continue
delete
set $rdi = (long)&linux_banner
set $rip = (long)&panic
continue
X
timeout 100 gdb/lib/ld-linux-x86-64.so.2 --library-path gdb/lib gdb/bin/gdb -nx -q -batch \
	-x /tmp/commands /tmp/kernel >/tmp/gdb 2>&1
wait $pid
is "J9 a kernel that ends before its console driver: status 120" 120 $?
show /tmp/err
hasnt "J9 ... before that, indeed" 'console \[hvc0\] enabled' /tmp/broken
# But for times, and for what is another each time.
plain() { tr -d '\r' <$1 | sed -n 's/^\[[^]]*\] //p' | sed 's/random:.*//; s/[0-9.]*MHz//'; }
plain /tmp/broken | sed '/Kernel panic/,$d' >/tmp/said
is "J9 ... what it had to say came, all of it and in order" "$(plain /tmp/good | head -n $(wc -l </tmp/said))" "$(cat /tmp/said)"
between "J9 ... some lines" 40 200 "$(wc -l </tmp/said)"
has "J9 ... down to its last words" 'Kernel panic - not syncing: Linux version' /tmp/broken
END
finish
