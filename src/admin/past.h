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
 * Threads: `past` is whose turn it is.  Layer: admin (private). */
#ifndef CAIRN_ADMIN_PAST_H
#define CAIRN_ADMIN_PAST_H

#include "base/list.h"
#include "object/operation.h"

struct past;

/* A worker's. */
struct pasts {
    uint32_t count;
    struct cairn_link waiting; /* for room in the log */
    uint64_t retry_ns;         /* when these try again */
};

extern const struct operation restore_operation;

/* Tries again with those that wait for room in the log. */
extern const struct housekeeper restores_housekeeper;

/* SHOW or RESTORE with a version or a moment goes to the object's owner; its `own` is from there on a struct past. */
void past_begin(struct cairn_worker *worker, struct invocation *inv);
/* In its segment: what it reads is the past. */
void past_enter(struct invocation *inv);
/* As an operation's `leave` and `drop`. */
void past_leave(struct cairn_worker *worker, struct invocation *inv);
void past_drop(struct invocation *inv);
/* When the node closes. */
void pasts_drop(struct cairn_worker *worker);

#endif
