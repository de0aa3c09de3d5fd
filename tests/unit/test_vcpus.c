// SOURCES: launcher/machine/machine.c launcher/machine/line.c launcher/machine/threads.c launcher/machine/stats.c launcher/machine/vcpu.c launcher/debugger/gdb.c launcher/debugger/gdb_packet.c launcher/debugger/gdb_commands.c launcher/debugger/gdb_memory.c launcher/control/wire.c launcher/hardware/host.c launcher/hardware/guest.c launcher/hardware/vcpus.c launcher/hardware/hold.c launcher/hardware/console.c launcher/hardware/emulate.c launcher/hardware/decode.c launcher/hardware/mmio.c launcher/hardware/memory.c launcher/io.c launcher/message.c launcher/terminal.c
// CFLAGS: -fno-sanitize=address -fsanitize=thread -Wno-tsan -Wl,--wrap=pread,--wrap=pwrite,--wrap=pthread_setattr_default_np
// SPDX-License-Identifier: GPL-2.0
/*
 * Machines with several vCPUs, whose Host is ours, under ThreadSanitizer: what each of their
 * threads asks for is what it may, whatever they do at once; and pause, a debugger, a full
 * host and every way to end reach them all.  The Host is strict: registers are for a vCPU's
 * own thread, lines for vCPU 0.  L1, L7.
 */
#define _GNU_SOURCE 1
#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

#include "control/wire.h"
#include "debugger/gdb.h"
#include "debugger/gdb_packet.h"
#include "hardware/host.h"
#include "hardware/mmio.h"
#include "jail/confine.h"
#include "lguest.h"
#include "machine/machine.h"
#include "no_devices.h"

#define FD	77		/* of the Host that is ours */
#define RAM	(16ULL << 20)
#define PAGE_OF(port)	(0x5000ULL + (port) * 0x1000)
#define CODE	0x9000ULL	/* where a breakpoint can be */
#define HLT	0xf4

const char *__tsan_default_options(void);
const char *__tsan_default_options(void)
{
	return "halt_on_error=1:exitcode=66:report_thread_leaks=0:atexit_sleep_ms=0";
}

/* ---- what is no part of this */

void confine_process(void) { }

/* ---- what parent and machine both see */

static struct shared {
	atomic_uint inside;		/* vCPUs in the Host */
	atomic_uint runs[LGUEST_VCPUS];	/* times that they came out by themselves */
	atomic_uint confined;		/* vCPUs' threads */
	atomic_bool begun;		/* a vCPU has been run */
	char names[LGUEST_VCPUS][16];
	atomic_int number;		/* for a test */
} *shared;

/* ---- the Host, and its guest, in the machine's process */

static struct machine machine;
static unsigned int allowed;		/* vCPUs that the Host gives */
static int refusal;

static struct fake {
	pid_t owner;
	struct user_regs_struct regs;
	int armed;			/* offset + 1 of a GETREG */
	bool step;
	unsigned int turn;
} fakes[LGUEST_VCPUS];
static atomic_uint made = 1;
static atomic_int dead;			/* an errno */
static const char *reason = "POWEROFF: bye";
static pthread_mutex_t guests_lock = PTHREAD_MUTEX_INITIALIZER;

/* What the guest does on a vCPU: 0 and a record, or an errno. */
static int (*program)(unsigned int vcpu, struct lguest_exit *exit);

#define must(truth) do {						\
	if (!(truth)) {							\
		dprintf(20, "line %d: %s\n", __LINE__, #truth);		\
		_exit(98);						\
	}								\
} while (0)

bool confine_thread(enum thread_kind kind)
{
	if (kind == THREAD_VCPU) {
		must(!shared->begun);	/* before the guest's first instruction */
		prctl(PR_GET_NAME, shared->names[host_vcpu()]);
		shared->confined++;
	}
	return true;
}

static int rest(unsigned int us)
{
	struct timespec time = { 0, us * 1000 };

	return nanosleep(&time, NULL) ? -EINTR : 0;
}

static int die(int error)
{
	atomic_store(&dead, error);
	return -error;
}

