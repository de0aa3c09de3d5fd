# order.pl HEADER: the table of files in HEADER against who uses whom in its folder: prints
# what is wrong, a line each. A file of the table uses the functions and variables of those
# above it; those of a file below only if it says "but NAME, NAME: why".
use strict;
use warnings;

my ($header) = @ARGV;
my ($folder) = $header =~ m{(.*)/};
my (%row, %but, %of, %code, %own, %used, $file, $n);

sub slurp { local $/; open my $in, '<', $_[0] or die "$_[0]: $!\n"; <$in> }

for (split /\n/, slurp($header)) {
	($file, $row{$1}) = ($1, ++$n) if /^ \*\t(\w+\.[cS])\t/;
	next if !$file || !/^ \*\t\tbut (\w+(?:, \w+)*)(?:: (.+))?$/;
	print "$file: no reason for $1\n" if !$2;
	$but{$file}{$_} = 1 for split /, /, $1;
}

for my $path (glob "$folder/*.[cS]") {
	my $name = $path =~ s{.*/}{}r;
	next if $name =~ /\.mod\.c$/;
	print "$name: no row\n" if !$row{$name};
	my $text = slurp($path);
	$text =~ s{/\*.*?\*/}{}gs;
	$text =~ s{"(?:[^"\\\n]|\\.)*"}{""}g;
	$code{$name} = $text;
	if ($name =~ /S$/) {
		$of{$_} = $name for $text =~ /^\s*SYM_(?:CODE|DATA|INNER)\w*\((\w+)/mg, $text =~ /^\s*\.globl\s+(\w+)/mg;
		next;
	}
	my @functions = $text =~ /^((?:\w[\w *]*)?[ *]\w+)\([^;{}]*\)\n\{/mg;
	my @variables = $text =~ /^(\w[\w *]*[ *]\w+)(?:\[\w*\])*(?: __\w+(?:\([^)\n]*\))?)*(?: = [^\n]*|;)$/mg;
	for (@functions, @variables) {
		next if /^(?:extern|typedef|return|goto|struct \w+$)/;
		my ($symbol) = /(\w+)$/;
		/^static\b/ ? ($own{$name}{$symbol} = 1) : ($of{$symbol} = $name);
	}
}
for (grep { !$code{$_} } keys %row) {
	print "$_: a row, but no file\n";
}
for my $name (sort keys %code) {
	for my $symbol ($code{$name} =~ /\b([A-Za-z_]\w*)\b/g) {
		my $to = $of{$symbol};
		next if !$to || $to eq $name || $own{$name}{$symbol} || !$row{$name} || !$row{$to};
		next if $row{$to} < $row{$name} || $used{$name}{$symbol}++;
		print "$name uses $symbol of $to, below it\n" if !$but{$name}{$symbol};
	}
	for (sort keys %{$but{$name} || {}}) {
		print "$name: $_ is not below it, or not used\n" if !$used{$name}{$_};
	}
}
