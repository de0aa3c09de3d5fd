// SPDX-License-Identifier: GPL-2.0
/*
 * Builds the archive that a guest without -i boots into: this machine's static
 * busybox, the script of init.c, and two small files that tell that script
 * what to do.  The command's words pass through a shell in the guest and must
 * come out exactly as they went in.
 * Read next: cpio.c.
 */
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "become.h"
#include "devices/devices.h"
#include "distribution.h"
#include "initramfs.h"
#include "lguest.h"
#include "modules.h"

struct text {
	char *bytes;
	size_t size;
	FILE *stream;
};

static bool text_begin(struct text *text)
{
	memset(text, 0, sizeof(*text));
	text->stream = open_memstream(&text->bytes, &text->size);
	return text->stream;
}

/*L:220
 * Inside single quotes a shell takes everything as it is, but for the single
 * quote: that is written as '\'' (end, a quoted quote, begin again).
 :*/
static void quote(FILE *out, const char *word)
{
	fputc('\'', out);
	for (; *word; word++) {
		if (*word == '\'')
			fputs("'\\''", out);
		else
			fputc(*word, out);
	}
	fputc('\'', out);
}

/*
 * Variables by env(1): a shell knows no names but its own kind, and keeps some for
 * itself.
 */
static void write_command(FILE *out, const struct session *session)
{
	char **command = session->command, **variable = session->variables;

	if (session->start_in) {
		fputs("cd -- ", out);
		quote(out, session->start_in);
		fputs(" || exit 126\n", out);
	}
	fputs("exec", out);
	if (variable && *variable)
		fputs(" env --", out);
	for (; variable && *variable; variable++) {
		fputc(' ', out);
		quote(out, *variable);
	}
	for (; *command; command++) {
		fputc(' ', out);
		quote(out, *command);
	}
	fputc('\n', out);
}

/* Of paths with any bytes in them. */
static void write_places(FILE *out, const struct share_place *at)
{
	fputs("mount_places() {\n\t:\n", out);
	for (; at && at->tag; at++) {
		fprintf(out, "\tmount_place %s ", at->tag);
		quote(out, at->place);
		fputc('\n', out);
	}
	fputs("}\n", out);
}

static void write_settings(FILE *out, const struct session *session)
{
	fprintf(out, "LG_COMMAND=%s\n", session->command ? "1" : "");
	fprintf(out, "LG_TERMINAL=%s\n", session->terminal ? "1" : "");
	fprintf(out, "LG_INPUT=%s\n", session->input ? "1" : "");
	fprintf(out, "LG_STDERR=%d\n",
		session->terminal && !session->split_stderr ? 1 : 2);
	if (session->rows && session->columns)
		fprintf(out, "LG_SIZE='rows %u cols %u'\n", session->rows,
			session->columns);
	else
		fputs("LG_SIZE=\n", out);
	fprintf(out, "LG_SHARES='%s'\n", session->shares ? session->shares : "");
	fprintf(out, "LG_AGENT=%s\n", session->agent ? "1" : "");
	fprintf(out, "LG_DHCP='%s'\n", session->dhcp ? session->dhcp : "");
	if (session->become)
		fprintf(out, "LG_USER=%u\n", session->become->uid);
	fprintf(out, "LG_ROOT=%s\n", session->rootfs ? ROOT_TAG : "");
	if (session->report_order)
		fprintf(out, "LG_REPORT=%u\n", session->report_order);
	if (session->rootfs)
		write_places(out, session->places);
	fputs("LG_FOLDER=", out);
	quote(out, session->folder ? session->folder : "");
	fputs("\nexport TERM=", out);
	quote(out, session->term ? session->term : "dumb");
	fputc('\n', out);
}

static bool add_text(struct archive *archive, const char *name, struct text *text)
{
	bool ok = !fclose(text->stream);

	if (ok)
		archive_file(archive, name, 0644, text->bytes, text->size);
	free(text->bytes);
	return ok;
}

static bool add_session(struct archive *archive, const struct session *session)
{
	struct text text;

	if (!text_begin(&text))
		return false;
	write_settings(text.stream, session);
	if (!add_text(archive, "lguest/settings", &text))
		return false;
	if (!session->command)
		return true;
	if (!text_begin(&text))
		return false;
	write_command(text.stream, session);
	return add_text(archive, "lguest/command", &text);
}

/* Applets that /init needs before it can install the others. */
static const char *const first_applets[] = {
	"sh", "mount", "mkdir", "ln", "hostname", "ip", "stty", "setsid",
};

