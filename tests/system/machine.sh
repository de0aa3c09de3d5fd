#!/bin/bash
# What lguest says of a machine: `check --deep` before anything is loaded, `report` for others.
. "$(dirname "$0")/lib/lab.sh"

"$top/launcher/lguest" check --json >"$work/rows" 2>"$work/err"
status=$?
is "check --json here: no word on stderr" "" "$(cat "$work/err")"
refused=$(grep -c '"verdict": "refuse"' "$work/rows")
is "... its status tells of rows that refuse" "$((refused > 0))" "$status"
is "... each row has a verdict" "$(grep -c '"id": ' "$work/rows")" \
	"$(grep -cE '"verdict": "(ok|warn|refuse|unknown)"' "$work/rows")"

inside "unloaded" --no-module --append "retbleed=stuff" <<'END'
verdict() { sed -n "s/^\([a-z]*\) *$1: .*/\1/p" /tmp/out; }
mount -t tracefs t /sys/kernel/tracing
mount -t securityfs s /sys/kernel/security
cat /proc/modules >/tmp/modules
lguest check --deep >/tmp/out 2>/tmp/err
is "check --deep: a machine that will do has status 0" "0 " "$? $(cat /tmp/err)"
is "... no row refuses it" "" "$(grep ^refuse /tmp/out)"
is "... root can find out everything" "" "$(grep ^unknown /tmp/out)"
is "... nothing was loaded" "$(cat /tmp/modules)" "$(cat /proc/modules)"
is "... no tracer is on" ok "$(verdict tracer)"
is "... nothing is probed" ok "$(verdict probes)"
is "... the kernel is one that is tested" ok "$(verdict kernel-tried)"
is "... a parameter of the kernel is seen" warn "$(verdict return-stuffing)"
has "... and what to do about it" '^ +boot with retbleed=auto' /tmp/out
is "... the last line counts them all" "$(grep -cE '^[a-z]+ +[a-z0-9-]+: ' /tmp/out)" \
	"$(tail -n 1 /tmp/out | tr -cd '0-9 ' | awk '{ print $1 + $2 + $3 + $4 }')"

echo p:lab do_exit >/sys/kernel/tracing/kprobe_events
echo 1 >/sys/kernel/tracing/events/kprobes/lab/enable
echo 0 >/sys/kernel/panic 2>/dev/null || echo 0 >/proc/sys/kernel/panic
lguest check --deep >/tmp/out
is "check --deep: warnings leave status 0" 0 $?
is "... a probe is seen" warn "$(verdict probes)"
is "... a panic that would leave the machine dead, too" warn "$(verdict panic-reboots)"
echo 0 >/sys/kernel/tracing/events/kprobes/lab/enable
echo >/sys/kernel/tracing/kprobe_events

su alice -c 'lguest check --deep' >/tmp/out 2>/tmp/err
is "check --deep needs no privilege" "0 " "$? $(cat /tmp/err)"
is "... but does not know what only root may see" unknown "$(verdict tracer)"
lguest report >/tmp/out 2>/tmp/err
is "report works without the module" "0 " "$? $(cat /tmp/err)"
has "... and says so" '"loaded": false' /tmp/out
has "... and that there was no guest" '"why": "/dev/lguest cannot be used"' /tmp/out
has "... it measures what it can" '"cpuid_ns": [0-9]' /tmp/out
has "... by busybox, too" '"system_call_ns": [0-9]' /tmp/out
echo 1 >/proc/sys/kernel/modules_disabled
lguest check --deep >/tmp/out
is "check --deep: a row that refuses gives status 1" 1 $?
is "... and says which" refuse "$(verdict kernel-modules)"
END

# What is private has a word in it that no report may have.
inside "loaded" --append "retbleed=auto root=UUID=c0ffee00-1234-5678-9abc-def012345678 ip=10.1.2.3 secret" <<'END'
echo secrethost >/proc/sys/kernel/hostname
sed -i 's/^alice:\(.*\):1000::/alice:\1:1000:Alice Secret:/' /etc/passwd
echo '<6>lg: selftest: step 1 of 2: made up by a test' >/dev/kmsg
echo '<6>secret: lg: selftest: nothing of the module' >/dev/kmsg
private() { grep -ciE 'secret|alice|c0ffee|([0-9a-f]{2}:){5}|[0-9]{1,3}(\.[0-9]{1,3}){3}|/home|/tmp|/root' ${1:-/tmp/out}; }
seconds() { sed -n 's/^ *"seconds": \([0-9]*\).*/\1/p' /tmp/out | sort -n | tail -n 1; }

lguest report >/tmp/out 2>/tmp/err
is "report: status, errors" "0 " "$? $(cat /tmp/err)"
is "report: begins and ends as an object" "{ }" "$(head -n 1 /tmp/out) $(tail -n 1 /tmp/out)"
has "report: the module is loaded" '"loaded": true' /tmp/out
has "report: the kernel" "\"release\": \"$(plain "$(uname -r)")\"" /tmp/out
has "report: the CPU" "\"name\": \"$(plain "$(sed -n 's/^model name.*: //p' /proc/cpuinfo | head -n 1)")\"" /tmp/out
has "report: a parameter that matters" '"retbleed=auto"' /tmp/out
has "report: mitigations" '"spectre_v2": "' /tmp/out
has "report: the rows of check --deep" '"id": "kernel-rt"' /tmp/out
has "report: the self-test's lines" '"step 1 of 2: made up by a test"' /tmp/out
is "report: a guest ran well, and the script here" "0 0" "$(echo $(grep -oE '"status": [^,]*' /tmp/out | cut -d' ' -f2))"
is "report: both did system calls and processes" "2 2" \
	"$(grep -c '"system_call_ns": [0-9]' /tmp/out) $(grep -c '"process_us": [0-9]' /tmp/out)"
has "report: the guest's counters" '"exit_syscall": [1-9]' /tmp/out
is "report: nothing private" 0 "$(private)"
is "... which would have been found" 1 "$(private /proc/cmdline)"
check "report: no guest is left" no_guest_left

cd /home/alice
su alice -c 'XDG_CACHE_HOME=/home/alice/secret lguest report' >/tmp/out 2>/tmp/err
is "report: no privilege is needed" "0 " "$? $(cat /tmp/err)"
has "report: what only root may see is named" '"counters_why": "only root' /tmp/out
is "report: nothing private of a user's either" 0 "$(private)"
lguest report more 2>/tmp/err
is "report takes no argument" 2 $?
END

finish
