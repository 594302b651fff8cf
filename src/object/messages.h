/* messages.h - messages between objects: where they wait, shard by shard ("Messages" in docs/promises.md).
 *
 *   send -> [outbox of the sender's shard -> channel ->] line -> delivery (deliver.h) -> gone
 *                              due later: agenda ---^                 `-> agenda, or dead letters
 *
 * Why so: docs/design/0029-messages.md.  All of it is keys of the shard (layout.h); each step is one record.  In memory
 * are only the numbers below, what is being delivered, and what is on its way to another shard: nothing of a message
 * that waits.
 * Threads: the shard's owner.  Layer: object, seen by admin. */
#ifndef CAIRN_OBJECT_MESSAGES_H
#define CAIRN_OBJECT_MESSAGES_H

#include "base/list.h"
#include "object/invocation.h"
#include "object/operation.h"
#include "object/overlay.h"
#include "object/posted.h"
#include "object/segment.h"
#include "object/shard.h"

struct channel;
struct participant;
struct receiver;

enum {
    MESSAGE_OVERHEAD_BYTES = 64, /* of each, beside its own bytes, in what is counted */
    MESSAGES_RETRY_NS = 10000000,
};

struct messages {
    struct cairn_worker *worker;
    struct shard *shard;
    struct message_numbers {
        uint64_t first, end;         /* numbers of the line: none below first is in it */
        uint64_t looked;             /* the cursor: what is in the line below it runs */
        uint64_t sides;              /* side lines (side.h) */
        uint64_t waiting, dead, out; /* messages in line, side lines and agenda; dead letters; in the outbox */
        uint64_t bytes;              /* of all of these */
    } numbers, before;               /* before: the record that is being made */
    uint32_t making;                 /* how often it has been begun: a transaction begins it for each object */
    uint32_t spoiled;                /* of this record */

    uint64_t cursor;             /* in the line: what lies below it has been looked at */
    uint64_t recovered;          /* what lies below it ran when the node stopped: it is older than all in side lines */
    struct cairn_link running;   /* deliveries from the line, their numbers ascending */
    struct cairn_link unsettled; /* deliveries whose end could not be recorded yet: invocations */
    uint32_t running_count;      /* from side lines, too */
    size_t running_bytes;
    struct receiver **receivers; /* what runs, by objects (receiver.h) */

    bool side_look;                      /* a side line may have something that could run */
    bool side_found;                     /* so it was in this round */
    bool line_turn;                      /* the line is first, else side lines are */
    bool unpark;                         /* there are new types, which parked side lines may wait for */
    struct cairn_buf side_at, parked_at; /* names: where the round is, and where unparking is */

    struct dependency last;    /* on the last record of a housekeeper */
    struct channel **channels; /* by receiving shard; NULL: none has been used */
    uint64_t retry_ns;         /* until then nothing is tried that was refused; 0: nothing was */
};

/* Loads what there is, and makes shard->messages.  The node is being opened. */
enum cairn_code messages_open(struct cairn_worker *worker, struct shard *shard, struct cairn_err *err);
void messages_close(struct shard *shard);

/* --- within a record that is being made: begin ... undo, or the record's end --- */

/* Whether a housekeeper's record may be made now: a transaction may have prepared one. */
static inline bool messages_may_begin(const struct messages *messages)
{
    return !messages->shard->frozen;
}
void messages_begin(struct messages *messages);
/* All that has been begun comes to nothing. */
void messages_undo(struct messages *messages);
void messages_store(struct messages *messages, struct overlay *overlay);
/* A record with messages has been written. */
void messages_recorded(struct messages *messages);
/* What could not be done now is tried again soon. */
void messages_retry(struct messages *messages);
/* Stores the numbers, and makes the overlay a record of a housekeeper's.  What has failed has been undone, and is to be
 * tried again: messages->retry_ns is set. */
bool messages_commit(struct messages *messages, struct overlay *overlay, const char *note);
/* What was due later goes to the end of the line; it was kept under that number. */
void messages_line_up(struct messages *messages, struct overlay *overlay, struct cairn_bytes encoded, uint64_t number);
/* To the end of the line, or into the agenda. */
void messages_add(struct messages *messages, struct overlay *overlay, const struct posted *posted,
                  struct cairn_bytes encoded);
/* Takes the message out from where it lies. */
void messages_remove(struct messages *messages, struct overlay *overlay, struct cairn_bytes key, size_t bytes);
/* It has a number. */
void messages_bury(struct messages *messages, struct overlay *overlay, struct posted *posted);
/* What was to be a message, and cannot be read, is a dead letter of its own; the operator is told once the record is
 * there. */
void messages_bury_spoiled(struct messages *messages, struct overlay *overlay, struct cairn_bytes bytes);

/* The numbers of the shard that the overlay is over; false: it has none yet, or they cannot be read. */
bool messages_numbers(struct overlay *overlay, struct message_numbers *ret_numbers);
void messages_put_numbers(struct overlay *overlay, const struct message_numbers *numbers);
/* CAIRN_ELIMIT: there are too many bytes already. */
enum cairn_code messages_room(const struct messages *messages, size_t bytes, struct cairn_err *err);

/* Sends with the invocation's segment; the sender and its right to call internal methods are the invocation's.
 * CAIRN_EQUOTA: the namespace has as many as it may. */
enum cairn_code messages_send(struct invocation *inv, struct posted *posted, int64_t delay_ms, struct cairn_err *err);

/* Node time, not given out. */
uint64_t messages_clock_ms(const struct cairn_worker *worker);

/* Whether messages have a part in the record of the invocation's segment. */
static inline bool messages_take_part(const struct invocation *inv)
{
    return inv->segment->sends.size || (inv->own && inv->operation == &operation_deliver) ||
           (inv->by_message && inv->failed);
}
extern const struct participant messages_participant;
extern const struct housekeeper messages_housekeeper;

#endif
