#!/bin/bash
# NMIs and machine checks at every instruction of the Switcher on every way, not only at
# some of them.
EVERY_SHARE=1 EVERY_TIME=1700 exec "$(dirname "$0")/../system/every.sh"
