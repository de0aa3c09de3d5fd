/* SPDX-License-Identifier: GPL-2.0 */
/* TCP's windows in frames to and from passt: net_window.c says why. */
#ifndef LGUEST_NET_WINDOW_H
#define LGUEST_NET_WINDOW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * If this Ethernet frame begins a TCP connection: no scale for its window.  The first
 * bytes of one will do, if TCP's options are among them.
 */
void window_unscale(uint8_t *frame, size_t size);

/* The last acknowledgements that went out, by connection; all zero at first. */
#define ACKS_MOST	256
struct acks {
	struct ack {
		uint64_t who, when;	/* a hash; ms */
		uint32_t number;
		uint16_t window;
	} last[ACKS_MOST];
};

/*
 * Does this frame of the guest's, of which the first @look bytes are here, only say once
 * more what it said a moment ago?
 */
bool acks_again(struct acks *acks, const uint8_t *frame, size_t look, size_t size, uint64_t now);

#endif /* LGUEST_NET_WINDOW_H */
