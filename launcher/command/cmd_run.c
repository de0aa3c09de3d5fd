// SPDX-License-Identifier: GPL-2.0
/*
 * `lguest run`: from options to a running guest, and from its end to an exit
 * status.  The steps are those of prepare() and run(); each has its own file.
 * Read next: options.c.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#if __has_include(<sys/rseq.h>)
#include <sys/rseq.h>
#endif
#include <sys/syscall.h>
#include <sys/user.h>

#include "boot/choose_kernel.h"
#include "boot/initramfs.h"
#include "boot/load.h"
#include "console/output.h"
#include "console/watch.h"
#include "control/control.h"
#include "control/detach.h"
#include "control/place.h"
#include "control/restart.h"
#include "debugger/gdb.h"
#include "devices/devices.h"
#include "hardware/guest.h"
#include "hardware/host.h"
#include "hardware/mmio.h"
#include "hardware/resident.h"
#include "jail/confine.h"
#include "lguest.h"
#include "linker/linker.h"
#include "linker/versions.h"
#include "machine/vcpu.h"
#include "options.h"
#include "terminal.h"

struct run_settings {
	const char *kernel;
	const char *initrd;
	uint64_t memory;
	struct text_list disks, nets, shares, params;
	const char *vsock, *rootfs;
	const char *gdb;
	const char *name;
	bool detach;
	uint64_t time_limit;	/* ns, 0: none */
	bool try_anyway;
	bool verbose;
	/* Not options: */
	char **command;		/* NULL-ended, or NULL */
	bool terminal;		/* a person is there */
};

/*
 * One more option takes a field above, a row below, and whoever acts on it; help, man
 * page and completion are made of the table.  If a guest is not the same without it,
 * tell_command_line() tells it, too.
 */
#define DEFAULT_MEMORY	(256ULL << 20)

#define AT(field) offsetof(struct run_settings, field)
static const struct option run_options[] = {
	{ 'k', "kernel", OPTION_TEXT, AT(kernel), "VMLINUZ",
	  "kernel to boot (default: the newest installed one that can be used)" },
	{ 0, "try-anyway", OPTION_FLAG, AT(try_anyway), NULL,
	  "boot also a kernel that this lguest does not know (" FIRST_KNOWN " to " LAST_KNOWN ")" },
	{ 'i', "initrd", OPTION_TEXT, AT(initrd), "FILE",
	  "its initrd (default: a small system made of busybox)" },
	{ 'm', "memory", OPTION_SIZE, AT(memory), "SIZE",
	  "memory of the guest, with K, M or G (default 256M)" },
	{ 'd', "disk", OPTION_LIST, AT(disks), "IMG[,ro]",
	  "raw image or block device as the next disk, /dev/vda first" },
	{ 'n', "net", OPTION_LIST, AT(nets), "WAY[,mac=M]",
	  "network card: user[,[udp:]PORT[:GUEST-PORT]][,RULE] (by passt), tap=NAME or switch=FOLDER; RULE: allow=CIDR[:PORT], deny=CIDR[:PORT], host-loopback" },
	{ 0, "vsock", OPTION_TEXT, AT(vsock), "PATH",
	  "sockets to the host: the guest calls PATH_PORT, and is called at PATH" },
	{ 0, "share", OPTION_LIST, AT(shares), "DIR[:TAG][,ro]",
	  "folder of this machine, at /mnt/TAG in the guest (default TAG: share)" },
	{ 0, "rootfs", OPTION_TEXT, AT(rootfs), "DIR",
	  "run COMMAND in DIR (often /) as root folder; what it writes there is kept in memory" },
	{ 'p', "params", OPTION_LIST, AT(params), "PARAMS",
	  "more parameters for the guest's kernel, separated by spaces" },
	{ 0, "gdb", OPTION_TEXT, AT(gdb), "PATH",
	  "stand before the first instruction, until a debugger comes to the socket PATH" },
	{ 0, "name", OPTION_TEXT, AT(name), "NAME",
	  "the guest's name, for `lguest list`, `console` and `stop`" },
	{ 0, "detach", OPTION_FLAG, AT(detach), NULL,
	  "return when the guest runs; `lguest console NAME` reaches it" },
	{ 0, "time-limit", OPTION_SECONDS, AT(time_limit), "S",
	  "end the guest after S seconds" },
	{ 'v', "verbose", OPTION_FLAG, AT(verbose), NULL,
	  "say what is done, show kernel messages, print counters at the end" },
	{ .name = NULL },
};

