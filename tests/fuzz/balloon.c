// SPDX-License-Identifier: GPL-2.0
/* The balloon: pages given back, statistics, hints: K10, L5. */
#include "guest.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	if (!device) {
		guest_memory();
		guest_begin(balloon_create(&memory));
	}
	devices_balloon(size ? bytes[0] * 4096ULL : 0);
	guest_run(bytes, size);
	return 0;
}
