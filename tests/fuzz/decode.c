// SPDX-License-Identifier: GPL-2.0
/* Instructions at which a guest stopped, one behind the other. */
#include "hardware/decode.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	struct insn insn;

	while (size) {
		size_t length = 1;

		if (decode(bytes, size, &insn)) {
			length = insn.length;
			must(length && length <= INSN_LONGEST && length <= size);
			must(insn.width <= 8 && insn.reg < 16 && insn.rm < 16);
		}
		bytes += length;
		size -= length;
	}
	return 0;
}
