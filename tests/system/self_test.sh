#!/bin/bash
# AT-12: `modprobe lg selftest=1` on several kinds of host: CPUs, levels of page tables,
# page table isolation, kernels, emulators. That it can fail is shown by the mutation
# ist.patch. tests/long/self_test.sh has more hosts.
. "$(dirname "$0")/../ktap.sh"

cat > "$work/inside.sh" <<'END'
dmesg | grep 'lg: selftest: '
[ ! -e /dev/lguest ] && echo no device
cat /sys/module/lg/refcnt
rmmod lg && insmod /lib/modules/lg.ko selftest=1 && rmmod lg && echo again
insmod /lib/modules/lg.ko && [ -e /dev/lguest ] && echo device
END

passes() {	# NAME CPUS LAB-OPTIONS...
	local name=$1 cpus=$2 status
	shift 2
	"$LAB" --timeout 120 --module-params selftest=1 --smp "$cpus" "$@" \
		--with "$work/inside.sh" -- sh /lab/inside.sh >"$work/out" 2>"$work/err" </dev/null
	status=$?
	is "AT-12 the host is well after the self-test ($name)" 0 $status
	[ $status = 0 ] || sed 's/^/# /' "$work/out" "$work/err"
	is "AT-12 it passes ($name)" "$cpus" \
		"$(sed -n 's/.*lg: selftest: passed on \([0-9]*\) CPUs.*/\1/p' "$work/out")"
	is "AT-12 each stage on each CPU is in the log before ($name)" \
		"$(for c in $(seq 0 $((cpus - 1))); do echo 1 $c; done
		   for c in $(seq 0 $((cpus - 1))); do printf '%s\n' "2 $c" "3 $c" "4 $c" "5 $c"; done)" \
		"$(sed -n 's/.*selftest: stage \([0-9]\): CPU \([0-9]*\): .*/\1 \2/p' "$work/out" | uniq)"
	is "AT-12 no device, nobody's module, as often as one likes, then as ever ($name)" \
		"no device 0 again device" \
		"$(grep -v selftest "$work/out" | tr '\n' ' ' | sed 's/ $//')"
}

if [ "${SELFTEST_HOSTS:-}" = all ]; then
	for cpu in max,la57=off max,la57=off,smap=off,smep=off Haswell Skylake-Client EPYC; do
		for pti in off on; do
			passes "$cpu pti=$pti" 2 --cpu "$cpu" --append "pti=$pti"
		done
	done
	passes "no kaslr" 1 --append nokaslr
	passes "general" 2 --host general
	passes "6.12 pti=on" 2 --host 6.12 --cpu Skylake-Client --append pti=on
	passes "Bochs pti=on" 1 --bochs --append pti=on
fi
passes "two CPUs" 2
passes "Skylake, pti=on" 2 --cpu Skylake-Client --append pti=on
passes "6.12, four levels" 2 --host 6.12 --cpu max,la57=off
passes "Bochs" 1 --bochs --append pti=off
finish
