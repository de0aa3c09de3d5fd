// SOURCES: launcher/devices/virtio/virtio.c launcher/devices/virtio/limits.c launcher/options.c launcher/devices/virtio/virtio_mmio.c launcher/devices/virtio/virtqueue.c launcher/devices/disk/virtio_blk.c launcher/devices/disk/disk_file.c launcher/devices/disk/vhost_blk.c launcher/devices/disk/qcow2.c launcher/devices/vhost/vhost.c launcher/devices/vhost/vhost_end.c launcher/devices/vhost/vhost_message.c launcher/distribution.c launcher/jail/landlock.c launcher/jail/beside.c launcher/devices/disk/disk_uring.c launcher/devices/disk/disk_threads.c launcher/hardware/memory.c launcher/message.c launcher/terminal.c launcher/io.c
// LIBS: -pthread -luring -lseccomp -ljansson
// SPDX-License-Identifier: GPL-2.0
/* The registers' rules, with a disk behind them: K10, K13. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "disk_driver.h"

static void test_identity(void **state)
{
	(void)state;
	assert_int_equal(rd(VIRTIO_MMIO_MAGIC_VALUE), 0x74726976);
	assert_int_equal(rd(VIRTIO_MMIO_VERSION), 2);
	assert_int_equal(rd(VIRTIO_MMIO_DEVICE_ID), VIRTIO_ID_BLOCK);
	assert_int_equal(rd(VIRTIO_MMIO_CONFIG), 2048);
	assert_int_equal(virtio_mmio_read(&disk->registers, VIRTIO_MMIO_CONFIG + 4000, 8), 0);
	assert_int_equal(virtio_mmio_read(&disk->registers, VIRTIO_MMIO_CONFIG + 1, 1), 8);
	wr(VIRTIO_MMIO_QUEUE_SEL, 1);
	assert_int_equal(rd(VIRTIO_MMIO_QUEUE_NUM_MAX), 0);
	wr(VIRTIO_MMIO_QUEUE_SEL, 0xffffffff);
	assert_int_equal(rd(VIRTIO_MMIO_QUEUE_NUM_MAX), 0);
	wr(VIRTIO_MMIO_DEVICE_FEATURES_SEL, 7);
	assert_int_equal(rd(VIRTIO_MMIO_DEVICE_FEATURES), 0);
}

static void test_bring_up(void **state)
{
	(void)state;
	bring_up();
	wr(VIRTIO_MMIO_STATUS, 0);
	bring_up();		/* and again after a reset */
	fflush(message_stream);
	assert_int_equal(said_size, 0);
}

static void test_status_rules(void **state)
{
	static const struct { uint32_t first, then; const char *rule; } bad[] = {
		{ 0, DRV, "DRIVER is set before ACKNOWLEDGE" },
		{ ACK, ACK | FOK, "FEATURES_OK is set before DRIVER" },
		{ ACK | DRV, ACK, "loses a bit" },
		{ ACK | DRV, ACK | DRV | DOK, "DRIVER_OK is set before FEATURES_OK" },
		{ ACK, ACK | 0x20, "does not exist" },
		{ ACK, ACK | 0x100, "does not exist" },
		{ ACK, ACK | VIRTIO_CONFIG_S_NEEDS_RESET, "device's" },
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		if (bad[i].first & DRV)
			wr(VIRTIO_MMIO_STATUS, ACK);
		wr(VIRTIO_MMIO_STATUS, bad[i].first);
		wr(VIRTIO_MMIO_STATUS, bad[i].then);
		assert_refused(bad[i].rule);
	}
}

static void test_features(void **state)
{
	(void)state;
	wr(VIRTIO_MMIO_STATUS, ACK);
	wr(VIRTIO_MMIO_STATUS, ACK | DRV);
	/* Not offered: not accepted, which is no crime. */
	wr(VIRTIO_MMIO_DRIVER_FEATURES, VIRTIO_BIT(VIRTIO_BLK_F_MQ));
	wr(VIRTIO_MMIO_DRIVER_FEATURES_SEL, 1);
	wr(VIRTIO_MMIO_DRIVER_FEATURES, 1);
	wr(VIRTIO_MMIO_STATUS, ACK | DRV | FOK);
	assert_int_equal(rd(VIRTIO_MMIO_STATUS), ACK | DRV);
	/* Nor is a driver older than the standard. */
	wr(VIRTIO_MMIO_STATUS, 0);
	wr(VIRTIO_MMIO_STATUS, ACK);
	wr(VIRTIO_MMIO_STATUS, ACK | DRV);
	wr(VIRTIO_MMIO_STATUS, ACK | DRV | FOK);
	assert_int_equal(rd(VIRTIO_MMIO_STATUS), ACK | DRV);

	negotiate();
	wr(VIRTIO_MMIO_DRIVER_FEATURES, 0);
	assert_refused("features are set at the wrong time");
	wr(VIRTIO_MMIO_DRIVER_FEATURES, 0);
	assert_refused("features are set at the wrong time");
}

