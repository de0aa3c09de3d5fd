// SPDX-License-Identifier: GPL-2.0
/*
 * Allocations that fail.  Each operation is done again and again: the first
 * time its first allocation (or copy from or to the launcher) fails, then its
 * second, until there is none left to fail.  Each time the answer must be a
 * proper error, nothing may have changed, and the same operation must work
 * afterwards.  What such an error leaves allocated, the lab finds at its end
 * (lab/init).
 *
 * This needs a host kernel with CONFIG_FAULT_INJECTION: only the debug host's
 * program has this file in it (docs/TESTING.md).
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include "micro.h"

/* ---- Failing ---- */

static int nth = -1;		/* /proc/thread-self/fail-nth */

static void set(const char *name, const char *value)
{
	char path[100];
	int fd;

	snprintf(path, sizeof(path), "/sys/kernel/debug/%s", name);
	fd = open(path, O_WRONLY);
	if (fd < 0 || write(fd, value, 1) != 1)
		fail("%s: %s", path, strerror(errno));
	close(fd);
}

/* What sleeps may fail too, single pages as well, and without a backtrace. */
static void prepare(void)
{
	set("failslab/ignore-gfp-wait", "N");
	set("failslab/verbose", "0");
	set("fail_page_alloc/ignore-gfp-wait", "N");
	set("fail_page_alloc/ignore-gfp-highmem", "N");
	set("fail_page_alloc/min-order", "0");
	set("fail_page_alloc/verbose", "0");
	set("fail_usercopy/verbose", "0");
	nth = open("/proc/thread-self/fail-nth", O_RDWR);
	if (nth < 0)
		fail("fail-nth: %s", strerror(errno));
}

/* From here on the @n-th allocation or copy of this thread fails. */
static void arm(unsigned int n)
{
	char word[12];
	int len = snprintf(word, sizeof(word), "%u", n);

	if (pwrite(nth, word, len, 0) != len)
		fail("fail-nth: %s", strerror(errno));
}

/* No longer; true if there was an n-th.  Our own copies may be it: then not. */
static bool disarm(void)
{
	char word[12] = "";
	bool came = pread(nth, word, sizeof(word) - 1, 0) > 0 && !atoi(word);

	if (pwrite(nth, "0", 1, 0) != 1 && pwrite(nth, "0", 1, 0) != 1)
		fail("fail-nth: %s", strerror(errno));
	return came;
}

/* How often something failed, so that a test which never fails one is seen. */
static void enough(unsigned int failures, unsigned int wanted)
{
	if (failures < wanted)
		fail("only %u failures, not %u: is nothing injected?", failures,
		     wanted);
}

static void check_error(const char *what, unsigned int n, int err)
{
	if (err != ENOMEM && err != EFAULT)
		fail("%s with failure %u gives %s", what, n, strerror(err));
}

/* ---- Tests ---- */

TEST_S(60, "H6 A2 open(): each allocation fails in turn")
{
	unsigned int n, failures = 0;
	bool came = true;

	prepare();
	for (n = 1; came; n++) {
		int fd, err;

		arm(n);
		fd = open("/dev/lguest", O_RDWR);
		err = errno;
		came = disarm();
		if (fd < 0) {
			check_error("open()", n, err);
			failures++;
		}
		close(fd);
	}
	enough(failures, 2);
}

static void nothing(void)
{
}

TEST_S(120, "H6 A2 INITIALIZE: each allocation fails in turn, and the next one works")
{
	u64 start = IMAGE_GPA + (guest_boot - __executable_start);
	unsigned int n, failures = 0;
	bool came = true;

	prepare();
	for (n = 1; came; n++) {
		struct guest *g = raw_guest(GUEST_SIZE);
		int err;

		load_image(g, nothing);
		arm(n);
		err = initialize(g, start);
		came = disarm();
		if (err) {
			check_error("INITIALIZE", n, -err);
			CHECK_EQ(initialize(g, start), 0);
			failures++;
		}
		passes(g);
		end_guest(g);
	}
	/* Buffer, FPU, state, the slot's tables, spares of 3 each, roots ... */
	enough(failures, 30);
}

/* Words of a request; what undoes it has -1 as its fd. */
static const struct {
	u64 words[3];
	int fd_at;
} attaching[] = {
	{ { LHREQ_EVENTFD, 7 }, 2 },
	{ { LHREQ_DEVICE_EVENTFD, GUEST_SIZE, 7 }, 3 },
	{ { LHREQ_IRQFD, 7 }, 2 },
};

static int attach(struct guest *g, int i, int fd)
{
	u64 words[4];

	memcpy(words, attaching[i].words, sizeof(attaching[i].words));
	words[attaching[i].fd_at] = (u64)fd;
	return write(g->fd, words, sizeof(words)) > 0 ? 0 : -errno;
}

