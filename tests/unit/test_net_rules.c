// SOURCES: launcher/devices/net/net_rules.c
// LIBS: -pthread
// SPDX-License-Identifier: GPL-2.0
/* Which frames of a guest's are let out by `-n user`: K6, L6. */
#include <arpa/inet.h>
#include <ifaddrs.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "devices/net/net_rules.h"

#define SYN	0x02
#define ACK	0x10
#define RST	0x04

static struct net_rules rules;
static uint8_t frame[2048];
static size_t size;

static int setup(void **state)
{
	(void)state;
	rules_init(&rules);
	return 0;
}

static void allow(const char *text)
{
	assert_null(rules_add(&rules, text, true));
}

static void deny(const char *text)
{
	assert_null(rules_add(&rules, text, false));
}

static void put_word(uint8_t *at, uint16_t value)
{
	at[0] = value >> 8;
	at[1] = value;
}

/* An Ethernet frame of so many bytes behind IP's header. */
static uint8_t *ip(const char *from, const char *to, uint8_t protocol, size_t bytes)
{
	uint8_t *at = frame + 14;
	bool v6 = strchr(to, ':');

	memset(frame, 0, sizeof(frame));
	put_word(frame + 12, v6 ? 0x86dd : 0x0800);
	at[0] = v6 ? 0x60 : 0x45;
	if (v6) {
		put_word(at + 4, bytes);
		at[6] = protocol;
		assert_int_equal(inet_pton(AF_INET6, from, at + 8), 1);
		assert_int_equal(inet_pton(AF_INET6, to, at + 24), 1);
	} else {
		put_word(at + 2, 20 + bytes);
		at[9] = protocol;
		assert_int_equal(inet_pton(AF_INET, from, at + 12), 1);
		assert_int_equal(inet_pton(AF_INET, to, at + 16), 1);
	}
	size = 14 + (v6 ? 40 : 20) + bytes;
	return at + (v6 ? 40 : 20);
}

static bool goes(void)
{
	return rules_let_out(&rules, frame, size);
}

static void make_tcp(const char *from, uint16_t from_port, const char *to, uint16_t port,
		     uint8_t flags)
{
	uint8_t *at = ip(from, to, IPPROTO_TCP, 20);

	put_word(at, from_port);
	put_word(at + 2, port);
	at[12] = 0x50;
	at[13] = flags;
}

static void make_udp(const char *from, uint16_t from_port, const char *to, uint16_t port)
{
	uint8_t *at = ip(from, to, IPPROTO_UDP, 16);

	put_word(at, from_port);
	put_word(at + 2, port);
}

static const char *me(const char *to)
{
	return strchr(to, ':') ? "2001:db8::2" : "192.0.2.2";
}

static bool tcp(const char *to, uint16_t port)
{
	make_tcp(me(to), 40000, to, port, SYN);
	return goes();
}

static bool udp(const char *to, uint16_t port)
{
	make_udp(me(to), 40000, to, port);
	return goes();
}

static bool echo(const char *to)
{
	ip(me(to), to, strchr(to, ':') ? IPPROTO_ICMPV6 : IPPROTO_ICMP, 16)[0] =
		strchr(to, ':') ? 128 : 8;
	return goes();
}

/* Without any rule of the user's. */
static void test_closed(void **state)
{
	static const char *const closed[] = {
		"127.0.0.1", "127.255.0.9", "0.0.0.0", "::1", "::", "::127.0.0.1",
		"::ffff:127.0.0.1", "::ffff:169.254.169.254", "::ffff:198.51.100.1",
		"169.254.169.254", "169.254.0.1", "169.254.255.255", "fe80::1", "febf::1",
		"fd00:ec2::254",
	};
	static const char *const open[] = {
		"169.253.255.255", "169.255.0.0", "126.255.255.255", "128.0.0.1", "1.0.0.0",
		"198.51.100.1", "10.0.0.1", "fec0::1", "fe7f::1", "fd00:ec2::253", "2001:db8::1",
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(closed) / sizeof(closed[0]); i++) {
		assert_false(tcp(closed[i], 80));
		assert_false(udp(closed[i], 80));
		assert_false(echo(closed[i]));
	}
	for (i = 0; i < sizeof(open) / sizeof(open[0]); i++) {
		assert_true(tcp(open[i], 80));
		assert_true(udp(open[i], 80));
		assert_true(echo(open[i]));
	}
	/* Some clouds have their name servers there; nobody's is the loopback. */
	assert_true(udp("169.254.169.254", 53));
	assert_true(tcp("fe80::1", 53));
	assert_false(udp("127.0.0.53", 53));
	assert_false(udp("::1", 53));
}

