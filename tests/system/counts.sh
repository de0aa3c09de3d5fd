#!/bin/bash
# World switches per operation of a stock guest: counted, not timed, so the
# figures are the same on any machine, however busy. bench/count.c says how.
#
# A row of the table: operation, most world switches allowed for one, and what
# "one" is: "op", or "fault" (a page fault as the guest counts them); the row of
# docs/ACCEPTANCE.md. A minus sign: a goal not reached, shown but no test yet.
. "$(dirname "$0")/lib/lab.sh"

make --no-print-directory -s -C "$top/bench" || exit

limits="
 null_syscall		0.01	op	D11
 read_1			0.01	op	D11
 write_1		0.01	op	D11
 stat			0.01	op	D11
 open_close		0.01	op	D11
 signal_self		0.01	op	D11
 clock_gettime		0.01	op	E9
 rdtsc			0.01	op	E9
 pipe_pingpong		0.02	op	F5
 fpu_pingpong		0.02	op	I10
 touch_random		1.1	op	F2
 touch_sequential	0.2	op	F2
 touch_fresh		0.2	op	F2
 mprotect_page		1.2	op	F7
 cow_page		1.2	op	F2
fork_exit		1.2	fault	F7
 timer_tick		2.1	op	E10
"
operations=$(awk '{ sub(/^-/, ""); if ($1) print $1 == "timer_tick" ? "busy_ms" : $1 }' <<<"$limits")
# shellcheck disable=SC2086
"$LAB" --timeout 240 --with "$top/build/bench" -- bench/count -j $operations \
	</dev/null >"$work/counts" 2>"$work/err"
is "the lab and the guest end well" 0 $?
[ -s "$work/counts" ] || sed 's/^/# /' "$work/err"

figure() {	# OPERATION KEY
	sed -n "s/^{\"name\": \"$1\",.*\"$2\": \([0-9.]*\).*/\1/p" "$work/counts"
}

judge() {	# LIMITS
	while read -r name most what row; do
		[ "$name" ] || continue
		per=$(figure "${name#-}" switches)
		[ $what != fault ] || per=$(awk -v s="$per" -v f="$(figure "${name#-}" guest_faults)" \
			'BEGIN { if (f > 0) printf "%.3f", s / f }')
		text="${name#-}: ${per:-?} world switches per $what, at most $most"
		if [ "${name#-}" != "$name" ]; then
			echo "# not reached yet: $text"
		elif awk -v p="$per" -v m="$most" 'BEGIN { exit !(p != "" && p <= m) }'; then
			ok "$row $text"
		else
			not_ok "$row $text"
		fi
	done <<<"$1"
}
judge "$limits"

# Two vCPUs that both run. A shootdown is two flushes, of which one takes something away; the
# other one interrupts a sibling that is not back yet from the first, as on a busy machine.
# A visit more for each is what the limits find, half a one is what a busy machine adds.
# The TSC is the guest's only clock that costs nothing: the lab's kernel is told how fast
# it is, as on a busy machine it finds that out wrongly, and then takes another clock.
limits="
 ipi_1			2.5	op	F7
 shootdown_0		2.5	op	F7
 shootdown_1		4.5	op	F7
 wake_remote		4.5	op	F7
"
operations=$(awk '$1 { print $1 ":500" }' <<<"$limits")
khz=$("$top/build/bench/micro" --tsc-khz)
# shellcheck disable=SC2086
"$LAB" --timeout 240 --smp 2 --append "tsc=reliable tsc_early_khz=$khz" --with "$top/build/bench" \
	-- bench/count -j -c 2 $operations </dev/null >"$work/counts" 2>"$work/err"
is "the lab and the guest with 2 vCPUs end well" 0 $?
[ -s "$work/counts" ] || sed 's/^/# /' "$work/err"
judge "$limits"

finish