static int run(unsigned int vcpu, struct lguest_exit *exit)
{
	int error;

	must(fakes[vcpu].owner == gettid());
	if (dead)
		return -dead;
	/* The others WAIT for vCPU 0 to let them go. */
	if (vcpu && !shared->begun)
		return rest(900) ?: -EINTR;
	shared->begun = true;
	shared->inside++;
	memset(exit, 0, sizeof(*exit));
	error = program(vcpu, exit);
	if (dead)
		error = -dead;
	else if (!error && !exit->kind)
		error = -EINTR;
	shared->inside--;
	if (!error)
		shared->runs[vcpu]++;
	return error;
}

/* ThreadSanitizer's threads need more; and it shall be heard. */
int __wrap_pthread_setattr_default_np(const pthread_attr_t *attributes);
int __wrap_pthread_setattr_default_np(const pthread_attr_t *attributes)
{
	(void)attributes;
	return dup2(20, STDERR_FILENO) < 0;
}

ssize_t __real_pread(int fd, void *to, size_t size, off_t at);
ssize_t __wrap_pread(int fd, void *to, size_t size, off_t at);
ssize_t __wrap_pread(int fd, void *to, size_t size, off_t at)
{
	struct fake *fake = &fakes[at & (LGUEST_VCPUS - 1)];
	int error;

	if (fd != FD)
		return __real_pread(fd, to, size, at);
	must(at >= 0 && at < made);
	must(fake->owner == gettid());
	if (fake->armed) {
		must(size == 8);
		memset(to, 0xff, 8);	/* CR3: linear */
		if (fake->armed - 1 < (int)sizeof(fake->regs))
			memcpy(to, (char *)&fake->regs + fake->armed - 1, 8);
		fake->armed = 0;
		return 8;
	}
	if (size != sizeof(struct lguest_exit)) {
		must(dead == ENOENT && at == 0);
		return snprintf(to, size, "%s", reason) + 1;
	}
	error = run(at, to);
	errno = -error;
	return error ? -1 : (ssize_t)size;
}

static int make(unsigned int vcpu)
{
	if (vcpu >= allowed)
		return refusal;
	must(vcpu == made && vcpu < LGUEST_VCPUS);
	fakes[vcpu].owner = gettid();
	made = vcpu + 1;
	return 0;
}

static int request(const uint64_t *words, unsigned int vcpu)
{
	struct fake *fake = &fakes[vcpu];

	switch (words[0]) {
	case LHREQ_INITIALIZE:
		fakes[0].owner = gettid();
		return 0;
	case LHREQ_VCPU:
		return make(vcpu);
	case LHREQ_IRQ:
		must(vcpu == 0);
		return 0;
	case LHREQ_GETREG:
		must(fake->owner == gettid());
		fake->armed = words[1] + 1;
		return 0;
	case LHREQ_SETREG:
		must(fake->owner == gettid());
		memcpy((char *)&fake->regs + words[1], &words[2], 8);
		return 0;
	case LHREQ_STEP:
		fake->step = words[1];
		return 0;
	default:
		must(!"a request");
	}
	return 0;
}

ssize_t __real_pwrite(int fd, const void *from, size_t size, off_t at);
ssize_t __wrap_pwrite(int fd, const void *from, size_t size, off_t at);
ssize_t __wrap_pwrite(int fd, const void *from, size_t size, off_t at)
{
	int error;

	if (fd != FD)
		return __real_pwrite(fd, from, size, at);
	error = request(from, at);
	errno = -error;
	return error ? -1 : (ssize_t)size;
}

/* ---- the machine's process, and ours as its supervisor */

static int talk, output;
static pid_t child;

static void be_machine(unsigned int vcpus, bool gdb, const struct machine_wires *wires)
{
	struct guest *guest = &machine.guest;
	struct lguest_console *page;
	unsigned int i;

	alarm(60);
	dup2(STDERR_FILENO, 20);
	machine_begin(&machine, wires);
	guest->fd = FD;
	must(memory_create(&guest->memory, RAM));
	console_init(&guest->console, &guest->memory);
	vcpus_init(&guest->vcpus, vcpus);
	for (i = 0; i < LGUEST_CONSOLE_PORTS; i++) {
		page = memory_at(&guest->memory, GPA(PAGE_OF(i)), 4096);
		page->magic = LGUEST_CONSOLE_MAGIC;
		page->port = i;
	}
	if (gdb)
		machine_expect_debugger(&machine, true);
	machine_live(&machine);
	exit(0);
}