/* Whatever the user says. */
static void test_loopback_stays_closed(void **state)
{
	(void)state;
	allow("0.0.0.0/0");
	allow("::/0");
	assert_true(tcp("198.51.100.1", 80));
	assert_true(tcp("169.254.169.254", 80));
	assert_false(tcp("127.0.0.1", 80));
	assert_false(tcp("0.0.0.0", 80));
	assert_false(tcp("::1", 80));
	assert_false(tcp("::ffff:127.0.0.1", 80));
}

static void test_own(void **state)
{
	struct ifaddrs *list, *at;
	char text[INET_ADDRSTRLEN];

	(void)state;
	rules_close_own(&rules);
	assert_int_equal(getifaddrs(&list), 0);
	for (at = list; at; at = at->ifa_next) {
		if (!at->ifa_addr || at->ifa_addr->sa_family != AF_INET)
			continue;
		inet_ntop(AF_INET, &((struct sockaddr_in *)at->ifa_addr)->sin_addr, text,
			  sizeof(text));
		assert_false(tcp(text, 22));
	}
	freeifaddrs(list);
	assert_int_not_equal(rules.own_count, 0);
	/* One that is not the loopback's, on any machine. */
	memset(rules.own[0], 0, 10);
	memcpy(rules.own[0] + 10, (uint8_t[]){ 0xff, 0xff, 198, 51, 100, 7 }, 6);
	assert_false(tcp("198.51.100.7", 22));
	assert_true(udp("198.51.100.7", 53));
	assert_true(tcp("198.51.100.8", 22));
	allow("198.51.100.7:22");
	assert_true(tcp("198.51.100.7", 22));
}

static void test_rules(void **state)
{
	(void)state;
	deny("10.1.0.0/16:22");
	allow("10.0.0.0/8");
	allow("198.51.100.9:443");
	allow("[2001:db8:1::/48]:443");
	allow("2001:db8:2::/48");
	assert_false(tcp("10.1.2.3", 22));
	assert_true(tcp("10.1.2.3", 23));
	assert_true(tcp("10.2.0.1", 22));
	assert_true(echo("10.1.2.3"));
	assert_true(tcp("198.51.100.9", 443));
	assert_true(udp("198.51.100.9", 443));
	assert_false(tcp("198.51.100.9", 80));
	assert_false(echo("198.51.100.9"));
	assert_false(tcp("198.51.100.8", 443));
	assert_false(udp("198.51.100.8", 53));
	assert_true(tcp("2001:db8:1::5", 443));
	assert_false(tcp("2001:db8:1::5", 80));
	assert_false(tcp("2001:db8:3::5", 443));
	assert_true(tcp("2001:db8:2:ffff::5", 1));
	assert_false(udp("169.254.169.254", 53));
}

static void test_first_decides(void **state)
{
	(void)state;
	allow("169.254.169.254:80");
	deny("198.51.100.0/24");
	allow("0.0.0.0/0");
	assert_true(tcp("169.254.169.254", 80));
	assert_true(tcp("203.0.113.1", 80));
	assert_false(tcp("198.51.100.255", 80));
	assert_true(tcp("198.51.101.0", 80));
	assert_false(tcp("2001:db8::1", 80));
}

/* Bits of a mask that is no whole byte. */
static void test_masks(void **state)
{
	(void)state;
	deny("203.0.113.129/25");
	deny("100.64.0.0/10");
	deny("198.51.100.77/31");
	assert_true(tcp("203.0.113.127", 1));
	assert_false(tcp("203.0.113.128", 1));
	assert_false(tcp("203.0.113.255", 1));
	assert_true(tcp("100.63.255.255", 1));
	assert_false(tcp("100.127.255.255", 1));
	assert_true(tcp("100.128.0.0", 1));
	assert_false(tcp("198.51.100.76", 1));
	assert_true(tcp("198.51.100.78", 1));
}

