/* hold.h - output commit: a reply leaves when all that it depends on is met.
 *
 * So does what no client has asked for, an invocation without a request: its operation's `told` alone is called.  With
 * one log for all shards all leave in the order of the records that they depend on, and what depends on the same one in
 * the order in which it came here; nothing overtakes what only waits for its time to be reserved.
 * Threads: the worker's.  Layer: object, seen by admin. */
#ifndef CAIRN_OBJECT_HOLD_H
#define CAIRN_OBJECT_HOLD_H

#include "object/message.h"

struct invocation;

/* Replies at once if it may, behind what came before it and may leave, too. */
void worker_hold(struct cairn_worker *worker, struct invocation *inv);
/* The same: what an operation does that is over and back at the worker that it was submitted to. */
void hold_answer(struct cairn_worker *worker, struct message *message);
/* The request ends before it has begun, with the error that is set. */
void hold_refused(struct cairn_worker *worker, struct invocation *inv);
/* With a log for each shard: a call or result goes on once what it depends on cannot be lost.  Else what it causes in
 * another shard could be durable and its cause be gone; with one log, what it causes lies behind it. */
void hold_pass(struct cairn_worker *worker, struct invocation *inv);
/* Lets go of what waits and need not any more. */
void hold_release(struct cairn_worker *worker);
/* At the end of a turn: the log is told what replies wait for, or the worker does its work.  `idle`: there is nothing
 * else to do; `worked`: there was, in this turn.  True if the worker is to run again at once. */
bool hold_end_turn(struct cairn_worker *worker, bool idle, bool worked);
/* The log has failed: they are told so. */
void hold_fail_all(struct cairn_worker *worker);

#endif
