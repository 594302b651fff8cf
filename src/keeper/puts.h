/* puts.h - the data of a write that goes to the blob store, before the write goes to its Session.
 *
 * Threads: the link's worker.  Layer: keeper (private). */
#ifndef CAIRN_KEEPER_PUTS_H
#define CAIRN_KEEPER_PUTS_H

#include "keeper/front.h"

/* Begins them, if any of the task's ask has such data; `over` is called when task->puts->missing has become 0, never
 * before this returns.  NULL: there are none. */
struct keeper_puts *keeper_puts_begin(struct keeper_task *task, void (*over)(struct keeper_task *task));
/* They are under way. */
bool keeper_puts_missing(const struct keeper_puts *puts);
/* NULL: the data of all of them is durable. */
const char *keeper_puts_fault(const struct keeper_puts *puts);
/* Of the ask's part; NULL: its data goes to the Session itself.  Accepts NULL. */
const uint8_t *keeper_puts_hash(const struct keeper_puts *puts, uint32_t part);
/* The write is decided, or the node closes.  Accepts NULL. */
void keeper_puts_free(struct keeper_puts *puts);

#endif
