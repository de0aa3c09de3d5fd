#!/bin/bash
# The host's memory goes to a disk and comes back twenty times.
HIBERNATE_ROUNDS=20 exec "$(dirname "$0")/../system/hibernate.sh"
