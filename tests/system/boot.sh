#!/bin/bash
# A stock kernel boots to a command on every kind of host CPU: what it says of
# itself, its CPU, its memory and its log.
. "$(dirname "$0")/lib/lab.sh"

cat >"$work/guest-script" <<'END'
show() { echo "=== $1"; shift; "$@"; }
show uname uname -r
show version cat /proc/version
show cmdline cat /proc/cmdline
show cpuinfo cat /proc/cpuinfo
show meminfo cat /proc/meminfo
show iomem cat /proc/iomem
show clock cat /sys/devices/system/clocksource/clocksource0/current_clocksource
show timers cat /proc/timer_list
show hwrng sh -c 'head -c 64 /dev/urandom | wc -c'
show date date +%s
show dmesg dmesg
echo === end
echo 'this goes to stderr' >&2
exit 7
END

# Flags that ring 3 can honour. What is shown beyond these is a mistake, and
# so is each of "never": ring 3 cannot give them, or lguest says it has not.
# (Linux sets vmmcall, retpoline and a few more by itself.)
allowed="fpu vme de pse tsc msr pae cx8 pge cmov pse36 clflush mmx fxsr sse sse2 ss syscall nx
 mmxext fxsr_opt pdpe1gb rdtscp lm 3dnowext 3dnow constant_tsc rep_good nopl tsc_reliable
 nonstop_tsc cpuid tsc_known_freq pni pclmulqdq ssse3 fma cx16 pcid sse4_1 sse4_2 movbe popcnt
 aes xsave avx f16c rdrand hypervisor lahf_lm abm sse4a misalignsse 3dnowprefetch xop fma4 tbm
 fsgsbase bmi1 avx2 bmi2 erms rdseed adx clflushopt clwb sha_ni xsaveopt xgetbv1 vaes
 vpclmulqdq gfni umip movdiri movdir64b fsrm serialize md_clear clzero xsaveerptr
 avx512f avx512dq avx512ifma avx512cd avx512bw avx512vl avx512vbmi avx512_vbmi2 avx512_vnni
 avx512_bitalg avx512_vpopcntdq avx512_vp2intersect avx512_fp16 avx512_bf16 avx_vnni
 amd_ssb_no btc_no cldemote fsrc fsrs fzrm
 vmmcall retpoline rsb_ctxsw xtopology cpuid_fault"
required="fpu msr pae cx8 cmov fxsr sse sse2 syscall nx lm pcid fsgsbase hypervisor rdtscp pge"
never="smep smap vmx svm fred lass la57 rdpid pku ospke apic x2apic mce mca mtrr acpi invpcid
 monitor mwaitx sep pti xsavec xsaves user_shstk ibt arch_perfmon tsc_deadline_timer ibrs ibpb stibp
 ssbd skinit osvw perfctr_core ht"

boot_on() {	# LABEL LAB-OPTION...
	inside "$1" --with "$work/guest-script" "${@:2}" < <(
		printf 'release=%s allowed="%s" required="%s" never="%s"\n' "$release" \
			"${allowed//$'\n'/}" "${required//$'\n'/}" "${never//$'\n'/}"
		cat <<'END'
words=$(cat guest-script)
begin=$(date +%s)
lguest run -- sh -c "$words" >/tmp/out 2>/tmp/err
is "I3 the status of a COMMAND is the launcher's" 7 $?
took=$(($(date +%s) - begin))
part() { sed -n "/^=== $1\$/,/^===/p" /tmp/out | sed '/^===/d'; }
for p in uname version cmdline cpuinfo meminfo iomem clock timers date dmesg; do
	part $p >/tmp/$p
done
tail -n 1 /tmp/out >/tmp/last
is "L2 L12 L13 uname -r is Debian's release" "$release" "$(cat /tmp/uname)"
has "L2 it is Debian's own kernel" 'debian-kernel@lists.debian.org' /tmp/version
is "K5 all the output arrives" "=== end" "$(cat /tmp/last)"
is "K1 stderr holds the command's errors, no more" "this goes to stderr" "$(cat /tmp/err)"

has "J1 the log names lguest" 'Booting paravirtualized kernel on lguest' /tmp/dmesg
hasnt "J4 no BUG, WARNING or call trace in the guest's log" \
	'BUG|WARNING|Call Trace|Oops|Kernel panic|rcu.*stall|soft lockup|general protection|unchecked MSR' /tmp/dmesg
# The CPU has no machine checks, which kernels that know them say: docs/DEVIATIONS.md.
grep -v 'mce: Unable to init MCE device' /tmp/dmesg >/tmp/dmesg.mce
hasnt "J13 nothing of MCE, microcode, MTRR or ACPI goes wrong" \
	'mce:|Machine check|microcode:|MTRR.*(fail|error)|ACPI.*([Ee]rror|fail|BIOS)' /tmp/dmesg.mce
hasnt "J6 no APIC error" 'APIC.*([Ee]rror|bad|fail)' /tmp/dmesg
has "J14 the console is hvc0, without being asked for" 'console \[hvc0\] enabled' /tmp/dmesg
has "J9 the first message came by the early console" 'bootconsole \[earlylguest0\] enabled' /tmp/dmesg
has "F11 J13 the kernel found no page that is writable and executable" \
	'Checked W.X mappings: passed' /tmp/dmesg
has "J8 the memory map is the launcher's" \
	'BIOS-e820: \[mem 0x0000000000100000-0x000000000fffffff\] usable' /tmp/dmesg
between "J8 256 MiB of memory, less what the kernel takes" 200000 262144 \
	"$(awk '/^MemTotal/ { print $2 }' /tmp/meminfo)"
# A host that does not trust its TSC (QEMU with two CPUs) shows none.
stable=$(grep -qx tsc /sys/devices/system/clocksource/clocksource0/current_clocksource && echo yes)
is "E9 the clock source is the TSC, if the host's is" "$([ "$stable" ] && echo tsc || echo lguest)" \
	"$(cat /tmp/clock)"
has "E10 the timer is lguest's" 'Clock Event Device: lguest' /tmp/timers
between "E11 the guest's date lies between its start and its end" $begin \
	$((begin + took + 1)) "$(cat /tmp/date)"

is "L1 one CPU" 1 "$(grep -c ^processor /tmp/cpuinfo)"
is "J12 the CPU's name is the host's" "$(grep -m1 '^model name' /proc/cpuinfo)" \
	"$(grep -m1 '^model name' /tmp/cpuinfo)"
is "J12 the CPU's family and model are the host's" \
	"$(grep -E -m2 '^(cpu family|model)	' /proc/cpuinfo)" \
	"$(grep -E -m2 '^(cpu family|model)	' /tmp/cpuinfo)"
[ -z "$stable" ] || required="$required tsc constant_tsc nonstop_tsc"
mhz=$(awk '/^cpu MHz/ { print $4; exit }' /proc/cpuinfo)
[ -z "$stable" ] || between "J12 the CPU's speed is the host's" "$(awk "BEGIN { print $mhz * .98 }")" \
	"$(awk "BEGIN { print $mhz * 1.02 }")" "$(awk '/^cpu MHz/ { print $4; exit }' /tmp/cpuinfo)"
flags=" $(sed -n 's/^flags[^:]*: //p' /tmp/cpuinfo) "
bad=
for f in $flags; do case " $allowed " in *" $f "*) ;; *) bad="$bad $f" ;; esac; done
is "J12 every flag shown is one that works" "" "$bad"
bad=
for f in $required; do case "$flags" in *" $f "*) ;; *) bad="$bad $f" ;; esac; done
is "J12 the flags a guest needs are shown" "" "$bad"
bad=
for f in $never; do case "$flags" in *" $f "*) bad="$bad $f" ;; esac; done
is "J12 flags that ring 3 cannot give are hidden" "" "$bad"
sed -n 's/^flags[^:]*: //p' /proc/cpuinfo | head -n 1 >/tmp/host-flags
bad=
for f in $flags; do
	case $f in pcid|hypervisor|pge|ss|tsc_reliable|nonstop_tsc|constant_tsc|tsc_known_freq|rep_good|nopl|cpuid|retpoline|rsb_ctxsw) continue ;; esac
	grep -qw -- "$f" /tmp/host-flags || bad="$bad $f"
