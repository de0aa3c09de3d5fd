// SPDX-License-Identifier: GPL-2.0
/*
 * /init of the guest, a shell script.  It finds the ports of the console
 * device as /dev/hvc0 (console), hvc1 and hvc2 (a command's output and errors)
 * and hvc3 (what it tells the launcher: "ready", "exit N"; what it hears from
 * there: "size ROWS COLUMNS", when the user's terminal has got a new size).
 *
 * /lguest/settings, written by initramfs.c, sets
 *	LG_COMMAND	a command is in /lguest/command
 *	LG_TERMINAL	a person sits there
 *	LG_INPUT	the command gets input from elsewhere, by hvc1
 *	LG_STDERR	number of the port for the command's errors
 *	LG_SIZE		"rows R cols C" or nothing
 *	LG_SHARES	tags of folders to mount below /mnt
 *	LG_DHCP		network cards that get their addresses by DHCP
 *	LG_REPORT	smallest order of free pages to give back, or nothing
 *	LG_ROOT		tag of the folder that the command has as root, or nothing
 *	LG_FOLDER	where in it the command starts
 *	TERM
 *
 * Read next: modules.c.
 */
#include "devices/devices.h"
#include "initramfs.h"

const char guest_init[] =
"#!/bin/busybox sh\n"
"export PATH=/sbin:/usr/sbin:/bin:/usr/bin HOME=/root USER=root LANG=C.UTF-8\n"
"umask 022\n"
"mount -t proc proc /proc\n"
"mount -t sysfs sys /sys\n"
"echo /lguest/poweroff >/proc/sys/kernel/poweroff_cmd\n"
"[ -c /dev/null ] || mount -t devtmpfs dev /dev\n"
"mkdir -p /dev/pts /dev/shm\n"
"mount -t devpts devpts /dev/pts 2>/dev/null\n"
"mount -t tmpfs shm /dev/shm\n"
"mount -t tmpfs tmp /tmp\n"
"mount -t tmpfs run /run\n"
"ln -s /proc/self/fd /dev/fd\n"
"ln -s /proc/self/fd/0 /dev/stdin\n"
"ln -s /proc/self/fd/1 /dev/stdout\n"
"ln -s /proc/self/fd/2 /dev/stderr\n"
"busybox --install -s /bin\n"
". /lguest/settings\n"
"for module in $(cat /lguest/modules 2>/dev/null); do\n"
"	insmod /lib/modules/$module\n"
"done\n"
/*
 * Disks are sorted and merged by the host's scheduler.  A second one here gives
 * each request to a worker thread, and so costs two context switches.
 */
"for disk in /sys/block/vd*/queue/scheduler; do\n"
"	[ ! -e $disk ] || echo none >$disk\n"
"done\n"
/* The balloon's driver has just set this, and looks for free pages in two seconds. */
"[ ! \"$LG_REPORT\" ] ||\n"
"	echo $LG_REPORT >/sys/module/page_reporting/parameters/page_reporting_order\n"
"hostname guest\n"
"ip link set lo up 2>/dev/null\n"
"cd /root\n"
"\n"
"finish() {\n"
"	sync\n"
"	poweroff -f\n"
"	sleep 60\n"
"}\n"
"\n"
"mount_shares() {\n"
"	for tag in $LG_SHARES; do\n"
"		mkdir -p $1/mnt/$tag\n"
"		mount -t virtiofs $tag $1/mnt/$tag || echo \"init: cannot mount the share $tag\" >&2\n"
"	done\n"
"}\n"
"\n"
/*L:226
 * With --rootfs the host's folder, read-only, lies below an overlay whose upper
 * part is memory.  It is mounted over our own root; this script still has that,
 * and enters the other, its working directory, for the command alone.
 :*/
