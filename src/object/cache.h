/* cache.h - results that a worker keeps of methods that are read-only and deterministic
 * (docs/design/0028-cached-results.md).
 *
 * A result is kept with what it was made of: the object as it is in the worker's memory, the record that changed it
 * last, the module's hash, the method and the arguments.  It is given again only while that record is the object's
 * last, and leaves as the method's own would: when that record is acknowledged.  So nothing has to be told of changes.
 * Kept are results that are asked for a second time, of methods that ended well, made no call, asked for no caller and
 * wrote no log line.  Those go first that were not given for the longest time, about (second chance).
 * The latest of an object is found from the object: what asks for it again gets it as the request arrives, if nothing
 * is at the object or waits for it.
 * Threads: the worker's.  Layer: object (private). */
#ifndef CAIRN_OBJECT_CACHE_H
#define CAIRN_OBJECT_CACHE_H

#include <stdint.h>

#include "base/list.h"

struct cairn_worker;
struct invocation;
struct object;
struct type_entry;
struct cairn_method_decl;

struct cached;

enum { CACHE_SEEN = 4096 };

struct cache {
    uint64_t bytes_max; /* 0: nothing is kept */
    uint64_t bytes;
    struct cached **buckets;
    uint32_t mask, count;
    struct cairn_link used;    /* the next that may go first */
    uint32_t seen[CACHE_SEEN]; /* what was asked for once, by hash */
};

void cache_init(struct cache *cache, uint64_t bytes_max);
void cache_done(struct cache *cache);

/* Of methods like that, if anything is kept. */
bool cache_wants(const struct cache *cache, const struct cairn_method_decl *decl);

/* The invocation has come to its object, at which none is.  True: its result is there; it is the object's latest. */
bool cache_has_latest(struct cairn_worker *worker, struct invocation *inv);
/* The invocation is about to begin its first segment.  True: its result is there. */
bool cache_answers(struct cairn_worker *worker, struct invocation *inv);
/* Its only segment is over, and has ended well. */
void cache_keep(struct cairn_worker *worker, struct invocation *inv);

#endif
