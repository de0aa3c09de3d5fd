#!/bin/bash
# The launcher's part of guests with several vCPUs: a thread for each, with a name and the
# same bounds, which stand, restart and end together; a debugger sees them all.
. "$(dirname "$0")/lib/lab.sh"

program "$(dirname "$0")/remote.c" "$work/remote" || { not_ok "remote.c compiles"; finish; exit; }

inside "vcpus" --timeout 500 --with "$work/remote" <<'END'
allow() { echo $1 >/sys/module/lg/parameters/vcpus; }

is "H22 as many as there can be, when the module is loaded" 16 "$(cat /sys/module/lg/parameters/vcpus)"

# What the Host does not give.
allow 1
lguest run --name x -c 3 -- true </dev/null >/tmp/out 2>/tmp/err
is "L1 more vCPUs than the Host gives: a sentence" "122 1" "$? $(wc -l </tmp/err)"
has "L1 ... that says what to do" '^lguest: run: --cpus: this Host gives a guest 1 vCPU; -c 1 fits, or let root write more to /sys/module/lg/parameters/vcpus' /tmp/err
allow 3
lguest run -c 4 -- true </dev/null >/tmp/out 2>/tmp/err
is "L1 ... also if it gives some" "122 1" "$? $(grep -c 'gives a guest 3 vCPUs; -c 3 fits' /tmp/err)"
is "L1 ... and nothing is left" "" "$(lguest list | tail -n +2)"

# Threads.
allow 16
background lguest run --name x -c 16 -- sh -c 'echo up; while :; do :; done' </dev/null >/tmp/out 2>/tmp/err
wait_for 100 grep -q up /tmp/out
is "L1 a guest with 16 vCPUs, on fewer CPUs" up "$(cat /tmp/out)"
machine=$(machine $pid)
threads=$(grep -l '^vcpu ' /proc/$machine/task/*/comm | xargs -n1 dirname)
is "L1 a thread per vCPU, each with a name" "$(seq 15 | sed 's/^/vcpu /')" "$(cat /proc/$machine/task/*/comm | grep '^vcpu ' | sort -V)"
of() {
	local field=$1 task
	shift
	for task; do sed -n "s/^$field:\t//p" $task/status; done | sort | uniq -c | sed 's/^ *//'
}
is "L1 L8 each is confined" "15 2" "$(of Seccomp $threads)"
is "L1 L8 ... and has no capability" "15 0000000000000000" "$(of CapPrm $threads)"
is "L1 L8 ... nor can get any" "15 0000000000000000" "$(of CapBnd $threads)"

# Together.
burnt() { awk '{ print $14 + $15 }' /proc/$machine/stat; }	# hundredths of a second
works() { [ $(burnt) -gt $((before + 20)) ]; }
before=$(burnt)
check "L1 its kernel works" wait_for 60 works
lguest pause x
is "L1 K1 a pause is one of all vCPUs" 0 $?
is "L1 ... and lguest says so" paused "$(lguest list | awk '$1 == "x" { print $3 }')"
before=$(burnt)
sleep 2
between "L1 K1 ... and then none works" 0 5 $(($(burnt) - before))
# Its counters stand as well: what stat shows is the sum of the vCPUs'.
lguest stat $pid >/tmp/stat 2>&1
is "L1 lguest stat has the guest" 0 $?
sums() { awk '$1 ~ /_visits$|^sleeps|^exit_/ { n[$1] += $2 } END { for (i in n) print i, n[i] }' "$@" | sort; }
sums /sys/kernel/debug/lguest/$machine/stats >/tmp/sums
between "L1 ... there are counters" 3 500 "$(wc -l </tmp/sums)"
is "L1 ... its counters are those of all vCPUs together" "" "$(sums /tmp/stat | diff - /tmp/sums)"
before=$(burnt)
lguest resume x
is "L1 K1 resume" 0 $?
check "L1 ... and it works" wait_for 60 works
is "L1 ... lguest says so" running "$(lguest list | awk '$1 == "x" { print $3 }')"
lguest stop --force x
wait $pid
is "L1 a guest with 16 vCPUs ends by force" 116 $?

# Restart and power-off.
mkdir /tmp/share
lguest run -v -c 4 --share /tmp/share -- sh -c '[ -e /mnt/share/again ] && exit 3
	echo >/mnt/share/again; reboot -f; sleep 60' </dev/null >/tmp/out 2>/tmp/err
is "L1 K12 a guest with 4 vCPUs restarts, and its status is the COMMAND's" "3 1" \
	"$? $(grep -c '^lguest: the guest restarts' /tmp/err)"
is "L1 ... with 4, again; each has counters of its own" 6 "$(grep -c '^ *vcpu [123]' /tmp/err)"

# One of its threads is killed from outside: all of the machine is gone, not a half.
background lguest run -c 4 -- sh -c 'echo up; sleep 1000' </dev/null >/tmp/out 2>/tmp/err
wait_for 100 grep -q up /tmp/out
machine=$(machine $pid)
kill -KILL $(basename $(dirname $(grep -l '^vcpu 2' /proc/$machine/task/*/comm)))
wait $pid
is "L1 a thread that is killed ends the guest" 137 $?

# What a vCPU's thread besides the first may ask for: as much as that.
for n in 1 2; do
	LGUEST_TEST_CONFINE=vcpu lguest run -c $n -- true </dev/null >/tmp/out 2>/tmp/said
	grep -v -e '^lguest: ' /tmp/said >/tmp/calls.$n
done
between "L1 L8 the list of a vCPU's thread was tried" 20 60 "$(wc -l </tmp/calls.1)"
is "L1 L8 ... that of another vCPU is no longer" "" "$(diff /tmp/calls.1 /tmp/calls.2)"

# A debugger.
background lguest run --name x --gdb /tmp/door -c 4 -- sh -c 'echo up; sleep 1000' </dev/null >/tmp/out 2>/tmp/err
wait_for 20 test -S /tmp/door
sleep 1
is "L1 L7 the guest stands" "" "$(cat /tmp/out)"
# Each has registers of its own: rdi is its number.
./remote /tmp/door qfThreadInfo qC T4 T5 qThreadExtraInfo,4 Hg1 p5 Hg2 p5 Hg4 p5 >/tmp/answer
is "L1 L7 a debugger is told of all vCPUs" "m1,2,3,4 QC1 OK E01 764350552033" "$(echo $(head -n 5 /tmp/answer))"
is "L1 L7 ... and of the registers of each" \
	"OK 0000000000000000 OK 0100000000000000 OK 0300000000000000" "$(echo $(tail -n +6 /tmp/answer))"
wait_for 100 grep -q up /tmp/out
is "L1 L7 ... until the debugger lets it go" up "$(cat /tmp/out)"
lguest pause x
is "L1 L7 and it can be paused then" 0 $?
lguest stop --force x
wait $pid
is "L1 L7 ... and ended" 116 $?
END

finish
