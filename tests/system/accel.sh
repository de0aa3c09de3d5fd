#!/bin/bash
# lab/lab --accel: what it takes, and what it says where KVM cannot be used. Which machine
# this is makes no difference: /dev/kvm, the CPU and QEMU are made up, but in one case.
. "$(dirname "$0")/../ktap.sh"
top=$(cd "$(dirname "$0")/../.." && pwd)
export LAB_MACHINE_ROOT=$work/root
mkdir -p "$work/root"/{dev,proc} "$work/bin"
cpu() {	# FLAGS
	printf '%s\t: %s\n' 'model name' 'Made Up 9000' microcode 0xabc flags "$*" \
		>"$work/root/proc/cpuinfo"
}
qemu() {	# WORDS: what QEMU does
	printf '#!/bin/sh\n[ "$1" != --version ] || { echo "QEMU emulator version 1.2.3 (x)"; exit; }\n%s\n' \
		"$*" >"$work/bin/qemu-system-x86_64"
	chmod +x "$work/bin/qemu-system-x86_64"
}
refused() {	# NAME PATTERN
	"$top/lab/lab" --accel kvm --no-module -- true >"$work/out" 2>"$work/err"
	is "$1: status" 126 $?
	is "$1: one line, and no other word" "1 0" "$(wc -l <"$work/err") $(wc -l <"$work/out")"
	check "$1: the reason" grep -q "^lab: --accel kvm: $2.*; without the option the lab emulates" "$work/err"
}
PATH=$work/bin:$PATH

cpu fpu vmx nx
refused "no KVM" "there is no /dev/kvm"

touch "$work/root/dev/kvm"
chmod 600 "$work/root/dev/kvm"
chmod 755 "$work"
cp "$top/lab/machine" "$work/"
nobody=(env)	# root may open everything
if [ "$(id -u)" = 0 ]; then
	nobody=(setpriv --reuid 65534 --regid 65534 --clear-groups)
else
	chmod 0 "$work/root/dev/kvm"
fi
(cd / && "${nobody[@]}" "$work/machine" kvm) >"$work/out" 2>"$work/err"
is "KVM is closed to the user: status" 126 $?
check "KVM is closed to the user: the reason" \
	grep -q '^lab: --accel kvm: /dev/kvm is not open to [^ ]*: join its group' "$work/err"
chmod 600 "$work/root/dev/kvm"

cpu fpu nx
refused "KVM without hardware" "/dev/kvm is there, but the CPU shows neither vmx nor svm"

cpu fpu svm nx
qemu 'echo first; echo "qemu: it does not work" >&2; exit 1'
refused "KVM that QEMU cannot use" "/dev/kvm is there, but QEMU cannot use it (qemu: it does not work)"
LAB_OPTIONS="--accel kvm" "$top/tests/run" nothing-of-this-name >"$work/out" 2>"$work/err"
is "tests/run refuses once for all tests" "126 1" "$? $(wc -l <"$work/err")"
make -C "$top" --no-print-directory -o all test LAB_OPTIONS="--accel kvm" >"$work/out" 2>"$work/err"
is "make test LAB_OPTIONS=... stops there" "2 1" \
	"$? $(grep -c '^lab: --accel kvm: /dev/kvm is there, but QEMU cannot' "$work/err")"

# One that can: it runs until the machine itself is asked for.
qemu 'case "$*" in *-S\ *) cat >/dev/null ;; *) exit 7 ;; esac'
is "results are tagged" "KVM of Linux $(uname -r) by QEMU 1.2.3 on Made Up 9000, microcode 0xabc" \
	"$("$top/lab/machine" kvm)"
words() {	# LAB-OPTION...: QEMU's command line, from the run's folder
	(cd "$top" && lab/lab --no-module "$@" -- true) >"$work/out" 2>"$work/err"
	run=$top/$(sed -n 's/^lab: qemu-system-x86_64 ended .* see //p' "$work/err")
	tr -d '\\' <"$run/command"
}
words --accel kvm >"$work/words"
check "KVM: the accelerator" grep -q -- '-accel kvm ' "$work/words"
check "KVM: this machine's CPU" grep -q -- '-cpu host,migratable=off ' "$work/words"
check "KVM: nothing for TCG's sake" sh -c "! grep -qE 'erms|no_timer_check|nowatchdog|tcg' '$work/words'"
is "KVM: the run's folder has the tag" "$("$top/lab/machine" kvm)" "$(cat "$run/machine")"
words --cpu max,la57=off --accel kvm >"$work/words"
check "KVM: features of --cpu max stay" grep -q -- '-cpu host,migratable=off,la57=off ' "$work/words"
words --accel kvm --cpu Haswell >"$work/words"
check "KVM: a model stays" grep -q -- '-cpu Haswell ' "$work/words"
LAB_OPTIONS="--accel kvm" words >"$work/words"
check "KVM by LAB_OPTIONS" grep -q -- '-accel kvm ' "$work/words"
words >"$work/words"
check "the default is TCG, and says so" grep -q -- '-accel tcg,thread=multi -cpu max,erms=off,fsrm=off ' "$work/words"
check "... with what TCG needs" grep -q 'no_timer_check.*tsc=nowatchdog' "$work/words"
is "... and its tag" "TCG of QEMU 1.2.3" "$(cat "$run/machine")"
"$top/lab/lab" --accel xen -- true 2>"$work/err"
is "another accelerator is refused" "126 lab: --accel xen: there are tcg and kvm" "$? $(cat "$work/err")"

# This machine as it is: it works, or says why not.
unset LAB_MACHINE_ROOT
PATH=${PATH#*:}
if "$top/lab/machine" kvm >"$work/out" 2>"$work/err"; then
	is "KVM here: $(cat "$work/out")" yes "$("$top/lab/lab" --accel kvm --no-module -- echo yes)"
else
	is "KVM here: none, and one line says why: $(cat "$work/err")" 1 "$(wc -l <"$work/err")"
fi

finish
