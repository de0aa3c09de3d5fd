#!/usr/bin/perl
# text.pl ELF SYMBOLS: "INSTRUCTION FUNCTION", for each instruction in the text of a linked
# kernel that ring 3 may not use and the launcher does not do. SYMBOLS is what
# `lguest link --symbols` prints.
use strict;
use warnings;
no warnings "portable";

my ($file, $symbols) = @ARGV;
my (@functions, %at);
open my $in, '<', $symbols or die "$symbols: $!\n";
while (<$in>) {
	my ($address, $type, $name) = split;
	$at{$name} = hex $address;
	push @functions, [hex $address, $name] if $type =~ /[tw]/i;
}
@functions = sort { $a->[0] <=> $b->[0] } @functions;

# What an ELF file has from one address to another.
open my $elf, '<:raw', $file or die "$file: $!\n";
my $image = do { local $/; <$elf> };
sub part {
	my ($from, $to) = @_;
	my ($at, $n) = (unpack('Q', substr $image, 32), unpack('v', substr $image, 56));
	for my $i (0 .. $n - 1) {
		my ($type, undef, $offset, $address, undef, $size) =
			unpack 'VVQQQQ', substr $image, $at + 56 * $i, 48;
		next if $type != 1 || $from < $address || $from >= $address + $size;
		return substr $image, $offset + $from - $address, $to - $from;
	}
	die "nothing at $from\n";
}

my $never = qr/^(?:cli|sti|hlt|swapgs|sysret[lq]?|sysexit[lq]?|invpcid|
	xsaves(?:64)?|xrstors(?:64)?|wrmsrns|invlpgb|tlbsync|lkgs|wruss[dq])$/x;
my %seen;
for my $range (['_stext', '_etext'], ['_sinittext', '_einittext']) {
	my ($from, $to) = map { $at{$_} // die "no symbol $_\n" } @$range;
	my $i = 0;
	open my $bytes, '>:raw', "$symbols.text" or die;
	print $bytes part($from, $to);
	close $bytes;
	open my $lines, '-|', 'objdump', '-D', '-b', 'binary', '-m', 'i386:x86-64',
		'--no-show-raw-insn', "--adjust-vma=$from", "$symbols.text" or die;
	while (<$lines>) {
		my ($address, $insn, $operands) =
			/^\s*([0-9a-f]+):\s+(?:(?:rep\w*|data16|cs|rex\S*)\s+)*(\S+)\s*(.*)/ or next;
		$insn = "mov to $1" if $insn eq 'mov' && $operands =~ /,(%cr3)$/;
		$insn = "mov from $1" if $insn eq 'mov' && $operands =~ /^(%cr3),/;
		next if $insn !~ $never && $insn !~ / %cr3$/;
		$i++ while $i < $#functions && $functions[$i + 1][0] <= hex $address;
		$seen{"$insn $functions[$i][1]"} = 1;
	}
	unlink "$symbols.text";
}
print "$_\n" for sort keys %seen;