static void test_queue_rules(void **state)
{
	(void)state;
	wr(VIRTIO_MMIO_QUEUE_NUM, 8);
	assert_refused("before FEATURES_OK");
	wr(VIRTIO_MMIO_QUEUE_READY, 1);
	assert_refused("before FEATURES_OK");
	negotiate();
	wr(VIRTIO_MMIO_QUEUE_SEL, 1);
	wr(VIRTIO_MMIO_QUEUE_READY, 1);
	assert_refused("does not exist");
	negotiate();
	wr(VIRTIO_MMIO_QUEUE_SEL, 1);
	wr(VIRTIO_MMIO_QUEUE_NUM, 8);
	assert_refused("does not exist");
	negotiate();
	wr(VIRTIO_MMIO_QUEUE_READY, 1);
	assert_refused("power of two");
	negotiate();
	set_queue();
	wr(VIRTIO_MMIO_QUEUE_DESC_HIGH, 1);
	wr(VIRTIO_MMIO_QUEUE_READY, 1);
	assert_refused("outside of memory");
	negotiate();
	set_queue();
	wr(VIRTIO_MMIO_QUEUE_READY, 2);
	assert_refused("neither 0 nor 1");
	bring_up();
	wr(VIRTIO_MMIO_QUEUE_NUM, 4);
	assert_refused("changed while it is ready");
	bring_up();
	wr(VIRTIO_MMIO_QUEUE_READY, 1);
	assert_refused("ready after DRIVER_OK");
}

static void test_register_rules(void **state)
{
	(void)state;
	negotiate();
	set_queue();
	wr(VIRTIO_MMIO_QUEUE_READY, 1);
	/* Too early, but Linux's balloon driver does it. */
	wr(VIRTIO_MMIO_QUEUE_NOTIFY, 0);
	assert_false(virtio_failed(disk));
	bring_up();
	wr(VIRTIO_MMIO_QUEUE_NOTIFY, 1);
	assert_refused("notified that is not there");
	wr(VIRTIO_MMIO_MAGIC_VALUE, 0);
	assert_refused("read-only");
	virtio_mmio_write(&disk->registers, VIRTIO_MMIO_STATUS, 1, 1);
	assert_refused("written in parts");
	virtio_mmio_read(&disk->registers, VIRTIO_MMIO_STATUS, 8);
	assert_refused("read in parts");
	virtio_mmio_read(&disk->registers, VIRTIO_MMIO_STATUS + 2, 4);
	assert_refused("read in parts");
	wr(VIRTIO_MMIO_CONFIG, 1);
	assert_refused("configuration is written");
	wr(VIRTIO_MMIO_INTERRUPT_ACK, 4);
	assert_refused("acknowledged");
}

/* Complaints have an end, breaking rules has not. */
static void test_flood(void **state)
{
	unsigned int i;

	(void)state;
	for (i = 0; i < 1000; i++) {
		wr(VIRTIO_MMIO_MAGIC_VALUE, 0);
		wr(VIRTIO_MMIO_STATUS, 0);
	}
	fflush(message_stream);
	assert_true(said_size < 2000);
}

/* The sequences of stock drivers, each of which leaves a device that works. */
static void test_stock_sequences(void **state)
{
	unsigned int i;

	(void)state;
	for (i = 0; i < 3; i++) {	/* bound, unbound, bound */
		begin_anew();
		let_go();
		wr(VIRTIO_MMIO_STATUS, ACK);	/* as the bus leaves it */
		assert_int_equal(rd(VIRTIO_MMIO_STATUS), ACK);
	}
	begin_anew();			/* to sleep; a driver that failed before is told so again */
	let_go();
	wr(VIRTIO_MMIO_STATUS, 0);
	wr(VIRTIO_MMIO_STATUS, ACK);
	wr(VIRTIO_MMIO_STATUS, ACK | VIRTIO_CONFIG_S_FAILED);
	wr(VIRTIO_MMIO_STATUS, ACK | DRV | VIRTIO_CONFIG_S_FAILED);
	assert_int_equal(rd(VIRTIO_MMIO_STATUS), ACK | DRV | VIRTIO_CONFIG_S_FAILED);
	negotiate();			/* a queue that is not there, after which it gives up */
	set_queue();
	wr(VIRTIO_MMIO_QUEUE_READY, 1);
	wr(VIRTIO_MMIO_QUEUE_SEL, 1);
	assert_int_equal(rd(VIRTIO_MMIO_QUEUE_NUM_MAX), 0);
	wr(VIRTIO_MMIO_QUEUE_READY, 0);
	assert_int_equal(rd(VIRTIO_MMIO_QUEUE_READY), 0);
	wr(VIRTIO_MMIO_QUEUE_SEL, 0);
	wr(VIRTIO_MMIO_QUEUE_READY, 0);
	assert_int_equal(rd(VIRTIO_MMIO_QUEUE_READY), 0);
	wr(VIRTIO_MMIO_STATUS, rd(VIRTIO_MMIO_STATUS) | VIRTIO_CONFIG_S_FAILED);
	let_go();
	begin_anew();			/* shut down: nothing comes after the reset */
	wr(VIRTIO_MMIO_STATUS, 0);
	wr(VIRTIO_MMIO_QUEUE_NOTIFY, 0);
	begin_anew();
	fflush(message_stream);
	assert_null(strstr(said_size ? said : "", "bad driver"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_identity), TEST(test_bring_up), TEST(test_status_rules),
		TEST(test_stock_sequences), TEST(test_features), TEST(test_queue_rules),
		TEST(test_register_rules), TEST(test_flood),
	};

	return cmocka_run_group_tests_name("virtio", tests, NULL, NULL);
}
