#!/bin/bash
# A memory error that a guest meets in its RAM (recoverable, action required) is the end
# of its launcher, not of the host. QEMU raises it, when the host's CPU is seen
# to run a guest's user: for the page that its stack is in.
. "$(dirname "$0")/../ktap.sh"

cat > "$work/inside.sh" <<'END'
mkfifo /tmp/in
lguest run -m 96M -- sh -c 'echo up; read line; echo "heard $line"' </tmp/in >/tmp/other 2>&1 &
exec 3>/tmp/in
while ! grep -q up /tmp/other; do sleep 0.2; done
lguest run -m 96M -- sh -c 'echo up; while :; do :; done' >/tmp/struck 2>&1 </dev/null &
struck=$!
while ! grep -q up /tmp/struck; do sleep 0.2; done
echo ready
wait $struck
echo "struck $?"
echo hello >&3
wait
echo "other $(tail -n 1 /tmp/other | tr -d '\r')"
dmesg | grep -E 'Hardware Error|Memory failure' | tail -n 8
END

# Stops the machine until its CPU is found in a guest's user, and strikes there.
strike() {
	perl -e '
	use IO::Socket::UNIX;
	my $s = IO::Socket::UNIX->new(Peer => $ARGV[0]) or exit 1;
	my $said = "";
	sub ask {	# until the next prompt
		print $s "$_[0]\n"; $s->flush;
		$said = "";
		while ($said !~ /\(qemu\) \Z/) { sysread $s, $said, 4096, length $said or exit 1; }
		return $said;
	}
	$said = ""; while ($said !~ /\(qemu\) \Z/) { sysread $s, $said, 4096, length $said or exit 1; }
	my $end = time + 60;
	while (time < $end) {
		ask("stop");
		my $r = ask("info registers");
		# our table of interrupts, ring 3, a rip of the lower half
		if ($r =~ /CPL=3/ && $r =~ /IDT= *ffff8000/ && $r =~ /RIP=0000/ && $r =~ /RSP=(0000\w+)/) {
			if (ask("gva2gpa 0x$1") =~ /gpa: (0x\w+)/) {
				ask("mce 0 9 0xbd80000000000134 0xf $1 0x8c");
				ask("cont");
				print "struck";
				exit;
			}
		}
		ask("cont");
		select undef, undef, undef, 0.01 + rand 0.02;
	}' "$work/monitor"
}

"$LAB" --timeout 150 --qemu-arg -monitor --qemu-arg "unix:$work/monitor,server,nowait" \
	--host general --cpu Skylake-Client --append pti=on \
	--with "$work/inside.sh" -- sh /lab/inside.sh < /dev/null > "$work/out" 2> "$work/err" &
lab=$!
for ((i = 0; i < 1200; i++)); do
	grep -q '^ready' "$work/out" && break
	kill -0 $lab 2>/dev/null || break
	sleep 0.1
done
is "AT-84 the error strikes a guest's user" struck "$(strike)"
wait $lab
is "AT-84 the host is well" 0 $?
sed 's/^/# /' "$work/out" "$work/err"
is "AT-84 its launcher ends by SIGBUS" "struck $((128 + 7))" "$(grep '^struck' "$work/out")"
is "AT-84 another guest hears and answers" "other heard hello" "$(grep '^other' "$work/out")"
finish
