#!/usr/bin/perl
# way_home.pl OFFSETS CODE: reads the state page's offsets (host/switcher.h) and what
# `objdump -D -r -w --no-show-raw-insn` says of the Switcher; prints "ok - ..." or
# "not ok - ..." for each rule about the host's CR4 on the way home.
#
# An NMI may go on at any instruction, but only there or where a jump of the Switcher's
# leads: so what is true of all its jumps is true of all ways home.
use strict;
use warnings;

my (%field, %label, %text, %mem, @next, %at);

open my $offsets, '<', $ARGV[0] or die "$ARGV[0]: $!\n";
while (<$offsets>) {
	$field{$1} = $2 if /^#define (LG(?:ST)?_\w+)\s+(0x[0-9a-f]+|\d+)/;
}
my $state = hex $field{LG_STATE_OFFSET};

open my $code, '<', $ARGV[1] or die "$ARGV[1]: $!\n";
while (<$code>) {
	$label{$2} = hex $1 if /^([0-9a-f]+) <(\w+)>:/;
	next unless /^\s+([0-9a-f]+):\t(.*)/;
	my ($pc, $insn) = (hex $1, $2);
	push @next, $pc;
	# What it reads: the relocation counts from its own place, rip from the next one.
	$mem{$pc} = hex($3) + hex($1) - hex($2)
		if $insn =~ /# ([0-9a-f]+)\b.*\t([0-9a-f]+): R_X86_64_PC32\s+switcher_start\+0x([0-9a-f]+)/;
	$insn =~ s/\s+#.*//;
	$text{$pc} = $insn;
}
my %after = map { $next[$_] => $next[$_ + 1] } 0 .. $#next - 1;
my %before = reverse %after;

sub reads { my ($pc, $name) = @_; ($mem{$pc} // -1) == $state + $field{"LGST_$name"} }
sub target { $text{$_[0]} =~ /^j\w+\s+([0-9a-f]+)/ ? hex $1 : undef }

sub ways_on {
	my $pc = shift;
	return () if $text{$pc} =~ /^(lretq|lret|iretq|sysretq|int3)/;
	return (target($pc)) if $text{$pc} =~ /^jmp/;
	return grep { defined } ($after{$pc}, target($pc));
}

# Is one of the GOALS reached from one of the places, if all in WITHOUT end it?
sub reached {
	my ($from, $goals, $without) = @_;
	my %goal = map { $_ => 1 } @$goals;
	my %seen = map { $_ => 1 } @$without;
	my @todo = @$from;
	while (defined(my $pc = shift @todo)) {
		next if $seen{$pc}++;
		return 1 if $goal{$pc};
		push @todo, ways_on($pc);
	}
	return 0;
}

# All that a guest can do ends at one of these; the way in, if not there, at the guest.
my @entries = ((map { 16 * $_ } 0 .. 255), @label{qw(switcher_syscall switcher_compat)});
my @lidts = grep { $text{$_} =~ /^lidt/ && reads($_, 'HOST_IDT') } @next;
my @tests = grep { $text{$_} =~ /^cmp. +\$0x0,/ && reads($_, 'CHANGE_CR4') &&
		   $text{$after{$_}} =~ /^jne/ } @next;
my @writes = grep { $text{$_} =~ /^mov +.*,%cr4/ } @next;
my @way_in = grep { $_ >= $label{entering} && $_ < $label{entered} } @writes;
my @of_host = grep { $text{$_} =~ /%rax/ && $text{$before{$_}} =~ /^mov .*,%rax/ &&
		     reads($before{$_}, 'HOST_CR4') } @writes;
my @home = grep { my $w = $_; !grep { $_ == $w } @way_in } @of_host;

sub rule { print $_[1] ? 'ok' : 'not ok', " - $_[0]\n" }
rule('every jump of the Switcher is understood', !grep {
	$text{$_} =~ /^(\(bad\)|call|ret|jmp +\*|int )/ ||
	($text{$_} =~ /^j/ && !exists $text{target($_) // -1}) } @next);
rule('all of its entries lead to the one place that loads the host\'s IDT',
	@lidts == 1 && !grep { !reached([$_], \@lidts, []) } @entries);
rule('none leads there without the question whether CR4 was changed',
	@tests == 1 && !reached(\@entries, \@lidts, \@tests));
my @changed = map { target($after{$_}) } @tests;
rule('if it was, none without a write of the host\'s',
	@changed && reached(\@changed, \@lidts, []) && !reached(\@changed, \@lidts, \@home));
rule('it is written to on the way in and there, nowhere else',
	@way_in && @home == 1 && @writes == @way_in + @home &&
	!reached(\@entries, \@way_in, []));
