#!/bin/bash
# tests/here, which is for machines without a lab around it: here the lab's host is one.
. "$(dirname "$0")/lib/lab.sh"

tree=$work/tree
mkdir -p "$tree"/{tests,host,launcher,build/kernels/"$release"/boot}
cp "$top/tests/here" "$tree/tests/"
cp "$top/host/lg.ko" "$tree/host/"
cp "$top/launcher/lguest" "$tree/launcher/"
cp -r "$built/layers" "$built/cache" "$tree/build/"
cp "$vmlinuz" "$tree/build/kernels/$release/boot/"
mkdir -p "$tree/build/tests/micro"
cat >"$tree/build/tests/micro/run" <<'END'
#!/bin/sh
# In the place of the micro guests, which have tests of their own.
test -c /dev/lguest && echo "ok 1 - $*"
END
chmod +x "$tree/build/tests/micro/run"

inside "here" --no-module --with "$tree" --with "$(readlink -f "$(command -v bash)")" <<'END'
ln -s /lab/bash /bin/bash
here() { tree/tests/here "$@" >/tmp/out 2>/tmp/err; }
here
is "without --yes nothing is done" "2 no" "$? $([ -e tree/build/here ] || echo no)"
here --yes walk
is "an unknown step is bad usage" 2 $?
su alice -c '/lab/tree/tests/here --yes check' >/tmp/out 2>&1
is "it is for root" 2 $?

here --yes check guest micro
is "check, a guest, micro guests: status" "0 " "$? $(cat /tmp/err)"
has "... the guest ran" "^Linux guest $(plain "$(uname -r)") " /tmp/out
has "... the micro guests with the module loaded" '^ok 1 - privileged.c' /tmp/out
is "... the module is gone" no "$([ -d /sys/module/lg ] || echo no)"
has "... the rows are kept" '"id": "kernel-rt"' tree/build/here/check.json
is "... each step is on the disk before and after" \
	"check/check is done/guest/guest is done/micro/micro is done/" \
	"$(sed -n 's/^[0-9:]* step //p' tree/build/here/log | tr '\n' /)"
dmesg >/tmp/dmesg
has "... and in the kernel's log" 'lguest: here: step guest$' /tmp/dmesg

here --yes -o /tmp/reports selftest
is "the self-test: status" "0 " "$? $(cat /tmp/err)"
has "... its steps are shown" 'lg: selftest: .*stage 3' /tmp/out
is "... and the module is gone" no "$([ -d /sys/module/lg ] || echo no)"
here --yes -o /tmp/reports report
is "report: status" "0 " "$? $(cat /tmp/err)"
has "... with the self-test's steps" '^ *"stage 3' /tmp/reports/report.json
has "... with a guest" '"exit_syscall": [1-9]' /tmp/reports/report.json

rm tree/build/tests/micro/run
here --yes micro check
is "a step that fails ends it" "1 no" "$? $(grep -q 'step check' /tmp/out || echo no)"
is "... and the module is gone" no "$([ -d /sys/module/lg ] || echo no)"
mv tree/host/lg.ko /tmp/
here --yes guest
is "a module that does not load ends it" 1 $?
echo 1 >/proc/sys/kernel/modules_disabled
here --yes
is "a machine that check refuses has status 3" "3 no" "$? $(grep -q 'step guest' /tmp/out || echo no)"
END

# The workflow cannot be run here, but all that it does is in the words of packaging/ci.
workflow=$top/.github/workflows/lguest.yml
for step in $(grep -oE 'packaging/ci [a-z]+' "$workflow" | cut -d' ' -f2); do
	check "the workflow's step $step is one" grep -q "^step_$step()" "$top/packaging/ci"
done
is "the workflow has all of them" "$(sed -n 's/^step_\([a-z]*\)().*/\1/p' "$top/packaging/ci" | sort)" \
	"$(grep -oE '^ +- run: .*packaging/ci [a-z]+' "$workflow" | grep -oE '[a-z]+$' | sort)"
"$top/packaging/ci" walk 2>/dev/null
is "packaging/ci refuses other words" 2 $?

finish
