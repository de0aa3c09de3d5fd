#!/bin/bash
# Linux's own tests of x86 and of memory management, from its source, in a guest and on
# its host: each ends the same, but for a few, of which we know why. 64- and 32-bit
# programs. Beside them runs what keeps the guest's memory moving.
. "$(dirname "$0")/../system/lib/lab.sh"

source=$("$top/lab/fetch-package" -s bookworm linux-source-6.1) || exit 1
dpkg-deb --fsys-tarfile "$source" | tar -xO ./usr/src/linux-source-6.1.tar.xz |
	tar -C "$work" -xJ --wildcards --strip-components=1 '*/tools/testing/selftests/x86' \
		'*/tools/testing/selftests/vm' '*/tools/testing/selftests/*.h' \
		'*/arch/x86/include/asm/desc_defs.h'
from=$work/tools/testing/selftests
[ -d "$from/x86" ] || { not_ok "Linux's tests are there"; finish; exit; }

# Debian's 32-bit library, as in ia32.sh.
for deb in $("$top/lab/fetch-package" -s bookworm libc6-dev-i386 lib32gcc-12-dev); do
	dpkg-deb -x "$deb" "$work/libc"
done
libc=$work/libc/usr/lib32 gcc32=$work/libc/usr/lib/gcc/x86_64-linux-gnu/12/32
mkdir "$work/tests"
build_64() {	# NAME SOURCE...
	local name=$1
	shift
	gcc -w -O1 -static -pthread -no-pie -DCAN_BUILD_64 -o "$work/tests/$name" "$@" -lm -lrt
}
build_32() {
	local name=$1
	shift
	gcc -w -m32 -O2 -static -nostdlib -no-pie -fno-pic -DCAN_BUILD_32 \
		-isystem /usr/include/x86_64-linux-gnu \
		-isystem "$work/libc/usr/include/x86_64-linux-gnu" -o "$work/tests/$name" \
		"$libc"/crt1.o "$libc"/crti.o "$@" -Wl,--start-group "$libc"/lib{c,m,pthread}.a \
		"$gcc32"/libgcc.a "$gcc32"/libgcc_eh.a -Wl,--end-group "$libc"/crtn.o
}
x86=$from/x86 vm=$from/vm
both="single_step_syscall sysret_ss_attrs syscall_nt test_mremap_vdso check_initial_reg_state
	sigreturn iopl ioperm mov_ss_trap sigtrap_loop syscall_arg_fault fsgsbase_restore
	sigaltstack ldt_gdt ptrace_syscall"
for name in $both; do
	check "$name, 64 bits" build_64 "${name}_64" "$x86/$name.c" "$x86/thunks.S"
	check "$name, 32 bits" build_32 "${name}_32" "$x86/$name.c" "$x86"/{thunks_32,raw_syscall_helper_32}.S
done
for name in fsgsbase sysret_rip syscall_numbering corrupt_xstate_header; do
	check "$name" build_64 "${name}_64" "$x86/$name.c" "$x86/thunks.S"
done
for name in entry_from_vm86 test_syscall_vdso unwind_vdso test_FCMOV test_FCOMI test_FISTTP vdso_restorer; do
	check "$name" build_32 "${name}_32" "$x86/$name.c" "$x86"/{thunks_32,raw_syscall_helper_32}.S
done
for name in map_fixed_noreplace map_populate mlock2-tests mrelease_test mremap_dontunmap \
		mremap_test on-fault-limit madv_populate userfaultfd virtual_address_range \
		compaction_test soft-dirty split_huge_page_test khugepaged va_128TBswitch; do
	check "$name" build_64 "vm_$name" "$vm/$name.c" "$vm/vm_util.c"
done

cat >"$work/all" <<'END'
mount -t debugfs d /sys/kernel/debug 2>/dev/null
echo 20 >/proc/sys/vm/nr_hugepages
mkdir -p /tmp/t && cd /tmp/t
for test in $where/*; do
	name=${test##*/} words=
	case $name in vm_userfaultfd) words='anon 20 5' ;; vm_khugepaged) words='all:anon' ;; esac
	[ "${name%.*}" = "$name" ] || continue
	# 2 GiB are moved, of which nothing is touched.
	[ $name = vm_mremap_test ] && overcommit=1 || overcommit=0
	echo $overcommit >/proc/sys/vm/overcommit_memory
	timeout 100 $test $words >/tmp/said 2>&1 </dev/null
	echo "$name $?"
	sed 's/^/said /' /tmp/said
done
dmesg | grep -E 'BUG:|WARNING:|Oops|self-detected stall|lockup' | sed 's/^/trouble /'
END

# Without SMAP, as QEMU 7.2 reads a user's stack as a supervisor for a far return; with as
# many bits of an address as a guest has.
inside "x86, vm" --cpu max,smap=off,la57=off --memory 3G --timeout 3000 --with "$work/tests" --with "$work/all" <<'END'
where=/lab/tests sh all >/tmp/host 2>&1
lguest run -m 1G --share /lab,ro -- sh -c 'where=/mnt/share/tests; . /mnt/share/all' >/tmp/guest 2>/tmp/err
is "J3 J4 L11 the guest ends well" 0 $?
show /tmp/err
result() { grep -E '^[a-zA-Z0-9_-]+ [0-9]+.?$' /tmp/$1 | tr -d '\r'; }
result host >/tmp/host.results
result guest >/tmp/guest.results
between "J4 L11 as many tests as there are" 50 80 "$(wc -l </tmp/host.results)"
# A guest's programs have no ports, and no LDT, and lose the flag NT in a system call;
# khugepaged finds pages that the layer mapped ahead of their use. QEMU fails in mov_ss_trap.
alike() { grep -vE '^(iopl|ioperm|ldt_gdt|syscall_nt)_|^vm_khugepaged|^mov_ss_trap_64'; }
alike </tmp/host.results >/tmp/wanted
alike </tmp/guest.results >/tmp/got
is "J4 Linux's own tests of memory management end as on the host" "$(grep ^vm_ /tmp/wanted)" "$(grep ^vm_ /tmp/got)"
is "J3 ... and those of x86" "$(grep _64 /tmp/wanted)" "$(grep _64 /tmp/got)"
is "L11 ... and those with 32 bits" "$(grep _32 /tmp/wanted)" "$(grep _32 /tmp/got)"
between "J4 L11 nearly all of them are good" 37 80 "$(grep -c ' 0$' /tmp/got)"
hasnt "J4 and the guest's kernel has nothing to say" '^trouble' /tmp/guest
grep -v ' 0$' /tmp/guest.results
diff /tmp/host.results /tmp/guest.results
END
finish
