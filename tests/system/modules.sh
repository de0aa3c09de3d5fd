#!/bin/bash
# Modules come and go in a stock guest while fifty processes live: each address space sees
# the kernel half that there is now. F6.
. "$(dirname "$0")/lib/lab.sh"

mkdir "$work/shared"
stock_modules "$work/shared" "$release" drivers/net/dummy
program "$(dirname "$0")/modules.c" "$work/shared/modules" || not_ok "modules.c compiles"

# The table of gates is the kernel's own: it gives modules nothing that writes there.
symbols=$("$top/lab/fetch-headers" "$release")/Module.symvers
check "G3 what the kernel gives to modules is known" test "$(wc -l <"$symbols")" -ge 10000
is "G3 no module can set a gate" "" "$(awk '$2 ~ /^(idt_|load_idt|(alloc|set|update|copy)_.*(gate|idt)|sysvec_install)/ { print $2 }' "$symbols")"

inside "50 processes" --with "$work/shared" <<'END'
lguest run --time-limit 150 --share shared,ro -- sh -c 'cd /mnt/share
	./modules dummy.ko dummy /sys/class/net/dummy0/mtu 10
	dmesg | grep -E "BUG|WARNING|Call Trace|Oops|general protection"' >/tmp/out 2>/tmp/err
is "F6 a module comes and goes ten times, and each of fifty processes sees it, without trouble" \
	"10 rounds of 50 processes" "$(cat /tmp/out)"
show /tmp/err
END

finish
