/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What differs between distributions: how a package is installed and what it
 * is called there, and where kernels lie.
 */
#ifndef LGUEST_DISTRIBUTION_H
#define LGUEST_DISTRIBUTION_H

enum package {
	PACKAGE_NONE,
	PACKAGE_BUSYBOX,	/* a static one */
	PACKAGE_BINUTILS,
	PACKAGE_PASST,
	PACKAGE_STORAGE,	/* qemu-storage-daemon */
	PACKAGE_KDUMP,
	PACKAGE_BZIP2,		/* the library */
	PACKAGE_LZO,		/* the library */
	PACKAGE_KERNEL,		/* any that can be a guest */
	PACKAGE_IMAGE,		/* the kernel of a release, with its modules */
	PACKAGE_HEADERS,	/* the headers of a release */
};

/* "`apt-get install binutils`", or words for a distribution that we do not know. */
struct hint {
	char text[160];
};

/* @release is of the kernel that is meant, if the package is a kernel's. */
struct hint how_to_install(enum package package, const char *release);
/* The same for a machine that has this /etc/os-release. */
struct hint hint_for(const char *os_release, enum package package, const char *release);

/* Where the kernel that runs now usually lies, in a shell's words. */
const char *running_kernel(void);

/* The certificate of the key that dkms signs modules with. */
const char *dkms_key(void);

/* Where installed kernels are looked for: * is the release, mostly. */
#define KERNELS_IN_BOOT		"/boot/vmlinuz-*"
#define KERNELS_WITH_MODULES	"/usr/lib/modules/*/vmlinuz"

/*
 * The kernels installed below @root ("" is this machine), the newest first, each
 * release once; NULL ends the list.  To be freed by free_kernels().
 */
char **installed_kernels(const char *root);
void free_kernels(char **kernels);

#endif /* LGUEST_DISTRIBUTION_H */
