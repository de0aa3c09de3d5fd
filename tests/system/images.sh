#!/bin/bash
# What the launcher is given may be damaged, unsuitable or missing: each case
# gets its sentence and its status, and nothing crashes.
. "$(dirname "$0")/lib/lab.sh"

images=$work/images
mkdir -p "$images/layers/$release" "$images/none" "$images/root"
size=$(stat -c %s "$vmlinuz")
head -c $((size / 2)) "$vmlinuz" >"$images/truncated"
head -c 700 "$vmlinuz" >"$images/header-only"
cp "$vmlinuz" "$images/corrupt"
head -c 4096 /dev/zero | tr '\0' '\252' |
	dd of="$images/corrupt" bs=1 seek=$((size / 2)) conv=notrunc 2>"$work/dd"
echo "This is no kernel. It is a text, and not even a long one." >"$images/text"
: >"$images/empty"
head -c 3000000 /dev/zero >"$images/zeros"
linked=$(ls -t "$built"/cache/lguest/"$release"-*.elf | head -n 1)
head -c 1000000 "$linked" >"$images/linked-truncated"
head -c 300 "$linked" >"$images/linked-header"

# A layer for another release, and none at all.
cp "$layer/layer.lds" "$images/layers/$release/"
printf '6.1.0-1-other-amd64\0' >"$work/other"
objcopy --update-section .lguest.release="$work/other" "$layer/layer.o" \
	"$images/layers/$release/layer.o"

# initrds: damaged, odd sizes (K3), one with an init that ends.
printf '#!/bin/sh\nexec /bin/busybox true\n' >"$images/root/init"
initrd "$images/root" "$images/init-ends"
printf '#!/bin/sh\n/bin/busybox mount -t proc proc /proc\n/bin/busybox mount -t devtmpfs dev /dev
exec </dev/hvc0 >/dev/hvc0 2>&1\necho "the size is right"\n/bin/busybox poweroff -f\n' >"$images/root/init"
initrd "$images/root" "$images/good-raw"
raw=$(stat -c %s "$images/good-raw")
for more in 1 4095 4096; do	# a cpio may be followed by zeros
	cp "$images/good-raw" "$images/good-$more"
	truncate -s $(((raw + 4095) / 4096 * 4096 + more)) "$images/good-$more"
done
head -c $((raw / 2)) "$images/good-raw" >"$images/initrd-truncated"
rm -rf "$images/root"

inside "files" --with "$images" <<'END'
cd images
# fails NAME STATUS PATTERN ARGUMENT...: lguest says one sentence and ends.
fails() {
	local name=$1 status=$2 pattern=$3
	shift 3
	lguest "$@" >/tmp/out 2>/tmp/err </dev/null
	is "$name: status" "$status" $?
	has "$name: sentence" "$pattern" /tmp/err
}

for f in truncated header-only; do
	fails "K2 a kernel that is $f" 122 '^lguest: .*(cut short|damaged|install it again|no kernel inside)' run -k $f -- true
done
fails "K2 a corrupt kernel" 122 '^lguest: .*(damaged|corrupt|install it again|checksum)' run -k corrupt -- true
fails "K2 a text" 122 '^lguest: .*not a Linux kernel' run -k text -- true
fails "K2 an empty file" 122 '^lguest: ' run -k empty -- true
fails "K2 zeros" 122 '^lguest: .*not a Linux kernel' run -k zeros -- true
fails "K2 a folder" 122 '^lguest: .*not a regular file' run -k . -- true
fails "K2 a missing kernel" 122 '^lguest: .*No such file' run -k /boot/none -- true
# Any ELF file is a guest of its own kind, and this one does not get far.
fails "K2 B5 a program" 121 '^lguest: the guest was killed: ' run -k /bin/busybox -- true
fails "K2 a linked kernel that is cut short" 122 '^lguest: .*(damaged|cut short|too early)' run -k linked-truncated -- true
fails "K2 a linked kernel without its end" 122 '^lguest: ' run -k linked-header -- true
export LGUEST_LAYERS=$PWD/layers
fails "K2 a layer for another release" 122 '^lguest: .*is for Linux 6.1.0-1-other-amd64, but the kernel is' run -- true
export LGUEST_LAYERS=$PWD/none
rm -rf /usr/lib/lguest.away; mv /usr/lib/lguest /usr/lib/lguest.away
fails "K2 no layer" 122 '^lguest: .*there is no guest layer for Linux' run -- true
mv /usr/lib/lguest.away /usr/lib/lguest
unset LGUEST_LAYERS
# A kernel's sum is remembered, so that its file need not be read.
lguest link /boot/vmlinuz-* >/tmp/first
lguest link /boot/vmlinuz-* >/tmp/again
is "L1 a kernel linked again gives the same file" "$(cat /tmp/first)" "$(cat /tmp/again)"
memo=$(echo /var/cache/lguest/sha256-*)	# it leads nowhere, which ls would mind
is "L1 its sum and release are remembered" "$(sed 's/.*\/\(.*\)-\([0-9a-f]*\)-[0-9a-f]*\.elf$/\2-\1/' /tmp/first)" "$(readlink $memo)"
ln -sf "$(printf %064d 0)-6.1.0-none" $memo
lguest link /boot/vmlinuz-* >/tmp/again
is "L1 what is remembered may be wrong" "$(cat /tmp/first)" "$(cat /tmp/again)"
rm $memo; lguest link /boot/vmlinuz-* >/tmp/again
cp -p /boot/vmlinuz-* /tmp/kernel
cat corrupt >$(ls /boot/vmlinuz-*); touch -r /tmp/kernel /boot/vmlinuz-*
fails "L1 a kernel that changed, with its old date, is not the one remembered" 1 '^lguest: ' link /boot/vmlinuz-*
cat /tmp/kernel >$(ls /boot/vmlinuz-*)
mv /var/cache/lguest /var/cache/away
fails "K2 no ld to link with" 122 '^lguest: .*(binutils)' run -- true
fails "K2 link, without ld" 1 '^lguest: .*binutils' link /boot/vmlinuz-*
rm -rf /var/cache/lguest; mv /var/cache/away /var/cache/lguest
cp corrupt /boot/vmlinuz-99.9.9-new
lguest run -- true 2>/tmp/older
is "K1 the newest kernel cannot be a guest: an older one is" 0 $?
has "K1 ... but not without a word" '^lguest: booting /boot/vmlinuz-[67].*, and no newer kernel: .*99.9.9' /tmp/older
lguest check >/tmp/check
has "K1 ... nor does check keep it" '^ok  there is a newer one that cannot be a guest now: .*99.9.9' /tmp/check
rm /boot/vmlinuz-99.9.9-new
mv /boot /boot.away
fails "K1 no kernel at all" 122 '^lguest: no kernel to boot: ' run -- true
mv /boot.away /boot
fails "K2 link of a text" 1 '^lguest: .*not a Linux kernel' link text

