#!/bin/bash
# Debian's podman with `lguest oci` as its runtime: three images of our own making, as root
# only. Takes a quarter of an hour, mostly of copying in an emulated machine.
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
image() {	# NAME: of busybox, with a file that says so
	mkdir -p /tmp/$1/bin /tmp/$1/etc /tmp/$1/root /tmp/$1/tmp
	cp /bin/busybox /tmp/$1/bin/
	for name in sh uname id cat echo ls sleep env tty grep; do ln -sf busybox /tmp/$1/bin/$name; done
	echo 'root:x:0:0::/root:/bin/sh
user:x:1000:1000::/:/bin/sh' >/tmp/$1/etc/passwd
	echo "image $1" >/tmp/$1/etc/name
	(cd /tmp/$1 && tar -c . | podman import --change 'CMD ["/bin/cat", "/etc/name"]' - $1) >/dev/null 2>&1
}
for name in one two three; do image $name; done
is "L14 podman: three images" "localhost/one:latest localhost/three:latest localhost/two:latest" \
	"$(podman images --format '{{.Repository}}:{{.Tag}}' 2>/tmp/err | sort | xargs)"
show /tmp/err
for name in one two three; do
	is "L14 podman run: $name" "image $name 0" "$(podman run --rm localhost/$name 2>/tmp/err) $?"
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
is "L14 podman exec" "image two 0" "$(podman exec long cat /etc/name 2>/tmp/err) $?"
show /tmp/err
podman stop long >/dev/null 2>/tmp/err
is "L14 podman stop" "exited 3" "$(podman inspect -f '{{.State.Status}} {{.State.ExitCode}}' long 2>&1)"
podman rm long >/dev/null 2>&1
podman run -d --name deaf localhost/three sleep 1000 >/dev/null 2>&1
podman kill deaf >/dev/null 2>/tmp/err
is "L14 podman kill" "exited 137" "$(wait_for 10 sh -c 'podman inspect -f "{{.State.Status}}" deaf | grep exited'; podman inspect -f '{{.State.Status}} {{.State.ExitCode}}' deaf 2>&1)"
podman rm -f deaf >/dev/null 2>&1
check "L14 nothing is left" no_guest_left
END
printf 'in_real_root /lab/with-podman\n' >"$work/begin"
inside "podman" --memory 3G --with "$pod" --with "$work/with-podman" --with "$(command -v tar)" <"$work/begin"
finish
