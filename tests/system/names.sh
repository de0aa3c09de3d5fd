#!/bin/bash
# What a comment or a document names is there: files, folders, functions: K15.
. "$(dirname "$0")/../ktap.sh"
cd "$(dirname "$0")/../.." || exit

# Linux's own, and others', that are spoken of and not used: with them a name is known.
cat >"$work/others" <<'END'
arch/x86/entry/entry_64.S
alternative.h
dkms.conf
do_early_exception
drivers/xen/cpu_hotplug.c
head_64.S
host/lg.ko
init_mem_mapping
iret_to_self
launcher/lguest
native_init_IRQ
paravirt_types.h
renameat
scripts/kallsyms.c
setup_arch
setup_force_cpu_cap
sync_core
text_poke
vmlinux.lds
x86_64_start_kernel
xen_domain
xen_pv_domain
END

cat >"$work/names.pl" <<'END'
use strict;
use warnings FATAL => 'all';
my ($others, @files) = @ARGV;
my (%there, %code, %known, @said);
open my $list, '<', $others or die;
chomp(my @known = <$list>);
@known{@known} = ();

# Each path, by each of its ends; each folder.
for my $file (@files) {
	for (my $end = $file; ; ) {
		$there{$end} = 1;
		$end =~ s{^[^/]+/}{} or last;
	}
	$there{$1} = 1 while $file =~ m{/}g && substr($file, 0, pos($file) - 1) =~ /(.*)/;
}
for my $file (grep { !m{/bench\.svg$|\.(?:csv|patch)$|^LICENSE|changelog$} } @files) {
	open my $in, '<', $file or next;
	my $text = do { local $/; <$in> } // '';
	if ($file =~ /\.svg$/) {
		push @said, [ $file, join "\n", $text =~ m{<text\b[^>]*>(.*?)</text>}sg ];
		next;
	}
	if ($file =~ /\.md$/) {
		push @said, [ $file, $text ];
		next;
	}
	my $comment = $file =~ /\.[chS]$/ ? qr{/\*.*?\*/|^\s*//[^\n]*}sm : qr{^\s*\#[ !][^\n]*}m;
	push @said, map { [ $file, $_ ] } $text =~ /$comment/g;
	$text =~ s/$comment/ /g;
	$code{$_} = 1 for $text =~ /\b([A-Za-z_]\w+)\b/g;
}
for (@said) {
	my ($file, $text) = @$_;
	my ($folder) = $file =~ m{(.*/|)};
	while ($text =~ m{(?<![\w<./*-])((?:[\w.+-]+/)*[\w+-]+\.(?:c|h|S|md|sh|py|lds|conf|patch|svg))(?![\w/])}g) {
		my $name = $1;
		print "$file: no file $name\n" unless $there{$name} || -e "$folder$name" ||
			exists $known{$name} || $name =~ m{(?:^|/)[A-Z]+\.\w+$} && $name !~ /\.md$/;
	}
	while ($text =~ m{(?<![\w./-])((?:bench|docs|guest|host|include|lab|launcher|packaging|tests)/[\w./*-]*[\w*])}g) {
		my $name = $1;
		my @found = grep { -e } glob $name;
		print "$file: no file or folder $name\n" unless @found || $there{$name} ||
			-e "$folder$name" || exists $known{$name} || $name =~ m{/[A-Z]+$} ||
			$there{($name =~ s/\.o$//r) . ".c"} || $there{($name =~ s/\.o$//r) . ".S"};
	}
	while ($text =~ m{\b([A-Za-z_]\w+)\(\)}g) {
		print "$file: no function $1()\n" unless $code{$1} || exists $known{$1};
	}
}
print "$_ is known, but no longer named\n" for grep { my $name = $_; !grep { $_->[1] =~ /\Q$name\E/ } @said } @known;
END
# The tree may be a tarball's, without git.
mapfile -t files < <(git ls-files 2>/dev/null | grep . ||
	find . -type f ! -path './build/*' ! -path './.git/*' -printf '%P\n')
names() { perl "$work/names.pl" "$work/others" "$@" "${files[@]}" | sort -u; }
is "K15 what comments and documents name is there" "" "$(names)"

none=no$(echo thing)_at_all	# in no file, not in this one either
echo "/* see nothing_here.c, host/nowhere/ and $none() */" >"$work/wrong.c"
echo '<text x="1">picture_of_nothing.c</text> <path id="not_said.c"/>' >"$work/wrong.svg"
printf 'See docs/NOTHING.md and `lab/nothing`.\n' >"$work/wrong.md"
is "K15 ... what is not is told" "no file docs/NOTHING.md
no file nothing_here.c
no file or folder docs/NOTHING.md
no file or folder host/nowhere
no file or folder lab/nothing
no file picture_of_nothing.c
no function $none()" "$(names "$work/wrong."{c,md,svg} |
	sed -n "s,^$work/wrong[.a-z]*: ,,p" | sort -u)"
finish
