#!/bin/bash
# The layer faults ahead in fresh memory: how far, where not, and not at all when
# it is switched off.
. "$(dirname "$0")/lib/lab.sh"

mkdir -p "$work/root"
program "$(dirname "$0")/ahead.c" "$work/root/init" || { not_ok "ahead.c compiles"; finish; exit; }
initrd "$work/root" "$work/initrd"

inside "max" --cpu max --with "$work/initrd" <<'END'
run() {	# NAME PARAMETER
	lguest run -i initrd -p "quiet $2" --time-limit 100 >/tmp/$1.out 2>/tmp/$1.err
	is "J4 the guest ends well ($1)" 0 $?
	tr -d '\r' </tmp/$1.out | sed -n 's/^ahead: //p' >/tmp/$1
}
figure() { sed -n "s/^$2: //p" /tmp/$1; }

run on ""
is "F2 a run of two pages is none" 2 "$(figure on 'two pages')"
is "F2 the third write of a run populates its 16 pages" 16 "$(figure on 'three pages')"
is "F2 ... and the next sixteen when it comes to them" 32 "$(figure on 'seventeen pages')"
is "F2 what was written stays, what was not is zero" 0 "$(figure on 'wrong bytes')"
is "F2 pages written here and there stay alone" 32 "$(figure on 'every other page')"
is "F2 reads populate nothing" 32 "$(figure on '32 pages read')"
is "F2 MADV_RANDOM is obeyed" 8 "$(figure on 'eight of MADV_RANDOM')"
is "F2 shared memory is left alone" 8 "$(figure on 'eight shared')"
is "F2 nothing is populated beyond the mapping" 5 "$(figure on 'four of five')"
is "F2 memory with a userfaultfd is left alone" 8 "$(figure on 'eight watched')"
is "F2 no page more in a memory group that is nearly full" 6 \
	"$(figure on 'six in a group that is nearly full')"
is "F2 the program came to its end" "done" "$(tail -n 1 /tmp/on)"

run off lguest.faultahead=0
is "F2 lguest.faultahead=0: what is written, no more" "2 3 17" \
	"$(figure off 'two pages') $(figure off 'three pages') $(figure off 'seventeen pages')"
END

finish