static void start_with(unsigned int vcpus, bool gdb,
		       int (*does)(unsigned int vcpu, struct lguest_exit *exit))
{
	int wires[2], out[2];

	program = does;
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, wires), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, out), 0);
	fflush(NULL);
	child = fork();
	assert_true(child >= 0);
	if (!child) {
		const struct machine_wires birth = { wires[1], out[1] };

		close(wires[0]);
		close(out[0]);
		be_machine(vcpus, gdb, &birth);
	}
	close(wires[1]);
	close(out[1]);
	talk = wires[0];
	output = out[0];
}

static void start(unsigned int vcpus, int (*does)(unsigned int vcpu, struct lguest_exit *exit))
{
	start_with(vcpus, false, does);
}

/* The next message of this kind; what it printed is text, its lines are said. */
static char text[400000], said[8192];
static size_t text_size;

static void take_output(int flags)
{
	static struct wire_message message;
	ssize_t size;

	while ((size = recv(output, &message, sizeof(message), flags)) > 0) {
		size -= WIRE_HEADER;
		assert_true(text_size + size < sizeof(text));
		memcpy(text + text_size, message.bytes, size);
		text_size += size;
	}
}

static struct wire_message *hear(enum wire_kind kind)
{
	static struct wire_message message;
	int size;

	do {
		struct pollfd fds[2] = { { talk, POLLIN, 0 }, { output, POLLIN, 0 } };

		assert_true(poll(fds, 2, 20000) > 0);
		take_output(MSG_DONTWAIT);
		message.kind = WIRE_KINDS_COUNT;
		if (!fds[0].revents)
			continue;
		size = wire_hear(talk, &message, true, NULL);
		assert_true(size >= 0);
		message.bytes[size < WIRE_BYTES ? size : WIRE_BYTES - 1] = 0;
		if (message.kind == WIRE_LINE)
			snprintf(said + strlen(said), sizeof(said) - strlen(said), "%s\n",
				 (char *)message.bytes);
	} while (message.kind != kind);
	return &message;
}

static void ask(enum wire_kind kind)
{
	assert_true(wire_say(talk, kind, 0, 0));
	assert_int_equal(hear(kind)->value, 1);
}

static const struct wire_message *finish(void)
{
	const struct wire_message *end = hear(WIRE_ENDED);
	int status;

	take_output(0);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);	/* 66 << 8: ThreadSanitizer has said why */
	close(talk);
	close(output);
	return end;
}

static void until(atomic_uint *number, unsigned int least)
{
	unsigned int i;

	for (i = 0; i < 40000 && *number < least; i++)
		usleep(1000);
	assert_true(*number >= least);
}

static int setup(void **state)
{
	(void)state;
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
		      -1, 0);
	allowed = LGUEST_VCPUS;
	reason = "POWEROFF: bye";
	text_size = 0;
	said[0] = '\0';
	return shared == MAP_FAILED;
}

static int teardown(void **state)
{
	(void)state;
	munmap(shared, sizeof(*shared));
	return 0;
}

/* ---- the tests */

/* As a guest's console does: a lock of its own, and no more than the ring takes. */
static bool guest_prints(unsigned int port, const char *line)
{
	struct lguest_console *page = memory_at(&machine.guest.memory, GPA(PAGE_OF(port)), 4096);
	uint32_t head = page->out_head, size = strlen(line), i;

	if (LGUEST_CONSOLE_OUT - (head - __atomic_load_n(&page->out_tail, __ATOMIC_ACQUIRE)) < size)
		return false;
	for (i = 0; i < size; i++)
		page->out[(head + i) % LGUEST_CONSOLE_OUT] = line[i];
	__atomic_store_n(&page->out_head, head + size, __ATOMIC_RELEASE);
	return true;
}

#define LINES 300

