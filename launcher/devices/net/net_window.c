// SPDX-License-Identifier: GPL-2.0
/*
 * The windows of connections through passt.  What it has sent and the guest has not yet
 * acknowledged lies in a socket that is often smaller than a window of megabytes (RFC
 * 7323), and what does not fit is lost.  passt's end of a connection is on this machine:
 * a window of 64 KiB is enough, and that is one without a scale.  So the scale is taken
 * out of the frames that begin a connection, both ways.
 *
 * The passt of 2023 sends a window again for each acknowledgement that comes twice, and
 * for each frame that comes twice the guest acknowledges twice: that need not end.  So
 * what says nothing new goes out ten times in a second, no more.
 * Read next: net_rules.c.
 */
#include <net/ethernet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>

#include "net_window.h"

#define TCP_HEADER	20
#define CHECKSUM_AT	16
#define FLAGS_AT	13
#define ACK_AT		8
#define WINDOW_AT	14
#define AGAIN_MS	100

/* One byte of a TCP header becomes another, and the checksum remains right (RFC 1624). */
static void replace(uint8_t *tcp, size_t at, uint8_t byte)
{
	unsigned int shift = at % 2 ? 0 : 8;
	uint32_t sum = (uint16_t)~(tcp[CHECKSUM_AT] << 8 | tcp[CHECKSUM_AT + 1]);

	sum += (uint16_t)~(tcp[at] << shift);
	sum += byte << shift;
	sum = (sum & 0xffff) + (sum >> 16);
	sum = ~((sum & 0xffff) + (sum >> 16));
	tcp[at] = byte;
	tcp[CHECKSUM_AT] = sum >> 8;
	tcp[CHECKSUM_AT + 1] = sum;
}

static void take_scale(uint8_t *tcp, size_t size)
{
	size_t at = TCP_HEADER, length, i;

	for (; at + 1 < size && tcp[at] != TCPOPT_EOL; at += length) {
		length = tcp[at] == TCPOPT_NOP ? 1 : tcp[at + 1];
		if (!length || length > size - at)
			return;
		if (tcp[at] != TCPOPT_WINDOW)
			continue;
		for (i = 0; i < length; i++)
			replace(tcp, at + i, TCPOPT_NOP);
	}
}

/* Where TCP's header begins in a frame; 0: it has none, or is a later fragment. */
static size_t find_tcp(const uint8_t *frame, size_t size)
{
	const uint8_t *ip = frame + ETH_HLEN;
	unsigned int type = size < ETH_HLEN + 40 ? 0 : frame[12] << 8 | frame[13];

	if (type == ETHERTYPE_IP && ip[9] == IPPROTO_TCP && !(ip[6] & 0x1f) && !ip[7])
		return ETH_HLEN + (ip[0] & 15) * 4;
	if (type == ETHERTYPE_IPV6 && ip[6] == IPPROTO_TCP)
		return ETH_HLEN + 40;
	return 0;
}

void window_unscale(uint8_t *frame, size_t size)
{
	size_t at = find_tcp(frame, size), header;
	uint8_t *tcp = frame + at;

	if (!at || size < at + TCP_HEADER || !(tcp[FLAGS_AT] & TH_SYN))
		return;
	header = (tcp[12] >> 4) * 4;
	if (header <= size - at)
		take_scale(tcp, header);
}

/* An acknowledgement and nothing else; the frame may end with padding. */
static bool is_only_ack(const uint8_t *frame, size_t at, size_t size)
{
	const uint8_t *ip = frame + ETH_HLEN;
	bool v6 = ip[0] >> 4 == 6;
	size_t length = v6 ? 40 + (ip[4] << 8 | ip[5]) : ip[2] << 8 | ip[3];

	return frame[at + FLAGS_AT] == TH_ACK && ETH_HLEN + length <= size &&
	       ETH_HLEN + length == at + (frame[at + 12] >> 4) * 4;
}

/* Of the addresses and ports. */
static uint64_t hash_of(const uint8_t *frame, size_t at)
{
	size_t i = ETH_HLEN + (frame[ETH_HLEN] >> 4 == 6 ? 8 : 12);
	uint64_t hash = 14695981039346656037ULL;

	for (; i < at + 4; i++)
		hash = (hash ^ frame[i]) * 1099511628211ULL;
	return hash;
}

static struct ack read_ack(const uint8_t *frame, size_t at, uint64_t now)
{
	const uint8_t *tcp = frame + at, *n = tcp + ACK_AT;

	return (struct ack){
		.who = hash_of(frame, at),
		.when = now,
		.number = (uint32_t)n[0] << 24 | n[1] << 16 | n[2] << 8 | n[3],
		.window = tcp[WINDOW_AT] << 8 | tcp[WINDOW_AT + 1],
	};
}

bool acks_again(struct acks *acks, const uint8_t *frame, size_t look, size_t size, uint64_t now)
{
	size_t at = find_tcp(frame, look);
	struct ack ack, *last;

	if (!at || look < at + TCP_HEADER || !is_only_ack(frame, at, size))
		return false;
	ack = read_ack(frame, at, now);
	last = &acks->last[ack.who % ACKS_MOST];
	if (last->who == ack.who && last->number == ack.number && last->window == ack.window &&
	    now - last->when < AGAIN_MS)
		return true;
	*last = ack;
	return false;
}
