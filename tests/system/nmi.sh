#!/bin/bash
# A17: every NMI reaches the host's handler, whether it strikes guest user, the
# guest kernel or the Switcher between them. QEMU raises them from outside,
# while a guest makes system calls as fast as it can.
. "$(dirname "$0")/../ktap.sh"

nmis=${NMIS:-400}
cat > "$work/inside.sh" <<'END'
count() { awk '/NMI:/ { print $2 }' /proc/interrupts; }
lguest run -v -- sh -c 'while :; do dd if=/dev/zero of=/dev/null bs=1 count=5000 2>/dev/null; done' >/dev/null 2>&1 &
while ! cat /sys/kernel/debug/lguest/*/stats 2>/dev/null | grep -q '^direct_syscalls [0-9]\{5\}'; do sleep 1; done
echo "before $(count)"
sleep "$1"
echo "after $(count)"
grep -E '^(world_switches|direct_syscalls|direct_irets|exit_vector_2|exit_not_entered) ' /sys/kernel/debug/lguest/*/stats
kill %1
wait
END

: > "$work/out"
seconds=$((nmis / 40 + 8))
"$LAB" --timeout 200 --qemu-arg -monitor \
	--qemu-arg "unix:$work/monitor,server,nowait" \
	--with "$work/inside.sh" -- sh /lab/inside.sh "$seconds" > "$work/out" 2> "$work/err" &
lab=$!
for ((i = 0; i < 1500; i++)); do
	grep -q '^before' "$work/out" && break
	kill -0 $lab 2>/dev/null || break
	sleep 0.1
done
perl -e '
	use IO::Socket::UNIX;
	my $s = IO::Socket::UNIX->new(Peer => $ARGV[0]) or exit 1;
	for (1 .. $ARGV[1]) {
		print $s "nmi\n"; $s->flush; select(undef, undef, undef, 0.02);
	}
	sleep 1;' "$work/monitor" "$nmis"
wait $lab
status=$?
sed "s/^/# /" "$work/out" "$work/err"
before=$(awk '$1 == "before" { print $2 }' "$work/out")
after=$(awk '$1 == "after" { print $2 }' "$work/out")
is "A17 the host is well after $nmis NMIs" 0 "$status"
is "A17 NMIs seen by the host are NMIs sent" "$nmis" "$((after - before))"
finish
