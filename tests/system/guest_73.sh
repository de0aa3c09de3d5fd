#!/bin/bash
# Another kernel as a guest: Debian's 7.3, with its layer from the same source.
. "$(dirname "$0")/lib/lab.sh"
. "$lib/guest.sh"

guest_kernel 7.3
# What would end a guest, on some CPU, if it were not found: so it must be there to link.
for name in print_s5_reset_status_mmio x86_hypervisor_present; do
	check "J13 a kernel without $name is refused" \
		grep -q " U $name" <(nm "$guests/layers/$release/layer.o")
done
# Zen: 7.x then looks into the chipset, which is not there.
guest_on EPYC
finish
