/* SPDX-License-Identifier: GPL-2.0 */
/* What a guest does not see of the folders that it has. */
#ifndef LGUEST_HIDDEN_H
#define LGUEST_HIDDEN_H

#include <stdbool.h>
#include <stdint.h>

struct statx;

/*
 * A folder's place on the way from / to something hidden.  Whoever stands at such a
 * place asks with the name that he wants where that leads.
 */
#define WAY_NONE	0		/* to nothing hidden */
#define WAY_TOP		1		/* the host's / */
#define WAY_HIDDEN	UINT16_MAX	/* it is hidden itself */

struct hidden;

struct hidden *hidden_create(void);
/*
 * Hide a path below @root: its name, with whatever comes to be there; and
 * if that is there already, the thing itself, by whatever other name.  The last
 * component is a pattern, as the shell's, if @pattern.
 */
void hidden_add(struct hidden *hidden, const char *root, const char *path, bool pattern);
/* False if there was no memory for something. */
bool hidden_complete(const struct hidden *hidden);

uint16_t hidden_way(const struct hidden *hidden, uint16_t way, const char *name);
/* Where an absolute path without links leads. */
uint16_t hidden_way_of(const struct hidden *hidden, const char *path);
bool hidden_file(const struct hidden *hidden, uint64_t device, uint64_t number);

/* Does an absolute path lie below a folder's? */
bool path_below(const char *path, const char *folder);
/* The path without links; what is not there yet stays as it is.  NULL: no memory. */
char *path_settle(const char *path);
/* The same of where a name lies: if it is a link, that of the link itself. */
char *path_place(const char *path);

/*
 * secrets.c: what is hidden of a root unless the user wants it shown.  Calls with
 * each pattern that he has not shown, until one gives false.
 */
struct text_list;
bool secrets_each(const struct text_list *show, bool (*call)(void *with, const char *path),
		  void *with);
/* Does this path show anything? */
bool secrets_shows(const char *path);

/*
 * hiding.c: what the user hides, or NULL; and, with that, what is secret unless he
 * shows it.
 */
const struct hidden *hiding_of(bool secrets);

#endif /* LGUEST_HIDDEN_H */
