#!/bin/bash
# Small guests are many: what each takes from the host when it has nothing to do.
. "$(dirname "$0")/lib/lab.sh"

cat >"$work/fleet_guest" <<'END'
echo up
read -r line
mount -t debugfs none /sys/kernel/debug
cd /sys/kernel/debug/sched/fair_server/cpu0
echo 0 >runtime
echo "fair server: $(cat runtime)"
sleep 1000
END
inside "five guests" --with "$work/fleet_guest" <<'END'
# KiB of a launcher, both of its processes: "GUEST OTHERS", its Pss in the guest's memory and besides.
memory() {
	awk -v of_guest=$((size * 1024)) '/^[0-9a-f]+-[0-9a-f]+ / { size = 0 }
		/^Size:/ { size = $2 }
		/^Pss:/ { if (size == of_guest) guest += $2; else others += $2 }
		END { print guest + 0, others + 0 }' /proc/$1/smaps /proc/$(machine $1)/smaps
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
all_say() { [ "$(cat /tmp/out.* | grep -c "^$1")" = 5 ]; }
idle_visits() {	# NAME MOST: world switches of all guests in 20 s
	local n before=$(all world_switches)
	sleep 20
	n=$(($(all world_switches) - before))
	echo "$n world switches of at most $2"
	between "$1" 1 $2 $n
}

# 64 MiB, but for kernels that need more.
size=64
lguest run -m 64M -- true >/dev/null 2>&1 || size=$(($(least_memory) + 2))
pids=
for i in 1 2 3 4 5; do
	mkfifo /tmp/in.$i
	sleep 1000 >/tmp/in.$i &
	lguest run -m ${size}M -- sh -c "$(cat fleet_guest)" </tmp/in.$i >/tmp/out.$i 2>/tmp/err.$i &
	pids="$pids $!"
done
wait_for 200 all_say up
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
# Linux's "fair server" (from 6.8 on) gives ordinary tasks their share of a CPU beside real-time ones.
# Whenever one has run, its timer (dl_task_timer) comes a second later and finds nothing to do. As
# something runs about once a second on an idle CPU, that is one more wake-up in each: two visits.
# Without it the limit is the one without it.
most=150
! grep -q ' dl_server_start$' /proc/kallsyms || most=$((150 + 5 * 20 * 2))
idle_visits "C8 E10 five idle guests: world switches in 20 s" $most
if [ $most != 150 ]; then
	for i in 1 2 3 4 5; do
		echo >/tmp/in.$i
	done
	wait_for 60 all_say 'fair server: 0'
	wait_for 30 settled
	idle_visits "C8 E10 ... without Linux's fair server" 150
fi
kill $pids
wait $pids
check "L5 nothing is left" no_guest_left
END

finish
