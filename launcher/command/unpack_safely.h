/* SPDX-License-Identifier: GPL-2.0 */
/* A tar that comes from a guest: nothing of it shall be where it was not wanted. */
#ifndef LGUEST_UNPACK_SAFELY_H
#define LGUEST_UNPACK_SAFELY_H

#include <stdbool.h>
#include <sys/types.h>

/* Does our tar keep to the folder that it unpacks in?  False after a message. */
bool tar_is_safe(void);
/*
 * Start tar: with words, whose output can be read from the descriptor that is given; or
 * without, to unpack what is written there into @folder, which is closed.  -1: errno.
 */
int tar_start(char **words, int folder, pid_t *child);
/* Was it content? */
bool tar_ended(pid_t child);

/* Make STAGING/x and open it, or -1. */
int unpack_folder(const char *staging);
/*
 * Move what was unpacked to its place; a folder that is there already gets what is in
 * it, and no symbolic link on the way there is followed.  No devices, no set-user-ID
 * programs.  False after a message.
 */
bool unpack_settle(const char *from, const char *place);
/* All that is left there. */
void unpack_remove(const char *staging);

#endif /* LGUEST_UNPACK_SAFELY_H */
