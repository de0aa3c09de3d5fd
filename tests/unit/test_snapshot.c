// SOURCES: launcher/snapshot/format.c launcher/snapshot/file.c launcher/hardware/memory.c launcher/message.c
// LIBS: -lnettle
// SPDX-License-Identifier: GPL-2.0
/* A snapshot's file: what was written is read, and what anybody else has made is refused: L4. */
#define _GNU_SOURCE 1
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <signal.h>
#include <unistd.h>
#include <cmocka.h>

#include "lguest.h"
#include "snapshot/file.h"

#define RAM	(MEMORY_LEAST + 3 * MEMORY_PAGE)	/* not whole chunks */

static char folder[] = "/tmp/snapshot.XXXXXX", path[64], said[4096];
static struct memory memory;
static uint8_t vcpus[2][700];

/* Its last words; "" from then on. */
static void assert_said(const char *words)
{
	size_t got;

	fflush(message_stream);
	rewind(message_stream);
	got = fread(said, 1, sizeof(said) - 1, message_stream);
	said[got] = 0;
	rewind(message_stream);
	assert_int_equal(ftruncate(fileno(message_stream), 0), 0);
	if (!strstr(said, words))
		fail_msg("\"%s\" has no \"%s\"", said, words);
}

static int write_one(void **state)
{
	struct snapshot_piece pieces[2] = {
		{ SNAPSHOT_VCPU, vcpus[0], sizeof(vcpus[0]) },
		{ SNAPSHOT_VCPU, vcpus[1], sizeof(vcpus[1]) - 1 },
	};

	(void)state;
	assert_true(snapshot_write(path, "6.1.0-test", &memory, pieces, 2));
	return 0;
}

static int begin(void **state)
{
	(void)state;
	message_stream = tmpfile();
	umask(0);
	assert_non_null(mkdtemp(folder));
	snprintf(path, sizeof(path), "%s/one", folder);
	assert_true(memory_create(&memory, RAM));
	memory.base[0] = 1;
	memset(memory.base + 5 * MEMORY_PAGE, 0x55, 3 * MEMORY_PAGE);
	memory.base[RAM - 1] = 2;
	memset(vcpus[0], 0xa1, sizeof(vcpus[0]));
	memset(vcpus[1], 0xb2, sizeof(vcpus[1]));
	return 0;
}

static int end(void **state)
{
	(void)state;
	unlink(path);
	assert_int_equal(rmdir(folder), 0);	/* nothing else was left */
	memory_destroy(&memory);
	return fclose(message_stream);
}

static void test_round(void **state)
{
	struct snapshot snapshot;
	struct memory other;
	struct stat st;
	size_t size;

	(void)state;
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_true(st.st_blocks * 512 < 256 << 10);	/* 5 pages, header, sections */
	assert_true(snapshot_open(&snapshot, path));
	assert_string_equal(snapshot.header.kernel, "6.1.0-test");
	assert_memory_equal(snapshot_section(&snapshot, SNAPSHOT_VCPU, 0, &size), vcpus[0], 700);
	assert_int_equal(size, 700);
	assert_memory_equal(snapshot_section(&snapshot, SNAPSHOT_VCPU, 1, &size), vcpus[1], 699);
	assert_int_equal(size, 699);
	assert_null(snapshot_section(&snapshot, SNAPSHOT_VCPU, 2, &size));
	assert_true(snapshot_verify(&snapshot, path));
	assert_true(memory_create(&other, RAM));
	assert_true(snapshot_map(&snapshot, &other));
	assert_memory_equal(other.base, memory.base, RAM);
	/* What a guest writes is its own. */
	memset(other.base, 0x77, RAM);
	assert_true(snapshot_verify(&snapshot, path));
	memory_destroy(&other);
	assert_true(memory_create(&other, RAM + MEMORY_PAGE));
	assert_false(snapshot_map(&snapshot, &other));
	assert_said("KiB of memory");
	memory_destroy(&other);
	snapshot_close(&snapshot);
}

static void flip(uint64_t at)
{
	int fd = open(path, O_RDWR);
	uint8_t byte;

	assert_int_equal(pread(fd, &byte, 1, at), 1);
	byte ^= 0x40;
	assert_int_equal(pwrite(fd, &byte, 1, at), 1);
	close(fd);
}

static void assert_refused(const char *words)
{
	struct snapshot snapshot;

	assert_false(snapshot_open(&snapshot, path));
	assert_said(words);
}

/* Each byte of the header, and of the sections. */
static void test_flipped(void **state)
{
	struct snapshot snapshot;
	uint64_t at, i;

	(void)state;
	for (at = 0; at < sizeof(struct snapshot_header); at++) {
		flip(at);
		assert_refused(at < 8 ? "no snapshot" : at < 16 ? "version" : "damaged");
		flip(at);
	}
	assert_true(snapshot_open(&snapshot, path));
	for (i = 0; i < snapshot.header.nr_sections; i++)
		for (at = 0; at < snapshot.header.sections[i].size; at += 13) {
			flip(snapshot.header.sections[i].offset + at);
			assert_refused("section of it is damaged");
			flip(snapshot.header.sections[i].offset + at);
		}
	/* Memory is looked at by who asks for it: a byte that there was, and a hole. */
	for (at = 0; at < RAM; at += RAM - 1 - 9 * MEMORY_PAGE) {
		flip(snapshot.header.ram_offset + at);
		assert_false(snapshot_verify(&snapshot, path));
		assert_said("not what was saved");
		flip(snapshot.header.ram_offset + at);
	}
	assert_true(snapshot_verify(&snapshot, path));
	snapshot_close(&snapshot);
}

