// SPDX-License-Identifier: GPL-2.0
/*
 * An ELF file as a kernel, as a layer's object, as a layer to be joined to
 * itself, and as a linked file that is loaded.
 */
#include <sys/mman.h>
#include <unistd.h>

#include "fuzz.h"
#include "linker/result.h"
#include "boot/load.h"

static int see(void *arg, const char *name, const Elf64_Sym *symbol)
{
	*(size_t *)arg += strlen(name) + symbol->st_value % 2;
	return 0;
}

static void take_apart(const struct blob *file, unsigned int type)
{
	static struct lguest_error err;
	struct elf elf;
	struct blob out;
	size_t sum = 0;
	unsigned int i;

	if (elf_open(&elf, file, "input", type, &err))
		return;
	elf_each_symbol(&elf, see, &sum);
	elf_section(&elf, ".lguest.release");
	for (i = 0; i < elf.nr_sections; i++)
		elf_section_name(&elf, &elf.sections[i]);
	elf_at(&elf, elf.header.e_entry, 8);
	if (type == ET_EXEC && !output_make(&elf, elf.header.e_entry, &elf, "6.1.0", &out, &err))
		blob_free(&out);
	elf_close(&elf);
}

static void load(const struct blob *file)
{
	static struct memory memory;
	static struct lguest_error err;
	static char name[40];
	static int fd;
	struct lguest_link_note said;
	struct loaded kernel;

	if (!memory.base) {
		be_silent();
		must(memory_create(&memory, 32 << 20));
		fd = memfd_create("input", 0);
		snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
	}
	must(!ftruncate(fd, 0) && pwrite(fd, file->data, file->size, 0) == (ssize_t)file->size);
	lguest_linked(name, &said, &err);
	if (is_elf(name) && load_kernel(&memory, name, &kernel))
		must(kernel.end.v <= memory.size);
	madvise(memory.base, memory.size, MADV_DONTNEED);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	struct blob file = { (uint8_t *)bytes, size };

	take_apart(&file, ET_EXEC);
	take_apart(&file, ET_REL);
	load(&file);
	return 0;
}
