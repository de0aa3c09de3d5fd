#!/bin/bash
# The Switcher's paths, counted instruction by instruction, against what
# docs/SPECIFICATION.md promises. The emulator logs each instruction it runs in
# slot 256 (on a 5-level host, which -cpu max is), from when the host is up: it
# is the slower for it.
. "$(dirname "$0")/../ktap.sh"
top=$(cd "$(dirname "$0")/../.." && pwd)

make -s -C "$top/tests/micro" O="$work/micro" >&2 || exit 1
mkfifo "$work/go"
LAB_SLOW=4 "$LAB" --cpu max --timeout 150 --qemu-arg -monitor \
	--qemu-arg "unix:$work/monitor,server,nowait" \
	--qemu-arg -dfilter --qemu-arg 0xff00000000000000+0x2000 \
	--qemu-arg -D --qemu-arg "$work/log" --with "$work/micro" -- \
	sh -c 'cd /lab/micro && echo ready && read go && ./run "1000 loads" "D11 system calls"' \
	< "$work/go" > "$work/out" 2>&1 &
lab=$!
exec 9> "$work/go"
until grep -q '^ready' "$work/out" || ! kill -0 $lab 2>/dev/null; do sleep 0.1; done
perl -e '
	use IO::Socket::UNIX;
	alarm 60;
	my $s = IO::Socket::UNIX->new(Peer => shift) or exit 1;
	$s->autoflush;
	print $s "$_\n" for @ARGV, "info status";
	my $said = "";
	1 while $said !~ /VM status/ && sysread($s, $said, 4096, length $said);
	exit $said !~ /VM status/;' "$work/monitor" "singlestep on" "log exec,nochain"
is "the emulator can be asked to log" 0 $?
echo go >&9
exec 9>&-
wait $lab
is "the guests whose switches are counted pass" 0 $?
sed 's/^/# /' "$work/out"
nm "$top/host/switcher.o" > "$work/symbols"
perl "$top/tests/system/lib/insns.pl" "$work/symbols" "$work/log" > "$work/counts"
sed 's/^/# /' "$work/counts"
for path in direct_syscall direct_iret direct_cr3 to_guest trap_to_host syscall_to_host; do
	promised=$(sed -n "s/^| \`$path\`[^|]*| \([0-9]*\) |.*/\1/p" "$top/docs/SPECIFICATION.md")
	read -r _ _ most times < <(grep "^$path " "$work/counts")
	if [ "${times:-0}" -ge 100 ] && [ "$most" -le "${promised:-0}" ]; then
		ok "$path takes at most $promised instructions"
	else
		not_ok "$path takes at most $promised instructions"
		echo "# it took $most, $times times"
	fi
done
finish
