/* gather.h - questions that every worker answers a part of, a page at a time: listing objects, log lines, spans.
 * Threads: any worker's.  Layer: admin (private). */
#ifndef CAIRN_ADMIN_GATHER_H
#define CAIRN_ADMIN_GATHER_H

#include "object/operation.h"

extern const struct operation list_operation, logs_operation, traces_operation;

#endif
