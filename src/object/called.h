/* called.h - the calls of durable invocations, as the shard of the called object knows them ("Durable methods" in
 * docs/promises.md).
 *
 * A durable invocation calls with an implicit key: its shard, its number, the call's number.  The called invocation's
 * outcome is kept under that key (once.h) until the caller has it in its journal, or is no more; no age and no number
 * bounds it.  A tree of each shard lists what is kept there.
 *
 *   caller's shard: outcome journaled --> called_done --> [message] --> callee's shard: forgotten, many in one record
 *   caller cancelled: called_over --> [message] --> every shard: what it has called is ended, or waited for; forgotten
 *   after a restart, callee's shard: asks the caller's shard of each that is listed: is it open? --> gone: the same
 *
 * So nothing needs to arrive: what was not told before a crash is asked for behind it.
 * Threads: the shard's owner.  Layer: object (private). */
#ifndef CAIRN_OBJECT_CALLED_H
#define CAIRN_OBJECT_CALLED_H

#include "object/dependency.h"
#include "object/operation.h"
#include "object/overlay.h"

struct shard;

/* A call of a durable invocation. */
struct called {
    uint64_t number; /* the caller's; 0: the call is of no durable invocation */
    uint32_t shard;  /* the caller's */
    uint32_t call;
};

enum { CALLED_KEY_BYTES = 17 };

/* The point key under which the outcome is kept. */
void called_key(uint8_t to[CALLED_KEY_BYTES], const struct called *called);
/* Lists it in the called object's shard, or no longer. */
void called_add(struct overlay *overlay, const struct called *called);
void called_remove(struct overlay *overlay, const struct called *called);
/* Every point key in the shard's list. */
void called_visit(struct overlay *overlay, void (*visit)(void *context, struct cairn_bytes key), void *context);

/* Those of the one that has called: with numbers below called->call. */
void called_visit_of(struct overlay *overlay, const struct called *called,
                     void (*visit)(void *context, struct cairn_bytes key), void *context);

/* The caller's journal has the outcome, or the caller is over, once `record` is acknowledged: the shard `to`
 * forgets. */
void called_done(struct cairn_worker *worker, const struct called *called, uint32_t to, struct dependency record);

/* The durable invocation is over, once `record` is acknowledged: what it has called, and has no outcome of, is durable
 * and cancelled, or is forgotten when it is over.  May be said again. */
void called_over(struct cairn_worker *worker, uint32_t shard, uint64_t number, struct dependency record);

/* `end` tells whether what has that key may be forgotten, as its caller is over; it ends it, if it can. */
void called_open(struct cairn_worker *worker,
                 bool (*end)(struct cairn_worker *worker, struct shard *shard, struct cairn_bytes key));
void called_close(struct cairn_worker *worker);
extern const struct housekeeper called_housekeeper;

#endif