const struct command run_command = {
	"run", "[-- COMMAND...]",
	"Boot a guest, to a shell or to run COMMAND.\n"
	"COMMAND's output and exit status become those of lguest.\n"
	"On a terminal, Ctrl-A x (or three ^C within a second) ends the guest at once.",
	run_options, cmd_run,
};

/*L:020
 * What the user asks for.  A COMMAND needs our own initramfs: only its /init knows what to do with it.
 :*/
static int read_settings(int argc, char **argv, struct run_settings *set)
{
	bool dashes;
	int first = parse_options(&run_command, argc, argv, set, &dashes);

	if (first == OPTIONS_HELP)
		return STATUS_DONE;
	if (first < 0)
		return STATUS_USAGE;
	if (first < argc && !dashes) {
		problem("run: what is '%s'? a command for the guest comes after --; try `lguest run -- %s`",
			argv[first], argv[first]);
		return STATUS_USAGE;
	}
	if (first < argc)
		set->command = argv + first;
	if (set->command && set->initrd) {
		problem("run: COMMAND needs the built-in initrd; leave out -i or COMMAND");
		return STATUS_USAGE;
	}
	if (set->rootfs && set->initrd) {
		problem("run: --rootfs needs the built-in initrd; leave out -i or --rootfs");
		return STATUS_USAGE;
	}
	if (set->name && !name_is_good("run", set->name))
		return STATUS_USAGE;
	if (set->detach && !set->name) {
		problem("run: a guest that is detached needs a name; add --name NAME");
		return STATUS_USAGE;
	}
	if (set->memory < MEMORY_LEAST || set->memory > MEMORY_MOST) {
		problem("run: --memory: a guest takes 16M to 1024G; try -m 256M");
		return STATUS_USAGE;
	}
	return -1;
}

static void say_option(FILE *out, const char *name, const char *value)
{
	if (value)
		fprintf(out, " %s '%s'", name, value);
}

static void say_list(FILE *out, const char *name, const struct text_list *list)
{
	unsigned int i;

	for (i = 0; i < list->count; i++)
		say_option(out, name, list->items[i]);
}

static void tell_command_line(const struct run_settings *set, const char *kernel)
{
	char *line = NULL;
	size_t size;
	FILE *out = verbose ? open_memstream(&line, &size) : NULL;

	if (!out)
		return;
	fprintf(out, "-m %lluK", (unsigned long long)set->memory >> 10);
	say_option(out, "-k", kernel);
	say_option(out, "-i", set->initrd);
	say_list(out, "-d", &set->disks);
	say_list(out, "-n", &set->nets);
	say_list(out, "--share", &set->shares);
	say_option(out, "--rootfs", set->rootfs);
	say_option(out, "--vsock", set->vsock);
	say_option(out, "--gdb", set->gdb);
	say_list(out, "-p", &set->params);
	fclose(out);
	note("same again: lguest run %s%s", line, set->command ? " -- COMMAND" : "");
	free(line);
}

static int open_host(void)
{
	int fd = host_open();
	const char *advice = "load the module: `modprobe lg`";

	if (fd >= 0)
		return fd;
	if (fd == -EACCES || fd == -EPERM)
		advice = host_access_advice();
	problem("cannot open %s: %s; %s (`lguest check` tells more)", HOST_DEVICE,
		strerror(-fd), advice);
	return -1;
}

/*L:027
 * Linux gives back free memory in pieces of 2 MiB, of which a guest of single
 * pages has few; 64 KiB are as good there.
 :*/
#define SMALL_REPORT_ORDER	4

/* In the background, reading from the terminal would stop us. */
static bool may_read_stdin(const struct run_settings *set)
{
	if (set->detach)
		return false;
	return !isatty(STDIN_FILENO) || terminal_is_ours(STDIN_FILENO);
}

static void describe_session(const struct run_settings *set, const char *release,
			     struct session *session)
{
	memset(session, 0, sizeof(*session));
	session->release = release;
	session->drivers = devices_drivers(set->rootfs ? "overlay" : NULL);
	session->shares = share_tags();
	session->dhcp = net_dhcp_cards();
	if (set->memory < MEMORY_HUGE_FROM)
		session->report_order = SMALL_REPORT_ORDER;
	session->rootfs = set->rootfs;
	session->folder = set->rootfs ? getcwd(NULL, 0) : NULL;
	session->command = set->command;
	session->terminal = set->terminal;
	session->input = may_read_stdin(set) && !set->terminal;
	session->split_stderr = !set->detach && !isatty(STDERR_FILENO);
	session->term = getenv("TERM");
	if (set->terminal && !set->detach)
		terminal_size(STDOUT_FILENO, &session->rows, &session->columns);
}

