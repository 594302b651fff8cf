/* gather.h - questions that every worker answers a part of, a page at a time: listing objects, log lines.
 * Layer: object (private). */
#ifndef CAIRN_OBJECT_GATHER_H
#define CAIRN_OBJECT_GATHER_H

#include "object/object_internal.h"

/* `inv` carries the request and, in the end, its answer. */
void gather_start(struct cairn_worker *worker, struct invocation *inv);

#endif
