/* receiver.h - the objects that messages of a shard run for now, and how many each may have.
 *
 * An object may have a quarter of what is left for all (Choudhury and Hahne's dynamic threshold, 1998): one alone has
 * many, many have few each, and there is always room for one more.
 * Threads: the shard's owner.  Layer: object (private). */
#ifndef CAIRN_OBJECT_RECEIVER_H
#define CAIRN_OBJECT_RECEIVER_H

#include "base/bytes.h"
#include "base/list.h"

struct delivery;
struct messages;

enum {
    RUNNING_MAX = 256, /* messages of a shard, in mailboxes or under way */
    RUNNING_BYTES = 4 << 20,
    RECEIVER_BUCKETS = 64, /* of their table; a power of two */
};

/* There while it has messages running. */
struct receiver {
    struct receiver *next; /* in its bucket */
    uint64_t hash;
    uint32_t running;
    size_t bytes;
    struct cairn_link from_side; /* those of them that came from its side line, in their order (side.h) */
    uint64_t side, side_next;    /* that line's number; what has begun of it lies below side_next */
    size_t name_size;
    uint8_t name[]; /* posted_name */
};

/* NULL: nothing runs for it. */
struct receiver *receiver_find(const struct messages *messages, struct cairn_bytes name);
/* Whether one more message may run for it. */
bool receiver_may_take(const struct messages *messages, const struct receiver *receiver, size_t bytes);
/* The delivery runs for it: until receiver_leave. */
void receiver_enter(struct messages *messages, struct cairn_bytes name, struct delivery *delivery);
void receiver_leave(struct messages *messages, struct delivery *delivery);
void receivers_close(struct messages *messages);

#endif
