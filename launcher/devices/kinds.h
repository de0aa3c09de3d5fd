/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The devices that `lguest run` has an option for; docs/DEVICES.md adds one.  A row:
 *
 *	NAME	NAME_check(option): before anything is made, is this an option of its
 *		kind at all, and is there such a thing?  False after a message.
 *		NAME_create(option): make one; NULL after a message.
 *	letter	of the option, or 0
 *	option	its long name
 *	most	so often it may be given (a guest has fewer folders than that)
 *	value	what it takes, and
 *	help	what it does, for --help, the man page and completion
 *
 * A guest's devices come in this order, and so do their names in the guest.
 */
#ifndef LGUEST_KINDS_H
#define LGUEST_KINDS_H

#include <stdbool.h>

#define DEVICE_KINDS(K)								\
	K(disk, 'd', "disk", 16, "IMG[,ro][,...]",				\
	  "raw image or block device as the next disk, /dev/vda first; "	\
	  "NAME.qcow2, or overlay=FILE, which takes what is written, by "	\
	  "qemu-storage-daemon; "						\
	  "iops=N, bps=N: so many requests and bytes in a second, burst=S: those of "	\
	  "S seconds at once; full=error: no wait for room on the host")	\
	K(net, 'n', "net", 16, "WAY[,mac=M][,bps=N]",				\
	  "network card: user[,[udp:]PORT[:GUEST-PORT]][,RULE] (by passt), "	\
	  "tap=NAME or switch=FOLDER; RULE: allow=CIDR[:PORT], "		\
	  "deny=CIDR[:PORT], host-loopback; bps=N[,burst=S]: bytes in a second, "	\
	  "each way")					\
	K(vsock, 0, "vsock", 1, "PATH",						\
	  "sockets to the host: the guest calls PATH_PORT, and is called at PATH") \
	K(share, 0, "share", 16, "DIR[:TAG][,ro|,via=SOCKET]",				\
	  "folder of this machine, at /mnt/TAG in the guest (default TAG: share); "	\
	  "by a server of vhost-user at SOCKET, as virtiofsd") \
	K(rootfs, 0, "rootfs", 1, "DIR",					\
	  "run COMMAND in DIR (often /) as root folder; "			\
	  "what it writes there is kept in memory")				\
	K(rw, 0, "rw", 16, "DIR",						\
	  "folder of this machine below --rootfs; what is written there is its own")

/* Of all of them; what each guest has comes on top. */
#define DEVICES_ASKED_MOST	22

#define K(name, letter, option, most, value, help) DEVICE_##name,
enum device_option { DEVICE_KINDS(K) DEVICE_OPTIONS };
#undef K

struct virtio_device;

#define K(name, letter, option, most, value, help)		\
	bool name##_check(const char *option_);			\
	struct virtio_device *name##_create(const char *option_);
DEVICE_KINDS(K)
#undef K

#endif /* LGUEST_KINDS_H */
