// SPDX-License-Identifier: GPL-2.0
/*
 * What a debugger sends, and what a guest has in its tables: the first page of
 * the input is the guest's memory at TABLES, over and over; the rest is packets,
 * whose sums are made right for every other one.
 */
#include <sys/mman.h>
#include <sys/user.h>

#include "fuzz.h"
#include "debugger/gdb_commands.h"
#include "hardware/host.h"

static struct guest guest;
static struct user_regs_struct regs;
static uint64_t cr3;

int vcpu_do(struct guest *of, unsigned int vcpu,
	    int (*what)(struct guest *guest, void *with), void *with)
{
	must(of == &guest && vcpu < guest.vcpus.count);
	return what(of, with);
}

int host_get_register(int fd, size_t offset, uint64_t *value)
{
	must(fd == 7 && (offset == LHREG_CR3 || offset + 8 <= sizeof(regs)));
	if (offset == LHREG_CR3)
		*value = cr3;
	else
		memcpy(value, (char *)&regs + offset, 8);
	return 0;
}

int host_set_register(int fd, size_t offset, uint64_t value)
{
	must(fd == 7 && offset + 8 <= sizeof(regs));
	memcpy((char *)&regs + offset, &value, 8);
	return 0;
}

static void serve(struct gdb_memory *m, struct gdb_threads *threads, struct gdb_stream *stream)
{
	static char packet[GDB_PACKET_MOST + 1], frame[GDB_FRAME_MOST];
	static struct gdb_reply reply;
	enum gdb_event event;
	size_t size;

	while ((event = gdb_next(stream, packet, &size)) != GDB_NOTHING) {
		if (event == GDB_NONSENSE)
			stream->size = 0;
		if (event != GDB_PACKET)
			continue;
		must(size <= GDB_PACKET_MOST && !packet[size]);
		switch (gdb_command(m, threads, packet, size, &reply)) {
		case GDB_GO:
			must(threads->move && !(threads->move >> guest.vcpus.count));
			break;
		case GDB_STEP:
			must(threads->step < guest.vcpus.count);
			break;
		default:
			break;
		}
		must(reply.size <= GDB_PACKET_MOST);
		must(gdb_frame(reply.text, reply.size, frame) <= sizeof(frame));
	}
}

/* A packet with the right sum. */
static void add_packet(struct gdb_stream *stream, const uint8_t *bytes, size_t size)
{
	uint8_t sum = 0;
	size_t i;

	if (size + 4 > sizeof(stream->bytes) - stream->size)
		return;
	stream->bytes[stream->size++] = '$';
	for (i = 0; i < size; i++) {
		stream->bytes[stream->size++] = bytes[i];
		sum += bytes[i];
	}
	stream->size += sprintf(stream->bytes + stream->size, "#%02x", sum);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	static struct gdb_memory m;
	static struct gdb_threads threads;
	static struct gdb_stream stream;
	struct input in = { bytes, size };
	const uint8_t *from;
	unsigned int first;
	size_t part;

	be_silent();
	if (!guest.memory.base)
		must(memory_create(&guest.memory, MEMORY_LEAST));
	madvise(guest.memory.base, guest.memory.size, MADV_DONTNEED);
	memset(&m, 0, sizeof(m));
	memset(&regs, 0, sizeof(regs));
	memset(&threads, 0, sizeof(threads));
	guest.fd = 7;
	m.guest = &guest;
	stream.size = 0;
	first = take(&in, 1);
	guest.vcpus.count = (first >> 1) % LGUEST_VCPUS + 1;
	cr3 = first & 1 ? take(&in, 3) << 4 : ~0ULL;
	part = take(&in, 1) * 8;
	from = take_bytes(&in, &part);
	memory_write(&guest.memory, GPA(cr3 & 0xfff000), from, part);
	while (in.left) {
		unsigned int how = take(&in, 1);

		part = how >> 1;
		from = take_bytes(&in, &part);
		if (how & 1) {
			add_packet(&stream, from, part);
		} else if (part <= sizeof(stream.bytes) - stream.size) {
			memcpy(stream.bytes + stream.size, from, part);
			stream.size += part;
		}
		serve(&m, &threads, &stream);
	}
	gdb_remove_all(&m);
	return 0;
}
