#!/bin/bash
# `make book`: all of the code is on one walk, and the walk has no holes: K15.
. "$(dirname "$0")/../ktap.sh"
top=$(cd "$(dirname "$0")/../.." && pwd)
cd "$top" || exit

check "K15 the book is made" sh -c 'docs/book >"$1"' - "$work/book.html"
missing=
for file in $(git ls-files guest host include launcher | grep '\.[cS]$'); do
	grep -q "<h3 id=\"$file\">" "$work/book.html" || missing+=" $file"
done
is "K15 each source file has its place" "" "$missing"
is "K15 each station is in it, once" "$(grep -rhoE '^\s*/\*[A-Z]:[0-9]+' --include='*.[chS]' \
	guest host include launcher | grep -oE '[A-Z]:[0-9]+' | sort)" \
	"$(sed -n 's,^<span class=station>\(.*\)</span>$,\1,p' "$work/book.html" | sort)"
is "K15 they are in order" "" "$(sed -n 's,^<span class=station>\(.\):\(.*\)</span>$,\1 \2,p' "$work/book.html" |
	awk '$1 == part && $2 <= n { print } { part = $1; n = $2 }')"

# A copy with one mistake at a time.
refused() {	# NAME SENTENCE FILE SED
	cp "$3" "$work/good"
	sed -i "$4" "$3"
	docs/book . >/dev/null 2>"$work/err"
	is "K15 $1 is refused" 1 $?
	check "K15 ... with a sentence" grep -q "$2" "$work/err"
	cp "$work/good" "$3"
}
check "K16 there is a puppy, with two eyes" sh -c 'make -s -C "$1" Puppy | grep -q "(o..o)"' - "$top"
mkdir "$work/copy"
cp -r --parents guest host include launcher docs/book "$work/copy" 2>/dev/null
cd "$work/copy" || exit
first=$(grep -oE '/\*H:[0-9]+' host/core.c | head -n 1)
refused "a number that is there twice" "^book: H:.* is in .* and in " host/dev.c \
	"0,/\/\*H:[0-9]*/s,/\*H:[0-9]*,$first,"
refused "a file without an opening" "host/dev.c has no opening comment" host/dev.c '2s,/\*,int x; /*,'
refused "an unknown part" "there is no part X" host/dev.c 's,/\*H:,/*X:,'
rm launcher/devices/*
refused "a part without stations" "part D has no station" host/dev.c ''
finish
