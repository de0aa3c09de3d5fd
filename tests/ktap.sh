# tests/ktap.sh: sourced by the scripts in tests/system to report in KTAP.
#
#	is NAME WANTED GOT		two strings are equal
#	check NAME COMMAND...		a command succeeds; its output is shown if not
#	skip NAME WHY
#	finish				the plan; the script's exit status
LAB=${LAB:-$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)/lab/lab}
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
ktap_count=0 ktap_failed=0
echo "KTAP version 1"

ok() { ktap_count=$((ktap_count + 1)); echo "ok $ktap_count - $1"; }
not_ok() {
	ktap_count=$((ktap_count + 1)) ktap_failed=$((ktap_failed + 1))
	echo "not ok $ktap_count - $1"
}
skip() { ktap_count=$((ktap_count + 1)); echo "ok $ktap_count - $1 # SKIP $2"; }
is() {
	if [ "$2" = "$3" ]; then ok "$1"; else
		not_ok "$1"
		printf '# wanted: %s\n# got:    %s\n' "${2//$'\n'/$'\n# '}" "${3//$'\n'/$'\n# '}"
	fi
}
check() {
	local name=$1 output status
	shift
	output=$("$@" 2>&1)
	status=$?
	if [ $status -eq 0 ]; then ok "$name"; else
		not_ok "$name"
		printf '# %s: status %d\n' "$*" $status
		sed 's/^/# /' <<<"$output"
	fi
}
finish() {
	echo "1..$ktap_count"
	[ $ktap_failed -eq 0 ]
}
