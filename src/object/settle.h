/* settle.h - settling a promise (promise.h): for any client that has its id, the operation CAIRN_OP_SETTLE, and for
 * methods, by a message that is itself the settling.
 *
 *   client: CAIRN_OP_SETTLE --> the promise's shard: one record --> what is in memory hears of it
 *   method: settle_send --> with the segment's record --> line of the promise's shard --> one record: it is settled,
 * and
 *           the message is used up; or that is a dead letter, as it was settled before, or is over
 *
 * Threads: any worker's.  Layer: object, seen by admin. */
#ifndef CAIRN_OBJECT_SETTLE_H
#define CAIRN_OBJECT_SETTLE_H

#include "object/operation.h"
#include "object/overlay.h"
#include "object/promise.h"

struct posted;
struct shard;
struct space;

extern const struct operation settle_operation;

/* A settling, while its record is made.  Zero-initialized. */
struct settling {
    struct promise_id id;
    const struct space *space;
    struct cairn_buf entry; /* of the journal */
    uint64_t chunks;        /* of it */
    bool there;
};

/* Whether that text is a promise's id, and where that lies. */
bool settle_shard(const struct cairn_node *node, struct cairn_bytes id, uint32_t *ret_shard);
/* Sends it with the invocation's segment. */
enum cairn_code settle_send(struct invocation *inv, struct cairn_bytes id, struct cairn_bytes value,
                            struct cairn_err *err);

/* Adds it to a record of the promise's shard, which is over nothing that has to do with promises.  CAIRN_ECONFLICT: it
 * is settled, or its time is over, and *depends tells since which record, or when; CAIRN_ENOTFOUND: there is none. */
enum cairn_code settle_prepare(struct cairn_worker *worker, struct shard *shard, struct overlay *overlay,
                               struct settling *settling, struct cairn_bytes value, uint64_t now_ms,
                               struct dependency *depends, struct cairn_err *err);
/* The record is made. */
void settle_committed(struct cairn_worker *worker, struct shard *shard, const struct settling *settling,
                      struct dependency record);
void settle_done(struct settling *settling);
/* The same, for the message; true: it is settled.  False: *err tells why, and CAIRN_ECONFLICT and CAIRN_ENOTFOUND are
 * final. */
bool settle_posted(struct cairn_worker *worker, struct shard *shard, struct overlay *overlay,
                   const struct posted *posted, struct settling *settling, struct cairn_err *err);

#endif
