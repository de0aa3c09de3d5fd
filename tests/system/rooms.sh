#!/bin/bash
# The rooms of launcher/: each in the table of launcher/README.md, and none uses what
# stands below it there. Needs no lab.
. "$(dirname "$0")/../ktap.sh"
top=$(cd "$(dirname "$0")/../.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# uses TREE: "FILE uses ROOM" for each include that looks down, or at a room without a row.
uses() {
	(cd "$1/launcher" && find . -name '*.[ch]' ! -name main.c | sort | xargs perl -e '
		open my $in, "<", "README.md" or die;
		/^\| `([^`]+?)\/?` \|/ and $row{$1} = ++$n while <$in>;
		sub room { my ($r) = $_[0] =~ m{(.*)/} or return "."; $r =~ s{^\./}{}; $r }
		for my $file (@ARGV) {
			my $from = room($file);
			print "$file: no row for $from\n" if !$row{$from};
			open my $in, "<", $file or die;
			for (grep { s/^#include "([^"]+)".*\n/$1/ } <$in>) {
				my $path = -e "$from/$_" ? "$from/$_" : $_;
				next if !-e $path;	# of include/
				my $to = room($path);
				print "$file uses $to, $_\n" if !$row{$to} || $row{$to} > $row{$from} ||
					$to =~ m{^devices/(?!virtio|vhost)} && $to ne $from;
			}
		}')
}

is "K15 no room of the launcher uses one below it" "" "$(uses "$top")"
cp -r --parents "$top/launcher" "$work"
copy=$work$top
echo '#include "console/input.h"' >>"$copy/launcher/hardware/host.c"
is "K15 ... and one that does is found" "./hardware/host.c uses console, console/input.h" "$(uses "$copy")"
sed -i '/^| `jail/d' "$copy/launcher/README.md"
check "K15 ... as is one without a row" sh -c 'grep -q "no row for jail" <<X
$1
X' - "$(uses "$copy")"
finish
