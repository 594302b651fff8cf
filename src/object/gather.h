/* gather.h - questions that every worker answers a part of: listing objects, log lines.
 * Layer: object (private). */
#ifndef CAIRN_OBJECT_GATHER_H
#define CAIRN_OBJECT_GATHER_H

#include "object/object_internal.h"

enum { LIST_LIMIT_DEFAULT = 100, LIST_LIMIT_MAX = 10000 };

/* `inv` carries the request and, in the end, its answer. */
void gather_start(struct cairn_worker *worker, struct invocation *inv);

#endif