fails "K3 a missing initrd" 122 '^lguest: cannot open the initrd' run -i none-such
fails "K3 a folder as initrd" 122 '^lguest: .*not a file' run -i .
truncate -s 500M big
fails "K3 an initrd that is too large" 122 '^lguest: the initrd .* does not fit .*-m' run -i big
fails "K3 ... with more memory, too" 122 '^lguest: the initrd .* does not fit .*-m' run -m 512M -i big
rm big

fails "K1 an unknown option" 2 "^lguest: run: there is no option --colour" run --colour
fails "K1 an unknown letter" 2 "^lguest: run: there is no option -z" run -z
fails "K1 no value" 2 "^lguest: run: --memory: its SIZE is missing" run -m
fails "K1 a flag with a value" 2 "^lguest: run: --verbose takes no value" run --verbose=yes
for m in abc 0 -5 12T 1.5G 99999999999999999999G; do
	fails "K1 -m $m" 2 "^lguest: run: --memory: '$m' is not a size" run -m $m
done
for m in 1M 15M 16383K 2000G; do
	fails "K1 -m $m" 2 "^lguest: run: --memory: a guest takes 16M to 1024G" run -m $m
done
fails "K1 -m 16M: the kernel does not fit" 122 '^lguest: cannot load the kernel .*needs more memory' run -m 16M -- true
for t in soon 0 -1 1e3 5.; do
	fails "K1 --time-limit $t" 2 "^lguest: run: --time-limit: '$t' is not a time" run --time-limit $t
done
fails "K1 a command without --" 2 "^lguest: run: what is 'uname'.*-- uname" run uname
fails "K1 a COMMAND and -i" 2 '^lguest: run: COMMAND needs the built-in initrd' run -i text -- true
fails "K1 an unknown command" 2 "^lguest: there is no command 'walk'" walk
fails "K1 check takes no argument" 2 '^lguest: check: ' check here
fails "K4 parameters of 4000 characters" 122 "^lguest: the kernel's command line has .* characters" \
	run -p "$(head -c 4000 /dev/zero | tr '\0' x)" -- true

for command in run check link help version; do
	lguest $command --help >/tmp/out 2>/tmp/err
	is "K1 $command --help: status" "0 " "$? $(cat /tmp/err)"
	has "K1 $command --help: text" '^(Usage: lguest|lguest )' /tmp/out
done
lguest run --help >/tmp/out
for o in kernel initrd memory params time-limit verbose; do
	has "K1 run --help lists --$o" "(-[a-z], | +)--$o" /tmp/out
done
for n in 0 1 2 117 118 119 120 121 122; do
	lguest help | grep -q "^  $n  *[a-z\`]" || bad="$bad $n"
done
is "K1 help lists every status" "" "${bad:-}"
lguest >/tmp/out 2>/tmp/err
is "K1 lguest alone is bad usage" 2 $?

