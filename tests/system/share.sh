#!/bin/bash
# Folders of the host in a guest: what works, what is refused, and that nothing
# leads out of them; and the host's own root as the guest's.
. "$(dirname "$0")/lib/lab.sh"

program "$(dirname "$0")/share.c" "$work/tool"

# The share holds the tool; a restart comes in between.
cat >"$work/use" <<'END'
cd /mnt/rw || exit
say() { echo "$1: $(eval "$2" 2>&1 | tr '\n' ' ')"; }
if [ ! -e restarted ]; then
	say read 'cat file'
	say list 'ls many | wc -l; ls many | md5sum; ls -l many | grep -c root'
	say remove 'rm -rf full && echo all'
	say sum 'md5sum <big'
	dd if=big of=copy bs=1M conv=fsync 2>/dev/null
	cp -a tree tree2
	echo one >made; echo two >>made
	say append 'cat made'
	mkdir -p a/b/c; echo x >a/b/x; mv a/b/x a/b/c/y; mv a/b d
	say rename 'find a d | sort'
	mv file file2; rm file2; rmdir a
	say unlink 'ls file file2 a 2>&1 | wc -l'
	ln -s made soft; ln made hard
	say links 'readlink soft; stat -c %h made; cat hard'
	chmod 640 made; say mode 'stat -c %a made'
	chmod 4755 tree; say setuid 'stat -c %a tree'
	chown 1000:1001 made; say owner 'stat -c %u:%g made'
	touch -d '2001-02-03 04:05:06' made; say time 'stat -c %Y made'
	truncate -s 5000 long; truncate -s 3 made
	say truncate 'stat -c %s long; cat made; wc -c <long'
	say mmap './tool mmap mapped'
	(umask 0; mkdir open; umask 077; echo >closed); say umask 'stat -c %a open closed'
	mkfifo pipe; (echo through >pipe &); say pipe 'timeout 60 cat pipe'
	say hole 'echo end | dd of=holes bs=1M seek=8 2>/dev/null; stat -c %b holes'
	say full 'df . | tail -n 1 | grep -c ^rw'
	touch restarted
	reboot -f
	sleep 60
fi
say after 'cat hard'

cd /mnt/ro
say ro-read 'cat file'
say ro-write 'echo no >new; echo no >>file; rm file; mkdir d; mv file x; chmod 777 file; touch file; ln file y'
say ro-left 'ls; cat file'
umount /mnt/ro; mount -t virtiofs -o ro ro /mnt/ro; say ro-again 'cat /mnt/ro/file'

cd /mnt/rw
say escape-dots 'ls ../secret ../../tmp/secret'
say escape-absolute 'cat absolute | grep -c alice; echo bad >>absolute'
say escape-relative 'cat relative; echo bad >relative'
say escape-folder 'ls slash/lab 2>&1 | grep -c script'
say escape-hard './tool link absolute hardlink; ln /etc/passwd away'
say escape-node 'mknod null c 1 3; mknod disk b 7 0; ls null disk | wc -l'
say escape-device 'echo gone >sink; cat zero | head -c 3 | wc -c'
say many './tool open made 500'

cd moving
touch ../go
until [ -e /mnt/rw/moved ]; do sleep 0.2; done
say escape-moved 'cat later; ls ../secret ../moved; echo bad >bad; mkdir bad'
cd ..
sleep 1.2
say escape-swapped 'grep -c alice moving/passwd; echo bad >moving/bad'
END

