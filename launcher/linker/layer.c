// SPDX-License-Identifier: GPL-2.0
/*P:070
 * The guest layer is compiled against the headers package of one kernel, and
 * fits only that one: structures move between releases, and nothing but the
 * release would tell.  So layer.o carries it in a section of its own, and
 * layers are kept in directories named after it.
 * Read next: symbols.c.
:*/
#define _GNU_SOURCE 1
#include <stdlib.h>
#include <unistd.h>

#include "distribution.h"
#include "layer.h"

#define LAYER_LIMIT	(16UL << 20)

/* If @dir/@sub/@file is there give its path, else note that we looked. */
static char *probe(const char *dir, const char *sub, const char *file,
		   FILE *tried)
{
	char *path;

	if (asprintf(&path, "%s/%s%s%s", dir, sub, *sub ? "/" : "", file) < 0)
		return NULL;
	if (access(path, R_OK) == 0)
		return path;
	fprintf(tried, " %s", path);
	free(path);
	return NULL;
}

static void search_dir(struct layer *l, const char *dir, const char *release,
		       FILE *tried)
{
	l->object = probe(dir, release, LAYER_OBJECT, tried);
	if (!l->object)
		l->object = probe(dir, "", LAYER_OBJECT, tried);
	if (!l->object)
		return;
	l->script = probe(dir, release, LAYER_SCRIPT, tried);
	if (!l->script)
		l->script = probe(dir, "", LAYER_SCRIPT, tried);
}

/* $LGUEST_LAYERS is a list like $PATH. */
static void search_list(struct layer *l, const char *list, const char *release,
			FILE *tried)
{
	char *copy = strdup(list), *rest = copy, *dir;

	while (copy && !l->object && (dir = strsep(&rest, ":")))
		if (*dir)
			search_dir(l, dir, release, tried);
	free(copy);
}

/* Say how to get a layer for @release, as the end of the sentence in @err. */
static int advise(const char *release, struct lguest_error *err)
{
	size_t len = strlen(err->text);
	char headers[128], first[256] = "";

	snprintf(headers, sizeof(headers), "/lib/modules/%s/build", release);
	if (access(headers, F_OK) < 0)
		snprintf(first, sizeof(first), "get its headers (%s) and ",
			 how_to_install(PACKAGE_HEADERS, release).text);
	snprintf(err->text + len, sizeof(err->text) - len,
		 "; %sbuild one, as root, with: lguest link --all (or in lguest's source with: make layer GUEST_KVER=%s, and set LGUEST_LAYERS to its build/layers)",
		 first, release);
	return -1;
}

static int not_found(const struct layer *l, const char *release,
		     const char *tried, struct lguest_error *err)
{
	if (l->object)
		return link_fail(err, "linking: found %s, but no %s for it (looked for:%s); keep the two together",
				 l->object, LAYER_SCRIPT, tried);
	link_fail(err, "linking: there is no guest layer for Linux %s (looked for:%s)",
		  release, tried);
	return advise(release, err);
}

static int find(struct layer *l, const char *dir, const char *release,
		struct lguest_error *err)
{
	const char *list = getenv("LGUEST_LAYERS");
	char *text = NULL;
	size_t size;
	FILE *tried = open_memstream(&text, &size);
	int ret = 0;

	if (!tried)
		return link_fail(err, "linking: no memory");
	if (dir) {
		search_dir(l, dir, release, tried);
	} else {
		if (list)
			search_list(l, list, release, tried);
		if (!l->object)
			search_list(l, LAYERS_DIRS, release, tried);
	}
	fclose(tried);
	if (!l->script)
		ret = not_found(l, release, text ? text : "", err);
	free(text);
	return ret;
}

static int check_release(const struct layer *l, const char *release,
			 struct lguest_error *err)
{
	const Elf64_Shdr *s = elf_section(&l->elf, ".lguest.release");
	char found[64] = "";

	if (!s || s->sh_type == SHT_NOBITS || !s->sh_size) {
		link_fail(err, "linking: %s does not say for which kernel it is (no section .lguest.release)",
			  l->object);
		return advise(release, err);
	}
	snprintf(found, sizeof(found), "%.*s", (int)
		 (s->sh_size < sizeof(found) ? s->sh_size : sizeof(found)),
		 (const char *)l->elf.file->data + s->sh_offset);
	if (!strcmp(found, release))
		return 0;
	link_fail(err, "linking: %s is for Linux %s, but the kernel is %s",
		  l->object, found, release);
	return advise(release, err);
}

int layer_open(struct layer *l, const char *dir, const char *release,
	       struct lguest_error *err)
{
	memset(l, 0, sizeof(*l));
	if (find(l, dir, release, err) < 0 ||
	    blob_read(&l->object_file, l->object, LAYER_LIMIT, err) < 0 ||
	    blob_read(&l->script_file, l->script, LAYER_LIMIT, err) < 0 ||
	    elf_open(&l->elf, &l->object_file, l->object, ET_REL, err) < 0 ||
	    check_release(l, release, err) < 0) {
		layer_close(l);
		return -1;
	}
	return 0;
}

void layer_close(struct layer *l)
{
	elf_close(&l->elf);
	blob_free(&l->object_file);
	blob_free(&l->script_file);
	free(l->object);
	free(l->script);
	memset(l, 0, sizeof(*l));
}
