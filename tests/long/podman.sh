#!/bin/bash
# Debian's podman with `lguest oci` as its runtime: images of our own making, as root and
# as an ordinary user (PODMAN_AS=root or alice: one of both). Takes a quarter of an hour, mostly
# of copying in an emulated machine.
. "$(dirname "$0")/../system/lib/lab.sh"
export LAB_SLOW=${LAB_SLOW:-8}	# a container takes half a minute there

# podman, conmon and what they need, unpacked; libraries that this machine has come along.
pod=$work/pod
mkdir -p "$pod/bin" "$pod/lib" "$work/root"
for deb in $("$top/lab/fetch-package" podman conmon libsubid4 libgpgme11 libassuan0 \
		libdevmapper1.02.1 uidmap); do
	dpkg-deb -x "$deb" "$work/root"
done
cp "$work"/root/usr/bin/{podman,conmon,newuidmap,newgidmap} "$pod/bin/"
libraries=$(find "$work/root" -name '*.so.*' -printf '%h\n' | sort -u | paste -sd:)
for program in "$pod"/bin/*; do
	LD_LIBRARY_PATH=$libraries ldd "$program" | awk '$3 ~ "^/" { print $3 }'
done | sort -u | xargs cp -Lt "$pod/lib/"
cp "$top/packaging/lguest-oci" "$pod/bin/"
check "L14 podman is here, with all that it needs" \
	sh -c '! LD_LIBRARY_PATH=$1/lib ldd $1/bin/podman $1/bin/conmon | grep "not found"' - "$pod"

cat >"$work/with-podman" <<'END'
. /lab/inside.sh
export PATH=/lab/pod/bin:$PATH LD_LIBRARY_PATH=/lab/pod/lib HOME=/root
export XDG_RUNTIME_DIR=
mkdir -p /etc/containers /sys/fs/cgroup /var/tmp /root
mount -t cgroup2 cgroup /sys/fs/cgroup 2>/dev/null
ln -sf $(command -v lguest) /lab/pod/bin/lguest
echo '{"default": [{"type": "insecureAcceptAnything"}]}' >/etc/containers/policy.json
cat >/etc/containers/containers.conf <<'CONF'
[engine]
runtime = "lguest"
runtime_supports_nocgroup = ["lguest"]
cgroup_manager = "cgroupfs"
events_logger = "file"
conmon_path = ["/lab/pod/bin/conmon"]
[engine.runtimes]
lguest = ["/lab/pod/bin/lguest-oci"]
[containers]
netns = "none"
log_driver = "k8s-file"
seccomp_profile = "unconfined"
CONF
printf '[storage]\ndriver = "vfs"\ngraphroot = "/tmp/graph"\nrunroot = "/run/graph"\n' >/etc/containers/storage.conf
# podman's own helpers for an ordinary user have no LD_LIBRARY_PATH, as they are root's.
cp -n /lab/pod/lib/* /usr/lib/
mount --make-rshared /
mv /lab/pod/bin/newuidmap /lab/pod/bin/newgidmap /usr/bin/
chmod 4755 /usr/bin/newuidmap /usr/bin/newgidmap
for file in /etc/subuid /etc/subgid; do echo alice:100000:65536 >$file; done
mkdir -p -m 711 /run/user
mkdir -p -m 700 /run/user/1000
chown -R alice:alice /run/user/1000 /home/alice
chmod 1777 /tmp /var/tmp
image() {	# NAME: of busybox, with a file that says so
	mkdir -p /tmp/$1/bin /tmp/$1/etc /tmp/$1/root /tmp/$1/tmp
	cp /bin/busybox /tmp/$1/bin/
	for name in sh uname id cat echo ls sleep env tty grep; do ln -sf busybox /tmp/$1/bin/$name; done
	echo 'root:x:0:0::/root:/bin/sh
user:x:1000:1000::/:/bin/sh' >/tmp/$1/etc/passwd
	echo "image $1" >/tmp/$1/etc/name
	(cd /tmp/$1 && tar -c . | podman import --change 'CMD ["/bin/cat", "/etc/name"]' - $1) >/dev/null 2>&1
}
as_root() {
for name in one two three; do image $name; done
is "L14 podman: three images" "localhost/one:latest localhost/three:latest localhost/two:latest" \
	"$(podman images --format '{{.Repository}}:{{.Tag}}' 2>/tmp/err | sort | xargs)"
show /tmp/err
for name in one two three; do
	is "L14 podman run: $name" "image $name 0" "$(echo $(podman run --rm localhost/$name 2>/tmp/err; echo $?))"
	show /tmp/err
done
is "L14 ... with the guest's kernel" "$(lguest run -- uname -a | sed 's/guest/x/')" \
	"$(podman run --rm --hostname x localhost/one uname -a 2>/tmp/err)"
show /tmp/err
podman run --rm localhost/one sh -c 'exit 7' 2>/tmp/err
is "L14 ... whose status" 7 $?
is "L14 ... and input" HELLO "$(echo HELLO | podman run --rm -i localhost/one cat 2>/tmp/err)"
is "L14 ... a user" 1000 "$(podman run --rm --user user localhost/one id -u 2>/tmp/err)"
mkdir -p /tmp/volume; echo volume >/tmp/volume/file
is "L14 ... a volume" volume "$(podman run --rm -v /tmp/volume:/data:ro localhost/one cat /data/file 2>/tmp/err)"
podman run -d --name long localhost/two sh -c 'trap "exit 3" TERM; while :; do sleep 0.1; done' >/tmp/out 2>&1
is "L14 ... one in the background" running "$(podman inspect -f '{{.State.Status}}' long 2>&1)"
is "L14 podman exec" "image two 0" "$(echo $(podman exec long cat /etc/name 2>/tmp/err; echo $?))"
show /tmp/err
podman stop long >/dev/null 2>/tmp/err
is "L14 podman stop" "exited 3" "$(podman inspect -f '{{.State.Status}} {{.State.ExitCode}}' long 2>&1)"
podman rm long >/dev/null 2>&1
podman run -d --name deaf localhost/three sleep 1000 >/dev/null 2>&1
podman kill deaf >/dev/null 2>/tmp/err
is "L14 podman kill" "exited 137" "$(wait_for 10 sh -c 'podman inspect -f "{{.State.Status}}" deaf | grep exited'; podman inspect -f '{{.State.Status}} {{.State.ExitCode}}' deaf 2>&1)"
podman rm -f deaf >/dev/null 2>&1
check "L14 nothing is left" no_guest_left
}

# An ordinary user's containers, in a user namespace of podman's: root there is alice.
cat >/tmp/rootless <<'EOF'
cd
podman import --change 'CMD ["/bin/cat", "/etc/name"]' /tmp/one.tar one >/dev/null 2>/tmp/alice/import
mkdir volume
chmod 777 volume
say() { echo "$1:" $(eval "$2" 2>/tmp/alice/$1; echo $?); }
say run 'podman run --rm localhost/one'
say kernel 'podman run --rm --hostname x localhost/one uname -v'
say status 'podman run --rm localhost/one sh -c "exit 7"'
say made 'podman run --rm -v $PWD/volume:/data localhost/one sh -c "id -u; echo x >/data/by-root"'
say user 'podman run --rm --user user -v $PWD/volume:/data localhost/one sh -c "id -u; echo x >/data/by-user"'
say denied 'podman run --rm -v /etc:/data localhost/one sh -c "cat /data/shadow || echo x >/data/made; echo \$?"'
podman run -d --name long localhost/one sh -c 'trap "exit 3" TERM; while :; do sleep 0.1; done' >/dev/null 2>&1
say exec 'podman exec long cat /etc/name'
podman stop long >/dev/null 2>&1
say stopped 'podman inspect -f "{{.State.Status}} {{.State.ExitCode}}" long'
podman rm long >/dev/null 2>&1
EOF
as_alice() {
	[ -e /tmp/one/bin ] || image one
	tar -C /tmp/one -cf /tmp/one.tar .
	mkdir -m 777 /tmp/alice
	echo secret >/etc/shadow; chmod 600 /etc/shadow
	mkdir -p /home/alice/.config/containers
	# Nobody has given alice a part of the tree of cgroups, as systemd would.
	printf '[containers]\ncgroups = "disabled"\n' >/home/alice/.config/containers/containers.conf
	chown -R alice:alice /home/alice
	su alice -c "HOME=/home/alice PATH=$PATH LD_LIBRARY_PATH=$LD_LIBRARY_PATH \
		XDG_RUNTIME_DIR=/run/user/1000 sh /tmp/rootless" >/tmp/alice.out 2>&1 </dev/null
	answer() { sed -n "s/^$1: //p" /tmp/alice.out; }
	is "L14 rootless podman run" "image one 0" "$(answer run)"
	is "L14 ... with the guest's kernel" "$(lguest run -- uname -v) 0" "$(answer kernel)"
	is "L14 ... whose status" 7 "$(answer status)"
	is "L14 ... root in it is alice" "0 0 1000" "$(answer made) $(stat -c %u /home/alice/volume/by-root)"
	is "L14 ... a user in it is one of alice's" "1000 0 100999" \
		"$(answer user) $(stat -c %u /home/alice/volume/by-user)"
	is "L14 ... who may read and write no more than alice" "no" "$([ -e /etc/made ] ||
		answer denied | grep -q secret || echo no)"
	is "L14 ... podman exec" "image one 0" "$(answer exec)"
	is "L14 ... podman stop" "exited 3 0" "$(answer stopped)"
	for file in /tmp/alice.out /tmp/alice/*; do
		[ ! -s $file ] || echo "$file:"; show $file
	done
	check "L14 nothing is left of alice's" no_guest_left
}
case $PODMAN_AS in
root|alice) as_$PODMAN_AS ;;
*) as_root; as_alice ;;
esac
END
printf 'export PODMAN_AS=%s\nin_real_root /lab/with-podman\n' "${PODMAN_AS:-}" >"$work/begin"
inside "podman" --memory 3G --with "$pod" --with "$work/with-podman" --with "$(command -v tar)" <"$work/begin"
finish
