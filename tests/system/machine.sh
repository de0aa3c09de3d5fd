#!/bin/bash
# What lguest says of a machine before anything is loaded: `check --deep`.
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
echo 1 >/proc/sys/kernel/modules_disabled
lguest check --deep >/tmp/out
is "check --deep: a row that refuses gives status 1" 1 $?
is "... and says which" refuse "$(verdict kernel-modules)"
END

finish
