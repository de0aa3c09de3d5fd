#!/bin/bash
# A minute in the guest is a minute outside.
#
#	CLOCK_SECONDS=n	how long its rate is watched (10, and 60 where the Host gives the time)
. "$(dirname "$0")/lib/lab.sh"

cat >"$work/ticks.c" <<'END'
#define _GNU_SOURCE 1
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>
static double get(int id) { struct timespec t; clock_gettime(id, &t); return t.tv_sec + t.tv_nsec / 1e9; }
/* backwards SECONDS: how often did a clock run backwards, and how far? */
int main(int argc, char **argv)
{
	static const int ids[] = { CLOCK_MONOTONIC, CLOCK_REALTIME, CLOCK_BOOTTIME, CLOCK_MONOTONIC_RAW };
	double last[4], end = get(CLOCK_MONOTONIC) + atof(argv[argc - 1]), widest = 0;
	unsigned long bad = 0, reads = 0, late = 0;
	struct timespec nap = { 0, 20000000 };
	int i;

	for (i = 0; i < 4; i++) last[i] = get(ids[i]);
	while (get(CLOCK_MONOTONIC) < end) {
		for (i = 0; i < 4; i++) {
			double t = get(ids[i]);
			if (t < last[i]) bad++;
			last[i] = t;
		}
		if (++reads % 20000 == 0) {
			double begin = get(CLOCK_MONOTONIC), took;
			nanosleep(&nap, NULL);
			took = get(CLOCK_MONOTONIC) - begin;
			if (took < .02) bad++;
			if (took > .12) late++;
			if (took > widest) widest = took;
		}
	}
	printf("backwards %lu\nlate %lu\nreads %lu\nslowest %f\n", bad, late, reads, widest);
	return 0;
}
END
# What a clock shows at one count of the TSC, which guest and host share: so two readings
# far from each other give its rate, to a millionth, on a machine that is busy, too.
cat >"$work/pair.c" <<'END'
#define _GNU_SOURCE 1
#include <stdio.h>
#include <time.h>
#include <x86intrin.h>
int main(void)
{
	unsigned long best = ~0UL, at = 0;
	struct timespec t, seen = { 0 };

	for (int i = 0; i < 20000; i++) {
		unsigned long from = __rdtsc(), to;

		clock_gettime(CLOCK_MONOTONIC, &t);
		to = __rdtsc();
		if (to - from >= best)
			continue;
		best = to - from;
		at = from + best / 2;
		seen = t;
	}
	printf("%lu %lu\n", at, seen.tv_sec * 1000000000UL + seen.tv_nsec);
	return 0;
}
END
cat >"$work/ppm" <<'END'
# ppm NAME LIMIT GUEST-PAIRS HOST-PAIRS: lines "TSC NANOSECONDS"
ppm() {
	local off=$(awk 'FNR == 1 { t = $1; n = $2 } { rate[FILENAME] = $1 > t ? ($2 - n) / ($1 - t) : 0 }
		END { printf "%.3f", (rate[ARGV[1]] / rate[ARGV[2]] - 1) * 1e6 }' "$3" "$4")
	between "$1 ($off millionths)" -$2 $2 "$off"
}
END
mkdir -p "$work/root" "$work/shared"
program "$work/pair.c" "$work/shared/pair"
program "$work/ticks.c" "$work/root/ticks"
cat >"$work/root/init" <<'END'
#!/bin/sh
/bin/busybox mount -t proc proc /proc
/bin/busybox mount -t devtmpfs dev /dev
exec </dev/hvc0 >/dev/hvc0 2>&1
echo; echo "=== begin"
/ticks 12
echo "=== end"
/bin/busybox poweroff -f
END
initrd "$work/root" "$work/initrd"

echo "seconds=${CLOCK_SECONDS:-}" >>"$work/ppm"

inside "60 s" --smp 2 --timeout $((300 + ${CLOCK_SECONDS:-0})) --with "$work/initrd" \
	--with "$work/shared" --with "$work/ppm" <<'END'
. ./ppm
# "mark NAME GUEST-SECONDS" lines, each stamped by the host when it arrives.
stamp() {
	while read -r name guest wall; do
		echo "$name $guest $wall $(now) $(date +%s)"
	done
}
shared/pair >/tmp/host
lguest run --share shared,ro -- sh -c '/mnt/share/pair; sleep $0; /mnt/share/pair' ${seconds:-60} >/tmp/guest 2>/tmp/err2 &
pair=$!
wait_for 60 test -s /tmp/guest
lguest run -i initrd -p 'quiet loglevel=1' --time-limit 60 >/tmp/ticks 2>&1 &
other=$!
lguest run -- sh -c '
	mark() { echo "$1 $(cut -d" " -f1 /proc/uptime) $(date +%s)"; }
	mark start; mark begin; sleep 60; mark end' 2>/tmp/err | stamp >/tmp/marks
wait $pair
shared/pair >>/tmp/host
wait $other
cat /tmp/marks
of() { awk -v n="$1" -v f="$2" '$1 == n { print $f }' /tmp/marks; }
guest=$(difference "$(of begin 2)" "$(of end 2)")
host=$(difference "$(of begin 4)" "$(of end 4)")
# The host's date goes an hour ahead, and two back: no timer comes earlier or later.
lguest run -- sh -c '
	mark() { echo "$1 $(cut -d" " -f1 /proc/uptime) 0"; }
	mark asleep; sleep 8; mark awake' 2>/tmp/err | stamp >/tmp/steps &
steps=$!
wait_for 100 grep -q asleep /tmp/steps
date -s "@$(($(date +%s) + 3600))" >/dev/null
sleep 3
date -s "@$(($(date +%s) - 7200))" >/dev/null
wait $steps
date -s "@$(($(date +%s) + 3600))" >/dev/null
between "E8 a sleep of 8 s is one, though the host's date was changed" 7.9 9 \
	"$(difference "$(awk '/^asleep/ { print $4 }' /tmp/steps)" "$(awk '/^awake/ { print $4 }' /tmp/steps)")"
between "E8 ... by the guest's clock, too" 8 9 \
	"$(difference "$(awk '/^asleep/ { print $2 }' /tmp/steps)" "$(awk '/^awake/ { print $2 }' /tmp/steps)")"
between "E8 E9 a minute in the guest is a minute outside, within 1 %" 59.4 60.6 "$host"
between "E9 the guest's clock says so, too" 59.9 60.6 "$guest"
ppm "E9 the rate of a clock that the Host gives" 2 /tmp/guest /tmp/host
between "E9 drift (%)" -1 1 "$(awk "BEGIN { print ($guest - $host) / $host * 100 }")"
between "E11 the guest's date is the host's" -2 2 "$(difference "$(of begin 5)" "$(of begin 3)")"
between "E11 ... and still is after a minute" -2 2 "$(difference "$(of end 5)" "$(of end 3)")"
is "E9 no clock of the guest runs backwards, no sleep is short" "backwards 0" \
	"$(tr -d '\r' </tmp/ticks | grep ^backwards)"
between "E9 the clocks were read often enough" 10000 1000000000 \
	"$(tr -d '\r' </tmp/ticks | awk '/^reads/ { print $2 }')"
sed -n '/=== begin/,/=== end/p' /tmp/ticks
END

# With one CPU the lab's TSC is trusted, so the guest reads it itself.
inside "TSC" --timeout $((300 + ${CLOCK_SECONDS:-0})) --with "$work/shared" --with "$work/ppm" <<'END'
. ./ppm
shared/pair >/tmp/host
lguest run --share shared,ro -- sh -c 'cat /sys/devices/system/clocksource/clocksource0/current_clocksource
	/mnt/share/pair; sleep $0; /mnt/share/pair' ${seconds:-10} >/tmp/out 2>/tmp/err
shared/pair >>/tmp/host
is "E9 the clock is the TSC" "tsc tsc" "$(head -n 1 /tmp/out) $(cat /sys/devices/system/clocksource/clocksource0/current_clocksource)"
sed 1d /tmp/out >/tmp/guest
ppm "E9 the rate of a clock by the TSC" 1 /tmp/guest /tmp/host
END

finish
