// SPDX-License-Identifier: GPL-2.0
/*
 * The agent: a program of the guest, not of the launcher, in whose first files it
 * comes.  Our /init starts it in the folder that commands have as root; it listens on a
 * port of the guest's vsock, and has a child for each connection (session.c).  It has no
 * C library: an idle guest pays for a few pages.
 * Read next: session.c.
 */
#include <errno.h>
#include <fcntl.h>
#include <lguest/agent.h>
#include <linux/vm_sockets.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>

#include "sys.h"

#define BACKLOG	64

/* What the compiler calls by itself. */
void *memcpy(void *to, const void *from, size_t size)
{
	void *start = to;

	__asm__ volatile("rep movsb" : "+D" (to), "+S" (from), "+c" (size) : : "memory");
	return start;
}

void *memmove(void *to, const void *from, size_t size)
{
	uint8_t *t = to;
	const uint8_t *f = from;

	if (t <= f)
		return memcpy(to, from, size);
	while (size--)
		t[size] = f[size];
	return to;
}

void *memset(void *to, int byte, size_t size)
{
	void *start = to;

	__asm__ volatile("rep stosb" : "+D" (to), "+c" (size) : "a" (byte) : "memory");
	return start;
}

size_t strlen(const char *text)
{
	const char *at = text;

	while (*at)
		at++;
	return at - text;
}

static int listen_here(void)
{
	struct sockaddr_vm address = {
		.svm_family = AF_VSOCK, .svm_port = AGENT_PORT, .svm_cid = VMADDR_CID_ANY,
	};
	int fd = sys3(socket, AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return fd;
	if (sys3(bind, fd, &address, sizeof(address)) < 0 || sys2(listen, fd, BACKLOG) < 0)
		return -1;
	return fd;
}

struct kernel_action {
	void *handler;
	unsigned long flags;
	void *restorer;
	uint64_t mask;
};

/*
 * A shutdown sends SIGTERM and SIGHUP to all: what a command says and does about that
 * shall still arrive.  SIGCHLD is ignored so that sessions need not be waited for.
 */
static void ignore_signals(void)
{
	static const int ignored[] = { SIGHUP, SIGINT, SIGTERM, SIGPIPE, SIGCHLD };
	const struct kernel_action ignore = { .handler = SIG_IGN };
	size_t i;

	for (i = 0; i < sizeof(ignored) / sizeof(ignored[0]); i++)
		sys4(rt_sigaction, ignored[i], &ignore, NULL, sizeof(ignore.mask));
}

/* The one who started us goes on when we can be called. */
static void into_background(void)
{
	int null, fd;

	if (sys0(fork))
		sys1(exit_group, 0);
	sys0(setsid);
	null = sys3(open, "/dev/null", O_RDWR, 0);
	for (fd = 0; fd < 3 && null >= 0; fd++)
		sys2(dup2, null, fd);
	if (null > 2)
		sys1(close, null);
}

__attribute__((used)) static void agent_main(void)
{
	int listener = listen_here();

	if (listener < 0)
		sys1(exit_group, 1);
	ignore_signals();
	into_background();
	for (;;) {
		int fd = sys4(accept4, listener, NULL, NULL, SOCK_CLOEXEC);

		if (fd < 0)
			continue;
		if (!sys0(fork)) {
			sys1(close, listener);
			serve_session(fd);
			sys1(exit_group, 0);
		}
		sys1(close, fd);
	}
}

__asm__(".globl _start\n"
	"_start:\n"
	"	xor	%ebp, %ebp\n"
	"	and	$-16, %rsp\n"
	"	call	agent_main\n"
	"	hlt\n");
