// SPDX-License-Identifier: GPL-2.0
/*
 * The bus: there is none.  The launcher lists its virtio devices on the kernel's
 * command line (see LGUEST_VIRTIO_PARAM), and each becomes a platform device
 * with a page of registers and an interrupt, for Linux's own virtio_mmio.
 * Read next: power.c.
 */
#include <linux/errno.h>
#include <linux/init.h>
#include <linux/ioport.h>
#include <linux/kernel.h>
#include <linux/platform_device.h>
#include <linux/printk.h>
#include <linux/string.h>
#include "layer.h"
#include "compat/uevent.h"

/*
 * Distributions load virtio_mmio for a device of ACPI or of a device tree, but
 * not for one of the platform; so udev hears that ours is ACPI's LNRO0005.
 */
static int name_driver(uevent_device_t *dev, struct kobj_uevent_env *env)
{
	return add_uevent_var(env, "MODALIAS=acpi:LNRO0005:");
}

static const struct device_type device_type = {
	.name = "lguest-virtio",
	.uevent = name_driver,
};

/* SIZE@ADDRESS:LINE; false if it is something else. */
static bool parse(char *text, struct resource *registers, unsigned int *line)
{
	u64 size = memparse(text, &text);
	u64 start;

	if (!size || *text++ != '@')
		return false;
	start = simple_strtoull(text, &text, 0);
	if (*text++ != ':')
		return false;
	*line = simple_strtoul(text, &text, 0);
	registers->start = start;
	registers->end = start + size - 1;
	registers->flags = IORESOURCE_MEM;
	return *text == ' ' || *text == '\0';
}

static int register_device(const struct resource *resources, int number)
{
	struct platform_device *device = platform_device_alloc("virtio-mmio", number);
	int error;

	if (!device)
		return -ENOMEM;
	device->dev.type = &device_type;
	error = platform_device_add_resources(device, resources, 2);
	if (!error)
		error = platform_device_add(device);
	if (error)
		platform_device_put(device);
	return error;
}

static void add_device(char *text, int number)
{
	struct resource resources[2] = {};
	unsigned int line;
	int irq;

	if (!parse(text, &resources[0], &line)) {
		pr_err("lguest: not a device: %.32s\n", text);
		return;
	}
	irq = lguest_setup_irq(line);
	resources[1].start = irq;
	resources[1].end = irq;
	resources[1].flags = IORESOURCE_IRQ;
	if (irq < 0 || register_device(resources, number))
		pr_err("lguest: no device %d\n", number);
}

/*G:800
 * Called among the initcalls, when platform devices can be made and nobody has
 * looked for any yet.
:*/

/**
 * add_virtio_devices() - make Linux know the launcher's virtio devices
 */
void add_virtio_devices(void)
{
	char *at = boot_command_line;
	int number = 0;

	while ((at = strstr(at, LGUEST_VIRTIO_PARAM))) {
		bool begins = at == boot_command_line || at[-1] == ' ';

		at += strlen(LGUEST_VIRTIO_PARAM);
		if (begins)
			add_device(at, number++);
	}
}
