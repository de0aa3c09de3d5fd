#!/bin/bash
# A17 AT-12: an NMI, and a machine check, at every instruction of the Switcher, on each
# way through it. every.c is the debugger that stops the host there; the guest is
# tests/micro/modes.c.
#
#	EVERY_SHARE=n	one place in n, chosen by EVERY_SEED; 1: all; 0: each
#			instruction, but on one way only
. "$(dirname "$0")/../ktap.sh"
top=$(cd "$(dirname "$0")/../.." && pwd)
micro=$top/build/tests/micro
case " ${LAB_OPTIONS:-} " in *" kvm "*)
	skip "AT-12 A17 a strike at each instruction" "KVM does not step as QEMU's emulation does"
	finish
	exit ;;
esac
share=${EVERY_SHARE:-24} seed=${EVERY_SEED:-$RANDOM} limit=${EVERY_TIME:-550}

make --no-print-directory -s -C "$top/tests/micro" O="$micro" "$micro/modes" || exit
gcc -std=gnu11 -O1 -Wall -Wextra -I"$top/host" -I"$top/include" -o "$work/every" "$top/tests/system/every.c" || exit

cat > "$work/inside.sh" <<'END'
count() {	# without a process of its own
	local word number rest
	while read -r word number rest; do
		case $word in NMI:|MCE:) echo "$1 $word $number" ;; esac
	done </proc/interrupts
}
# Symbols are told by a kernel that hides them from none but us.
echo 0 >/proc/sys/kernel/kptr_restrict
grep -E ' (asm_exc_nmi|do_machine_check)$' /proc/kallsyms | sed 's/ . / /; s/^/symbol /'
keys=
grep -q ' ospke' /proc/cpuinfo && keys=keys
/lab/modes $keys &
while ! cat /sys/kernel/debug/lguest/*/stats 2>/dev/null | grep -q '^direct_syscalls [0-9]\{3\}'; do sleep 1; done
count before
echo ready
read -r done
sleep 1
kill -0 $! && echo alive
count after
kill $!
wait
END

# Offsets of the Switcher's instructions, but for what fills the gaps, and its labels.
read_switcher() {	# LG.KO
	objdump -D -w -j .rodata.switcher "$1" | grep -E '^ +[0-9a-f]+:	' | grep -v '	int3' |
		sed 's/^ *\([0-9a-f]*\):.*/\1/' > "$work/all"
	objdump -t -j .rodata.switcher "$1" |
		awk '/\.rodata\.switcher/ && $NF !~ /^\./ { print $1, $NF }' > "$work/labels"
}

counted() {	# ROW: how many more there were
	awk -v row="$1:" '$2 == row { n[$1] = $3 } END { print n["after"] - n["before"] }' "$work/out"
}

# With a share of 1 nothing may be left out but what this kind of strike, in this guest,
# cannot lead to: what a debug exception and a fault in the Switcher have of their own
# (micro/step.c, micro/fuzz.c), and the other kind's. Of entry stubs the guest needs few.
left_out() {	# KIND
	local never='lost_in_switcher|debug_in_switcher|not_the_hosts'
	[ "$1" = mce ] || never="$never|not_an_nmi|mce_in_switcher"
	sed -n 's/^every: not struck: //p' "$work/said" | grep -vE "^($never)\+"
}

strike() {	# KIND LG.KO LAB-OPTIONS...
	local kind=$1 lab status nmis mces
	read_switcher "$2"
	shift 2
	: > "$work/out"
	rm -f "$work/done"
	mkfifo "$work/done"
	"$LAB" --timeout "$limit" --qemu-arg -gdb \
		--qemu-arg "unix:$work/gdb,server=on,wait=off" "$@" \
		--with "$micro/modes" --with "$work/inside.sh" -- sh /lab/inside.sh \
		< "$work/done" > "$work/out" 2> "$work/err" &
	lab=$!
	exec 9> "$work/done"
	until grep -q '^ready' "$work/out" || ! kill -0 $lab 2>/dev/null; do
		sleep 0.1
	done
	{ cat "$work/labels"; sed -n 's/^symbol //p' "$work/out"; } > "$work/symbols"
	"$work/every" "$work/gdb" ffff800000000000 "$kind" "$share" "$seed" \
		"$work/all" "$work/symbols" > "$work/said" 2>&1
	status=$?
	sed 's/^/# /' "$work/said"
	echo done >&9
	exec 9>&-
	wait $lab
	is "AT-12 A17 ($kind) the host is well" 0 $?
	is "AT-12 A17 ($kind) ... and the guest" alive "$(grep alive "$work/out")"
	is "AT-12 A17 ($kind) each strike is as it must be" 0 "$status"
	if [ "$share" = 1 ]; then
		is "AT-12 A17 ($kind) no instruction is left out" "" "$(left_out "$kind")"
	else
		skip "AT-12 A17 ($kind) no instruction is left out" "in the long run, which strikes all"
	fi
	read -r nmis mces < <(sed -n 's/^every: \([0-9]*\) NMIs, \([0-9]*\) machine.*/\1 \2/p' "$work/said")
	is "AT-12 A17 ($kind) NMIs seen by the host are NMIs sent" "$nmis" "$(counted NMI)"
	is "AT-12 A17 ($kind) machine checks seen are those sent" "$mces" "$(counted MCE)"
	sed 's/^/# /' "$work/err"
}

echo "# EVERY_SHARE=$share EVERY_SEED=$seed"
for kind in ${EVERY_KINDS:-nmi mce}; do
	case $kind in
	nmi) strike nmi "$top/host/lg.ko" --cpu max,la57=off ;;
	# The cloud kernel does not know machine checks.
	mce)
		general=$("$top/lab/stock-host" "$(basename "$("$top/lab/fetch-kernel" general)")")
		strike mce "$general/lg.ko" --cpu Skylake-Client,pku=on --host-kernel "$general" \
			--append pti=on ;;
	esac
done
finish
