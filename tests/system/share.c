// SPDX-License-Identifier: GPL-2.0
/*
 * For share.sh, what no applet does:
 *
 *	mmap FILE	change a shared mapping of 3 pages, look by read()
 *	open FILE N	open it N times; print how often that worked, and why not more
 *	link OLD NEW	a second name, of a symbolic link too
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#define SIZE (3 * 4096)

static int fail(const char *what)
{
	printf("%s: %s\n", what, strerror(errno));
	return 1;
}

static int map(const char *path)
{
	int fd = open(path, O_RDWR | O_CREAT, 0644);
	char *at, back[SIZE];

	if (fd < 0 || ftruncate(fd, SIZE))
		return fail(path);
	at = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (at == MAP_FAILED)
		return fail("mmap");
	memset(at, 'm', SIZE);
	strcpy(at + 4090, "across the pages");
	if (msync(at, SIZE, MS_SYNC))
		return fail("msync");
	if (pread(fd, back, SIZE, 0) != SIZE || memcmp(at, back, SIZE))
		return fail("the file is not what was mapped");
	if (pwrite(fd, "written", 7, 8192) != 7 || memcmp(at + 8192, "written", 7))
		return fail("the mapping is not what was written");
	puts("mapped");
	return 0;
}

static int open_many(const char *path, int count)
{
	struct rlimit most = { 10000, 10000 };
	int i;

	if (setrlimit(RLIMIT_NOFILE, &most))
		return fail("setrlimit");
	for (i = 0; i < count && open(path, O_RDONLY) >= 0; i++)
		;
	printf("%d %s\n", i, strerror(errno));
	return 0;
}

int main(int argc, char **argv)
{
	if (argc == 3 && !strcmp(argv[1], "mmap"))
		return map(argv[2]);
	if (argc == 4 && !strcmp(argv[1], "open"))
		return open_many(argv[2], atoi(argv[3]));
	if (argc == 4 && !strcmp(argv[1], "link"))
		return linkat(AT_FDCWD, argv[2], AT_FDCWD, argv[3], 0) ? fail("link") : 0;
	return 2;
}
