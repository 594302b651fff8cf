/* promise.h - promises: what a durable invocation waits for, and something else says ("Durable methods" in
 * docs/promises.md).
 *
 * A promise is a key of its invocation's shard: its secret, when its time is over, if it is settled.  Settling it
 * (settle.h) is one record: that key, and the outcome as an entry of the journal.  So the first that settles it wins,
 * and what was acknowledged is there however often the node is killed.  That its time is over needs no record: the
 * node's time never goes back.
 *
 *   id: 16 bytes secret | be32 shard | be64 number of the invocation | be32 call, in hex
 *
 * Threads: the shard's owner.  Layer: object, seen by admin. */
#ifndef CAIRN_OBJECT_PROMISE_H
#define CAIRN_OBJECT_PROMISE_H

#include "object/durable.h"
#include "object/overlay.h"

enum { PROMISE_ID_BYTES = CAIRN_PROMISE_ID_BYTES, PROMISE_OPEN = 1, PROMISE_SETTLED = 2 };

struct promise_id {
    uint8_t secret[DURABLE_SECRET_BYTES];
    uint32_t shard, call;
    uint64_t number;
};

/* As people see it. */
void promise_id_text(const struct promise_id *id, uint8_t to[PROMISE_ID_BYTES]);
/* False: that text is none. */
bool promise_id_read(struct cairn_bytes text, struct promise_id *ret_id);

/* Takes the same time however much of the secrets is the same. */
bool promise_id_same(const struct promise_id *a, const struct promise_id *b);

/* Within a record of the shard's. */
void promise_put(struct overlay *overlay, const struct promise_id *id, uint64_t due_ms, uint8_t state);
void promise_remove(struct overlay *overlay, uint64_t number, uint32_t call);
/* False: there is none with that number and secret, or it cannot be read. */
bool promise_get(struct cairn_view *engine, const struct promise_id *id, uint8_t *ret_state, uint64_t *ret_due_ms);

#endif
