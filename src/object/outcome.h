/* outcome.h - outcomes of idempotency keys that are too large to stand beside their keys.
 *
 * A shard keeps them apart, each under a number (layout.h, 18 and 19), in the order in which they were made, and at
 * most so many bytes of them: for a new one the oldest go, OUTCOME_DROPS_MAX at a time.  One for which there is still
 * no room is not kept.  The keys themselves stay, so nothing is done twice; a request for an outcome that is gone hears
 * so.
 * Threads: the shard's owner.  Layer: object, seen by transfer. */
#ifndef CAIRN_OBJECT_OUTCOME_H
#define CAIRN_OBJECT_OUTCOME_H

#include "object/overlay.h"

enum {
    OUTCOME_INLINE_BYTES_MAX = 256, /* up to here an outcome stands beside its key */
    OUTCOME_DROPS_MAX = 32,         /* for one new outcome: the work of a commit is bounded */
    OUTCOME_APART = 0x10,           /* a bit of a key's state: its outcome is kept here, or is gone */
    OUTCOME_GONE_TEXT_BYTES = 160,
};

struct outcomes {
    uint64_t first, end; /* numbers in use, not all of them */
    uint64_t bytes;
};

/* Keeps it, with `bytes_max` in all: its number; false: there is no room.  Adds to *dropped how many went for it. */
bool outcome_keep(struct overlay *overlay, struct outcomes *outcomes, uint64_t bytes_max, struct cairn_bytes outcome,
                  uint64_t *ret_number, uint64_t *dropped);
/* Its key is forgotten.  Nothing if it is gone already. */
void outcome_forget(struct overlay *overlay, struct outcomes *outcomes, uint64_t number);
/* False: it is gone, or could not be read (cairn_engine_take_failure).  Borrowed as any value of the view. */
bool outcome_get(struct cairn_view *view, uint64_t number, struct cairn_bytes *ret_outcome);
/* What is said instead of one that is gone, with CAIRN_EGONE. */
void outcome_gone_text(uint64_t bytes, char to[OUTCOME_GONE_TEXT_BYTES]);

#endif
