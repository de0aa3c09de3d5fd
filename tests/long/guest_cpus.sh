#!/bin/bash
# Each kernel that is known, as a guest on CPUs of both makers and of many years, for each
# of which Linux chooses other remedies; and in its other flavours.
. "$(dirname "$0")/../system/lib/lab.sh"
. "$lib/guest.sh"

for name in $("$top/lab/kernels" --names); do
	guest_layer "$name"
	for cpu in Haswell Skylake-Server Cascadelake-Server Icelake-Server \
			EPYC EPYC-Rome EPYC-Milan; do
		guest_on $cpu
	done
	for flavour in general rt; do
		guest_layer "$name-$flavour"
		guest_on max
	done
done
finish
