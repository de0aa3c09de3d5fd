#!/bin/bash
# All random tests of tests/micro side by side, on a host with two CPUs and page
# table isolation, while its CPUs go and come, its memory is merged and swapped, NMIs strike, launchers are traced, and stock guests are killed while
# they boot. In the end the host is well, and nothing is left.
#
#	HOSTILE_SECONDS=n	how long; 60 if not set. `make soak` is this.
#
# What fails says its SEED; see tests/micro/fuzz.c for how to repeat it.
. "$(dirname "$0")/lib/lab.sh"

seconds=${HOSTILE_SECONDS:-60}
micro=$built/tests/micro
# shellcheck disable=SC2206
host=($(sed -n 's/^host[[:space:]]*kpti2[[:space:]]*//p' "$top/tests/tests.conf"))
make --no-print-directory -s -C "$top/tests/micro" O="$micro" || exit

cat >"$work/inside" <<'END'
. ./inside.sh
seconds=$1
export SIDE_BY_SIDE=yes
cd /lab/micro

left() { [ $(date +%s) -lt $end ]; }
# A word of a name for each, so that no other test has it.
kinds() { ./run -l fuzz: | sed 's/^[^ ]*: //'; }
storms='AT-13 breakpoints
AT-13 AT-02 the launcher is traced
C12 fault addresses
C6 AT-18
A6 AT-18
F10 L5 pages of a running guest are merged
F10 L5 pages of a running guest are swapped
F10 L5 huge pages
E2 E5 a storm of interrupts
C13 C14 a vCPU
AT-17 no wake-up
AT-88 IPIs of all
AT-17 HALT against IPIs
AT-17 WAIT against KICKs
AT-88 IPIs against entries
AT-89 siblings write
AT-87 SIGKILL while all
AT-86 after FLUSH_MULTI
AT-86 nor after a flush
AT-86 2 MiB and 4 KiB
AT-86 what the kernel maps
AT-85 a space that'

all_kinds() {	# SECONDS
	pids=
	while read -r name; do
		FUZZ_SECONDS=$1 KILLS=1 ./run "$name" &
		pids="$pids $!"
	done </tmp/kinds
	wait $pids
}

one_storm_after_another() {
	while left; do
		while read -r name; do
			! left || ./run "$name"
		done </tmp/storms
	done
}

stock_guests_killed() {
	n=0
	while left; do
		lguest run -m 96M -c $((n % 4 + 1)) -- true >/tmp/guest.out 2>&1 </dev/null &
		pid=$!
		usleep $(($(od -An -N3 -tu4 /dev/urandom) % 6000000))
		kill -9 $pid
		wait $pid
		n=$((n + 1))
	done
	echo "# fuzz: stock guests killed: $n cases, $n guests"
}

# Four processes on four vCPUs, of which two go and come back: all their sums are right.
four_vcpus() {
	exec lguest run -m 128M -c 4 -- sh -c '
		all=/sys/devices/system/cpu
		sum=$(seq 1000 | md5sum)
		for i in 1 2 3 4; do
			while :; do [ "$(seq 1000 | md5sum)" = "$sum" ] && echo right || echo wrong; done &
		done
		while :; do for state in 0 1; do for cpu in 2 3; do
			echo $state >$all/cpu$cpu/online; sleep 0.$((RANDOM % 90 + 10))
		done; done; echo "online $(cat $all/online)"; done' >/tmp/four.out 2>&1 </dev/null
}

used() { for k in SUnreclaim PageTables KernelStack Percpu; do meminfo $k; done |
	awk '{ sum += $1 } END { print sum }'; }
few_more() { echo 3 >/proc/sys/vm/drop_caches; [ $(($(nameless) - pages)) -lt 2048 ]; }
no_user() { [ "$(cat /sys/module/lg/refcnt)" = 0 ]; }

