#!/bin/bash
# A 32-bit program in a 64-bit guest: system calls, traps, a descriptor of its own,
# signals, timers, 64-bit code in the midst; and one with a C library, by its loader. They
# print what they print on the host. L11, I8.
. "$(dirname "$0")/lib/lab.sh"

gcc -m32 -nostdlib -static -ffreestanding -fno-pic -no-pie -fno-stack-protector -mno-sse \
	-fcf-protection=none -O1 -Wall -Wextra -Werror -o "$work/ia32" "$(dirname "$0")/ia32.c" ||
	{ not_ok "ia32.c compiles"; finish; exit; }
# The same with a C library, its loader, and another library that comes later: Debian's.
read -r -d '' -a debs < <("$top/lab/fetch-package" -s bookworm libc6-i386 libc6-dev-i386 lib32gcc-12-dev lib32gcc-s1)
for deb in "${debs[@]}"; do dpkg-deb -x "$deb" "$work/libc"; done
libc=$work/libc/usr/lib32
mkdir "$work/dynamic"
cp "$work/libc/lib32/"*.so.[0-9] "$libc"/libgcc_s.so.1 "$work/dynamic/"
gcc -m32 -nostdlib -isystem /usr/include/x86_64-linux-gnu \
	-isystem "$work/libc/usr/include/x86_64-linux-gnu" -O1 -Wall -Wextra -Werror \
	-fcf-protection=none -no-pie -fno-pic -Wl,--dynamic-linker=/lib/ld-linux.so.2 \
	-o "$work/dynamic/program" "$libc"/crt1.o "$libc"/crti.o "$(dirname "$0")/ia32_dynamic.c" \
	"$work"/dynamic/lib{c,pthread,dl}.so.[0-9] "$work"/libc/usr/lib/gcc/x86_64-linux-gnu/12/32/libgcc.a \
	"$libc"/libc_nonshared.a "$libc"/crtn.o ||
	{ not_ok "ia32_dynamic.c compiles"; finish; exit; }

# Beside 64-bit programs that compute, and make system calls.
cat >"$work/beside" <<'END'
where=/mnt/share
. $where/call
while :; do :; done &
while :; do cat /proc/stat >/dev/null; done &
for i in 1 2 3 4 5 6 7 8 9 10; do
	/mnt/share/ia32 || echo "status $?"
done
dynamic || echo "status $?"
END
cat >"$work/call" <<'END'
dynamic() { $where/dynamic/ld-linux.so.2 --library-path $where/dynamic $where/dynamic/program; }
END

for options in '' '--cpu Skylake-Client,umip=on --append pti=on'; do
	# shellcheck disable=SC2086
	inside "${options:-max}" $options --with "$work/ia32" --with "$work/dynamic" \
		--with "$work/call" --with "$work/beside" <<'END'
where=/lab
. ./call
./ia32 >/tmp/host
is "L11 it runs on the host" 0 $?
is "L11 ... to its end" 22 "$(wc -l </tmp/host)"
dynamic >/tmp/dynamic
is "L11 a dynamic one runs on the host" 0 $?
is "L11 ... to its end, too" "7 processes" "$(wc -l </tmp/dynamic) $(tail -n 1 /tmp/dynamic | cut -d: -f1)"
for i in 1 2 3 4 5 6 7 8 9 10; do cat /tmp/host; done >/tmp/wanted
lguest run --share /lab,ro -- sh /mnt/share/beside >/tmp/guest 2>/tmp/err
is "L11 D9 I8 ten times the same in a guest, beside 64-bit programs" "" "$(head -n 220 /tmp/guest | diff /tmp/wanted -)"
is "L11 ... and of the dynamic one" "" "$(tail -n +221 /tmp/guest | diff /tmp/dynamic -)"
show /tmp/err
check "L11 nothing is left" no_guest_left
END
done
finish
