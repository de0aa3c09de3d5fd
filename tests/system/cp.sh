#!/bin/bash
# `lguest cp`: files and folders to a guest that runs, and from it, as they are; and what a
# guest that lies sends stays where it was wanted.
. "$(dirname "$0")/lib/lab.sh"
here=$(dirname "$0")

program "$here/liar.c" "$work/liar" || { not_ok "liar.c compiles"; finish; exit; }
# tars that no tar makes: NAME: MEMBER...; a member is TYPE NAME LINK MODE CONTENT.
perl - "$work" <<'END'
use strict;
use warnings;
my $folder = shift;
my %all = (
	dots => [[0, 'x/good', '', '644', 'good'], [0, '../../../escape', '', '644', 'bad'],
		 [0, 'x/../../../../escape', '', '644', 'bad']],
	root => [[0, '/tmp/out/escape', '', '644', 'bad'], [0, '//tmp/out/escape', '', '644', 'bad']],
	link => [[2, 'l', '/tmp/out', '777', ''], [0, 'l/escape', '', '644', 'bad'],
		 [2, 'm', '../../../out', '777', ''], [0, 'm/escape', '', '644', 'bad']],
	hard => [[1, 'h', '/tmp/out/file', '644', ''], [0, 'h', '', '644', 'bad'],
		 [1, 'i', '../../../out/file', '644', '']],
	self => [[2, '.', '/tmp/out', '777', ''], [0, './escape', '', '644', 'bad']],
	late => [[0, 'l/escape', '', '644', 'bad']],
	kept => [[2, 'l', '/tmp/out', '777', '']],
	device => [[3, 'zero', '', '666', '']],
	node => [[6, 'fifo', '', '666', ''], [0, 'good', '', '644', 'good']],
	suid => [[0, 'program', '', '6755', 'x'], [5, 'folder/', '', '2777', '']],
	deep => [[0, 'd/' x 150 . 'f', '', '644', 'x']],
	half => [[0, 'f', '', '644', 'x' x 5000]],
);
for my $name (keys %all) {
	open my $out, '>', "$folder/$name.tar" or die;
	my $text = '';
	for (@{$all{$name}}) {
		my ($type, $file, $link, $mode, $content) = @$_;
		my $prefix = '';
		($prefix, $file) = $file =~ m{^(.{1,154})/(.*)$} if length $file > 99;
		my $head = pack 'a100 a8 a8 a8 a12 a12 a8 a1 a100 a6 a2 a32 a32 a8 a8 a155 a12', $file,
			sprintf('%07o', oct $mode), '0000000', '0000000',
			sprintf('%011o', length $content), sprintf('%011o', 1e9), ' ' x 8, $type,
			$link, 'ustar', '00', 'root', 'root', '0000001', '0000005', $prefix, '';
		substr($head, 148, 8) = sprintf "%06o\0 ", unpack '%32C*', $head;
		$text .= $head . $content . "\0" x (-length($content) % 512);
	}
	print $out $name eq 'half' ? substr($text, 0, 3000) : $text . "\0" x 1024;
}
END