/* Ports that cannot be known: as if each were meant that is denied. */
static void test_not_understood(void **state)
{
	uint8_t *at;

	(void)state;
	deny("198.51.100.1:22");
	allow("198.51.100.0/24");
	allow("203.0.113.1:443");
	allow("2001:db8::/32");
	deny("[2001:db9::]:22");
	make_tcp("192.0.2.2", 1, "198.51.100.2", 80, ACK);
	frame[14 + 6] = 0x20;			/* more fragments */
	assert_true(goes());
	frame[14 + 19] = 1;			/* ... to the one with a closed port */
	assert_false(goes());
	frame[14 + 6] = 0;
	frame[14 + 7] = 1;			/* one in the middle */
	assert_false(goes());
	frame[14 + 7] = 0;
	assert_true(goes());			/* none: a connection that is there */
	make_udp("192.0.2.2", 1, "203.0.113.1", 443);
	assert_true(goes());
	frame[14 + 7] = 1;
	assert_false(goes());			/* one port is allowed, but is it this? */
	make_udp("192.0.2.2", 1, "198.51.100.1", 80);
	frame[14] = 0x46;			/* longer header: cut short */
	size -= 12;
	assert_false(goes());
	at = ip("192.0.2.2", "198.51.100.1", IPPROTO_SCTP, 40);
	put_word(at + 2, 80);
	assert_false(goes());
	at = ip("2001:db8::2", "2001:db9::", 60, 40);	/* options, then TCP */
	at[0] = IPPROTO_TCP;
	put_word(at + 10, 80);
	assert_false(goes());
	at = ip("2001:db8::2", "2001:db8::9", 44, 40);
	assert_true(goes());
}

static void test_no_packet(void **state)
{
	static const uint16_t types[] = { 0x8100, 0x88a8, 0x86dd, 0x0800, 0x8864, 0, 1500 };
	size_t i;

	(void)state;
	memset(frame, 0, sizeof(frame));
	for (i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		put_word(frame + 12, types[i]);
		size = 100;
		assert_false(goes());
	}
	make_tcp("192.0.2.2", 1, "198.51.100.2", 80, SYN);
	for (i = size - 20; i < size; i++)
		assert_true(rules_let_out(&rules, frame, i));
	for (i = 0; i < 34; i++)
		assert_false(rules_let_out(&rules, frame, i));
	frame[14] = 0x65;			/* IPv6 that says it is IPv4 */
	assert_false(goes());
	frame[14] = 0x44;			/* a header of 16 bytes */
	assert_false(goes());
}

static void test_housekeeping(void **state)
{
	uint8_t type;

	(void)state;
	allow("203.0.113.1:443");
	memset(frame, 0, sizeof(frame));
	put_word(frame + 12, 0x0806);
	size = 42;
	assert_true(goes());
	make_udp("0.0.0.0", 68, "255.255.255.255", 67);
	assert_true(goes());
	assert_false(udp("255.255.255.255", 68));
	assert_false(udp("198.51.100.1", 67));
	make_udp("fe80::2", 546, "ff02::1:2", 547);
	assert_true(goes());
	assert_false(udp("ff02::fb", 5353));
	for (type = 128; type < 140; type++) {
		ip("fe80::2", "fe80::1", IPPROTO_ICMPV6, 24)[0] = type;
		assert_int_equal(goes(), type >= 133 && type <= 136);
	}
}

static bool leads_here(void *with, uint8_t protocol, uint16_t port)
{
	return protocol == (*(int *)with ? IPPROTO_UDP : IPPROTO_TCP) && port == 22;
}

static void call(int is_udp)
{
	rules_note_call(&rules, frame, size, leads_here, &is_udp);
}