static bool load_initrd(const struct run_settings *set, const char *release,
			const struct memory *memory, const struct kernel *kernel,
			struct initrd *initrd)
{
	struct archive archive;
	struct session session;
	bool ok;

	if (set->initrd)
		return load_initrd_file(memory, kernel, set->initrd, initrd);
	describe_session(set, release, &session);
	if (!build_initramfs(&session, &archive))
		return false;
	ok = load_initrd_bytes(memory, kernel, archive.bytes, archive.size, initrd);
	archive_free(&archive);
	malloc_trim(0);		/* some MiB, not needed again */
	return ok;
}

static bool initialize(struct guest *guest, gpa_t entry)
{
	uint64_t limit = mmio_limit(guest->memory.size);
	int error = host_initialize(guest->fd, &guest->memory, entry, limit);

	if (!error)
		error = host_set_register(guest->fd,
					  offsetof(struct user_regs_struct, rsi),
					  BOOT_PARAMS_AT.v);
	if (error)
		problem("cannot make a guest: %s: %s; `lguest check` and the Host's log (dmesg) may tell why",
			HOST_DEVICE, strerror(-error));
	return !error;
}

static bool add_device(struct guest *guest, struct virtio_device *device)
{
	return device && devices_add(device, &guest->memory, guest->fd);
}

static bool add_devices(struct guest *guest, const struct run_settings *set)
{
	unsigned int i;

	for (i = 0; i < set->disks.count; i++)
		if (!add_device(guest, disk_create(set->disks.items[i])))
			return false;
	for (i = 0; i < set->nets.count; i++)
		if (!add_device(guest, net_create(set->nets.items[i])))
			return false;
	if (set->vsock && !add_device(guest, vsock_create(set->vsock)))
		return false;
	for (i = 0; i < set->shares.count; i++)
		if (!add_device(guest, share_create(set->shares.items[i])))
			return false;
	if (set->rootfs && !add_device(guest, share_create_root(set->rootfs)))
		return false;
	return add_device(guest, rng_create()) &&
	       add_device(guest, balloon_create(&guest->memory));
}

/* The kernel's release, which names the folder of its modules. */
static const char *release_of(const char *linked, struct lguest_link_note *link_note)
{
	struct lguest_error error;

	return lguest_linked(linked, link_note, &error) == 1 ? link_note->release : NULL;
}

/*L:028
 * Linux's ciphers test themselves, for half of its boot; -p cryptomgr.notests=0
 * has them do it.
 *
 * In 64 MiB the stock kernel runs out of memory before /init, if it does all it
 * does elsewhere: 9 MiB for tracefs' files, one for each event and its
 * settings, and 4 MiB to account per-CPU memory to cgroups.  Small guests are many,
 * too: pressure averages would wake each of them every two seconds.
 :*/
#define FAST_PARAMS	"cryptomgr.notests"
#define TIGHT_BELOW	(128ULL << 20)
#define TIGHT_PARAMS	" cgroup.memory=nokmem initcall_blacklist=tracer_init_tracefs psi=0"

/* The words of a list, with spaces between; NULL: no memory. */
static char *joined(const struct text_list *list)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);
	unsigned int i;

	if (!out)
		return NULL;
	for (i = 0; i < list->count; i++)
		fprintf(out, "%s%s", i ? " " : "", list->items[i]);
	fclose(out);
	return text;
}

static bool load_params(const struct run_settings *set, const struct memory *memory,
			const struct initrd *initrd)
{
	char ours[COMMAND_LINE_MOST + 1], *theirs;
	int length = snprintf(ours, sizeof(ours), "%s%s %s", FAST_PARAMS,
			      set->memory < TIGHT_BELOW ? TIGHT_PARAMS : "",
			      devices_params());
	bool ok;

	if (length > COMMAND_LINE_MOST) {
		problem("the devices do not fit into the kernel's command line; leave some out");
		return false;
	}
	theirs = joined(&set->params);
	if (!theirs) {
		problem("no memory for the kernel's command line");
		return false;
	}
	ok = load_boot_params(memory, ours, theirs, initrd);
	free(theirs);
	return ok;
}

