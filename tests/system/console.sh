#!/bin/bash
# The guest's console: on a terminal, with a person; and on pipes.
. "$(dirname "$0")/lib/lab.sh"
program "$(dirname "$0")/pty.c" "$work/pty" || { not_ok "pty.c compiles"; finish; exit; }

inside "terminal" --with "$work/pty" <<'END'
# played NAME STATUS-LINE STEP... : play it, and the terminal must be restored.
played() {
	local name=$1 wanted=$2
	shift 2
	./pty "$@" >/tmp/pty.out 2>&1
	is "$name" "$wanted" "$(tr -d '\r' </tmp/pty.out | grep -E '^pty: (status|signal|failed)')"
	[ "$(grep -c '^pty: failed' /tmp/pty.out)" = 0 ] || show /tmp/pty.out 40
	is "K5 ... and the terminal is as it was" "pty: restored" \
		"$(tr -d '\r' </tmp/pty.out | grep -E '^pty: (restored|changed)')"
}

# The words typed are not those expected: the terminal echoes them.
played "K5 a shell to type in; exit ends it" "pty: status 0" \
	cooked: 'expect:Leave with' 'expect:# ' raw: \
	'send:echo $((6 * 7))\r' 'expect:42' \
	'send:stty size\r' 'expect:31 97' \
	'size:44 133' 'send:until stty size | grep "4[4] 133"; do sleep 0.1; done\r' 'expect:44 133' \
	'send:tty\r' 'expect:/dev/hvc0' \
	'send:sh -c "echo be${x}gin; exec sleep 1000"\r' 'expect:begin' 'send:^C' 'expect:# ' \
	'send:echo st$((1))ll\r' 'expect:st1ll' \
	'send:dmesg | grep -c lguest\r' 'expect:# ' \
	'send:exit\r' -- lguest run
tr -d '\r' </tmp/pty.out >/tmp/first
has "J14 uname and lguest are shown to the person" '^Linux guest .*Debian' /tmp/first
has "J1 ... with the lines of the log that name lguest" 'Booting paravirtualized kernel on lguest' /tmp/first
has "K1 ... and the kernel that is booted" '^lguest: booting /boot/vmlinuz-' /tmp/first

played "K5 Ctrl-A x ends the guest" "pty: status 119" \
	'expect:Leave with' 'expect:# ' 'send:^Ax' -- lguest run
played "K5 two ^C do not end it, three within a second do" "pty: status 119" \
	'expect:up' raw: 'send:^C^C' sleep:1.5 'send:echo st$((1))ll\r' sleep:0.3 'send:^C^C^C' \
	-- lguest run -- sh -c 'trap : INT; echo up; while :; do sleep 1; done'
has "K5 ... and a sentence says so" 'lguest: the guest was ended from the keyboard' /tmp/pty.out
played "K5 Ctrl-A x ends a guest that boots" "pty: status 119" \
	'expect:Linux version' raw: 'send:^Ax' -- lguest run -v
played "K5 SIGTERM while the terminal is raw" "pty: signal 15" \
	'expect:Linux version' raw: kill:15 -- lguest run -v
played "K5 a crash of the launcher while the terminal is raw" "pty: signal 11" \
	'expect:Linux version' raw: kill:11 -- lguest run -v
played "K5 a COMMAND hears of the terminal's new size" "pty: status 4" \
	'expect:up' 'size:23 45' 'expect:now 23 45' \
	-- lguest run -- sh -c 'trap "echo now \$(stty size); exit 4" WINCH; echo up; while :; do sleep 0.1; done'
played "K5 a COMMAND on a terminal gets its keys" "pty: status 3" \
	'expect:name?' 'send:Rusty\r' 'expect:hello Rusty' \
	-- lguest run -- sh -c 'echo "name?"; read name; echo "hello $name"; exit 3'
# Not a person: the output is a file, the keys come line by line.
played "K5 a terminal's lines for a COMMAND whose output is a file" "pty: status 0" \
	sleep:1 'send:first\r' 'send:second\r' 'send:^D' -- sh -c 'exec lguest run -- cat >/tmp/keys'
is "K5 ... all of them" "first second" "$(echo $(cat /tmp/keys))"
END

head -c 200000 /dev/urandom | base64 -w 76 >"$work/text"
inside "pipes" --with "$work/text" <<'END'
lguest run -- cat /proc/version </dev/null >/tmp/out 2>/tmp/err
is "K5 output into a file, no input" "0 1" "$? $(wc -l </tmp/out)"

# 130 KB each way through the console, checked by its sum.
lguest run -- sh -c 'head -c 300000 /dev/zero | tr "\0" x; echo; echo end' >/tmp/out 2>/tmp/err
is "K5 300 KB of output arrive as they are" "$(
	{ head -c 300000 /dev/zero | tr '\0' x; echo; echo end; } | sha256sum)" "$(sha256sum </tmp/out)"

{ echo "sha256sum <<'THE END'"; head -n 300 text; echo "THE END"; echo 'exit 0'; } >/tmp/script
lguest run </tmp/script >/tmp/out 2>/tmp/err
is "K5 a long script on stdin: status" 0 $?
has "K5 ... all of it arrives" "^$(head -n 300 text | sha256sum | cut -d' ' -f1)" /tmp/out

lguest run -- sh -c 'while :; do echo line; done' 2>/tmp/err | head -n 3 >/tmp/out
is "K5 a reader that goes away ends the launcher" "line line line" "$(echo $(cat /tmp/out))"
check "K5 ... and its guest" no_guest_left
END

finish
