#!/usr/bin/perl
# insns.pl SYMBOLS LOG: reads label addresses (nm host/switcher.o) and QEMU's log
# of every instruction that ran in the Switcher; prints "path least most times".
use strict;
use warnings;

my (%at, %least, %most, %times);
my ($path, $n) = ('', 0);

sub finish {
	return unless $path;
	$least{$path} = $n if !defined $least{$path} || $n < $least{$path};
	$most{$path} = $n if !defined $most{$path} || $n > $most{$path};
	$times{$path}++;
	$path = '';
}

open my $symbols, '<', $ARGV[0] or die "$ARGV[0]: $!\n";
while (<$symbols>) {
	$at{$3} = hex $1 if /^(\w+) (\w) (\w+)$/;
}
my %begins = ($at{switcher_syscall} => 'syscall_to_host',
	      $at{switcher_enter} => 'to_guest');
my %becomes = ($at{direct_syscall} => 'direct_syscall',
	       $at{maybe_direct_fault} => 'direct_fault',
	       $at{iret_to_user} => 'direct_iret',
	       $at{direct_cr3} => 'direct_cr3',
	       $at{syscall_to_host} => 'syscall_to_host',
	       $at{fault_to_host} => 'trap_to_host');

open my $log, '<', $ARGV[1] or die "$ARGV[1]: $!\n";
while (<$log>) {
	next unless m{^Trace \d+: \S+ \[\w+/(\w+)/};
	my $pc = hex(substr $1, -4);
	my $new = $begins{$pc};
	$new = 'trap_to_host' if $pc < 4096 && $pc % 16 == 0;
	if ($new) {
		finish();
		($path, $n) = ($new, 0);
	}
	$path = $becomes{$pc} if $becomes{$pc};
	$n++;
}
finish();
print "$_ $least{$_} $most{$_} $times{$_}\n" for sort keys %times;
