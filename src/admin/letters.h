/* letters.h - messages between objects, for people: listed, shown, and dead letters tried again or dropped.
 * Threads: any worker's.  Layer: admin (private). */
#ifndef CAIRN_ADMIN_LETTERS_H
#define CAIRN_ADMIN_LETTERS_H

#include "object/operation.h"

extern const struct operation messages_operation, message_operation, message_retry_operation, message_drop_operation;

#endif