/* All print at once; one of them powers the guest off when all have. */
static int printing(unsigned int vcpu, struct lguest_exit *exit)
{
	static atomic_uint done;
	char line[32];
	bool ok;

	if (fakes[vcpu].turn == LINES)
		return vcpu == 5 && done == made ? die(ENOENT) : rest(500);
	snprintf(line, sizeof(line), "vcpu %u line %u\n", vcpu, fakes[vcpu].turn);
	pthread_mutex_lock(&guests_lock);
	ok = guest_prints(0, line);
	pthread_mutex_unlock(&guests_lock);
	must(!host_irq(FD, 5));		/* as a device does for which we have worked */
	if (ok && ++fakes[vcpu].turn == LINES)
		done++;
	*exit = (struct lguest_exit){ .kind = LGUEST_EXIT_NOTIFY, .value = PAGE_OF(0) };
	return 0;
}

static void all_print(void **state)
{
	unsigned int vcpu, next[LGUEST_VCPUS] = { 0 }, line;
	const char *at;
	char name[16];

	(void)state;
	start(16, printing);
	assert_int_equal(finish()->value, WIRE_END_POWEROFF);
	assert_int_equal(shared->confined, 16);
	for (vcpu = 1; vcpu < 16; vcpu++) {
		snprintf(name, sizeof(name), "vcpu %u", vcpu);
		assert_string_equal(shared->names[vcpu], name);
	}
	text[text_size] = '\0';
	for (at = text; *at; at = strchr(at, '\n') + 1) {
		assert_int_equal(sscanf(at, "vcpu %u line %u\n", &vcpu, &line), 2);
		assert_int_equal(line, next[vcpu]++);
	}
	for (vcpu = 0; vcpu < 16; vcpu++)
		assert_int_equal(next[vcpu], LINES);
}

/* A device with a word, which counts what it is told. */
static pthread_mutex_t word_lock = PTHREAD_MUTEX_INITIALIZER;
static uint64_t word;

static uint64_t read_word(const struct device_memory *device, uint64_t offset, unsigned int width)
{
	uint64_t value;

	must(!offset && width == 4 && device->size == 4096);
	pthread_mutex_lock(&word_lock);
	value = word;
	pthread_mutex_unlock(&word_lock);
	return value;
}

static void write_word(const struct device_memory *device, uint64_t offset, unsigned int width,
		       uint64_t value)
{
	must(!offset && width == 4 && device->size == 4096);
	pthread_mutex_lock(&word_lock);
	word += value;
	pthread_mutex_unlock(&word_lock);
}

static struct device_memory word_device = {
	.start = { RAM }, .size = 4096, .read = read_word, .write = write_word,
};

/* By turns a register is written to the device, read from it, and a port read. */
static const struct lguest_exit accesses[] = {
	{ .kind = LGUEST_EXIT_MMIO, .access = LGUEST_ACCESS_WRITE, .value = RAM,
	  .insn = { 0x89, 0x0f }, .insn_len = 2 },	/* mov %ecx, (%rdi) */
	{ .kind = LGUEST_EXIT_MMIO, .value = RAM,
	  .insn = { 0x8b, 0x1f }, .insn_len = 2 },	/* mov (%rdi), %ebx */
	{ .kind = LGUEST_EXIT_TRAP, .insn = { 0xed }, .insn_len = 1 },	/* in %dx, %eax */
};

static int emulating(unsigned int vcpu, struct lguest_exit *exit)
{
	static atomic_uint done;
	struct fake *fake = &fakes[vcpu];
	unsigned int turn = fake->turn;

	must(fake->regs.rip == turn / 3 * 5 + turn % 3 * 2);
	must(turn < 3 || fake->regs.rax == UINT32_MAX);
	must(turn < 3 || fake->regs.rbx >= turn / 3 * (vcpu + 1));
	if (turn == 3 * LINES) {
		if (!fake->regs.rdx++)
			done++;
		if (vcpu != 3 || done < made)
			return rest(300);
		shared->number = word;
		return die(ENOENT);
	}
	fake->regs.rcx = vcpu + 1;
	*exit = accesses[turn % 3];
	fake->turn++;
	return 0;
}

