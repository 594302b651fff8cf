/* events.h - what the operator is told of requests that change the node rather than an object.
 * Threads: the worker's.  Layer: admin (private). */
#ifndef CAIRN_ADMIN_EVENTS_H
#define CAIRN_ADMIN_EVENTS_H

struct cairn_worker;
struct invocation;

/* As an operation's `told`. */
void events_reply(struct cairn_worker *worker, const struct invocation *inv);

#endif