"mount_root() {\n"
"	mkdir /lguest/lower /lguest/rw /lguest/new\n"
"	mount -t virtiofs -o ro $LG_ROOT /lguest/lower &&\n"
"	mount -t tmpfs rw /lguest/rw &&\n"
"	mkdir /lguest/rw/upper /lguest/rw/work &&\n"
"	mount -t overlay -o lowerdir=/lguest/lower,upperdir=/lguest/rw/upper,workdir=/lguest/rw/work root /lguest/new || return\n"
"	cd /lguest/new\n"
"	mkdir -p proc sys dev run tmp mnt\n"
"	mount -t proc proc proc\n"
"	mount -t sysfs sys sys\n"
"	mount -t devtmpfs dev dev\n"
"	mount -t devpts devpts dev/pts 2>/dev/null\n"
"	mount -t tmpfs shm dev/shm\n"
"	mount -t tmpfs -o mode=755 run run\n"
"	mount -t tmpfs tmp tmp\n"
"	mkdir run/lguest\n"
"	[ ! \"$LG_COMMAND\" ] || cp /lguest/command run/lguest/\n"
"	mount_shares .\n"
"	mount -o move . /\n"
"}\n"
"\n"
/* A card of user networking is ready before COMMAND is; others are the user's affair. */
"set_up_network() {\n"
"	for card in $LG_DHCP; do\n"
"		ip link set $card up &&\n"
"		udhcpc -n -q -t 5 -i $card -s /lguest/lease >/dev/null 2>&1 ||\n"
"			echo \"init: no address for $card\" >&2\n"
"	done\n"
"}\n"
"\n"
"if [ \"$LG_ROOT\" ]; then\n"
"	if ! mount_root; then\n"
"		echo 'init: cannot mount the root folder; has this kernel virtiofs and overlay?' >&2\n"
"		finish\n"
"	fi\n"
"	export LG_FOLDER LG_TOP=.\n"
"	shell=/lguest/enter place=/run\n"
"else\n"
"	mount_shares\n"
"	shell=sh place=\n"
"fi\n"
"\n"
"follow_size() {\n"
"	while read -r word rows columns; do\n"
"		[ \"$word\" != size ] || stty rows $rows cols $columns <$1\n"
"	done\n"
"}\n"
"\n"
/*L:228
 * Input comes in pieces, each a line with its size and then so many bytes; a
 * size of 0 ends it.  Read and dd take not one byte too many.
 :*/
"pump() {\n"
"	while read -r size && [ \"$size\" -gt 0 ]; do\n"
"		dd bs=$size count=1 iflag=fullblock 2>/dev/null || break\n"
"	done\n"
"}\n"
"\n"
/*L:230
 * A port's settings last as long as it is open, so the script holds it open
 * itself.  Closing it waits until the last byte is out.
 :*/
"if [ \"$LG_COMMAND\" ]; then\n"
"	if ! [ -c /dev/hvc3 ]; then\n"
"		echo 'init: the guest has no ports for a command' >&2\n"
"		finish\n"
"	fi\n"
"	exec 3<>/dev/hvc3 4<>/dev/hvc1 5<>/dev/hvc$LG_STDERR\n"
"	stty raw -echo <&3\n"
"	set_up_network\n"
"	if [ \"$LG_TERMINAL\" ]; then\n"
"		[ \"$LG_STDERR\" = 1 ] || stty raw -echo <&5\n"
"		stty sane $LG_SIZE <&4\n"
"		echo ready >&3\n"
"		follow_size /dev/hvc1 <&3 &\n"
"		setsid -c $shell $place/lguest/command <&4 >&4 2>&5 3>&- 4>&- 5>&-\n"
"	else\n"
"		stty raw -echo <&4\n"
"		stty raw -echo <&5\n"
"		echo ready >&3\n"
"		input=/dev/null\n"
"		if [ \"$LG_INPUT\" ]; then\n"
"			input=/lguest/input\n"
"			mkfifo $input\n"
"			pump <&4 >$input 3>&- 4>&- 5>&- &\n"
"		fi\n"
"		setsid $shell $place/lguest/command <$input >&4 2>&5 3>&- 4>&- 5>&-\n"
"	fi\n"
"	status=$?\n"
"	[ ! \"$!\" ] || kill $! 2>/dev/null\n"
"	exec 4>&- 5>&-\n"
"	echo \"exit $status\" >&3\n"
"	exec 3>&-\n"
"	finish\n"
"fi\n"
"\n"
/*L:232
 * A first disk with a system of its own gets the machine, as from any boot
 * loader.  To look is not to write: the journal is left alone.
 :*/
