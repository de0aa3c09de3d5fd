#!/bin/bash
# A full Debian 12 from `make debian`'s recipe: systemd, a login, disks, all three
# kinds of network; with this project's choice of kernel and initrd, and with
# the general kernel and Debian's own initrd. All as an ordinary user.
. "$(dirname "$0")/lib/lab.sh"

image=$built/debian/test.img
recipe=$(cat "$top/images/debian" "$lib/debian-image" | cksum | tr ' ' -)
if [ "$(cat "$image.recipe" 2>/dev/null)" != "$recipe" ]; then
	mkdir -p "$built/debian"
	"$top/images/debian" -s 1536M -i busybox -k linux-image-amd64 \
		-x "$lib/debian-image" "$image" >"$work/log" 2>&1 &&
		echo "$recipe" >"$image.recipe" ||
		{ sed 's/^/# /' "$work/log"; not_ok "L2 the image can be built"; finish; exit; }
fi
ok "L2 a Debian image is built, without root's rights to its files"

# The general kernel needs a layer, and headers to make it with.
general=$(strings -n 8 "$image.vmlinuz" | sed -n 's/^\(6\.[0-9.-]*-amd64\) .*/\1/p' | head -n 1)
another_guest "$general" "$image.vmlinuz"
cp --sparse=always "$image" "$work/disk.img"

cat >"$work/neighbour" <<'END'
ip link set eth0 up
ip addr add 10.1.1.1/24 dev eth0
mkdir /tmp/www
head -c 1000000 /dev/zero >/tmp/www/big
httpd -h /tmp/www -p 80
until echo "hello" | nc -w 5 10.1.1.2 7 2>/dev/null; do sleep 1; done
sleep 600
END

# What alice does.
cat >"$work/alice" <<'END'
cd /tmp
export HOME=/home/alice
lguest run -m 128M -n switch=/tmp/lan -- sh -c "$(cat /lab/neighbour)" >/tmp/neighbour.out 2>&1 &
lguest run -v -m 512M -d /dev/nvme0n1 -n user=2007:7,host-loopback -n tap=tap0,mac=52:54:00:00:00:02 \
	-n switch=/tmp/lan,mac=52:54:00:00:00:03 -p selftest </dev/null >/tmp/debian.out 2>/tmp/debian.err
echo $? >/tmp/status
kill $!
wait
END

program "$(dirname "$0")/pty.c" "$work/pty" || not_ok "pty.c compiles"
inside "debian" --guests "$guests" --memory 4G --timeout 1200 --modprobe tun --modprobe dummy --disk "$work/disk.img" \
	--with "$work/neighbour" --with "$work/alice" --with "$work/pty" --with "$(command -v passt)" \
	--with "$image.vmlinuz" --with "$image.initrd" <<'END'
chown alice /dev/nvme0n1
chmod 666 /dev/net/tun	# as everywhere
mkdir /tmp/www
head -c 4000000 /dev/urandom >/tmp/www/big
sum=$(md5sum </tmp/www/big)
httpd -h /tmp/www -p 80
tunctl -t tap0	# busybox names no owner: anyone may use it
ip addr add 10.9.9.1/24 dev tap0
ip link set tap0 up
ip link set dummy0 up
ip addr add 192.0.2.2/24 dev dummy0
ip route add default via 192.0.2.1
before=$(date +%s)
echo 'exec su alice -c "sh /lab/alice"' >/run/in-it
in_real_root /run/in-it passt* &
all=$!
said() { tr -d '\r' </tmp/debian.out | sed -n "s/^.*selftest: $1 //p"; }	# WORD

wait_for 600 grep -q "selftest: ready" /tmp/debian.out
user=$(echo enough-not | nc -w 5 127.0.0.1 2007)
tap=$(echo hello | nc -w 5 10.9.9.2 7)
echo enough | nc -w 5 10.9.9.2 7 >/dev/null
wait $all
show /tmp/debian.out 12
show /tmp/debian.err 40

is "L2 J15 Debian powers off" 0 "$(cat /tmp/status)"
is "L2 no unit has failed" "" "$(said failed)"
is "L2 systemd is up, before and after a restart" "running running" "$(echo $(said state))"
between "E11 its date is right" "$before" "$(date +%s)" "$(said date | tail -n 1)"
is "K7 I4 256 MiB are the same after a restart" "$(said before)" "$(said after | grep . || echo none)"
is "L6 a forwarded port answers" "you said enough-not" "$user"
is "L6 fetched by user networking" "$sum" "$(said user)"
is "K6 fetched by the tap" "$sum" "$(said tap)"
is "K6 the guest answers by the tap" "you said hello" "$tap"
hasnt "K13 the stock drivers break no rule" "bad driver" /tmp/debian.err
is "I14 fetched from another guest by the switch" "$(head -c 1000000 /dev/zero | md5sum)" \
	"$(said switch)"
has "I14 ... which the guest answers" "you said hello" /tmp/neighbour.out

# A person, Debian's own kernel and initrd; stopped from outside.
cat >/tmp/person.sh <<'PERSON'
exec lguest run --name deb -m 1G -k /lab/test.img.vmlinuz -i /lab/test.img.initrd -p root=/dev/vda -d /dev/nvme0n1
PERSON
LAB_SLOW=$((3 * ${LAB_SLOW:-1})) ./pty 'expect:Loading, please wait' 'expect:Welcome to' 'expect:debian login: ' \
	'send:root\r' 'expect::~# ' 'send:systemctl is-system-running --wait\r' 'expect:running' \
	'send:echo up-$(uname -r)\r' 'expect:up-6' 'expect:Power down' \
	-- su alice -c "sh /tmp/person.sh" >/tmp/pty.out 2>&1 &
person=$!
wait_for 400 grep -q "up-6" /tmp/pty.out
su alice -c "lguest stop deb"
is "L2 I4 lguest stop has systemd power off" 0 $?
wait $person
is "L2 L13 a person logs in to the general kernel, booted by Debian's initrd" "pty: status 0" \
	"$(tr -d '\r' </tmp/pty.out | grep '^pty: [sf]')"
tr -d '\r' </tmp/pty.out >/tmp/person
has "L13 ... it is the general kernel" 'up-6[0-9.-]*-amd64' /tmp/person
hasnt "L2 ... with nothing failed" 'FAILED' /tmp/person
check "H8 nothing is left" no_guest_left

# The launcher is killed while all its devices are in use.
cat >/run/killed <<'KILLED'
exec su alice -c "lguest run -m 512M -d /dev/nvme0n1 -n user -n tap=tap0 -n switch=/tmp/lan </dev/null >/tmp/killed.out 2>&1"
KILLED
in_real_root /run/killed passt* &
wait_for 200 grep -q "Welcome to" /tmp/killed.out
is "H8 passt and the tap are in use" "1 1" "$(pidof passt passt.avx2 | wc -w) $(cat /sys/class/net/tap0/carrier)"
kill -KILL $(pidof lguest)
wait $!
check "H8 a killed launcher leaves no guest" no_guest_left
# It ends as it hears that nobody is at its socket any more.
no_passt() { ! pidof passt passt.avx2; }
check "H8 ... no passt" wait_for 10 no_passt
is "H8 ... and nobody at the tap" 0 "$(cat /sys/class/net/tap0/carrier)"
END
finish
