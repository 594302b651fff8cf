/* timers.h - a timer, as `cairn objects show` tells it.
 * Threads: one.  Layer: cli (private). */
#ifndef CAIRN_CLI_TIMERS_H
#define CAIRN_CLI_TIMERS_H

#include "base/value.h"

/* The next item, as CAIRN_OP_TIMERS has it (object/object.h): "NAME: METHOD, pending, 2026-01-02T03:04:05.678Z, every
 * 1000 ms". */
void cairn_timer_text(struct cairn_buf *to, struct cairn_reader *r);
/* The same as the node's JSON has it. */
void cairn_timer_json(struct cairn_buf *to, struct cairn_reader *r);

#endif
