/* shard.h - a shard as its worker has it (the one of shard/shard.h, with what objects need of it), and the worker's own
 * small commits to it.
 * Threads: the shard's owner.  Layer: object, seen by admin. */
#ifndef CAIRN_OBJECT_SHARD_H
#define CAIRN_OBJECT_SHARD_H

#include "object/dependency.h"
#include "object/outcome.h"
#include "object/overlay.h"

struct cairn_worker;
struct messages;

struct shard {
    struct cairn_shard *shard;
    struct cairn_view *engine;
    struct cairn_log *log; /* which its commits go to */
    uint32_t index;
    uint64_t incarnations;       /* given out, this epoch's */
    struct dependency directory; /* on its last change */
    struct shard_meta {
        uint64_t once_first, once_end;   /* numbers of 05 keys in use */
        uint64_t purge_first, purge_end; /* numbers of 06 keys in use */
        struct outcomes outcomes;
    } meta;
    uint64_t due_ms;           /* of the first in the agenda, or earlier; UINT64_MAX: none (due.h) */
    uint64_t making;           /* an incarnation that is being restored, which no header has yet; 0: none */
    uint64_t timer_count;      /* as it was told to the metrics */
    bool frozen;               /* a transaction has prepared changes here that are not one object's: commits wait */
    struct messages *messages; /* NULL: the system shard */
    uint64_t purge_stop;       /* the number of a 06 key of what is still being written: purging waits there */
};

#define PURGE_NO_STOP UINT64_MAX

uint64_t shard_incarnation(struct shard *shard);
/* Commits a worker's own small writes to a shard (purging, interrupted keys, deploys). */
enum cairn_code shard_commit_own(struct cairn_worker *worker, struct shard *shard, struct overlay *overlay,
                                 const char *note, struct dependency *ret_record, struct cairn_err *err);
enum cairn_code shard_meta_load(struct shard *shard, struct cairn_err *err);
void shard_meta_store(struct shard *shard, struct overlay *overlay);

#endif
