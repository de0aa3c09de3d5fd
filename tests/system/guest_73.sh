#!/bin/bash
# Another kernel as a guest: Debian's 7.3, with its layer from the same source.
. "$(dirname "$0")/lib/lab.sh"
. "$lib/guest.sh"

guest_kernel 7.3
# Zen: 7.x then looks into the chipset, which is not there.
guest_on EPYC
finish
