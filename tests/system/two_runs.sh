#!/bin/bash
# tests/run twice in one tree: the second one says so, and takes nothing of the first's.
. "$(dirname "$0")/../ktap.sh"
top=$(cd "$(dirname "$0")/../.." && pwd)
mkdir -p "$work/tree/tests/system"
cp "$top/tests/run" "$work/tree/tests/run"
echo "system tests/system/*.sh timeout=60" >"$work/tree/tests/tests.conf"
cat >"$work/tree/tests/system/slow.sh" <<END2
#!/bin/bash
touch "$work/begun"
until [ -e "$work/go" ]; do sleep 0.1; done
echo "ok 1 - it was left alone"
echo "1..1"
END2
chmod +x "$work/tree/tests/system/slow.sh"
run() { exec "$work/tree/tests/run" -j 1 slow >"$work/$1" 2>&1 </dev/null; }
begin() {	# NAME: its process is $first
	rm -f "$work/go" "$work/begun"
	(run "$1") & first=$!
	for ((i = 0; i < 600; i++)); do
		[ ! -e "$work/begun" ] || break
		sleep 0.1
	done
}
passed="0 1 passed, 0 failed, 0 skipped"

begin first
(run second)
is "a second run is refused" 2 $?
is "... with one sentence, that names the first" "1 $first" \
	"$(wc -l <"$work/second") $(sed -n 's/^tests\/run: process \([0-9]*\), or a test that it left behind, runs in this tree.*/\1/p' "$work/second")"
touch "$work/go"
wait $first
is "the first one has its result" "$passed" "$? $(tail -n 1 "$work/first")"
(run third)
is "after it there may be another" "$passed" "$? $(tail -n 1 "$work/third")"
begin fourth
kill -9 $first
wait $first 2>/dev/null
(run fifth)
is "a test that a killed run left behind still has its log" 2 $?
touch "$work/go"
check "... until it ends" flock -w 30 "$work/tree/build/tests/lock" true
(run sixth)
is "... and then there may be another" "$passed" "$? $(tail -n 1 "$work/sixth")"
finish
