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

/* "6.12.117+deb12-amd64" -> 6012; 0 if it is no version. */
static unsigned int number_of(const char *release)
{
	unsigned int major, minor;

	if (sscanf(release, "%3u.%3u", &major, &minor) != 2)
		return 0;
	return 1000 * major + minor;
}

int version_check(const char *release, const char *name, struct lguest_error *err)
{
	unsigned int number = number_of(release);

	if (number >= number_of(FIRST_KNOWN) && number <= number_of(LAST_KNOWN))
		return 0;
	return link_fail(err, "linking %s: it is Linux %s, and this lguest knows Linux " FIRST_KNOWN " to " LAST_KNOWN "; take one of those, or try it with --try-anyway",
			 name, release);
}
