# tests/system/lib/busy.sh: sourced in a lab, besides inside.sh: two guests that compute for
# ever, the second on four vCPUs. System calls, faults, new processes: each round must
# come to the same sum.
#
#	busy_guests			start them, and wait until they are at it; $busy has their PIDs
#	rounds GUEST			that 1 or 2 has done
#	more_than ROUNDS GUEST
#	they_go_on NAME			each does
#	all_is_right NAME		all that they have computed is
busy_guests() {
	local guest sum work
	sum=$(seq 2000 | md5sum)
	work='for cpu in $(seq $(nproc)); do
		while :; do [ "$(seq 2000 | md5sum)" = "$0" ] || echo wrong; echo round; done &
	done; wait'
	busy=
	for guest in 1 2; do
		lguest run -m 96M -c $((3 * guest - 2)) -- sh -c "$work" "$sum" >/tmp/busy$guest 2>&1 </dev/null &
		busy="$busy $!"
	done
	for guest in 1 2; do wait_for 100 more_than 3 $guest; done
}
rounds() { cat /tmp/busy$1 | grep -c round; }
more_than() { [ $(rounds $2) -gt $1 ]; }
they_go_on() {
	local guest before
	for guest in 1 2; do
		before=$(rounds $guest)
		check "$1 ($guest)" wait_for 60 more_than $((before + 3)) $guest
	done
}
all_is_right() {
	cat /tmp/busy? >/tmp/busy
	hasnt "$1" 'wrong|rror' /tmp/busy
}