"boot_disk() {\n"
"	new=/lguest/new\n"
"	mkdir -p $new\n"
"	[ -b \"$1\" ] && mount -o ro,noload -t ext4 $1 $new 2>/dev/null || return\n"
"	if ! [ -L $new/sbin/init ] && ! [ -x $new/sbin/init ]; then\n"
"		umount $new\n"
"		return\n"
"	fi\n"
"	umount $new\n"
"	mount -t ext4 $1 $new || return\n"
"	mount_shares $new\n"
"	echo /sbin/poweroff >/proc/sys/kernel/poweroff_cmd\n"
"	[ -c /dev/hvc3 ] && echo ready >/dev/hvc3\n"
"	umount /tmp /dev/pts /dev/shm\n"
"	for place in proc sys dev run; do mount --move /$place $new/$place; done\n"
"	exec switch_root $new /sbin/init\n"
"}\n"
"\n"
"root=$(tr ' ' '\\n' </proc/cmdline | sed -n 's/^root=//p' | tail -n 1)\n"
"for disk in ${root:-/dev/vda /dev/vda1}; do\n"
"	[ \"$LG_ROOT\" ] || boot_disk $disk\n"
"done\n"
"[ ! \"$root\" ] || echo \"init: no system to boot on $root\" >&2\n"
"\n"
"tty=/dev/hvc0\n"
"[ -c $tty ] || tty=/dev/console\n"
"exec <>$tty >&0 2>&1\n"
"[ -c /dev/hvc3 ] && exec 3<>/dev/hvc3 && stty raw -echo <&3\n"
"echo\n"
"uname -a\n"
"awk '/^MemTotal/ { print \"Memory: \" int($2 / 1024) \" MiB\" }' /proc/meminfo\n"
"dmesg | grep -i lguest\n"
"set_up_network\n"
"if [ \"$LG_TERMINAL\" ]; then\n"
"	stty sane $LG_SIZE\n"
"	echo \"Leave with 'exit', or with Ctrl-A x from anywhere.\"\n"
"	echo\n"
"	if [ -c /dev/hvc3 ]; then\n"
"		echo ready >&3\n"
"		follow_size $tty <&3 &\n"
"	fi\n"
"	setsid -c $shell -l 3>&-\n"
"else\n"
"	stty -echo\n"
"	[ -c /dev/hvc3 ] && echo ready >&3\n"
"	setsid -c $shell /dev/stdin 3>&-\n"
"fi\n"
"[ -c /dev/hvc3 ] && exec 3>&-\n"
"finish\n";

/*L:227
 * /lguest/enter ARGUMENTS: the shell of the other root, in the folder that the
 * user was in, if there is one.
 :*/
const char guest_enter[] =
"#!/bin/busybox sh\n"
"export PATH=/usr/local/sbin:/usr/local/bin:$PATH\n"
"exec chroot . /bin/sh -c 'cd \"$LG_FOLDER\" 2>/dev/null || cd /\n"
"unset LG_FOLDER LG_TOP\n"
"exec /bin/sh \"$@\"' sh \"$@\"\n";

/*
 * /lguest/lease, for udhcpc: an address, a way out, and name servers.  Below
 * LG_TOP is the root that the command has (Debian 12's passt does not tell of a
 * name server that it answers for); with the host's files a link there
 * may lead to a service that does not run here.
 */
const char guest_lease[] =
"#!/bin/busybox sh\n"
"[ \"$1\" = bound ] || exit 0\n"
"ip addr add $ip/$mask dev $interface\n"
"[ ! \"$router\" ] || ip route add default via ${router%% *} dev $interface\n"
"[ \"$dns\" ] || dns=" NET_NAME_SERVER "\n"
"list=$LG_TOP/etc/resolv.conf\n"
"rm -f $list\n"
"[ ! \"$domain\" ] || echo search $domain >$list\n"
"for server in $dns; do echo nameserver $server; done >>$list\n";

/*L:229
 * /lguest/poweroff, for the power button.  What ends when asked ends /init,
 * too, with COMMAND's status, and that powers off; nobody waits long for the
 * rest.  An interactive shell passes over TERM, but not over HUP.
 :*/
const char guest_poweroff[] =
"#!/bin/busybox sh\n"
"kill -TERM -1\n"
"sleep 2\n"
"kill -HUP -1\n"
"sleep 1\n"
"kill -KILL -1\n"
"sync\n"
"umount -a -r 2>/dev/null\n"
"poweroff -f\n";
