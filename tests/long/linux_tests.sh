#!/bin/bash
# Linux's own tests of what its processes meet (tools/testing/selftests): x86, memory,
# futexes, rseq, membarrier, ptrace, seccomp and timers, natively in the lab and in a guest
# with four vCPUs. What passes there must pass here. J4, L1.
. "$(dirname "$0")/../system/lib/lab.sh"
lab=$(dirname "$LAB")
tree=$built/linux-tests
version=6.1

# The source of a kernel of this version, the tests of it; libcap, which some want.
if [ ! -e "$tree/.complete" ]; then
	rm -rf "$tree"
	mkdir -p "$tree"
	source=$("$lab/fetch-package" linux-source-$version) && cap=$("$lab/fetch-package" libcap-dev) &&
		dpkg-deb --fsys-tarfile "$source" | tar -xO "./usr/src/linux-source-$version.tar.xz" |
		tar -xJ -C "$tree" --strip-components=1 "linux-source-$version/tools/testing/selftests" \
			"linux-source-$version/tools/include" && dpkg-deb -x "$cap" "$tree/cap" &&
		touch "$tree/.complete" || { not_ok "the tests of Linux $version are there"; finish; exit; }
fi
mkdir -p "$work/in/bin"

# build NAME SOURCE...: below selftests/
build() {
	local name=$1
	shift
	(cd "$tree/tools/testing/selftests" && gcc -O1 -w -static -pthread -I. -isystem "$tree/cap/usr/include" \
		-o "$work/in/bin/$name" "$@" "$tree"/cap/usr/lib/*/libcap.a -lrt -lm) >"$work/log" 2>&1 ||
		{ sed 's/^/# /' "$work/log"; not_ok "$name compiles"; }
}

# NAME [ARGUMENT]..., a line each; what there is of each group.
list=$work/in/list
for t in requeue{,_pi,_pi_mismatched_ops,_pi_signal_restart} wait{,_timeout,_wouldblock,_uninitialized_heap,_private_mapped_file,v}; do
	build futex_$t -D_GNU_SOURCE -Ifutex/include "futex/functional/futex_$t.c"
	echo "futex_$t"
done >>"$list"
for t in single multi; do
	build membarrier_$t -D_GNU_SOURCE "membarrier/membarrier_test_${t}_thread.c"
	echo "membarrier_$t"
done >>"$list"
for t in basic_test basic_percpu_ops_test param_test; do
	build rseq_$t -D_GNU_SOURCE -Irseq -I../../include "rseq/$t.c" rseq/rseq.c
done
printf '%s\n' rseq_basic_test rseq_basic_percpu_ops_test >>"$list"
for t in s l b m i r; do echo "rseq_param_test -T $t -t 4 -r 100"; done >>"$list"
for t in get_syscall_info peeksiginfo; do
	build ptrace_$t -D_GNU_SOURCE "ptrace/$t.c"
	echo "ptrace_$t"
done >>"$list"
build seccomp_bpf -D_GNU_SOURCE seccomp/seccomp_bpf.c
echo seccomp_bpf >>"$list"
for t in posix_timers nanosleep threadtest inconsistency-check mqueue-lat; do build timers_$t timers/$t.c; done
printf 'timers_%s\n' posix_timers nanosleep 'threadtest -t 3 -n 4' 'inconsistency-check -t 1' mqueue-lat >>"$list"
for t in single_step_syscall syscall_nt test_mremap_vdso check_initial_reg_state sigreturn iopl ioperm \
	test_vsyscall mov_ss_trap syscall_arg_fault fsgsbase fsgsbase_restore sysret_rip sysret_ss_attrs \
	syscall_numbering corrupt_xstate_header sigaltstack amx; do
	case $t in
	check_initial_reg_state) more=-Wl,-ereal_start ;;
	sysret_ss_attrs) more=x86/thunks.S ;;
	*) more= ;;
	esac
	build x86_$t -D_GNU_SOURCE "x86/$t.c" $more
	echo "x86_$t"
done >>"$list"
for t in mremap_test madv_populate mlock-random-test mlock2-tests map_populate mrelease_test soft-dirty \
	mremap_dontunmap map_fixed_noreplace; do
	grep -q vm_util.h "$tree/tools/testing/selftests/vm/$t.c" && more=vm/vm_util.c || more=
	build mm_$t -D_GNU_SOURCE "vm/$t.c" $more
	echo "mm_$t"
done >>"$list"

# "NAME STATUS", and what it said.
cat >"$work/in/runs" <<'END'
mkdir -p /run/tests
mount -t tmpfs tmp /run/tests
ip link set lo up
cd /run/tests
mkdir logs
while read -r name arguments; do
	timeout -s KILL 90 $1/bin/$name $arguments >logs/$name 2>&1 </dev/null
	status=$?
	echo "$name${arguments:+ $arguments}: $status"
	[ $status = 0 ] || tail -n 6 logs/$name | tr -cd '\n -~' | sed 's/^/    /'
done <$1/list
dmesg | grep -E 'BUG:|WARNING:|Call Trace|rcu.*stall|lockup' | sed 's/^/bad: /'
echo "all done"
END

# QEMU reads a far return's frame as the kernel would: with SMAP, x86_sysret_ss_attrs is the
# lab's own end.
inside "2 CPUs" --cpu max,smap=off --smp 2 --memory 3G --timeout 3000 --with "$work/in" <<'END'
sh in/runs /lab/in >/tmp/native 2>&1
lguest run -c 4 -m 512M --share /lab/in:in,ro -- sh /mnt/in/runs /mnt/in >/tmp/mine 2>/tmp/err
is "J4 L1 a guest with 4 vCPUs has Linux's tests, and ends well" "0 all done" "$? $(tail -n 1 /tmp/mine)"
show /tmp/err
hasnt "J4 L1 no BUG, WARNING, stall or call trace" '^bad: ' /tmp/mine
between "J4 L1 there are many that pass natively" 40 100 "$(grep -c ': 0$' /tmp/native)"
grep -v '^bad: ' /tmp/native | while read -r line; do
	case $line in
	*": 0") check "J4 L1 ${line%: *}" grep -qxF "$line" /tmp/mine
		grep -qxF "$line" /tmp/mine || grep -A 6 -F "${line%: *}: " /tmp/mine ;;
	*": "*[0-9]) echo "natively $line, here: $(grep -F "${line%: *}: " /tmp/mine)" ;;
	esac
done
grep -c ': 0$' /tmp/native /tmp/mine
END
finish
