#!/bin/bash
# Loading lg.ko while each of the allocations that this takes fails in turn.
. "$(dirname "$0")/../system/lib/lab.sh"
program "$top/tests/debug/load.c" "$work/load"

# The kernel's own loader complains where it finds no memory for a module: with a
# backtrace, and at two places (jump labels, trace events) with a WARNING. So its
# words stay out of the log that is judged while that lasts, and are judged here.
inside "allocations fail" --smp 2 --timeout 900 --with "$work/load" <<'END'
module=/lib/modules/lg.ko
cd /sys/kernel/debug
for attribute in failslab fail_page_alloc; do
	echo N >$attribute/ignore-gfp-wait
	echo 0 >$attribute/verbose
done
echo N >fail_page_alloc/ignore-gfp-highmem
echo 0 >fail_page_alloc/min-order
echo 0 >fail_usercopy/verbose
cd /lab
rmmod lg
read -r levels </proc/sys/kernel/printk
echo 1 >/proc/sys/kernel/printk
echo 0 >/proc/sys/kernel/panic_on_warn
dmesg -c >/dev/null
echo "module.sh: begins" >/dev/kmsg
./load $module >/tmp/out 2>&1
is "A11 A2 loading with each allocation failing in turn: ENOMEM, or it works" 0 $?
cat /tmp/out
dmesg >/tmp/dmesg
echo "$levels" >/proc/sys/kernel/printk
echo 1 >/proc/sys/kernel/panic_on_warn
has "A11 ... the kernel's log of it is whole" 'module.sh: begins' /tmp/dmesg
is "A11 ... and has no complaint of the kernel's checkers" "" \
	"$(grep -E 'WARNING|BUG|KASAN|UBSAN|Oops|suspected memory leak' /tmp/dmesg |
		grep -vE 'at kernel/(jump_label|trace/trace_events).c')"
has "A11 open() at the same time never sees a half-ready module" 'open\(\) beside it: fine' /tmp/out
between "A11 ... in which the module's own steps are among those that fail" 20 10000 \
	"$(sed -n 's/^.*not loaded \([0-9]*\) times.*/\1/p' /tmp/out)"
is "A11 nothing is left: the device" "" "$(ls /dev/lguest 2>/dev/null)"
is "A11 nothing is left: debugfs" "" "$(ls -d /sys/kernel/debug/lguest 2>/dev/null)"
check "A11 it loads for real afterwards" insmod $module
lguest run -- true
is "A11 ... and runs a guest" 0 $?
END
finish
