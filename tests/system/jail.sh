#!/bin/bash
# A guest that has broken into its launcher: each kind of thread, and all of a machine's in
# one hand, with the launcher's own confinement, tries what would hurt the host (jail.c).
# Which there are is said by the table of docs/SECURITY.md.
. "$(dirname "$0")/lib/lab.sh"

mkdir "$work/jail"
sources=("$(dirname "$0")/jail.c")
for part in jail/{confine,filter,fixed,landlock} message terminal hardware/memory \
	devices/virtio/virtqueue devices/disk/disk_uring; do
	sources+=("$top/launcher/$part.c")
done
sources+=("$top"/launcher/devices/share/{share*,hidden}.c)
gcc -std=gnu11 -O1 -Wall -Wextra -Werror -pthread -I"$top/include" -I"$top/launcher" \
	-o "$work/jail/jail" "${sources[@]}" -lseccomp -luring || exit 1

# The kinds of thread, as the table has them, and as the filters do.
kinds=$(sed -n '/^| process | thread/,/^$/s/^|[^|]*| `\([a-z-]*\)`.*/\1/p' "$top/docs/SECURITY.md")
is "L8 the table of processes has every kind of thread that there is" \
	"$(sed -n 's/^\t\[THREAD_[A-Z_]*\] = { "\([a-z-]*\)".*/\1/p' "$top/launcher/jail/filter.c" | sort)" \
	"$(sort <<<"$kinds")"

echo "kinds=\"$(echo $kinds)\"" >"$work/tries"
cat >>"$work/tries" <<'END'
# tries USER: as each kind of thread; without bounds all of it must succeed.
tries() {
	$1 free >/tmp/out 2>/tmp/err
	between "L8 AT-77 $2: what a thread without bounds is tried with" 70 100 \
		"$(sed -n 's/^tried //p' /tmp/out)"
	is "L8 AT-77 $2: ... succeeds, all of it" "$(sed -n 's/^tried //p' /tmp/out)" \
		"$(grep -c '^did free' /tmp/out)"
	grep '^could not' /tmp/out
	for kind in $kinds machine; do
		$1 $kind >/tmp/out 2>/tmp/err
		is "L8 AT-77 $2: the $kind thread ends" 0 $?
		between "L8 AT-77 $2: ... after trying" 40 100 "$(sed -n 's/^tried //p' /tmp/out)"
		is "L8 AT-77 $2: ... and has done nothing" "" "$(grep -v '^tried' /tmp/out)"
		[ $kind = machine ] && continue
		$1 "$kind first" >/tmp/out 2>&1
		# A share's server is silent: its machine says that it ended.
		case $kind in
		share*) ;;
		*) has "L8 $2: by itself it would have ended with a sentence" \
			"^lguest: the $kind thread asked the kernel for the system call execve .number 59.," /tmp/out ;;
		esac
		has "L8 $2: ... by SIGSYS" "^ended $kind execve: 159" /tmp/out
	done
}
END

# Root on the one, an ordinary user on the other.
inside "6.1" --with "$work/jail" --with "$work/tries" <<'END'
. ./tries
ip link set lo up
as_root() { jail/jail $1; }
tries as_root root
END

inside "6.12" --host 6.12 --with "$work/jail" --with "$work/tries" <<'END'
. ./tries
ip link set lo up
as_alice() { su alice -c "/lab/jail/jail $1"; }
tries as_alice alice
# The filters would hide it: all that this kernel's Landlock has is asked for.
as_alice landlock >/tmp/out 2>/tmp/err
for what in read-open truncate make-file tcp abstract kill tkill; do
	has "L8 Landlock alone refuses $what" "^could not landlock $what$" /tmp/out
done
show /tmp/err
END

# No Landlock: the user hears of it, and what the filters hold is held.
inside "no Landlock" --append lsm=capability --with "$work/jail" <<'END'
lguest run -- true </dev/null >/tmp/out 2>/tmp/err
is "L8 a host without Landlock runs guests" 0 $?
is "L8 ... and says once what is missing" 1 "$(grep -c '^lguest: this kernel has no Landlock' /tmp/err)"
ip link set lo up
for kind in vcpu disk; do
	is "L8 AT-77 without Landlock the $kind thread has done nothing" "tried" \
		"$(jail/jail $kind 2>/dev/null | sed 's/^tried [5-9].*/tried/')"
done
for kind in share share-ro; do
	is "L8 AT-77 ... nor the server of a share, $kind, which root gives a root folder of its own" tried \
		"$(jail/jail $kind 2>/dev/null | sed 's/^tried [5-9].*/tried/')"
done
is "L8 AT-77 ... an ordinary user's read-only one can read, no more" "" \
	"$(su alice -c '/lab/jail/jail share-ro' 2>/dev/null | grep -v -e '^tried [5-9]' -e 'did share-ro read-' -e see-list)"
END

finish
