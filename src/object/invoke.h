/* invoke.h - invocations of methods run, segment by segment (invoke.c).
 * Threads: the worker's.  Layer: object (private). */
#ifndef CAIRN_OBJECT_INVOKE_H
#define CAIRN_OBJECT_INVOKE_H

#include "object/worker.h"

struct object;

/* Runs one segment of the object's head. */
void object_run(struct cairn_worker *worker, struct object *object);
void invocation_resume_aside(struct cairn_worker *worker, struct invocation *inv);
/* One that is durable and cancelled: it ends now, if it waits for something. */
void invocation_end_cancelled(struct cairn_worker *worker, struct invocation *inv);
/* All fibers are held by invocations that themselves wait for calls, and nothing moves: the first that
 * needs one will not get it. */
void fibers_stuck(struct cairn_worker *worker);
/* The log has failed: nothing more can be promised, so everything under way ends now. */
void invocations_fail_all(struct cairn_worker *worker);

#endif
