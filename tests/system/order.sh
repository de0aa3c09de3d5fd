#!/bin/bash
# The order of the files of host/ and guest/, as host/lg.h and guest/layer.h have it: none
# uses one below it, but where that is said, with the reason. Needs no lab.
. "$(dirname "$0")/../ktap.sh"
top=$(cd "$(dirname "$0")/../.." && pwd)

look() { perl "$top/tests/system/lib/order.pl" "$1"; }

is "K15 no file of the Host uses one below it" "" "$(look "$top/host/lg.h")"
is "K15 no file of the guest layer does" "" "$(look "$top/guest/layer.h")"

# spoilt WHAT SENTENCE FILE SED-SCRIPT: it is seen, for this and nothing else.
spoilt() {
	rm -rf "$work/host"
	cp -r "$top/host" "$work"
	sed -i "$4" "$work/host/$3"
	is "K15 ... $1 is found" "$2" "$(look "$work/host/lg.h")"
}
spoilt "a call that goes up" "tlb.c uses run_guest of core.c, below it" \
	tlb.c '$a static void *up(void) { return run_guest; }'
spoilt "a file without a row" "timer.c: no row" lg.h '/^ \*\ttimer\.c/d'
spoilt "a row without a file" "timer.c: no row
time.c: a row, but no file" lg.h 's/^ \*\ttimer\.c/ *\ttime.c/'
spoilt "an exception that is none" "clock.c: run_guest is not below it, or not used" \
	lg.h '/^ \*\tclock\.c/a \ *\t\tbut run_guest: for nothing'
spoilt "an exception without a reason" "interrupts_and_traps.c: no reason for do_hypercall" \
	lg.h 's/but do_hypercall: .*/but do_hypercall/'
finish