lguest check >/tmp/out 2>&1
is "K1 check: this machine is ready" 0 $?
rm /dev/lguest
fails "K1 without its device" 122 '^lguest: cannot open /dev/lguest: No such file' run -- true
lguest check >/tmp/out 2>&1
is "K1 check: without its device it is not" 1 $?
has "K1 ... and says which line" '^no  /dev/lguest can be used' /tmp/out
check "K1 nothing ran, nothing is left" no_guest_left
dmesg >/tmp/dmesg
hasnt "K2 no launcher crashed" 'lguest\[.*(segfault|trap)' /tmp/dmesg
END

inside "guests" --with "$images" <<'END'
cd images
run() { lguest run -p quiet --time-limit 40 "$@" >/tmp/out 2>/tmp/err; }
for i in raw 1 4095 4096; do
	run -i good-$i
	is "K3 an initrd of odd size ($i)" "0 the size is right" "$? $(grep -o 'the size is right' /tmp/out)"
done
run -i text
is "K3 a text as initrd: the guest's panic has status 120" 120 $?
has "K3 ... and says what is wrong" "panicked: VFS: Unable to mount root fs" /tmp/err
run -i init-ends
is "I3 an init that ends: status 120" 120 $?
has "I3 ... and the panic's text" "panicked: Attempted to kill init" /tmp/err

# The longest command line: 2047 characters, with what lguest puts before it.
lguest run -- cat /proc/cmdline >/tmp/out
own=$(head -n 1 /tmp/out)
most=$((2047 - ${#own} - 1))
long="lguest.x=$(head -c $((most - 9)) /dev/zero | tr '\0' y)"
lguest run -p "$long" -- cat /proc/cmdline >/tmp/out 2>/tmp/err
is "K4 the longest command line arrives" "$own $long" "$(cat /tmp/out)"
lguest run -p "${long}z" -- cat /proc/cmdline >/tmp/out 2>/tmp/err
is "K4 one more character does not" 122 $?
truncate -s 1M disk-raw
lguest run -v -m 100M -d disk-raw,ro -p "lguest.a lguest.b" -p lguest.c -- cat /proc/cmdline >/tmp/out 2>/tmp/err
has "K4 -p may be given again" "^cryptomgr.* lguest.a lguest.b lguest.c$" /tmp/out
again=$(sed -n 's/^lguest: same again: \(.*\)COMMAND$/\1/p' /tmp/err)
is "K1 -v tells how to have the same again" "$(cat /tmp/out)" "$(eval "$again" cat /proc/cmdline 2>&1)"

truncate -s 500M good-raw
lguest run -m 1500M -i good-raw >/tmp/out 2>/tmp/err </dev/null
is "K3 an initrd of 500 MiB: its /init runs" 0 $?
has "K3 ... and the size is right" "the size is right" /tmp/out
rm good-raw

memory() { lguest run -m $1 -- awk '/^MemTotal/ { print int($2 / 1024) }' /proc/meminfo 2>/tmp/err; }
between "J8 -m 96M" 50 96 "$(memory 96M)"
# The stock kernel needs 96M on a bare PC.
between "J8 -m 72M" 25 72 "$(memory 72M)"
least=$(least_memory)
between "J8 -m ${least}M, where just the kernel fits" 20 $least "$(memory ${least}M)"
# With what its ciphers need to test themselves, too.
lguest run -m $((least + 2))M -p hugepages=6 -p cryptomgr.notests=0 -- true >/tmp/out 2>/tmp/err
is "J8 -m $((least + 2))M -p hugepages=6: the guest's kernel has too little, status 120" 120 $?
has "J8 ... and says so" "panicked: System is deadlocked on memory" /tmp/err
lguest run -m $((least - 1))M -- true >/tmp/out 2>/tmp/err
is "J8 -m $((least - 1))M: the launcher says that it is too little" 122 $?
has "J8 ... in a sentence" "^lguest: cannot load the kernel .*it needs more memory .*try -m" /tmp/err
between "J8 -m 5G, beyond 4 GiB" 4700 5120 "$(memory 5G)"
check "J8 nothing is left" no_guest_left
END

# The ELF file inside the vmlinuz, as kernels with symbols are.
from=$top/launcher/linker
gcc -I"$top/launcher" -I"$top/include" -Wall -Wextra -Werror -o "$work/unpack" \
	"$(dirname "$0")/unpack.c" "$from"/{bzimage,unpack,util}.c "$from/../distribution.c" -lz -llzma -lzstd -llz4 || exit 1
check "K2 there is a vmlinux in it" "$work/unpack" "$vmlinuz" "$work/vmlinux"
for file in "$vmlinuz" "$work/vmlinux"; do
	LGUEST_LAYERS=$built/layers "$top/launcher/lguest" link -o "$work/${file##*/}.elf" "$file"
done
check "K2 linked, it is the same guest" cmp "$work/${vmlinuz##*/}.elf" "$work/vmlinux.elf"
inside "vmlinux" --with-ld --with "$work/vmlinux" <<'END'
lguest run -k vmlinux -- uname -r >/tmp/out 2>/tmp/err
is "K2 a plain vmlinux is linked and boots" "$(uname -r)" "$(cat /tmp/out)"
END
finish
