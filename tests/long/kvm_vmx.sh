#!/bin/bash
# As tests/system/kvm.sh, with KVM as it is on Intel's CPUs, where it keeps the
# system-call MSRs lazily: on the VMX of Bochs. Ours are tiny guests, as Bochs is slow.
. "$(dirname "$0")/../system/lib/lab.sh"

micro=$built/tests/micro
make --no-print-directory -s -C "$top/tests/micro" O="$micro" || exit
program "$top/tests/system/kvm_guest.c" "$work/kvm_guest"
inside "KVM beside us, VMX" --bochs --append pti=off --modprobe kvm-intel --timeout 900 \
	--with "$work/kvm_guest" --with "$micro" <<'END'
check "AT-83 KVM is there" test -c /dev/kvm
./kvm_guest >/tmp/kvms 2>&1 &
kvms=$!
wait_for 20 grep -q round /tmp/kvms
before=$(grep -c round /tmp/kvms)
check "AT-83 system calls of our guests, of all kinds, are theirs" ./micro/run AT-05 A7
check "AT-83 KVM's guest ran meanwhile" test $(grep -c round /tmp/kvms) -gt $before
kill $kvms
wait $kvms
is "AT-83 all of its system calls were its own" "0 the end" "$? $(tail -n 1 /tmp/kvms)"
END
finish
