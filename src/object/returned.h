/* returned.h - what follows an invocation's last segment (returned.c): calls that are still out are waited for, an
 * outcome for a key is recorded, a transaction is decided, and the result goes to where the invocation came from.
 * Threads: the worker's.  Layer: object (private). */
#ifndef CAIRN_OBJECT_RETURNED_H
#define CAIRN_OBJECT_RETURNED_H

#include "object/worker.h"

/* The run is over and the segment has left the object.  Calls still out are waited for. */
void invocation_run_over(struct cairn_worker *worker, struct invocation *inv);
/* Nothing is out any more.  A keyed outcome that has no segment to travel with, after a failure or after calls that
 * were still out at the return, gets one. */
void invocation_returned(struct cairn_worker *worker, struct invocation *inv);
/* Its outcome is recorded, if it is to be. */
void invocation_over(struct cairn_worker *worker, struct invocation *inv);
/* What it has waited for is there. */
bool invocation_awaits_nothing(const struct invocation *inv);
/* It waits in a fiber, and goes on although not all is there. */
void invocation_resume_untold(struct cairn_worker *worker, struct invocation *inv);
/* As a message: a call's result is back with its caller, or a request's. */
void receive_result(struct cairn_worker *worker, struct message *message);

#endif
