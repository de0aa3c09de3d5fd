#!/bin/bash
# The lab itself: what every other test relies on.
. "$(dirname "$0")/../ktap.sh"

# The lab must be right whatever the module under test does.
lab() { "$LAB" --no-module "$@"; }

head -c 1048576 /dev/urandom >"$work/random"
sum=$(sha256sum <"$work/random")
mkdir -p "$work/folder/deep"
echo 'a file' >"$work/folder/deep/a name with spaces"
head -c 65536 /dev/urandom >"$work/disk"

lab -- sh -c 'kill -9 $$'
is "a command killed by a signal gives 128 + signal" 137 $?

lab --with "$work/random" -- sh -c 'cat random; cat random random >&2; exit 7' \
	>"$work/stdout" 2>"$work/stderr"
is "the exit status of the command is the lab's" 7 $?
is "1 MiB of any bytes comes back on stdout" "$sum" "$(sha256sum <"$work/stdout")"
is "... and apart from it on stderr" "$(cat "$work"/random{,} | sha256sum)" \
	"$(sha256sum <"$work/stderr")"

is "arguments arrive as they are" "<a  b><'><\"\$HOME\\><*>" \
	"$(lab -- printf '<%s>' 'a  b' "'" '"$HOME\' '*')"

# What does not disturb each other, in one boot: a line of the output each.
echo "int" >"$work/disk2"
truncate -s 512 "$work/disk2"
lab --smp 2 --with "$work/folder" --with "$(readlink -f "$(command -v bash)")" \
	--disk "$work/disk" --disk "$work/disk2" \
	--get /tmp/result:"$work/result" --get /lab/folder:"$work/back" -- sh -c '
	sha256sum
	cat "/lab/folder/deep/a name with spaces"
	./bash -c "echo \$BASH_VERSION"
	echo "$(sha256sum </dev/nvme0n1)" $(wc -c </dev/nvme0n2)
	nproc
	echo $(id -u) $(grep -o Debian /proc/version | head -n 1)
	echo 42 >/tmp/result
	echo new >folder/new' <"$work/random" >"$work/lines"
line() { sed -n "$1p" "$work/lines"; }
is "stdin is the command's, with its end" "$sum" "$(line 1)"
is "--with copies folders" "a file" "$(line 2)"
is "--with brings a program's libraries" "$(/usr/bin/env bash -c 'echo $BASH_VERSION')" "$(line 3)"
is "the disks are there, in order" "$(sha256sum <"$work/disk") 512" "$(line 4)"
is "two CPUs" 2 "$(line 5)"
is "a stock Debian kernel, with root" "0 Debian" "$(line 6)"
is "--get brings a file back" 42 "$(cat "$work/result")"
is "--get brings a folder back" "a file new" \
	"$(echo $(cat "$work/back/deep/a name with spaces" "$work/back/new"))"
lab --get /tmp/none:"$work/none" -- true 2>"$work/stderr"
is "--get of what is not there is 126" 126 $?

lab --cpu Skylake-Client --append pti=on -- sh -c 'grep -qw pti /proc/cpuinfo && echo yes; wc -c' \
	</dev/null >"$work/lines"
is "the kernel's parameters" yes "$(line 1)"
is "without stdin the command reads nothing" 0 "$(line 2)"

lab --timeout 6 -- sleep 100 2>"$work/stderr"
is "a time limit gives 124" 124 $?
check "... and says where the CPUs were" grep -q 'RIP=' "$work/stderr"

lab -- sh -c 'echo "WARNING: of a test" >/dev/kmsg' 2>"$work/stderr"
is "a WARNING in the host's log gives 125" 125 $?
check "... and shows it" grep -q 'WARNING: of a test' "$work/stderr"

lab -- sh -c 'echo c >/proc/sysrq-trigger' 2>"$work/stderr"
is "a host panic gives 125" 125 $?
check "... and shows it" grep -q 'Kernel panic' "$work/stderr"

lab --cpu no-such-cpu -- true 2>"$work/stderr"
is "trouble with QEMU gives 126" 126 $?

lab --bochs --disk "$work/disk" -- true 2>"$work/stderr"
is "what the machine in Bochs has not is refused" 126 $?

lab -- sh -c 'echo one; sleep 1' >"$work/one" & one=$!
lab -- sh -c 'echo two; exit 2' >"$work/two" & two=$!
wait $one; first=$?
wait $two; second=$?
is "two labs at once" "0 one 2 two" "$first $(cat "$work/one") $second $(cat "$work/two")"

is "what the command leaves running ends with it" done \
	"$(lab -- sh -c 'sleep 1000 & echo done')"

finish
