// SPDX-License-Identifier: GPL-2.0
/*
 * What a bundle asks for (config.json of the OCI runtime specification).  Namespaces,
 * capabilities, seccomp and the like bound a process of the host's kernel: here it has
 * a kernel of its own, and they are passed over; docs/OCI.md says what is.
 * Read next: oci_state.c.
 */
#define _GNU_SOURCE 1
#include <ctype.h>
#include <limits.h>
#include <lguest/guest.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lguest.h"
#include "oci.h"

#define PERIOD_USUAL	100000	/* us; cgroups' own */

static bool wrong(const char *what)
{
	problem("oci: the bundle's %s", what);
	return false;
}

/* An array of texts, NULL-ended; NULL if it is none. */
static char **texts_of(const json_t *array)
{
	size_t n = json_array_size(array), i;
	char **texts = calloc(n + 1, sizeof(*texts));

	for (i = 0; texts && i < n; i++) {
		texts[i] = (char *)json_string_value(json_array_get(array, i));
		if (!texts[i]) {
			free(texts);
			return NULL;
		}
	}
	return texts;
}

/* "UID:GID,GROUP,..." */
static void read_user(const json_t *user, struct oci_process *process)
{
	const json_t *more = json_object_get(user, "additionalGids");
	size_t used, i;

	used = snprintf(process->user, sizeof(process->user), "%" JSON_INTEGER_FORMAT
			":%" JSON_INTEGER_FORMAT,
			json_integer_value(json_object_get(user, "uid")),
			json_integer_value(json_object_get(user, "gid")));
	for (i = 0; i < json_array_size(more) && used < sizeof(process->user) - 24; i++)
		used += snprintf(process->user + used, sizeof(process->user) - used,
				 ",%" JSON_INTEGER_FORMAT,
				 json_integer_value(json_array_get(more, i)));
}

bool oci_read_process(const json_t *object, struct oci_process *process)
{
	const json_t *size = json_object_get(object, "consoleSize");

	memset(process, 0, sizeof(*process));
	process->words = texts_of(json_object_get(object, "args"));
	process->variables = texts_of(json_object_get(object, "env"));
	process->folder = json_string_value(json_object_get(object, "cwd"));
	process->terminal = json_is_true(json_object_get(object, "terminal"));
	process->rows = json_integer_value(json_object_get(size, "height"));
	process->columns = json_integer_value(json_object_get(size, "width"));
	read_user(json_object_get(object, "user"), process);
	if (!process->words || !process->words[0] || !process->variables || !process->folder)
		return wrong("process has no args, env or cwd that can be used");
	return true;
}

/* One without a path is new, and leads nowhere. */
static bool has_network(const json_t *namespaces)
{
	size_t i;

	for (i = 0; i < json_array_size(namespaces); i++) {
		const json_t *one = json_array_get(namespaces, i);
		const char *type = json_string_value(json_object_get(one, "type"));

		if (type && !strcmp(type, "network"))
			return json_object_get(one, "path");
	}
	return true;
}

static bool read_root(const char *bundle, const json_t *root, struct oci_config *config)
{
	const char *path = json_string_value(json_object_get(root, "path"));
	char all[PATH_MAX];

	if (!path)
		return wrong("root has no path");
	snprintf(all, sizeof(all), "%s%s%s", *path == '/' ? "" : bundle,
		 *path == '/' ? "" : "/", path);
	config->root = realpath(all, NULL);
	config->read_only = json_is_true(json_object_get(root, "readonly"));
	if (!config->root)
		return wrong("root is not there");
	if (strpbrk(config->root, ":,"))
		return wrong("root has a colon or comma in its name: it cannot be shared");
	return true;
}

static bool take_number(const char **text, unsigned long *number)
{
	char *end;

	if (!isdigit((unsigned char)**text))
		return false;
	*number = strtoul(*text, &end, 10);
	*text = end;
	return *number <= INT_MAX;
}

/* "0-3,8": how many that is; 0: it says nothing that can be read. */
static unsigned int count_cpus(const char *list)
{
	unsigned long first, last, count = 0;

	while (list && *list) {
		if (!take_number(&list, &first))
			return 0;
		last = first;
		if (*list == '-' && (list++, !take_number(&list, &last)))
			return 0;
		if (last < first || (*list && *list != ','))
			return 0;
		count += last - first + 1;
		list += *list == ',';
	}
	return count < LGUEST_VCPUS ? count : LGUEST_VCPUS;
}

/* Time of so many CPUs, and a set of them: the smaller one counts, and a part is a whole. */
static unsigned int read_cpus(const json_t *cpu)
{
	json_int_t quota = json_integer_value(json_object_get(cpu, "quota"));
	json_int_t period = json_integer_value(json_object_get(cpu, "period"));
	unsigned int set = count_cpus(json_string_value(json_object_get(cpu, "cpus")));
	json_int_t time;

	if (quota <= 0)
		return set;
	if (period <= 0)
		period = PERIOD_USUAL;
	time = quota / period + !!(quota % period);
	if (set && set < time)
		return set;
	return time < LGUEST_VCPUS ? time : LGUEST_VCPUS;
}

bool oci_read_config(const char *bundle, struct oci_config *config)
{
	json_t *linux_part, *resources, *memory;
	char path[PATH_MAX];
	json_error_t error;

	memset(config, 0, sizeof(*config));
	snprintf(path, sizeof(path), "%s/config.json", bundle);
	config->object = json_load_file(path, JSON_REJECT_DUPLICATES, &error);
	if (!config->object) {
		problem("oci: %s: %s", path, error.text);
		return false;
	}
	linux_part = json_object_get(config->object, "linux");
	resources = json_object_get(linux_part, "resources");
	memory = json_object_get(json_object_get(resources, "memory"), "limit");
	config->memory = json_integer_value(memory) > 0 ? json_integer_value(memory) : 0;
	config->vcpus = read_cpus(json_object_get(resources, "cpu"));
	config->network = has_network(json_object_get(linux_part, "namespaces"));
	config->hostname = json_string_value(json_object_get(config->object, "hostname"));
	return read_root(bundle, json_object_get(config->object, "root"), config) &&
	       oci_read_process(json_object_get(config->object, "process"), &config->process);
}
