#!/bin/bash
# A guest's kernel under a debugger: Debian's gdb-minimal, told what to do by a script.
# Not the gdb of this machine: Debian's other one needs Python's library.
. "$(dirname "$0")/lib/lab.sh"

gdb=$("$top/lab/fetch-program" gdb-minimal) || { not_ok "gdb-minimal is fetched"; finish; exit; }
ln -s "$gdb" "$work/gdb"
program "$(dirname "$0")/remote.c" "$work/remote" || { not_ok "remote.c compiles"; finish; exit; }
linked=$(ls -t "$built"/cache/lguest/"$release"-*.elf 2>/dev/null | head -n 1)
readelf -hW "$linked" | sed -n 's/.*Entry point address: *0x//p' >"$work/entry"

inside "gdb" --timeout 560 --memory 1G --with "$work/gdb" --with "$work/remote" --with "$work/entry" <<'END'
lguest link --debug-file /tmp/kernel /boot/vmlinuz-*
is "L7 the kernel's symbols for gdb" 0 $?
entry=$(cat entry)

# debug [OPTION...] <COMMANDS: what gdb says goes to /tmp/gdb
gdb() { kill -$1 $(cat /tmp/gdb.pid); }	# SIGNAL
debug() {
	{
		echo 'set pagination off'
		echo 'set confirm off'
		cat
	} >/tmp/commands
	timeout 300 sh -c 'echo $$ >/tmp/gdb.pid; exec "$@"' - \
		gdb/lib/ld-linux-x86-64.so.2 --library-path gdb/lib gdb/bin/gdb \
		-nx -q -batch -x /tmp/commands /tmp/kernel >/tmp/gdb 2>&1
}
# The same beside us; going waits until it lets the guest go.
debug_aside() {
	cat >/tmp/aside
	rm -f /tmp/gdb
	debug </tmp/aside &
}
going() { wait_for 100 grep -q 'Sending packet: .vCont;c' /tmp/gdb; }
said() { sed -n "s/^$1: //p" /tmp/gdb; }
# The guest works while it is debugged, and says in the end how it is.
cat >/tmp/work <<'X'
work() { i=0; while [ $i -lt 20000 ]; do i=$((i + 1)); done; seq 1 30000 | md5sum; }
trouble() { dmesg | grep -c -E 'WARNING:|BUG:|Oops|self-detected stall|soft lockup|general protection|ftrace bug' || true; }
X
sum=$(seq 1 30000 | md5sum)
start() {	# OPTION... -- SCRIPT, after that of /tmp/work
	local options=
	while [ "$1" != -- ]; do options="$options $1"; shift; done
	mkfifo /tmp/in 2>/dev/null
	lguest run --time-limit 400 --gdb /tmp/door $options -- sh -c "$(cat /tmp/work)
		$2" </tmp/in >/tmp/out 2>/tmp/err &
	pid=$!
	exec 9>/tmp/in
	wait_for 20 test -S /tmp/door
}
finished() {	# NAME: its output ends with the right result, and no trouble
	exec 9>&-
	wait $pid
	is "$1" "0 $sum 0" "$? $(tail -n 2 /tmp/out | tr '\n' ' ' | sed 's/ $//')"
}

# From the first instruction on.
start -- 'cat /proc/version; work; trouble'
sleep 1
is "L7 it says how to reach it" 1 "$(grep -c "^lguest: the guest waits for a debugger: gdb vmlinux -ex 'target remote /tmp/door'" /tmp/err)"
is "L7 the socket is its user's alone" "srw-------" "$(ls -l /tmp/door | cut -c 1-10)"
is "L7 the guest waits for it" "" "$(cat /tmp/out)"
debug <<'X'
target remote /tmp/door
printf "first: %lx\n", $rip
printf "rsi: %lx\n", $rsi
info threads
printf "banner: %s", (char *)&linux_banner
x/3i $rip
set $third = (long)$_
stepi
stepi
printf "then: %d\n", $rip - $third
break start_kernel
continue
printf "at: %d\n", $rip - (long)start_kernel
backtrace
printf "early: %s", (char *)&linux_banner
delete
hbreak panic
continue
X
is "L7 rip is the first instruction's" "$entry" "$(said first)"
is "L7 stepi" 0 "$(said then)"
is "L7 rsi is where the boot parameters are" 10000 "$(said rsi)"
has "L7 there is one thread" '^\* 1 .*vCPU 0' /tmp/gdb
is "L7 the kernel's symbols fit before it has tables" 1 "$(said banner | grep -c '^Linux version')"
is "L7 a breakpoint in the boot is hit" 0 "$(said at)"
# Of its callers one is in the layer, directly or above x86_64_start_reservations().
has "L7 a backtrace has the caller" '^#[12] +0xfffffffffee' /tmp/gdb
has "L7 a hardware breakpoint: not to be had" 'Cannot insert hardware breakpoint|does not support' /tmp/gdb
finished "L7 detached, the guest boots and works"
is "L7 memory by symbol is what the guest says" "$(head -n 1 /tmp/out)" "$(said banner)"
check "L7 the socket is gone with the guest" test ! -e /tmp/door

