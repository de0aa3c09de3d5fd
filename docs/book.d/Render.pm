# docs/book.d/Render.pm: C, assembler, comments and Markdown as HTML, for docs/book.
package Render;
use strict;
use warnings FATAL => 'all';
use Exporter 'import';
our @EXPORT = qw(find_symbols defined_in bare prose code markdown file_item next_of);

my %symbols;	# name => list of { file, line, kind, own (to its file), id }
my %at;		# file => line => symbols that are defined there
my %files;	# path => 1
my %ids;
my $in_comment;

sub add {
	my ($file, $line, $kind, $name, $own) = @_;
	return if grep { $_->{file} eq $file && $_->{kind} eq $kind } @{$symbols{$name}};
	my $id = $ids{$name}++ ? "$name.$ids{$name}" : $name;
	my $symbol = { name => $name, file => $file, line => $line, kind => $kind, own => $own, id => $id };
	push @{$symbols{$name}}, $symbol;
	push @{$at{$file}{$line}}, $symbol;
}

# Functions, macros, structures, constants, variables and labels: what stands at the
# beginning of a line, in the kernel's style, is enough to tell.
sub find_symbols {
	my ($file, $lines) = @_;
	my ($function, $in_enum, $in_text);
	my $own = $file !~ /\.h$/;
	$files{$file} = 1;
	for my $i (0 .. $#$lines) {
		my ($line, $n) = ($lines->[$i], $i + 1);
		$in_text = 1 if $line =~ m{^\s*/\*};
		if ($in_text) {
			$in_text = 0 if $line =~ m{\*/};
			next;
		}
		$in_enum = 0 if $line =~ /^\}/;
		if ($line =~ /^#\s*define\s+(\w+)/) {
			add($file, $n, 'macro', $1, $own) if $1 !~ /^_/;
		} elsif ($file =~ /\.S$/) {
			add($file, $n, 'label', $1, 0) if $line =~ /^([A-Za-z_]\w+):/ || $line =~ /^\.macro (\w+)/ ||
				$line =~ /^SYM_(?:\w+START\w*|DATA|INNER_LABEL)\((\w+)/;
		} elsif ($line =~ /^\{/ && $function) {
			add($file, @$function);
			undef $function;
		} elsif ($line =~ /^typedef\b.*\b(\w+);$/) {
			add($file, $n, 'macro', $1, $own);
		} elsif ($line =~ /^(?:static |const |typedef )*(struct|union|enum)(?: (\w+))? \{/) {
			add($file, $n, 'tag', $2, $own) if $2;
			$in_enum = $line =~ /\benum\b/;
		} elsif ($line =~ /^(?!extern|return|_Static)[a-z_][\w \t*]*?\b(\w+)\(/) {
			$function = [ $n, 'function', "$1", $line =~ /^static/ ? $own : 0 ];
		} elsif ($line =~ /^\} (\w+)(?:\[[^]]*\])*(?: =|;)/) {
			add($file, $n, 'variable', $1, $own);
		} elsif ($line =~ /^(?!extern|return|typedef|goto)[a-z_]\w*\s[\w \t*]*?\b(\w+)(?:\[[^]]*\])*\s*(?:=|;)/) {
			add($file, $n, 'variable', "$1", $line =~ /^static/ ? $own : 0);
		}
		undef $function if $line =~ /;\s*$/;
		if ($in_enum) {
			my $names = $line =~ s{/\*.*}{}r;
			add($file, $n, 'macro', "$1", $own)
				while $names =~ /(?<!= )\b([A-Z][A-Z0-9_]+)(?=\s*(?:[,=}]|$))/g;
			$in_enum = $names !~ /\}/;
		}
	}
}

# What a name means in a file: what is there itself, in its world, at the boundary.
sub lookup {
	my ($file, $name, $kind) = @_;
	my $all = $symbols{$name} or return;
	my $world = $file =~ m{^(\w+)/} ? $1 : 'no';
	my @fits = grep { !$kind || ($_->{kind} eq 'tag') == ($kind eq 'tag') } @$all;
	for my $s (@fits) {
		return $s if $s->{file} eq $file;
	}
	for my $s (@fits) {
		return $s if !$s->{own} && ($s->{file} =~ m{^$world/} || $s->{file} =~ /^include/);
	}
	return;
}

