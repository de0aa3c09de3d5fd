#!/bin/bash
# The rate of a guest's clocks, over an hour.
CLOCK_SECONDS=3600 exec "$(dirname "$0")/../system/clock.sh"
