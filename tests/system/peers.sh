#!/bin/bash
# Launchers that do not answer, folders that are somebody else's, options behind a name:
# none of it needs a lab, as the launchers are made up (peers.c).
. "$(dirname "$0")/../ktap.sh"
top=$(cd "$(dirname "$0")/../.." && pwd)
lguest() { timeout 60 "$top/launcher/lguest" "$@"; }
gcc -O1 -Wall -Wextra -Werror -o "$work/peers" "$top/tests/system/peers.c" || exit 1
export XDG_RUNTIME_DIR=$work/run
names=$work/run/lguest
mkdir -m 700 "$work/run" "$names"
cd "$work" || exit 1
has() { check "$1" grep -qE "$2" err; }
declare -A pid; waiting=()
trap 'kill -KILL "${pid[@]}" 2>/dev/null; rm -rf "$work"' EXIT
begin() {	# NAME HOW
	mkdir -m 700 "$names/$1"
	./peers "$names/$1" "$2" & pid[$1]=$!
	until [ -d "$names/$1/ready" ]; do sleep 0.05; done
}
end() {	# NAME...
	for name; do
		kill -KILL "${pid[$name]}"
		wait "${pid[$name]}"
	done 2>/dev/null
}

begin deaf deaf
begin mute mute
lguest list >out 2>err
is "K1 list ends though two launchers do not answer" "0 " "$? $(cat err)"
check "K1 ... and says so" grep -qxE "mute +${pid[mute]} no answer" out
check "K1 ... of the one that accepts nothing, too" grep -qxE "deaf +${pid[deaf]} no answer" out
# All at once, as each has its patience. The queue of the deaf one is full by now.
lguest list --json >json
is "K1 list --json says so, too" 1 "$(tr -d ' \n' <json | grep -c "{\"name\":\"mute\",\"pid\":${pid[mute]},\"state\":\"noanswer\"}")"
asked=("list" "stop mute" "stop --force mute" "pause mute" "console mute" "stop deaf")
for i in "${!asked[@]}"; do
	# shellcheck disable=SC2086
	(lguest ${asked[i]} >out.$i 2>err.$i </dev/null; echo $? >status.$i) & waiting[i]=$!
done
wait "${waiting[@]}"
is "K1 list ends again" "0 1" "$(cat status.0) $(grep -cxE "deaf +- no answer" out.0)"
for i in 1 2 3 4; do
	is "K1 ${asked[i]} ends, with a failure" 1 "$(cat status.$i)"
	check "K1 ... and says what to do" grep -qE \
		"^lguest: ${asked[i]%% *}: the guest 'mute' does not answer; .*kill -CONT ${pid[mute]}\`" err.$i
done
is "K1 stop of one that accepts nothing ends, too" 1 "$(cat status.5)"
check "K1 ... with a sentence" grep -qE "^lguest: stop: the guest 'deaf' does not answer; " err.5
end deaf mute

# ---- a console leaves when it is told to, whatever it waits for
begin full full
cat /dev/zero | timeout -s INT -k 20 2 "$top/launcher/lguest" console full >out 2>err
is "K5 SIGINT ends a console whose guest takes no keys" 124 ${PIPESTATUS[1]}
begin flood flood
mkfifo slow
exec 9<>slow
timeout -k 20 2 "$top/launcher/lguest" console flood >slow 2>err </dev/null
is "K5 SIGTERM ends a console whose output nobody takes" 124 $?
lguest console flood >/dev/full 2>err </dev/null
is "K1 a console's output that is lost is a failure" 1 $?
has "K1 ... with a sentence" "^lguest: console: the output of 'flood' is lost: No space left"
timeout -k 20 30 "$top/launcher/lguest" console full 2>err </dev/null | :
is "K5 a console whose reader has gone ends, though the guest says nothing" "141 " "${PIPESTATUS[0]} $(cat err)"
end full flood

# ---- what is no guest
rm -rf "${names:?}"/*
touch "$names/file" "$names/.hidden" "$names/a b"
mkdir "$names/folder"
lguest list >out 2>err
is "K1 list: a file among the names is no guest" "0 1 " "$? $(wc -l <out) $(cat err)"
is "K1 ... and stays" "a b/file/" "$(ls "$names" | tr '\n' /)"
lguest stop file 2>err
has "K1 stop: nor is it there" "^lguest: stop: no guest called 'file' runs; "

# ---- a status that was kept
lguest wait nobody 2>err
is "K1 wait for a guest that is not there" 122 $?
has "K1 ... is told" "^lguest: wait: no guest called 'nobody' runs; "
echo 7 >"$names/.gone"
lguest wait gone 2>err
is "K1 wait: the status that a guest left" "7 " "$? $(cat err)"
echo x >"$names/.gone"
lguest wait gone 2>err
is "K1 ... is a number" 122 $?
begin brief full
lguest wait brief 2>err & waiter=$!
children=/proc/${pid[brief]}/task/${pid[brief]}/children	# one for each connection
until [ -n "$(<"$children")" ]; do sleep 0.1; done
end brief
wait $waiter
is "K1 wait for a guest whose launcher is killed" 122 $?
has "K1 ... is told" "^lguest: wait: the guest 'brief' ended without a status; |hung up"

# ---- options stand before and behind a name
lguest stop nobody --time-limit 3 2>err
is "K1 stop NAME --time-limit 3" "1 1" "$? $(grep -c "no guest called 'nobody' runs" err)"
lguest stop -f nobody --time-limit=3 2>err
is "K1 stop -f NAME --time-limit=3" "1 1" "$? $(grep -c "no guest called 'nobody' runs" err)"
lguest stop nobody --time-limit 2>err
is "K1 ... a value that is missing" "2 1" "$? $(grep -c "its S is missing" err)"
lguest stop one two 2>err
is "K1 two names" "2 1" "$? $(grep -c 'it takes one NAME' err)"

# ---- XDG_RUNTIME_DIR
XDG_RUNTIME_DIR=/$(printf '%0100d' 0 | sed 's,0,./,g')$work/run lguest list 2>err
is "K1 a long XDG_RUNTIME_DIR: a failure" 1 $?
has "K1 ... that is told" 'has too long a name; set XDG_RUNTIME_DIR to a short one$'
if [ "$(id -u)" = 0 ]; then
	mkdir -m 700 theirs
	chown 12345 theirs
	XDG_RUNTIME_DIR=$work/theirs lguest list >out 2>err
	is "K1 another user's XDG_RUNTIME_DIR: nothing is made there" "" "$(ls theirs)"
	has "K1 ... and it is told" "^lguest: XDG_RUNTIME_DIR=$work/theirs is another user's, and not used; "
else
	skip "K1 another user's XDG_RUNTIME_DIR" "only root can make one"
fi

finish
