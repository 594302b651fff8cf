/* message.h - what workers send each other: the one thing besides atomics that crosses threads.
 *
 * A message belongs to its receiver once it is sent.  An invocation is one: made on one worker for an object of another
 * it travels there, runs there, and travels back as the carrier of its own result, so that room for a result exists
 * from the moment of the call.
 * Threads: worker_post by any, the others by the worker's.  Layer: object, seen by admin. */
#ifndef CAIRN_OBJECT_MESSAGE_H
#define CAIRN_OBJECT_MESSAGE_H

#include <stdbool.h>
#include <stdint.h>

struct cairn_node;
struct cairn_worker;

struct message {
    struct message *next;
    void (*receive)(struct cairn_worker *worker, struct message *message);
    /* Instead, when the node closes.  NULL: it is part of something else that is dropped. */
    void (*drop)(struct cairn_worker *worker, struct message *message);
    const void *beside; /* the receiver is going to read this as well; NULL: nothing */
};

/* It leaves when the sender's turn is over, or sooner (inbox_flush): what goes to one worker goes together. */
void worker_send(struct cairn_worker *from, uint32_t to, struct message *message);
void inbox_flush(struct cairn_worker *worker);
void worker_post(struct cairn_node *node, uint32_t to, struct message *message);
/* The message waits behind others; in its turn message->receive is called.  For what takes as long as a page. */
void worker_await_turn(struct cairn_worker *worker, struct message *message);
void inbox_take_turn(struct cairn_worker *worker); /* of the first that waits; there is one */
/* Receives what has been sent to the worker, in order; true if there was anything. */
bool inbox_drain(struct cairn_worker *worker);
void inbox_drop(struct cairn_worker *worker);

#endif
