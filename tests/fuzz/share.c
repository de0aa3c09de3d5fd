// SPDX-License-Identifier: GPL-2.0
/*
 * The link between a machine and the server of a share, from both ends: a machine that
 * asks what it likes, and changes the window afterwards; and a server that answers so.
 * L8, L10.
 */
#include <ftw.h>
#include <linux/fuse.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "devices/share/share.h"
#include "devices/virtio/virtio.h"
#include "fuzz.h"

static struct input *in;
static char folder[] = "/tmp/lguest-fuzz-XXXXXX";
static struct share *share;
static struct share_window *window;

static int delete_one(const char *name, const struct stat *status, int type, struct FTW *where)
{
	(void)status, (void)type, (void)where;
	return remove(name);
}

static void at_end(void)
{
	nftw(folder, delete_one, 16, FTW_DEPTH | FTW_PHYS);
}

static void begin(void)
{
	be_silent();
	signal(SIGXFSZ, SIG_IGN);
	setrlimit(RLIMIT_FSIZE, &(struct rlimit){ 1 << 20, 1 << 20 });
	must(mkdtemp(folder));
	atexit(at_end);
	share = calloc(1, sizeof(*share));
	window = mmap(NULL, sizeof(*window), PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	must(share && window != MAP_FAILED);
	share->proc = -1;
	must(!share_open(share, folder));
}

const char *share_start(struct share_link *link, const struct share_settings *settings)
{
	(void)link, (void)settings;
	return "there is none";
}

/* A server that somebody broke into. */
bool share_exchange(struct share_link *link, const struct share_ask *ask,
		    struct share_answer *answer)
{
	const uint8_t *bytes;
	size_t size;

	must(ask->out_size <= SHARE_PART_MOST && ask->in_size <= SHARE_PART_MOST);
	must(ask->forgets <= SHARE_FORGETS_MOST);
	if (!ask->out_size)
		return take(in, 1) % 8;
	size = take(in, 1);
	bytes = take_bytes(in, &size);
	memcpy(link->window->in, bytes, size);
	answer->written = take(in, take(in, 1) & 1 ? 4 : 1);
	answer->rule = take(in, 1);
	return take(in, 1) % 8;
}

static void ask_as_guest(void)
{
	struct share_link link = { .folder = folder, .socket = dup(0), .window = window,
				   .lock = PTHREAD_MUTEX_INITIALIZER };
	size_t size = take(in, 1), room = take(in, 1);
	const uint8_t *bytes = take_bytes(in, &size);
	uint8_t *out = malloc(size + 1), *back = malloc(room + 1);
	struct chain chain = {
		.out_parts = size > 0, .in_parts = room > 0, .out_size = size, .in_size = room,
	};
	const char *rule = NULL;
	uint32_t written;

	memcpy(out, bytes, size);
	link.ask.forgets = size % SHARE_FORGETS_MOST;
	*chain_out(&chain) = (struct iovec){ out, size };
	*chain_in(&chain) = (struct iovec){ back, room };
	written = share_link_request(&link, &chain, &rule);
	must(written == VIRTIO_BAD ? !!rule : written <= room);
	share_link_forget(&link);
	must(!link.ask.forgets);
	if (link.socket >= 0)
		close(link.socket);
	free(out);
	free(back);
}

/* A machine that somebody broke into; what share_serve() refuses does not come here. */
static void ask_as_machine(void)
{
	struct share_ask ask = { .out_size = take(in, 1), .in_size = take(in, 2) };
	struct fuse_in_header header;
	struct share_answer answer;
	size_t size = ask.out_size;
	const uint8_t *bytes = take_bytes(in, &size);

	memset(window->out, 0, ask.out_size);
	memcpy(window->out, bytes, size);
	if (size > sizeof(header)) {	/* mostly it is a request at all */
		memcpy(&header, bytes, sizeof(header));
		header.len = ask.out_size;
		header.opcode %= 64;
		header.nodeid %= 4;
		memcpy(window->out, &header, sizeof(header));
	}
	/* A long request is also taken for what was forgotten before it. */
	ask.forgets = size / 32;
	memcpy(ask.forget, bytes, ask.forgets * sizeof(ask.forget[0]));
	share_answer(share, window, &ask, &answer);
	must(!ask.out_size || (answer.written <= ask.in_size && answer.rule < SHARE_RULES));
	must(!ask.out_size || !answer.rule || !answer.written);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	struct input all = { bytes, size };

	in = &all;
	if (!share)
		begin();
	while (in->left)
		if (take(in, 1) & 1)
			ask_as_guest();
		else
			ask_as_machine();
	nodes_reset(share);
	return 0;
}
