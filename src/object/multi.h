/* multi.h - several calls that a client puts together: one transaction, of which its object only tells where it begins.
 *
 * CAIRN_OP_MULTI is a transaction's root (transaction.h) that makes the calls one after the other, each when the one
 * before is over, and comes to nothing if one fails.  Before the first it has a look at the objects that the client
 * watches: it asks them for their newest change, as a call, so that they are locked from there to the end.
 * With a key it happens once; the key is the first call's object's.
 * CAIRN_OP_WATCH tells a client the same, of each object as it is committed, without a lock.
 * Threads: an operation's.  Layer: object (private). */
#ifndef CAIRN_OBJECT_MULTI_H
#define CAIRN_OBJECT_MULTI_H

#include "object/operation.h"

extern const struct operation multi_operation, watch_operation;

#endif
