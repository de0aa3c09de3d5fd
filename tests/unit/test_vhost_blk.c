// SOURCES: launcher/devices/disk/vhost_blk.c launcher/devices/disk/disk_file.c launcher/devices/disk/qcow2.c launcher/devices/vhost/vhost.c launcher/devices/vhost/vhost_end.c launcher/devices/vhost/vhost_message.c launcher/devices/virtio/virtio.c launcher/devices/virtio/limits.c launcher/devices/virtio/virtio_mmio.c launcher/devices/virtio/virtqueue.c launcher/hardware/memory.c launcher/options.c launcher/distribution.c launcher/message.c launcher/terminal.c launcher/io.c
// LIBS: -pthread -ljansson
// SPDX-License-Identifier: GPL-2.0
/*
 * The start of a program that serves a disk: one that ends is started again, as the last
 * guest's may still have the image.  This program itself is what is started, by that name:
 * it ends as often as it was told, and then it serves.  L10.
 */
#define _GNU_SOURCE 1
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "devices/disk/disk_file.h"
#include "devices/vhost/vhost.h"
#include "hardware/host.h"
#include "jail/beside.h"
#include "jail/confine.h"
#include "jail/landlock.h"
#include "lguest.h"

#define PROGRAM	"qemu-storage-daemon"

int host_device_eventfd(int fd, gpa_t address, uint32_t data, int eventfd)
{
	(void)fd, (void)address, (void)data, (void)eventfd;
	return 0;
}

int host_irq_status(int fd, unsigned int line, gpa_t address, uint32_t value)
{
	(void)fd, (void)line, (void)address, (void)value;
	return 0;
}

bool confine_thread(enum thread_kind kind)
{
	return kind == THREAD_VHOST;
}

void confine_allow_sending(void)
{
}

/* The program lies in a folder of ours, and writes there: it is not confined. */
int confine_beside(void)
{
	return 0;
}

int landlock_version(void)
{
	return 0;
}

int landlock_restrict(const struct landlock_path_beneath_attr *rules, unsigned int count)
{
	(void)rules, (void)count;
	return 0;
}

/* What lives as long as the launcher is not freed. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
	return "detect_leaks=0";
}

/* ---- the program that is started */

static void answer(int fd, const struct vhost_header *asked, const void *body, uint32_t size)
{
	struct vhost_header header = { asked->request, VHOST_VERSION | VHOST_REPLY, size };

	if (write(fd, &header, sizeof(header)) < 0 || write(fd, body, size) < 0)
		_exit(1);
}

static int serve(int listener)
{
	int fd = accept(listener, NULL, NULL);
	struct vhost_header asked;
	uint8_t body[512];

	while (read(fd, &asked, sizeof(asked)) == sizeof(asked)) {
		uint64_t number = asked.request == VHOST_GET_FEATURES ?
			VIRTIO_BIT(VIRTIO_F_VERSION_1) | VHOST_F_PROTOCOL : VHOST_PROTOCOL_CONFIG;

		if (asked.size > sizeof(body) || read(fd, body, asked.size) != asked.size)
			break;
		if (asked.request == VHOST_GET_CONFIG)
			answer(fd, &asked, body, asked.size);
		else if (asked.request == VHOST_GET_FEATURES ||
			 asked.request == VHOST_GET_PROTOCOL_FEATURES)
			answer(fd, &asked, &number, sizeof(number));
	}
	return 0;
}

/* A byte more in the file for each start. */
static int be_program(const char *export)
{
	int fd = open(getenv("STARTS"), O_WRONLY | O_APPEND);
	struct stat status;

	if (fd < 0 || write(fd, "x", 1) != 1 || fstat(fd, &status))
		return 3;
	if (status.st_size > atoi(getenv("FAILS")))
		return serve(atoi(strstr(export, "addr.str=") + strlen("addr.str=")));
	fprintf(stderr, "the image is taken\n");
	return 1;
}

/* ---- who starts it */

static char folder[] = "/tmp/lguest-starts-XXXXXX", starts[64], image[64];
static char *said;
static size_t said_size;

static void make_file(char *path, size_t size, const char *name)
{
	snprintf(path, size, "%s/%s", folder, name);
	close(open(path, O_CREAT | O_TRUNC | O_WRONLY, 0600));
	assert_int_equal(truncate(path, 0), 0);
}

static int setup(void **state)
{
	char program[64];

	(void)state;
	strcpy(folder + sizeof(folder) - 7, "XXXXXX");
	assert_non_null(mkdtemp(folder));
	snprintf(program, sizeof(program), "%s/" PROGRAM, folder);
	assert_int_equal(symlink("/proc/self/exe", program), 0);
	setenv("PATH", folder, 1);
	make_file(starts, sizeof(starts), "starts");
	make_file(image, sizeof(image), "image.qcow2");
	setenv("STARTS", starts, 1);
	message_stream = open_memstream(&said, &said_size);
	return 0;
}

static int teardown(void **state)
{
	char program[64];

	(void)state;
	snprintf(program, sizeof(program), "%s/" PROGRAM, folder);
	fclose(message_stream);
	message_stream = NULL;
	free(said);
	unlink(program);
	unlink(starts);
	unlink(image);
	return rmdir(folder);
}

static unsigned int open_files(void)
{
	DIR *all = opendir("/proc/self/fd");
	unsigned int n = 0;

	while (readdir(all))
		n++;
	closedir(all);
	return n;
}

static struct virtio_device *create(const char *fails)
{
	struct disk_option option = { .path = image };

	setenv("FAILS", fails, 1);
	return vhost_blk_create(&option);
}

static off_t started(void)
{
	struct stat status;

	assert_int_equal(stat(starts, &status), 0);
	return status.st_size;
}

/* Three times, and then with its words; what a try opened is closed. */
static void test_taken(void **state)
{
	unsigned int before = open_files();

	(void)state;
	assert_null(create("100"));
	assert_int_equal(started(), 3);
	fflush(message_stream);
	assert_non_null(strstr(said, "it ended: the image is taken"));
	assert_int_equal(open_files(), before);
}

/* The socket, what it says, and what it lives as long as; nothing of the first two tries. */
static void test_taken_for_a_moment(void **state)
{
	unsigned int before = open_files();
	struct virtio_device *device = create("2");
	unsigned int after = open_files();

	(void)state;
	assert_non_null(device);
	assert_int_equal(started(), 3);
	assert_int_equal(after, before + 3 + 1 /* the interrupt */ + 1 /* a queue's kick */);
}

int main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_taken, setup, teardown),
		cmocka_unit_test_setup_teardown(test_taken_for_a_moment, setup, teardown),
	};

	if (!strcmp(basename(argv[0]), PROGRAM))
		return be_program(argv[argc - 1]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
