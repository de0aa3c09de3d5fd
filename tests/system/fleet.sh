#!/bin/bash
# Small guests are many: what each takes from the host when it has nothing to do.
. "$(dirname "$0")/lib/lab.sh"

inside "five guests" <<'END'
# KiB of a launcher: "GUEST OTHERS", its Pss in the guest's memory and besides.
memory() {
	awk -v of_guest=$((size * 1024)) '/^[0-9a-f]+-[0-9a-f]+ / { size = 0 }
		/^Size:/ { size = $2 }
		/^Pss:/ { if (size == of_guest) guest += $2; else others += $2 }
		END { print guest + 0, others + 0 }' /proc/$1/smaps
}
all() {	# COUNTER: of all guests
	local pid
	for pid in $pids; do counter "$1" $pid; done | awk '{ sum += $1 } END { print sum }'
}
settled() {	# no guest has touched memory, or given some back, for 4 s
	local before=$(for pid in $pids; do memory $pid; done)
	sleep 4
	[ "$(for pid in $pids; do memory $pid; done)" = "$before" ]
}
all_up() { [ "$(cat /tmp/out.* | grep -c '^up')" = 5 ]; }

# 64 MiB, but for kernels that need more.
size=64
lguest run -m 64M -- true >/dev/null 2>&1 || size=$(($(least_memory) + 2))
pids=
for i in 1 2 3 4 5; do
	lguest run -m ${size}M -- sh -c 'echo up; sleep 1000' >/tmp/out.$i 2>/tmp/err.$i &
	pids="$pids $!"
done
wait_for 200 all_up
is "J8 five guests of $size MiB run" 5 "$(cat /tmp/out.* | grep -c '^up')"
wait_for 30 settled
for pid in $pids; do
	echo "$(memory $pid) $(($(counter shadow_tables $pid) * 4))"
done >/tmp/figures
cat /tmp/figures
most() { awk "{ x = $1; if (x > most) most = x } END { print most + 0 }" /tmp/figures; }
between "L5 an idle guest of $size MiB has touched at most $((size - 10)) (KiB)" 30000 $(((size - 10) * 1024)) "$(most '$1')"
between "L5 its launcher takes less than 2 MiB besides (KiB)" 100 2047 "$(most '$2')"
between "L5 its shadow tables are less than 1 % of that (%)" 0.1 0.99 "$(most '100 * $3 / $1')"
before=$(all world_switches)
sleep 20
between "C8 E10 five idle guests: world switches in 20 s" 1 150 $(($(all world_switches) - before))
kill $pids
wait
check "L5 nothing is left" no_guest_left
END

finish
