#!/bin/bash
# `lguest exec`: commands in a guest that runs. Bytes, statuses, signals and terminals pass;
# whatever the guest, its launcher or our caller do meanwhile, it ends, and says how.
. "$(dirname "$0")/lib/lab.sh"
here=$(dirname "$0")

for name in pty sockets; do
	program "$here/$name.c" "$work/$name" || { not_ok "$name.c compiles"; finish; exit; }
done
# An initrd of somebody else's, and a disk with a system of its own.
mkdir -p "$work/other"
printf '#!/bin/busybox sh\nexec sleep 1000\n' >"$work/other/init"
initrd "$work/other" "$work/other.cpio"
mkdir -p "$work/system"/{bin,sbin,dev,proc,sys,run,tmp,etc,root}
cp "$(command -v busybox)" "$work/system/bin/busybox"
for name in sh mount cat uname sleep tar test mkdir; do ln -s busybox "$work/system/bin/$name"; done
ln -s ../bin/busybox "$work/system/sbin/poweroff"
cat >"$work/system/sbin/init" <<'END'
#!/bin/busybox sh
mkdir -p /dev/pts
mount -t devpts devpts /dev/pts
echo "a system of its own"
while :; do sleep 1; done
END
chmod 755 "$work/system/sbin/init"
mke2fs -q -t ext4 -d "$work/system" "$work/system.img" 16M

