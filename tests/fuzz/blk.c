// SPDX-License-Identifier: GPL-2.0
/* A disk: requests of every kind, with an engine that does them at once: K7, K10. */
#include <sys/mman.h>

#include "devices/disk/disk_io.h"
#include "guest.h"

static struct transfer *given;

static int open_engine(struct engine *engine)
{
	engine->ready = -1;
	return 0;
}

static void close_engine(struct engine *engine)
{
	(void)engine;
}

static void give(struct engine *engine, struct transfer *t)
{
	(void)engine;
	t->next = given;
	given = t;
}

static void go(struct engine *engine)
{
	(void)engine;
}

/* Those given last come first. */
static struct transfer *take_transfer(struct engine *engine, bool wait)
{
	struct transfer *t = given;
	ssize_t done = 0;

	(void)wait;
	if (!t)
		return NULL;
	given = t->next;
	if (t->kind == TRANSFER_READ)
		done = preadv(t->file, t->part, t->parts, t->at);
	else if (t->kind == TRANSFER_WRITE)
		done = pwritev(t->file, t->part, t->parts, t->at);
	t->result = done < 0 ? -errno : done;
	return t;
}

const struct engine_kind engine_uring = {
	"at once", open_engine, close_engine, give, go, take_transfer
};
const struct engine_kind engine_threads = {
	"at once", open_engine, close_engine, give, go, take_transfer
};

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	static off_t disk_size = 64 << 10;
	static int fd;

	if (!device) {
		char name[40];

		guest_memory();
		fd = memfd_create("disk", 0);
		must(!ftruncate(fd, disk_size));
		snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
		guest_begin(disk_create(name));
	}
	guest_run(bytes, size);
	must(!given);
	must(lseek(fd, 0, SEEK_END) == disk_size);
	return 0;
}
