# tests/system/lib/guest.sh: sourced, after lab.sh, by the scripts that have a kernel
# other than the lab's as a guest.

# Programs that run in the guest: two, and what uses its devices.
guest_programs() {
	local name
	mkdir "$work/in"
	for name in patched workload; do
		program "$lib/../$name.c" "$work/in/$name" || not_ok "$name.c compiles"
	done
	# Restarts once, and ends with a panic.
	cat >"$work/in/devices" <<'END'
pattern() { dd if=/dev/vda bs=1M skip=1 count=8 iflag=direct 2>/dev/null | md5sum; }
if [ "$(head -c 6 /dev/vda)" = second ]; then
	echo "after: $(pattern)"
	dmesg
	echo c >/proc/sysrq-trigger
fi
ip link set eth0 up
ip addr add 10.9.9.2/24 dev eth0
echo "down: $(wget -q -O - http://10.9.9.1/big | md5sum)"
dd if=/dev/urandom of=/dev/vda bs=1M seek=1 count=8 conv=fsync,notrunc 2>/dev/null
echo "before: $(pattern)"
echo second | dd of=/dev/vda conv=fsync,notrunc 2>/dev/null
reboot -f
sleep 60
END
}

# guest_layer VERSION: a release, or what lab/fetch-kernel knows it by.
guest_layer() {
	local kernel
	kernel=$("$top/lab/fetch-kernel" "$1")
	release=$(basename "$kernel")
	another_guest "$release" "$kernel/boot/vmlinuz-$release"
}

# guest_kernel VERSION [LAB-OPTION...]: its layer, and all that a guest is asked to do.
guest_kernel() {
	guest_layer "$1"
	guest_programs
	inside "$release" --guests "$guests" --memory 3G --modprobe tun --with "$work/in" "${@:2}" < <(
		echo "release=$release"
		cat <<'END'
trouble='BUG|WARNING|Call Trace|Oops|Kernel panic|rcu.*stall|soft lockup|general protection|unchecked MSR|Invalid ELF'
lguest run -v -k /boot/vmlinuz-$release -- sh -c 'uname -r; dmesg; exit 7' >/tmp/out 2>/tmp/err
is "I3 the status of a COMMAND is the launcher's" 7 $?
is "L13 it is this kernel" "$release" "$(head -n 1 /tmp/out)"
has "J1 the log names lguest" 'Booting paravirtualized kernel on lguest' /tmp/out
hasnt "J4 no BUG, WARNING or call trace in the guest's log" "$trouble" /tmp/out
hasnt "J4 none of Xen's code woke" '[^a-z][Xx]en[^a-z]' /tmp/out
hasnt "J13 nor the loader of microcode" 'microcode: ' /tmp/out
hasnt "J8 the kernel may use large pages for itself" 'Cannot satisfy .* huge-page' /tmp/out
has "F11 no page is writable and executable" 'Checked W.X mappings: passed' /tmp/out
has "J15 power off is said" 'the guest powered off' /tmp/err
calls=$(awk '$1 ~ /^hypercall_/ { n += $2 } END { print n }' /tmp/err)
between "D11 system calls of guest programs do not visit the Host" -1000000 100 \
	$(($(awk '$1 == "exit_syscall" { print $2 }' /tmp/err) - calls))
between "D11 ... though there are many" 500 1000000 "$(awk '$1 == "direct_syscalls" { print $2 }' /tmp/err)"

cp "$(lguest link /boot/vmlinuz-$release)" in/kernel.elf
lguest run -k /boot/vmlinuz-$release --share /lab/in,ro -- sh -c 'cd /mnt/share
	./patched kernel.elf
	echo "=== workload"
	mount -t tmpfs tmp /tmp
	./workload' >/tmp/out 2>/tmp/err
has "J7 no place that calls a paravirtual operation has a privileged instruction" \
	'^kernel [1-9][0-9]{3} sites, .* 0 privileged$' /tmp/out
grep sites /tmp/out
in/workload >/tmp/native 2>&1
sed '1,/^=== workload/d' /tmp/out >/tmp/mine
check "J4 C10 guest and host print the same" diff -u /tmp/native /tmp/mine

truncate -s 16M /tmp/a.img
mkdir /tmp/www
head -c 8388608 /dev/urandom >/tmp/www/big
httpd -h /tmp/www -p 80
lguest run -k /boot/vmlinuz-$release -m 128M -d /tmp/a.img -n tap=tap0 -- sh -c "$(cat in/devices)" >/tmp/out 2>/tmp/err &
pid=$!
wait_for 60 test -e /sys/class/net/tap0
ip addr add 10.9.9.1/24 dev tap0
ip link set tap0 up
wait $pid
is "I3 a panic has its own status" 120 $?
has "I3 ... and the panic's text" 'kernel panicked: sysrq triggered crash' /tmp/err
before=$(sed -n 's/^before: //p' /tmp/out)
check "K7 8 MiB are on a disk" test -n "$before"
is "K7 K12 ... and after a restart" "$before" "$(sed -n 's/^after: //p' /tmp/out)"
is "K6 8 MiB by a network card" "$(md5sum </tmp/www/big)" "$(sed -n 's/^down: //p' /tmp/out)"
hasnt "J4 nothing of it in the guest's log" "$trouble" /tmp/out
check "I3 nothing is left" no_guest_left
END
	)
}

# guest_on CPU [LAB-OPTION...]: the kernel that has its layer, on this model of QEMU's. By its model Linux
# knows which remedies a CPU needs, and what else is in the machine.
guest_on() {
	program "$lib/../trap.c" "$work/trap" || not_ok "trap.c compiles"
	inside "$release on $1" --cpu "$1" --guests "$guests" --with "$work/trap" "${@:2}" < <(
		echo "release=$release"
		cat <<'END'
flaws=/sys/devices/system/cpu/vulnerabilities
lguest run -k /boot/vmlinuz-$release -- sh -c "dmesg; cd $flaws && grep . *" >/tmp/all 2>/tmp/err
is "J13 it boots" 0 $?
show /tmp/err
# Not a WARNING of Linux's about itself.
grep -v 'WARNING: See https://kernel.org/doc/' /tmp/all >/tmp/out
hasnt "J4 no BUG, WARNING or call trace" 'BUG|WARNING|Call Trace|unchecked MSR' /tmp/out
hasnt "J13 nothing of the microcode" 'microcode: ' /tmp/out
has "J13 remedies are chosen" '^spectre_v2:Mitigation: Retpolines' /tmp/out
hasnt "J13 ... and none that writes an MSR" 'Mitigation: (.* )?IB(RS|PB)|; IBPB: |STIBP: [^d]' /tmp/out
grep -E '^[a-z0-9_]+:(Mitigation|Vulnerable)' /tmp/out
split_lock ./trap -k /boot/vmlinuz-$release
END
	)
}
