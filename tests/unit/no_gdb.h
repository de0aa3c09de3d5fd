/* SPDX-License-Identifier: GPL-2.0 */
/* For tests of the run loop and of the line to the supervisor: a launcher without --gdb. */
#ifndef LGUEST_NO_GDB_H
#define LGUEST_NO_GDB_H

#include "debugger/gdb.h"

void gdb_start(struct gdb *gdb, struct guest *guest)
{
	(void)gdb, (void)guest;
}

int gdb_source(struct gdb *gdb)
{
	(void)gdb;
	return -1;
}

void gdb_call(struct gdb *gdb)
{
	(void)gdb;
}

bool gdb_calling(struct gdb *gdb)
{
	(void)gdb;
	return false;
}

void gdb_attend(struct gdb *gdb)
{
	(void)gdb;
}

bool gdb_trapped(struct gdb *gdb)
{
	(void)gdb;
	return false;
}

void gdb_handled(struct gdb *gdb)
{
	(void)gdb;
}

struct gdb *gdb_expect(bool first_stop, void (*gone)(void))
{
	(void)first_stop, (void)gone;
	return NULL;
}

void gdb_bring(struct gdb *gdb, int connection, unsigned int agreed)
{
	(void)gdb, (void)connection, (void)agreed;
}

void gdb_ended(struct gdb *gdb, int signal)
{
	(void)gdb, (void)signal;
}

unsigned int gdb_agreed(const struct gdb *gdb)
{
	(void)gdb;
	return 0;
}

#endif /* LGUEST_NO_GDB_H */
