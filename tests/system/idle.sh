#!/bin/bash
# A guest that has nothing to do costs the host nothing.
. "$(dirname "$0")/lib/lab.sh"

inside "idle" <<'END'
# What the launcher and its guest have used, in ticks of 10 ms.
used() { awk '{ sub(/.*\) /, ""); print $12 + $13 }' /proc/$1/stat; }

lguest run -- sh -c 'echo up; sleep 23; echo down; exit 4' >/tmp/out 2>/tmp/err &
pid=$!
wait_for 60 grep -q up /tmp/out
sleep 2
before=$(used $pid) halts=$(counter hypercall_HALT) sleeps=$(counter halt_sleeps)
switches=$(counter world_switches) begin=$(now)
sleep 20
after=$(used $pid) halts_after=$(counter hypercall_HALT) sleeps_after=$(counter halt_sleeps)
switches_after=$(counter world_switches) end=$(now)
percent=$(awk "BEGIN { printf \"%.2f\", ($after - $before) / ($end - $begin) }")
between "C8 I5 an idle guest uses less than 5 % of a CPU" 0 5 "$percent"
between "C8 I5 an idle guest halts" 1 100000 $((halts_after - halts))
between "C8 I5 ... and sleeps in it" 1 100000 $((sleeps_after - sleeps))
between "E10 an idle guest is tickless: at most 8 switches a second" 0 8 \
	$(((switches_after - switches) / 20))
is "C8 the guest is still alive" up "$(cat /tmp/out)"
wait $pid
is "C8 a sleeping guest wakes up and ends" "4 up down" "$? $(echo $(cat /tmp/out))"
echo "$percent % of a CPU, $((halts_after - halts)) halts, $((sleeps_after - sleeps)) sleeps," \
	"$((switches_after - switches)) switches in 20 s"

# A shell that waits for input, the other kind of idle.
mkfifo /tmp/in
lguest run </tmp/in >/tmp/out 2>/tmp/err &
exec 3>/tmp/in
wait_for 30 grep -q 'Booting paravirtualized' /tmp/out
sleep 7
pid=$(pidof lguest)
before=$(used $pid)
sleep 5
after=$(used $pid)
between "C8 a shell that waits for a key uses less than 5 % of a CPU" 0 25 $((after - before))
echo 'exit 0' >&3
wait
END

finish
