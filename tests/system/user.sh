#!/bin/bash
# Who may run guests: members of the group, with no other right.
. "$(dirname "$0")/lib/lab.sh"

inside "users" <<'END'
is "L9 the device belongs to the group" "crw-rw---- root lguest" \
	"$(stat -c '%A %U %G' /dev/lguest)"
is "L9 the user is in it, and has no right beside" "uid=1000(alice) gid=1000(alice) groups=990(lguest),1000(alice)" \
	"$(su alice -c id)"

su alice -c 'lguest run -- sh -c "echo guest of \$1; exit 5" - alice' </dev/null >/tmp/out 2>/tmp/err
is "L9 an ordinary user of the group runs a guest" "5 guest of alice" "$? $(cat /tmp/out)"
is "L9 ... with no complaint" "" "$(cat /tmp/err)"
su alice -c 'echo hello | lguest run -- cat' >/tmp/out 2>/tmp/err
is "L9 ... with input" hello "$(cat /tmp/out)"

su alice -c 'lguest run -v -- true' </dev/null >/tmp/out 2>/tmp/err
is "L9 -v works without root" 0 $?
is "L9 ... and says in one line that counters are root's" 1 \
	"$(grep -c '^lguest: no counters: only root may read them$' /tmp/err)"

su bob -c 'lguest run -- true' </dev/null >/tmp/out 2>/tmp/err
is "L9 a user outside the group cannot" 122 $?
has "L9 ... and is told why, and what to do" \
	'^lguest: cannot open /dev/lguest: Permission denied; .*usermod -aG lguest bob' /tmp/err
is "L9 ... in one line" 1 "$(wc -l </tmp/err)"
su bob -c 'lguest check' >/tmp/out 2>&1
is "L9 check finds it" 1 $?
has "L9 ... and says how to join" 'usermod -aG lguest bob' /tmp/out

su alice -c 'lguest stat' >/tmp/out 2>/tmp/err
is "L9 stat is for root" 1 $?
has "L9 ... and says so" '^lguest: stat: cannot read .*: Permission denied; only root can' /tmp/err

su alice -c 'lguest run -- sleep 100' </dev/null >/tmp/out 2>/tmp/err &
wait_for 20 test -d /sys/kernel/debug/lguest/[0-9]*
pid=$(launchers)
is "L9 the launcher has no capability" "CapPrm: 0000000000000000 CapEff: 0000000000000000" \
	"$(echo $(grep -hE '^Cap(Prm|Eff)' /proc/$pid/status /proc/$(machine $pid)/status | sort -ru))"
kill $pid
wait
check "L9 nothing is left" no_guest_left

# A user with limits, whose launchers go for all that there is: they hold, what is above
# them fails or ends, and a guest of somebody else's goes on.
background lguest run -m 96M -- sh -c 'while :; do [ "$(seq 300 | md5sum)" = "$0" ] || echo wrong; echo round; done' \
	"$(seq 300 | md5sum)" </dev/null >/tmp/other 2>&1
other=$pid
mkdir /cg && mount -t cgroup2 none /cg
echo '+memory +pids' >/cg/cgroup.subtree_control
limits() {	# MEMORY PROCESSES: a new group with these
	rmdir /cg/alice 2>/dev/null
	mkdir /cg/alice
	echo $1 >/cg/alice/memory.max
	echo 1 >/cg/alice/memory.oom.group
	echo $2 >/cg/alice/pids.max
}
limited() { sh -c 'echo 0 >/cg/alice/cgroup.procs; exec su alice -c "$0"' "$1" </dev/null; }
event() { awk -v what="$2" '$1 == what { print $2 }' /cg/alice/$1.events; }
all_gone() { grep -q '^populated 0' /cg/alice/cgroup.events && [ "$(ls /sys/kernel/debug/lguest | wc -l)" = 1 ]; }
rounds() { grep -c round /tmp/other; }
more() { [ $(rounds) -gt $((before + 3)) ]; }
goes_on() {	# NAME
	before=$(rounds)
	check "$1" wait_for 60 more
	hasnt "L9 ... and is right" 'wrong|rror' /tmp/other
}

dmesg -n 1	# what the kernel says of a group that is full looks like trouble
limits 160M max
limited 'trap "" TERM INT HUP
	for i in 1 2 3; do lguest run -m 256M -- sh -c "head -c 200000000 /dev/zero >/tmp/all; sleep 1000" & done; wait' \
	>/tmp/out 2>/tmp/err
is "L9 launchers that want more memory than their user may have end, all of them" 137 $?
check "L9 ... by that limit" test "$(event memory oom_group_kill)" -ge 1
between "L9 ... which held (MiB)" 100 160 $(($(cat /cg/alice/memory.peak) >> 20))
check "L9 ... and nothing of them is left" wait_for 20 all_gone
goes_on "L9 ... another's guest goes on"
dmesg -n 8

limits max 24
limited 'for i in 1 2 3 4 5 6 7 8 9 10 11 12; do lguest run -m 64M -- sleep 1000 & done; wait' >/tmp/out 2>/tmp/err &
refused() { [ "$(event pids max)" -ge 1 ]; }
check "L9 launchers that want more processes than their user may have are refused some" wait_for 60 refused
between "L9 ... there are no more (processes)" 10 24 "$(cat /cg/alice/pids.current)"
goes_on "L9 ... another's guest goes on, too"
echo 1 >/cg/alice/cgroup.kill
check "L9 ... and nothing of them is left, either" wait_for 20 all_gone
show /tmp/err 5
kill $other
wait
check "L9 nothing is left of all these" no_guest_left

# Whom, where and with what COMMAND runs.
echo input | FROM_HERE="a  b" lguest run -e "ODD=it's \"\$x\" *
$(printf '\377')" --env EMPTY= -e FROM_HERE -e NOT_HERE -u 1000:5 --cwd /tmp -- sh -c '
	echo "$(id -u) $(id -g) $(id -G) $(pwd) $HOME"
	printf "<%s>" "$ODD" "$EMPTY" "$FROM_HERE" "${NOT_HERE-none}"; echo
	touch mine && stat -c %u mine; touch /mine 2>/dev/null || echo no; echo again >/dev/stderr
	cat' >/tmp/out 2>/tmp/err
printf '1000 5 5 /tmp /\n<it'"'"'s "$x" *\n\377><><a  b><none>\n1000\nno\ninput\n' >/tmp/wanted
check "K1 --user, --cwd and --env, byte for byte" cmp /tmp/wanted /tmp/out
is "K1 ... and its errors are its own" again "$(cat /tmp/err)"
su alice -c 'lguest run --rootfs / -u bob -e PATH=/bin:/usr/bin -w /tmp -- sh -c "
	id; pwd; echo \$HOME \$USER \$PATH"' </dev/null >/tmp/out 2>/tmp/err
is "K1 ... names are those of the root" "$(su bob -c id) /tmp $(eval echo ~bob) bob /bin:/usr/bin" "$(echo $(cat /tmp/out))"
lguest run -w /none -- true >/tmp/out 2>/tmp/err </dev/null
is "K1 a folder that the guest lacks has a status of its own" 126 $?
lguest run -e A=1 -- none >/tmp/out 2>/tmp/err </dev/null
is "K1 ... as has a program" 127 $?
END

finish
