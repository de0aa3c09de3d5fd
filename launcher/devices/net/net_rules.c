// SPDX-License-Identifier: GPL-2.0
/*
 * Rules for what a guest sends by `-n user`; net_rules.h says which.  They are kept
 * here, on the guest's frames, because passt has none.  What cannot be understood,
 * a fragment or a header behind another, has no port that could be trusted: it is
 * let out only where every port of its address is.
 * Read next: devices/virtio_balloon.c.
 */
#include <arpa/inet.h>
#include <ifaddrs.h>
#include <net/ethernet.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "net_rules.h"

#define V4_BITS		96	/* of an address before the four bytes */
#define TCP_SYN		0x02
#define TCP_ACK		0x10
#define PORT_DNS	53
#define PORT_DHCP	67
#define PORT_DHCP6	547

static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };

/* Of a packet; protocol 0: it cannot be told, nor its ports. */
struct packet {
	uint8_t protocol, flags, type;	/* TCP's flags, ICMP's type */
	uint8_t from[16], to[16];
	uint16_t from_port, to_port;	/* 0: it has none */
};

static uint16_t word(const uint8_t *at)
{
	return at[0] << 8 | at[1];
}

static bool same_bits(const uint8_t *a, const uint8_t *b, unsigned int bits)
{
	uint8_t mask = 0xff00 >> bits % 8;

	return !memcmp(a, b, bits / 8) && (!mask || !((a[bits / 8] ^ b[bits / 8]) & mask));
}

static void transport(struct packet *p, uint8_t protocol, const uint8_t *at, size_t left)
{
	bool ports = protocol == IPPROTO_TCP || protocol == IPPROTO_UDP;

	if (!ports && protocol != IPPROTO_ICMP && protocol != IPPROTO_ICMPV6)
		return;
	if (left < (protocol == IPPROTO_TCP ? 20 : 8))
		return;
	p->protocol = protocol;
	p->type = at[0];
	if (ports) {
		p->from_port = word(at);
		p->to_port = word(at + 2);
	}
	if (protocol == IPPROTO_TCP)
		p->flags = at[13];
}

static bool parse_v4(struct packet *p, const uint8_t *at, size_t left)
{
	size_t header = left ? (at[0] & 15) * 4 : 0;

	if (header < 20 || left < header || at[0] >> 4 != 4)
		return false;
	memcpy(p->from, mapped, 12);
	memcpy(p->to, mapped, 12);
	memcpy(p->from + 12, at + 12, 4);
	memcpy(p->to + 12, at + 16, 4);
	if (!(word(at + 6) & 0x3fff))	/* not a fragment */
		transport(p, at[9], at + header, left - header);
	return true;
}

/* An IPv4 address in IPv6's clothes would be reached by IPv4, past its rules. */
static bool parse_v6(struct packet *p, const uint8_t *at, size_t left)
{
	if (left < 40 || at[0] >> 4 != 6)
		return false;
	memcpy(p->from, at + 8, 16);
	memcpy(p->to, at + 24, 16);
	transport(p, at[6], at + 40, left - 40);
	return memcmp(p->to, mapped, 12);
}

/* False: it is no packet that anybody would carry on. */
static bool parse(struct packet *p, const uint8_t *frame, size_t size)
{
	uint16_t type = size >= ETH_HLEN ? word(frame + 12) : 0;

	memset(p, 0, sizeof(*p));
	frame += ETH_HLEN;
	size -= ETH_HLEN;
	return type == ETHERTYPE_IP ? parse_v4(p, frame, size) :
	       type == ETHERTYPE_IPV6 && parse_v6(p, frame, size);
}

