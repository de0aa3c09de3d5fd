/* SPDX-License-Identifier: GPL-2.0 */
#ifndef LGUEST_IO_H
#define LGUEST_IO_H

#include <stdbool.h>
#include <stddef.h>

/*
 * Write all of it: 0 or errno.  Where the descriptor does not wait, this does.
 * stop(), unless it is NULL, is asked after each piece and each interruption; true
 * ends it, with EINTR.
 */
int write_all(int fd, const void *bytes, size_t size, bool (*stop)(void *with), void *with);

#endif /* LGUEST_IO_H */