static void all_emulate(void **state)
{
	(void)state;
	mmio_add(&word_device);
	start(8, emulating);
	assert_int_equal(finish()->value, WIRE_END_POWEROFF);
	assert_int_equal(shared->number, LINES * 8 * 9 / 2);
}

/* Some sleep for long, as in a HALT, others are busy. */
static int working(unsigned int vcpu, struct lguest_exit *exit)
{
	int error = rest(vcpu % 3 ? 50 : 900000);

	*exit = (struct lguest_exit){ .kind = LGUEST_EXIT_NOTIFY, .value = 0x1234 };
	return error;
}

static void pause_and_resume(void **state)
{
	unsigned int i, runs;

	(void)state;
	start(6, working);
	hear(WIRE_BUILT);
	for (i = 0; i < 30; i++) {
		runs = shared->runs[1];
		until(&shared->runs[1], runs + 2);
		ask(WIRE_ASK_PAUSE);
		runs = shared->runs[4];
		assert_int_equal(shared->inside, 0);
		usleep(i % 10 ? 500 : 20000);
		assert_int_equal(shared->inside, 0);
		assert_int_equal(shared->runs[4], runs);
		ask(WIRE_ASK_RESUME);
		until(&shared->runs[4], runs + 1);
	}
	ask(WIRE_ASK_PAUSE);
	wire_say(talk, WIRE_END, 0, 0);
	assert_int_equal(finish()->value, WIRE_END_WISH);
}

/* Every vCPU may be the one that ends the guest, also while others have halted for good. */
static int panicking(unsigned int vcpu, struct lguest_exit *exit)
{
	static atomic_uint halted;
	unsigned int by = shared->number;

	if (vcpu != by && !fakes[vcpu].turn++) {
		halted++;
		*exit = (struct lguest_exit){ .kind = LGUEST_EXIT_TRAP, .insn = { HLT }, .insn_len = 1 };
		return 0;
	}
	must(vcpu == by || dead);	/* it does not go on */
	return halted + 1 < made ? rest(200) : die(shared->number & 1 ? ENOENT : ERESTART);
}

static void the_others_halt(void **state)
{
	unsigned int by;

	(void)state;
	reason = "CRASH: no good";
	for (by = 0; by < 4; by++) {
		shared->number = by;
		shared->begun = false;
		start(4, panicking);
		assert_int_equal(finish()->value, by & 1 ? WIRE_END_CRASH : WIRE_END_RESTART);
	}
}

static int failing(unsigned int vcpu, struct lguest_exit *exit)
{
	(void)exit;
	return vcpu == 3 ? -EPERM : rest(900000);
}

static void one_fails(void **state)
{
	const struct wire_message *end;

	(void)state;
	start(4, failing);
	end = finish();
	assert_int_equal(end->value, WIRE_END_WISH);
	assert_int_equal(end->number, END_CONFINE);
	assert_string_equal(said, "cannot run the guest: /dev/lguest: Operation not permitted; does lg.ko fit this lguest ("
			    LGUEST_VERSION ")?\n");
}

static void the_host_refuses(void **state)
{
	(void)state;
	allowed = 2;
	refusal = -ENOSPC;
	start(4, failing);
	assert_int_equal(finish()->value, WIRE_END_HOST);
	assert_string_equal(said, "run: --cpus: this Host gives a guest 2 vCPUs; -c 2 fits, or let root write more to /sys/module/lg/parameters/vcpus\n");
	assert_false(shared->begun);
	said[0] = '\0';
	allowed = 1;
	refusal = -EINVAL;
	start(2, failing);
	assert_int_equal(finish()->value, WIRE_END_HOST);
	assert_non_null(strstr(said, "knows guests with one vCPU only; load the lg.ko"));
	said[0] = '\0';
	refusal = -ENOMEM;
	start(2, failing);
	assert_int_equal(finish()->value, WIRE_END_HOST);
	assert_non_null(strstr(said, "cannot make vCPU 1: /dev/lguest: Cannot allocate memory; "));
}

/* A device of vCPU 2's finds the host full, time and again. */
static int filling(unsigned int vcpu, struct lguest_exit *exit)
{
	*exit = (struct lguest_exit){ .kind = LGUEST_EXIT_NOTIFY, .value = 0x1234 };
	if (vcpu == 2 && fakes[vcpu].turn++ % 50 == 10)
		guest_hold();
	return rest(100);
}

