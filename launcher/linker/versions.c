// SPDX-License-Identifier: GPL-2.0
/*P:065
 * The guest layer takes the place of some of Linux's code and sets variables of
 * its own.  A kernel that lacks what it names is refused when it is linked; but
 * one that has it all, and means something else by it, would be found out by a
 * crash, if at all.  So kernels older or newer than those that have been tried are
 * refused by their number, unless the user insists.
 * Read next: layer.c.
:*/
#include "versions.h"

int version_check(const char *release, const char *name, struct lguest_error *err)
{
	unsigned int number = version_number(release);

	if (number >= version_number(FIRST_KNOWN) && number <= version_number(LAST_KNOWN))
		return 0;
	return link_fail(err, "linking %s: it is Linux %s, and this lguest knows Linux " FIRST_KNOWN " to " LAST_KNOWN "; take one of those, or try it with --try-anyway",
			 name, release);
}
