#!/bin/bash
# A guest that has nothing to do costs the host nothing.
. "$(dirname "$0")/lib/lab.sh"

inside "idle" <<'END'
# What the launcher and its guest have used, in ticks of 10 ms.
used() { awk '{ sub(/.*\) /, ""); sum += $12 + $13 } END { print sum }' /proc/$1/stat /proc/$(machine $1)/stat; }

mkfifo /tmp/in
lguest run -- sh -c 'echo up; read -r line; sleep 3; echo down; exit 4' </tmp/in >/tmp/out 2>/tmp/err &
pid=$!
exec 3>/tmp/in
wait_for 60 grep -q up /tmp/out
wait_for 60 quiet $pid
before=$(used $pid) halts=$(counter hypercall_HALT) sleeps=$(counter halt_sleeps)
switches=$(counter world_switches) begin=$(now)
busy=$(busy_looks $pid 80)
after=$(used $pid) halts_after=$(counter hypercall_HALT) sleeps_after=$(counter halt_sleeps)
switches_after=$(counter world_switches) end=$(now)
percent=$(awk "BEGIN { printf \"%.2f\", ($after - $before) / ($end - $begin) }")
between "C8 I5 an idle guest sleeps: it runs in so many of 80 looks" 0 20 "$busy"
between "C8 I5 an idle guest halts" 1 100000 $((halts_after - halts))
between "C8 I5 ... and sleeps in it" 1 100000 $((sleeps_after - sleeps))
between "E10 an idle guest is tickless: at most 8 switches a second" 0 8 \
	"$(awk "BEGIN { print ($switches_after - $switches) / ($end - $begin) }")"
is "C8 the guest is still alive" up "$(cat /tmp/out)"
echo go >&3
wait $pid
is "C8 a sleeping guest wakes up and ends" "4 up down" "$? $(echo $(cat /tmp/out))"
echo "$percent % of a CPU, $((halts_after - halts)) halts, $((sleeps_after - sleeps)) sleeps," \
	"$((switches_after - switches)) switches in $(difference $begin $end) s"

# A shell that waits for input, the other kind of idle.
rm -f /tmp/out
lguest run </tmp/in >/tmp/out 2>/tmp/err &
pid=$!
exec 3>/tmp/in
wait_for 60 grep -q 'Booting paravirtualized' /tmp/out
wait_for 60 quiet $pid
between "C8 a shell that waits for a key sleeps: it runs in so many of 20 looks" 0 5 \
	"$(busy_looks $pid 20)"
echo 'exit 0' >&3
wait
END

finish
