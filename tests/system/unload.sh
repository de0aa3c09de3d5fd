#!/bin/bash
# Load, run, unload, again and again: nothing of the module stays behind.
. "$(dirname "$0")/lib/lab.sh"

# What lg.ko wants from the host: exported symbols, of the kernel itself.
ko=$built/../host/lg.ko
symvers=$("$top/lab/fetch-headers" "$(modinfo -F vermagic "$ko" | cut -d' ' -f1)")/Module.symvers
nm -u "$ko" | awk '{ print $2 }' | sort -u >"$work/wanted"
awk '$3 == "vmlinux" { print $2 }' "$symvers" | sort -u >"$work/exported"
is "L3 lg.ko needs nothing but the kernel's exported symbols" "" \
	"$(comm -23 "$work/wanted" "$work/exported")"
is "L3 ... and nothing to look up others with" "" \
	"$(grep -E 'kallsyms|kprobe|ftrace|livepatch' "$work/wanted")"

inside "20 rounds" --timeout 400 <<'END'
module=/lib/modules/lg.ko

mkfifo /tmp/in
lguest run -- sh -c 'echo up; read -r line; exit 9' </tmp/in >/tmp/out 2>/tmp/err &
pid=$!
exec 3>/tmp/in
wait_for 30 grep -q up /tmp/out
rmmod lg >/tmp/rmmod 2>&1
is "A13 unload is refused while a guest lives" 1 $?
has "A13 ... because it is in use" 'in use|temporarily unavailable|busy' /tmp/rmmod
echo go >&3
exec 3>&-
wait $pid
is "A13 the guest does not notice" "9 up" "$? $(cat /tmp/out)"

sleep 100 </dev/lguest &
holder=$!
wait_for 20 grep -qx 1 /sys/module/lg/refcnt
rmmod lg >/tmp/rmmod 2>&1
is "A13 unload is refused while a file is open" 1 $?
kill $holder
wait $holder
check "A13 ... and no longer than that" rmmod lg
is "H1 the device goes with the module" "" "$(ls /dev/lguest 2>/dev/null)"
lguest run -- true >/tmp/out 2>/tmp/err
is "K1 without the module: status 122" 122 $?
has "K1 ... and a sentence with the remedy" '^lguest: cannot open /dev/lguest: .*modprobe lg' /tmp/err

# The first rounds fill the host's own caches. Each fifth guest boots to its
# end; the others are ended while they boot (status 117), for lack of time.
state() { for k in Slab SUnreclaim PageTables KernelStack VmallocUsed Percpu; do
	printf '%s=%s ' $k "$(meminfo $k)"; done; }
statuses=
rounds() {
	local n=0
	while [ $n -lt $1 ]; do
		insmod $module || return 1
		if [ $((n % 5)) = 0 ]; then
			lguest run -m 128M -- true >/tmp/out 2>/tmp/err
		else
			lguest run -m 128M --time-limit 1.5 -- sleep 1000 >/tmp/out 2>/tmp/err
		fi
		statuses="$statuses $?"
		rmmod lg || return 1
		n=$((n + 1))
	done
}
check "A13 3 rounds to warm up" rounds 3
statuses=
free_memory >/dev/null		# settles
lost=$(nameless)
before=$(state)
slab=$(meminfo Slab) unreclaim=$(meminfo SUnreclaim)
vmalloc=$(meminfo VmallocUsed) tables=$(meminfo PageTables) percpu=$(meminfo Percpu)
check "A13 H24 20 rounds of load, run, unload" rounds 20
free_memory >/dev/null
lost_after=$(nameless)
echo "before: nameless=$lost $before"
echo "after:  nameless=$lost_after $(state)"
is "A13 each guest ran" "0 117 117 117 117 0 117 117 117 117 0 117 117 117 117 0 117 117 117 117" \
	"$(echo $statuses)"
between "A13 H23 free memory is back: pages without a name (KiB)" -100000 1024 $((lost_after - lost))
between "A13 H23 slabs are back (KiB)" -100000 512 $(($(meminfo Slab) - slab))
between "A13 H23 unreclaimable slabs are back (KiB)" -100000 384 $(($(meminfo SUnreclaim) - unreclaim))
between "A13 A2 vmalloc is back (KiB)" -100000 64 $(($(meminfo VmallocUsed) - vmalloc))
between "A13 page tables are back (KiB)" -100000 64 $(($(meminfo PageTables) - tables))
is "A13 per-CPU memory is back" "$percpu" "$(meminfo Percpu)"
is "A13 lsmod is clean" "" "$(grep '^lg ' /proc/modules)"
is "A13 no launcher is left" "" "$(pidof lguest)"
is "A13 debugfs is clean" "" "$(ls -d /sys/kernel/debug/lguest 2>/dev/null)"
is "A12 the pge flag is still there" "$(grep -c ^processor /proc/cpuinfo)" "$(grep -cw pge /proc/cpuinfo)"
check "A13 it can be loaded again" insmod $module
END

finish