done
is "J12 a flag of the guest is one of the host" "" "$bad"
check "I3 nothing of the guest is left" no_guest_left
END
		[ "$1" != "max" ] || cat <<'END'

lguest run -v -- true >/tmp/out 2>/tmp/err
is "I3 -v changes no status" 0 $?
is "K1 -v leaves stdout alone" "" "$(cat /tmp/out)"
has "C8 run -v prints counters: switches" '^ +world_switches [1-9]' /tmp/err
has "I1 run -v prints counters: hypercalls" '^ +hypercall_SHUTDOWN 1$' /tmp/err
has "I2 INIT is made twice: Linux moves the page once" '^ +hypercall_INIT 2$' /tmp/err
has "I9 a guest's context switches are CR3 loads" '^ +hypercall_LOAD_CR3 [1-9]' /tmp/err
switches=$(awk '$1 == "world_switches" { print $2 }' /tmp/err)
sum=$(awk '$1 ~ /^exit_/ { n += $2 } END { print n }' /tmp/err)
between "C8 the counted reasons add up to the switches" $((switches - 2)) $((switches + 2)) "$sum"
calls=$(awk '$1 ~ /^hypercall_/ { n += $2 } END { print n }' /tmp/err)
# Calls that came by the ring are counted too, so this is an upper bound only;
# counts.sh measures exactly.
between "D11 system calls of guest programs do not visit the Host" -1000000 100 \
	$(($(awk '$1 == "exit_syscall" { print $2 }' /tmp/err) - calls))
between "D11 ... though there are many" 500 1000000 "$(awk '$1 == "direct_syscalls" { print $2 }' /tmp/err)"
between "J11 few instructions trap to the launcher" 0 50 "$(awk '$1 == "exit_vector_13" { print $2 }' /tmp/err)"
hasnt "J6 no exit for the APIC" 'MMIO|notified' /tmp/err
has "J16 the layer's early console, then the kernel's first message" \
	'Linux version .*Debian' /tmp/err
has "J15 power off is said" 'the guest powered off' /tmp/err
sed -n '/counters/,$p' /tmp/err

lguest run -p threadirqs -- sh -c 'dmesg; ps' >/tmp/out 2>/tmp/err
hasnt "J4 no WARNING with handlers of interrupts made threads" \
	'BUG|WARNING|Call Trace|enabled interrupts' /tmp/out
has "J4 ... as those of virtio are" '\[irq/[0-9]+-virtio' /tmp/out
hasnt "J4 ... but not the layer's, which raise other interrupts" \
	'\[irq/[0-9]+-(console|power|timer)' /tmp/out
END
	)
}

boot_on max --cpu max
boot_on "max,la57=off" --cpu max,la57=off
boot_on "KPTI" --cpu Skylake-Client --append pti=on
boot_on "2 CPUs" --cpu max --smp 2
check "L3 lg.ko is built for Debian's general kernel" "$top/lab/stock-host" general
boot_on "general kernel" --host general
check "L3 L12 lg.ko is built for Debian's kernel 6.12" "$top/lab/stock-host" 6.12
boot_on "Linux 6.12" --host 6.12

finish
