// SPDX-License-Identifier: GPL-2.0
/*
 * In a guest, in the place of its busybox: a tar that sends what it likes.  Asked for
 * FOLDER it prints FOLDER.tar; everything is a folder, and nothing a link.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	char path[4096], bytes[4096];
	size_t size;
	FILE *in;
	int i;

	if (!strcmp(argv[0], "test"))
		return strcmp(argv[1], "-d") != 0;
	for (i = 1; i < argc - 1 && strcmp(argv[i], "-C"); i++)
		;
	snprintf(path, sizeof(path), "%s", argv[i + 1]);
	if (strlen(path) > 2 && !strcmp(path + strlen(path) - 2, "/."))
		path[strlen(path) - 2] = '\0';
	strcat(path, ".tar");
	in = fopen(path, "r");
	while (in && (size = fread(bytes, 1, sizeof(bytes), in)))
		if (write(1, bytes, size) < 0)
			return 1;
	return !in;
}
