// SOURCES: launcher/boot/initramfs.c launcher/boot/init.c launcher/boot/become.c launcher/boot/cpio.c launcher/boot/modules.c launcher/linker/unpack.c launcher/message.c launcher/terminal.c launcher/distribution.c
// SPDX-License-Identifier: GPL-2.0
/* The archive: read back entry by entry; and words that survive a shell. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "boot/initramfs.h"
#include "devices/devices.h"
#include "lguest.h"

static unsigned int field(const uint8_t *header, unsigned int number)
{
	char text[9] = "";

	memcpy(text, header + 6 + 8 * number, 8);
	assert_int_equal(strspn(text, "0123456789ABCDEF"), 8);
	return strtoul(text, NULL, 16);
}

struct found {
	const char *bytes;
	unsigned int size, mode;
};

/* Walks the whole archive, checking it, until name. */
static bool find(const struct archive *a, const char *name, struct found *found)
{
	size_t at = 0;

	for (;;) {
		const uint8_t *header = a->bytes + at;
		const char *entry = (const char *)header + 110;
		unsigned int name_size, size;

		assert_true(at + 110 <= a->size);
		assert_memory_equal(header, "070701", 6);
		name_size = field(header, 11);
		size = field(header, 6);
		assert_int_equal(strlen(entry) + 1, name_size);
		at = (at + 110 + name_size + 3) & ~3ULL;
		found->bytes = (const char *)a->bytes + at;
		found->size = size;
		found->mode = field(header, 1);
		at = (at + size + 3) & ~3ULL;
		assert_true(at <= a->size);
		if (!strcmp(entry, "TRAILER!!!")) {
			assert_int_equal(at, a->size);
			return false;
		}
		if (!strcmp(entry, name))
			return true;
	}
}

static void test_archive(void **state)
{
	struct archive a = { 0 };
	struct found f;
	char big[5000];

	(void)state;
	memset(big, 'b', sizeof(big));
	archive_folder(&a, "folder");
	archive_file(&a, "folder/empty", 0600, "", 0);
	archive_file(&a, "one", 0644, "1", 1);
	archive_file(&a, "big", 0755, big, sizeof(big));
	archive_link(&a, "link", "big");
	archive_device(&a, "console", 5, 1);
	assert_true(archive_end(&a));
	assert_false(find(&a, "nothing", &f));
	assert_true(find(&a, "folder", &f));
	assert_int_equal(f.mode, S_IFDIR | 0755);
	assert_true(find(&a, "folder/empty", &f));
	assert_int_equal(f.size, 0);
	assert_true(find(&a, "big", &f));
	assert_int_equal(f.mode, S_IFREG | 0755);
	assert_int_equal(f.size, sizeof(big));
	assert_memory_equal(f.bytes, big, sizeof(big));
	assert_true(find(&a, "link", &f));
	assert_memory_equal(f.bytes, "big", 3);
	assert_true(find(&a, "console", &f));
	assert_int_equal(f.mode, S_IFCHR | 0600);
	archive_free(&a);
}

static void build(const struct session *session, struct archive *a)
{
	struct found f;

	assert_true(pack_initramfs(session, "busybox", 7, a));
	assert_true(find(a, "bin/busybox", &f));
	assert_int_equal(f.mode, S_IFREG | 0755);
	assert_memory_equal(f.bytes, "busybox", 7);
	assert_true(find(a, "init", &f));
	assert_int_equal(f.size, strlen(guest_init));
	assert_int_equal(f.mode, S_IFREG | 0755);
}

static void save(const struct archive *a, const char *name, const char *path)
{
	struct found f;
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	assert_true(find(a, name, &f));
	assert_int_equal(write(fd, f.bytes, f.size), f.size);
	close(fd);
}

/* Run the command file by a shell of ours; printf shows each word in <>. */
static void test_words(void **state)
{
	char *command[] = {
		"printf", "<%s>", "", "a b", "it's", "'", "''", "\"", "$HOME", "`x`",
		"\\", "\\'", "*", "new\nline", "\t", "a;b&c|d", "~", "#", "-n", "--",
		"\xff\xfe\x01", "!x", NULL,
	};
	struct session session = { .command = command };
	char path[] = "/tmp/lguest-words-XXXXXX", line[64], got[512], want[512] = "";
	struct archive a;
	size_t size, i;
	FILE *pipe;

	(void)state;
	for (i = 2; command[i]; i++) {
		strcat(want, "<");
		strcat(want, command[i]);
		strcat(want, ">");
	}
	close(mkstemp(path));
	build(&session, &a);
	save(&a, "lguest/command", path);
	archive_free(&a);
	for (i = 0; i < 2; i++) {
		const char *busybox = find_busybox();

		if (i && !busybox)
			break;
		snprintf(line, sizeof(line), "%s sh %s", i ? busybox : "", path);
		pipe = popen(line, "r");
		size = fread(got, 1, sizeof(got) - 1, pipe);
		got[size] = 0;
		assert_int_equal(pclose(pipe), 0);
		assert_string_equal(got, want);
	}
	unlink(path);
}

