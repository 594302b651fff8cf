/* timers.h - timers of objects: each is a key of its shard, an entry in the tree of names, and while it is not due one
 * in the agenda (due.h).
 *
 *   set --> pending --(due)--> fired: a message is in the line --(its method's first segment)--> gone, or pending again
 *
 * The message says which firing of which timer it is.  Its first segment runs only if the timer still says the same:
 * one that was cancelled, or set again, meanwhile does not run.  Why so: docs/design/0030-timers.md.
 * Threads: the shard's owner.  Layer: object, seen by admin. */
#ifndef CAIRN_OBJECT_TIMERS_H
#define CAIRN_OBJECT_TIMERS_H

#include "object/invocation.h"
#include "object/overlay.h"
#include "object/segment.h"
#include "object/shard.h"
#include "object/timer.h"

struct due_handler;
struct participant;

enum {
    TIMER_KEY_BYTES_MAX = 1 + 8 + TIMER_NAME_BYTES_MAX,
    TIMER_PLACE_BYTES_MAX = 8 + TIMER_NAME_BYTES_MAX, /* among all of a shard: be64 incarnation, name */
    TIMER_FIRING_BYTES_MAX =
        8 + 8 + TIMER_NAME_BYTES_MAX, /* as messages have it: be64 number, be64 incarnation, name */
};

size_t timer_key(uint8_t to[TIMER_KEY_BYTES_MAX], uint64_t incarnation, struct cairn_bytes name);
/* Borrowed as overlay_get's values are. */
bool timers_get(struct overlay *overlay, uint64_t incarnation, struct cairn_bytes name, struct timer *ret_timer);
void timers_put(struct overlay *overlay, uint64_t incarnation, struct cairn_bytes name, const struct timer *timer);

/* The place of the shard's timer behind that place (empty: the first), in `to`, which `after` may lie in. */
bool timers_after(struct overlay *overlay, struct cairn_bytes after, uint8_t to[TIMER_PLACE_BYTES_MAX],
                  struct cairn_bytes *ret_at);
/* Whether its object has that incarnation: else it was deleted, and is being purged, or is being restored. */
bool timers_current(struct overlay *overlay, const struct timer *timer, uint64_t incarnation);
/* The name of the incarnation's timer behind that name (empty: the first), in `to`.  False: there is none. */
bool timers_next(struct overlay *overlay, uint64_t incarnation, struct cairn_bytes after,
                 uint8_t to[TIMER_NAME_BYTES_MAX], struct cairn_bytes *ret_name);

/* Within a record that has the timer's key already: the trees are as it says.  NULL: it was, or is, not there. */
void timers_index(struct shard *shard, struct overlay *overlay, uint64_t incarnation, struct cairn_bytes name,
                  const struct timer *before, const struct timer *after);
/* Within a record: a firing has been used up, or given up.  Nothing if the timer says something else by now. */
void timers_over(struct shard *shard, struct overlay *overlay, struct cairn_bytes firing, uint64_t now_ms);
/* Removes timers of an incarnation that is gone, at most `most`; how many. */
uint32_t timers_purge(struct shard *shard, struct overlay *overlay, uint64_t incarnation, uint32_t most);
/* Tells the metrics how many there are, after a record. */
void timers_count(struct shard *shard);

/* The invocation is about to run a message's method for the first time.  False: it is a firing that is not wanted any
 * more. */
bool timers_want(struct invocation *inv);

/* Whether timers have a part in the record of the invocation's segment. */
bool timers_take_part(const struct invocation *inv);
extern const struct participant timers_participant;
extern const struct due_handler timer_handler;

#endif
