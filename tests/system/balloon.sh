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

# What a guest keeps of its disk is its own to give up.
cat >"$work/read-disk" <<'END'
sum() { echo "$1" $(md5sum </dev/vda); }
sum before
read -r go
sum after
read -r go
echo end
END

program "$(dirname "$0")/talk.c" "$work/talk" || { not_ok "talk.c compiles"; finish; exit; }
inside "one CPU" --with "$work/fill-and-free" --with "$work/read-disk" --with "$work/talk" <<'END'
rss() { awk '/^VmRSS/ { print int($2 / 1024) }' /proc/$(machine $pid)/status; }
start() {	# SCRIPT WORD OPTIONS...: until the guest says WORD
	local script=$1 word=$2
	shift 2
	rm -f /tmp/in /tmp/out	# the last guest's words are not this one's
	mkfifo /tmp/in
	lguest run "$@" -- sh -c "$(cat /lab/$script)" </tmp/in >/tmp/out 2>/tmp/err &
	pid=$!
	exec 3>/tmp/in
	wait_for 60 grep -q "$word" /tmp/out
}
proceed() { echo go >&3; wait_for 60 grep -q "$1" /tmp/out; }
end() { exec 3>&-; wait $pid; }
rss_below() { [ "$(rss)" -lt "$1" ]; }

start fill-and-free filled
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
start fill-and-free filled -p 'init_on_free=1'
full=$(rss)
proceed freed
wait_for 20 rss_below $((full - 80))
between "L5 pages that are cleared when freed leave the launcher (MiB)" 80 110 $((full - $(rss)))
proceed end
is "L5 ... and the guest is well" "kept end" "$(echo $(sed -n '/^kept/,$p' /tmp/out))"
end
# The launcher's user wants memory back that the guest makes use of.
head -c 100000000 /dev/urandom >/tmp/disk
truncate -s 104857600 /tmp/disk
sum=$(echo $(md5sum </tmp/disk))
start read-disk before --name fat -d /tmp/disk
target() {
	./talk /run/lguest/fat/control "{\"command\":\"balloon\",\"bytes\":$1}"
	wait_for 30 reached $1
}
reached() { ./talk /run/lguest/fat/control '{"command":"statistics"}' | grep -q "\"actual\":$1,"; }
full=$(rss) host=$(free_memory)
target $((160 << 20)) >/tmp/answer
wait_for 20 rss_below $((full - 70))
is "L5 a balloon's target is reached" '{"ok":true}' "$(cat /tmp/answer)"
between "L5 ... by what the guest kept of its disk (MiB)" 70 120 $((full - $(rss)))
between "L5 ... which is free on the host (KiB)" 70000 130000 $(($(free_memory) - host))
target 0 >/tmp/answer
proceed after
is "L5 ... and what the guest reads is the same" "before $sum after $sum" "$(echo $(cat /tmp/out))"
proceed end
end
hasnt "K13 the stock driver breaks no rule" 'bad driver' /tmp/err
check "L5 nothing is left" no_guest_left
END

finish
