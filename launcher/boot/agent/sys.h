/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The agent has no C library, which would be fifty times its size: these are the
 * system calls that it makes.  Each gives its result, or -errno.  The library's headers
 * are good for types and numbers.
 */
#ifndef LGUEST_AGENT_SYS_H
#define LGUEST_AGENT_SYS_H

#include <stddef.h>
#include <stdint.h>
#include <sys/syscall.h>

static inline long sys_call(long number, long a, long b, long c, long d, long e)
{
	register long r10 __asm__("r10") = d;
	register long r8 __asm__("r8") = e;
	long result;

	__asm__ volatile("syscall" : "=a" (result)
			 : "a" (number), "D" (a), "S" (b), "d" (c), "r" (r10), "r" (r8)
			 : "rcx", "r11", "memory");
	return result;
}

#define sys0(name)		sys_call(SYS_##name, 0, 0, 0, 0, 0)
#define sys1(name, a)		sys_call(SYS_##name, (long)(a), 0, 0, 0, 0)
#define sys2(name, a, b)	sys_call(SYS_##name, (long)(a), (long)(b), 0, 0, 0)
#define sys3(name, a, b, c)	sys_call(SYS_##name, (long)(a), (long)(b), (long)(c), 0, 0)
#define sys4(name, a, b, c, d)	\
	sys_call(SYS_##name, (long)(a), (long)(b), (long)(c), (long)(d), 0)
#define sys5(name, a, b, c, d, e)	\
	sys_call(SYS_##name, (long)(a), (long)(b), (long)(c), (long)(d), (long)(e))

/* users.c: who a command runs as. */
#define USER_GROUPS	64
struct user {
	uint32_t uid, gid;
	uint32_t groups[USER_GROUPS];
	unsigned int group_count;
	char name[64], home[256];
};

/* In the /etc of our root.  0 or -errno. */
int find_user(const char *text, struct user *user);

/* session.c: one connection's life. */
void serve_session(int connection);

#endif /* LGUEST_AGENT_SYS_H */
