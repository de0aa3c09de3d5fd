#!/bin/bash
# What the launcher's threads may still ask of the kernel: every call is tried.
. "$(dirname "$0")/lib/lab.sh"

inside "system calls" <<'END'
for thread in vcpu watch share control; do
	LGUEST_TEST_CONFINE=$thread lguest run --name x --share /tmp -- true </dev/null >/tmp/$thread 2>/tmp/err
	is "L8 $thread: every system call was tried" 0 $?
	between "L8 $thread: few are let through, of 1024" 20 75 "$(wc -l </tmp/$thread)"
	# open openat openat2 creat; execve execveat; ptrace process_vm_*; socket
	# connect bind accept; fork vfork; mount umount2 pivot_root unshare setns;
	# init_module finit_module kexec_*; bpf perf_event_open userfaultfd;
	# set*id capset chroot; mknod link symlink rename chmod chown; io_uring_setup
	[ $thread = control ] && accept= || accept=288	# it answers at a socket
	for call in 2 257 437 85 59 322 101 310 311 41 42 49 43 $accept fork 57 58 165 166 155 \
		272 308 175 313 246 320 321 298 323 105 106 113 117 126 161 133 86 88 \
		16 82 264 316 90 91 92 93 425 62 434 438; do
		# A share opens and renames, beneath its folder (Landlock).
		case $thread:$call in share:257|share:437|share:316) continue ;; esac
		! grep -qxe $call /tmp/$thread || echo $call
	done >/tmp/bad
	is "L8 $thread: none of the dangerous ones" "" "$(echo $(cat /tmp/bad))"
done

lguest run --name x --share /tmp:tmp,ro -- sleep 1000 </dev/null >/tmp/out 2>&1 & pid=$!
sleep 8
seccomp() { sed -n 's/^Seccomp:\t//p' "$@" | sort | uniq | tr '\n' ' '; }
is "L8 the thread that sleeps has no filter, all others have one" "0 : 2 " \
	"$(seccomp /proc/$pid/status): $(for t in /proc/$pid/task/*; do
		[ ${t##*/} = $pid ] || cat $t/status
	done | seccomp)"
is "L8 no thread can get privileges" "1" \
	"$(echo $(cat /proc/$pid/task/*/status | sed -n 's/^NoNewPrivs:\t//p' | sort -u))"
is "L8 no thread can leave an image of its memory" "Max core file size 0 0 bytes" \
	"$(echo $(grep 'core file' /proc/$pid/limits))"
kill $pid; wait $pid
is "L8 nobody complains" "" "$(cat /tmp/out)"
END

finish
