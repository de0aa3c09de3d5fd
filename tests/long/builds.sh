#!/bin/bash
# A Debian with four vCPUs, on two CPUs: it boots under systemd, builds a program of Debian's
# with `make -j4`, has it pass its own tests, and powers off; ten times in a row. L1, L2.
#
#	BUILDS=n	so many times (10)
. "$(dirname "$0")/../system/lib/lab.sh"
lab=$(dirname "$LAB")
place=$built/builds
program=bzip2 suite=bookworm
mkdir -p "$place"

# fetch_source FOLDER: as Debian has it, before its patches.
fetch_source() {
	local folder=$1
	rm -rf "$folder"
	mkdir -p "$folder/lists/partial"
	"$lab/apt" "$suite" bash -c '
		cd "$1" && sed "s/^deb /deb-src /" "$(dirname "$APT_CONFIG")/sources.list" >list || exit
		where=(-o Dir::Etc::sourcelist="$1/list" -o Dir::State::lists="$1/lists")
		apt-get -q "${where[@]}" update && apt-get -q "${where[@]}" source --download-only "$2"
		' - "$folder" "$program"
}
image=$place/test.img
recipe=$(cat "$top/images/debian" "$lib/builds-image" | cksum | tr ' ' -)-$program
if [ "$(cat "$image.recipe" 2>/dev/null)" != "$recipe" ]; then
	check "L2 the source of $program" fetch_source "$place/source"
	check "L2 ... is whole" tar -tf "$place/source/$program"_*.orig.tar.*
	gcc=gcc,libc6-dev,make
	SOURCE=$(echo "$place/source/$program"_*.orig.tar.*) "$top/images/debian" -s 1536M -i $gcc \
		-x "$lib/builds-image" "$image" >"$work/log" 2>&1 && echo "$recipe" >"$image.recipe" ||
		{ sed 's/^/# /' "$work/log"; not_ok "L2 the image can be built"; finish; exit; }
fi
cp --sparse=always "$image" "$work/disk.img"

inside "2 CPUs" --cpu max --smp 2 --memory 3G --timeout 3400 --append rcupdate.rcu_cpu_stall_timeout=100 --disk "$work/disk.img" < <(
	echo "builds=${BUILDS:-10}"
	cat <<'END'
n=0
while [ $n -lt $builds ]; do
	n=$((n + 1))
	lguest run -c 4 -m 768M -d /dev/nvme0n1 </dev/null >/tmp/out.$n 2>/tmp/err.$n
	status=$?
	said() { tr -d '\r' </tmp/out.$n | sed -n "s/^.*builds: $1 //p"; }	# WORD
	is "L1 L2 Debian with 4 vCPUs powers off ($n)" "0 " "$status $(cat /tmp/err.$n)"
	is "L1 L2 ... systemd is up, with 4 CPUs and no unit that failed ($n)" "running 4 " \
		"$(said state) $(said CPUs) $(said failed)"
	is "L1 L2 ... a program is built by make -j4, and passes its tests ($n)" "0 0" "$(said make) $(said check)"
	between "L1 L2 ... by more CPUs than one ($n)" 2 4 "$(said worked)"
	is "L1 ... no BUG, WARNING, stall or call trace ($n)" "" "$(said bad)"
	echo "$n: $(now) s, $(said log | tail -n 1)"
done
check "H8 nothing is left" no_guest_left
END
)
finish
