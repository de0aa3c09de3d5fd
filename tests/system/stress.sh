#!/bin/bash
# A guest's file system under stress: four workers write, rename, link, append to, cut
# short and remove files, and what remains has the right sums, in the guest after its cache
# was dropped, and in the image after its end. K7.
#
#	STRESS_ROUNDS=n	so many of each (30)
. "$(dirname "$0")/lib/lab.sh"

truncate -s 256M "$work/image"
mke2fs -q -t ext4 "$work/image"
mkdir "$work/in"
cat >"$work/in/stress" <<'END'
rounds=$1
mount -t ext4 /dev/vda /mnt
worker() {
	local n=0 i j
	mkdir /mnt/$1 && cd /mnt/$1 || exit
	while [ $n -lt $rounds ]; do
		n=$((n + 1)) i=$((n % 31)) j=$((n * 7 % 31))
		head -c $((n * 7919 % 150000 + 1)) /dev/urandom >new
		md5sum <new >sum
		mv new file$i && mv sum sum$i
		case $((n % 6)) in
		0) rm -f file$j sum$j ;;
		1) [ ! -e file$j ] || [ $i = $j ] || { cat file$i >>file$j; md5sum <file$j >sum$j; } ;;
		2) ln -f file$i link$j && rm file$i && mv sum$i sum.link$j ;;
		3) [ ! -e file$j ] || { dd if=/dev/null of=file$j bs=1 seek=$((n % 1000)) 2>/dev/null; md5sum <file$j >sum$j; } ;;
		4) mkdir -p d$j/e && cp file$i d$j/e/file && cp sum$i d$j/e/sum ;;
		5) rm -rf d$j; sync file$i ;;
		esac
	done
	echo "worker $1: $n rounds"
}
for w in 1 2 3 4; do worker $w & done
wait
sync
echo 3 >/proc/sys/vm/drop_caches
right=0 wrong=0
look() {	# FILE SUM
	if [ "$(md5sum <$1)" = "$(cat $2)" ]; then right=$((right + 1)); else wrong=$((wrong + 1)); fi
}
cd /mnt
for w in 1 2 3 4; do
	for f in $w/file*; do look $f $w/sum${f#*/file}; done
	for f in $w/link*; do [ ! -e $f ] || look $f $w/sum.${f#*/}; done
	for f in $w/d*/e/file; do [ ! -e $f ] || look $f ${f%file}sum; done
done
echo "$right right, $wrong wrong"
cd /
umount /mnt
dmesg | grep -E 'EXT4-fs.*(error|warning)|I/O error|BUG:|WARNING:' || true
END
echo "rounds=${STRESS_ROUNDS:-30}" >"$work/in/rounds"

inside "ext4" --timeout $((300 + ${STRESS_ROUNDS:-30})) --memory 1G --with "$work/in" --disk "$work/image" <<'END'
. in/rounds
lguest run -m 160M -d /dev/nvme0n1 --share in,ro -- sh /mnt/share/stress $rounds >/tmp/out 2>/tmp/err
is "K7 a file system's stress ends well" 0 $?
show /tmp/err
cat /tmp/out
is "K7 ... with four workers" 4 "$(grep -c '^worker' /tmp/out)"
is "K7 ... and rounds of theirs" $((4 * rounds)) "$(awk '/^worker/ { n += $3 } END { print n }' /tmp/out)"
has "K7 each file has its sum" '^[1-9][0-9]+ right, 0 wrong' /tmp/out
hasnt "K7 the guest's log has no complaint" 'EXT4-fs|I/O error|BUG:|WARNING:' /tmp/out
END

check "K7 the image's file system is whole" e2fsck -f -n "$work/image"
mkdir "$work/files"
debugfs -R "rdump / $work/files" "$work/image" >/dev/null 2>&1
right=0 wrong=0
for sum in "$work"/files/[1-4]/sum[0-9]*; do
	file=${sum%/*}/file${sum##*/sum}
	if [ "$(md5sum <"$file")" = "$(cat "$sum")" ]; then right=$((right + 1)); else wrong=$((wrong + 1)); fi
done
is "K7 ... and has what the guest saw" "0 wrong" "$wrong wrong"
check "K7 ... of many files" test $right -ge 40
finish
