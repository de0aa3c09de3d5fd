#!/bin/sh
# tests/system/debian-image.sh ROOT: what debian.sh adds to its disk image, as
# images/debian -x: a service that does what the kernel parameter selftest= says
# and reports on the console, and an echo server on port 7.
set -e
cd "$1"
cat >usr/local/sbin/selftest <<'END'
#!/bin/bash
task=$(sed -n 's/.*selftest=\([a-z]*\).*/\1/p' /proc/cmdline)
[ "$task" ] || exit 0
say() { echo "selftest: $*" >/dev/hvc0; }

say "state $(systemctl is-system-running --wait)"
systemctl --failed --no-legend --plain | while read -r unit _; do say "failed $unit"; done
say "kernel $(uname -r)"
say "date $(date +%s)"
case $task in
disk)
	cd /var/lib
	if [ -e big.sum ]; then
		say "after $(md5sum <big)"
		poweroff
		exit
	fi
	head -c 268435456 /dev/urandom >big
	md5sum <big >big.sum
	sync
	say "before $(cat big.sum)"
	reboot ;;
net)
	fetch() {	# NAME URL
		for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15; do
			timeout 20 busybox wget -q -O /run/$1 "$2" 2>/dev/null && break
			sleep 1
		done
		say "$1 $(md5sum </run/$1)"
	}
	fetch tap http://10.9.9.1/big
	fetch switch http://10.1.1.1/big
	fetch user http://192.0.2.1/big
	say "ready"
	# Until the host has been answered, too.
	read -r -t 60 line <>/run/enough
	poweroff ;;
esac
END
cat >etc/systemd/system/selftest.service <<'END'
[Service]
ExecStart=/usr/local/sbin/selftest
ExecStartPre=mkfifo /run/enough
END
cat >etc/systemd/system/echo.socket <<'END'
[Socket]
ListenStream=7
Accept=yes
[Install]
WantedBy=sockets.target
END
cat >etc/systemd/system/echo@.service <<'END'
[Service]
ExecStart=-/bin/sh -c 'read line; echo "you said $line"; [ "$line" != enough ] || echo >/run/enough'
StandardInput=socket
END
mkdir -p etc/systemd/system/multi-user.target.wants etc/systemd/system/sockets.target.wants
ln -s ../selftest.service etc/systemd/system/multi-user.target.wants/
ln -s ../echo.socket etc/systemd/system/sockets.target.wants/
chmod 755 usr/local/sbin/selftest
# By their places on the bus: eth0 user, eth1 tap, eth2 switch.
cat >etc/systemd/network/10-tap.network <<'END'
[Match]
MACAddress=52:54:00:00:00:02
[Network]
Address=10.9.9.2/24
END
cat >etc/systemd/network/10-switch.network <<'END'
[Match]
MACAddress=52:54:00:00:00:03
[Network]
Address=10.1.1.2/24
END