/*
 * Everything before the Host is asked for a guest.  Its device is opened first, as
 * nothing else is worth its time without one.
 */
static bool prepare(struct guest *guest, const struct run_settings *set, gpa_t *entry)
{
	struct initrd initrd = { .size = 0 };
	struct lguest_link_note link_note;
	struct kernel kernel;
	const char *release;
	char *linked;
	bool ok;

	guest->fd = open_host();
	if (guest->fd < 0)
		return false;
	linked = choose_kernel(set->kernel, set->try_anyway);
	if (!linked)
		return false;
	tell_command_line(set, linked);
	release = release_of(linked, &link_note);
	ok = memory_create(&guest->memory, set->memory) &&
	     add_devices(guest, set) &&
	     load_kernel(&guest->memory, linked, &kernel) &&
	     load_initrd(set, release, &guest->memory, &kernel, &initrd) &&
	     load_params(set, &guest->memory, &initrd);
	free(linked);
	if (!ok)
		return false;
	note("kernel at %#llx, initrd of %llu KiB at %#llx, %llu MiB of memory",
	     (unsigned long long)kernel.entry.v,
	     (unsigned long long)initrd.size >> 10,
	     (unsigned long long)initrd.at.v,
	     (unsigned long long)guest->memory.size >> 20);
	console_init(&guest->console, &guest->memory);
	guest->console.output = guest_output;
	guest->console.owner = guest;
	guest->command = set->command;
	*entry = kernel.entry;
	return true;
}

static bool confine_watch(void)
{
	return confine_thread(THREAD_WATCH);
}

/*L:300
 * Who gets our input: a person on a terminal talks to the console, or to the
 * COMMAND; bytes from a file or pipe are a script for the guest's shell, which
 * gets them when it is ready and ends with them, or the input of the COMMAND,
 * byte for byte.
 :*/
static bool start_watching(struct guest *guest, const struct run_settings *set)
{
	struct watch_settings watch = {
		.input = may_read_stdin(set),
		.framed = set->command && !set->terminal,
		.raw = set->terminal && !set->detach,
		.wait_ready = !set->terminal && !set->initrd,
		.send_eof = !set->initrd,
		.port = set->command ? LGUEST_PORT_STDOUT : LGUEST_PORT_CONSOLE,
		.confine = confine_watch,
	};

	if (set->time_limit)
		watch.deadline = restart_deadline(set->time_limit);
	return watch_start(guest, &watch);
}

/* End as the signal would have ended us, for the sake of whoever waits. */
static int end_by_signal(int number)
{
	sigset_t set;

	fflush(NULL);
	signal(number, SIG_DFL);
	sigemptyset(&set);
	sigaddset(&set, number);
	raise(number);
	pthread_sigmask(SIG_UNBLOCK, &set, NULL);
	return 128 + number;
}

static int ended(const struct guest *guest)
{
	switch (guest->end) {
	case END_TIME:
		show_log(&guest->console);
		problem("the guest was ended: its time limit was reached; --time-limit sets it");
		return STATUS_TIME;
	case END_CONFINE:
		return STATUS_HOST;
	case END_STOP:
		problem("the guest was ended by `lguest stop`: it did not shut down in time");
		return STATUS_STOPPED;
	case END_DEBUGGER:
		problem("the guest was ended by its debugger");
		return STATUS_STOPPED;
	case END_ESCAPE:
		problem("the guest was ended from the keyboard");
		return STATUS_ESCAPE;
	default:
		note("the guest was ended by signal %d", guest->end - END_SIGNAL);
		return end_by_signal(guest->end - END_SIGNAL);
	}
}

struct vcpu {
	struct guest guest;
	const struct run_settings *set;
	gpa_t entry;
	sigset_t signals;	/* that were blocked at first */
	int status;
};

/*
 * For a task with a "restartable sequence", as the C library makes one, the kernel has
 * work after each sleep that must end in user space: each HALT would cost the way there
 * and back.  We need none.
 */
static void give_up_rseq(void)
{
#ifdef RSEQ_SIG
	char *at = (char *)__builtin_thread_pointer() + __rseq_offset;
	unsigned int size = (__rseq_size + 31) & ~31;

	if (__rseq_size)	/* if it fails, we are slower */
		syscall(SYS_rseq, at, size, RSEQ_FLAG_UNREGISTER, RSEQ_SIG);
#endif
}

