#!/bin/bash
# What the launcher's threads may still ask of the kernel: every call is tried.
. "$(dirname "$0")/lib/lab.sh"

inside "system calls" <<'END'
echo secret >/victim
truncate -s 1M /tmp/image
for thread in vcpu disk net vsock rng balloon line fs share share-ro; do
	LGUEST_TEST_CONFINE=$thread LGUEST_TEST_CONFINE_FILE=/victim \
		lguest run --name x --share /tmp --share /lab:lab,ro -n switch=/tmp/lan -d /tmp/image \
			--vsock /tmp/door -- true </dev/null >/tmp/out 2>/tmp/said
	has "L8 $thread: every system call was tried" '^tried$' /tmp/said
	grep -v -e '^lguest: ' -e '^tried$' /tmp/said >/tmp/$thread
	# The folder of a share's server is its root.
	case $thread in
	share*) sed -i '/^list$/d' /tmp/$thread ;;
	esac
	between "L8 $thread: few are let through, of 1024" 20 60 "$(wc -l </tmp/$thread)"
	# open openat openat2 creat; execve execveat; ptrace process_vm_*; socket
	# connect bind accept; fork vfork; mount umount2 pivot_root unshare setns;
	# init_module finit_module kexec_*; bpf perf_event_open userfaultfd;
	# set*id capset chroot; mknod link symlink rename; io_uring_setup, _register;
	# chmod chown utime and their kind, which only a share has, for what is fixed (jail.sh)
	for call in 2 257 437 85 59 322 101 310 311 41 42 49 43 288 fork 57 58 165 166 155 \
		272 308 175 313 246 320 321 298 323 105 106 113 117 126 161 133 86 88 \
		16 82 264 316 425 427 62 434 438 \
		90 91 268 452 92 93 94 260 132 235 261 280; do
		# A share opens and renames, beneath its folder (Landlock).
		case $thread:$call in
		share:316) continue ;;
		esac
		! grep -qxe $call /tmp/$thread || echo $call
	done >/tmp/bad
	is "L8 $thread: none of the dangerous ones" "" "$(echo $(cat /tmp/bad))"
	is "L8 AT-77 $thread: no file of the host, no new code, no signal to others, no great memory" "" \
		"$(echo $(grep -e open -e list -e remove -e code -e signal -e memory /tmp/$thread))"
done
LGUEST_TEST_CONFINE=vcpu lguest run --name x --share /tmp -n switch=/tmp/lan -d /tmp/image --gdb /tmp/gdb -- true \
	</dev/null >/tmp/out 2>/tmp/said
is "L7 L8 with a debugger the vCPU's thread has no call more: its supervisor accepts it" "" \
	"$(grep -v -e '^lguest: ' -e '^tried$' /tmp/said | grep -vxFf /tmp/vcpu)"
is "L8 AT-77 the host's file is there" secret "$(cat /victim)"

# What /proc says of a launcher that root started with files open and no limits.
ulimit -Sn $(ulimit -Hn)
mkdir -p /tmp/lan
truncate -s 1M /tmp/disk
exec 7</victim 8>/tmp/eight
background lguest run --name x --share /tmp:tmp,ro -n switch=/tmp/lan -d /tmp/disk --vsock /tmp/door -- \
	sh -c 'echo up; sleep 1000' </dev/null >/tmp/out 2>&1
exec 7<&- 8>&-
wait_for 60 grep -q up /tmp/out
door=$(pgrep vsock-door)
supervisor=$pid pid=$(machine $pid)
# of FIELD TASK...: its values in these tasks.
of() {
	local field=$1
	shift
	for task; do sed -n "s/^$field:\t//p" $task/status; done | sort -u | tr '\n' ' '
}
share=/proc/$(pidof share-server)
others=/proc/$door
for task in /proc/$pid/task/*; do
	others="$others $task"
done
all="/proc/$door $share $(echo /proc/$pid/task/*)"
between "L8 K14 the machine has threads" 10 40 "$(ls /proc/$pid/task | wc -l)"
is "L8 ... which have the names of their kinds" "balloon disk fs lguest-machine line net rng vsock" \
	"$(echo $(cat /proc/$pid/task/*/comm | grep -v '^iou-' | sort -u))"