# In prose the other world's are meant, too.
sub lookup_far {
	my ($file, $name, $kind) = @_;
	my $near = lookup($file, $name, $kind);
	return $near if $near;
	my @global = grep { !$_->{own} || $_->{kind} eq 'function' } @{$symbols{$name} // []};
	return @global == 1 ? $global[0] : undef;
}

sub defined_in {
	my ($file, $from, $to) = @_;
	return map { "<a href=\"#$_->{id}\">$_->{name}</a>" } grep { $_->{kind} =~ /function|label/ }
		map { @{$at{$file}{$_} // []} } $from .. $to;
}

sub escape {
	my ($text) = @_;
	$text =~ s/&/&amp;/g;
	$text =~ s/</&lt;/g;
	return $text;
}

sub anchor {
	my ($id, $text) = @_;
	return "<a href=#$id>$text</a>";
}

sub file_named {
	my ($file, $name) = @_;
	my ($folder) = $file =~ m{(.*/)};
	for my $path ($name, ($folder // '') . $name, map { "$_/$name" } qw(include host guest launcher)) {
		return $path if $files{$path};
	}
	my @same = grep { m{/\Q$name\E$} } keys %files;
	return @same == 1 ? $same[0] : undef;
}

# The file that an opening comment sends its reader to.
sub next_of {
	my ($file, $text) = @_;
	my ($name) = $text =~ /Read next:\s+(\S+\.[chS])/ or return ();
	return ($name, file_named($file, $name));
}

# Names in escaped prose: files, functions, structures, constants.
sub links {
	my ($file, $text) = @_;
	$text =~ s{((?:[\w.-]+/)*[\w-]+\.[chS]\b)|\bstruct (\w+)|\b(\w+)\(\)|\b(\w*_\w+)\b}{
		my ($all, $path, $tag, $function, $name) = ($&, $1, $2, $3, $4);
		my $to = $path && file_named($file, $path);
		my $s = $tag ? lookup_far($file, $tag, 'tag') :
			$path ? undef : lookup_far($file, $function // $name);
		undef $s if $s && $s->{kind} eq 'variable' && $s->{file} ne $file;
		$to ? anchor("\"#$to\"" =~ s/^"#(.*)"$/$1/r, $all) : $s ? anchor($s->{id}, $all) : $all
	}gex;
	return $text;
}

# A comment without its stars.
sub bare {
	my ($text) = @_;
	$text =~ s{^\s*/\*\*?(?:[A-Z]:\d+)?[ \t]*\n?}{};
	$text =~ s{\s*:?\*/[^\n]*\s*$}{};
	$text =~ s{^[ \t]*\*[ ]?}{}mg;
	return $text;
}

# What is set in: "NAME  what it is" becomes a list, all else stays as it is drawn.
sub set_in {
	my ($file, @lines) = @_;
	my ($indent) = $lines[0] =~ /^(\s+)/;
	my @items;
	for my $line (@lines) {
		(my $text = $line) =~ s/^\Q$indent\E//;
		if ($text =~ /^(\S[^\t]*?)(?::\s+|  +|\t+)(\S.*)$/ && $text !~ /\S(?:   +|\t+)\S.*\S(?:   +|\t+)\S/) {
			push @items, [ $1, $2 ];
		} elsif ($text =~ /^\s+(\S.*)/ && @items) {
			$items[-1][1] .= "\n$1";
		} else {
			return '<pre class=drawing>' . links($file, escape(join "\n", @lines)) . "</pre>\n";
		}
	}
	return join '', '<dl>', (map { '<dt>' . links($file, escape($_->[0])) . '<dd>' .
		links($file, escape($_->[1])) . "\n" } @items), "</dl>\n";
}

# Paragraphs, lists, kernel-doc's arguments, and what is set in.
sub prose {
	my ($file, $text) = @_;
	my ($html, $open, @set_in) = ('', '');
	my $flush = sub {
		$html .= set_in($file, @set_in) if @set_in;
		@set_in = ();
	};
	my $change = sub {
		$html .= "</$open>\n" if $open ne $_[0] && $open =~ /l/;
		$html .= "<$_[0]>" if $_[0] && $open ne $_[0];
		$open = $_[0];
	};
	$text =~ s/^(.+)\n-{3,}$/\x01$1\n/mg;
	for my $line (split /\n/, $text) {
		my ($mark, $item) = $line =~ /^ {0,3}([-*]|\d+\.) +(.*)/;
		if (!$mark && $line =~ /^(?:\t|  )\s*\S/ && $open !~ /l/) {
			push @set_in, $line;
			next;
		}
		$flush->();
		if ($line =~ /^\s*$/) {
			$change->('');
		} elsif ($line =~ /^\x01(.*)/) {
			$change->('');
			$html .= '<h4>' . links($file, escape($1)) . '</h4>';
		} elsif ($line =~ /^\@([\w.]+): *(.*)/) {
			my ($name, $what) = ($1, $2);
			$change->('dl');
			$html .= "<dt>$name<dd>" . links($file, escape($what)) . "\n";
		} elsif ($mark && $open ne 'dl' && ($open ne 'p' || $line =~ /^ /)) {
			$change->($mark =~ /\d/ ? 'ol' : 'ul');
			$html .= '<li>' . links($file, escape($item)) . "\n";
		} elsif ($open =~ /l$/ && $line =~ /^\s/) {
			$html .= links($file, escape($line =~ s/^\s+//r)) . "\n";
		} else {
			$change->('') if $open =~ /l$/;
			$change->('p');
			$html .= links($file, escape($line)) . "\n";
		}
	}
	$flush->();
	$change->('');
	$html =~ s{`([^`]+)`}{<code>$1</code>}g;
	return $html;
}

sub code_line {
	my ($file, $number, $line) = @_;
	my %here = map { $_->{name} => $_ } @{$at{$file}{$number} // []};
	my ($html, $before) = ('', '');
	if ($line =~ /^(#\s*include\s+[<"])([^>"]+)(.*)/ && file_named($file, $2)) {
		my ($start, $name, $end) = ($1, $2, $3);
		return escape($start) . "<a href=\"#" . file_named($file, $name) . "\">$name</a>" . escape($end);
	}
	pos($line) = 0;
	while (pos($line) < length $line) {
		if ($in_comment ? $line =~ m{\G(.*?(?:\*/|$))}gc : $line =~ m{\G(/\*.*?(?:\*/|$)|//.*)}gc) {
			my $comment = $1;
			$in_comment = $comment !~ m{\*/$} && $comment !~ m{^//};
			$html .= '<i>' . links($file, escape($comment)) . '</i>';
		} elsif ($line =~ m{\G("(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*')}gc) {
			$html .= escape($1);
		} elsif ($line =~ m{\G([A-Za-z_]\w*)}gc) {
			my $name = $1;
			my $s = $here{$name};
			if ($s && !$s->{done}++) {
				$html .= "<b id=$s->{id}>$name</b>";
			} elsif ($symbols{$name} && ($s = meant($file, $line, $name, $before))) {
				$html .= anchor($s->{id}, $name);
			} else {
				$html .= $name;
			}
			$before = $name;
		} elsif ($line =~ m{\G([^\w"'/]+|.)}gc) {
			my $other = $1;
			$html .= escape($other);
			$before = $other =~ /\S/ ? $other : $before . $other;
		}
	}
	return $html;
}

# Which symbol an identifier in code is, if any: not a field's or a local name.
sub meant {
	my ($file, $line, $name, $before) = @_;
	return lookup($file, $name, 'tag') if $before =~ /^(?:struct|union|enum)\s+$/;
	return if $before =~ /(?:\.|->)$/ && $file !~ /\.S$/;
	my $s = lookup($file, $name, 'other') or return;
	return $s if $s->{kind} eq 'macro' || $file =~ /\.S$/ || $line =~ /\b\Q$name\E[(\[]/;
	return if $before =~ /^(?!return|goto)\w+\s+$/;	# "int name": it is declared
	return $name =~ /_/ || $s->{file} eq $file ? $s : undef;
}

sub code {
	my ($file, $number, @lines) = @_;
	$in_comment = 0;
	return join "\n", map { code_line($file, $number++, $_) } @lines;
}

# The first sentence of a file's opening, for the list of a part's files.
sub file_item {
	my ($file, $text) = @_;
	my ($first) = bare(join "\n", @$text) =~ /\A\s*(.*?[.?](?=\s|\z)|.*?(?=\n\n|\z))/s;
	my $html = links($file, escape($first // ''));
	$html =~ s{`([^`]+)`}{<code>$1</code>}g;
	return "<li><a href=\"#$file\">$file</a> $html\n";
}

# As much of Markdown as docs/book.d needs.
sub markdown {
	my ($here, $text) = @_;
	my $html = '';
	for my $block (split /\n\s*\n/, $text) {
		if ($block =~ /^!\[[^]]*\]\(\.\.\/(pictures\/[\w-]+\.svg)\)/) {
			open my $in, '<', "$here/$1" or die "book: $1: $!\n";
			my $picture = do { local $/; <$in> };
			$picture =~ s{<style>.*?</style>\n?|<!--.*?-->\n?}{}sg;
			$html .= "<figure>$picture</figure>\n";
		} elsif ($block =~ /^#+ (.*)/) {
			$html .= "<h4>$1</h4>\n";
		} else {
			my $part = prose('', $block);
			$part =~ s{\*\*(.+?)\*\*}{<strong>$1</strong>}gs;
			$part =~ s{\*(\w.*?)\*}{<em>$1</em>}gs;
			$html .= $part;
		}
	}
	return $html;
}

1;
