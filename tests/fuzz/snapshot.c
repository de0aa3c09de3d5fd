// SPDX-License-Identifier: GPL-2.0
/*
 * The header of a snapshot's file, with its sum right if the first byte says so: what is found
 * good leads nowhere outside of the file.
 */
#include "fuzz.h"
#include "snapshot/format.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	static struct snapshot_header header;
	struct input in = { bytes, size };
	uint64_t way = take(&in, 1), file_size, end = sizeof(header);
	size_t left = sizeof(header);

	be_silent();
	memset(&header, 0, sizeof(header));
	bytes = take_bytes(&in, &left);
	memcpy(&header, bytes, left);
	if (way & 1)
		snapshot_seal(&header);
	file_size = way & 2 ? header.file_size : take(&in, 8);
	if (snapshot_fault(&header, file_size))
		return 0;
	must(header.ram_offset <= file_size && header.ram_size == file_size - header.ram_offset);
	for (uint32_t i = 0; i < header.nr_sections; i++) {
		must(header.sections[i].offset >= end);
		end = header.sections[i].offset + header.sections[i].size;
		must(end >= header.sections[i].offset && end <= header.ram_offset);
	}
	return 0;
}
