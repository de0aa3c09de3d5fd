// SOURCES: launcher/devices/share/share_link.c launcher/devices/share/share_process.c launcher/devices/share/share_server.c launcher/devices/share/share.c launcher/devices/share/share_root.c launcher/devices/share/share_request.c launcher/devices/share/share_body.c launcher/devices/share/share_nodes.c launcher/devices/share/share_names.c launcher/devices/share/share_files.c launcher/devices/share/share_folders.c launcher/devices/share/share_attributes.c launcher/devices/share/hidden.c launcher/devices/virtio/virtqueue.c launcher/jail/landlock.c launcher/jail/fixed.c launcher/hardware/memory.c launcher/message.c launcher/terminal.c
// LIBS: -pthread
// SPDX-License-Identifier: GPL-2.0
/*
 * The link between a machine and the server of a share: each end in turn is one that
 * somebody broke into.  L8, L10.
 */
#define _GNU_SOURCE 1
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "devices/share/share.h"
#include "devices/virtio/virtio.h"
#include "jail/confine.h"
#include "lguest.h"

static char place[64], folder[80];
static struct share_link linked;

/* Nothing frees what lives as long as the launcher. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
	return "detect_leaks=0";
}

bool confine_thread(enum thread_kind kind)
{
	(void)kind;
	return true;
}

void confine_process(void)
{
}

static void write_file(const char *name, const char *text)
{
	FILE *file = fopen(name, "w");

	assert_non_null(file);
	fputs(text, file);
	fclose(file);
}

static int setup(void **state)
{
	(void)state;
	strcpy(place, "/tmp/lguest-link-XXXXXX");
	if (!mkdtemp(place))
		return -1;
	snprintf(folder, sizeof(folder), "%s/shared", place);
	if (mkdir(folder, 0755) || chdir(folder))
		return -1;
	write_file("file", "hello");
	write_file("../secret", "secret");
	return 0;
}

static int teardown(void **state)
{
	char command[100];

	(void)state;
	if (linked.socket > 0)
		close(linked.socket);
	munmap(linked.window, sizeof(*linked.window));
	memset(&linked, 0, sizeof(linked));
	snprintf(command, sizeof(command), "rm -rf %s", place);
	return chdir("/") || system(command);
}

static uint8_t request[SHARE_PART_MOST + 4096], answer[SHARE_PART_MOST + 4096];
static const char *rule;

/* Gives the error in the answer's header; 1: there was none. */
static int ask(size_t size, size_t room)
{
	const struct fuse_out_header *out = (void *)answer;
	struct chain chain = {
		.out_parts = 2, .in_parts = 1, .out_size = size, .in_size = room,
		.parts = { { request, 40 }, { request + 40, size - 40 }, { answer, room } },
	};
	uint32_t got;

	if (size < 40) {
		chain.parts[0].iov_len = size;
		chain.parts[1].iov_len = 0;
	}
	memset(answer, 0xee, sizeof(answer));
	rule = NULL;
	got = share_link_request(&linked, &chain, &rule);
	if (got == VIRTIO_BAD) {
		assert_non_null(rule);
		return 1;
	}
	assert_null(rule);
	assert_in_range(got, 0, room);
	assert_int_equal(answer[room], 0xee);
	return got < sizeof(*out) || out->unique != 77 ? 1 : out->error;
}

static size_t make(uint32_t opcode, uint64_t node, const void *more, size_t size)
{
	struct fuse_in_header in = {
		.len = sizeof(in) + size, .opcode = opcode, .unique = 77, .nodeid = node,
	};

	memcpy(request, &in, sizeof(in));
	memcpy(request + sizeof(in), more, size);
	return sizeof(in) + size;
}

static const void *body(void)
{
	return answer + sizeof(struct fuse_out_header);
}

static void start(bool read_only)
{
	const struct share_settings settings = { .folder = folder, .read_only = read_only };
	struct fuse_init_in in = {
		.major = FUSE_KERNEL_VERSION, .minor = FUSE_KERNEL_MINOR_VERSION,
	};

	assert_null(share_start(&linked, &settings));
	assert_int_equal(ask(make(FUSE_INIT, 0, &in, sizeof(in)), 4096), 0);
}

static uint64_t look_up(const char *name)
{
	if (ask(make(FUSE_LOOKUP, 1, name, strlen(name) + 1), 4096))
		return 0;
	return ((const struct fuse_entry_out *)body())->nodeid;
}

