/* side.h - side lines: messages that may not run yet stand there, so that those behind them in the line may.
 *
 * An object gets one when it has as many messages running as it may (receiver.h), or when no module has its type; what
 * the line has for it then goes to its side line's end, and from there it runs, in that order.  Two trees list the side
 * lines: those that are served, by turns, and those that are parked until there is such a type.
 *
 *   line --> side line, served <--> side line, parked
 *     |        |
 *     +--------+--> running
 *
 * Threads: the shard's owner.  Layer: object, seen by transfer. */
#ifndef CAIRN_OBJECT_SIDE_H
#define CAIRN_OBJECT_SIDE_H

#include "object/delivery.h"
#include "object/overlay.h"

struct side {
    uint64_t number;     /* given out once */
    uint64_t first, end; /* its entries: none below first */
};

/* False: the object has none. */
bool side_get(const struct messages *messages, struct overlay *overlay, struct cairn_bytes name, struct side *ret_side);
/* To the end of its object's side line, which is made if there is none.  It has been taken out of the line, and has a
 * number. */
void side_add(struct messages *messages, struct overlay *overlay, const struct posted *posted, bool parked);
/* Where its message n lies. */
size_t side_key(uint8_t to[DELIVERY_KEY_BYTES_MAX], const struct side *side, uint64_t n);
/* Those that have begun have numbers below it. */
uint64_t side_next(const struct messages *messages, const struct side *side, struct cairn_bytes name);
/* What has been used up is forgotten, once it is much; and the whole line when nothing is left. */
void side_trim(struct messages *messages, struct overlay *overlay, struct cairn_bytes name, const struct side *side,
               uint64_t next);

/* The served one whose turn it is.  False: one round is over; they are looked at again if anything changes. */
bool side_turn(struct messages *messages, struct overlay *overlay, uint8_t to[POSTED_NAME_BYTES_MAX],
               struct cairn_bytes *ret_name);
/* Within a record: the first of one that is parked, at most `most` of them, and of which nothing runs, are no more. */
void side_drop_some(struct messages *messages, struct overlay *overlay, struct cairn_bytes name, uint32_t most);
/* Within a record: an entry that waited has been taken out of it.  The line's first ones are forgotten with it if they
 * are gone, too, and so is the line if it has no other. */
void side_removed(struct messages *messages, struct overlay *overlay, struct cairn_bytes name);
/* No module has its type. */
void side_park(struct messages *messages, struct overlay *overlay, struct cairn_bytes name);
/* Some of those whose type is there now are served again.  True: there may be more. */
bool side_unpark(struct messages *messages, struct overlay *overlay);

/* The first behind that name, of those that are served, or are parked.  False: there is none. */
bool side_after(struct overlay *overlay, bool parked, struct cairn_bytes name, uint8_t to[POSTED_NAME_BYTES_MAX],
                struct cairn_bytes *ret_name);
/* False: the name is none. */
bool side_type(struct cairn_bytes name, struct cairn_bytes *ret_space, struct cairn_bytes *ret_type);

#endif
