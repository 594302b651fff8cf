/* send.h - a client sends a message: it is answered as soon as the message is durable, and not when it has run.
 *
 * The request does not stand in its object's mailbox, where it would wait for what the object does, but in that of the
 * object's *door*: an object of no type, which has no state and the same id.  There it is a segment that sends one
 * message, so that an idempotency key, room in the log and output commit are what they are for any other.
 * Layer: object, seen by admin. */
#ifndef CAIRN_OBJECT_SEND_H
#define CAIRN_OBJECT_SEND_H

#include "object/operation.h"

/* Added to the type's number in keys of what was sent: no type has it. */
#define SEND_KEYS_BIT ((uint32_t)1 << 31)

extern const struct operation send_operation;

#endif