cat >"$work/in-root" <<'END'
echo "where: $(pwd) $(id -u)"
echo "proc: $(cat /proc/1/comm) $(ls /sys | grep -c class) $(ls /dev/hvc0)"
echo "program: $(lguest version)"
echo bad >/etc/passwd; rm -r /home; mkdir /new; echo new >/new/file
echo "mine: $(cat /new/file /etc/passwd)"
ping -c 1 -W 1 127.0.0.1 >/dev/null && echo network
cd /mnt/share
echo guest >by-guest; mkdir folder
chown 0:0 by-guest 2>/dev/null || echo "owner: $(stat -c %u by-guest)"
sh build; echo "built: $(cat *.o | md5sum)"
echo "rw: $(cat "/tmp/alice/it's rw/before"; echo after >"/tmp/alice/it's rw/after"; echo x >"/tmp/alice/it's rw/not" 2>&1)"
# The share without what our /init makes of it, as the guest's kernel has it.
mkdir /raw; mount -t virtiofs -o ro lguest-root /raw
(cd /raw/home/alice
echo "listed: $(ls -a . /home/alice | grep -c -e ssh -e private -e hard)"
echo "gone: $(cat .ssh/id hard private /home/alice/hard /etc/shadow /raw/etc/shadow 2>&1 | grep -c 'No such file')"
echo "shown: $(cat .netrc)")
echo "secret: $(cat secret 2>&1; cat by-alice)"
exit 7
END

inside "one CPU" --with "$work/use" --with "$work/tool" <<'END'
answer() { sed -n "s/^$1: //p" /tmp/out | sed 's/ *$//'; }
mkdir -p /tmp/rw/many /tmp/rw/moving /tmp/rw/tree /tmp/ro
cd /tmp/rw
echo content >file; cp file ../ro/file; echo secret >/tmp/secret
for i in $(seq 1000); do : >many/entry-$i; done
cp -a many full
head -c 33554432 /dev/urandom >big
cp -a /etc /sbin tree/
ln -s /etc/passwd absolute; ln -s ../secret relative; ln -s / slash
mknod sink c 1 3; mknod zero c 1 5
cp /lab/tool tool
passwd=$(md5sum </etc/passwd)

lguest run -v --share /tmp/rw:rw --share /tmp/ro:ro,ro -- sh -c "$(cat /lab/use)" >/tmp/out 2>/tmp/err &
pid=$!
gone() { [ -e go ] || ! kill -0 $pid; }
wait_for 1000 gone
mv moving /tmp/outside
echo later >/tmp/outside/later
ln -s /etc moving
touch moved
wait $pid
status=$?
is "L10 a guest with two shares ends well" 0 $status
[ $status = 0 ] || show /tmp/err
is "L10 a file is read" content "$(answer read)"
is "L10 a folder of 1000 entries" "1000 $(ls many | md5sum) 1000" "$(answer list)"
is "L10 ... is removed with all that is in it" "all" "$(answer remove)$(ls full 2>/dev/null | wc -l | grep -v '^0')"
is "L10 32 MiB are read" "$(md5sum <big)" "$(answer sum)"
check "L10 32 MiB are written" cmp big copy
check "L10 a tree is copied" diff -r tree tree2
is "L10 a file is appended to" "one two" "$(answer append)"
is "L10 rename, across folders and of folders" "a d d/c d/c/y" "$(answer rename)"
is "L10 unlink, rmdir" 3 "$(answer unlink)"
is "L10 symbolic and hard links" "made 2 one two" "$(answer links)"
is "L10 chmod" 640 "$(answer mode)"
is "L10 set-user-ID bits are not set on the host" "755 755" "$(answer setuid) $(stat -c %a tree)"
is "L10 chown, of a launcher that is root" "1000:1001 1000:1001" \
	"$(answer owner) $(stat -c %u:%g made)"
is "L10 times" "981173106 or so" "$(answer time | grep -qx 9811[0-9]* && echo 981173106 or so)"
is "L10 truncate, both ways" "5000 one5000" "$(answer truncate)"
is "L10 a shared mapping" mapped "$(answer mmap)"
is "L10 ... is in the host's file" "mmmmmacross the pageswritten" \
	"$(dd if=mapped bs=1 skip=4085 count=21 2>/dev/null)$(dd if=mapped bs=1 skip=8192 count=7 2>/dev/null)"
