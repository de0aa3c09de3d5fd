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
 *	TERM
 */
#include "initramfs.h"

const char guest_init[] =
"#!/bin/busybox sh\n"
"export PATH=/sbin:/usr/sbin:/bin:/usr/bin HOME=/root USER=root LANG=C.UTF-8\n"
"umask 022\n"
"mount -t proc proc /proc\n"
"mount -t sysfs sys /sys\n"
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
"for module in $(cat /lguest/modules 2>/dev/null); do\n"
"	insmod /lib/modules/$module\n"
"done\n"
"hostname guest\n"
"ip link set lo up 2>/dev/null\n"
". /lguest/settings\n"
"cd /root\n"
"\n"
"finish() {\n"
"	sync\n"
"	poweroff -f\n"
"	sleep 60\n"
"}\n"
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
"	if [ \"$LG_TERMINAL\" ]; then\n"
"		[ \"$LG_STDERR\" = 1 ] || stty raw -echo <&5\n"
"		stty sane $LG_SIZE <&4\n"
"		echo ready >&3\n"
"		follow_size /dev/hvc1 <&3 &\n"
"		setsid -c sh /lguest/command <&4 >&4 2>&5 3>&- 4>&- 5>&-\n"
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
"		setsid sh /lguest/command <$input >&4 2>&5 3>&- 4>&- 5>&-\n"
"	fi\n"
"	status=$?\n"
"	[ ! \"$!\" ] || kill $! 2>/dev/null\n"
"	exec 4>&- 5>&-\n"
"	echo \"exit $status\" >&3\n"
"	exec 3>&-\n"
"	finish\n"
"fi\n"
"\n"
"tty=/dev/hvc0\n"
"[ -c $tty ] || tty=/dev/console\n"
"exec <>$tty >&0 2>&1\n"
"[ -c /dev/hvc3 ] && exec 3<>/dev/hvc3 && stty raw -echo <&3\n"
"echo\n"
"uname -a\n"
"awk '/^MemTotal/ { print \"Memory: \" int($2 / 1024) \" MiB\" }' /proc/meminfo\n"
"dmesg | grep -i lguest\n"
"if [ \"$LG_TERMINAL\" ]; then\n"
"	stty sane $LG_SIZE\n"
"	echo \"Leave with 'exit', or with Ctrl-A x from anywhere.\"\n"
"	echo\n"
"	if [ -c /dev/hvc3 ]; then\n"
"		echo ready >&3\n"
"		follow_size $tty <&3 &\n"
"	fi\n"
"	setsid -c sh -l 3>&-\n"
"else\n"
"	stty -echo\n"
"	[ -c /dev/hvc3 ] && echo ready >&3\n"
"	setsid -c sh /dev/stdin 3>&-\n"
"fi\n"
"[ -c /dev/hvc3 ] && exec 3>&-\n"
"finish\n";
