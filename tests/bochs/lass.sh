#!/bin/bash
# L2: a host with LASS, which Linux turns on from 6.19 on where the CPU has it: a stock
# kernel boots there, at ring 3 in the upper half, and the host has its CR4 back.
. "$(dirname "$0")/../system/lib/lab.sh"

micro=$top/build/tests/micro7.3
make -s -C "$top/tests/micro" O="$micro" HOST=7.3 "$micro/witness.ko" >&2 || exit

inside lass --timeout 800 --append nokaslr --with "$micro/witness.ko" < <(
	printf 'release=%s\n' "$release"
	cat <<'END'
cr4() { head -c 4096 /dev/witness | sed -n 's/^cr4 //p'; }
insmod ./witness.ko
before=$(cr4)
is "the host's kernel uses LASS" lass "$(grep -ow -m 1 lass /proc/cpuinfo)"
is "... its CR4 has it" $((1 << 27)) $((before & 1 << 27))
is "... and \`lguest check\` says so" "ok  CPU uses LASS: off while a guest runs" \
	"$(lguest check | grep LASS)"
quick="cryptomgr.notests initcall_blacklist=load_system_certificate_list,trace_eval_init"
lguest run -p "$quick" -- sh -c 'uname -r; grep -cw lass /proc/cpuinfo; exit 7' \
	>/tmp/out 2>/tmp/err
is "L2 I3 a stock kernel boots, and gives the status of its command" 7 $?
is "L2 it is Debian's, and is shown no LASS" "$release 0" "$(echo $(cat /tmp/out))"
is "A15 the host's CR4 is what it was" "$before" "$(cr4)"
END
)
finish
