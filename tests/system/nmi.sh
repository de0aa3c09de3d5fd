#!/bin/bash
# A17: every NMI and every machine check reaches the host's handler, whether it strikes
# guest user, the guest kernel or the Switcher between them. QEMU raises them from
# outside, while a guest makes system calls as fast as it can. A CPU remembers one NMI
# that waits, not two, and resets itself at a machine check within another: so each is
# sent when the one before has been counted.
. "$(dirname "$0")/../ktap.sh"

cat > "$work/inside.sh" <<'END'
count() {	# without a process of its own
	local word number rest
	while read -r word number rest; do
		[ "$word" != "$row" ] || echo "$1 $number"
	done </proc/interrupts
}
row=$1:
lguest run -v -- sh -c 'while :; do dd if=/dev/zero of=/dev/null bs=1 count=5000 2>/dev/null; done' >/dev/null 2>&1 &
while ! cat /sys/kernel/debug/lguest/*/stats 2>/dev/null | grep -q '^direct_syscalls [0-9]\{5\}'; do sleep 1; done
count before
until read -r -t 0 done; do
	count after
	sleep 0.02
done
count after
grep -E '^(world_switches|direct_syscalls|direct_irets|exit_vector_2|exit_vector_18|exit_not_entered) ' /sys/kernel/debug/lguest/*/stats
kill %1
wait
END

# Prints how many were sent, and counted.
send() {	# OUTPUT COUNT MONITOR-COMMAND
	perl -e '
	use IO::Socket::UNIX;
	my ($monitor, $out, $count, $command) = @ARGV;
	my $s = IO::Socket::UNIX->new(Peer => $monitor) or exit 1;
	open my $log, "<", $out or exit 1;
	my ($before, $seen, $sent) = (0, 0, 0);
	my $end = time + 200;
	while (time < $end) {
		seek $log, 0, 1;	# there may be more by now
		while (<$log>) {
			$before = $1 if /^before (\d+)/;
			$seen = $1 - $before if /^after (\d+)/;
		}
		if ($seen >= $sent) {
			last if $sent == $count;
			print $s "$command\n"; $s->flush;
			$sent++;
		}
		select undef, undef, undef, 0.005;
	}
	print $sent;' "$work/monitor" "$@"
}

strike() {	# NAME ROW-OF-/proc/interrupts COUNT MONITOR-COMMAND LAB-OPTIONS...
	local name=$1 row=$2 count=$3 command=$4 i sent lab status before after
	shift 4
	: > "$work/out"
	rm -f "$work/done"
	mkfifo "$work/done"
	"$LAB" --timeout 250 --qemu-arg -monitor \
		--qemu-arg "unix:$work/monitor,server,nowait" "$@" \
		--with "$work/inside.sh" -- sh /lab/inside.sh "$row" < "$work/done" > "$work/out" 2> "$work/err" &
	lab=$!
	exec 9> "$work/done"
	for ((i = 0; i < 1500; i++)); do
		grep -q '^before' "$work/out" && break
		kill -0 $lab 2>/dev/null || break
		sleep 0.1
	done
	sent=$(send "$work/out" "$count" "$command")
	echo done >&9
	exec 9>&-
	wait $lab
	status=$?
	awk '/^after/ { last = $0; next } { print "# " $0 } END { print "# " last }' "$work/out" "$work/err"
	before=$(awk '$1 == "before" { print $2 }' "$work/out")
	after=$(awk '$1 == "after" { last = $2 } END { print last }' "$work/out")
	is "A17 all $name could be sent, one after the other" "$count" "$sent"
	is "A17 the host is well after $count $name" 0 "$status"
	is "A17 $name seen by the host are $name sent" "$count" "$((after - before))"
}

strike NMIs NMI "${NMIS:-400}" nmi
# Memory scrubbing found an error, nobody need act (SDM vol. 3B, 16.9.3.1: UC, EN, S,
# code 0xc0); for the CPU that runs the guest only, which may go on (RIPV, MCIP, LMCE).
# Linux expects that of Intel's CPUs; the cloud kernel does not know machine checks.
strike "machine checks" MCE "${MACHINE_CHECKS:-100}" "mce 0 9 0xb1000000000000c0 0xd 0 0" \
	--host general --cpu Skylake-Client --append pti=on
finish
