/* SPDX-License-Identifier: GPL-2.0 */
#ifndef LGUEST_IO_H
#define LGUEST_IO_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/types.h>

/*
 * Write all of it: 0 or errno.  Where the descriptor does not wait, this does.
 * stop(), unless it is NULL, is asked after each piece and each interruption; true
 * ends it, with EINTR.
 */
int write_all(int fd, const void *bytes, size_t size, bool (*stop)(void *with), void *with);

/*
 * What a program beside us says on its stderr is kept in a pipe, for the message about its
 * end: the caller of `--detach` does not wait for that program to close what is his.  Gives
 * both ends; the writer's does not wait, should we not read for long.
 */
bool words_open(int ends[2]);
/* Its last line, to be shown; "" if there is none. */
void words_last(int fd, char *line, size_t size);

/* Room for a descriptor that goes with a message. */
union descriptor_room {
	struct cmsghdr header;
	char bytes[CMSG_SPACE(sizeof(int))];
};

/* Have sendmsg() give fd to the other side, too. */
static inline void carry_descriptor(struct msghdr *message, union descriptor_room *room, int fd)
{
	memset(room, 0, sizeof(*room));
	room->header.cmsg_level = SOL_SOCKET;
	room->header.cmsg_type = SCM_RIGHTS;
	room->header.cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(&room->header), &fd, sizeof(int));
	message->msg_control = room;
	message->msg_controllen = sizeof(*room);
}

/*
 * One message, without waiting, and the descriptor that came along, or -1; with fd NULL
 * none is taken.  Gives the message's own size, which may be more than there is room for;
 * or -1 with errno.
 */
ssize_t receive_carried(int socket, void *to, size_t size, int *fd);

#endif /* LGUEST_IO_H */