static void add_folders(struct archive *archive)
{
	static const char *const folders[] = {
		"bin", "dev", "etc", "lguest", "mnt", "proc", "root", "run",
		"sys", "tmp", "usr", "var",
	};
	size_t i;

	for (i = 0; i < sizeof(folders) / sizeof(folders[0]); i++)
		archive_folder(archive, folders[i]);
	archive_link(archive, "sbin", "bin");
	archive_link(archive, "usr/bin", "../bin");
	archive_link(archive, "usr/sbin", "../bin");
	for (i = 0; i < sizeof(first_applets) / sizeof(first_applets[0]); i++) {
		char name[32];

		snprintf(name, sizeof(name), "bin/%s", first_applets[i]);
		archive_link(archive, name, "busybox");
	}
}

bool pack_initramfs(const struct session *session, const void *busybox,
		    size_t size, struct archive *archive)
{
	static const char users[] = "root:x:0:0:root:/root:/bin/sh\n";
	static const char groups[] = "root:x:0:\n";
	static const char profile[] = "PS1='\\w # '\n";

	memset(archive, 0, sizeof(*archive));
	add_folders(archive);
	archive_device(archive, "dev/console", 5, 1);
	archive_file(archive, "bin/busybox", 0755, busybox, size);
	archive_file(archive, "init", 0755, guest_init, strlen(guest_init));
	archive_file(archive, "lguest/enter", 0755, guest_enter, strlen(guest_enter));
	archive_file(archive, "lguest/lease", 0755, guest_lease, strlen(guest_lease));
	archive_file(archive, "lguest/poweroff", 0755, guest_poweroff, strlen(guest_poweroff));
	if (session->agent)
		archive_file(archive, "lguest/agent", 0755, guest_agent,
			     guest_agent_end - guest_agent);
	if (session->become) {
		unsigned char program[BECOME_MOST];
		size_t bytes = become_program(session->become, program);

		archive_file(archive, "lguest/become", 0755, program, bytes);
	}
	archive_file(archive, "etc/passwd", 0644, users, strlen(users));
	archive_file(archive, "etc/group", 0644, groups, strlen(groups));
	archive_file(archive, "etc/profile", 0644, profile, strlen(profile));
	if (session->drivers && *session->drivers)
		add_modules(archive, session->release, session->drivers);
	if (add_session(archive, session) && archive_end(archive))
		return true;
	problem("cannot build the initramfs: out of memory; free some");
	archive_free(archive);
	return false;
}

/* Static means: an x86-64 program that asks for no interpreter (ld.so). */
bool is_static_program(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	Elf64_Ehdr header;
	bool is_static = false;
	unsigned int i;

	if (fd < 0)
		return false;
	if (pread(fd, &header, sizeof(header), 0) == sizeof(header) &&
	    !memcmp(header.e_ident, ELFMAG, SELFMAG) &&
	    header.e_ident[EI_CLASS] == ELFCLASS64 &&
	    header.e_machine == EM_X86_64 &&
	    header.e_phentsize == sizeof(Elf64_Phdr) && header.e_phnum) {
		is_static = true;
		for (i = 0; i < header.e_phnum && is_static; i++) {
			Elf64_Phdr segment;

			is_static = pread(fd, &segment, sizeof(segment),
					  header.e_phoff + i * sizeof(segment)) ==
				    sizeof(segment) && segment.p_type != PT_INTERP;
		}
	}
	close(fd);
	return is_static;
}

const char *find_busybox(void)
{
	static const char *const places[] = {
		"/bin/busybox", "/usr/bin/busybox", "/sbin/busybox",
		"/usr/local/bin/busybox", "/bin/busybox.static",
	};
	size_t i;

	for (i = 0; i < sizeof(places) / sizeof(places[0]); i++)
		if (is_static_program(places[i]))
			return places[i];
	return NULL;
}

bool build_initramfs(const struct session *session, struct archive *archive)
{
	const char *path = find_busybox();
	struct stat status;
	void *bytes;
	bool ok;
	int fd;

	if (!path) {
		problem("cannot build an initramfs: there is no static busybox in /bin or /usr/bin; %s, or name an initrd with -i",
			how_to_install(PACKAGE_BUSYBOX, NULL).text);
		return false;
	}
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &status)) {
		problem("cannot read %s: %s; name an initrd with -i", path,
			strerror(errno));
		if (fd >= 0)
			close(fd);
		return false;
	}
	bytes = mmap(NULL, status.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	close(fd);
	if (bytes == MAP_FAILED) {
		problem("cannot read %s: %s; name an initrd with -i", path,
			strerror(errno));
		return false;
	}
	ok = pack_initramfs(session, bytes, status.st_size, archive);
	munmap(bytes, status.st_size);
	return ok;
}
