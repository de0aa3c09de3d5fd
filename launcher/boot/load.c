// SPDX-License-Identifier: GPL-2.0
/*
 * Puts a linked kernel (an ELF file) and the initrd into guest RAM.  The file
 * may be damaged or no kernel at all: every number in it is checked before it
 * is used.  What the kernel is told about all this is in bootparams.c.
 * Read next: bootparams.c.
 */
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lguest.h"
#include "load.h"

static bool read_all(int fd, void *to, uint64_t size, uint64_t offset)
{
	uint8_t *at = to;

	while (size) {
		ssize_t got = pread(fd, at, size, offset);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return false;
		if (got == 0) {
			errno = ENODATA;
			return false;
		}
		at += got;
		offset += got;
		size -= got;
	}
	return true;
}

static const char *read_error(void)
{
	return errno == ENODATA ? "it ends too early" : strerror(errno);
}

bool is_elf(const char *path)
{
	char magic[SELFMAG] = "";
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return false;
	read_all(fd, magic, sizeof(magic), 0);
	close(fd);
	return !memcmp(magic, ELFMAG, SELFMAG);
}

static const char *check_header(const Elf64_Ehdr *header)
{
	if (memcmp(header->e_ident, ELFMAG, SELFMAG))
		return "it is not an ELF file";
	if (header->e_ident[EI_CLASS] != ELFCLASS64 ||
	    header->e_ident[EI_DATA] != ELFDATA2LSB ||
	    header->e_machine != EM_X86_64)
		return "it is not for x86-64";
	if (header->e_type != ET_EXEC)
		return "it is not an executable image";
	if (header->e_phentsize != sizeof(Elf64_Phdr) || !header->e_phnum)
		return "it has no usable program headers";
	return NULL;
}

/*
 * RAM starts out zero, and a page of it that nobody has touched costs nothing.  Some
 * eleven of the 46 MiB in a kernel's file are zeros: they are left out.
 */
static void write_used(uint8_t *to, const uint8_t *from, size_t size)
{
	while (size) {
		size_t n = MEMORY_PAGE - ((uintptr_t)to & (MEMORY_PAGE - 1));

		if (n > size)
			n = size;
		if (from[0] || memcmp(from, from + 1, n - 1))
			memcpy(to, from, n);
		to += n;
		from += n;
		size -= n;
	}
}

static bool read_used(int fd, uint8_t *to, uint64_t size, uint64_t offset)
{
	static uint8_t buffer[64 << 10];

	while (size) {
		size_t n = size < sizeof(buffer) ? size : sizeof(buffer);

		if (!read_all(fd, buffer, n, offset))
			return false;
		write_used(to, buffer, n);
		to += n;
		offset += n;
		size -= n;
	}
	return true;
}

/*L:130
 * One segment: its bytes go to its physical address; what memory it has beyond
 * them (the bss) is zero already, because RAM starts out so.
 :*/
static const char *load_segment(const struct memory *memory, int fd,
				const Elf64_Phdr *segment, struct loaded *kernel)
{
	static char text[96];
	uint8_t *to;

	if (segment->p_filesz > segment->p_memsz)
		return "a segment is larger in the file than in memory";
	to = memory_at(memory, GPA(segment->p_paddr), segment->p_memsz);
	if (!to) {
		snprintf(text, sizeof(text), "it needs more memory (a segment of %llu KiB at %#llx)",
			 (unsigned long long)segment->p_memsz >> 10,
			 (unsigned long long)segment->p_paddr);
		return text;
	}
	if (!read_used(fd, to, segment->p_filesz, segment->p_offset))
		return read_error();
	if (kernel->end.v < segment->p_paddr + segment->p_memsz)
		kernel->end.v = segment->p_paddr + segment->p_memsz;
	if (segment->p_paddr < kernel->start.v)
		kernel->start.v = segment->p_paddr;
	return NULL;
}

static bool holds(const Elf64_Phdr *segment, uint64_t address)
{
	return address >= segment->p_paddr &&
	       address - segment->p_paddr < segment->p_memsz;
}

static const char *load_segments(const struct memory *memory, int fd,
				 const Elf64_Ehdr *header, struct loaded *kernel)
{
	bool entry_found = false;
	unsigned int i;

	for (i = 0; i < header->e_phnum; i++) {
		Elf64_Phdr segment;
		const char *why;

		if (!read_all(fd, &segment, sizeof(segment),
			      header->e_phoff + i * sizeof(segment)))
			return read_error();
		if (segment.p_type != PT_LOAD)
			continue;
		why = load_segment(memory, fd, &segment, kernel);
		if (why)
			return why;
		entry_found |= holds(&segment, header->e_entry);
	}
	if (!entry_found)
		return "its entry point lies outside of it";
	kernel->entry = GPA(header->e_entry);
	return NULL;
}

bool load_kernel(const struct memory *memory, const char *path,
		 struct loaded *kernel)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	Elf64_Ehdr header;
	const char *why;

	memset(kernel, 0, sizeof(*kernel));
	kernel->start = GPA(memory->size);
	if (fd < 0) {
		problem("cannot open the kernel %s: %s; name one with -k", path,
			strerror(errno));
		return false;
	}
	if (!read_all(fd, &header, sizeof(header), 0))
		why = read_error();
	else
		why = check_header(&header);
	if (!why)
		why = load_segments(memory, fd, &header, kernel);
	close(fd);
	if (why)
		problem("cannot load the kernel %s: %s; try -m 512M, or name another with -k",
			path, why);
	return !why;
}

/*L:140
 * The initrd goes as high as it can, page aligned and below 4 GiB, where the
 * kernel looks for it and where it is least in the way.  In a small guest nothing
 * is left above the kernel; then it goes below, between the layer and 1 MiB.
 :*/
static bool place_initrd(const struct memory *memory, const struct loaded *kernel,
			 uint64_t size, struct initrd *initrd)
{
	uint64_t top = memory->size < 1ULL << 32 ? memory->size : 1ULL << 32;
	uint64_t bottom = (kernel->end.v + MEMORY_LARGE - 1) & ~(MEMORY_LARGE - 1);

	initrd->size = size;
	if (top < bottom || size > top - bottom) {
		top = kernel->start.v;
		bottom = HIGH_RAM_START;
	}
	if (top < bottom || size > top - bottom) {
		problem("the initrd (%llu KiB) does not fit beside the kernel into %llu MiB; try a larger -m",
			(unsigned long long)size >> 10,
			(unsigned long long)memory->size >> 20);
		return false;
	}
	initrd->at = GPA((top - size) & ~(MEMORY_PAGE - 1));
	return true;
}

bool load_initrd_bytes(const struct memory *memory, const struct loaded *kernel,
		       const void *bytes, uint64_t size, struct initrd *initrd)
{
	return place_initrd(memory, kernel, size, initrd) &&
	       memory_write(memory, initrd->at, bytes, size);
}

bool load_initrd_file(const struct memory *memory, const struct loaded *kernel,
		      const char *path, struct initrd *initrd)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat status;
	bool ok = false;

	if (fd < 0 || fstat(fd, &status)) {
		problem("cannot open the initrd %s: %s; check -i", path, strerror(errno));
	} else if (!S_ISREG(status.st_mode)) {
		problem("cannot use %s as initrd: it is not a file; check -i", path);
	} else if (place_initrd(memory, kernel, status.st_size, initrd)) {
		ok = read_all(fd, memory_at(memory, initrd->at, initrd->size),
			      initrd->size, 0);
		if (!ok)
			problem("cannot read the initrd %s: %s; check the file",
				path, read_error());
	}
	if (fd >= 0)
		close(fd);
	return ok;
}