kinds >/tmp/kinds
echo "$storms" >/tmp/storms
end=$(($(date +%s) + 2))
all_kinds 1 >/dev/null 2>&1		# fills the host's own caches
# A RAM disk keeps what was ever written to it: all of it now, not later.
dd if=/dev/zero of=/dev/ram0 bs=1M 2>/dev/null
mkswap /dev/ram0 >/dev/null
swapon /dev/ram0
swapoff /dev/ram0
free_memory >/dev/null		# settles
pages=$(nameless) used=$(used) files=$(cut -f1 /proc/sys/fs/file-nr)
echo '# begin'
end=$(($(date +%s) + seconds))
one_storm_after_another &
others=$!
stock_guests_killed &
others="$others $!"
four_vcpus &
four=$!
all_kinds "$seconds"
wait $others
# It may have had no turn until now.
many() { [ $(grep -c right /tmp/four.out) -gt 20 ] && grep -q online /tmp/four.out; }
check "L1 a guest with four vCPUs has worked beside all that" wait_for 60 many
many || show /tmp/four.out
echo "# fuzz: four vCPUs at work: $(grep -c right /tmp/four.out) cases, 1 guests"
kill $four
wait $four
echo '# end'
hasnt "L1 ... no sum is wrong, no trouble is told" \
	'wrong|lguest: .*(panic|killed)|BUG:|WARNING|stall' /tmp/four.out
is "L1 ... they came back, each time" "online 0-3" "$(tr -d '\r' </tmp/four.out | grep online | sort -u)"
check "AT-59 nobody uses the module any more" wait_for 5 no_user
is "AT-59 no guest is left in debugfs" "" "$(ls -d /sys/kernel/debug/lguest/[0-9]* 2>/dev/null)"
swapoff /dev/ram0 2>/dev/null
wait_for 10 few_more
between "AT-59 AT-54 pages without a name are back (KiB)" -1000000 2048 $(($(nameless) - pages))
between "AT-59 AT-54 kernel memory is back (KiB)" -1000000 2048 $(($(used) - used))
between "AT-59 AT-54 open files are back" -1000 32 $(($(cut -f1 /proc/sys/fs/file-nr) - files))
END

: >"$work/out"
{ "$LAB" --timeout $((seconds + 240)) "${host[@]}" \
	--qemu-arg -monitor --qemu-arg "unix:$work/monitor,server,nowait" \
	--with "$lib/inside.sh" --with "$work/inside" --with "$micro" -- \
	sh ./inside "$seconds" </dev/null 2>"$work/err"
  echo $? >"$work/status"; } | sed -u 's/\r//' | tee "$work/out" | sed -u 's/^/# /' &
lab=$!

# Ten NMIs a second, as long as the rest goes on.
perl -e '
	use IO::Socket::UNIX;
	$SIG{PIPE} = sub { exit 0 };
	my ($socket, $out) = @ARGV;
	sub said { open(my $f, "<", $out); grep { $_ eq "# $_[0]\n" } <$f> }
	for (1 .. 1200) { last if said("begin"); select(undef, undef, undef, 0.1); }
	my $s = IO::Socket::UNIX->new(Peer => $socket) or exit 1;
	my $n = 0;
	until ($n % 20 == 0 && said("end")) {
		print $s "nmi\n"; $s->flush; $n++;
		select(undef, undef, undef, 0.1);
	}
	print "# fuzz: NMIs: $n cases, 0 guests\n";' "$work/monitor" "$work/out" >"$work/nmis" &
wait $lab
cat "$work/nmis"

while IFS= read -r line; do
	case $line in
	'ok '*) ok "${line#ok * - }" ;;
	'not ok '*) not_ok "${line#not ok * - }" ;;
	'@ok '*) ok "${line#@ok }" ;;
	'@not ok '*) not_ok "${line#@not ok }" ;;
	esac
done < <(sed -n '/^# begin/,$p' "$work/out")
sed 's/^/# /' "$work/err" | tail -n 120
echo "# totals in $seconds s:"
sed -n 's/^# fuzz: \(.*\): \([0-9]*\) cases, \([0-9]*\) guests.*/\2 \3 \1/p' "$work/out" "$work/nmis" |
	sort -k3 | awk '{ n = $1; g = $2; $1 = $2 = ""; printf "#   %-60s %10d cases %8d guests\n", $0, n, g }'
is "AT-49 AT-59 the host is well after $seconds s of it" 0 "$(cat "$work/status")"
finish
