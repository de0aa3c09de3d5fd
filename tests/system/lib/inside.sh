# tests/system/lib/inside.sh: sourced on the lab's host (busybox sh) by the
# scripts that tests/system/lib/lab.sh sends there. Lines that begin with @
# are results; anything else shows as a comment.
#
#	is NAME WANTED GOT	two strings are equal
#	check NAME COMMAND...	a command succeeds
#	has NAME PATTERN FILE	a line matches the extended expression
#	hasnt NAME PATTERN FILE	no line does
#	between NAME LOW HIGH GOT	a number
#	plain TEXT		the extended expression that matches it, as a release with its +
#	wait_for SECONDS COMMAND...	until it succeeds
#	in_real_root FILE [PROGRAM...]	run a script with a root that can be changed
#	launchers		those processes `lguest` that were called, without their machines
#	machine PID		the process that has its guest; PID is the one that was called
#	busy_looks PID N	of N looks, four a second, so many find it running
#	quiet PID		its guest has hardly any work, for two seconds
#	split_lock TRAP [OPTION...]	what becomes of one of a guest's process (TRAP: tests/system/trap.c)
#	background COMMAND... <IN >OUT	a job, as $pid; OUT is new before it starts, as whoever
#				waits for a word in it must not find an earlier command's
#	now			monotonic seconds, with hundredths
export LC_ALL=C

ok() { echo "@ok $1"; }
not_ok() { echo "@not ok $1"; }
show() { [ ! -s "$1" ] || tail -n "${2:-30}" "$1" | tr -d '\r' | sed 's/^/  | /'; }
plain() { printf '%s\n' "$1" | sed 's/[][\.*^$+?(){}|]/\\&/g'; }
is() {
	if [ "$2" = "$3" ]; then ok "$1"; else
		not_ok "$1"
		printf 'wanted: %s\n' "$2"
		printf 'got:    %s\n' "$3"
	fi
}
check() {
	local name=$1
	shift
	if "$@" >/tmp/check.out 2>&1; then ok "$name"; else
		not_ok "$name"
		echo "$*: status $?"
		show /tmp/check.out
	fi
}
has() {
	if grep -qE -e "$2" "$3"; then ok "$1"; else
		not_ok "$1"
		echo "no line of $3 matches $2:"
		show "$3"
	fi
}
hasnt() {
	if grep -qE -e "$2" "$3"; then
		not_ok "$1"
		grep -m 10 -E -e "$2" "$3"
	else ok "$1"; fi
}
between() {
	if awk -v a="$2" -v b="$3" -v x="$4" 'BEGIN { exit !(x != "" && x >= a && x <= b) }'; then
		ok "$1"
	else
		not_ok "$1"
		echo "wanted: $2 to $3"
		echo "got:    $4"
	fi
}
now() { cut -d' ' -f1 /proc/uptime; }
difference() { awk -v a="$1" -v b="$2" 'BEGIN { printf "%.2f", b - a }'; }
wait_for() {
	local left=$(($1 * 10 * ${LAB_SLOW:-1}))
	shift
	until "$@" >/dev/null 2>&1; do
		left=$((left - 1))
		[ $left -gt 0 ] || return 1
		sleep 0.1
	done
}

# The shell itself opens what stands behind the call. A job of `&` alone has no input.
background() {
	{ "$@" <&9 9<&- & } 9<&0
	pid=$!
}

launchers() {
	local pid
	for pid in $(pidof lguest); do
		! grep -qx lguest /proc/$pid/comm || echo $pid
	done
}
machine() {
	local children=$(cat /proc/$1/task/$1/children 2>/dev/null)
	echo ${children%% *}
}

# Who waits is asleep nearly always, at any speed; who is busy never.
busy_looks() {
	local n=0 i=0
	while [ $i -lt $2 ]; do
		! grep -q ') R ' /proc/$1/task/*/stat /proc/$(machine $1)/task/*/stat || n=$((n + 1))
		i=$((i + 1))
		sleep 0.25
	done
	echo $n
}
quiet() {
	local before=$(counter world_switches $1)
	sleep 2
	[ $(($(counter world_switches $1) - before)) -lt 30 ]
}

