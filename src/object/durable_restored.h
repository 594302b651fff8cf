/* durable_restored.h - the durable invocations of an object that is restored are cancelled ("Durable methods" in
 * docs/promises.md).
 *
 * The record that restores the object has a mark, if any durable invocation of its shard is open: the object, and a
 * number that all that began before have less than.  As long as the mark is there, none of those commits anything.  A
 * housekeeper goes through what is open, a little at a time, cancels what the mark means, and removes it.
 *
 *   record: restored, mark --> open ones of the object are refused --> cancelled, one record each --> record: no mark
 *
 * Threads: the shard's owner.  Layer: object, seen by admin. */
#ifndef CAIRN_OBJECT_DURABLE_RESTORED_H
#define CAIRN_OBJECT_DURABLE_RESTORED_H

#include "object/invocation.h"
#include "object/operation.h"

struct restored; /* of a worker */

/* Within the segment that restores the invocation's object. */
void durable_restored(struct invocation *inv);
/* Its object has been restored since it began. */
bool durable_is_restored(const struct invocation *inv);

void restored_open(struct cairn_worker *worker);
void restored_close(struct cairn_worker *worker);
extern const struct housekeeper restored_housekeeper;

#endif
