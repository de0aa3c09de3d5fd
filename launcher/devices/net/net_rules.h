/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Where a guest may send to, by `-n user`.  A rule is for addresses and perhaps a
 * port of TCP and UDP; the first that fits a packet decides.  After the user's
 * come ours: link-local addresses, where clouds keep their secrets, and addresses
 * of this machine are closed, but for name servers.  What no rule fits is let out,
 * unless there is one that allows something.
 */
#ifndef LGUEST_NET_RULES_H
#define LGUEST_NET_RULES_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RULES_MOST	64
#define OWN_MOST	64
#define CALLERS_MOST	256
#define RULES_LOOK	128	/* bytes of a frame in which all is that counts */

/* An IPv4 address is ::ffff:a.b.c.d. */
struct net_rule {
	bool allow;
	uint8_t address[16];
	unsigned int bits;
	uint16_t port;		/* 0: all */
};

/* Who called a port that leads to the guest may be answered. */
struct caller {
	uint8_t protocol, address[16];
	uint16_t port, ours;
};

/* lock: for the callers; all else does not change. */
struct net_rules {
	unsigned int count, own_count;
	bool only;		/* what is allowed */
	struct net_rule rule[RULES_MOST];
	uint8_t own[OWN_MOST][16];
	pthread_mutex_t lock;
	unsigned int next;
	struct caller caller[CALLERS_MOST];
};

void rules_init(struct net_rules *rules);
/* "CIDR[:PORT]", an IPv6 one with a port in brackets: NULL, or what is wrong. */
const char *rules_add(struct net_rules *rules, const char *text, bool allow);
/* The addresses that this machine has now are closed. */
void rules_close_own(struct net_rules *rules);
/* May this Ethernet frame of the guest's go out? */
bool rules_let_out(struct net_rules *rules, const uint8_t *frame, size_t size);
/* One that came for the guest: perhaps a call, to one of these ports. */
void rules_note_call(struct net_rules *rules, const uint8_t *frame, size_t size,
		     bool (*leads_here)(void *with, uint8_t protocol, uint16_t port), void *with);

#endif /* LGUEST_NET_RULES_H */