script() {
	cat <<'END'
exec </dev/null
x() { lguest exec "$@" 2>/tmp/err; }
why() { sed 's/^lguest: //' /tmp/err; }
lguest run --detach --name one
is "L14 a guest with a name" 0 $?

is "L14 a command's output and status" "$(lguest run -- uname -r) 0" "$(echo $(x one -- uname -r; echo $?))"
x one -- sh -c 'echo wrong >&2; exit 7' >/tmp/out
is "L14 ... its errors come apart, and its status" "7  wrong" "$? $(cat /tmp/out) $(cat /tmp/err)"
x one -- sh -c 'kill -KILL $$'
is "L14 a signal that ends it counts 128 more" 137 $?
x one -- nothing_such
is "L14 a program that is not there: 127" \
	"127 exec: 'nothing_such' does not run in the guest 'one': it cannot be started: No such file or directory" "$? $(why)"
x one -- /etc/passwd
is "L14 one that is no program: 126" 126 $?
is "L14 words stay as they are" "[a  b][][*][\$x]['\"]" "$(x one -- printf '[%s]' 'a  b' '' '*' '$x' "'\"")"
is "L14 variables, here's and given" "1 /root here" \
	"$(HERE=here x --env A=1 --env HERE --env NOT_HERE one -- sh -c 'echo $A $HOME $HERE$NOT_HERE')"
is "L14 a folder" /tmp "$(x --cwd /tmp one -- pwd)"
x --cwd /nowhere one -- true
is "L14 ... that is not there" "126 exec: 'true' does not run in the guest 'one': its folder cannot be entered: No such file or directory" "$? $(why)"
is "L14 a user and a group by number" "uid=5 gid=7" "$(x --user 5:7 one -- id)"
x one -- sh -c 'echo "alice:x:1000:1001::/tmp:/bin/sh" >>/etc/passwd; printf "a:x:1001:\nb:x:9:bob,alice\nc:x:8:alicex\n" >>/etc/group'
is "L14 a user by name, with all groups and a home" "uid=1000(alice) gid=1001(a) groups=9(b) /tmp alice" \
	"$(x --user alice one -- sh -c 'echo $(id) $(pwd) $USER')"
x --user bob one -- true
is "L14 a user who is not there: 126" 126 $?
is "L14 without -i there is no input" "" "$(echo hello | x one -- cat)"
is "L14 with it, to its end" HELLO "$(echo hello | x -i one -- tr a-z A-Z)"
awk 'BEGIN { for (i = 0; i < 256; i++) printf "%c", i }' >/tmp/all
x -i one -- cat </tmp/all >/tmp/back
check "L14 every byte is passed on" cmp /tmp/all /tmp/back
dd if=/dev/urandom of=/tmp/data bs=1M count=20 2>/dev/null
x -i one -- sh -c 'tee /tmp/data' </tmp/data >/tmp/back
is "L14 20 MB there and back at once" "0 $(md5sum </tmp/data)" "$? $(md5sum </tmp/back)"
is "L14 ... and they were there" "$(md5sum </tmp/data)" "$(x one -- md5sum /tmp/data | sed 's,/tmp/data,-,')"
x one -- cat /tmp/data | (sleep 2; md5sum) >/tmp/out
is "L14 a slow reader gets all" "$(md5sum </tmp/data)" "$(cat /tmp/out)"
x one -- sh -c 'rm /tmp/data; head -c 300000 /dev/zero; echo end >&2' | (wait_for 20 grep -q end /tmp/err; wc -c) >/tmp/out
is "L14 errors pass output that nobody reads yet" "300000 end" "$(cat /tmp/out /tmp/err | xargs)"
x one -- sh -c 'sleep 1000 & echo started'
is "L14 what is left in the background is not waited for" 0 $?
for i in $(seq 1 24); do
	(head -c $((i * 10000)) /tmp/data | lguest exec -i one -- sh -c "md5sum; exit $i" >/tmp/many.$i 2>&1
	[ "$? $(cat /tmp/many.$i)" = "$i $(head -c $((i * 10000)) /tmp/data | md5sum)" ] && echo good) &
done >/tmp/goods
wait_for 60 sh -c '[ $(wc -l </tmp/goods) = 24 ]'
is "L14 24 at once, each with its own bytes and status" 24 "$(grep -c good /tmp/goods)"

# Signals.
waiting='trap "exit 5" TERM; trap "echo interrupted" INT; echo up; while :; do sleep 0.1; done'
up() { wait_for 20 grep -q up /tmp/out; }
# A job in the background of a script ignores SIGINT, and exec lets that be: so a pty.
/lab/pty expect:up kill:2 expect:interrupted kill:15 -- lguest exec one -- sh -c "$waiting" >/tmp/out 2>&1
has "L14 SIGINT and SIGTERM are passed on" '^pty: status 5' /tmp/out
head -c 1000000 /dev/zero >/tmp/zeros
background lguest exec -i one -- sh -c "$waiting" </tmp/zeros >/tmp/out 2>&1
up
kill -TERM $pid
wait $pid
is "L14 ... also past input that it does not read" 5 $?
background lguest exec one -- sh -c 'trap "" TERM; echo up; sleep 777' >/tmp/out 2>/tmp/err
up
kill -TERM $pid; sleep 0.1; kill -TERM $pid; sleep 0.1; kill -TERM $pid
wait $pid
is "L14 three signals within a second end exec itself" "119 exec: left the command in 'one', which was hung up" "$? $(why)"
running() { lguest exec one -- pidof "$1" >/dev/null 2>&1; }
gone() { ! lguest exec one -- sh -c "ps | grep -v grep | grep '$1'" >/dev/null 2>&1; }
check "L14 ... and the command gets SIGHUP" wait_for 10 gone 'sleep 777'
background lguest exec one -- sh -c 'echo up; sleep 778' >/tmp/out 2>/tmp/err
up
kill -KILL $pid
wait $pid 2>/dev/null
check "L14 ... as it does when exec is killed" wait_for 10 gone 'sleep 778'
lguest exec one -- yes 2>/tmp/err | head -n 1 >/tmp/out
is "L14 a reader that goes away" "y " "$(cat /tmp/out) $(why)"
check "L14 ... ends the command" wait_for 10 gone yes
x one -- echo text >/dev/full
is "L14 output that is lost is a failure" "1 exec: the output of the command is lost: No space left on device; it was hung up" "$? $(why)"

# Terminals.
/lab/pty expect:'# ' raw: send:'tty; stty size; exit 3\r' -- lguest exec -t one -- sh -i >/tmp/out
has "L14 a terminal" '^/dev/pts/' /tmp/out
has "L14 ... of our size" '^31 97' /tmp/out
has "L14 ... whose status" '^pty: status 3' /tmp/out
has "L14 ... and ours is as before" '^pty: restored' /tmp/out
/lab/pty expect:up size:'33 99' sleep:1 send:'^C' -- lguest exec -t one -- \
	sh -c 'trap "stty size; exit 4" INT; echo up; while :; do sleep 0.1; done' >/tmp/out
has "L14 its new size, and Ctrl-C is the command's" '33 99' /tmp/out
has "L14 ... and that its status" '^pty: status 4' /tmp/out
is "L14 -t without a terminal here" "a tty, 24 80" "$(x -t one -- sh -c 'tty >/dev/null && echo a tty, $(stty size)' | tr -d '\r')"
is "L14 ... with input and its end" "<hello>" "$(echo hello | x -t -i one -- sh -c 'stty -echo; echo "<$(cat)>"' | tr -d '\r' | grep '<')"
lguest stop one
check "L14 nothing is left" no_guest_left
END
}
more() {
	cat <<'END'
exec </dev/null
x() { lguest exec "$@" 2>/tmp/err; }
why() { sed 's/^lguest: //' /tmp/err; }
up() { wait_for 20 grep -q up /tmp/out; }
lguest run --detach --name one

# The guest's other affairs.
consoles=
for i in 1 2 3 4 5 6 7 8; do
	lguest console one </dev/null >/tmp/console.$i 2>&1 & consoles="$consoles $!"
	wait_for 10 test -s /tmp/console.$i
done
is "L14 eight consoles are no hindrance" "good 8" "$(x one -- echo good) $(ls -s /tmp/console.* | grep -vc '^ *0')"
kill $consoles
wait $consoles
background lguest exec one -- sh -c 'echo up; sleep 2; echo late; exit 6' >/tmp/out 2>/tmp/err
up
lguest pause one
lguest exec one -- true 2>/tmp/err2
is "L14 a guest that is paused" "122 lguest: exec: the guest 'one' is paused; \`lguest resume one\` lets it go on" "$? $(cat /tmp/err2)"
lguest resume one
wait $pid
is "L14 what ran when it was paused goes on" "6 late" "$? $(tail -n 1 /tmp/out)"
# A socket beside that of the guest, which it may not reach.
ls -l /run/lguest/one/vsock | cut -c1-10 >/tmp/out
is "L8 only the user may call its agent" srwx------ "$(cat /tmp/out)"
/lab/sockets echo unix:/run/lguest/one/vsock_1000 & helper=$!
x -i one -- sh -c 'cat >/tmp/sockets; chmod +x /tmp/sockets' </lab/sockets
is "L8 the guest calls nobody by it" "connect: Connection reset by peer" "$(x one -- sh -c 'echo x | /tmp/sockets send vsock:1000 2>&1')"
kill $helper; rm -f /run/lguest/one/vsock_1000
background lguest exec one -- sh -c 'echo up; sleep 100' >/tmp/out 2>/tmp/err
up
lguest exec one -- reboot -f >/dev/null 2>&1
wait $pid
is "L14 a restart ends it" "118 exec: the guest 'one' went away before the command ended" "$? $(why)"
is "L14 ... and the next one waits until the guest is up again" good "$(x one -- echo good)"
background lguest exec one -- sh -c 'trap "echo asked; exit 3" TERM; echo up; while :; do sleep 0.1; done' >/tmp/out 2>/tmp/err
up
lguest stop one
wait $pid
is "L14 a shutdown: a command that obeys SIGTERM has its last word" "3 asked" "$? $(tail -n 1 /tmp/out)"
check "L14 ... and nothing is left of the guest" test ! -e /run/lguest/one
x one -- true
is "L14 without a guest: 122" "122 exec: no guest called 'one' runs; \`lguest list\` shows yours" "$? $(why)"
x one
is "L14 without a COMMAND: bad usage" "2 exec: it takes a NAME and a COMMAND, as in \`lguest exec web -- uname -a\`" "$? $(why)"

# Other guests.
/lab/sockets echo unix:/tmp/v_1000 & helper=$!
lguest run --detach --name two --rootfs / --vsock /tmp/v
is "L14 in a --rootfs guest: its root, its own terminal" "$(md5sum </lab/sockets | cut -c1-32) tty" \
	"$(x -t two -- sh -c 'md5sum </lab/sockets | cut -c1-32; tty >/dev/null && echo tty' | tr -d '\r' | xargs)"
is "L14 a guest with a --vsock is called by that, and may call" hello "$(echo hello | x -i two -- /lab/sockets send vsock:1000)"
background lguest exec two -- sh -c 'echo up; sleep 100' >/tmp/out 2>/tmp/err
up
kill -KILL $(lguest list --json | sed -n 's/.*"pid": \([0-9]*\).*/\1/p')
wait $pid
is "L14 a launcher that is killed" "118 exec: the guest 'two' went away before the command ended" "$? $(why)"
kill $helper
lguest run --detach --name three -i /lab/other.cpio
x three -- true
is "L14 with an initrd of its own it has no agent" \
	"122 exec: the guest 'three' has no agent: it has an initrd of its own (-i); lguest's has one" "$? $(why)"
lguest stop --force three
cp /lab/system.img /tmp/disk
lguest run --detach --name four -d /tmp/disk
wait_for 30 sh -c 'lguest logs four | grep -q "system of its own"'
is "L14 in a system on a disk" "/dev/root ext4 tty" "$(x -t four -- sh -c 'cat /proc/mounts | while read d m t r; do [ $m != / ] || echo $d $t; done; [ ! -t 0 ] || echo tty' | tr -d '\r' | sed 's,/dev/vda,/dev/root,' | tail -n 2 | xargs)"
lguest stop --force four
is "L14 a guest without a name has no agent" "0 1" "$(lguest run -- sh -c 'ls /lguest | grep -c agent; test -e /dev/vsock; echo $?' | xargs)"
check "L14 nothing is left" no_guest_left
END
}
inside "bytes" --with "$work/pty" < <(script)
inside "affairs" --with "$work/sockets" --with "$work/other.cpio" --with "$work/system.img" < <(more)
finish
