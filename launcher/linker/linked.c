// SPDX-License-Identifier: GPL-2.0
/*P:110
 * The launcher takes a vmlinuz as well as a file that is linked already, and
 * the cache must not hand out half a file.  Both ask here.  Only the headers
 * and the note are read: the file's length is in the note, because what an
 * interrupted copy loses is the end.
 * Read next: cache.c.
:*/
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util.h"

static bool read_at(int fd, void *to, size_t len, uint64_t off)
{
	return off < 1UL << 40 && pread(fd, to, len, off) == (ssize_t)len;
}

/* Is our note in this segment? */
static bool read_note(int fd, const Elf64_Phdr *p,
		      struct lguest_link_note *note)
{
	Elf64_Nhdr header;
	char owner[8];

	return p->p_type == PT_NOTE &&
	       p->p_filesz == sizeof(header) + sizeof(owner) + sizeof(*note) &&
	       read_at(fd, &header, sizeof(header), p->p_offset) &&
	       header.n_namesz == sizeof(LGUEST_NOTE_OWNER) &&
	       header.n_descsz == sizeof(*note) &&
	       header.n_type == LGUEST_NOTE_LINK &&
	       read_at(fd, owner, sizeof(owner),
		       p->p_offset + sizeof(header)) &&
	       !memcmp(owner, LGUEST_NOTE_OWNER, sizeof(LGUEST_NOTE_OWNER)) &&
	       read_at(fd, note, sizeof(*note),
		       p->p_offset + sizeof(header) + sizeof(owner));
}

static bool find_note(int fd, struct lguest_link_note *note)
{
	Elf64_Ehdr h;
	Elf64_Phdr p;
	unsigned int i;

	if (!read_at(fd, &h, sizeof(h), 0) ||
	    memcmp(h.e_ident, ELFMAG, SELFMAG) ||
	    h.e_ident[EI_CLASS] != ELFCLASS64 || h.e_type != ET_EXEC ||
	    h.e_phentsize != sizeof(p))
		return false;
	for (i = 0; i < h.e_phnum; i++)
		if (read_at(fd, &p, sizeof(p), h.e_phoff + i * sizeof(p)) &&
		    read_note(fd, &p, note))
			return true;
	return false;
}

static int check_note(int fd, const char *path, struct lguest_link_note *note,
		      struct lguest_error *err)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return link_fail(err, "reading %s: %s", path, strerror(errno));
	if (note->version != LGUEST_LINK_VERSION)
		return link_fail(err, "reading %s: it was linked by another version of lguest (format %u, this one has %u); link it again with: lguest link",
				 path, note->version, LGUEST_LINK_VERSION);
	if (note->file_size != (uint64_t)st.st_size ||
	    !memchr(note->release, 0, sizeof(note->release)))
		return link_fail(err, "reading %s: the file is damaged or cut short; link it again with: lguest link",
				 path);
	return 1;
}

int lguest_linked(const char *path, struct lguest_link_note *note,
		  struct lguest_error *err)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	int ret = 0;

	if (fd < 0)
		return link_fail(err, "opening %s: %s", path, strerror(errno));
	if (find_note(fd, note))
		ret = check_note(fd, path, note, err);
	close(fd);
	return ret;
}