/* The Host runs a vCPU only for the task that made it. */
static void *vcpu_thread(void *argument)
{
	struct vcpu *vcpu = argument;

	pthread_sigmask(SIG_SETMASK, &vcpu->signals, NULL);
	give_up_rseq();
	vcpu->status = STATUS_HOST;
	if (!initialize(&vcpu->guest, vcpu->entry) || !devices_connect() ||
	    !start_watching(&vcpu->guest, vcpu->set))
		return NULL;
	if (control_start(&vcpu->guest) && detach_done() && confine_thread(THREAD_VCPU)) {
		resident_give_back();
		vcpu->status = run_guest(&vcpu->guest);
		gdb_ended(vcpu->status);
	}
	control_stop();
	devices_stop();
	watch_stop();
	return NULL;
}

/*L:305
 * The first thread sleeps while the guest runs: it keeps the right to execute
 * the launcher anew, which those that meet the guest give up (confine.c).  All
 * signals are theirs.
 :*/
static int run_vcpu(struct vcpu *vcpu)
{
	pthread_t thread;
	sigset_t all;
	int error;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &vcpu->signals);
	error = pthread_create(&thread, NULL, vcpu_thread, vcpu);
	if (!error)
		error = pthread_join(thread, NULL);
	if (!error)
		return vcpu->status;
	problem("cannot start a thread for the guest: %s; check `ulimit -u`",
		strerror(error));
	return STATUS_HOST;
}

static bool take_name(const struct run_settings *set)
{
	struct control_settings control = {
		.name = set->name,
		.port = set->command && set->terminal ? LGUEST_PORT_STDOUT :
							LGUEST_PORT_CONSOLE,
	};

	return !set->name || control_open(&control);
}

static void print_resident(const struct guest *guest)
{
	FILE *file = resident_open();
	struct resident resident;

	if (resident_read(file, &guest->memory, &resident))
		note("the guest touched %llu MiB of memory; the launcher has %llu KiB besides",
		     (unsigned long long)resident.guest >> 20,
		     (unsigned long long)resident.launcher >> 10);
	if (file)
		fclose(file);
}

static int run(const struct run_settings *set)
{
	static struct vcpu vcpu;
	struct guest *guest = &vcpu.guest;
	int status;

	vcpu.set = set;
	if (!take_name(set))
		return STATUS_HOST;
	if (!prepare(guest, set, &vcpu.entry) || (set->gdb && !gdb_open(set->gdb))) {
		control_close();
		return STATUS_HOST;
	}
	confine_process();
	status = run_vcpu(&vcpu);
	if (verbose) {
		print_stats();
		devices_report();
		print_resident(guest);
	}
	if (verbose && restart_count())
		note("restarted %u times", restart_count());
	if (status == RUN_RESTART && !control_stopping()) {
		note("the guest restarts");
		control_hand_down();
		gdb_hand_down();
		confine_lift_limits();
		restart_now();
		status = STATUS_HOST;
	}
	gdb_close();
	control_close();
	if (status == RUN_ENDED)
		return ended(guest);
	return status == RUN_RESTART ? STATUS_DONE : status;
}

/*
 * A thread's 8 MiB would be backed with huge pages as soon as it is touched; and a
 * heap of its own is of no use to it.
 */
static void want_small_threads(void)
{
	pthread_attr_t attributes;

	pthread_attr_init(&attributes);
	pthread_attr_setstacksize(&attributes, 256 << 10);
	pthread_setattr_default_np(&attributes);
	pthread_attr_destroy(&attributes);
	mallopt(M_ARENA_MAX, 1);	/* they allocate little, and then once */
}

int cmd_run(int argc, char **argv)
{
	static struct run_settings set = { .memory = DEFAULT_MEMORY };
	int status = read_settings(argc, argv, &set);

	if (status >= 0)
		return status;
	verbose = set.verbose;
	confine_files();
	if (!restart_count())
		confine_warn();
	if (set.detach && !detach(&status))
		return status;
	want_small_threads();
	/* Whoever comes to a detached guest's console is a person. */
	set.terminal = set.detach ||
		(terminal_is_ours(STDIN_FILENO) && isatty(STDOUT_FILENO));
	return run(&set);
}
