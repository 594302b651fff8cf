/* carried.h - what an export carries of a shard beside objects and keys, and an import puts into one: messages that
 * wait, dead letters, timers (docs/formats/stream.md).
 *
 * A message comes once, wherever it stands: in a line, in the agenda, or on its way to another shard, unless that one
 * has taken it in already.  All shards' lines come before all that is on its way, so that messages from one object to
 * another stay in their order.  A timer that has fired comes as one that is due, and its message does not.
 *
 * Threads: none of these is shared.  Layer: transfer. */
#ifndef CAIRN_TRANSFER_CARRIED_H
#define CAIRN_TRANSFER_CARRIED_H

#include "object/overlay.h"
#include "object/posted.h"
#include "object/timer.h"
#include "transfer/stream.h"

/* --- out --- */

/* Messages on their way from one shard to another. */
struct carried_channel {
    uint32_t from, to;
    uint64_t first, end;
};

/* Zero-initialized; `space` and `shards` are the caller's to set. */
struct carried {
    struct cairn_bytes space; /* of that namespace alone; empty: all */
    uint32_t shards;
    uint32_t shard; /* where it is */
    int stage;
    uint64_t first, looked, end, out; /* of the shard */
    uint64_t number;                  /* the next */
    struct cairn_buf at;              /* the place in a tree: the last */
    struct cairn_buf channels;        /* struct carried_channel, each */
    size_t channel;                   /* the one that is next */
};

/* The overlay is over the shard: its first step. */
enum cairn_code carried_begin(struct carried *carried, struct overlay *overlay, uint32_t shard, struct cairn_err *err);
/* Some more of it.  *ret_over: that was all. */
enum cairn_code carried_step(struct carried *carried, struct overlay *overlay, struct stream_writer *writer,
                             bool *ret_over, struct cairn_err *err);

/* Once all shards are done: the channels by the shards that they go to, for carried_mark, then by those that they come
 * from, for carried_send.  NULL: there is none left, and the next order begins. */
struct carried_channel *carried_next(struct carried *carried);
void carried_sort(struct carried *carried, bool by_receiver);
/* The overlay is over the receiving shard: what it has taken in does not count. */
enum cairn_code carried_mark(struct carried_channel *channel, struct overlay *overlay, struct cairn_err *err);
/* Some of the channel, over the sending shard.  *ret_over: that was all. */
enum cairn_code carried_send(struct carried *carried, struct carried_channel *channel, struct overlay *overlay,
                             struct stream_writer *writer, bool *ret_over, struct cairn_err *err);
void carried_done(struct carried *carried);

/* --- in --- */

/* What a shard has been given. */
struct carried_in {
    uint64_t end, waiting, dead, bytes;
};

void carried_put_message(struct overlay *overlay, struct carried_in *in, struct posted *posted);
void carried_put_timer(struct overlay *overlay, uint64_t incarnation, struct cairn_bytes name,
                       const struct timer *timer);
/* All has come. */
void carried_put_numbers(struct overlay *overlay, const struct carried_in *in);

#endif
