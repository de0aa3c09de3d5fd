// SPDX-License-Identifier: GPL-2.0
/*P:020
 * A vmlinuz is a bzImage: a little boot program with the real kernel, an ELF
 * image called vmlinux, packed inside it.
 *
 *	0	      setup_sects+1 sectors		    the end
 *	+------------------------+------------------------------+
 *	| boot sector and setup  | 64-bit code, which unpacks   |
 *	|  0x1f1: setup header   |   | payload: packed vmlinux | |
 *	+------------------------+---^-------------------------^-+
 *				     payload_offset   payload_length
 *
 * The setup header (Documentation/arch/x86/boot.rst) tells where the payload
 * is; its last four bytes are its length when unpacked.  We never run any of
 * the code.  What comes out is handed to elf_file.c.
 * Read next: unpack.c.
:*/
#define _GNU_SOURCE 1
#include <elf.h>
#include <stdlib.h>

#include "bzimage.h"
#include "distribution.h"

/* The fields of the setup header that we use, by their offset in the file. */
#define SETUP_SECTS	0x1f1	/* 8 bits; 0 means 4 */
#define SETUP_MAGIC	0x202	/* "HdrS" */
#define SETUP_VERSION	0x206	/* 16 bits; payload_offset is from 2.08 */
#define SETUP_RELEASE	0x20e	/* 16 bits; the string is at this + 0x200 */
#define SETUP_LOADFLAGS	0x211	/* bit 0: a bzImage, no zImage */
#define SETUP_XFLAGS	0x236	/* 16 bits; bit 0: has 64-bit code */
#define SETUP_PAYLOAD	0x248	/* 32 bits each: offset and length */
#define SETUP_END	0x250

#define TRY_AGAIN "give lguest a vmlinuz of a 64-bit x86 kernel, like %s"

static bool is_elf(const struct blob *b)
{
	return b->size >= SELFMAG && !memcmp(b->data, ELFMAG, SELFMAG);
}

static bool is_bzimage(const struct blob *b)
{
	return b->size >= SETUP_END &&
	       !memcmp(b->data + SETUP_MAGIC, "HdrS", 4);
}

/* Find the payload in the file. */
static int find_payload(const struct blob *file, const char *name,
			const uint8_t **payload, size_t *len,
			struct lguest_error *err)
{
	const uint8_t *d = file->data;
	uint64_t code, off;

	if (!is_bzimage(file) && file->size > 2 && !memcmp(file->data, "MZ", 2))
		return link_fail(err, "reading %s: it is a program for EFI, but no vmlinuz; if it is a unified kernel image, get the kernel out with: objcopy -O binary -j .linux %s vmlinuz",
				 name, name);
	if (!is_bzimage(file))
		return link_fail(err, "reading %s: it is not a Linux kernel for x86; "
			    TRY_AGAIN, name, running_kernel());
	if (get16(d + SETUP_VERSION) < 0x020c || !(d[SETUP_LOADFLAGS] & 1))
		return link_fail(err, "reading %s: this kernel is too old; "
			    TRY_AGAIN, name, running_kernel());
	if (!(get16(d + SETUP_XFLAGS) & 1))
		return link_fail(err, "reading %s: this is a 32-bit kernel; "
			    TRY_AGAIN, name, running_kernel());

	code = ((d[SETUP_SECTS] ? d[SETUP_SECTS] : 4) + 1) * 512;
	off = code + get32(d + SETUP_PAYLOAD);
	*len = get32(d + SETUP_PAYLOAD + 4);
	if (!range_ok(off, *len, file->size))
		return link_fail(err, "reading %s: the file is cut short (%zu bytes, its header promises %llu); copy or install it again",
			    name, file->size,
			    (unsigned long long)(off + *len));
	if (*len < 8)
		return link_fail(err, "reading %s: there is no kernel inside; "
			    TRY_AGAIN, name, running_kernel());
	*payload = d + off;
	return 0;
}

static int unpack_payload(const uint8_t *payload, size_t len, const char *name,
			  struct blob *vmlinux, struct lguest_error *err)
{
	/* The build puts the unpacked length last (gzip does so by itself). */
	size_t size = get32(payload + len - 4);
	struct trouble trouble;

	if (size > VMLINUX_LIMIT)
		return link_fail(err, "unpacking %s: it says it has %zu MiB inside, more than the %lu MiB a kernel may have; the file is damaged, install it again",
			    name, size >> 20, VMLINUX_LIMIT >> 20);
	vmlinux->size = size;
	vmlinux->data = malloc(size ? size : 1);
	if (!vmlinux->data)
		return link_fail(err, "unpacking %s: no memory for %zu MiB", name,
			    size >> 20);

	if (unpack(payload, len, vmlinux, &trouble) < 0) {
		blob_free(vmlinux);
		return link_fail(err, "unpacking %s: %s; %s", name, trouble.why, trouble.fix);
	}
	if (vmlinux->size != size) {
		blob_free(vmlinux);
		return link_fail(err, "unpacking %s: less came out than its header promises; copy or install it again",
			    name);
	}
	return 0;
}

int bzimage_unpack(const struct blob *file, const char *name,
		   struct blob *vmlinux, struct lguest_error *err)
{
	const uint8_t *payload;
	size_t len;

	vmlinux->data = NULL;
	vmlinux->size = 0;
	if (is_elf(file)) {
		vmlinux->data = malloc(file->size);
		if (!vmlinux->data)
			return link_fail(err, "reading %s: no memory for %zu MiB",
				    name, file->size >> 20);
		memcpy(vmlinux->data, file->data, file->size);
		vmlinux->size = file->size;
		return 0;
	}
	if (find_payload(file, name, &payload, &len, err) < 0)
		return -1;
	return unpack_payload(payload, len, name, vmlinux, err);
}

char *release_word(const uint8_t *text, size_t len)
{
	size_t n = 0;

	/* It becomes part of file names, so it must look like a release. */
	while (n < len && n < 64 && text[n] > ' ' && text[n] < 0x7f &&
	       text[n] != '/')
		n++;
	if (n == 0 || n == 64 || n == len || text[n] != ' ' ||
	    text[0] < '0' || text[0] > '9')
		return NULL;
	return strndup((const char *)text, n);
}

int bzimage_release(const struct blob *file, const char *name, char **release,
		    struct lguest_error *err)
{
	static const char banner[] = "Linux version ";
	const uint8_t *at = NULL;
	const uint8_t *payload;
	size_t len;

	*release = NULL;
	if (is_elf(file)) {
		at = memmem(file->data, file->size, banner, strlen(banner));
		if (at)
			at += strlen(banner);
	} else {
		if (find_payload(file, name, &payload, &len, err) < 0)
			return -1;
		len = get16(file->data + SETUP_RELEASE) + 0x200;
		if (len < file->size)
			at = file->data + len;
	}
	if (at)
		*release = release_word(at, file->data + file->size - at);
	if (!*release)
		return link_fail(err, "reading %s: it does not say which Linux release it is; "
			    TRY_AGAIN, name, running_kernel());
	return 0;
}
