// SPDX-License-Identifier: GPL-2.0
/*
 * From options to a guest that is ready to run: the Host's device, the kernel,
 * memory, devices and the initrd, in the order of build_guest().  Each has its own
 * file.
 * Read next: boot/choose_kernel.c.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <limits.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "boot/choose_kernel.h"
#include "boot/initramfs.h"
#include "boot/load.h"
#include "control/place.h"
#include "devices/devices.h"
#include "hardware/host.h"
#include "lguest.h"
#include "linker/linker.h"
#include "run.h"
#include "run_as.h"
#include "terminal.h"

/* With the kernel that was chosen; what -v adds is not the guest's. */
static void tell_command_line(const struct run_settings *set, const char *kernel)
{
	struct run_settings told = *set;
	char *line = NULL;
	size_t size;
	FILE *out = verbose ? open_memstream(&line, &size) : NULL;

	if (!out)
		return;
	told.kernel = kernel;
	told.verbose = false;
	print_options(&run_command, &told, out);
	fclose(out);
	note("same again: lguest run%s%s", line, set->command ? " -- COMMAND" : "");
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

const char *run_agent_socket(const struct run_settings *set)
{
	static char path[PATH_MAX];
	const char *given = set->devices[DEVICE_vsock].items[0];
	size_t used = 0;

	if (!set->name || set->initrd)
		return NULL;
	if (!given)
		return place_vsock(set->name, path, sizeof(path)) ? path : "";
	if (*given != '/' && getcwd(path, sizeof(path) - 1)) {
		used = strlen(path);
		path[used++] = '/';
	}
	snprintf(path + used, sizeof(path) - used, "%s", given);
	return path;
}

/* How the COMMAND is to be run.  False after a message. */
static bool describe_command(const struct run_settings *set, struct session *session)
{
	static struct run_as as;

	session->command = set->command;
	session->start_in = set->cwd;
	if (set->user && !run_as_read(run_rootfs(set), set->user, &as))
		return false;
	if (set->user)
		session->become = &as.who;
	if (set->user || set->env.count) {
		session->variables = run_env(&set->env, set->user ? &as : NULL);
		if (!session->variables)
			problem("no memory for the command's environment; free some");
	}
	return session->variables || !(set->user || set->env.count);
}

static void describe_session(const struct run_settings *set, const char *release,
			     struct session *session)
{
	memset(session, 0, sizeof(*session));
	session->release = release;
	session->drivers = devices_drivers(run_rootfs(set) ? "overlay" : NULL);
	session->shares = share_tags();
	session->places = share_places();
	session->agent = run_agent_socket(set);
	session->dhcp = net_dhcp_cards();
	if (set->memory < MEMORY_HUGE_FROM)
		session->report_order = SMALL_REPORT_ORDER;
	session->rootfs = run_rootfs(set);
	session->folder = run_rootfs(set) ? getcwd(NULL, 0) : NULL;
	session->terminal = set->terminal;
	session->input = set->input && !set->terminal;
	session->split_stderr = !set->detach && !isatty(STDERR_FILENO);
	session->term = getenv("TERM");
	if (set->terminal && !set->detach)
		terminal_size(STDOUT_FILENO, &session->rows, &session->columns);
}

static bool load_initrd(const struct run_settings *set, const char *release,
			const struct memory *memory, const struct loaded *kernel,
			struct initrd *initrd)
{
	struct archive archive;
	struct session session;
	bool ok;

	if (set->initrd)
		return load_initrd_file(memory, kernel, set->initrd, initrd);
	describe_session(set, release, &session);
	if (!describe_command(set, &session))
		return false;
	if (!build_initramfs(&session, &archive))
		return false;
	ok = load_initrd_bytes(memory, kernel, archive.bytes, archive.size, initrd);
	archive_free(&archive);
	malloc_trim(0);		/* some MiB, not needed again */
	return ok;
}

static bool add_device(struct guest *guest, struct virtio_device *device)
{
	return device && devices_add(device, &guest->memory, guest->fd);
}

static bool add_devices(struct guest *guest, const struct run_settings *set)
{
	static struct virtio_device *(*const create[])(const char *option) = {
#define K(kind, letter, name, most, value, help) kind##_create,
		DEVICE_KINDS(K)
#undef K
	};
	const char *agent = run_agent_socket(set);
	unsigned int i, j;

	if (!hiding_begin(run_rootfs(set), &set->hide, &set->show))
		return false;
	for (i = 0; i < DEVICE_OPTIONS; i++)
		for (j = 0; j < set->devices[i].count; j++)
			if (!add_device(guest, create[i](set->devices[i].items[j])))
				return false;
	if (!add_device(guest, rng_create()) ||
	    !add_device(guest, balloon_create(&guest->memory)))
		return false;
	return !agent || set->devices[DEVICE_vsock].count ||
	       add_device(guest, vsock_create_closed(agent));
}

/* It is private, but for a server that must have it. */
static bool make_memory(struct guest *guest, const struct run_settings *set)
{
	const struct text_list *disks = &set->devices[DEVICE_disk];
	const struct text_list *shares = &set->devices[DEVICE_share];
	bool shared = false;
	unsigned int i;

	for (i = 0; i < disks->count; i++)
		shared |= disk_has_server(disks->items[i]);
	for (i = 0; i < shares->count; i++)
		shared |= share_has_server(shares->items[i]);
	return shared ? memory_create_shared(&guest->memory, set->memory) :
			memory_create(&guest->memory, set->memory);
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

/* The Host's device is opened first, as nothing else is worth its time without one. */
bool build_guest(struct guest *guest, const struct run_settings *set, gpa_t *entry)
{
	struct initrd initrd = { .size = 0 };
	struct lguest_link_note link_note;
	struct loaded kernel;
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
	if ((long)set->cpus > sysconf(_SC_NPROCESSORS_ONLN))
		note("the guest has more vCPUs than this host CPUs: they take turns");
	release = release_of(linked, &link_note);
	ok = make_memory(guest, set) &&
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
	vcpus_init(&guest->vcpus, set->cpus);
	*entry = kernel.entry;
	return true;
}
