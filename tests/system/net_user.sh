#!/bin/bash
# A network card through passt, an ordinary user's program.
. "$(dirname "$0")/lib/lab.sh"

# The network is up when the command begins; its folder is the host's, or our own.
cat >"$work/user-guest" <<'END'
wget -q -O /tmp/big http://192.0.2.1/big && md5sum </tmp/big
echo "received: $(cat /sys/class/net/eth0/statistics/rx_bytes)" >&2
wget -q -O - http://www.example.test/name
[ ! -e /lab ] || echo "host's files"
END

# What is closed does not answer: no need to wait for long.
cat >"$work/user-closed" <<'END'
get() { timeout 4 wget -q -O - http://$1/name 2>/dev/null || echo closed; }
echo "name: $(nslookup www.example.test 2>/dev/null | grep -c 'Address.*192.0.2.1$')"
echo "server: $(grep -c '^nameserver 169.254.1.1$' /etc/resolv.conf)"
echo "gateway: $(get 192.0.2.1)"
echo "own: $(get 192.0.2.9)"
echo "port: $(get 192.0.2.9:81)"
mkdir /tmp/www
echo guest >/tmp/www/name
httpd -h /tmp/www -p 80
echo up
[ ! "$1" ] || sleep $1
END

program=()
! command -v passt >/dev/null || program=(--with "$(command -v passt)")
[ ! -e "$(command -v passt).avx2" ] || program+=(--with "$(command -v passt).avx2")

mkdir "$work/name_server"
gcc -static -O2 -Wall -Wextra -Werror -o "$work/name_server/name_server" \
	"$(dirname "$0")/name_server.c" || exit 1

inside "one CPU" --memory 3G --modprobe dummy --with "$work/user-guest" --with "$work/user-closed" \
	"${program[@]}" --with "$work/name_server" <<'END'
mkdir /tmp/www
head -c 33554432 /dev/urandom >/tmp/www/big
sum=$(md5sum </tmp/www/big)
httpd -h /tmp/www -p 80
if [ -x passt ]; then
	# A name server that only the host reaches, and a link that leads nowhere in a guest.
	ip link set lo up
	name_server/name_server www.example.test 192.0.2.1 &
	names=$!
	echo 'nameserver 127.0.0.1' >/run/resolv.conf
	ln -s ../run/resolv.conf /etc/resolv.conf
	echo found >/tmp/www/name
	ip link set dummy0 up
	ip addr add 192.0.2.2/24 dev dummy0
	ip addr add 192.0.2.9/24 dev dummy0
	httpd -h /tmp/www -p 81
	ip route add default via 192.0.2.1
	cat >/run/in-it <<-'IN'
	cd /lab
	for root in '' '--rootfs /'; do
		lguest run -n user,host-loopback $root -- sh -c "$(cat user-guest)"
	done >/tmp/out 2>/tmp/err
	lguest run -n user -- sh -c "$(cat user-closed)" >/tmp/closed 2>/tmp/err-closed
	lguest run -v -n user=8080:80,allow=192.0.2.9:80,mac=52:54:00:00:00:07 -- \
		sh -c "set 60; $(cat user-closed)" >/tmp/rules 2>/tmp/err-rules & pid=$!
	until grep -q up /tmp/rules || ! kill -0 $pid; do sleep 0.2; done
	timeout 20 wget -q -O /tmp/forwarded http://127.0.0.1:8080/name
	kill $pid
	IN
	in_real_root /run/in-it passt*
	is "K6 L6 32 MiB from the host by user networking; the host's name server" \
		"$sum found" "$(head -n 2 /tmp/out | tr '\n' ' ' | sed 's/ $//')"
	is "K6 L6 the same with the host's files as root" "$sum found host's files" \
		"$(sed -n '3,$p' /tmp/out | tr '\n' ' ' | sed 's/ $//')"
	# The file has 33554432 bytes, and passt sends a window again for each frame that is lost.
	is "K6 L6 ... in frames of which hardly any was sent twice" "good good" \
		"$(awk '/received:/ { print $2 < 37000000 ? "good" : $2 }' /tmp/err | xargs)"
	cat /tmp/err
	is "K6 L6 AT-91 by itself nothing of this machine but its name server" \
		"name: 1 server: 1 gateway: closed own: closed port: closed up" "$(echo $(cat /tmp/closed))"
	is "K6 L6 AT-91 allow=CIDR:PORT opens that and nothing else" \
		"name: 0 server: 1 gateway: closed own: found port: closed up" "$(echo $(cat /tmp/rules))"
	has "K6 L6 ... what is not let out is told with -v" 'a frame is not let out' /tmp/err-rules
	is "K6 L6 ... and a port that leads to the guest is answered" guest "$(cat /tmp/forwarded)"
	cat /tmp/err-closed
	kill $names
	check "H8 passt is gone with its guest" sh -c '! pidof passt passt.avx2'
else
	echo '@skip K6 L6 user networking: no passt'
fi
for id in debian fedora; do
	echo "ID=$id" >/etc/os-release
	lguest run -n user -- true >/tmp/out 2>/tmp/err-$id
	is "K6 L6 without passt there is a sentence" 122 $?
done
has "K6 L6 ... that says what to install" 'apt-get install passt' /tmp/err-debian
has "K6 L6 ... on this distribution" 'dnf install passt' /tmp/err-fedora
check "K6 nothing is left" no_guest_left
END

finish