/* What a command of this session says, when a shell of ours runs it; or its status. */
static size_t run_here(struct session *session, char *got, size_t room, int status)
{
	char path[] = "/tmp/lguest-words-XXXXXX", line[64];
	struct archive a;
	size_t size;
	FILE *pipe;

	close(mkstemp(path));
	build(session, &a);
	save(&a, "lguest/command", path);
	archive_free(&a);
	snprintf(line, sizeof(line), "sh %s", path);
	pipe = popen(line, "r");
	size = fread(got, 1, room, pipe);
	assert_int_equal(WEXITSTATUS(pclose(pipe)), status);
	unlink(path);
	return size;
}

/* Variables of any name and value come out as they went in, in a folder of any name. */
static void test_environment(void **state)
{
	char *show[] = { "cat", "/proc/self/environ", NULL }, *where[] = { "pwd", NULL };
	char *variables[] = {
		"A=a b", "B.c=it's\nnew", "E=", "\xff=\xfe", "UID=7", "-x=1", "P==", NULL,
	};
	char folder[] = "/tmp/lguest it's \n here XXXXXX", got[65536];
	struct session session = { .command = show, .variables = variables };
	size_t size, i;

	(void)state;
	size = run_here(&session, got, sizeof(got), 0);
	for (i = 0; variables[i]; i++)
		if (!memmem(got, size, variables[i], strlen(variables[i]) + 1))
			fail_msg("%s is lost", variables[i]);
	assert_non_null(mkdtemp(folder));
	session = (struct session){ .command = where, .start_in = folder };
	size = run_here(&session, got, sizeof(got), 0);
	assert_int_equal(size, strlen(folder) + 1);
	assert_memory_equal(got, folder, size - 1);
	rmdir(folder);
	run_here(&session, got, sizeof(got), 126);
}

static void check_settings(const struct session *session, const char *want)
{
	struct archive a;
	struct found f;
	char *text;

	build(session, &a);
	assert_true(find(&a, "lguest/settings", &f));
	text = strndup(f.bytes, f.size);
	assert_string_equal(text, want);
	free(text);
	assert_int_equal(find(&a, "lguest/command", &f), session->command != NULL);
	archive_free(&a);
}

#define NO_SHARE "LG_SHARES=''\nLG_AGENT=\nLG_DHCP=''\nLG_ROOT=\nLG_FOLDER=''\n"
static void test_settings(void **state)
{
	struct session shell = { .terminal = true, .rows = 24, .columns = 80,
				 .term = "xterm'; reboot" };
	char *command[] = { "true", NULL };
	struct session batch = { .command = command, .input = true };

	(void)state;
	check_settings(&shell, "LG_COMMAND=\nLG_TERMINAL=1\nLG_INPUT=\nLG_STDERR=1\n"
		       "LG_SIZE='rows 24 cols 80'\n" NO_SHARE "export TERM='xterm'\\''; reboot'\n");
	shell.split_stderr = true;
	shell.command = command;
	check_settings(&shell, "LG_COMMAND=1\nLG_TERMINAL=1\nLG_INPUT=\nLG_STDERR=2\n"
		       "LG_SIZE='rows 24 cols 80'\n" NO_SHARE "export TERM='xterm'\\''; reboot'\n");
	check_settings(&batch, "LG_COMMAND=1\nLG_TERMINAL=\nLG_INPUT=1\nLG_STDERR=2\n"
		       "LG_SIZE=\n" NO_SHARE "export TERM='dumb'\n");
	batch.shares = "one two";
	batch.dhcp = "eth0 eth2";
	batch.agent = true;
	batch.rootfs = "/";
	batch.folder = "/it's here";
	batch.places = (const struct share_place[]){
		{ "lguest-rw-0", "/a b\nc'd" }, { "lguest-rw-1", "/e" }, { NULL, NULL },
	};
	check_settings(&batch, "LG_COMMAND=1\nLG_TERMINAL=\nLG_INPUT=1\nLG_STDERR=2\n"
		       "LG_SIZE=\nLG_SHARES='one two'\nLG_AGENT=1\nLG_DHCP='eth0 eth2'\nLG_ROOT=lguest-root\n"
		       "mount_places() {\n\t:\n\tmount_place lguest-rw-0 '/a b\nc'\\''d'\n"
		       "\tmount_place lguest-rw-1 '/e'\n}\n"
		       "LG_FOLDER='/it'\\''s here'\nexport TERM='dumb'\n");
}

/* Shells of this machine must at least find /init's grammar right. */
static void test_init_grammar(void **state)
{
	const char *const scripts[] = { guest_init, guest_enter, guest_lease, guest_poweroff };
	unsigned int i;

	(void)state;
	for (i = 0; i < 4; i++) {
		FILE *sh = popen("sh -n", "w");

		assert_non_null(sh);
		fputs(scripts[i], sh);
		assert_int_equal(pclose(sh), 0);
	}
	assert_non_null(strstr(guest_lease, "dns=" NET_NAME_SERVER "\n"));
}

static void test_static_program(void **state)
{
	(void)state;
	assert_false(is_static_program("/bin/sh"));
	assert_false(is_static_program("/etc/passwd"));
	assert_false(is_static_program("/dev/null"));
	assert_false(is_static_program("/nonexistent"));
	if (find_busybox())
		assert_true(is_static_program(find_busybox()));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_archive),
		cmocka_unit_test(test_words),
		cmocka_unit_test(test_environment),
		cmocka_unit_test(test_settings),
		cmocka_unit_test(test_init_grammar),
		cmocka_unit_test(test_static_program),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
