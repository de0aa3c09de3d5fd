#!/bin/bash
# A guest's file system under stress, a hundred times as long.
STRESS_ROUNDS=3000 exec "$(dirname "$0")/../system/stress.sh"
