// SPDX-License-Identifier: GPL-2.0
/*P:015
 * From a vmlinuz to a guest, step by step.  Each step is a file of its own;
 * this one only puts them in order.  What is costly (unpacking, reading the
 * symbols, ld) comes after the look into the cache.
 * Read next: bzimage.c.
:*/
#define _GNU_SOURCE 1
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>

#include "bzimage.h"
#include "cache.h"
#include "debug_file.h"
#include "kernel.h"
#include "layer.h"
#include "ld.h"
#include "result.h"
#include "versions.h"

static void say(FILE *verbose, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

static void say(FILE *verbose, const char *fmt, ...)
{
	va_list ap;

	if (!verbose)
		return;
	va_start(ap, fmt);
	vfprintf(verbose, fmt, ap);
	va_end(ap);
}

/* The layer, linked by ld, and the kernel become one file in memory. */
static int join(const struct kernel *kernel, const struct layer *layer,
		struct blob *out, FILE *verbose, struct lguest_error *err)
{
	struct blob linked;
	struct elf elf;
	uint64_t fixmap;
	int ret;

	if (kernel_symbol(kernel, "level2_fixmap_pgt", &fixmap, err) < 0 ||
	    ld_run(layer, kernel, &linked, verbose, err) < 0)
		return -1;
	ret = elf_open(&elf, &linked, "the linked layer", ET_EXEC, err);
	if (!ret) {
		ret = ld_check_sections(layer, &elf, err);
		if (!ret)
			ret = output_make(&kernel->elf, fixmap, &elf,
					  kernel->release, out, err);
		elf_close(&elf);
	}
	blob_free(&linked);
	return ret;
}

static int link_to(const struct blob *file, const char *vmlinuz,
		   const struct layer *layer, const char *release,
		   const char *out, FILE *verbose, struct lguest_error *err)
{
	struct kernel kernel;
	struct blob linked;
	int ret;

	if (kernel_open(&kernel, file, vmlinuz, err) < 0)
		return -1;
	say(verbose, "%s: Linux %s, %u symbols (tables as in %s)\n", vmlinuz,
	    kernel.release, kernel.ks.nr, kernel.ks.layout);
	if (strcmp(kernel.release, release))
		ret = link_fail(err, "linking %s: its header says it is Linux %s, but inside is %s; install it again",
				vmlinuz, release, kernel.release);
	else
		ret = kernel_check(&kernel, err);
	if (!ret)
		ret = join(&kernel, layer, &linked, verbose, err);
	kernel_close(&kernel);
	if (ret)
		return -1;
	ret = write_whole(out, &linked, err);
	say(verbose, "%s: %zu bytes\n", out, linked.size);
	blob_free(&linked);
	return ret;
}

/* 1: it is in the cache; 0: not yet; *@result is where. */
static int look_in_cache(const struct sum *sum, const char *release,
			 const struct layer *layer,
			 const struct lguest_link_options *options,
			 char **result, struct lguest_error *err)
{
	struct lguest_link_note note;
	struct lguest_error ignored;

	if (cache_path(sum, release, layer, result, err) < 0)
		return -1;
	if (lguest_linked(*result, &note, &ignored) != 1 ||
	    strcmp(note.release, release))
		return 0;
	cache_used(*result);
	say(options->verbose, "%s: from the cache\n", *result);
	return 1;
}

/* Of a kernel that we know, or that shall be tried anyway. */
static int find_layer(struct layer *layer, const struct lguest_link_options *options,
		      const char *release, const char *vmlinuz,
		      struct lguest_error *err)
{
	if (!options->try_anyway && version_check(release, vmlinuz, err) < 0)
		return -1;
	return layer_open(layer, options->layer_dir, release, err);
}

/* Without reading the kernel: its sum is known, and the file is there. */
static bool link_known(const char *vmlinuz,
		       const struct lguest_link_options *options, char **result)
{
	struct lguest_error ignored;
	struct layer layer;
	char *release;
	struct sum sum;
	bool found = false;

	if (options->out || !cache_recall(vmlinuz, &release, &sum))
		return false;
	if (!find_layer(&layer, options, release, vmlinuz, &ignored)) {
		found = look_in_cache(&sum, release, &layer, options, result,
				      &ignored) == 1;
		layer_close(&layer);
	}
	free(release);
	if (!found) {
		free(*result);
		*result = NULL;
	}
	return found;
}

static int link_with(const struct blob *file, const struct sum *sum, const char *vmlinuz,
		     const struct layer *layer, const char *release,
		     const struct lguest_link_options *options,
		     char **result, struct lguest_error *err)
{
	int found = 0;

	if (options->out) {
		*result = strdup(options->out);
		if (!*result)
			return link_fail(err, "linking: no memory");
	} else {
		found = look_in_cache(sum, release, layer, options, result, err);
	}
	if (found)
		return found < 0 ? -1 : 0;
	return link_to(file, vmlinuz, layer, release, *result,
		       options->verbose, err);
}

/* A layer is not worth the trouble for a kernel that cannot be a guest. */
static void look_inside(const struct blob *file, const char *vmlinuz, struct lguest_error *err)
{
	struct lguest_error error;
	struct kernel kernel;
	int ret = kernel_open(&kernel, file, vmlinuz, &error);

	if (!ret) {
		ret = kernel_check(&kernel, &error);
		kernel_close(&kernel);
	}
	if (ret)
		*err = error;
}

/* @status: of the file, before it was read. */
static int link_file(const struct blob *file, const struct stat *status,
		     const char *vmlinuz,
		     const struct lguest_link_options *options,
		     char **result, struct lguest_error *err)
{
	struct sum sum = kernel_sum(file);
	struct layer layer;
	char *release;
	int ret;

	if (bzimage_release(file, vmlinuz, &release, err) < 0)
		return -1;
	ret = find_layer(&layer, options, release, vmlinuz, err);
	if (!ret) {
		say(options->verbose, "%s: the layer, placed by %s\n",
		    layer.object, layer.script);
		ret = link_with(file, &sum, vmlinuz, &layer, release, options,
				result, err);
		layer_close(&layer);
		if (!ret && !options->out) {
			cache_remember(status, release, &sum);
			cache_prune();
		}
	} else if (options->look_inside) {
		look_inside(file, vmlinuz, err);
	}
	free(release);
	return ret;
}

int lguest_link(const char *vmlinuz, const struct lguest_link_options *options,
		char **result, struct lguest_error *err)
{
	struct lguest_link_note note;
	struct stat status;
	struct blob file;
	int ret;

	*result = NULL;
	if (options->out && write_check(options->out, err) < 0)
		return -1;
	ret = lguest_linked(vmlinuz, &note, err);
	if (ret < 0)
		return -1;
	if (ret && options->out)
		return link_fail(err, "linking %s: it is linked already; copy it to %s",
				 vmlinuz, options->out);
	if (ret) {
		*result = strdup(vmlinuz);
		return *result ? 0 : link_fail(err, "linking: no memory");
	}
	if (link_known(vmlinuz, options, result))
		return 0;
	if (stat(vmlinuz, &status) < 0)
		return link_fail(err, "opening %s: %s", vmlinuz, strerror(errno));
	if (blob_read(&file, vmlinuz, VMLINUZ_LIMIT, err) < 0)
		return -1;
	ret = link_file(&file, &status, vmlinuz, options, result, err);
	blob_free(&file);
	if (ret) {
		free(*result);
		*result = NULL;
	}
	return ret;
}

int lguest_release(const char *vmlinuz, char **release,
		   struct lguest_error *err)
{
	struct blob file;
	int ret;

	*release = NULL;
	if (blob_read(&file, vmlinuz, VMLINUZ_LIMIT, err) < 0)
		return -1;
	ret = bzimage_release(&file, vmlinuz, release, err);
	blob_free(&file);
	return ret;
}

static int open_vmlinuz(struct kernel *kernel, const char *vmlinuz, struct lguest_error *err)
{
	struct blob file;
	int ret;

	if (blob_read(&file, vmlinuz, VMLINUZ_LIMIT, err) < 0)
		return -1;
	ret = kernel_open(kernel, &file, vmlinuz, err);
	blob_free(&file);
	return ret;
}

int lguest_debug_file(const char *vmlinuz, const char *path, struct lguest_error *err)
{
	struct kernel kernel;
	char *bytes = NULL;
	size_t size;
	FILE *out;
	int ret;

	if (open_vmlinuz(&kernel, vmlinuz, err) < 0)
		return -1;
	out = open_memstream(&bytes, &size);
	ret = out ? debug_file_write(&kernel.ks, out, err) : link_fail(err, "no memory");
	if (out)
		fclose(out);
	if (!ret)
		ret = write_whole(path, &(struct blob){ (uint8_t *)bytes, size }, err);
	free(bytes);
	kernel_close(&kernel);
	return ret;
}

int lguest_symbols(const char *vmlinuz, FILE *out, struct lguest_error *err)
{
	struct kernel kernel;
	uint32_t i;

	if (open_vmlinuz(&kernel, vmlinuz, err) < 0)
		return -1;
	for (i = 0; i < kernel.ks.nr; i++) {
		const struct symbol *s = &kernel.ks.symbols[i];

		fprintf(out, "%016llx %c %s\n", (unsigned long long)s->address,
			s->type, symbol_name(&kernel.ks, s));
	}
	kernel_close(&kernel);
	if (fflush(out) || ferror(out))
		return link_fail(err, "writing the symbols: %s",
				 strerror(errno));
	return 0;
}
