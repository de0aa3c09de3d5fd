// SPDX-License-Identifier: GPL-2.0
/* The kernel's tables of its own names, in an image of any bytes. */
#include "fuzz.h"
#include "linker/kallsyms.h"

#define VA	0xffffffff81000000ULL

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	static struct lguest_error err;
	struct blob file = { (uint8_t *)bytes, size };
	Elf64_Phdr segments[] = {
		{ .p_type = PT_LOAD, .p_vaddr = VA, .p_filesz = size, .p_memsz = size + 4096 },
		{ .p_type = PT_LOAD, .p_memsz = 0x1000 },
	};
	struct elf elf = { .file = &file, .segments = segments, .nr_segments = 2 };
	struct kallsyms ks;
	uint64_t address;
	uint32_t i;

	if (kallsyms_read(&ks, &elf, "input", &err))
		return 0;
	for (i = 0; i < ks.nr && i < 100; i++)
		must(kallsyms_lookup(&ks, symbol_name(&ks, &ks.symbols[i]), &address));
	kallsyms_free(&ks);
	return 0;
}
