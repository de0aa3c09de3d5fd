#!/bin/bash
# What `lguest link` does to files that exist, and what it leaves when it is ended early or
# there is no room. None of it needs a lab.
. "$(dirname "$0")/lib/lab.sh"
lguest() { timeout 120 "$top/launcher/lguest" "$@"; }
# Not into the cache: root may have linked it already.
export LGUEST_LAYERS=$built/layers TMPDIR=$work/tmp
mkdir "$TMPDIR" "$work/out" "$work/bin"
cd "$work/out" || exit 1
kind() { stat -c '%F' "$1"; }
has() { check "$1" grep -qE "$2" ../err; }

# ---- what is no file keeps its name
mkfifo pipe
ln -s pipe to-pipe
ln -s nowhere dangling
mkdir folder
things="pipe to-pipe dangling folder"
! mknod null c 1 3 2>/dev/null || things="$things null"
for thing in $things; do
	before=$(kind $thing)
	lguest link -o $thing "$vmlinuz" 2>../err
	is "K1 link -o onto a ${before%% (*} is refused" "1 $before" "$? $(kind $thing)"
	has "K1 ... with a sentence" "^lguest: writing $thing: it is .*; give another name"
	lguest link --debug-file $thing "$vmlinuz" 2>../err
	is "K1 nor does --debug-file take its name" "1 $before" "$? $(kind $thing)"
done
echo old >file
ln -s file to-file
lguest link -o to-file "$vmlinuz" >../out.name 2>../err
is "K1 a link to a file stays one" "0 symbolic link" "$? $(kind to-file)"
is "K1 ... and the file is the linked kernel" ELF "$(head -c 4 file | tail -c 3)"

# ---- no room: the old file stays, nothing else does
before=$(ls)
echo old >file
(ulimit -f 1000; lguest link -o file "$vmlinuz" >/dev/null 2>../err)
is "K1 a file that may not grow: a failure, and the old one stays" "1 old" "$? $(cat file)"
has "K1 ... with a sentence" '^lguest: writing file: File too large; '
(ulimit -f 1000; lguest link --debug-file file "$vmlinuz" >/dev/null 2>../err)
is "K1 the same for --debug-file" "1 old" "$? $(cat file)"
(ulimit -f 1; lguest link -o none "$vmlinuz" >/dev/null 2>../err)
is "K1 no room for ld either: a failure" 1 $?
is "K1 ... nothing is left of all these" "$before" "$(ls; ls "$TMPDIR")"

# ---- a signal, while ld runs, and while the file is written
ld=$(command -v ld)
cat >../bin/ld <<'LD'
#!/bin/bash
kill -"$END" $PPID
exec "$REAL_LD" "$@"
LD
chmod +x ../bin/ld
for signal in INT TERM HUP QUIT; do
	REAL_LD=$ld END=$signal PATH=$work/bin:$PATH "$top/launcher/lguest" link -v -o new "$vmlinuz" >/dev/null 2>../err
	status=$?
	is "K1 SIG$signal ends it as a signal does" $((128 + $(kill -l $signal))) $status
	is "K1 ... nothing is left" "" "$(ls "$TMPDIR"; ls -d new* 2>/dev/null)"
done 2>../shell
(	trap '' HUP	# as nohup does
	REAL_LD=$ld END=HUP PATH=$work/bin:$PATH "$top/launcher/lguest" link -o new "$vmlinuz" >/dev/null 2>../err
)
is "K1 a signal that is ignored ends nothing" 0 $?
rm -f new
for signal in INT TERM; do
	"$top/launcher/lguest" link -o new "$vmlinuz" >/dev/null 2>../err &
	pid=$!
	until ls new.* >/dev/null 2>&1 || ! kill -0 $pid 2>/dev/null; do :; done
	kill -$signal $pid
	wait $pid
	is "K1 SIG$signal while it writes leaves no half of a file" "" \
		"$(ls "$TMPDIR"; ls -d new.* 2>/dev/null)"
	rm -f new
done 2>../shell

finish
