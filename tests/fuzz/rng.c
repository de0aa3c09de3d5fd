// SPDX-License-Identifier: GPL-2.0
/* The registers of a device, and the simplest one behind them: K10, K13. */
#include "guest.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	if (!device) {
		guest_memory();
		guest_begin(rng_create());
	}
	guest_run(bytes, size);
	return 0;
}
