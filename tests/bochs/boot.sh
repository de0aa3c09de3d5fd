#!/bin/bash
# A stock kernel boots on a host in Bochs: with PCIDs, and the host's global TLB
# entries in its way. `nokaslr` has both kernels at the same addresses.
. "$(dirname "$0")/../system/lib/lab.sh"

# What most of the guest's boot would be spent on, as in lab/bochs.
quick="cryptomgr.notests initcall_blacklist=load_system_certificate_list,trace_eval_init"
inside bochs --timeout 800 --append nokaslr < <(
	printf 'release=%s quick="%s"\n' "$release" "$quick"
	cat <<'END'
is "the host uses PCIDs" yes "$(grep -qw pcid /proc/cpuinfo && echo yes)"
is "... and global pages" no "$(grep -qw pti /proc/cpuinfo && echo yes || echo no)"
work='for i in 1 2 3 4 5 6; do seq $i 3000 | sort -rn | md5sum; done | sort'
lguest run -p "$quick" -- sh -c "uname -r; grep -ow pcid /proc/cpuinfo; $work; exit 7" \
	>/tmp/out 2>/tmp/err
is "L2 I3 a stock kernel boots, and gives the status of its command" 7 $?
is "L2 L12 it is Debian's, with PCIDs, and six pipelines count as on the host" \
	"$(echo $release pcid $(sh -c "$work"))" "$(echo $(cat /tmp/out))"
END
)
finish
