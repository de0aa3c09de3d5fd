#!/bin/bash
# Network cards: to the host by tap, and to other guests by the switch.
. "$(dirname "$0")/lib/lab.sh"

cat >"$work/tap-guest" <<'END'
ip link set eth0 up
ip addr add 10.9.9.2/24 dev eth0
until ping -c 1 -W 1 10.9.9.1 >/dev/null 2>&1; do sleep 0.2; done
echo "address: $(cat /sys/class/net/eth0/address)"
ping -c 3 10.9.9.1 | grep received
mkdir /tmp/www
wget -q -O /tmp/www/big http://10.9.9.1/big && echo "down: $(md5sum </tmp/www/big)"
httpd -h /tmp/www -p 80
until [ -e /tmp/www/big.done ]; do
	wget -q -O /tmp/www/big.done http://10.9.9.1/done || { rm -f /tmp/www/big.done; sleep 0.5; }
done
[ ! -e /mnt/share/iperf ] || for way in '' -R; do
	sh /mnt/share/iperf -c 10.9.9.1 -t 3 $way 2>&1 | sed "s/^/tcp$way: /"
done
echo "errors: $(cat /sys/class/net/eth0/statistics/*_errors | sort -u | tr '\n' ' ')"
END

cat >"$work/first" <<'END'
ip link set eth0 up
ip addr add 10.1.1.1/24 dev eth0
mkdir /tmp/www
head -c 8000000 /dev/urandom >/tmp/www/big
md5sum </tmp/www/big >/tmp/www/sum
httpd -h /tmp/www -p 80
sh /mnt/share/iperf -s >/dev/null 2>&1 &
echo listening
sleep 1000
END

cat >"$work/second" <<'END'
ip link set eth0 up
ip addr add 10.1.1.$1/24 dev eth0
until ping -c 1 -W 1 10.1.1.1 >/dev/null 2>&1; do sleep 0.2; done
wget -q -O /tmp/big http://10.1.1.1/big
[ "$(md5sum </tmp/big)" = "$(wget -q -O - http://10.1.1.1/sum)" ] && echo same
[ ! -e /mnt/share/iperf ] || for way in '' -R; do
	sh /mnt/share/iperf -c 10.1.1.1 -t 3 $way 2>&1 | sed "s/^/tcp$way: /"
done
END

"$lib/iperf_folder" "$work/iperf"
# iperf3 says "sender" and "receiver" at the end of a run without errors.
inside "one CPU" --memory 3G --modprobe tun --with "$work/tap-guest" \
	--with "$work/first" --with "$work/second" --with "$work/iperf" <<'END'
tcp() {	# NAME FILE: a run each way, with something received
	local way
	for way in tcp tcp-R; do
		check "$1, $way" grep -qE "^$way: .* [1-9][0-9.]* .?bits/sec .*receiver" "$2"
		hasnt "$1, $way: no error" "^$way: iperf3: " "$2"
	done
	grep receiver "$2"
}
mkdir /tmp/www
head -c 33554432 /dev/urandom >/tmp/www/big
sum=$(md5sum </tmp/www/big)
httpd -h /tmp/www -p 80

lguest run -v -n tap=tap0,mac=52:54:00:12:34:56 --share iperf,ro -- sh -c "$(cat tap-guest)" >/tmp/out 2>/tmp/err &
pid=$!
wait_for 30 test -e /sys/class/net/tap0
ip addr add 10.9.9.1/24 dev tap0
ip link set tap0 up
sh iperf/iperf -s >/dev/null 2>&1 &
server=$!
wait_for 90 grep -q ^down: /tmp/out
wait_for 10 wget -q -O /tmp/back http://10.9.9.2/big
is "K6 32 MiB from the guest by tap" "$sum" "$(md5sum </tmp/back)"
echo done >/tmp/www/done
wait $pid
is "K6 a guest with a tap ends well" 0 $?
kill $server
tcp "K6 iperf3 between guest and host" /tmp/out
has "K6 the address is the one that was asked for" '^address: 52:54:00:12:34:56' /tmp/out
has "K6 ping over the tap" '^3 packets transmitted, 3 packets received' /tmp/out
is "K6 32 MiB to the guest by tap" "down: $sum" "$(grep ^down: /tmp/out)"
has "K6 no errors are counted" '^errors: 0 $' /tmp/out
hasnt "K13 the stock driver breaks no rule" 'bad driver' /tmp/err
between "K9 H16 network traffic needs no visit to the launcher" 0 2500 \
	"$(awk '$1 == "launcher_visits" { print $2 }' /tmp/err)"
check "H8 the tap is gone" test ! -e /sys/class/net/tap0

ms() { awk '{ print int($1 * 1000) }' /proc/uptime; }
# A limit holds up what the guest sends, and loses nothing: 2 MiB with 400 KiB in a second.
head -c 2097152 /dev/urandom >/tmp/www/slow
lguest run -m 128M -n tap=tap0,bps=400K --share /tmp/www,ro -- sh -c '
	ip link set eth0 up; ip addr add 10.9.9.2/24 dev eth0; httpd -h /mnt/share -p 80; sleep 1000' \
	>/tmp/out 2>/tmp/err & pid=$!
wait_for 30 test -e /sys/class/net/tap0
ip addr add 10.9.9.1/24 dev tap0
ip link set tap0 up
wait_for 60 wget -q -O /dev/null http://10.9.9.2/done
begin=$(ms)
wget -q -O /tmp/back http://10.9.9.2/slow
took=$(($(ms) - begin))
check "K6 2 MiB come by a card with a limit" cmp /tmp/back /tmp/www/slow
between "K6 ... in no less time than it allows (ms)" 4500 600000 $took
kill $pid
wait $pid

lguest run -m 128M -n switch=/tmp/lan --share iperf,ro -- sh -c "$(cat first)" >/tmp/first 2>&1 &
first=$!
wait_for 60 grep -q listening /tmp/first
lguest run -m 128M -n switch=/tmp/lan --share iperf,ro -- sh -c "set 2; $(cat second)" >/tmp/second 2>&1
is "I14 8 MB between two guests by the switch" same "$(head -n 1 /tmp/second)"
tcp "I14 iperf3 between two guests" /tmp/second
# Its socket stays behind; the others must not mind.
lguest run -m 128M -n switch=/tmp/lan -- sh -c 'echo up; sleep 1000' >/tmp/third 2>&1 &
third=$!
wait_for 60 grep -q up /tmp/third
kill -KILL $third
wait $third
is "I14 a killed guest leaves its socket" 2 "$(ls /tmp/lan | wc -l)"
lguest run -m 128M -n switch=/tmp/lan -- sh -c "set 3; $(cat second)" >/tmp/second 2>&1
is "I14 ... and the switch works on" same "$(cat /tmp/second)"
is "I14 ... and it was swept up" 1 "$(ls /tmp/lan | wc -l)"
kill -TERM $first
wait $first

for bad in tap nonsense switch= tap,x user, user,allow= user,allow=x user,deny=10.0.0.0/33 user,allow=10.0.0.1:0 \
		user,host-loopback=yes user,deny=::/0:80 user=x user=0:7 user=80:80:80 user= tap=tap1,mac=zz tap=nametoolongforaninterface; do
	lguest run -n $bad -- true >/tmp/out 2>/tmp/err
	is "K1 K6 -n $bad is refused" 2 $?
	has "K1 ... with a sentence" "^lguest: cannot use the network $bad: .*" /tmp/err
done

check "K6 nothing is left" no_guest_left
END

finish