/* The guest asks for an address or for its neighbours: passt itself answers. */
static bool is_housekeeping(const struct packet *p)
{
	static const uint8_t everybody[16] = { [10] = 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };
	static const uint8_t servers[16] = { 0xff, 2, [13] = 1, [15] = 2 };

	if (p->protocol == IPPROTO_ICMPV6)
		return p->type >= 133 && p->type <= 136;
	if (p->protocol != IPPROTO_UDP)
		return false;
	return (p->to_port == PORT_DHCP && !memcmp(p->to, everybody, 16)) ||
	       (p->to_port == PORT_DHCP6 && !memcmp(p->to, servers, 16));
}

/* 127.0.0.0/8, 0.0.0.0/8; ::1 and all else below ::/96: the host means itself by these. */
static bool is_loopback(const uint8_t *address)
{
	static const uint8_t zero[12];

	if (!memcmp(address, mapped, 12))
		return address[12] == 127 || address[12] == 0;
	return !memcmp(address, zero, 12);
}

static bool is_closed(const struct net_rules *rules, const uint8_t *address)
{
	static const struct {
		uint8_t address[16];
		unsigned int bits;
	} closed[] = {
		{ { [10] = 0xff, 0xff, 169, 254 }, V4_BITS + 16 },
		{ { 0xfe, 0x80 }, 10 },
		{ { 0xfd, 0x00, 0x0e, 0xc2, [14] = 0x02, 0x54 }, 128 },
	};
	unsigned int i;

	for (i = 0; i < sizeof(closed) / sizeof(closed[0]); i++)
		if (same_bits(address, closed[i].address, closed[i].bits))
			return true;
	for (i = 0; i < rules->own_count; i++)
		if (!memcmp(address, rules->own[i], 16))
			return true;
	return false;
}

/* A port that is not known may be the one that is denied, but not the one allowed. */
static bool fits(const struct net_rule *rule, const struct packet *p)
{
	if (!same_bits(p->to, rule->address, rule->bits))
		return false;
	return !rule->port || (p->protocol ? p->to_port == rule->port : !rule->allow);
}

static bool judge(const struct net_rules *rules, const struct packet *p)
{
	unsigned int i;

	for (i = 0; i < rules->count; i++)
		if (fits(&rules->rule[i], p))
			return rules->rule[i].allow;
	if (is_closed(rules, p->to) && p->to_port != PORT_DNS)
		return false;
	return !rules->only;
}

static bool is_answer(struct net_rules *rules, const struct packet *p)
{
	unsigned int i;
	bool found = false;

	pthread_mutex_lock(&rules->lock);
	for (i = 0; i < CALLERS_MOST && !found; i++) {
		const struct caller *c = &rules->caller[i];

		found = p->protocol && c->protocol == p->protocol && c->port == p->to_port &&
			c->ours == p->from_port && !memcmp(c->address, p->to, 16);
	}
	pthread_mutex_unlock(&rules->lock);
	return found;
}

/*D:320
 * A connection that is there was let in or out when it began: of TCP only what
 * begins one is looked at.  passt takes a SYN with an ACK for a beginning, too.
 */
bool rules_let_out(struct net_rules *rules, const uint8_t *frame, size_t size)
{
	struct packet p;

	if (size >= ETH_HLEN && word(frame + 12) == ETHERTYPE_ARP)
		return true;
	if (!parse(&p, frame, size) || is_loopback(p.to))
		return false;
	if (is_housekeeping(&p) || (p.protocol == IPPROTO_TCP && !(p.flags & TCP_SYN)))
		return true;
	return judge(rules, &p) || is_answer(rules, &p);
}

void rules_note_call(struct net_rules *rules, const uint8_t *frame, size_t size,
		     bool (*leads_here)(void *with, uint8_t protocol, uint16_t port), void *with)
{
	struct packet p, answer;
	struct caller *c;

	if (!parse(&p, frame, size) || !leads_here(with, p.protocol, p.to_port))
		return;
	if (p.protocol == IPPROTO_TCP && (p.flags & (TCP_SYN | TCP_ACK)) != TCP_SYN)
		return;
	answer = (struct packet){
		.protocol = p.protocol, .from_port = p.to_port, .to_port = p.from_port,
	};
	memcpy(answer.to, p.from, 16);
	if (is_answer(rules, &answer))
		return;
	pthread_mutex_lock(&rules->lock);
	c = &rules->caller[rules->next++ % CALLERS_MOST];
	*c = (struct caller){ .protocol = p.protocol, .port = p.from_port, .ours = p.to_port };
	memcpy(c->address, p.from, 16);
	pthread_mutex_unlock(&rules->lock);
}

