/* SPDX-License-Identifier: GPL-2.0 */
/* For tests of the run loop and of the watching thread: a launcher without --gdb. */
#ifndef LGUEST_NO_GDB_H
#define LGUEST_NO_GDB_H

#include "debugger/gdb.h"

void gdb_start(struct guest *guest)
{
	(void)guest;
}

int gdb_source(void)
{
	return -1;
}

void gdb_call(void)
{
}

bool gdb_calling(void)
{
	return false;
}

void gdb_attend(void)
{
}

bool gdb_trapped(void)
{
	return false;
}

void gdb_handled(void)
{
}

#endif /* LGUEST_NO_GDB_H */