# A guest that opens a file when it is told to.
start_reader() {
	start -- 'mkdir /a; echo wrong >/a/aaaaaaaa; echo wrong >/aaaaaaaa; echo right >/baaaaaaa
		echo ready; read line; cat /a/aaaaaaaa; work; trouble'
	./remote /tmp/door D >/dev/null
	wait_for 60 grep -q ready /tmp/out
}

# A kernel function on a system call's path, in the midst of work.
start_reader
debug_aside <<'X'
target remote /tmp/door
break do_sys_openat2 if *(long *)($rsi + 3) == 0x6161616161616161
set debug remote 1
continue
set debug remote 0
printf "at: %d\n", $rip - (long)do_sys_openat2
printf "name: %s\n", (char *)$rsi
printf "dfd: %d\n", (int)$rdi
backtrace
set $i = 0
while $i < 60
  x/2i $rip
  set $next = (long)$_
  stepi
  printf "step: %lx %lx\n", $next, $rip
  set $i = $i + 1
end
X
going
echo go >&9
wait $!
is "L7 a breakpoint on a system call's path is hit" 0 "$(said at)"
is "L7 registers and the user's memory there" "/a/aaaaaaaa -100" "$(said name) $(said dfd)"
has "L7 a backtrace there has the caller" '^#1 .* in (__x64_sys_open|do_sys_open)' /tmp/gdb
is "L7 single steps" 60 "$(grep -c ^step: /tmp/gdb)"
# What gdb disassembled, and where the step led: only branches lead elsewhere.
awk '/^=> / { insn = $0 } /^step: / && $2 != $3 && insn !~ /\t *(j|call|ret|syscall|iret)/ { print insn, $0 }' \
	/tmp/gdb >/tmp/wrong
is "L7 ... each does what the disassembly says" "" "$(cat /tmp/wrong)"
finished "L7 gdb goes: the guest works on"
is "L7 ... and nothing was changed" wrong "$(grep -m 1 -e wrong -e right /tmp/out)"

# The same, with another path in a register and a byte in memory.
start_reader
debug_aside <<'X'
target remote /tmp/door
break do_sys_openat2 if *(long *)($rsi + 3) == 0x6161616161616161
set debug remote 1
continue
set debug remote 0
set $rsi = $rsi + 2
set {char}($rsi + 1) = 98
printf "name: %s\n", (char *)$rsi
set $eflags = 0
detach
X
going
echo go >&9
wait $!
is "L7 a register and a byte of memory are changed" /baaaaaaa "$(said name)"
has "L7 what cannot be set is refused" 'Could not write register|error' /tmp/gdb
finished "L7 ... the guest works on"
is "L7 ... with what the debugger wrote" right "$(grep -m 1 -e wrong -e right /tmp/out)"

# The same on vCPU 1 of two: the stop, its registers and steps are its own.
start -c 2 -- 'mkdir /a; echo right >/a/aaaaaaaa; echo ready; read line
	taskset 2 cat /a/aaaaaaaa; work; trouble'
./remote /tmp/door D >/dev/null
wait_for 60 grep -q ready /tmp/out
debug_aside <<'X'
target remote /tmp/door
break do_sys_openat2 if *(long *)($rsi + 3) == 0x6161616161616161
set debug remote 1
continue
set debug remote 0
info threads
printf "name: %s\n", (char *)$rsi
set $i = 0
while $i < 20
  stepi
  printf "step: %d\n", $_thread
  set $i = $i + 1
end
thread 1
printf "other: %lx\n", $rip
X
going
echo go >&9
wait $!
has "L1 L7 a breakpoint that vCPU 1 comes to is its" '^\* 2 .*vCPU 1' /tmp/gdb
is "L1 L7 ... with its registers" /a/aaaaaaaa "$(said name)"
is "L1 L7 ... and its steps" 20 "$(grep -c '^step: 2' /tmp/gdb)"
is "L1 L7 vCPU 0 stands in its kernel meanwhile" ffffffff "$(said other | cut -c 1-8)"
finished "L1 L7 gdb goes: both work on"

# Ctrl-C: asleep and busy; then gdb dies with a breakpoint in the guest.
start -- 'echo ready; read line; echo busy; read line & while [ ! -e /stop ]; do :; done
	work; trouble'
