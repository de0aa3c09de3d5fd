// SPDX-License-Identifier: GPL-2.0
/*
 * As conmon does: reaper PID-FILE SOCKET COMMAND... runs COMMAND, which leaves a process
 * behind, gets a terminal at SOCKET ("-": none), shows what comes from there, and waits
 * for the process.  Prints "reaper: created", and at the end "reaper: status N" or "signal N".
 */
#define _GNU_SOURCE
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

static int hear_terminal(int listener)
{
	struct pollfd wait = { listener, POLLIN, 0 };
	char name[64], room[64];
	struct iovec part = { name, sizeof(name) };
	struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1, .msg_control = room,
				  .msg_controllen = sizeof(room) };
	int fd = poll(&wait, 1, 60000) == 1 ? accept(listener, NULL, NULL) : -1, master = -1;

	if (fd >= 0 && recvmsg(fd, &message, 0) > 0 && CMSG_FIRSTHDR(&message))
		memcpy(&master, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof(master));
	return master;
}

static void show(int terminal)
{
	char bytes[4096];
	ssize_t size;

	if (terminal >= 0 && write(terminal, "echo typed\nexit 6\n", 18) != 18)
		return;
	while (terminal >= 0 && (size = read(terminal, bytes, sizeof(bytes))) > 0)
		if (write(1, bytes, size) != size)
			return;
}

int main(int argc, char **argv)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), terminal = -1, status, pid;
	FILE *in;

	if (argc < 4)
		return 2;
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	strncpy(address.sun_path, argv[2], sizeof(address.sun_path) - 1);
	if (*argv[2] != '-' && (bind(listener, (void *)&address, sizeof(address)) ||
				listen(listener, 1)))
		return 2;
	pid = fork();
	if (!pid) {
		execvp(argv[3], argv + 3);
		_exit(127);
	}
	if (*argv[2] != '-')
		terminal = hear_terminal(listener);
	waitpid(pid, &status, 0);
	if (!WIFEXITED(status) || WEXITSTATUS(status)) {
		printf("reaper: not created\n");
		return 1;
	}
	in = fopen(argv[1], "r");
	if (!in || fscanf(in, "%d", &pid) != 1)
		return 2;
	printf("reaper: created\n");
	fflush(stdout);
	show(terminal);
	if (waitpid(pid, &status, 0) != pid)
		return 2;
	if (WIFEXITED(status))
		printf("reaper: status %d\n", WEXITSTATUS(status));
	else
		printf("reaper: signal %d\n", WTERMSIG(status));
	return 0;
}
