/* opens.h - the open durable invocations that a worker knows, by shard and number; those that sleep, by when they wake.
 *
 * One that is under way has its struct durable here.  One that sleeps, and that nothing waits for, has nothing else in
 * memory: less than 100 bytes, however long its journal is.  One that was open when the node opened comes here when it
 * is started.
 * Threads: the worker's.  Layer: object, seen by admin. */
#ifndef CAIRN_OBJECT_OPENS_H
#define CAIRN_OBJECT_OPENS_H

#include <stdbool.h>
#include <stdint.h>

struct durable;

struct open {
    struct open *hash_next;
    uint64_t number; /* of the invocation, in its shard */
    uint64_t wake_ms;
    struct durable *live; /* NULL: it sleeps, and nothing but this is in memory */
    uint32_t shard;
    uint32_t place; /* in the heap; OPEN_AWAKE: in none */
};

enum { OPEN_AWAKE = UINT32_MAX };

/* Zero-initialized. */
struct opens {
    struct open **table; /* a power of two */
    uint32_t table_size, count;
    struct open **heap; /* the one that wakes first is the first */
    uint32_t heap_count, heap_room;
};

void opens_done(struct opens *opens);
struct open *opens_find(const struct opens *opens, uint32_t shard, uint64_t number);
/* A new one, awake. */
struct open *opens_add(struct opens *opens, uint32_t shard, uint64_t number);
void opens_remove(struct opens *opens, struct open *open);
/* It sleeps until then, or, if it did already, until then instead; UINT64_MAX: until it is woken. */
void opens_sleep(struct opens *opens, struct open *open, uint64_t wake_ms);
void opens_wake(struct opens *opens, struct open *open);
static inline bool opens_asleep(const struct open *open)
{
    return open->place != OPEN_AWAKE;
}
/* The one that wakes first; NULL: none sleeps. */
static inline struct open *opens_first(const struct opens *opens)
{
    return opens->heap_count ? opens->heap[0] : 0;
}

#endif
