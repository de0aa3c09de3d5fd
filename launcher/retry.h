/* SPDX-License-Identifier: GPL-2.0 */
#ifndef LGUEST_RETRY_H
#define LGUEST_RETRY_H

#include <errno.h>
#include <sys/types.h>

/* Do it again while it is interrupted. */
#define RETRY(call) ({					\
	ssize_t result_;				\
	do {						\
		result_ = (call);			\
	} while (result_ < 0 && errno == EINTR);	\
	result_;					\
})

#endif /* LGUEST_RETRY_H */
