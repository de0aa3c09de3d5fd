#!/bin/bash
# The host sleeps (suspend to RAM) and wakes up while guests run: its CPUs lose
# all that was in them, and the guests do not notice.
. "$(dirname "$0")/lib/lab.sh"

inside "sleep" --cpu max --smp 2 --with "$lib/busy.sh" <<'END'
. ./busy.sh
busy_guests
mkfifo /tmp/in
# Its date is put right a second after its clock has run again.
lguest run -m 96M -- sh -c 'echo up; read line; echo "heard $line"; sleep 3; echo "date $(date +%s)"
	exit 7' </tmp/in >/tmp/idle 2>&1 &
idle=$!
exec 3>/tmp/in
wait_for 60 grep -q up /tmp/idle

# On waking up, the lab's firmware (SeaBIOS) does not tell the chipset again where
# its ACPI registers are, so the next sleep would not come, nor the end.
chipset=/sys/bus/pci/devices/0000:00:1f.0/config
dd if=$chipset of=/tmp/chipset bs=4 skip=16 count=2 2>/dev/null

slept=0
for i in 1 2 3 4 5; do
	before=$(rounds 1)
	echo 0 >/sys/class/rtc/rtc0/wakealarm
	echo +3 >/sys/class/rtc/rtc0/wakealarm
	begin=$(date +%s)
	echo mem >/sys/power/state
	[ $(date +%s) -lt $((begin + 2)) ] || slept=$((slept + 1))
	dd if=/tmp/chipset of=$chipset bs=4 seek=16 conv=notrunc 2>/dev/null
	wait_for 30 more_than $((before + 2)) 1
done
is "AT-18 the host slept and woke up" 5 $slept
is "AT-18 ... with all its CPUs" 5 "$(dmesg | grep -c 'CPU1 is up')"
they_go_on "AT-18 a busy guest goes on afterwards"
all_is_right "AT-18 ... and all it computes is right"
before=$(date +%s)
echo "good morning" >&3
wait $idle
is "AT-18 an idle guest hears again, too" "7 up heard good morning" \
	"$? $(echo $(grep -v date /tmp/idle))"
between "AT-66 ... and has its date" $((before + 2)) $(($(date +%s) + 1)) \
	"$(tr -d '\r' </tmp/idle | awk '$1 == "date" { print $2 }')"
kill -9 $(pidof lguest)
check "AT-18 nothing is left" no_guest_left
END

# Two CPUs' TSCs are not trusted in the lab; one's is.
inside "sleep, TSC" --cpu max <<'END'
mkfifo /tmp/in
lguest run -m 96M -- sh -c 'clock() { cat /sys/devices/system/clocksource/clocksource0/current_clocksource; }
	echo "by $(clock)"; while :; do
		read line || exit 7
		sleep 3; echo "by $(clock), date $(date +%s)"
	done' </tmp/in >/tmp/out 2>&1 &
exec 3>/tmp/in
wait_for 60 grep -q by /tmp/out
is "AT-66 a guest has the host's clock" "by $(cat /sys/devices/system/clocksource/clocksource0/current_clocksource)" \
	"$(cat /tmp/out | tr -d '\r')"
chipset=/sys/bus/pci/devices/0000:00:1f.0/config	# as above
dd if=$chipset of=/tmp/chipset bs=4 skip=16 count=2 2>/dev/null
echo +3 >/sys/class/rtc/rtc0/wakealarm
echo mem >/sys/power/state
dd if=/tmp/chipset of=$chipset bs=4 seek=16 conv=notrunc 2>/dev/null
before=$(date +%s)
echo >&3
wait_for 60 grep -q date /tmp/out
# A real TSC begins anew at 0; the lab's goes on, but who knows?
has "AT-66 ... and after a sleep asks the Host" "by lguest, date" /tmp/out
between "AT-66 ... and has its date" $((before + 2)) $(($(date +%s) + 1)) \
	"$(sed -n 's/.*date //p' /tmp/out | tr -d '\r')"
exec 3>&-
wait
END
finish
