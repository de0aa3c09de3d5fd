#!/bin/bash
# One program, run on the host and in guests: what it prints must be the same,
# byte for byte.
. "$(dirname "$0")/lib/lab.sh"

mkdir -p "$work/root"
program "$(dirname "$0")/workload.c" "$work/workload" || { not_ok "workload.c compiles"; finish; exit; }
cp "$work/workload" "$work/root/"
cat >"$work/root/init" <<'END'
#!/bin/sh
/bin/busybox mount -t proc proc /proc
/bin/busybox mount -t devtmpfs dev /dev
/bin/busybox mount -t tmpfs tmp /tmp
exec </dev/hvc0 >/dev/hvc0 2>&1
echo; echo "=== begin"
/workload
echo "=== status $?"
dmesg | grep -E 'BUG|Call Trace|Oops|cut here|segfault|traps:|general protection'
echo "=== end"
/bin/busybox poweroff -f
END
sed -i 's,dmesg,/bin/busybox dmesg,; s,| grep,| /bin/busybox grep,' "$work/root/init"
initrd "$work/root" "$work/initrd"

script() {
	cat <<'END'
run() { lguest run -i initrd -p 'quiet loglevel=1' --time-limit 120 >/tmp/$1.out 2>/tmp/$1.err; echo $? >/tmp/$1.status; }
mine() { sed -n '/^=== begin/,/^=== status/p' /tmp/$1.out | sed '1d;$d'; }
compare() {	# NAME WHICH
	mine $2 >/tmp/$2.mine
	if cmp -s /tmp/native /tmp/$2.mine; then ok "$1"; else
		not_ok "$1"
		diff -u /tmp/native /tmp/$2.mine
		show /tmp/$2.out 10
		show /tmp/$2.err
	fi
	is "I3 its guest powers off with 0" 0 "$(cat /tmp/$2.status)"
	is "J4 nothing of it in the guest's log" "" \
		"$(sed -n '/^=== status/,/^=== end/p' /tmp/$2.out | sed '/^===/d')"
}
./workload >/tmp/native 2>&1
is "J4 the program runs on the host" "0 workload done" "$? $(tail -n 1 /tmp/native)"
END
}

inside "max" --cpu max --with "$work/workload" --with "$work/initrd" < <(
	script
	cat <<'END'
begin=$(now)
run one
compare "J4 C10 D9 I1 guest and host print the same" one
echo "the guest took $(difference "$begin" "$(now)") s"
sed 's/^/native: /' /tmp/native
END
)

inside "2 CPUs" --cpu max --smp 2 --with "$work/workload" --with "$work/initrd" < <(
	script
	cat <<'END'
run one &
run two &
./workload >/tmp/beside 2>&1
wait
check "C10 the host's own run beside two guests" cmp /tmp/native /tmp/beside
compare "J4 C10 the first of two guests at once" one
compare "J4 C10 the second of two guests at once" two
END
)

inside "KPTI, one CPU" --cpu Skylake-Client --append pti=on --with "$work/workload" --with "$work/initrd" < <(
	script
	cat <<'END'
run one &
run two
wait
compare "J4 C10 the first of two guests on one CPU" one
compare "J4 C10 the second of two guests on one CPU" two
END
)

finish
