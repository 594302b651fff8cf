/* clock.h - time as a worker sees it.
 * Threads: any.  Layer: object, seen by admin. */
#ifndef CAIRN_OBJECT_CLOCK_H
#define CAIRN_OBJECT_CLOCK_H

#include <stdint.h>

struct cairn_worker;

/* Monotonic. */
uint64_t worker_clock_ns(struct cairn_worker *worker);
/* The node's time: never earlier than any that was given before on this node. */
int64_t worker_now_ms(struct cairn_worker *worker);

#endif
