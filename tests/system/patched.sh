#!/bin/bash
# J3 J7: what the stock kernel's paravirtual operations have become, in a running guest:
# which functions the table pv_ops has, and what is at each place that calls one. And what
# it makes of a split lock (the other kernels': lib/guest.sh).
. "$(dirname "$0")/lib/lab.sh"

program "$(dirname "$0")/patched.c" "$work/patched" || { not_ok "patched.c compiles"; finish; exit; }
program "$(dirname "$0")/trap.c" "$work/trap" || not_ok "trap.c compiles"
mkdir "$work/in"
cp "$work/patched" "$work/in/"
# A module with such places, and without others that it needs.
stock_modules "$work/in" "$release" net/core/drop_monitor

inside "one CPU" --with "$work/in" --with "$work/trap" <<'END'
cp "$(lguest link /boot/vmlinuz-*-cloud-amd64)" in/kernel.elf
lguest run --share /lab/in,ro -- sh -c 'cd /mnt/share
	insmod drop_monitor.ko
	./patched -t
	./patched kernel.elf' >/tmp/out 2>/tmp/err
is "J7 the program runs" 0 $?
show /tmp/err
# Natively: what writes to memory only, and what ends as a call to the layer.
harmless='write_ldt_entry|write_gdt_entry|flush_tlb_multi|tlb_remove_table|set_(pte|pmd|pud|p4d|pgd|fixmap)|queued_spin_lock_slowpath'
between "J3 operations of the table" 75 100 "$(grep -c '^op ' /tmp/out)"
between "J3 ... those that are the layer's" 30 60 "$(grep -c '^op [0-9]* ?$' /tmp/out)"
is "J3 ... those that are native, but do more than write to memory" "" \
	"$(grep -E '^op [0-9]* (native|pv_native|xen)_' /tmp/out | grep -vE " native_($harmless)$")"
is "J3 ... those that nobody has filled" "" "$(grep -E 'BUG|^op [0-9]* 0$' /tmp/out)"
places() { sed -n "s/^$1 \([0-9]*\) sites.*/\1/p" /tmp/out; }
between "J7 places in the kernel that call one" 3000 20000 "$(places kernel)"
between "J7 ... in a module" 1 1000 "$(places modules)"
is "J7 ... those that have a privileged instruction" "0 0, and 1 native cli" \
	"$(echo $(sed -n 's/.* \([0-9]*\) privileged$/\1/p' /tmp/out) | sed 's/ 1$/, and 1 native cli/')"
grep -E 'type|sites' /tmp/out
split_lock ./trap
END
finish
