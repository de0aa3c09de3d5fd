#!/bin/bash
# A15 AT-12: on all ways home CR4 is the host's before its IDT is. Read from the
# Switcher's code, every jump of it: no strike has to meet the one that is wrong.
. "$(dirname "$0")/../ktap.sh"
top=$(cd "$(dirname "$0")/../.." && pwd)

objdump -D -r -w --no-show-raw-insn -j .rodata.switcher "$top/host/switcher.o" > "$work/code"
is "A15 AT-12 the Switcher's code can be read" 0 $?
perl "$top/tests/system/lib/way_home.pl" "$top/host/switcher.h" "$work/code" > "$work/rules"
is "A15 AT-12 ... and its rules looked at" "0 5" "$? $(wc -l < "$work/rules")"
while read -r verdict rule; do
	case $verdict in
	ok) ok "A15 AT-12 ${rule#- }" ;;
	*) not_ok "A15 AT-12 ${rule#ok - }" ;;
	esac
done < "$work/rules"
finish
