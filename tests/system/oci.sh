#!/bin/bash
# `lguest oci` as an OCI runtime: its commands, one by one, as podman's conmon gives them.
# tests/long/podman.sh has podman do it.
. "$(dirname "$0")/lib/lab.sh"

program "$(dirname "$0")/reaper.c" "$work/reaper" || { not_ok "reaper.c compiles"; finish; exit; }

script() {
	cat <<'END'
exec </dev/null
# bundle TERMINAL WORDS: its root folder is there already.
root=/tmp/b/rootfs
mkdir -p $root/bin $root/proc $root/etc $root/root /tmp/volume
cp /bin/busybox $root/bin/
for name in sh uname id cat hostname mount sleep env stat echo tty stty kill ls grep; do ln -sf busybox $root/bin/$name; done
echo 'root:x:0:0::/root:/bin/sh' >$root/etc/passwd
echo from the host >/tmp/volume/file
echo 192.0.2.1 somewhere >/tmp/hosts
bundle() {
	cat >/tmp/b/config.json <<-CONFIG
	{"ociVersion": "1.0.2", "hostname": "inside", "annotations": {"a": "b"},
	 "root": {"path": "rootfs", "readonly": false},
	 "process": {"terminal": $1, "cwd": "/etc", "args": ["sh", "-c", "$2"],
		"user": {"uid": 5, "gid": 6, "additionalGids": [7, 8]},
		"env": ["PATH=/bin", "A=b c", "TERM=dumb"]},
	 "mounts": [{"destination": "/proc", "type": "proc", "source": "proc"},
		{"destination": "/dev", "type": "tmpfs", "source": "tmpfs"},
		{"destination": "/dev/pts", "type": "devpts", "source": "devpts"},
		{"destination": "/tmp", "type": "tmpfs", "source": "tmpfs"},
		{"destination": "/sys/fs/cgroup", "type": "cgroup", "source": "cgroup"},
		{"destination": "/data", "type": "bind", "source": "/tmp/volume", "options": ["rbind", "ro"]},
		{"destination": "/etc/hosts", "type": "bind", "source": "/tmp/hosts", "options": ["bind"]}],
	 "linux": {"resources": {"memory": {"limit": 134217728},
		"cpu": {"quota": 210000, "period": 100000, "cpus": "0-7"}}, "namespaces": [{"type": "network"}]}}
	CONFIG
}
oci() { lguest oci --root /tmp/state --cgroup-manager disabled "$@"; }	# as a rootless podman does
state() { oci state $1 2>/tmp/err | sed -n 's/.*"status": "\(.*\)".*/\1/p'; }
create() { rm -f /tmp/out; /lab/reaper /tmp/pid - lguest oci --root /tmp/state create --bundle /tmp/b --pid-file /tmp/pid $1 >/tmp/out 2>/tmp/err & reaper=$!; wait_for 60 grep -q 'reaper: ' /tmp/out; }

bundle false 'uname -r; echo \"$(id)|$(pwd)|$A|$(hostname)\"; cat /data/file /etc/hosts; echo x >/data/no || echo read-only; echo kept >/root/kept; grep -hE \"MemTotal|^processor\" /proc/meminfo /proc/cpuinfo; ls /tmp | grep -c .; exit 3'
chmod 777 $root/root
create one
is "L14 oci create" "created $(cat /tmp/pid)" "$(state one) $(oci state one | sed -n 's/.*"pid": \([0-9]*\).*/\1/p')"
is "L14 ... its process waits" "reaper: created" "$(cat /tmp/out)"
oci create --bundle /tmp/b one 2>/tmp/err2
is "L14 ... an ID is there once" "1 lguest: oci: the container one: there is one already" "$? $(cat /tmp/err2)"
oci delete one 2>/tmp/err2
is "L14 ... it is not deleted so" "1 lguest: oci: cannot delete the container one: it is created" "$? $(cat /tmp/err2)"
oci start one
is "L14 oci start" 0 $?
wait $reaper
is "L14 the status is that of the process" "reaper: status 3" "$(tail -n 1 /tmp/out)"
check "L14 it runs in the guest's kernel" grep -qF "$(lguest run -- uname -r)" /tmp/out
has "L14 ... as the user and in the folder, with the variables and the name" '^uid=5 gid=6.*groups=.*7.*8.*\|/etc\|b c\|inside$' /tmp/out
has "L14 a volume" '^from the host$' /tmp/out
has "L14 ... that is read-only" '^read-only$' /tmp/out
has "L14 a file" 'somewhere' /tmp/out
between "L14 its memory is the limit (KiB)" 80000 131072 "$(sed -n 's/^MemTotal: *\([0-9]*\).*/\1/p' /tmp/out)"
is "L14 ... and its vCPUs are the limit" 3 "$(grep -c '^processor' /tmp/out)"
is "L14 what it writes is in the root folder" kept "$(cat $root/root/kept)"
is "L14 then it is stopped" stopped "$(state one)"
oci delete one
is "L14 oci delete" "0 " "$? $(state one)"
oci delete --force one
is "L14 ... with --force also when it is not there" 0 $?

bundle false 'trap \"echo asked; exit 5\" TERM; echo up; while :; do sleep 0.1; done'
create two; oci start two; wait_for 20 grep -q up /tmp/out
is "L14 state: running" running "$(state two)"
oci exec --user 9:9 --cwd /etc --env A=1 two sh -c 'id; echo $A; exit 4' >/tmp/out2
is "L14 oci exec" "4 uid=9 gid=9 1" "$? $(cat /tmp/out2 | xargs)"
echo '{"args": ["sh", "-c", "echo $B"], "env": ["B=json", "PATH=/bin"], "cwd": "/", "user": {"uid": 0, "gid": 0}}' >/tmp/process
is "L14 ... with a process, by a file" json "$(oci exec --process /tmp/process two)"
oci pause two && oci resume two
is "L14 oci pause and resume" 0 $?
oci kill two TERM
wait $reaper
is "L14 oci kill: the signal arrives" "asked reaper: status 5" "$(tail -n 2 /tmp/out | xargs)"
oci delete two
create three; oci start three; wait_for 20 grep -q up /tmp/out
oci kill three KILL
wait $reaper
is "L14 SIGKILL" "reaper: signal 9" "$(tail -n 1 /tmp/out)"
oci delete three
create four
oci delete --force four
wait $reaper
is "L14 oci delete --force ends it" "reaper: signal 9 " "$(tail -n 1 /tmp/out) $(state four)"

bundle true 'tty; echo ready; read -r a; echo \"<$a>\"; exec sh'
rm -f /tmp/out
/lab/reaper /tmp/pid /tmp/console lguest oci --root /tmp/state create --bundle /tmp/b --pid-file /tmp/pid --console-socket /tmp/console five >/tmp/out 2>/tmp/err & reaper=$!
wait_for 60 grep -q 'reaper: ' /tmp/out
oci start five
wait $reaper
has "L14 a terminal goes to the console socket" '^/dev/pts/' /tmp/out
has "L14 ... and is typed at" '<echo typed>' /tmp/out
is "L14 ... to its end" "reaper: status 6" "$(tail -n 1 /tmp/out)"
oci delete five

echo '{' >/tmp/b/config.json
oci --log /tmp/log --log-format json create --bundle /tmp/b six 2>/tmp/err
is "L14 a bundle that is none" 1 $?
has "L14 ... is said in the log" '^."level":"error","msg":"lguest: oci: ' /tmp/log
many=
for i in 1 2 3 4 5 6 7 8; do
	many="$many${many:+,}{\"destination\": \"/m$i\", \"type\": \"bind\", \"source\": \"/tmp\", \"options\": [\"bind\"]}"
done
echo "{\"ociVersion\": \"1.0.0\", \"root\": {\"path\": \"/tmp\"}, \"mounts\": [$many],
	\"process\": {\"args\": [\"true\"], \"cwd\": \"/\", \"user\": {\"uid\": 0, \"gid\": 0}}}" >/tmp/b/config.json
oci create --bundle /tmp/b seven 2>/tmp/err
is "L14 more folders than a guest has shares" "1 1" "$? $(grep -c 'the mount of /tmp: a guest has not so many' /tmp/err)"
oci frob x 2>/tmp/err
is "L14 a command that there is not" "2 lguest: oci: there is no command 'frob' in this runtime; \`lguest oci --help\` lists them" "$? $(cat /tmp/err)"
has "L14 its version" 'spec: 1' - <<-VERSION
	$(lguest oci --version)
	VERSION
is "L14 nothing is left of them" "" "$(ls -A /tmp/state)"
check "L14 nothing is left" no_guest_left
END
}
inside "one CPU" --with "$work/reaper" < <(script)
finish
