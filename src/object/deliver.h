/* deliver.h - messages run: each attempt is an invocation without a client (docs/design/0029-messages.md).  What has
 * failed is tried again later, or is a dead letter.
 * Threads: the shard's owner.  Layer: object (private). */
#ifndef CAIRN_OBJECT_DELIVER_H
#define CAIRN_OBJECT_DELIVER_H

#include "object/messages.h"

/* Looks at the line, as far as there is room for what it finds.  True if more could be done right now. */
bool deliver_step(struct messages *messages);

#endif