/* A header with this done to it, and with its right sum. */
static const char *fault_of(size_t at, size_t size, uint64_t value)
{
	static struct snapshot_header header;
	struct snapshot snapshot;

	assert_true(snapshot_open(&snapshot, path));
	header = snapshot.header;
	snapshot_close(&snapshot);
	memcpy((uint8_t *)&header + at, &value, size);
	snapshot_seal(&header);
	return snapshot_fault(&header, snapshot.header.file_size);
}

#define FAULT(field, value, words) do { \
	const char *fault_ = fault_of(offsetof(struct snapshot_header, field), \
				      sizeof(((struct snapshot_header *)0)->field), value); \
	if (!fault_ || !strstr(fault_, words)) \
		fail_msg(#field " %s: \"%s\"", #value, fault_ ? fault_ : "fine"); \
} while (0)

static void test_lies(void **state)
{
	static const uint64_t sizes[] = { 0, 1, MEMORY_PAGE, RAM - MEMORY_PAGE, RAM + MEMORY_PAGE,
		1ULL << 41, 1ULL << 63, ~0ULL, ~0ULL << 12, 0 - (uint64_t)RAM };
	size_t i;

	(void)state;
	assert_null(fault_of(0, 0, 0));
	for (i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		FAULT(ram_size, sizes[i], "size");
		FAULT(ram_offset, sizes[i], "size");
		FAULT(file_size, sizes[i], "size");
		FAULT(sections[0].offset, sizes[i] >= 4096 && sizes[i] < 8192 ? 0 : sizes[i], "elsewhere");
		if (sizes[i] > 700)
			FAULT(sections[0].size, sizes[i], "elsewhere");
	}
	FAULT(sections[1].offset, 4096, "elsewhere");		/* one upon the other */
	FAULT(sections[1].kind, SNAPSHOT_KINDS, "newer");
	FAULT(sections[1].kind, 0, "newer");
	FAULT(sections[0].flags, 3, "flags");
	FAULT(nr_sections, SNAPSHOT_SECTIONS + 1, "too many");
	FAULT(nr_sections, ~0U, "too many");
	FAULT(nr_sections, 2, "not counted");
	FAULT(flags, 1, "there is not");
	FAULT(reserved[7], 1, "there is not");
	FAULT(version, 2, "another version");
	FAULT(header_size, 4097, "another version");
	FAULT(sections[SNAPSHOT_SECTIONS - 1].size, 1, "not counted");
	/* What is no must, and not known, is passed over. */
	assert_null(fault_of(offsetof(struct snapshot_header, sections[2].kind), 4, 1000));
}

/* A name without an end would be read on and on. */
static void test_names(void **state)
{
	struct snapshot snapshot;

	(void)state;
	assert_true(snapshot_open(&snapshot, path));
	memset(snapshot.header.kernel, 'x', sizeof(snapshot.header.kernel));
	snapshot_seal(&snapshot.header);
	assert_non_null(snapshot_fault(&snapshot.header, snapshot.header.file_size));
	snapshot_close(&snapshot);
}

static void test_cut(void **state)
{
	static const off_t cuts[] = { 0, 1, 4095, 4096, 5000, 2 << 20, 3 << 20 };
	size_t i;

	(void)state;
	for (i = sizeof(cuts) / sizeof(cuts[0]); i--; ) {
		assert_int_equal(truncate(path, cuts[i]), 0);
		assert_refused(cuts[i] < 4096 ? "no snapshot" : "was it cut");
	}
}

static void test_owner(void **state)
{
	char link[80];

	(void)state;
	assert_int_equal(chmod(path, 0620), 0);
	assert_refused("others may write");
	assert_int_equal(chmod(path, 0602), 0);
	assert_refused("others may write");
	assert_int_equal(chmod(path, 0600), 0);
	if (!geteuid()) {
		assert_int_equal(chown(path, 1234, 0), 0);
		assert_refused("another user's");
		assert_int_equal(chown(path, 0, 0), 0);
	}
	snprintf(link, sizeof(link), "%s.link", path);
	assert_int_equal(rename(path, link), 0);
	assert_int_equal(symlink(link, path), 0);
	assert_refused("symbolic links");
	unlink(path);
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_refused("no regular file");
	unlink(path);
	assert_refused("No such file");
	assert_int_equal(rename(link, path), 0);
}

/* No room: no half file, and the old one stays. */
static void test_no_room(void **state)
{
	struct rlimit old, small = { 1 << 20, RLIM_INFINITY };
	struct snapshot_piece piece = { SNAPSHOT_VCPU, vcpus[0], 700 };
	struct snapshot snapshot;

	(void)state;
	signal(SIGXFSZ, SIG_IGN);
	getrlimit(RLIMIT_FSIZE, &old);
	small.rlim_max = old.rlim_max;
	setrlimit(RLIMIT_FSIZE, &small);
	assert_false(snapshot_write(path, "x", &memory, &piece, 1));
	setrlimit(RLIMIT_FSIZE, &old);
	assert_said("File too large");
	assert_true(snapshot_open(&snapshot, path));
	snapshot_close(&snapshot);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_round, write_one),
		cmocka_unit_test_setup(test_flipped, write_one),
		cmocka_unit_test_setup(test_lies, write_one),
		cmocka_unit_test_setup(test_names, write_one),
		cmocka_unit_test_setup(test_cut, write_one),
		cmocka_unit_test_setup(test_owner, write_one),
		cmocka_unit_test_setup(test_no_room, write_one),
	};

	return cmocka_run_group_tests(tests, begin, end);
}
