/* SPDX-License-Identifier: GPL-2.0 */
/* For tests of the run loop and of the line to the supervisor: a launcher without --gdb. */
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

void gdb_expect(bool first_stop, void (*gone)(void))
{
	(void)first_stop, (void)gone;
}

void gdb_bring(int connection, unsigned int agreed)
{
	(void)connection, (void)agreed;
}

void gdb_ended(int signal)
{
	(void)signal;
}

unsigned int gdb_agreed(void)
{
	return 0;
}

#endif /* LGUEST_NO_GDB_H */
