#!/bin/bash
# Sockets between guest and host: bytes arrive as they were sent, both ways, and
# every way to fail is an error for the one connection.
. "$(dirname "$0")/lib/lab.sh"

program "$(dirname "$0")/sockets.c" "$work/sockets" || { not_ok "sockets.c compiles"; finish; exit; }

# The program comes along as a disk.  A second disk says whether this is the
# first boot: the sockets must work in the second as well.
cat >"$work/vsock-guest" <<'END'
cat /dev/vda >/tmp/sockets
chmod +x /tmp/sockets
cd /tmp
if [ "$(head -c 5 /dev/vdb)" != again ]; then
	echo "first: $(echo hello | ./sockets send vsock:1000)"
	printf again | dd of=/dev/vdb conv=notrunc,fsync 2>/dev/null
	reboot -f
	sleep 60
fi
head -c 4000000 /dev/urandom >data
./sockets send vsock:1000 <data >back
cmp data back && echo "echo: same"
echo "data: $(md5sum <data)"
./sockets send vsock:1002 <data && echo "late: sent"
echo "refused: $(echo x | ./sockets send vsock:7777)"
echo "many: $(./sockets many vsock:1000 50 20000)"
echo "early: $(./sockets send vsock:1001 <data)"
echo "limit: $(./sockets hold vsock:1000 300)"
# A place is free again when the host's end of its connection has been closed, too.
until [ "$(./sockets hold vsock:1000 200)" = "200 of 200" ]; do :; done
echo "after: $(echo hello | ./sockets send vsock:1000)"
./sockets echo vsock:2000 &
./sockets early vsock:2001 &
sleep 0.5
echo serving
read -r go
echo "end: $(echo hello | ./sockets send vsock:1000)"
dmesg | grep -E 'BUG|Oops|cut here'
exit 0
END

script() {
	cat <<'END'
dd if=/lab/sockets of=/tmp/program.img bs=4096 conv=sync 2>/dev/null
rm -f /tmp/v /tmp/v_*
truncate -s 1M /tmp/flag.img
/lab/sockets echo unix:/tmp/v_1000 & helpers=$!
/lab/sockets early unix:/tmp/v_1001 & helpers="$helpers $!"
/lab/sockets late unix:/tmp/v_1002 >/tmp/late & helpers="$helpers $!"
head -c 4000000 /dev/urandom >/tmp/data

mkfifo /tmp/in
lguest run -v --vsock /tmp/v -d /tmp/program.img,ro -d /tmp/flag.img -- sh -c "$(cat /lab/vsock-guest)" \
	</tmp/in >/tmp/out 2>/tmp/err & pid=$!
exec 3>/tmp/in
wait_for 120 grep -q serving /tmp/out
said() { sed -n "s/^$1: //p" /tmp/out; }
is "L10 4 MB from the guest and back" same "$(said echo)"
is "L10 a reader that comes late gets all, and the guest waits for it" "sent $(said data)" \
	"$(said late) $(md5sum </tmp/late)"
is "L10 a port that nobody serves is refused" "connect: Connection reset by peer" "$(said refused)"
is "L10 50 connections at once, 20 KB each" "50 of 50" "$(said many)"
is "L10 a program that closes early: its last words arrive" "bye" "$(said early)"
is "L10 the 257th connection is refused" "256 of 300" "$(said limit)"
is "L10 ... and all of them come back" hello "$(said after)"
is "L10 K12 the same before a restart of the guest" hello "$(said first)"

/lab/sockets send call:/tmp/v:2000 </tmp/data >/tmp/back
check "L10 4 MB from the host and back" cmp /tmp/data /tmp/back
is "L10 a guest that closes early: its last words arrive" bye "$(/lab/sockets send call:/tmp/v:2001 </tmp/data | head -n 1)"
is "L10 20 calls at once to the guest" "20 of 20" "$(/lab/sockets many call:/tmp/v:2000 20 20000)"
is "L10 a port that the guest does not serve is refused" "connect: Connection reset by peer" \
	"$(/lab/sockets send call:/tmp/v:2002 </dev/null)"
for bad in 'HELLO' 'CONNECT' 'CONNECT x' 'CONNECT 2000 ' 'CONNECT 11111111111111111111111111111111111'; do
	is "L10 '$bad' is no greeting" "recv: Connection reset by peer" "$(echo "$bad" | timeout 10 /lab/sockets send unix:/tmp/v 2>&1)"
done
is "L8 only the user may call" "srwx------" "$(ls -l /tmp/v | cut -c1-10)"
lguest run --vsock /tmp/v -- true >/tmp/out2 2>/tmp/err2
is "K1 a socket in use is refused" 122 $?
has "K1 ... with a sentence" '^lguest: cannot use the socket /tmp/v: another guest' /tmp/err2
lguest run --vsock /tmp/data -- true >/tmp/out2 2>/tmp/err2
is "K1 a file is no socket, and stays" "122 4000000" "$? $(stat -c %s /tmp/data)"
has "K1 ... with a sentence" '^lguest: cannot use the socket /tmp/data: it is there' /tmp/err2
seccomp() { sed -n 's/^Seccomp:\t//p' /proc/$1/status; }
is "L8 the keeper of the door is confined" 2 "$(seccomp "$(pidof vsock-door)")"
echo go >&3
exec 3>&-
wait $pid
is "L10 the guest ends well, after all that" "0 hello" "$? $(said end)"
is "L10 its kernel does not complain" "" "$(sed -n '/^end: /,$p' /tmp/out | sed 1d)"
hasnt "K13 the stock driver breaks no rule" 'bad driver' /tmp/err
wait_for 5 test ! -e /tmp/v
check "L10 the socket is gone with its guest" test ! -e /tmp/v
check "L10 the keeper of the door is, too" sh -c '! pidof vsock-door'

background lguest run --vsock /tmp/v -- sh -c 'echo up; sleep 100' </dev/null >/tmp/out 2>&1
wait_for 60 grep -q up /tmp/out
kill -KILL $pid
wait $pid
wait_for 5 test ! -e /tmp/v
check "L10 ... also when it is killed" sh -c '! test -e /tmp/v && ! pidof vsock-door'
kill $helpers
rm /tmp/in
check "L10 nothing is left" no_guest_left
END
}

inside "one CPU" --with "$work/sockets" --with "$work/vsock-guest" < <(script)

finish
