#!/bin/bash
# What the launcher says about its options, and when. None of it needs a lab, nor /dev/lguest.
. "$(dirname "$0")/../ktap.sh"
top=$(cd "$(dirname "$0")/../.." && pwd)
lguest() { timeout 30 "$top/launcher/lguest" "$@"; }
export XDG_CACHE_HOME=$work/cache XDG_RUNTIME_DIR=$work/run LGUEST_LAYERS=$work/layers
mkdir -m 700 "$work/run"
cd "$work" || exit 1
mkdir 'co:lon' plain 'both' 'both:tag'
echo text >file
has() { check "$1" grep -qE "$2" err; }

# ---- a bad value is bad usage, and told before anything is taken: no name, no folder, no kernel
bad() {		# SENTENCE OPTION...
	local sentence=$1
	shift
	lguest run --name early "$@" -- true >out 2>err </dev/null
	is "K1 $*: bad usage, in one line" "2 1" "$? $(wc -l <err)"
	has "K1 ... that says why and what to try" "^lguest: ${sentence}[^;]*; "
}
bad 'cannot use the disk none: No such file' -d none
bad 'cannot use the disk none: No such file' -d none,ro
bad 'cannot use the disk file,iops=x: iops=, bps= and burst= take a number' -d file,iops=x
bad 'cannot use the disk file,full=x: full= is error or pause' -d file,full=x
bad 'cannot use the network user,bps=0: bps= and burst= take a number' -n user,bps=0
bad 'cannot use the disk plain: it is neither' -d plain
bad 'cannot use the disk : its name is missing' -d ''
bad 'cannot use the disk : its name is missing' -d ,ro
for way in tap nonsense switch= tap,x user, user,allow= user,allow=x user,deny=10.0.0.0/33 user,allow=10.0.0.1:0 \
		user,host-loopback=yes user,deny=::/0:80 user=x user=0:7 user=80:80:80 user= tap=tap1,mac=zz \
		tap=nametoolongforaninterface "switch=$(printf '%0120d' 0)" switch=lan,mac=01:02:03:04:05:06; do
	bad "cannot use the network $way: " -n "$way"
done
is "K1 ... and no switch's folder is made" "" "$(ls -d lan 2>/dev/null)"
bad 'cannot share none: No such file' --share none
bad 'cannot share file: Not a directory' --share file
bad 'cannot share no:colon: No such file' --share no:colon
bad 'cannot share plain:a b: a tag is made of' --share 'plain:a b'
bad 'cannot share plain:: a tag has 1 to 36' --share plain:
bad "cannot share plain:lguest-root: this tag is --rootfs'" --share plain:lguest-root
bad 'run: --rootfs is there 2 times: a guest has 1' --rootfs / --rootfs /
bad 'cannot share both: another share has this tag' --share plain --share both
bad 'cannot share plain:i: a guest has 8' $(for i in a b c d e f g h; do echo --share plain:$i; done) --share plain:i
bad 'cannot share /: a guest has 8' --rootfs / $(for i in a b c d e f g h; do echo --share plain:$i; done)
bad 'run: 23 disks, cards and folders: a guest has 22' $(for i in 1 2 3 4 5 6 7 8 9 10 11 12; do echo -d file; done) \
	$(for i in 1 2 3 4 5 6 7 8 9 10; do echo "--net tap=t$i"; done) --share plain
bad 'cannot share none: No such file' --rootfs none
bad 'cannot share plain: there is no --rootfs' --rw plain
bad 'cannot share none: No such file' --rootfs / --rw none
bad 'cannot share plain: it does not lie below' --rootfs both --rw plain
bad 'cannot share both: it does not lie below' --rootfs both --rw both
bad "cannot share plain:lguest-rw-0: this tag is --rootfs' or --rw's" --share plain:lguest-rw-0
bad "run: --user: the guest has no user 'alice'" --user alice
bad "run: --user: the guest has no group 'none'" --rootfs / --user root:none
bad "run: --cwd: 'tmp' does not begin with /" --cwd tmp
bad "run: --env: '=x' has no name" --env =x
bad 'cannot hide plain: there is no --rootfs' --hide plain
bad 'cannot hide none: No such file' --rootfs / --hide none
bad 'cannot hide plain: it does not lie below' --rootfs both --hide plain
bad 'cannot show plain: nothing there is hidden' --rootfs / --show plain
bad 'cannot use the socket .*: the name is missing or too long' --vsock "$(printf '%0100d' 0)"
bad 'run: cannot listen for a debugger at .*: the path is missing or too long' --gdb "$(printf '%0110d' 0)"
bad 'run: --memory: a guest takes 16M to 1024G, a stock kernel 62M' -m 15M
bad "run: --cpus: '0' is not a number" -c 0
bad "run: --cpus: 'x' is not a number" -c x
bad "run: --cpus: '-1' is not a number" --cpus=-1
bad "run: --cpus: '2.5' is not a number" -c2.5
bad "run: --cpus: '' is not a number" -c ''
bad 'run: --cpus: a guest has 1 to 16 vCPUs' -c 17
bad 'run: --cpus: a guest has 1 to 16 vCPUs' -c 18446744073709551615
bad "run: --cpus: '18446744073709551616' is not a number" -c 18446744073709551616
is "K1 ... and nothing was linked, nor a name taken" "" "$(find cache run -mindepth 1 2>/dev/null)"

# ---- a colon in a folder's name
good() {	# NAME OPTION...: whatever is wrong comes later
	local name=$1
	shift
	lguest run -k none "$@" -- true >out 2>err </dev/null
	is "$name" "122 " "$? $(grep share err)"
}
good "L10 a folder with a colon in its name is shared" --share co:lon
good "L10 ... with a tag, and read-only" --share co:lon:tag,ro
good "L10 DIR:TAG is a folder and a tag, if there is such a folder" --share both:tag

# ---- output that is lost is no success
commands=$(lguest help | sed -n '/^Commands:/,/^$/s/^  \([a-z]*\) .*/\1/p')
check "K1 there are commands" test "$(wc -w <<<"$commands")" -ge 5
lost() {	# NAME COMMAND...
	local name=$1
	shift
	lguest "$@" >/dev/full 2>err
	is "K1 $name to a full disk is a failure" "1 1" "$? $(wc -l <err)"
	has "K1 ... that is told" "^lguest: $1: .*(No space left on device|could not be written)"
	lguest "$@" >&- 2>err
	is "K1 $name to a closed stdout is a failure" "1 1" "$? $(wc -l <err)"
	has "K1 ... that is told" "^lguest: $1: .*(Bad file descriptor|could not be written)"
}
for command in $commands; do lost "$command --help" "$command" --help; done
lost version version
lost list list
lost "what fails on this machine, too," check
lost "the manual" help --man
lguest list >&- 2>&-
is "K1 nor with no stderr, either" 1 $?
lguest run -k none -- true >&- 2>err
is "K1 a stdout that is closed and not used matters to nobody" 122 $?

is "K1 help: each summary is a sentence" "" \
	"$(lguest help | sed -n '/^Commands:/,/^$/p' | grep '^  ' | grep -v '\.$')"

finish