script() {
	cat <<'END'
exec </dev/null
export PATH=/lab:$PATH
cpy() { lguest cp "$@" 2>/tmp/err; }
why() { sed 's/^lguest: //' /tmp/err; }
lguest run --detach --name one
x() { lguest exec one -- "$@"; }

mkdir -p /tmp/tree/sub/empty '/tmp/tree/a name' /tmp/got
echo one >/tmp/tree/one; chmod 640 /tmp/tree/one; touch -d '2001-02-03 04:05:06' /tmp/tree/one
echo '#!/bin/sh' >/tmp/tree/sub/program; chmod 755 /tmp/tree/sub/program
ln -s ../one /tmp/tree/sub/link; ln -s /nowhere /tmp/tree/broken; ln /tmp/tree/one '/tmp/tree/a name/hard'
n=$(printf '%0100d' 7); mkdir -p /tmp/tree/$n/$n; echo long >/tmp/tree/$n/$n/file
touch -d '2003-01-01 00:00:00' /tmp/tree/sub
look='cd $0 && find . | sort | while read -r f; do echo "$f $(stat -c "%A %Y" "$f" | sed "s/^l.*/l/") $(readlink "$f")"; [ ! -f "$f" ] || [ -L "$f" ] || md5sum <"$f"; done'
# Busybox's tar does not give folders their times.
no_times() { sed 's/\( d[^ ]*\) .*/\1/'; }
list_here() { sh -c "$look" "$1"; }
list_there() { x sh -c "$look" "$1"; }

cpy /tmp/tree one:/tmp
is "L14 cp a folder into a folder of the guest" "0 " "$? $(why)"
is "L14 ... with its modes, times, links and long names" "$(list_here /tmp/tree | no_times)" "$(list_there /tmp/tree | no_times)"
cpy /tmp/tree one:/tmp/new
is "L14 ... under a name of its own" "$(list_here /tmp/tree | no_times)" "$(list_there /tmp/new | no_times)"
cpy /tmp/tree/. one:/tmp/new/sub
is "L14 ... only what is in it" one "$(x cat /tmp/new/sub/one)"
cpy one:/tmp/tree /tmp/got
is "L14 cp a folder from the guest" "0 " "$? $(why)"
is "L14 ... as it is there" "$(list_there /tmp/tree)" "$(list_here /tmp/got/tree)"
cpy one:/tmp/tree /tmp/got/other
is "L14 ... under another name" "$(list_there /tmp/tree)" "$(list_here /tmp/got/other)"
x sh -c 'echo more >/tmp/tree/more; echo changed >/tmp/tree/one; rm -r /tmp/tree/sub/empty'
cpy one:/tmp/tree /tmp/got
is "L14 ... into one that is there: both" "more changed empty" "$(cd /tmp/got/tree; echo $(cat more one) $(cd sub; ls -d empty))"
cpy one:/tmp/tree/. /tmp/got/only; cpy one:../tmp/tree/one /tmp/got/relative
is "L14 only what is in it; relative names" "changed changed" "$(cat /tmp/got/only/one /tmp/got/relative | xargs)"
cpy /tmp/tree/one one:/tmp/file && cpy one:/tmp/file /tmp/got
is "L14 a file there and back, with mode and time" "$(stat -c '%A %Y' /tmp/tree/one) one" \
	"$(stat -c '%A %Y' /tmp/got/file) $(cat /tmp/got/file)"
cpy /tmp/tree/sub/link one:/tmp/copy
is "L14 a link is copied as one" ../one "$(x readlink /tmp/copy)"
dd if=/dev/urandom of=/tmp/big bs=1M count=8 2>/dev/null
cpy /tmp/big one:/tmp && cpy one:/tmp/big /tmp/got
check "L14 8 MB there and back" cmp /tmp/big /tmp/got/big
is "L14 owners are whoever unpacks" 0:0 "$(x stat -c %u:%g /tmp/big)"

cpy /tmp/none one:/tmp
is "L14 what is not here" "1 cp: cannot read /tmp/none: No such file or directory" "$? $(why)"
cpy one:/tmp/none /tmp/got
is "L14 what is not there" 1 $?
has "L14 ... is said by its tar" 'none' /tmp/err
cpy /tmp/big one:/none/file
is "L14 no such folder there" 1 $?
cpy one:/tmp/big /none/file
is "L14 no such folder here" "1 cp: cannot write to /none: No such file or directory" "$? $(why)"
cpy /tmp/big two:/tmp
is "L14 no such guest" "122 cp: no guest called 'two' runs; \`lguest list\` shows yours" "$? $(why)"
cpy one:/a one:/b
is "L14 from guest to guest: the second is a name here" 1 $?
cpy /tmp/a /tmp/b
is "L14 none of them a guest's" 2 $?
is "L14 nothing is left of the way" "" "$(ls -A /tmp /tmp/got | grep lguest-cp)"

# A guest that lies: another program in the place of its tar.
for tar in /lab/*.tar; do lguest exec -i one -- sh -c "cat >/tmp/${tar##*/}" <$tar; done
lguest exec -i one -- sh -c 'cat >/bin/new; chmod 755 /bin/new; mv /bin/new /bin/busybox' </lab/liar
mkdir -p /tmp/out /tmp/in; echo safe >/tmp/out/file
lie() { rm -rf /tmp/in/*; cpy one:/tmp/$1 /tmp/in; status=$?; }
out() { ls -A /tmp/out /tmp/in /tmp | grep -c '^escape$'; cat /tmp/out/file; stat -c %h /tmp/out/file; }
safe="0
safe
1"
for name in dots root link hard self; do
	lie $name
	is "L14 AT-97 a tar with $name does not get out" "$safe" "$(out)"
done
lie kept; cpy one:/tmp/late /tmp/in/kept; cpy one:/tmp/late/. /tmp/in/kept
is "L14 AT-97 nor by a link that an earlier one left" "1 $safe" "$? $(out)"
lie device
is "L14 AT-97 no devices" "1 " "$status $(ls /tmp/in)"
lie node
is "L14 AT-97 no pipes and the like, but the rest" "1 good" "$status $(ls /tmp/in/node)"
lie suid
is "L14 AT-97 no set-user-ID programs" "-rwxr-xr-x drwxrwxrwx" "$(stat -c %A /tmp/in/suid/program /tmp/in/suid/folder | xargs)"
lie deep
is "L14 AT-97 too many folders in folders" 1 $status
lie half
is "L14 AT-97 half a tar" "1 cp: what 'one' sent was not all taken" "$status $(why | tail -n 1)"
is "L14 AT-97 nothing is left of these" "" "$(ls -A /tmp/in | grep lguest-cp)"
lguest stop --force one
check "L14 nothing is left" no_guest_left
END
}
inside "one CPU" --with "$work/liar" --with "$(command -v tar)" $(printf -- '--with %s ' "$work"/*.tar) < <(script)
finish