is "L10 the guest's umask counts, ours does not" "777 600" "$(answer umask)"
is "L10 a pipe works within the guest" through "$(answer pipe)"
between "L10 a file with a hole takes little room" 1 64 "$(answer hole)"
is "L10 statfs" 1 "$(answer full)"
is "L10 K12 the share is there after a restart" one "$(answer after)"
is "L10 a read-only share is read" content "$(answer ro-read)"
is "L10 ... and refuses eight ways to write" 8 "$(answer ro-write | grep -o 'Read-only file system' | wc -l)"
is "L10 ... and is untouched" "file content file content" "$(answer ro-left) $(ls ../ro) $(cat ../ro/file)"
is "L10 ... also mounted again" content "$(answer ro-again)"
is "L10 escape: .." 2 "$(answer escape-dots | grep -o 'No such file' | wc -l)"
is "L10 escape: an absolute symbolic link is the guest's own" 0 "$(answer escape-absolute)"
is "L10 ... the host's /etc/passwd is the same" "$passwd" "$(md5sum </etc/passwd)"
is "L10 escape: a symbolic link through .." "secret 1" \
	"$(cat /tmp/secret) $(answer escape-relative | grep -c 'No such file')"
is "L10 escape: a symbolic link to /" 0 "$(answer escape-folder)"
is "L10 escape: a hard link to a link is the link" "symbolic link 1" \
	"$(stat -c %F hardlink) $(answer escape-hard | grep -c -i cross-device)"
is "L10 escape: device nodes cannot be made" "2 0" "$(answer escape-node |
	grep -o 'Operation not permitted' | wc -l) $(ls null disk 2>/dev/null | wc -l)"
is "L10 escape: device nodes are the guest's devices" 3 "$(answer escape-device)"
has "L10 500 files are open at once" '^many: 500 ' /tmp/out
is "L8 L10 escape: a folder that was moved away takes nothing along" "moved 3 later" \
	"$(answer escape-moved | grep -o '^.*moved' | sed 's/.* //;s,.*/,,') $(answer escape-moved |
		grep -o 'Permission denied' | wc -l) $(ls /tmp/outside)"
is "L10 escape: a link in its place is the guest's own" 0 "$(answer escape-swapped)"
is "L10 ... the host's /etc has nothing new" "" "$(ls /etc/bad 2>/dev/null)"
hasnt "K13 the stock driver breaks no rule" 'bad driver' /tmp/err
hasnt "L8 Landlock is in use" 'no Landlock' /tmp/err
check "L10 nothing is left" no_guest_left
END

# A source tree for the compiler of this machine, which the guest finds in its root.
mkdir "$work/source"
for file in hardware/mmio console/escape; do
	gcc -std=gnu11 -E -P -I"$top/include" -I"$top/launcher" \
		-o "$work/source/${file#*/}.i" "$top/launcher/$file.c"
done
cp "$(gcc -print-prog-name=cc1)" "$work/cc1"
cp "$(command -v as)" "$work/as"
cat >"$work/source/build" <<'END'
for file in mmio escape; do
	/lab/cc1 -quiet -fpreprocessed -O1 $file.i -o $file.s && /lab/as $file.s -o $file.o || exit
