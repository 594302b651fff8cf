/* past.h - an object as it was at a version or a moment: shown, or brought back ("Objects, modules" in
 * docs/promises.md).
 *
 *   request -> owner: the type -> task: the shard as it was (shard.h), the object's header, its fields
 *     SHOW     -> mailbox: shown from there
 *     RESTORE  -> owner: a number for the new incarnation, queued for purging; then, some at a time,
 *                 task: reads fields -> owner: commits them under the new incarnation, which nothing names yet
 *              -> mailbox: one segment names it in the header, unqueues it, and queues the present one
 *
 * Cut off at any point the incarnation that was being made is purged, as it is queued; while it is being made the
 * shard's purging waits.  Idempotency keys stay as they are.
 * At most 16 of a worker are under way, since each has files open; others get CAIRN_EOVERLOAD.
 * Threads: `past` is whose turn it is.  Layer: object (private). */
#ifndef CAIRN_OBJECT_PAST_H
#define CAIRN_OBJECT_PAST_H

#include "object/object_internal.h"

struct past;

/* SHOW or RESTORE with a version or a moment, come to the object's owner. */
void past_begin(struct cairn_worker *worker, struct invocation *inv);
/* The segment's part of it: what SHOW reads is the past, and what RESTORE commits is. */
void past_enter(struct invocation *inv);
void past_restore(struct invocation *inv);
/* On the owner, when the invocation has left its object. */
void past_leave(struct cairn_worker *worker, struct invocation *inv);
/* Purging has come to one that is being made. */
bool past_holds_purge(const struct shard *shard);
/* When the node closes. */
void past_free(struct past *past);
void past_drop_message(struct cairn_worker *worker, struct message *message);

#endif
