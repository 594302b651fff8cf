/* method_log.h - the lines that methods write for the node's operator: the newest LOG_LINES_MAX of a worker, in memory.
 *
 * Threads: the worker's.  Layer: object (private). */
#ifndef CAIRN_OBJECT_METHOD_LOG_H
#define CAIRN_OBJECT_METHOD_LOG_H

#include "base/bytes.h"

struct invocation;

/* A line of the invocation's method: level 0 debug .. 3 error; 1,024 bytes of it. */
void method_log_add(struct invocation *inv, uint32_t level, struct cairn_bytes line);
/* The method has returned well and has read fewer arguments than it was given: a warning, once a minute for a method
 * on a worker. */
void method_log_unread_args(struct invocation *inv);

#endif
