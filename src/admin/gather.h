/* gather.h - questions that every worker answers a part of: listing objects, log lines.
 * Threads: any worker's.  Layer: admin (private). */
#ifndef CAIRN_ADMIN_GATHER_H
#define CAIRN_ADMIN_GATHER_H

#include "object/operation.h"

enum { LIST_LIMIT_DEFAULT = 100, LIST_LIMIT_MAX = 10000 };

extern const struct operation list_operation, logs_operation;

#endif