done
END
(cd "$work/source" && sed "s,/lab/,$work/,g" build | sh && cat ./*.o | md5sum >sum && rm ./*.[so])

inside "its root" --with "$work/in-root" --with "$work/source" --with "$work/cc1" \
	--with "$work/as" <<'END'
answer() { sed -n "s/^$1: //p" /tmp/out | sed 's/ *$//'; }
mkdir /tmp/alice; cd /tmp/alice
echo secret >secret; chmod 600 secret; cp /lab/source/* .; chown alice .
cat >/tmp/run <<'EOF'
cd; (umask 077; echo alice >/tmp/alice/by-alice)
exec lguest run -v --rootfs / --share /tmp/alice --rw "/tmp/alice/it's rw" --hide private \
	--hide "/tmp/alice/it's rw/not" --show .netrc -- /bin/sh -c "$(cat /lab/in-root)"
EOF
# A kernel's sum is remembered, in a file of alice's; but not if it is new itself.
remembered() {
	su alice -c "lguest link /boot/vmlinuz-*" >/dev/null
	ls -A /home/alice/.cache/lguest | grep -q ^sha256-
}
wait_for 10 remembered
mkdir "it's rw"; echo before >"it's rw/before"; echo kept >"it's rw/not"; chown -R alice "it's rw"
cat >/tmp/make <<'EOF'
cd; mkdir -p .ssh; echo key >.ssh/id; ln .ssh/id hard; echo mine >private; echo token >.netrc
EOF
su alice -c 'sh /tmp/make'
files() { find / -xdev | sort; md5sum /etc/passwd; }
files >/tmp/before
su alice -c 'sh /tmp/run' </dev/null >/tmp/out 2>/tmp/err
is "L10 --rootfs: the command's status" 7 $?
is "L10 --rootfs: the user's folder" "/home/alice 0" "$(answer where)"
is "L10 --rootfs: proc, sys and dev are the guest's" "init 1 /dev/hvc0" "$(answer proc)"
is "L10 --rootfs: a dynamic program of the host" "$(lguest version)" "$(answer program)"
is "L10 --rootfs: what is written is there in the guest" "new bad" \
	"$(sed -n '/^mine/,/^bad/p' /tmp/out | tr '\n' ' ' | sed 's/mine: //;s/ $//')"
has "L10 --rootfs: the guest has its network" '^network$' /tmp/out
files >/tmp/after
is "L10 --rootfs: the host's files are untouched" "" "$(diff /tmp/before /tmp/after)"
hasnt "K13 L10 --rootfs: no rule is broken" 'bad driver' /tmp/err
is "L10 a source tree is compiled in the share" "$(cat sum)" "$(answer built)"
is "L10 ... the host sees the same" "$(cat sum)" "$(cat *.o | md5sum)"
is "L9 L10 files made for an ordinary user are that user's" "alice alice guest" \
	"$(stat -c %U by-guest) $(stat -c %U folder) $(cat by-guest)"
is "L9 L10 ... for the guest too, and stay so" 1000 "$(answer owner)"
is "L9 L10 ... what that user may not read, the guest may not" "Permission denied alice" \
	"$(sed -n '/^secret/,$p' /tmp/out | tr '\n' ' ' | sed 's/.*: //;s/ $//')"
is "L10 --rw: a folder of the host" before "$(answer rw)"
is "L10 ... is written through to it" after "$(cat "it's rw/after")"
is "L10 --hide: ... but for what is hidden there" kept "$(cat "it's rw/not")"
is "L10 --hide: names are not there, nor hard links, in the guest's root and below it" "0 6" \
	"$(answer listed) $(answer gone)"
is "L10 --show: what is hidden by itself is shown" token "$(answer shown)"
is "L10 --rootfs: a shell, from a script" 3 "$(echo 'echo $((1 + 2))' |
	lguest run --rootfs / 2>&1 | tr -d '\r' | grep -x 3)"

refused() {	# NAME WANTED OPTION...
	local name=$1 wanted=$2
	shift 2
	lguest run "$@" </dev/null >/tmp/out 2>&1
	is "$name" "$status 1" "$? $(grep -c "$wanted" /tmp/out)"
}
status=2
refused "L10 a folder that is not there" 'cannot share /none: No such file' --share /none -- true
refused "L10 a file" 'cannot share /etc/passwd: Not a directory' --share /etc/passwd -- true
refused "L10 two with one tag" 'another share has this tag' --share /tmp --share /lab -- true
refused "L10 a bad tag" 'a tag is made of' --share '/tmp:a b' -- true
status=122
refused "L10 the kernel's own files" 'it is an interface of the kernel' --share /proc -- true
END

finish
