#!/bin/bash
# The rate of a guest's clocks, over two hours.
CLOCK_SECONDS=3600 exec "$(dirname "$0")/../system/clock.sh"
