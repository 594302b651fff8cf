/* outbox.h - messages on their way to objects of other shards (docs/design/0029-messages.md).
 *
 * A channel is what one shard sends to another, numbered from 0.  One batch of a channel is on its way at a time, as a
 * worker's message; the receiving shard takes it in with one record, which holds how far the channel is used up, so
 * that what comes again is left out; then it comes back, and the sending shard removes it with another.
 * Threads: the owner of the shard that is named.  Layer: object, seen by transfer. */
#ifndef CAIRN_OBJECT_OUTBOX_H
#define CAIRN_OBJECT_OUTBOX_H

#include "object/messages.h"

/* Loads the channels that are in use. */
enum cairn_code outbox_open(struct messages *messages, struct cairn_err *err);
void outbox_close(struct messages *messages);

enum { OUTBOX_KEY_BYTES_MAX = 1 + CAIRN_VARINT_BYTES_MAX + 8 };
/* Where a message to that shard lies; and the numbers of those that do.  False: there are none. */
struct cairn_bytes outbox_key(uint8_t to[OUTBOX_KEY_BYTES_MAX], uint32_t shard, uint64_t number);
bool outbox_extent(const struct messages *messages, uint32_t shard, uint64_t *ret_first, uint64_t *ret_end);

/* Within a record of the sending shard. */
void outbox_add(struct messages *messages, struct overlay *overlay, uint32_t to, struct cairn_bytes encoded);
void outbox_undo(struct messages *messages, uint32_t to);
void outbox_committed(struct messages *messages, uint32_t to, struct dependency record);

/* Sends batches of channels that have something to send.  True if more could be done right now. */
bool outbox_step(struct messages *messages);

#endif
