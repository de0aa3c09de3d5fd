#!/bin/bash
# KVM's guests and ours take turns on one CPU. Each lives from the same MSRs, and the
# host's processes too: whoever came first, and while the other comes or goes.
. "$(dirname "$0")/lib/lab.sh"

program "$(dirname "$0")/kvm_guest.c" "$work/kvm_guest"
inside "KVM beside us" --modprobe kvm-amd --with "$work/kvm_guest" <<'END'
work='while :; do [ "$(seq 300 | md5sum)" = "$0" ] || echo wrong; echo round; done'
sum=$(seq 300 | md5sum)
more() {	# FILE LINES: from now on
	local before=$(grep -c round $1)
	wait_for 60 enough $1 $((before + $2))
}
enough() { [ $(grep -c round $1) -ge $2 ]; }
ours() { lguest run -m 96M -- sh -c "$work" "$sum" >/tmp/ours$1 2>&1 </dev/null & }
kvms() { ./kvm_guest >/tmp/kvms$1 2>&1 & }
both() {	# NAME N
	check "AT-83 $1: KVM's guest goes on" more /tmp/kvms$2 4
	check "AT-83 $1: ours goes on" more /tmp/ours$2 2
	check "AT-83 $1: KVM's goes on again" more /tmp/kvms$2 4
}

check "KVM is there" test -c /dev/kvm
ours 1
wait_for 60 enough /tmp/ours1 2
kvms 1
both "ours was first" 1
# The module goes amid KVM's work, and a task that may hold its MSRs dies in the kernel.
kill -9 $(pidof lguest)
wait_for 10 nothing_alive
check "AT-83 the module goes" rmmod lg
check "AT-83 KVM's guest goes on without it" more /tmp/kvms1 8
check "AT-83 it comes back" insmod /lib/modules/lg.ko
kvms1=$(pidof kvm_guest)
kill $kvms1
wait $kvms1
is "AT-83 all of KVM's guest's system calls were its own" "0 the end" "$? $(tail -n 1 /tmp/kvms1)"

kvms 2
kvms2=$!
more /tmp/kvms2 8
ours 2
wait_for 60 enough /tmp/ours2 2
both "KVM's was first" 2
kill $kvms2
wait $kvms2
is "AT-83 ... and again" "0 the end" "$? $(tail -n 1 /tmp/kvms2)"
check "AT-83 ours goes on without KVM's" more /tmp/ours2 2
cat /tmp/ours1 /tmp/ours2 >/tmp/ours
hasnt "AT-83 all that our guests compute is right" 'wrong|rror' /tmp/ours
kill -9 $(pidof lguest)
check "AT-83 nothing is left" no_guest_left
END
finish