static void test_answers(void **state)
{
	unsigned int i;

	(void)state;
	deny("198.51.100.0/24");
	make_tcp("192.0.2.2", 22, "198.51.100.5", 5000, SYN | ACK);
	assert_false(goes());			/* as good as a SYN, for passt */
	make_tcp("192.0.2.2", 22, "198.51.100.5", 5000, ACK);
	assert_true(goes());
	make_tcp("192.0.2.2", 22, "198.51.100.5", 5000, RST);
	assert_true(goes());
	make_tcp("198.51.100.5", 5000, "192.0.2.2", 23, SYN);
	call(0);				/* not a port that leads here */
	make_tcp("198.51.100.5", 5000, "192.0.2.2", 22, SYN | ACK);
	call(0);				/* not a call */
	make_tcp("192.0.2.2", 22, "198.51.100.5", 5000, SYN | ACK);
	assert_false(goes());
	make_tcp("198.51.100.5", 5000, "192.0.2.2", 22, SYN);
	call(0);
	make_tcp("192.0.2.2", 22, "198.51.100.5", 5000, SYN | ACK);
	assert_true(goes());
	make_tcp("192.0.2.2", 22, "198.51.100.5", 5001, SYN | ACK);
	assert_false(goes());
	make_tcp("192.0.2.2", 22, "198.51.100.6", 5000, SYN | ACK);
	assert_false(goes());
	make_udp("192.0.2.2", 22, "198.51.100.5", 5000);
	assert_false(goes());
	for (i = 0; i < CALLERS_MOST; i++) {
		make_udp("198.51.100.6", 1, "192.0.2.2", 22);
		call(1);			/* the same one, which counts once */
	}
	make_udp("192.0.2.2", 22, "198.51.100.6", 1);
	assert_true(goes());
	make_tcp("192.0.2.2", 22, "198.51.100.5", 5000, SYN | ACK);
	assert_true(goes());
	make_udp("127.0.0.1", 1, "192.0.2.2", 22);
	call(1);
	make_udp("192.0.2.2", 22, "127.0.0.1", 1);
	assert_false(goes());
}

static void test_text(void **state)
{
	static const char *const bad[] = {
		"", ":", "/", "1", "1.2.3", "1.2.3.4/", "1.2.3.4/33", "1.2.3.4/-1", "1.2.3.4/ 8",
		"1.2.3.4:0", "1.2.3.4:65536", "1.2.3.4:", "1.2.3.4:x", "1.2.3.4:80:80", "host",
		"::/129", "[::/0", "[::/0]x", "[::]:", "[::]:0", "::/0]:80", "1.2.3.4/8x",
		"0x7f.0.0.1", "1.2.3.4:80/8", "[1.2.3.4]]",
		"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_non_null(rules_add(&rules, bad[i], true));
	assert_int_equal(rules.count, 0);
	assert_true(tcp("198.51.100.1", 80));
	allow("[1.2.3.4/8]:80");
	allow("::");
	for (i = 2; i < RULES_MOST; i++)
		deny("0.0.0.0/0");
	assert_non_null(rules_add(&rules, "1.2.3.4", true));
}

static void test_random(void **state)
{
	unsigned int seed = 20, i, out = 0;

	(void)state;
	deny("198.51.100.0/24:22");
	allow("0.0.0.0/1");
	for (i = 0; i < 200000; i++) {
		uint8_t *exact;
		size_t at;

		make_tcp(me(i % 2 ? ":" : ""), 1, i % 2 ? "2001:db8::1" : "198.51.100.1", 22, SYN);
		for (at = rand_r(&seed) % 8; at; at--)
			frame[12 + rand_r(&seed) % 60] = rand_r(&seed);
		size = rand_r(&seed) % (RULES_LOOK + 1);
		exact = malloc(size ? size : 1);	/* with ASan's guard behind it */
		memcpy(exact, frame, size);
		out += rules_let_out(&rules, exact, size);
		free(exact);
	}
	assert_in_range(out, 100, 150000);
}

#define TEST(name) cmocka_unit_test_setup(name, setup)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_closed), TEST(test_loopback_stays_closed), TEST(test_own),
		TEST(test_rules), TEST(test_first_decides), TEST(test_masks),
		TEST(test_not_understood), TEST(test_no_packet), TEST(test_housekeeping),
		TEST(test_answers), TEST(test_text), TEST(test_random),
	};

	return cmocka_run_group_tests_name("net_rules", tests, NULL, NULL);
}
