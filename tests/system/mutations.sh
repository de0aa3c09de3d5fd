#!/bin/bash
# The holes that `make mutants` makes can still be made: it takes minutes, and
# is not part of this; but its patches have to follow the code.
. "$(dirname "$0")/../ktap.sh"
top=$(cd "$(dirname "$0")/../.." && pwd)
check "AT-49 each patch in tests/mutations applies, and names its test" "$top/tests/mutants" --check
is "AT-49 there are at least ten" yes \
	"$([ "$(ls "$top"/tests/mutations/*.patch | wc -l)" -ge 10 ] && echo yes)"
finish
