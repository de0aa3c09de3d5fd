#!/bin/bash
# A program denies itself, which needs no right, its own memory by a protection key: SIGSEGV, as
# on the host; the guest lives, the host flushes nothing. AT-42.
. "$(dirname "$0")/lib/lab.sh"

gcc -static -O1 -Wall -Wextra -Werror -o "$work/keys" "$(dirname "$0")/keys.c" ||
	{ not_ok "keys.c compiles"; finish; exit; }

inside max --with "$work/keys" <<'END2'
for i in 1 2 3 4 5; do echo "signal 11"; done >/tmp/wanted
echo "status 3, then none of its keys" >>/tmp/wanted
./keys >/tmp/host
is "AT-42 how it ends on the host" "" "$(diff /tmp/wanted /tmp/host)"
lguest run -v --share /lab,ro -- /mnt/share/keys >/tmp/guest 2>/tmp/err
is "AT-42 the same in a guest, which lives" "" "$(diff /tmp/wanted /tmp/guest)"
show /tmp/err
check "AT-42 no spurious faults" grep -q 'spurious_faults 0' /tmp/err
check "L11 nothing is left" no_guest_left
END2
finish
