// SPDX-License-Identifier: GPL-2.0
/* A kernel image, unpacked: the header, and the seven ways of packing. */
#include "fuzz.h"
#include "linker/bzimage.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	static struct lguest_error err;
	struct blob file = { (uint8_t *)bytes, size }, out;
	char *release;

	if (!bzimage_release(&file, "input", &release, &err))
		free(release);
	if (!bzimage_unpack(&file, "input", &out, &err))
		blob_free(&out);
	return 0;
}
