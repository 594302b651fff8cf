/* stores.h - the parts of bench_stores: embedded key-value stores behind one small vtable, and the works that they
 * are given.
 *
 * What is alike for all: keys of 16 bytes, values of random bytes that no compression makes smaller (and none is
 * tried), Bloom filters of 10 bits a key where there are any, one budget of memory, one mode of the log.  What each
 * store was told beyond that stands at the head of its file. */
#ifndef CAIRN_BENCH_STORES_H
#define CAIRN_BENCH_STORES_H

#include <pthread.h>
#include <stdio.h>

#include "../histogram.h"
#include "base/bytes.h"

enum { KEY_BYTES = 16, AHEAD_MAX = 32, FILTER_BITS = 10, BACKGROUND_THREADS = 2 };

/* Ends the process. */
void __attribute__((noreturn)) die(const char *what, const char *why);

/* --- stores --- */

enum store_log {
    LOG_OFF,    /* no write-ahead log, where it can be switched off: durable with the next snapshot */
    LOG_NONE,   /* written to a log, which is never synced: a killed process loses nothing */
    LOG_ALWAYS, /* on stable storage before put returns */
};

struct store_options {
    const char *folder; /* exists, and is empty */
    const char *kind;   /* what follows the colon in the store's name */
    enum store_log log;
    uint64_t memory_bytes; /* the budget */
    uint64_t keys;         /* that will be loaded */
    uint64_t data_bytes;   /* of keys and values then */
    unsigned threads;      /* that will use it, each through a `join` of its own */
    bool blob;             /* snapshots go to another folder, too (only to be asked of those that can lose) */
};

struct store;

struct store_put {
    struct cairn_bytes key, value;
};

/* Nothing here fails: whatever goes wrong ends the process.  One thread, but for put, which is called by several if
 * there is no submit. */
struct store_ops {
    const char *name; /* as --store names it */
    struct store *(*open)(const struct store_options *options);
    void (*close)(struct store *store);
    /* Another thread's way to the store that was opened; closed before it.  NULL: there is one thread for a store, and
     * with more threads each has a store of its own. */
    struct store *(*join)(struct store *store);
    /* The calling thread begins, and ends, to use the store.  NULL: nothing is to be done then. */
    void (*enter)(struct store *store);
    void (*leave)(struct store *store);
    /* The value is valid until the next call. */
    bool (*get)(struct store *store, struct cairn_bytes key, struct cairn_bytes *ret_value);
    void (*put)(struct store *store, struct cairn_bytes key, struct cairn_bytes value);
    /* A hint that these are about to be asked for, or put.  NULL: there is no such thing. */
    void (*prefetch)(struct store *store, const struct cairn_bytes *keys, size_t count);
    void (*write)(struct store *store, const struct store_put *puts, size_t count); /* as one batch */
    /* A put that does not wait for the log, and the wait.  NULL: there is no such thing, threads do it. */
    uint64_t (*submit)(struct store *store, struct cairn_bytes key, struct cairn_bytes value);
    void (*await)(struct store *store, uint64_t ticket);
    /* A durable copy of everything, of which only what is new is written; and back to the last one.  NULL: none. */
    void (*snapshot)(struct store *store);
    void (*restore)(struct store *store);
    /* The same while the caller goes on: begins one; ends it, or is false if that would have to wait.  NULL: none. */
    void (*snapshot_begin)(struct store *store);
    bool (*snapshot_end)(struct store *store);
    /* With options.blob: closes the store and loses `part` of its files' bytes, or a little more, the newest files
     * first; returns what part it is.  And opens what is left, which is to have everything again.  NULL: none. */
    double (*lose)(struct store *store, double part);
    void (*reopen)(struct store *store);
};

extern const struct store_ops cairn_hybridlog_ops, cairn_appendlog_ops, cairn_lsm_ops, cairn_memory_ops, rocksdb_ops,
    rocksdb_checkpoint_ops, leveldb_ops, lmdb_ops, faster_ops;

/* --- works --- */

struct bench {
    const struct store_ops *ops;
    struct store *store;
    unsigned part, parts;     /* of the keys, those whose number is `part` modulo `parts` */
    pthread_barrier_t *start; /* NULL: one thread; else that of all that begin a work together */
    uint64_t keys, inserted;  /* loaded; and with what a work has added */
    size_t value_bytes;
    uint64_t ops_max, snapshot_ns; /* of a work; a snapshot so often, 0: never */
    unsigned ahead;                /* so many operations are known together; 0: one by one */
    double seconds_max;            /* 0: until ops_max */
    uint64_t seed;
    uint32_t *trace; /* what to do, see works.c; room for trace_room */
    size_t trace_room;
    uint8_t *random; /* what values are cut from */
    double ns_per_tick;
};

struct result {
    struct histogram ops, snapshots; /* what one operation, or snapshot, took */
    uint64_t ns, put_bytes;
    double lost_part; /* of the files' bytes, by the works that lose any */
};

bool work_exists(const char *name);
/* How many operations it does, if `ops` and `seconds` were asked for (0: were not). */
uint64_t work_ops(const char *name, uint64_t keys, uint64_t ops, double seconds);
/* Can several threads do it, each on its part of the keys? */
bool work_is_shared(const char *name);
void work_run(struct bench *bench, const char *name, struct result *ret_result);
/* The results of threads that worked at the same time: the time is that of the slowest. */
void result_merge(struct result *to, const struct result *from);

/* All keys, in batches of a thousand. */
void bench_load(struct bench *bench);
/* Until background work has come to rest; at most a minute. */
void bench_settle(struct bench *bench);
/* Reads every eighth key, and so nearly every block of a file. */
void bench_warm(struct bench *bench);

/* The clock of all measuring: the processor's time-stamp counter where there is one, as it costs least. */
#if defined(__x86_64__)
static inline uint64_t ticks(void)
{
    return __builtin_ia32_rdtsc();
}
#else
#include <time.h>
static inline uint64_t ticks(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}
#endif

#endif
