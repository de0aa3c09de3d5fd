/* SPDX-License-Identifier: GPL-2.0 */
/* A program of the distribution that serves a device, beside the machine. */
#ifndef LGUEST_BESIDE_H
#define LGUEST_BESIDE_H

/*
 * The calling process, and the program that it becomes: no network, no other process, no
 * change of the machine.  0 or -errno.
 */
int confine_beside(void);

#endif /* LGUEST_BESIDE_H */
