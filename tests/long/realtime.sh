#!/bin/bash
# A1: a PREEMPT_RT host is refused with a sentence, and nothing has changed.
. "$(dirname "$0")/../ktap.sh"

"$LAB" --host rt --timeout 120 -- true > "$work/out" 2>&1
is "A1 PREEMPT_RT: not loaded" 123 $?
check "A1 PREEMPT_RT: a sentence says so" grep -q 'lguest cannot work on PREEMPT_RT' "$work/out"

host=$("$(dirname "$LAB")/stock-host" rt)
"$LAB" --host rt --no-module --with "$host/lg.ko" --timeout 120 -- sh -c '
	before=$(wc -l </proc/modules)
	insmod /lab/lg.ko && echo loaded
	ls /dev/lguest; echo "more modules: $(($(wc -l </proc/modules) - before))"
	lguest check --deep; echo "check: $?"' > "$work/out" 2>&1
is "A1 a PREEMPT_RT host that was asked is well" 0 $?
sed 's/^/# /' "$work/out"
check "A1 ... has no device" grep -q '/dev/lguest: No such file' "$work/out"
check "A1 ... nor the module" grep -q 'more modules: 0' "$work/out"
check "A1 lguest check says so before" grep -qi 'PREEMPT_RT' "$work/out"
finish
