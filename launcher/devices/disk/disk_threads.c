// SPDX-License-Identifier: GPL-2.0
/*
 * Transfers by threads, where there is no io_uring: an old kernel, or one whose
 * owner switched it off.  The disk's own thread starts them when there is more
 * to do than there are idle ones, and they inherit its signals and confinement.
 * Read next: vhost_blk.c.
 */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "disk_io.h"

#define THREADS_MOST	4

struct list {
	struct transfer *first, **end;
};

/*
 * p  under lock
 * t  the disk's thread's own
 */
struct pool {
	int ready;
	pthread_mutex_t lock;
	pthread_cond_t work, ended;
	struct list waiting, done;	/* p */
	unsigned int backlog, idle;	/* p waiting transfers, idle threads */
	unsigned int threads;		/* t */
	struct list taken;		/* t off done, not yet off take() */
};

static void make_empty(struct list *list)
{
	list->first = NULL;
	list->end = &list->first;
}

static void append(struct list *list, struct transfer *t)
{
	t->next = NULL;
	*list->end = t;
	list->end = &t->next;
}

static struct transfer *first_of(struct list *list)
{
	struct transfer *t = list->first;

	if (t) {
		list->first = t->next;
		if (!list->first)
			list->end = &list->first;
	}
	return t;
}

static ssize_t perform(struct transfer *t)
{
	switch (t->kind) {
	case TRANSFER_READ:
		return preadv(t->file, t->part, t->parts, t->at);
	case TRANSFER_WRITE:
		return pwritev(t->file, t->part, t->parts, t->at);
	default:
		return fdatasync(t->file);
	}
}

static void work_on(struct transfer *t)
{
	t->result = perform(t);
	if (t->result < 0)
		t->result = -errno;
}

static void finish(struct pool *pool, struct transfer *t)
{
	bool first = !pool->done.first;

	append(&pool->done, t);
	pthread_cond_signal(&pool->ended);
	if (first)
		eventfd_write(pool->ready, 1);
}

static void *worker(void *argument)
{
	struct pool *pool = argument;
	struct transfer *t;

	pthread_mutex_lock(&pool->lock);
	for (;;) {
		pool->idle++;
		while (!pool->waiting.first)
			pthread_cond_wait(&pool->work, &pool->lock);
		pool->idle--;
		pool->backlog--;
		t = first_of(&pool->waiting);
		pthread_mutex_unlock(&pool->lock);
		work_on(t);
		pthread_mutex_lock(&pool->lock);
		finish(pool, t);
	}
	return NULL;
}

static int open_threads(struct engine *engine)
{
	struct pool *pool = calloc(1, sizeof(*pool));

	if (!pool)
		return -ENOMEM;
	pool->ready = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (pool->ready < 0) {
		free(pool);
		return -errno;
	}
	pthread_mutex_init(&pool->lock, NULL);
	pthread_cond_init(&pool->work, NULL);
	pthread_cond_init(&pool->ended, NULL);
	make_empty(&pool->waiting);
	make_empty(&pool->done);
	make_empty(&pool->taken);
	engine->state = pool;
	engine->ready = pool->ready;
	return 0;
}

/* Only before the first transfer: there are no threads yet. */
static void close_threads(struct engine *engine)
{
	close(engine->ready);
	free(engine->state);
}

static bool start_worker(struct pool *pool)
{
	pthread_attr_t attributes;
	pthread_t thread;
	int error;

	pthread_attr_init(&attributes);
	pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
	error = pthread_create(&thread, &attributes, worker, pool);
	pthread_attr_destroy(&attributes);
	pool->threads += !error;
	return !error;
}

static void give(struct engine *engine, struct transfer *t)
{
	struct pool *pool = engine->state;
	bool more;

	pthread_mutex_lock(&pool->lock);
	append(&pool->waiting, t);
	pool->backlog++;
	more = pool->backlog > pool->idle;
	pthread_cond_signal(&pool->work);
	pthread_mutex_unlock(&pool->lock);
	if (more && pool->threads < THREADS_MOST)
		start_worker(pool);
}

/* Without a single thread the caller is the worker. */
static void go(struct engine *engine)
{
	struct pool *pool = engine->state;
	struct transfer *t;

	while (!pool->threads && (t = first_of(&pool->waiting))) {
		pool->backlog--;
		work_on(t);
		append(&pool->taken, t);
	}
}

static struct transfer *take(struct engine *engine, bool wait)
{
	struct pool *pool = engine->state;
	uint64_t count;

	if (pool->taken.first)
		return first_of(&pool->taken);
	pthread_mutex_lock(&pool->lock);
	while (wait && !pool->done.first)
		pthread_cond_wait(&pool->ended, &pool->lock);
	if (pool->done.first && read(pool->ready, &count, sizeof(count)) > 0) {
		pool->taken = pool->done;
		make_empty(&pool->done);
	}
	pthread_mutex_unlock(&pool->lock);
	return first_of(&pool->taken);
}

const struct engine_kind engine_threads = {
	.name = "threads",
	.open = open_threads,
	.close = close_threads,
	.give = give,
	.go = go,
	.take = take,
};
