// SPDX-License-Identifier: GPL-2.0
/*
 * A shared folder, from the ring to its server's answer: it begins empty but for two files and a folder, and what
 * lies beside it must still be the same at the end.  L10, K10.
 */
#include <ftw.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "devices/share/share.h"
#include "guest.h"

static char place[] = "/tmp/lguest-fuzz-XXXXXX";
static char folder[64], beside[64];
static struct share *share;

void confine_process(void)
{
}

/* The server is no process here, but a function. */
const char *share_start(struct share_link *link, const struct share_settings *settings)
{
	share = calloc(1, sizeof(*share));
	must(share);
	share->proc = -1;
	pthread_mutex_init(&link->lock, NULL);
	link->window = mmap(NULL, sizeof(*link->window), PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	must(link->window != MAP_FAILED);
	return share_open(share, settings->folder);
}

bool share_exchange(struct share_link *link, const struct share_ask *ask,
		    struct share_answer *answer)
{
	share_answer(share, link->window, ask, answer);
	must(!ask->out_size ||
	     (answer->written <= ask->in_size && answer->rule < SHARE_RULES));
	return true;
}

static int delete_one(const char *name, const struct stat *status, int type, struct FTW *where)
{
	(void)status, (void)type;
	if (where->level)
		remove(name);
	return 0;
}

static void put_file(const char *name, const char *text)
{
	int fd = openat(share->root, name, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);

	must(fd >= 0 && write(fd, text, strlen(text)) > 0);
	close(fd);
}

static void clean(void)
{
	nftw(folder, delete_one, 16, FTW_DEPTH | FTW_PHYS);
}

static void at_end(void)
{
	clean();
	rmdir(folder);
	unlink(beside);
	rmdir(place);
}

static void begin(void)
{
	struct rlimit small = { 1 << 20, 1 << 20 };
	int fd;

	guest_memory();
	umask(0);
	signal(SIGXFSZ, SIG_IGN);
	must(mkdtemp(place));
	snprintf(folder, sizeof(folder), "%s/share", place);
	snprintf(beside, sizeof(beside), "%s/beside", place);
	must(!mkdir(folder, 0755));
	fd = open(beside, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	must(fd >= 0);
	close(fd);
	setrlimit(RLIMIT_FSIZE, &small);
	atexit(at_end);
	guest_begin(share_create(folder));
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	struct stat status;

	if (!device)
		begin();
	put_file("a", "some text");
	put_file("b", "more of it");
	must(!mkdirat(share->root, "d", 0755));
	must(!symlinkat("../beside", share->root, "l"));
	guest_run(bytes, size);
	nodes_reset(share);
	clean();
	must(!stat(beside, &status) && !status.st_size && (status.st_mode & 0777) == 0600);
	return 0;
}