./remote /tmp/door D >/dev/null
wait_for 60 grep -q ready /tmp/out
interrupt() {
	debug_aside <<'X'
target remote /tmp/door
set debug remote 1
continue
set debug remote 0
printf "stopped: %lx\n", $rip
backtrace
X
	going
	gdb INT
	wait $!
}
interrupt
has "L7 Ctrl-C stops a guest that sleeps" 'received signal SIGINT' /tmp/gdb
is "L7 ... in its kernel" ffffffff "$(said stopped | cut -c 1-8)"
echo go >&9
wait_for 20 grep -q busy /tmp/out
interrupt
has "L7 Ctrl-C stops a guest that is busy" 'received signal SIGINT' /tmp/gdb
debug_aside <<'X'
target remote /tmp/door
break do_sys_openat2 if $rdi == 12345
break __x64_sys_newstat if $rdi == 12345
set debug remote 1
continue
set debug remote 0
X
going
gdb KILL
wait $!
is "L7 gdb is killed while it watches breakpoints" 137 $?
./remote /tmp/door qC '?' D >/tmp/answer
is "L7 ... another one may come" "QC1 T05thread:1; OK" "$(echo $(cat /tmp/answer))"
./remote /tmp/door hostile >/tmp/hostile
is "L7 AT-77 malformed packets: it listens on" "" "$(grep 'does not listen' /tmp/hostile)"
is "L7 AT-77 ... and answers" OK "$(./remote /tmp/door D)"
kill -TERM $pid
exec 9>&-
wait $pid
is "L7 a signal ends it as ever" 143 $?

# Standing: pause, time limit, kill; the guest's end.
start --name x -- 'echo up; sleep 100'
lguest pause x
is "L7 a guest that stands can be paused" 0 $?
./remote /tmp/door c >/dev/null &
sleep 4
is "L7 ... and then does not run" "" "$(cat /tmp/out)"
lguest resume x
wait_for 60 grep -q up /tmp/out
is "L7 ... until it is resumed" up "$(cat /tmp/out)"
wait $!
kill -STOP $pid
./remote /tmp/door '!$k#6b'
kill -CONT $pid
wait $pid
is "L7 kill ends the guest, though whoever sent it is gone" 116 $?
has "L7 ... and it says so" '^lguest: the guest was ended by its debugger' /tmp/err
start --name x -- 'echo up; sleep 100'
lguest stop --force x
wait $pid
is "L7 a guest that stands can be stopped" 116 $?
check "L7 the socket is gone" test ! -e /tmp/door

start -- 'echo c >/proc/sysrq-trigger; sleep 60'
debug <<'X'
target remote /tmp/door
break panic
continue
backtrace
continue
X
wait $pid
is "L7 K11 a breakpoint in panic(), then it panics" 120 $?
has "L7 ... with its caller" '^#1 .* in sysrq_handle_crash' /tmp/gdb
has "L7 ... and gdb hears of the end" 'terminated with signal SIGABRT' /tmp/gdb

# A restart with a debugger: it stays.
start -- '[ -e /proc/cmdline ] && read line && [ $line = again ] && reboot -f; work; trouble'
printf 'again\nno\n' >&9
debug <<'X'
target remote /tmp/door
continue
printf "first: %lx\n", $rip
break start_kernel
continue
printf "at: %d\n", $rip - (long)start_kernel
delete
detach
X
is "L7 I4 K12 a debugger stays over a restart: the guest stands at its start" "$entry 0" \
	"$(said first) $(said at)"
exec 9>&-
kill $pid
wait $pid

# Paths.
echo mine >/tmp/file
lguest run --gdb /tmp/file -- true </dev/null >/tmp/out 2>/tmp/err
is "L7 a file is no place for the socket" "122 mine" "$? $(cat /tmp/file)"
has "L7 ... and it says so" '^lguest: run: cannot listen for a debugger at /tmp/file: there is a file' /tmp/err
start -- 'work; trouble'
lguest run --gdb /tmp/door -- true </dev/null >/tmp/out2 2>/tmp/err2
is "L7 nor is one where somebody listens" 122 $?
kill -KILL $pid
wait $pid
exec 9>&-
check "L7 a launcher that was killed leaves it" test -S /tmp/door
start -- 'work; trouble'
wait_for 20 ./remote /tmp/door D
finished "L7 ... and the next one takes it"
long=$(printf %0120d 1)
lguest run --gdb /tmp/$long -- true </dev/null >/tmp/out 2>/tmp/err
has "L7 a path that is too long is refused" 'the path is missing or too long' /tmp/err
check "L7 nothing is left" no_guest_left
END

finish