is "L8 K14 all of its threads are confined, the first one too" "2 " "$(of Seccomp $share $others)"
is "L8 K14 ... and it has no terminal, nor a file of the user's" "$pid /dev/null /dev/null /dev/null" \
	"$(awk '{ print $6 }' /proc/$pid/stat) $(echo $(for fd in 0 1 2; do readlink /proc/$pid/fd/$fd; done))"
is "L8 K14 the supervisor has one thread, and the guest's device only the machine" "1 0 1" \
	"$(ls /proc/$supervisor/task | wc -l) $(ls -l /proc/$supervisor/fd | grep -c lguest$) $(ls -l /proc/$pid/fd | grep -c /dev/lguest$)"
is "L8 no thread can get privileges" "1 " "$(of NoNewPrivs $all)"
is "L8 AT-77 root's capabilities are gone, but in the share: those to files" \
	"$(echo 0000000000000000 0000000000000006 | tr ' ' '\n' | head -n 2 | tr '\n' ' ')" \
	"$(of CapPrm $others $share)"
is "L8 AT-77 ... also those that could come back" "0000000000000000 : 0000000000000000 : 0000000000000000 " \
	"$(of CapInh $others $share): $(of CapAmb $others $share): $(of CapBnd $others $share)"
is "L8 AT-77 the server of a share has its folder for a root, and nothing of its machine" "/tmp 0" \
	"$(readlink $share/root) $(ls -l $share/fd | grep -c -e lguest -e memfd -e /tmp/disk -e victim -e eight)"
is "L8 no thread can leave an image of its memory" "Max core file size 0 0 bytes" \
	"$(echo $(grep 'core file' /proc/$pid/limits))"
between "L8 AT-77 its address space cannot grow by more than 64 MiB" 1 67108864 \
	$(($(awk '/^Max address space/ { print $4 }' /proc/$pid/limits) - \
	   $(awk '/^VmSize/ { print $2 * 1024 }' /proc/$pid/status)))
is "L8 AT-77 files of whoever started it are closed" "" \
	"$(ls -l /proc/$pid/fd /proc/$supervisor/fd /proc/$door/fd $share/fd | grep -e victim -e eight)"
is "L8 AT-77 others may not look into it" "0 root" "$(stat -c '%u %U' /proc/$pid/mem)"
kill $supervisor; wait $supervisor
is "L8 nobody complains" "up" "$(cat /tmp/out)"
check "L8 the door has removed its socket" wait_for 5 test ! -e /tmp/door

background lguest run -- sh -c 'echo up; sleep 1000' </dev/null >/tmp/out 2>&1
wait_for 60 grep -q up /tmp/out
is "L8 AT-77 1024 files may be open" 1024 \
	"$(awk '/^Max open files/ { print $4 }' /proc/$(machine $pid)/limits)"
kill $pid; wait $pid

# What the guest may still do by them: restarts, and all of it again.
lguest run -v --name x --share /tmp -n switch=/tmp/lan --vsock /tmp/door -d /tmp/disk -- sh -c '
	[ -e /mnt/share/again ] && cat /mnt/share/again && exit 7
	echo again >/mnt/share/again; chown 7:8 /mnt/share/again; reboot -f; sleep 60' \
	</dev/null >/tmp/out 2>/tmp/err
is "L8 AT-77 K12 a confined launcher of root restarts in place" "7 again 7:8 1" \
	"$? $(cat /tmp/out) $(stat -c %u:%g /tmp/again) $(grep -c '^lguest: the guest restarts' /tmp/err)"
END

finish