# Run a script where the root is a mount of its own, as on systems that are up:
# in an initramfs the kernel refuses to change it, which passt wants to do.
in_real_root() {	# FILE [PROGRAM...]: these go to its /usr/bin
	local script=$1 d status
	shift
	mkdir -p /n && mount -t tmpfs n /n
	cp -a /bin /sbin /usr /lib /lib64 /etc /boot /home /n/
	mkdir -p /n/var/cache
	cp -a /var/cache/lguest /n/var/cache/
	for d in proc sys dev tmp lab run; do
		mkdir -p /n/$d
		mount --rbind /$d /n/$d
	done
	[ $# = 0 ] || cp "$@" /n/usr/bin/
	grep -q ^nobody: /n/etc/passwd || echo nobody:x:65534:65534::/:/bin/sh >>/n/etc/passwd
	unshare -m sh -c "cd /n && mount -o move . / && exec chroot . sh $script"
	status=$?
	umount -l /n
	return $status
}

# What a guest may leave behind: nothing.
no_guest_left() {
	wait_for 5 nothing_alive
	nothing_alive
}
nothing_alive() {
	! pidof lguest && [ -z "$(ls /sys/kernel/debug/lguest 2>/dev/null)" ] &&
		[ "$(cat /sys/module/lg/refcnt)" = 0 ]
}

# Free memory in KiB, with what each CPU keeps at hand (two dozen huge pages can be
# among that), caches dropped, once it has settled.
free_memory() {
	local last=0 got tries=0
	while [ $tries -lt 20 ]; do
		sync
		echo 3 >/proc/sys/vm/drop_caches
		got=$(awk '/^ *count:/ { sum += 4 * $2 } /^MemFree/ { sum += $2 } END { print sum }' \
			/proc/zoneinfo /proc/meminfo)
		[ $((got - last)) -gt 64 ] || [ $((last - got)) -gt 64 ] || break
		last=$got
		tries=$((tries + 1))
		sleep 0.2
	done
	echo "$got"
}
# Pages that the kernel gave to somebody and has no name for, a module for one, in
# KiB (as tests/micro/run.c counts). MemFree goes up and down with caches and logs.
nameless() {
	awk '/^ *count:/ { cpu_lists += 4 * $2 }
	/^MemTotal:/ { sum += $2 }
	/^(MemFree|Buffers|Cached|SwapCached|AnonPages|Slab|KernelStack|PageTables|SecPageTables|Percpu|VmallocUsed):/ { sum -= $2 }
	END { print sum - cpu_lists }' /proc/zoneinfo /proc/meminfo
}
meminfo() { awk -v k="$1:" '$1 == k { print $2 }' /proc/meminfo; }

# What the guests' kernel fits into at least, in MiB: each kernel needs more than the last.
least_memory() {
	local size=50
	while lguest run -m ${size}M -- true >/dev/null 2>&1; [ $? = 122 ] && [ $size -lt 200 ]; do
		size=$((size + 1))
	done
	echo $size
}

# COUNTER [PID]: of that launcher's guest, or of $pid's
counter() {
	awk -v n="$1" '$1 == n { sum += $2 } END { print sum + 0 }' \
		/sys/kernel/debug/lguest/$(machine ${2:-$pid})/stats
}

# A split lock, as the Host tells a guest of one: exception 17, of a process that has not
# asked for it by its flags. It may strike the guest's kernel instead, if that just has an
# interrupt, and then is that guest's end (120): the next one shall have it.
split_lock() {
	local trap=$1 tries=0 status=120
	shift
	while [ $status = 120 ] && [ $tries -lt 5 ]; do
		background lguest run "$@" -- sh -c 'while :; do :; done & child=$!
			echo ready; wait $child; echo "status $?"; dmesg' >/tmp/out 2>/tmp/err </dev/null
		wait_for 60 grep -q ready /tmp/out
		$trap $(machine $pid) 17
		wait_for 30 grep -q 'status\|panicked' /tmp/out /tmp/err || kill $pid
		wait $pid
		status=$?
		tries=$((tries + 1))
	done
	has "AT-70 a split lock that the Host does not judge is SIGBUS" '^status 135$' /tmp/out
	hasnt "AT-70 ... and is not tried again" 'took a split_lock' /tmp/out
}

finish_inside() { exit 0; }
