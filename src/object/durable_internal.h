/* durable_internal.h - what the files of durable invocations share.  Layer: object (private). */
#ifndef CAIRN_OBJECT_DURABLE_INTERNAL_H
#define CAIRN_OBJECT_DURABLE_INTERNAL_H

#include "object/durable.h"
#include "object/journal.h"
#include "object/shard.h"
#include "object/tree.h"
#include "object/type.h"

enum { CHUNK_BYTES = 256 << 10 }; /* of a journal, in one entry */

struct tree durable_tree(struct overlay *overlay);
/* --- a run: durable_run.c --- */

/* *ret_known: the journal has this host call, with that result; else it is to be done. */
enum cairn_code durable_look(struct invocation *inv, enum journal_op op, uint32_t args, bool *ret_known,
                             struct cairn_bytes *ret_result, struct cairn_err *err);
/* It has been done: the place in the journal for so much of a result. */
enum cairn_code durable_note(struct invocation *inv, enum journal_op op, uint32_t args, size_t size, uint8_t **ret_to,
                             struct cairn_err *err);
/* Takes the outcomes that come next.  False: the journal is damaged. */
bool durable_take_outcomes(struct invocation *inv);
enum cairn_code durable_damaged(struct invocation *inv, struct cairn_err *err);
/* Along the journal a wait is over at once, but at its end, from where on the run is live. */
enum cairn_code durable_waits(struct invocation *inv, uint32_t call, bool *ret_ready, struct cairn_err *err);

/* --- in the shard: durable_keys.c, durable.c --- */

/* The number behind `after` in the shard's tree; 0: there is none. */
uint64_t durable_next(struct overlay *overlay, uint64_t after);
bool durable_head_get(struct cairn_view *engine, uint64_t number, struct cairn_bytes *ret_head);
/* The journal's entry n. */
size_t durable_chunk_key(uint8_t *to, uint64_t number, uint64_t n);
/* One more, or one less, open invocation has that version of a type: it is kept meanwhile. */
void durable_version_take(struct cairn_worker *worker, struct type *type);
void durable_version_leave(struct cairn_worker *worker, const struct type *type);

#endif
