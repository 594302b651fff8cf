/* delivery.h - an attempt to run a message, and what of it is in the records of its segments (deliver.h begins and ends
 * attempts).
 *
 * The first segment that ends the method also takes the message out of the line; if a segment ends before the method
 * does, the message is marked as begun.  A durable method takes over there: the record that makes it open has no
 * message any more, and if it fails later that is a dead letter (messages_commit.c).
 * Threads: the shard's owner.  Layer: object (private). */
#ifndef CAIRN_OBJECT_DELIVERY_H
#define CAIRN_OBJECT_DELIVERY_H

#include "object/durable.h"
#include "object/invocation.h"
#include "object/messages.h"

struct commit;
struct receiver;

enum { DELIVERY_KEY_BYTES_MAX = 17 };

/* An attempt; its names and arguments are the invocation's. */
struct delivery {
    struct cairn_link running; /* in messages->running, or in its receiver's from_side */
    struct messages *messages;
    struct invocation *inv;
    struct receiver *receiver;
    struct posted posted; /* but for the names and arguments; its `timer` lies in inv->payload */
    uint64_t number;      /* in the line, or in the side line */
    uint8_t key[DELIVERY_KEY_BYTES_MAX], key_size; /* where it lies */
    size_t bytes;                                  /* of it as it was when it began */
    size_t kept_bytes, begun_bytes;                /* as it is kept; as it is once it is marked as begun */
    bool begun, used;                              /* recorded: a segment of it; all of it */
    bool over;                                     /* by the record that is being made */
    bool asks_retry;
    uint64_t retry_ms;
    /* Of a firing whose method runs: when it was due, as of when the rest was said, and how many times were missed. */
    uint64_t timer_due_ms, timer_now_ms, timer_missed;
};

/* NULL: it runs for no message. */
static inline struct delivery *delivery_of(const struct invocation *inv)
{
    return inv->operation == &operation_deliver ? inv->own : NULL;
}

/* By which it is known, plus 1. */
uint64_t delivery_number(const struct delivery *delivery);
/* With the names and arguments, which are borrowed from the invocation. */
struct posted delivery_posted(const struct invocation *inv);
/* What of the message stays with the durable invocation that it begins. */
struct durable_letter delivery_letter(const struct invocation *inv);
/* What of the message that runs it, or has begun it, is told to the method; zeros if there is none. */
struct durable_letter delivery_told(const struct invocation *inv);
/* Within the record of a segment: the message is used up, or has begun. */
void delivery_prepare(struct messages *messages, struct commit *commit);
void delivery_committed(struct commit *commit);

/* The least number of what runs; something does. */
uint64_t delivery_first_number(const struct messages *messages);
/* The method asks to be tried again: false if it runs for no message. */
bool delivery_ask_retry(struct invocation *inv, int64_t delay_ms);
/* The number of attempts that have failed; 0 also if it runs for no message. */
uint64_t delivery_attempts(const struct invocation *inv);
/* The node is being closed. */
void deliveries_close(struct messages *messages);

#endif
