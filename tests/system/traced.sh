#!/bin/bash
# Who looks at the host with its tracers meets lg.ko, too, where the CPU has the
# guest's segments: each function of the module is graphed and probed, and a host counts
# the depth of calls in memory that is found by GS (retbleed=stuff), while tiny guests
# load segments, switch and take single steps. A call or a return at the wrong place is
# the host's end.
. "$(dirname "$0")/../ktap.sh"
top=$(cd "$(dirname "$0")/../.." && pwd)

cat > "$work/inside.sh" <<'END'
dmesg | grep RETBleed
t=/sys/kernel/tracing
mount -t tracefs none $t 2>/dev/null
cd $t || exit 1
guests() {	# NAME: the tests, with the tracer on
	echo 1 > tracing_on
	(cd /lab/micro && ./run AT-19 AT-20 AT-22 AT-23 "AT-07 bad" "L7 STEP: each" "system calls" "1000 loads") > /tmp/out 2>&1
	status=$?
	echo 0 > tracing_on
	echo "== $1: status $status, not ok $(grep -c '^not ok' /tmp/out), ok $(grep -c '^ok' /tmp/out)"
	grep -A3 '^not ok' /tmp/out
	echo > trace
}
echo 0 > tracing_on
echo ':mod:lg' > set_ftrace_filter
echo function_graph > current_tracer
guests function_graph
echo nop > current_tracer
[ "$1" ] || exit 0
n=0
for f in $(awk '$4 == "[lg]" && $2 ~ /[tT]/ { print $3 }' /proc/kallsyms); do
	case $f in *.*|__*) continue ;; esac
	echo "p:lg/p$n lg:$f" >> kprobe_events 2>/dev/null || { echo "refused: $f"; continue; }
	echo "r:lg/r$n lg:$f" >> kprobe_events 2>/dev/null
	n=$((n + 1))
done
echo "== probes: $n"
echo 1 > events/lg/enable
guests probes
echo 0 > events/lg/enable
END

run() {		# NAME PROBES LAB-OPTIONS...
	local name=$1 probes=$2
	shift 2
	"$LAB" --timeout 400 "$@" --with "$work/inside.sh" --with "$work/$micro" -- \
		sh -c "ln -s /lab/$micro /lab/micro 2>/dev/null; sh /lab/inside.sh $probes" > "$work/out" 2>&1
	is "$name: the host lives" 0 $?
	sed 's/^/# /' "$work/out"
}
passed() {	# NAME TRACER
	check "$1: guests pass with $2" grep -qE "^== $2: status 0, not ok 0, ok [1-9]" "$work/out"
}

micro=micro
make -s -C "$top/tests/micro" O="$work/$micro" >&2 || exit 1
run "traced" probes
for tracer in function_graph probes; do passed "traced" $tracer; done
check "traced: cross() and switch_worlds() take no probe" \
	test "$(grep -cE '^refused: (cross|switch_worlds)$' "$work/out")" = 2
check "traced: most of the module does" \
	test "$(sed -n 's/^== probes: \([0-9]*\)$/\1/p' "$work/out")" -gt 100

# Each call and return of the kernel is then counted.
micro=micro6.12
make -s -C "$top/tests/micro" O="$work/$micro" HOST=6.12 >&2 || exit 1
run "calls counted" "" --host 6.12 --cpu Skylake-Client --append "retbleed=stuff pti=on"
passed "calls counted" function_graph
check "calls counted: the kernel stuffs the return stack" \
	grep -q 'RETBleed: Mitigation: Stuffing' "$work/out"
finish