/* ---- from the command line, before the guest runs */

void rules_init(struct net_rules *rules)
{
	memset(rules, 0, sizeof(*rules));
	pthread_mutex_init(&rules->lock, NULL);
}

static void add_own(struct net_rules *rules, const struct sockaddr *address)
{
	uint8_t *to = rules->own[rules->own_count];

	if (!address || rules->own_count == OWN_MOST)
		return;
	if (address->sa_family == AF_INET) {
		memcpy(to, mapped, 12);
		memcpy(to + 12, &((const struct sockaddr_in *)address)->sin_addr, 4);
	} else if (address->sa_family == AF_INET6) {
		memcpy(to, &((const struct sockaddr_in6 *)address)->sin6_addr, 16);
	} else {
		return;
	}
	rules->own_count++;
}

void rules_close_own(struct net_rules *rules)
{
	struct ifaddrs *list, *at;

	if (getifaddrs(&list))
		return;
	for (at = list; at; at = at->ifa_next)
		add_own(rules, at->ifa_addr);
	freeifaddrs(list);
}

static bool parse_number(const char *text, unsigned long least, unsigned long most,
			 unsigned long *number)
{
	char *end;

	if (*text < '0' || *text > '9')
		return false;
	*number = strtoul(text, &end, 10);
	return !*end && *number >= least && *number <= most;
}

/* "ADDRESS[/BITS]", taken apart in place. */
static bool parse_network(char *text, struct net_rule *rule)
{
	char *slash = strchr(text, '/');
	bool v6 = strchr(text, ':');
	unsigned long bits = v6 ? 128 : 32;

	if (slash) {
		*slash = '\0';
		if (!parse_number(slash + 1, 0, bits, &bits))
			return false;
	}
	memcpy(rule->address, mapped, 12);
	rule->bits = bits + (v6 ? 0 : V4_BITS);
	return inet_pton(v6 ? AF_INET6 : AF_INET, text, rule->address + (v6 ? 0 : 12)) == 1;
}

/* "NETWORK[:PORT]" or "[NETWORK][:PORT]"; *port is NULL if there is none. */
static char *split(char *text, char **port)
{
	char *end = *text == '[' ? strchr(text, ']') : strchr(text, ':');

	*port = NULL;
	if (*text != '[') {
		if (end && !strchr(end + 1, ':')) {
			*end = '\0';
			*port = end + 1;
		}
		return text;
	}
	if (!end || (end[1] && end[1] != ':'))
		return NULL;
	if (end[1])
		*port = end + 2;
	*end = '\0';
	return text + 1;
}

const char *rules_add(struct net_rules *rules, const char *text, bool allow)
{
	struct net_rule rule = { .allow = allow };
	unsigned long number = 0;
	char copy[80], *network, *port;

	if (rules->count == RULES_MOST)
		return "64 rules are the most; put some together";
	if (strlen(text) >= sizeof(copy))
		return "a rule is too long; say for instance allow=192.0.2.0/24:443";
	strcpy(copy, text);
	network = split(copy, &port);
	if (port && !parse_number(port, 1, 65535, &number))
		return "a rule's port is wrong; say for instance allow=192.0.2.0/24:443";
	if (!network || !parse_network(network, &rule))
		return "a rule's network is wrong; say for instance deny=10.0.0.0/8, or allow=[2001:db8::/32]:443";
	rule.port = number;
	rules->rule[rules->count++] = rule;
	rules->only |= allow;
	return NULL;
}
