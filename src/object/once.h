/* once.h - idempotency keys ("Once" in docs/promises.md).
 *
 * A key's state is a point key of the shard (layout.h, 04 and 05): written as `running` before
 * the invocation's first call leaves, as its outcome at the end.  While it runs the invocation
 * is in object->keyed, where duplicates find it and wait.
 * Threads: the shard's owner.  Layer: object (private). */
#ifndef CAIRN_OBJECT_ONCE_H
#define CAIRN_OBJECT_ONCE_H

#include "object/object_internal.h"

enum { ONCE_CLAIM_BYTES = 8 << 10 };

enum once_answer {
    ONCE_RUN,      /* new: run it */
    ONCE_WAIT,     /* it was attached to the one that runs */
    ONCE_ANSWERED, /* inv->result is the first outcome, or the error `key_reused` */
};

enum once_answer once_begin(struct cairn_worker *worker, struct invocation *inv);
/* Adds the key's state to the overlay that is about to be committed. */
void once_write(struct invocation *inv, struct overlay *overlay, bool over);
/* The outcome is recorded (or can never be): duplicates get it. */
void once_over(struct cairn_worker *worker, struct invocation *inv);
/* At opening: what was running when the node stopped has the outcome `interrupted`. */
enum cairn_code once_recover(struct cairn_worker *worker, struct shard *shard, struct cairn_err *err);

#endif
