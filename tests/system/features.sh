#!/bin/bash
# What programs ask of a kernel that not every machine has: in a guest it works, as on the
# host, or it is refused with an error that a program can expect. Nothing is taken and
# then not done; and nothing that guest root asks for is the end of its kernel.
. "$(dirname "$0")/lib/lab.sh"
. "$lib/guest.sh"

mkdir "$work/in"
program "$(dirname "$0")/features.c" "$work/in/features" || { not_ok "features.c compiles"; finish; exit; }
program "$(dirname "$0")/flags.c" "$work/in/flags" || not_ok "flags.c compiles"
cp "$vmlinuz" "$work/in/vmlinuz"

# A module of the guest's kernel, with what ring 3 may not do.
mkdir "$work/module"
cp "$(dirname "$0")/privileged.c" "$work/module/"
echo "obj-m := privileged.o" >"$work/module/Kbuild"
headers=$("$top/lab/fetch-headers" "$release")
check "J6 a module of privileged instructions" "$top/lab/kbuild" "$headers" "$work/module"
cp "$work/module/privileged.ko" "$work/in/"

cat >"$work/in/refused" <<'END'
cd /mnt/share
./features guest
./features kexec vmlinuz
dmesg | grep -o 'lguest: .*kexec' | uniq
grep -o '[0-9]* bits virtual' /proc/cpuinfo
echo "states: $(cat /sys/power/state)"
for state in freeze mem standby disk; do
	echo $state 2>&1 >/sys/power/state | sed "s/.*:/$state:/"
done
END
cat >"$work/in/refusals" <<'END'
PR_SET_TSC: EINVAL
PR_GET_TSC: 0
mode of the TSC: 1
PR_SET_TSC back: 0
ioperm: ENOSYS
iopl: ENOSYS
cli: Segmentation fault
outb: Segmentation fault
modify_ldt: ENOSYS
pkey_alloc: ENOSPC
32-bit ioperm: ENOSYS
32-bit iopl: ENOSYS
32-bit modify_ldt: ENOSYS
debug register 0: ENOSPC
debug register 7: ENOSPC
breakpoint of perf: ENOSPC
kexec_load: ENOSYS
kexec_file_load: ENOSYS
lguest: a guest cannot go over to another kernel by kexec
48 bits virtual
states: 
freeze: Invalid argument
mem: Invalid argument
standby: Invalid argument
disk: Operation not permitted
END
# All of the kernel's functions are traced, and then not any more, and a probe set.
cat >"$work/in/trace" <<'END'
mount -t tracefs t /sys/kernel/tracing
cd /sys/kernel/tracing
for tracer in function function_graph nop; do
	echo $tracer >current_tracer
	[ $tracer = nop ] || [ "$(wc -l <trace)" -gt 100 ] || echo "$tracer traces nothing"
done
echo 'p:lg do_sys_openat2' >kprobe_events
echo 1 >events/kprobes/enable
cat /proc/version >/dev/null
grep -q 'lg:' trace || echo "the probe sees nothing"
echo 0 >events/kprobes/enable
echo >kprobe_events
dmesg | grep -iE 'stall|WARNING|BUG:|ftrace_bug'
echo end
END

# On the second CPU, whose number is not the guest's.
cat >"$work/in/common" <<'END'
in_a_guest() { taskset 2 lguest run -v $kernel --share /lab/in,ro -- sh -c "cd /mnt/share; $1"; }

works_or_is_refused() {
	in/features same >/tmp/host
	in_a_guest './features same' >/tmp/guest 2>/tmp/err
	is "L11 J12 table registers, signal frames, CPU number, bad pointers: as on the host" "" \
		"$(diff /tmp/host /tmp/guest)"
	is "L11 ... all of them" 8 "$(wc -l </tmp/guest)"
	hasnt "D1 nothing is said of faults that Linux expects" 'not emulated|no guest kernel' /tmp/err

	# What the host does not do right (QEMU, `extrq') the guest need not, either.
	in/flags | grep 'wrong$' >/tmp/wrong
	in_a_guest ./flags >/tmp/guest 2>/tmp/err
	is "J12 an instruction of each flag that is shown does what it should" "" \
		"$(grep -vE ' (right|kernel)$' /tmp/guest | grep -vxF -f /tmp/wrong)"
	between "J12 ... so many flags" 40 200 "$(grep -c ' right$' /tmp/guest)"
	show /tmp/err 5

	in_a_guest 'sh refused' >/tmp/guest 2>/tmp/err
	is "D1 J5 J15 what is refused, and how" "" "$(diff in/refusals /tmp/guest)"
	show /tmp/err 15
}
END

inside smp2 --smp 2 --with "$work/in" <<'END'
. in/common
works_or_is_refused

in_a_guest 'sh trace' >/tmp/guest 2>/tmp/err
is "J7 functions traced and not traced, a probe: no stall, no word of Linux's" end "$(cat /tmp/guest)"
# Each of 37,697 places, six times, in three steps: so a place is no visit.
between "J7 world switches of that" 1000 60000 "$(sed -n 's/^  world_switches //p' /tmp/err)"

in_a_guest 'insmod privileged.ko; dmesg | sed -n "s/^.* lg: //p"' >/tmp/guest 2>/tmp/err
is "D1 J6 what the kernel's own instructions give" "gdt 0x7f 1, idt 0x0 0x0
ldt 0x0 tr 0x0 cr0 0x33
0 0 1
ins ff ff ff ff ff 01 01 01, 5, 0
outs 8, 0
cr4 0x706f0 dr7 0x400 msr 0 0
no address 0" "$(cat /tmp/guest)"
hasnt "D1 nothing is said of those" 'not emulated|no guest kernel|Oops' /tmp/err
# The fault for want of a stack is a double one: Linux has a stack for that, and its report.
in_a_guest 'insmod privileged.ko last=stack; sleep 1; echo unharmed' >/tmp/guest 2>/tmp/err
is "F9 a kernel's stack overflows: the end of it" 120 $?
has "F9 ... by Linux's own report that its guard page was hit" "BUG: TASK stack guard page" /tmp/err
has "F9 ... and where" "deeper" /tmp/err
for last in cli hlt cr3:"mov to cr"; do
	kernel="-p oops=panic" in_a_guest "insmod privileged.ko last=${last%%:*}; echo unharmed" >/tmp/guest 2>/tmp/err
	is "D1 ${last%%:*}: the end of it" 120 $?
	has "D1 ... where, and of what" \
		"no guest kernel can use \`${last#*:}', as that at (init_module|begin|here_is_cli)" /tmp/err
done
check "L11 nothing is left" no_guest_left
END

guest_layer 7.3
inside "$release" --smp 2 --guests "$guests" --with "$work/in" <<'END'
kernel="-k $(ls -d /boot/vmlinuz-7.3*cloud*)"
. in/common
works_or_is_refused
END
finish
