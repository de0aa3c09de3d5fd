// SPDX-License-Identifier: GPL-2.0
// SOURCES: launcher/distribution.c
/*
 * What to install, said for the distribution whose os-release it is; and which
 * kernels are installed, wherever a distribution keeps them.
 */
#include <errno.h>
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <cmocka.h>

#include "distribution.h"

#define DEBIAN	"PRETTY_NAME=\"Debian GNU/Linux 13 (trixie)\"\nNAME=\"Debian GNU/Linux\"\nID=debian\n"
#define UBUNTU	"NAME=\"Ubuntu\"\nVERSION_ID=\"26.04\"\nID=ubuntu\nID_LIKE=debian\n"
#define FEDORA	"NAME=\"Fedora Linux\"\nVARIANT=ID=debian\nID=fedora\n"
#define ARCH	"NAME=\"Arch Linux\"\nID=arch\nBUILD_ID=rolling\n"
#define MINT	"ID=linuxmint\nID_LIKE=\"ubuntu debian\"\n"
#define ALMA	"ID=\"almalinux\"\nID_LIKE=\"rhel centos fedora\""
#define OTHER	"ID=slackware\nID_LIKE=\"debianish notarch\"\n"

static const struct {
	const char *os_release;
	enum package package;
	const char *release, *hint;
} hints[] = {
	{ DEBIAN, PACKAGE_HEADERS, "6.12.118+deb13-amd64",
	  "`apt-get install linux-headers-6.12.118+deb13-amd64`" },
	{ DEBIAN, PACKAGE_IMAGE, "6.1.0-57-amd64", "`apt-get install linux-image-6.1.0-57-amd64`" },
	{ DEBIAN, PACKAGE_KERNEL, NULL, "`apt-get install linux-image-amd64`" },
	{ DEBIAN, PACKAGE_BUSYBOX, NULL, "`apt-get install busybox-static`" },
	{ UBUNTU, PACKAGE_KERNEL, NULL, "`apt-get install linux-image-generic`" },
	{ UBUNTU, PACKAGE_KDUMP, NULL, "`apt-get install linux-crashdump`" },
	{ FEDORA, PACKAGE_HEADERS, "6.17.1-300.fc43.x86_64",
	  "`dnf install kernel-devel-6.17.1-300.fc43.x86_64`" },
	{ FEDORA, PACKAGE_KERNEL, NULL, "`dnf install kernel-core`" },
	{ ARCH, PACKAGE_HEADERS, "6.17.1-arch1-1", "`pacman -S linux-headers`" },
	{ ARCH, PACKAGE_KDUMP, NULL, "install kdump" },
	{ MINT, PACKAGE_KERNEL, NULL, "`apt-get install linux-image-generic`" },
	{ ALMA, PACKAGE_BINUTILS, NULL, "`dnf install binutils`" },
	{ ALMA, PACKAGE_KERNEL, NULL, "install a kernel that has CONFIG_XEN_PV" },
	{ OTHER, PACKAGE_BINUTILS, NULL, "install the binutils" },
	{ OTHER, PACKAGE_HEADERS, "6.1", "install the headers of the kernel 6.1" },
	{ "", PACKAGE_IMAGE, NULL, "install the kernel RELEASE with its modules" },
	{ "ID", PACKAGE_PASST, NULL, "install passt" },
	{ "ID=", PACKAGE_PASST, NULL, "install passt" },
	{ "ID=debian", PACKAGE_STORAGE, NULL, "`apt-get install qemu-system-common`" },
	{ "ID=arch", PACKAGE_PASST, NULL, "`pacman -S passt`" },
	{ "ID_LIKE=arch", PACKAGE_PASST, NULL, "`pacman -S passt`" },
};

static void test_hints(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(hints) / sizeof(*hints); i++)
		assert_string_equal(hint_for(hints[i].os_release, hints[i].package,
					     hints[i].release).text, hints[i].hint);
}

/* Each package on each distribution is a command or words, and whole. */
static void test_all(void **state)
{
	static const char *const all[] = { DEBIAN, UBUNTU, FEDORA, ARCH, ALMA, OTHER };
	char release[201] = "";
	enum package p;
	size_t i;

	(void)state;
	memset(release, 'x', 200);
	for (i = 0; i < sizeof(all) / sizeof(*all); i++)
		for (p = PACKAGE_NONE + 1; p <= PACKAGE_HEADERS; p++) {
			struct hint hint = hint_for(all[i], p, release);
			size_t len = strlen(hint.text);

			assert_true(len > 10 && len + 1 < sizeof(hint.text));
			assert_int_equal(hint.text[0] == '`', hint.text[len - 1] == '`');
			assert_null(strchr(hint.text, '%'));
		}
}

static char root[] = "/tmp/lguest-test-XXXXXX";

static void put(const char *path)
{
	char full[256], *at;
	FILE *file;

	snprintf(full, sizeof(full), "%s%s", root, path);
	for (at = strchr(full + strlen(root) + 1, '/'); at; at = strchr(at + 1, '/')) {
		*at = '\0';
		assert_true(!mkdir(full, 0755) || errno == EEXIST);
		*at = '/';
	}
	file = fopen(full, "w");
	assert_non_null(file);
	fclose(file);
}

static void test_kernels(void **state)
{
	static const char *const wanted[] = {
		"/usr/lib/modules/7.3.4+deb13-amd64/vmlinuz",
		"/boot/vmlinuz-6.17.1-300.fc43.x86_64",
		"/boot/vmlinuz-6.12.118+deb13-amd64",
		"/boot/vmlinuz-6.8.0-60-generic",
		"/boot/vmlinuz-6.8.0-9-generic",
		"/boot/vmlinuz-0-rescue-1234",
		"/boot/vmlinuz-linux-lts",
		"/boot/vmlinuz-linux",
	};
	char **kernels;
	size_t i;

	(void)state;
	kernels = installed_kernels(root);
	assert_non_null(kernels);
	assert_null(kernels[0]);
	free_kernels(kernels);

	for (i = 0; i < sizeof(wanted) / sizeof(*wanted); i++)
		put(wanted[i]);
	put("/usr/lib/modules/6.17.1-300.fc43.x86_64/vmlinuz");
	put("/usr/lib/modules/6.17.1-300.fc43.x86_64/modules.dep");
	put("/boot/initrd.img-6.8.0-60-generic");
	kernels = installed_kernels(root);
	for (i = 0; i < sizeof(wanted) / sizeof(*wanted); i++) {
		assert_non_null(kernels[i]);
		assert_string_equal(kernels[i] + strlen(root), wanted[i]);
	}
	assert_null(kernels[i]);
	free_kernels(kernels);
}

static int make_root(void **state)
{
	(void)state;
	return mkdtemp(root) ? 0 : -1;
}

static int remove_one(const char *path, const struct stat *status, int type, struct FTW *at)
{
	(void)status;
	(void)type;
	(void)at;
	return remove(path);
}

static int remove_root(void **state)
{
	(void)state;
	return nftw(root, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_hints),
		cmocka_unit_test(test_all),
		cmocka_unit_test_setup_teardown(test_kernels, make_root, remove_root),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
