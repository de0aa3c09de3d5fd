#!/bin/bash
# The balloon: memory that a guest does not use is the host's again, by itself or
# on demand, and the guest's data do not suffer.
. "$(dirname "$0")/lib/lab.sh"

# Fills 100 MB, twice: what comes back must be fresh and clean. Data in /tmp/keep
# stay through all of it.
cat >"$work/fill-and-free" <<'END'
head -c 20000000 /dev/urandom >/tmp/keep
md5sum </tmp/keep >/tmp/sum
cat /tmp/keep /tmp/keep /tmp/keep /tmp/keep /tmp/keep >/tmp/big
md5sum </tmp/big
echo filled
read -r go
rm /tmp/big
echo freed
read -r go
cat /tmp/keep /tmp/keep /tmp/keep /tmp/keep /tmp/keep >/tmp/big
md5sum </tmp/big
[ "$(md5sum </tmp/keep)" = "$(cat /tmp/sum)" ] && echo kept
dmesg | grep -E 'BUG|Oops|cut here|Bad page'
echo end
END

inside "one CPU" --with "$work/fill-and-free" <<'END'
rss() { awk '/^VmRSS/ { print int($2 / 1024) }' /proc/$pid/status; }
start() {
	rm -f /tmp/in
	mkfifo /tmp/in
	lguest run "$@" -- sh -c "$(cat /lab/fill-and-free)" </tmp/in >/tmp/out 2>/tmp/err &
	pid=$!
	exec 3>/tmp/in
	wait_for 60 grep -q filled /tmp/out
}
proceed() { echo go >&3; wait_for 60 grep -q "$1" /tmp/out; }
end() { exec 3>&-; wait $pid; }
rss_below() { [ "$(rss)" -lt "$1" ]; }

start
full=$(rss) host=$(free_memory)
proceed freed
wait_for 20 rss_below $((full - 80))
between "L5 memory that a program freed leaves the launcher (MiB)" 80 110 $((full - $(rss)))
between "L5 ... and is free on the host (KiB)" 80000 200000 $(($(free_memory) - host))
switches=$(counter world_switches)
sleep 4
between "L5 I5 the guest is as idle as without a balloon: world switches in 4 s" 0 240 \
	$(($(counter world_switches) - switches))
proceed end
is "L5 new memory is what is written to it" 1 "$(grep -e ' -$' /tmp/out | sort -u | wc -l)"
has "L5 data stay what they are" '^kept' /tmp/out
is "L5 the kernel does not complain" "end" "$(sed -n '/^kept/,$p' /tmp/out | sed 1d)"
hasnt "K13 the stock driver breaks no rule" 'bad driver' /tmp/err
end

# A kernel that clears its free pages, and would notice others.
start -p 'init_on_free=1'
full=$(rss)
proceed freed
wait_for 20 rss_below $((full - 80))
between "L5 pages that are cleared when freed leave the launcher (MiB)" 80 110 $((full - $(rss)))
proceed end
is "L5 ... and the guest is well" "kept end" "$(echo $(sed -n '/^kept/,$p' /tmp/out))"
end
check "L5 nothing is left" no_guest_left
END

finish