static void *letting_go(void *argument)
{
	unsigned int runs;

	(void)argument;
	while (!machine.guest.end) {
		usleep(3000);
		if (!guest_held())
			continue;
		while (!vcpus_stand(&machine.guest) && !machine.guest.end)
			guest_still_held();
		runs = shared->runs[1];
		usleep(3000);
		must(runs == shared->runs[1] || machine.guest.end);
		shared->number++;
		guest_let_go();
	}
	return NULL;
}

static int filling_begins(unsigned int vcpu, struct lguest_exit *exit)
{
	static pthread_t thread;

	if (vcpu == 0 && !fakes[0].turn++)
		must(!pthread_create(&thread, NULL, letting_go, NULL));
	return filling(vcpu, exit);
}

static void the_host_is_full(void **state)
{
	unsigned int i;

	(void)state;
	start(4, filling_begins);
	for (i = 0; i < 5; i++) {
		assert_int_equal(hear(WIRE_STANDS)->value, 1);
		assert_int_equal(hear(WIRE_STANDS)->value, 0);
	}
	wire_say(talk, WIRE_END, 0, 0);
	assert_int_equal(finish()->value, WIRE_END_WISH);
	assert_true(shared->number >= 4);
}

/* ---- a debugger */

static int debugger;
static char reply[8192];

static void say(const char *what)
{
	char frame[GDB_FRAME_MOST];
	size_t size = gdb_frame(what, strlen(what), frame);

	assert_int_equal(write(debugger, frame, size), size);
}

static const char *reply_of(void)
{
	static struct gdb_stream stream;
	static char packet[GDB_PACKET_MOST + 1];
	size_t size;

	while (gdb_next(&stream, packet, &size) != GDB_PACKET) {
		ssize_t got = read(debugger, stream.bytes + stream.size,
				   sizeof(stream.bytes) - stream.size);

		assert_true(got > 0);
		stream.size += got;
	}
	snprintf(reply, sizeof(reply), "%s", packet);
	return reply;
}

static const char *gdb(const char *what)
{
	say(what);
	return reply_of();
}

static void bring(void)
{
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	assert_true(wire_hand(talk, WIRE_DEBUGGER, 0, pair[1]));
	close(pair[1]);
	debugger = pair[0];
	assert_string_equal(gdb("QStartNoAckMode"), "OK");
}

/*
 * Code of three instructions, again and again; at the second, CODE + 1, is perhaps a
 * breakpoint.  A step is one of them.
 */
static int coding(unsigned int vcpu, struct lguest_exit *exit)
{
	struct fake *fake = &fakes[vcpu];
	uint8_t byte;
	int error = rest(30);

	if (error)
		return error;
	if (!fake->regs.rip)
		fake->regs.rip = CODE;
	must(memory_read(&machine.guest.memory, GPA(fake->regs.rip), &byte, 1));
	if (byte == HLT) {
		*exit = (struct lguest_exit){ .kind = LGUEST_EXIT_TRAP, .insn = { HLT }, .insn_len = 1 };
		return 0;
	}
	fake->regs.rip = fake->regs.rip == CODE + 2 ? CODE : fake->regs.rip + 1;
	exit->kind = LGUEST_EXIT_STEP;
	if (!fake->step) {
		exit->kind = LGUEST_EXIT_NOTIFY;
		exit->value = 0x1234;
	}
	fake->step = false;
	return 0;
}

static unsigned int thread_of(const char *stop, const char *kind)
{
	unsigned int thread;
	char form[32];

	snprintf(form, sizeof(form), "%sthread:%%x;", kind);
	if (sscanf(stop, form, &thread) != 1)
		fail_msg("no stop: %s", stop);
	return thread;
}

static void nobody_moves(void)
{
	unsigned int before[4], i;

	assert_int_equal(shared->inside, 0);
	for (i = 0; i < 4; i++)
		before[i] = shared->runs[i];
	usleep(2000);
	for (i = 0; i < 4; i++)
		assert_int_equal(shared->runs[i], before[i]);
}