/* Returns the failures; whatever came of them, the request is done at the end. */
static unsigned int attach_failing(struct guest *g, int i, int fd,
				   unsigned int n, bool *came)
{
	int err;

	arm(n);
	err = attach(g, i, fd);
	*came |= disarm();
	if (!err)
		return 0;
	check_error("a request", n, -err);
	CHECK_EQ(attach(g, i, fd), 0);
	return 1;
}

TEST_S(60, "H15 H16 E1 EVENTFD, DEVICE_EVENTFD, IRQFD: each allocation fails in turn")
{
	struct guest *g = make_guest(nothing);
	int fd = eventfd(0, EFD_NONBLOCK);

	prepare();
	CHECK_EQ(request(g, LHREQ_EVENTFD, 1, fd), 24);	/* a table to copy */
	for (int i = 0; i < 3; i++) {
		unsigned int n, failures = 0;
		bool came = true;

		for (n = 1; came; n++) {
			came = false;
			failures += attach_failing(g, i, fd, n, &came);
			CHECK_EQ(attach(g, i, fd), -EEXIST);
			failures += attach_failing(g, i, -1, n, &came);
			CHECK_EQ(attach(g, i, -1), -ENOENT);
		}
		enough(failures, 3);
	}
	passes(g);
	end_guest(g);
}

/* Address spaces and tables of all levels, and a visit to the launcher. */
static void busy(void)
{
	for (int space = 0; space < 2; space++) {
		u64 cr3 = new_space();

		for (u64 va = 1UL << 40; va <= 3UL << 40; va += 1UL << 40)
			map(cr3, va, guest_page(), P_ | W_ | U_);
		HCALL(LOAD_CR3, cr3);
		for (u64 va = 1UL << 40; va <= 3UL << 40; va += 1UL << 40)
			*(volatile u64 *)va = va;
	}
	HCALL(LOAD_CR3, MAIN_CR3);
	HCALL(NOTIFY, 0x77);
}

/*
 * How it may end; no words at all where there was no memory for them.  Not for want of a
 * page of its own memory: that comes later.
 */
static const char *const reasons[] = {
	"POWEROFF: ok", "out of memory for shadow tables",
	"out of memory for the last words", "bad guest page", "bad read address", "",
};

static unsigned int check_reason(const char *reason, unsigned int n)
{
	unsigned int i;

	for (i = 0; i < sizeof(reasons) / sizeof(*reasons); i++)
		if (!strncmp(reason, reasons[i], strlen(reasons[i])) &&
		    (*reasons[i] || !*reason))
			return i;
	fail("with failure %u the guest ends by \"%s\"", n, reason);
}

/* Run it to its end; which of the reasons it was. */
static unsigned int run_failing(struct guest *g, unsigned int n, bool *came)
{
	struct lguest_exit record;
	char reason[300] = "";
	int visits = 0;
	unsigned int end;
	ssize_t got;
	int err;

	arm(n);
	while ((got = read(g->fd, &record, sizeof(record))) > 0 || errno == EFAULT)
		visits += got > 0;
	err = errno;
	*came = disarm();
	if (err != ENOENT)
		fail("with failure %u read() gives %s", n, strerror(err));
	got = read(g->fd, reason, sizeof(reason));
	if (got < 0 && errno != ENOMEM)
		fail("the reason after failure %u: %s", n, strerror(errno));
	end = check_reason(reason, n);
	if (end == 0)
		CHECK_EQ(visits, 1);	/* C2: the record was not lost */
	return end;
}

TEST_S(600, "H6 C2 AT-29 read(): each allocation fails in turn; the guest lives or has a reason")
{
	unsigned int n, ended[sizeof(reasons) / sizeof(*reasons)] = { 0 };
	bool came = true;

	prepare();
	for (n = 1; came; n++) {
		struct guest *g = make_guest(busy);
		unsigned int end = run_failing(g, n, &came);

		ended[end]++;
		if (!came)
			CHECK_EQ(end, 0);
		end_guest(g);
	}
	enough(ended[1], 20);
}

TEST_S(120, "H23 close(): each allocation fails in turn, and all is freed")
{
	unsigned int n;
	bool came = true;

	prepare();
	for (n = 1; came; n++) {
		struct guest *g = make_guest(busy);
		int fd = eventfd(0, 0);

		CHECK_EQ(request(g, LHREQ_EVENTFD, 1, fd), 24);
		CHECK_EQ(request(g, LHREQ_IRQFD, 1, fd), 24);
		CHECK_EQ(go(g), LGUEST_EXIT_NOTIFY);
		arm(n);
		CHECK_EQ(close(g->fd), 0);
		came = disarm();
		close(fd);
		g = make_guest(nothing);	/* slot 256 is free again */
		passes(g);
		end_guest(g);
	}
}