static void test_server(void **state)
{
	struct fuse_open_in open_in = { .flags = O_RDWR };
	struct fuse_write_in write_in = { .size = SHARE_DATA_MOST };
	struct fuse_read_in read_in = { .size = SHARE_DATA_MOST };
	size_t head = sizeof(struct fuse_in_header) + sizeof(write_in), i, n;
	uint64_t node;

	(void)state;
	start(false);
	assert_int_equal(look_up("none"), 0);
	node = look_up("file");
	assert_int_not_equal(node, 0);
	assert_int_equal(ask(make(FUSE_OPEN, node, &open_in, sizeof(open_in)), 4096), 0);
	write_in.fh = read_in.fh = ((const struct fuse_open_out *)body())->fh;
	make(FUSE_WRITE, node, &write_in, sizeof(write_in));
	((struct fuse_in_header *)request)->len = head + SHARE_DATA_MOST;
	for (i = 0; i < SHARE_DATA_MOST; i++)
		request[head + i] = i * 7 + (i >> 12);
	assert_int_equal(ask(head + SHARE_DATA_MOST, 4096), 0);
	assert_int_equal(((const struct fuse_write_out *)body())->size, SHARE_DATA_MOST);
	n = make(FUSE_READ, node, &read_in, sizeof(read_in));
	assert_int_equal(ask(n, sizeof(struct fuse_out_header) + SHARE_DATA_MOST), 0);
	assert_memory_equal(body(), request + head, SHARE_DATA_MOST);
	assert_int_equal(ask(12, 4096), 1);
	assert_string_equal(rule, "a file request has no header");
	assert_int_equal(ask(make(FUSE_GETATTR, 1, request, 16), 8), 1);
	assert_string_equal(rule, "a file request has no room for its answer");
	/* More than fits into the window comes back, and the server does not hear of it. */
	assert_int_equal(ask(SHARE_PART_MOST + 1, 4096), -EIO);
	assert_int_not_equal(look_up("file"), 0);
}

/* A program of ours in the place of share_start()'s. */
static pid_t broken(void (*act)(int socket, struct share_window *window))
{
	int ends[2];
	pid_t child;

	linked.folder = "broken";
	pthread_mutex_init(&linked.lock, NULL);
	linked.window = mmap(NULL, sizeof(*linked.window), PROT_READ | PROT_WRITE,
			     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends), 0);
	child = fork();
	if (!child) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		close(ends[0]);
		act(ends[1], linked.window);
		_exit(0);
	}
	close(ends[1]);
	linked.socket = ends[0];
	return child;
}

static const struct share_answer lies[] = {
	{ 4097, 0 }, { UINT32_MAX, 0 }, { 0, SHARE_RULES }, { 0, UINT32_MAX }, { 1, 1 },
	{ UINT32_MAX, 2 },
};
static unsigned int lie;

static void tell_lie(int socket, struct share_window *window)
{
	struct share_ask heard;

	memset(window, 0xff, sizeof(*window));
	if (read(socket, &heard, sizeof(heard)) == sizeof(heard) &&
	    write(socket, &lies[lie], sizeof(lies[lie])) > 0)
		pause();
}

static unsigned int length;

static void answer_short(int socket, struct share_window *window)
{
	static const char bytes[64];
	struct share_ask heard;

	memset(window, 0xff, sizeof(*window));
	if (read(socket, &heard, sizeof(heard)) == sizeof(heard) &&
	    write(socket, bytes, length) > 0)
		pause();
}

static void end_at_once(int socket, struct share_window *window)
{
	(void)socket, (void)window;
}

/* It is heard once, and the guest has errors instead of a folder. */
static void assert_gone(pid_t child)
{
	size_t size = make(FUSE_GETATTR, 1, request, sizeof(struct fuse_getattr_in));
	const struct fuse_out_header *out = (void *)answer;

	assert_int_equal(ask(size, 4096), -EIO);
	assert_int_equal(linked.socket, -1);
	assert_int_equal(out->error, -EIO);
	assert_int_equal(ask(make(FUSE_GETATTR, 1, request, 16), 4096), -EIO);
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	munmap(linked.window, sizeof(*linked.window));
}

