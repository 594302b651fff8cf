/* timers.h - timers of objects, for people: listed.
 * Threads: any worker's.  Layer: admin (private). */
#ifndef CAIRN_ADMIN_TIMERS_H
#define CAIRN_ADMIN_TIMERS_H

#include "object/operation.h"

struct timer;

/* As an item of CAIRN_OP_TIMERS. */
void timers_add_item(struct cairn_buf *to, struct cairn_bytes name, const struct timer *timer);

extern const struct operation timers_operation;

#endif
