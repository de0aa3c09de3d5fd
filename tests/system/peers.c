// SPDX-License-Identifier: GPL-2.0
/*
 * A guest's launcher as it should not be, at a control socket:
 *	peers FOLDER deaf	accepts nothing
 *	peers FOLDER mute	reads, and answers nothing
 *	peers FOLDER full	says yes, and reads nothing more
 *	peers FOLDER flood	says yes, and then what nobody asked for, for ever
 * It holds the lock, as a launcher does, and makes the file FOLDER/ready.
 */
#define _GNU_SOURCE 1
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static void serve(int fd, const char *how)
{
	static char bytes[4096];
	ssize_t got;

	do {
		got = read(fd, bytes, sizeof(bytes));
	} while (got > 0 && (!strcmp(how, "mute") || !memchr(bytes, '\n', got)));
	if (got <= 0 || write(fd, "{\"ok\":true}\n", 12) != 12)
		return;
	memset(bytes, 'x', sizeof(bytes));
	while (!strcmp(how, "flood") && write(fd, bytes, sizeof(bytes)) > 0)
		;
	pause();
}

int main(int argc, char **argv)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0), lock;

	if (argc != 3 || chdir(argv[1]))
		return 2;
	signal(SIGPIPE, SIG_IGN);
	signal(SIGCHLD, SIG_IGN);
	lock = open("lock", O_RDWR | O_CREAT, 0600);
	strcpy(address.sun_path, "control");
	if (flock(lock, LOCK_EX) || bind(fd, (void *)&address, sizeof(address)) ||
	    listen(fd, 0) || mkdir("ready", 0700))
		return 1;
	while (strcmp(argv[2], "deaf")) {
		int client = accept(fd, NULL, NULL);

		if (!fork()) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			serve(client, argv[2]);
			return 0;
		}
		close(client);
	}
	pause();
}