static uint64_t rip_of(unsigned int thread)
{
	char what[16];
	uint64_t rip = 0;

	snprintf(what, sizeof(what), "Hg%x", thread);
	assert_string_equal(gdb(what), "OK");
	gdb("p10");
	assert_true(gdb_bytes(reply, &rip, 8));
	return rip;
}

/* One instruction of this thread's, and of none else's. */
static void step(unsigned int thread)
{
	unsigned int before[4], i;
	uint64_t rip = rip_of(thread);
	char what[32];

	for (i = 0; i < 4; i++)
		before[i] = shared->runs[i];
	snprintf(what, sizeof(what), "vCont;s:%x;c", thread);
	assert_int_equal(thread_of(gdb(what), "T05"), thread);
	for (i = 0; i < 4; i++)
		assert_int_equal(shared->runs[i], before[i] + (i + 1 == thread));
	assert_int_equal(rip_of(thread), rip == CODE + 2 ? CODE : rip + 1);
	nobody_moves();
}

static void a_debugger(void **state)
{
	unsigned int i, thread, seen = 0;
	char what[32];

	(void)state;
	start_with(4, true, coding);
	hear(WIRE_BUILT);
	bring();
	assert_string_equal(gdb("qfThreadInfo"), "m1,2,3,4");
	nobody_moves();
	assert_int_equal(shared->runs[0], 0);	/* not an instruction */
	say("vCont;c");
	until(&shared->runs[3], 5);
	for (i = 0; i < 20; i++) {
		until(&shared->runs[i % 4], shared->runs[i % 4] + 3);
		assert_int_equal(write(debugger, "\x03", 1), 1);
		assert_int_equal(thread_of(reply_of(), "T02"), 1);
		nobody_moves();
		for (thread = 1; thread <= 4; thread++)
			assert_true(rip_of(thread) - CODE < 3);
		step(i % 4 + 1);
		step((i + 1) % 4 + 1);
		say("vCont;c");
	}
	/* At one go: it is still heard. */
	assert_int_equal(write(debugger, "\x03$vCont;c#a8\x03", 13), 13);
	thread_of(reply_of(), "T02");
	thread_of(reply_of(), "T02");
	snprintf(what, sizeof(what), "Z0,%llx,1", CODE + 1);
	assert_string_equal(gdb(what), "OK");
	/* All come to it; each is told by itself, and can be let past it. */
	for (i = 0; i < 40; i++) {
		thread = thread_of(gdb("vCont;c"), "T05");
		seen |= 1 << thread;
		assert_int_equal(rip_of(thread), CODE + 1);
		nobody_moves();
		*what = 'z';
		assert_string_equal(gdb(what), "OK");
		step(thread);
		*what = 'Z';
		assert_string_equal(gdb(what), "OK");
	}
	assert_int_equal(seen, 0x1e);
	ask(WIRE_ASK_PAUSE);		/* it stands, and that is a pause */
	say("D");
	assert_string_equal(reply_of(), "OK");
	hear(WIRE_ALONE);
	nobody_moves();
	ask(WIRE_ASK_RESUME);
	for (i = 0; i < 4; i++)
		until(&shared->runs[i], shared->runs[i] + 3);
	close(debugger);
	bring();			/* another one; and it dies */
	close(debugger);
	hear(WIRE_ALONE);
	for (i = 0; i < 4; i++)
		until(&shared->runs[i], shared->runs[i] + 3);
	bring();
	say("k");
	assert_int_equal(finish()->number, END_DEBUGGER);
	close(debugger);
}

/* ThreadSanitizer wants its addresses for itself, which new kernels may give away. */
static void fix_addresses(char **argv)
{
	int now = personality(0xffffffff);

	if (now >= 0 && !(now & ADDR_NO_RANDOMIZE) && personality(now | ADDR_NO_RANDOMIZE) >= 0)
		execv("/proc/self/exe", argv);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		TEST(all_print), TEST(all_emulate), TEST(pause_and_resume), TEST(the_others_halt), TEST(one_fails),
		TEST(the_host_refuses), TEST(the_host_is_full),
		TEST(a_debugger),
	};

	(void)argc;
	fix_addresses(argv);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
