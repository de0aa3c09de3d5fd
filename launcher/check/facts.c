// SPDX-License-Identifier: GPL-2.0
/*
 * Reads what facts.h lists.  Nothing here judges, and nothing changes the
 * machine: files are opened for reading, or only looked for.
 * Read next: distribution.c.
 */
#include <cpuid.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "facts.h"
#include "jail/landlock.h"

#define FILE_MOST	(16UL << 20)

enum how { TEXT, TEXTS, NAMES, PATHS, EXISTS, USABLE, LOG };

static const struct {
	enum how how;
	const char *path;
} files[MACHINE_FILE_COUNT] = {
#define ENTRY(name, how, path) [FILE_##name] = { how, path },
	MACHINE_FILES(ENTRY)
#undef ENTRY
};

const char *machine_path(enum machine_file file)
{
	return files[file].path;
}

/*
 * Adds all of a file to out.  The log gives a record for each read(), and
 * EPIPE for one that was overwritten meanwhile; it is at its end at EAGAIN.
 */
static int add_file(FILE *out, const char *path)
{
	int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC), error = 0;
	char buffer[16384];
	size_t total = 0;
	ssize_t got;

	if (fd < 0)
		return errno;
	while (total < FILE_MOST) {
		got = read(fd, buffer, sizeof(buffer));
		if (got < 0 && (errno == EPIPE || errno == EINTR))
			continue;
		if (got < 0 && errno != EAGAIN)
			error = errno;
		if (got <= 0)
			break;
		fwrite(buffer, 1, got, out);
		total += got;
	}
	close(fd);
	return error;
}

/* A line for each name in the folder, with what the file says if it is wanted. */
static int add_folder(FILE *out, const char *path, bool texts)
{
	DIR *folder = opendir(path);
	struct dirent *entry;
	char file[4096 + 256];

	if (!folder)
		return errno;
	while ((entry = readdir(folder))) {
		if (entry->d_name[0] == '.')
			continue;
		fprintf(out, "%s%s", entry->d_name, texts ? ": " : "\n");
		snprintf(file, sizeof(file), "%s/%s", path, entry->d_name);
		if (texts && add_file(out, file))
			fputc('\n', out);
	}
	closedir(folder);
	return 0;
}

/* A line for each path that there is. */
static int add_paths(FILE *out, const char *pattern)
{
	glob_t found;
	size_t i;

	if (glob(pattern, 0, NULL, &found))
		return ENOENT;
	for (i = 0; i < found.gl_pathc; i++)
		fprintf(out, "%s\n", found.gl_pathv[i]);
	globfree(&found);
	return 0;
}

static int add_any(FILE *out, const char *path, enum how how)
{
	switch (how) {
	case EXISTS:
		return access(path, F_OK) ? errno : 0;
	case USABLE:
		return access(path, R_OK | W_OK) ? errno : 0;
	case PATHS:
		return add_paths(out, path);
	case TEXTS:
	case NAMES:
		return add_folder(out, path, how == TEXTS);
	default:
		return add_file(out, path);
	}
}

static void read_one(struct machine *m, const char *root, enum machine_file file)
{
	const char *release = m->text[FILE_RELEASE], *path = files[file].path;
	const char *hole = strstr(path, "%s");
	FILE *out = open_memstream(&m->text[file], &m->size[file]);
	char full[4096];

	m->error[file] = ENOMEM;
	if (!out)
		return;
	if (hole)
		snprintf(full, sizeof(full), "%s%.*s%.*s%s", root, (int)(hole - path), path,
			 release ? (int)strcspn(release, "\n") : 0,
			 release ? release : "", hole + 2);
	else
		snprintf(full, sizeof(full), "%s%s", root, path);
	m->error[file] = add_any(out, full, files[file].how);
	fclose(out);
	if (m->error[file]) {
		free(m->text[file]);
		m->text[file] = NULL;
	}
}

void machine_read(struct machine *m, const char *root)
{
	unsigned int i;

	memset(m, 0, sizeof(*m));
	for (i = 0; i < MACHINE_FILE_COUNT; i++)
		read_one(m, root, i);
}

void machine_free(struct machine *m)
{
	unsigned int i;

	for (i = 0; i < MACHINE_FILE_COUNT; i++)
		free(m->text[i]);
}

/*
 * A hypervisor that pretends to be another one has a second signature 0x100
 * leaves further on, as KVM with Hyper-V's features does.
 */
static void ask_hypervisor(struct machine *m)
{
	unsigned int base, eax, ebx, ecx, edx;
	char name[13] = "";

	for (base = 0x40000000; base < 0x40010000; base += 0x100) {
		__cpuid(base, eax, ebx, ecx, edx);
		memcpy(name, &ebx, 4);
		memcpy(name + 4, &ecx, 4);
		memcpy(name + 8, &edx, 4);
		if (base == 0x40000000)
			memcpy(m->cpuid.hypervisor, name, sizeof(name));
		if (strcmp(name, "KVMKVMKVM"))
			continue;
		memcpy(m->cpuid.hypervisor, name, sizeof(name));
		__cpuid(base + 1, m->cpuid.kvm_features, ebx, ecx, edx);
		return;
	}
}

void machine_ask(struct machine *m)
{
	unsigned int eax, ebx, ecx, edx;
	int version = landlock_version();

	m->landlock = version > 0 ? version : 0;
	m->cpuid.known = true;
	if (__get_cpuid(1, &eax, &ebx, &ecx, &edx) && ecx & (1u << 31))
		ask_hypervisor(m);
	if (__get_cpuid(0x8000001f, &eax, &ebx, &ecx, &edx))
		m->cpuid.encryption = eax;
}

bool has_word(const char *line, const char *word)
{
	size_t length = strlen(word);
	const char *at = line;

	while ((at = strstr(at, word))) {
		bool begins = at == line || at[-1] == ' ' || at[-1] == '\t';
		char after = at[length];

		if (begins && (after == ' ' || after == '\n' || !after))
			return true;
		at += length;
	}
	return false;
}

/* The line of key in the first CPU's paragraph; NULL, or where its value begins. */
static const char *cpu_line(const struct machine *m, const char *key)
{
	const char *line = m->text[FILE_CPUINFO];
	size_t length = strlen(key);

	for (; line && *line && *line != '\n'; line += *line == '\n') {
		size_t named = strcspn(line, "\t:\n");

		if (named == length && !strncmp(line, key, length)) {
			line += length;
			return line + strspn(line, "\t: ");
		}
		line += strcspn(line, "\n");
	}
	return NULL;
}

bool machine_cpu(const struct machine *m, const char *key, char *value, size_t size)
{
	const char *line = cpu_line(m, key);

	if (!line)
		return false;
	snprintf(value, size, "%.*s", (int)strcspn(line, "\n"), line);
	return true;
}

bool machine_flag(const struct machine *m, const char *flag)
{
	char line[8192];

	return machine_cpu(m, "flags", line, sizeof(line)) && has_word(line, flag);
}
