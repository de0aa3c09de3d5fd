# acceptance.pl check TABLE TESTS: is docs/ACCEPTANCE.md in order, and in the folder TESTS
# each test that it names? Prints what is not, and ends with status 1 then.
# acceptance.pl seen TABLE FILE=LOG...: which of them have passed, in the
# logs of a whole run? Status 1 if one of a row that works has neither passed nor been skipped. FILE is as in the table, or `micro` for all of the tiny guests.
use strict;
use warnings;

my ($what, $table, @where) = @ARGV;
my $file = qr{(?:unit|micro|system|long|debug)/\w+\.(?:c|sh)};
my $always = qr{^(?:unit|micro|system)/(?!faults\.c$)};	# those that `make test` has
my @states = ('works', 'partly', 'not yet', 'will not');
my ($faults, %n, %row, @named) = (0);

sub fault { print "@_\n"; $faults++ }
sub contents { open my $in, '<', $_[0] or return ''; local $/; return <$in> // '' }

# The places where a test's name can stand: in a script what is no comment, with the words
# that it takes from lib/; in C the strings, adjacent ones as one, and TEST(name)s.
my %text;
sub names_in {
	my $path = "$where[0]/$_[0]";
	return $text{$path} if defined $text{$path};
	my $all = contents($path);
	if ($path =~ /\.sh$/) {
		my @lib = $all =~ m{^\. "\$lib/(\w+\.sh)"}mg;
		$all .= contents("$where[0]/system/lib/$_") for @lib;
		$all =~ s/^\s*#.*//mg;
		return $text{$path} = $all;
	}
	$all =~ s/"\s*\n\s*"//g;
	my @names = $path =~ m{/unit/} ? $all =~ /(?:TEST|WITH_THREADS|cmocka_unit_test\w*)\((\w+)/g
				       : $all =~ /"((?:[^"\\\n]|\\.)*)"/g;
	return $text{$path} = join "\n", @names;
}

sub row {
	my ($id, undef, $state, $by, $remark, @more) = @_;
	fault("$id: more cells than five") if @more;
	fault("$id: is there twice") if $row{$id}++;
	fault("$id: no state '$state'") unless grep { $_ eq $state } @states;
	$n{$state}++;
	fault("$id: '$state' without a remark") if $state ne 'works' && $remark eq "";
	my $ran = 0;
	for my $part ($by =~ /^(?:–|)$/ ? () : split m{\. (?=$file: )}, $by) {
		my ($path, $names) = $part =~ m{^($file): (\S.*)$};
		defined $path or fault("$id: not FILE: NAME; NAME: $part"), next;
		push @named, [$id, $path, $_, $state] for split /; /, $names;
		$ran = 1 if $path =~ $always;
	}
	fault("$id: 'works', by no test that each run has") if $state eq 'works' && !$ran;
}

my ($head, $text) = ('', contents($table));
for (split /\n/, $text) {
	$head = $_ if /^\d+ work, /;
	row(map { s/^\s+|\s+$//gr } split /\|/, $1, -1) if /^\|\s*([A-Z]\d+\s*\|.*)\|\s*$/;
}
my $right = sprintf '%d work, %d work partly, %d not yet, %d will not.',
	map { $n{$_} // 0 } @states;
fault("the head says '$head', the rows '$right'") if $head ne $right;

if ($what eq 'check') {
	for (@named) {
		my ($id, $path, $name) = @$_;
		if (!-f "$where[0]/$path") { fault("$id: no file $path") }
		elsif (length $name < 5 || index(names_in($path), $name) < 0) {
			fault("$id: $path has no test '$name'");
		}
	}
	exit($faults != 0);
}

my (%passed, %skipped, %seen, %all, %lost);
for (@where) {
	my ($path, $log) = split /=/;
	$skipped{$path} .= join '', map { "$_\n" } contents($log) =~ /^\s*ok \d+ *-? *(.*# *SKIP.*)$/mgi;
	$passed{$path} .= join '', map { "$_\n" } grep { !/# *SKIP/i }
		contents($log) =~ /^\s*ok \d+ *-? *(.*)$/mg;
}
for (grep { $_->[1] =~ $always } @named) {
	my ($id, $path, $name, $state) = @$_;
	my $log = $path =~ /^micro/ ? 'micro' : $path;
	$all{"$path: $name"} = 1;
	$seen{"$path: $name"} = 1 if index($passed{$log} // '', $name) >= 0;
	# What was skipped has said why.
	$lost{"$id: $path: $name"} = 1 if !$seen{"$path: $name"} && $state eq 'works' &&
		index($skipped{$log} // '', $name) < 0;
}
printf "acceptance: %d of %d named tests were seen to pass\n", scalar keys %seen, scalar keys %all;
print "acceptance: not seen: $_\n" for grep { !$seen{$_} } sort keys %all;
print "acceptance: a row that works has lost its test: $_\n" for sort keys %lost;
exit(%lost != 0);
