/* SPDX-License-Identifier: GPL-2.0 */
/* TCP's windows in frames to and from passt: net_window.c says why. */
#ifndef LGUEST_NET_WINDOW_H
#define LGUEST_NET_WINDOW_H

#include <stddef.h>
#include <stdint.h>

/*
 * If this Ethernet frame begins a TCP connection: no scale for its window.  The first
 * bytes of one will do, if TCP's options are among them.
 */
void window_unscale(uint8_t *frame, size_t size);

#endif /* LGUEST_NET_WINDOW_H */
