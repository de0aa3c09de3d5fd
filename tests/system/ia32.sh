#!/bin/bash
# A 32-bit program in a 64-bit guest: system calls, traps, a descriptor of its own,
# signals, timers, 64-bit code in the midst. It prints what it prints on the host. L11, I8.
. "$(dirname "$0")/lib/lab.sh"

gcc -m32 -nostdlib -static -ffreestanding -fno-pic -no-pie -fno-stack-protector -mno-sse \
	-fcf-protection=none -O1 -Wall -Wextra -Werror -o "$work/ia32" "$(dirname "$0")/ia32.c" ||
	{ not_ok "ia32.c compiles"; finish; exit; }
# Beside 64-bit programs that compute, and make system calls.
cat >"$work/beside" <<'END'
while :; do :; done &
while :; do cat /proc/stat >/dev/null; done &
for i in 1 2 3 4 5 6 7 8 9 10; do
	/mnt/share/ia32 || echo "status $?"
done
END

for options in '' '--cpu Skylake-Client,umip=on --append pti=on'; do
	# shellcheck disable=SC2086
	inside "${options:-max}" $options --with "$work/ia32" --with "$work/beside" <<'END'
./ia32 >/tmp/host
is "L11 it runs on the host" 0 $?
is "L11 ... to its end" 22 "$(wc -l </tmp/host)"
for i in 1 2 3 4 5 6 7 8 9 10; do cat /tmp/host; done >/tmp/wanted
lguest run --share /lab,ro -- sh /mnt/share/beside >/tmp/guest 2>/tmp/err
is "L11 D9 I8 ten times the same in a guest, beside 64-bit programs" "" "$(diff /tmp/wanted /tmp/guest)"
show /tmp/err
check "L11 nothing is left" no_guest_left
END
done
finish