static void test_broken_server(void **state)
{
	static const unsigned int lengths[] = { 1, 4, 7 };

	(void)state;
	for (lie = 0; lie < sizeof(lies) / sizeof(lies[0]); lie++)
		assert_gone(broken(tell_lie));
	for (unsigned int i = 0; i < 3; i++) {
		length = lengths[i];
		assert_gone(broken(answer_short));
	}
	assert_gone(broken(end_at_once));
}

static bool alive(void)
{
	const struct share_ask good = {
		.out_size = make(FUSE_GETATTR, 1, request, 16), .in_size = 4096,
	};
	struct share_answer got;

	memcpy(linked.window->out, request, good.out_size);
	return share_exchange(&linked, &good, &got);
}

/* The other end ends at what a machine never says, and touches nothing beyond. */
static void test_broken_machine(void **state)
{
	static const struct share_ask bad[] = {
		{ .out_size = SHARE_PART_MOST + 1, .in_size = 16 },
		{ .out_size = 16, .in_size = SHARE_PART_MOST + 1 },
		{ .out_size = UINT32_MAX, .in_size = UINT32_MAX },
	};
	struct share_ask longer = { .forgets = SHARE_FORGETS_MOST + 1 };
	struct share_answer got;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		start(false);
		assert_true(alive());
		assert_false(share_exchange(&linked, &bad[i], &got));
		assert_false(alive());
		close(linked.socket);
		munmap(linked.window, sizeof(*linked.window));
	}
	for (i = 0; i < 3; i++) {	/* more forgets than there may be, and than there are */
		start(false);
		longer.forgets = i ? i * SHARE_FORGETS_MOST : SHARE_FORGETS_MOST + 1;
		assert_int_equal(send(linked.socket, &longer, SHARE_ASK_SIZE(i), 0), SHARE_ASK_SIZE(i));
		assert_int_equal(read(linked.socket, &got, sizeof(got)), 0);
		close(linked.socket);
		munmap(linked.window, sizeof(*linked.window));
	}
	start(false);
	assert_int_equal(send(linked.socket, "short", 5, 0), 5);
	assert_int_equal(read(linked.socket, &got, sizeof(got)), 0);
}

/* Whatever lies in the window: the server goes on, and gives no more than there is room. */
static void test_any_request(void **state)
{
	unsigned int seed = 7, round, i;
	struct share_answer got;

	(void)state;
	start(false);
	for (round = 0; round < 3000; round++) {
		struct share_ask odd = {
			.out_size = 1 + rand_r(&seed) % 300, .in_size = rand_r(&seed) % 300,
		};
		struct fuse_in_header *in = (void *)linked.window->out;

		for (i = 0; i < 300; i++)
			linked.window->out[i] = rand_r(&seed) % 4 ? 0 : rand_r(&seed);
		in->opcode = rand_r(&seed) % 54;
		in->nodeid = rand_r(&seed) % 3;
		in->len = odd.out_size;
		assert_true(share_exchange(&linked, &odd, &got));
		assert_in_range(got.written, 0, odd.in_size);
		assert_in_range(got.rule, 0, SHARE_RULES - 1);
	}
	assert_int_equal(access("../secret", F_OK), 0);
}

static void forget(uint64_t node)
{
	const struct fuse_forget_in in = { .nlookup = 1 };

	assert_int_equal(ask(make(FUSE_FORGET, node, &in, sizeof(in)), 4096), 1);
}

/* How a server of ours counts: at the end of the window, where no answer comes. */
static struct tally {
	unsigned int notes, forgets, answers;
} *tally(struct share_window *window)
{
	return (struct tally *)(window->in + SHARE_PART_MOST - 4096);
}

static void count_notes(int socket, struct share_window *window)
{
	struct share_answer empty = { .written = 0 };
	struct share_ask heard;

	while (read(socket, &heard, sizeof(heard)) > 0) {
		tally(window)->notes++;
		tally(window)->forgets += heard.forgets;
		tally(window)->answers += !!heard.out_size;
		if (heard.out_size && write(socket, &empty, sizeof(empty)) < 0)
			break;
	}
}

/* What it has heard when it ends. */
static void assert_heard(pid_t child, unsigned int notes, unsigned int forgets,
			 unsigned int answers)
{
	close(linked.socket);
	waitpid(child, NULL, 0);
	assert_int_equal(tally(linked.window)->notes, notes);
	assert_int_equal(tally(linked.window)->forgets, forgets);
	assert_int_equal(tally(linked.window)->answers, answers);
	munmap(linked.window, sizeof(*linked.window));
	memset(&linked, 0, sizeof(linked));
}

