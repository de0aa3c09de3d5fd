#!/bin/bash
# docs/ACCEPTANCE.md against the tests that it names: each file is there and has the name,
# each row a state, "works" a test of every run, and the head the right counts. And what
# looks at it finds each of these faults in a table that has it.
. "$(dirname "$0")/../ktap.sh"
top=$(cd "$(dirname "$0")/../.." && pwd)
table=$top/docs/ACCEPTANCE.md

look() { perl "$top/tests/system/lib/acceptance.pl" check "$1" "$top/tests"; }

check "the table names tests that are there" look "$table"

cat >"$work/good" <<'END'
1 work, 1 work partly, 1 not yet, 1 will not.
| A9 | | works | micro/traps.c: a trap before INIT ends the guest: number, rip, value | |
| A3 | | partly | unit/test_address.c: test_range; test_read. system/life.sh: a panic has status 120 | why |
| L4 | | not yet | – | later |
| A14 | | will not | – | there is none |
END
is "a good table is" "" "$(look "$work/good")"

# spoilt WHAT SED-SCRIPT SENTENCE: such a table is refused, for this and nothing else.
spoilt() {
	sed "$2" "$work/good" >"$work/spoilt"
	is "$1 is found" "$3" "$(look "$work/spoilt")"
}
spoilt "a file that is gone" 's,micro/traps\.c,micro/trap.c,' "A9: no file micro/trap.c"
spoilt "a tiny guest's test that is gone" 's/ends the guest/ends guests/' \
	"A9: micro/traps.c has no test 'a trap before INIT ends guests: number, rip, value'"
spoilt "a unit test that is gone" 's/test_read/test_reads/' \
	"A3: unit/test_address.c has no test 'test_reads'"
spoilt "a system test that is gone" 's/status 120/status 130/' \
	"A3: system/life.sh has no test 'a panic has status 130'"
spoilt "a test of another file's" 's,micro/traps\.c,micro/state.c,' \
	"A9: micro/state.c has no test 'a trap before INIT ends the guest: number, rip, value'"
spoilt "a word that is no test" 's/test_range/include/' \
	"A3: unit/test_address.c has no test 'include'"
spoilt "no name" 's/test_range; /; /' "A3: unit/test_address.c has no test ''"
spoilt "no form" 's,life\.sh: ,life.sh ,' \
	"A3: unit/test_address.c has no test 'test_read. system/life.sh a panic has status 120'"
spoilt "words in place of names" 's,| micro/.*value,| by looking,' \
	"A9: not FILE: NAME; NAME: by looking
A9: 'works', by no test that each run has"
spoilt "'works' by the long run alone" \
	's,| micro/.*value,| long/realtime.sh: PREEMPT_RT: not loaded,' \
	"A9: 'works', by no test that each run has"
spoilt "a cell too many" '/A9/s/$/ more |/' "A9: more cells than five"
spoilt "a row that is there twice" 's/^| L4 /| A9 /' "A9: is there twice"
spoilt "a state that is none" 's/| not yet/| nearly/; s/1 not yet/0 not yet/' "L4: no state 'nearly'"
spoilt "'partly' without a reason" 's/| why |/| |/' "A3: 'partly' without a remark"
spoilt "a wrong count" 's/1 work,/2 work,/' \
	"the head says '2 work, 1 work partly, 1 not yet, 1 will not.', the rows '$(
		head -n 1 "$work/good")'"

# Of a run's log: what passed, what was left out, what did not, what another file's log has.
cat >"$work/table" <<'END'
2 work, 0 work partly, 0 not yet, 0 will not.
| X1 | | works | system/a.sh: this passes; this is skipped; this fails | |
| X2 | | works | micro/a.c: this passes, too. system/b.sh: this passes. long/c.sh: not looked for | |
END
printf '%s\n' 'ok 1 - X1 this passes [max]' 'ok 2 - X1 this is skipped # SKIP why' \
	'not ok 3 - X1 this fails' >"$work/a"
printf '%s\n' '    ok 1 - X2 this passes, too' >"$work/b"
is "what a run has shown is told" "acceptance: 2 of 5 named tests were seen to pass
acceptance: not seen: system/a.sh: this fails
acceptance: not seen: system/a.sh: this is skipped
acceptance: not seen: system/b.sh: this passes
acceptance: a row that works has lost its test: X1: system/a.sh: this fails
acceptance: a row that works has lost its test: X2: system/b.sh: this passes" "$(perl "$top/tests/system/lib/acceptance.pl" \
	seen "$work/table" system/a.sh="$work/a" micro="$work/b")"
# Of a whole run: what has passed, what was skipped, and what is not there any more.
cat >"$work/rows" <<'END'
| A1 | | works | unit/test_address.c: test_range; test_reads | |
| A2 | | partly | unit/test_address.c: test_write | why |
END
printf 'ok 1 test_range\nok 2 test_reads # SKIP why\n' >"$work/log"
seen() { perl "$top/tests/system/lib/acceptance.pl" seen "$work/rows" "unit/test_address.c=$work/log" >"$work/said"; }
check "what passed, was skipped, or is of a row that works partly is no loss" seen
printf 'ok 1 test_range\nnot ok 2 test_reads\n' >"$work/log"
seen
is "a row that works and has lost its test fails the run" \
	"1 acceptance: a row that works has lost its test: A1: unit/test_address.c: test_reads" \
	"$? $(grep lost "$work/said")"
finish
