#!/bin/bash
# A1: where lg.ko will not run, it says why in the log, and nothing has changed.
. "$(dirname "$0")/../ktap.sh"
top=$(cd "$(dirname "$0")/../.." && pwd)

# Inside a guest of its own.
cat > "$work/inside.sh" <<'END'
lguest run -- sh -c 'cat > /tmp/lg.ko; insmod /tmp/lg.ko 2>&1
	echo "insmod: $?"; dmesg | grep "lguest is afraid"; ls /dev/lguest 2>&1; true' < /lab/lg.ko
END
"$LAB" --with "$top/host/lg.ko" --with "$work/inside.sh" --timeout 120 -- \
	sh /lab/inside.sh > "$work/out" 2>&1
is "A1 a host whose guest tries to be a host is well" 0 $?
sed 's/^/# /' "$work/out"
check "A1 loading it inside a guest fails" grep -q 'insmod: 1' "$work/out"
check "A1 with EPERM" grep -qi 'not permitted' "$work/out"
check "A1 and a sentence" grep -q 'afraid of being a guest' "$work/out"
check "A1 and no device" grep -q '/dev/lguest: No such file' "$work/out"

# refused NAME SENTENCE LAB-OPTION...: the module is not loaded there.
refused() {
	local name=$1 sentence=$2
	shift 2
	"$LAB" "$@" --timeout 120 -- true > "$work/out" 2>&1
	is "A1 $name: not loaded" 123 $?
	check "A1 $name: a sentence says so" grep -q "$sentence" "$work/out"
}
refused "a CPU without FSGSBASE" "needs a CPU with FSGSBASE" --cpu max,fsgsbase=off
refused "a host that does not use FSGSBASE" "needs a CPU with FSGSBASE" --append nofsgsbase
refused "a host that does not use XSAVE" "needs a CPU with XSAVE" --append noxsave
refused "a CPU without a TSC" "needs a CPU with a TSC" --cpu max,tsc=off
finish
