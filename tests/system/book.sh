#!/bin/bash
# `make book`: all of the code is on one walk, and the walk has no holes: K15.
. "$(dirname "$0")/../ktap.sh"
top=$(cd "$(dirname "$0")/../.." && pwd)
cd "$top" || exit
book=$work/book.html

check "K15 the book is made" sh -c 'docs/book >"$1"' - "$book"
# Not by git: the tree may be a tarball's.
sources=$(find guest host include launcher -name '*.[chS]' ! -name '*.mod.c' | sort)
missing=
for file in $sources; do
	grep -q "<h3 id=\"$file\">" "$book" || missing+=" $file"
done
is "K15 each source file has its place" "" "$missing"
is "K15 each station is in it, once" "$(grep -rhoE '^\s*/\*[A-Z]:[0-9]+' --include='*.[chS]' \
	guest host include launcher | grep -oE '[A-Z]:[0-9]+' | sort)" \
	"$(sed -n 's,^<div class=seg id=\([A-Z]:[0-9]*\)>.*,\1,p' "$book" | sort)"
is "K15 those of a file are in order" "" "$(perl -ne '
	$last = 0 if /^<article>/;
	next unless /^<div class=seg id=(.):(\d+)>/;
	print "$1:$2 comes late\n" if $2 <= $last;
	$last = $2' "$book")"

# "Read next: FILE." leads from guest.h through all of the code.  What is in compat/ is
# read where it is used.
at=include/lguest/guest.h walk=$work/walk
while [ "$at" ] && ! grep -qx "$at" "$walk" 2>/dev/null; do
	echo "$at" >>"$walk"
	next=$(perl -0777 -ne 'print $1 if m{\A[^\n]*\n/\*(?:(?!\*/).)*?Read next:[\s*]+(\S+\.[chS])}s' "$at")
	at=
	for file in "$next" "launcher/$next" "$(dirname "$(tail -n 1 "$walk")")/$next"; do
		[ -f "$file" ] && at=$file
	done
done
is "K15 the first comments lead through all of the code" "" "$(grep '\.[cS]$' <<<"$sources" |
	grep -v /compat/ | grep -vxFf "$walk")"
is "K15 the walk has an end" "" "$at"

# Each line of code, in the file's own chapter.
lost=$(perl -0777 -ne '
	BEGIN { open my $in, "<", shift; local $/; $book = <$in>;
		while ($book =~ m{<h3 id="(.*?)">(.*?)</article>}sg) {
			my ($file, $text) = ($1, $2);
			$text =~ s/<[^>]*>//g;
			$text =~ s/&lt;/</g; $text =~ s/&amp;/&/g;
			$chapter{$file}{$_}++ for split /\n/, $text;
		} }
	s{^/\*(?:[A-Z]:\d+|\*)?\n.*?\*/}{}msg;
	for my $line (grep { /\S/ } (split /\n/)[1 .. tr/\n//]) {
		$all++;
		print "$ARGV: $line\n" if $chapter{$ARGV}{$line}-- < 1 && $line !~ m{^/\*} && ++$bad < 20;
	}
	END { print "only $all lines\n" if $all < 20000 }' "$book" \
	$sources | head -n 20)
is "K15 all of the code is in it" "" "$lost"
missing=
for name in run_guest handle_trap demand_page fill walk_guest enter_guest deliver_trap \
	return_from_event lguest_sort_fault virtio_each emulate_mmio access_device kill_guest \
	direct_syscall direct_iret direct_cr3 maybe_direct_fault trap_in_switcher switcher_enter \
	lguest_event_entry lguest_start lg_cpu lguest_shared LHCALL_INIT; do
	grep -q "<b id=$name>$name</b>" "$book" || missing+=" $name"
	[ "$(grep -c "<a href=#$name>" "$book")" -gt 0 ] || missing+=" #$name"
done
is "K15 names that one looks for are there, and linked" "" "$missing"

is "K15 each link leads somewhere, no two places have one name, all is in one file" "" "$(perl -0777 -ne '
	while (/\sid="?([^\s">]+)/g) { print "two places $1\n" if $place{$1}++ }
	while (/\s(?:href|src)="?([^\s">]+)/g) {
		my $to = $1;
		print "nowhere: $to\n" if $to !~ /^#(.*)/ || !$place{$1} and !$told{$to}++;
	}' "$book" | head -n 20)"
check "K15 it opens at once: below 3 MB" [ "$(stat -c %s "$book")" -lt 3000000 ]
is "K15 each picture is in it, once" "$(find docs/pictures -name '*.svg' | wc -l)" "$(grep -c '<figure>' "$book")"
is "K15 each mutation stands beside what it spoils" \
	"$(cat tests/mutations/*.patch | grep -c '^+++ b/')" "$(grep -c '<div class=wrong>' "$book")"
check "K15 lists in comments stay lists" grep -q '<dt>EFAULT<dd>the buffer' "$book"
check "K15 arguments are a list" grep -q '<dt>fmt<dd>as for printf' "$book"
check "K15 it is made for screens by night and for paper" grep -qz \
	'prefers-color-scheme: dark.*@media print' "$book"

is "K15 no label of the benchmarks' chart is cut" "" "$(perl -ne '
	($wide) = /viewBox="0 0 (\d+)/ if $. == 1;
	print "$2\n" if /<text x="([\d.]+)" .*?text-anchor="end">([^<]*)/ && 9 * length($2) > $1;
	print "$2\n" if /<text x="([\d.]+)" y="50">([^<]*)/ && $1 + 8 * length($2) > $wide;' docs/bench.svg)"

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
cp -r --parents guest host include launcher docs "$work/copy" 2>/dev/null
cd "$work/copy" || exit
first=$(grep -oE '/\*H:[0-9]+' host/core.c | head -n 1)
refused "a number that is there twice" "^book: H:.* is in .* and in " host/dev.c \
	"0,/\/\*H:[0-9]*/s,/\*H:[0-9]*,$first,"
refused "a file without an opening" "host/dev.c has no opening comment" host/dev.c '2s,/\*,int x; /*,'
refused "an unknown part" "there is no part X" host/dev.c 's,/\*H:,/*X:,'
refused "a station of another part" "is in host/dev.c, which is of part H" host/dev.c 's,/\*H:,/*G:9,'
refused "a walk that leads nowhere" "there is no nothing.c to read next" host/dev.c 's,next: eventfd.c,next: nothing.c,'
refused "a walk in circles" "host/core.c is on the walk twice" host/dev.c 's,next: eventfd.c,next: core.c,'
rm -r launcher/hardware/console.c launcher/devices/*.c launcher/devices/*/
refused "a part without stations" "part D has no station" host/dev.c ''
finish
