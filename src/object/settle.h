/* settle.h - settling a promise, for any client that has its id (promise.h): the operation CAIRN_OP_SETTLE.
 * Threads: any worker's.  Layer: object, seen by admin. */
#ifndef CAIRN_OBJECT_SETTLE_H
#define CAIRN_OBJECT_SETTLE_H

#include "object/operation.h"

extern const struct operation settle_operation;

#endif