/*
 * What it costs, in notes over the socket, each a change of process at the worst: exactly
 * one, and its answer, for a request; none for what is forgotten, but one for each 64 of it.
 */
static void test_notes(void **state)
{
	pid_t child = broken(count_notes);
	unsigned int i;

	(void)state;
	for (i = 0; i < 1000; i++) {	/* as `rm -r` does */
		ask(make(FUSE_LOOKUP, 1, "file", 5), 4096);
		ask(make(FUSE_UNLINK, 1, "file", 5), 4096);
		forget(i + 2);
	}
	share_link_forget(&linked);
	share_link_forget(&linked);
	assert_heard(child, 2001, 1000, 2000);
	child = broken(count_notes);
	for (i = 0; i < 1000; i++)	/* as a kernel that is short of memory */
		forget(i + 2);
	share_link_forget(&linked);
	assert_heard(child, 1000 / SHARE_FORGETS_MOST + 1, 1000, 0);
}

/* A server that hears nothing at all holds up nobody who forgets. */
static void test_forget_waits_for_none(void **state)
{
	pid_t child = broken(count_notes);
	unsigned int i;

	(void)state;
	kill(child, SIGSTOP);
	for (i = 0; i < 5 * SHARE_FORGETS_MOST; i++)
		forget(i + 2);
	share_link_forget(&linked);
	kill(child, SIGCONT);
	assert_heard(child, 5, 5 * SHARE_FORGETS_MOST, 0);
}

static int get_attributes(uint64_t node)
{
	return ask(make(FUSE_GETATTR, node, request, sizeof(struct fuse_getattr_in)), 4096);
}

/* It is forgotten before what is asked next, or when nothing is. */
static void test_forgotten(void **state)
{
	uint64_t node;

	(void)state;
	start(false);
	node = look_up("file");
	assert_int_equal(get_attributes(node), 0);
	forget(node);
	assert_int_equal(get_attributes(node), -ESTALE);
	node = look_up("file");
	look_up("file");
	forget(node);
	share_link_forget(&linked);
	assert_int_equal(get_attributes(node), 0);
	forget(node);
	share_link_forget(&linked);
	assert_int_equal(get_attributes(node), -ESTALE);
	/* Nonsense is passed over: too short, and with a length that is not its own. */
	node = look_up("file");
	assert_int_equal(ask(make(FUSE_FORGET, node, request, 4), 4096), 1);
	make(FUSE_FORGET, node, &(struct fuse_forget_in){ 1 }, 8);
	assert_int_equal(ask(sizeof(struct fuse_in_header) + 7, 4096), 1);
	assert_int_equal(linked.ask.forgets, 0);
	assert_int_equal(get_attributes(node), 0);
}

static void test_start(void **state)
{
	const struct share_settings settings = { .folder = "/proc" };
	const struct share_settings none = { .folder = "/nowhere" };

	(void)state;
	assert_string_equal(share_start(&linked, &settings),
			    "it is an interface of the kernel, not a folder of files");
	assert_string_equal(share_start(&linked, &none), "No such file or directory");
}

/* As root it sees the folder, and nothing else. */
static void test_root(void **state)
{
	struct stat status;
	pid_t child;
	int end;

	(void)state;
	if (geteuid()) {
		print_message("# not root: names lead out, and filters see to it\n");
		return;
	}
	child = fork();
	if (!child) {
		int proc = share_enter();

		if (proc < 0)
			_exit(77);	/* in a container without the right to mount */
		_exit(!stat("/tmp", &status) || !stat("../secret", &status) ||
		      stat("/file", &status) ||
		      !fstatat(proc, "../status", &status, 0) ||
		      !fstatat(proc, "../../1/root", &status, 0));
	}
	waitpid(child, &end, 0);
	if (WEXITSTATUS(end) == 77)
		print_message("# root may not mount here\n");
	else
		assert_int_equal(end, 0);
	assert_int_equal(stat("/tmp", &status), 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_start), TEST(test_server), TEST(test_broken_server),
		TEST(test_broken_machine), TEST(test_any_request), TEST(test_root),
		TEST(test_notes), TEST(test_forget_waits_for_none), TEST(test_forgotten),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests_name("share link", tests, NULL, NULL);
}
