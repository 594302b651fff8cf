/* host.h - what the guest's host calls mean (host.c).
 * Threads: the worker's.  Layer: object, seen by admin. */
#ifndef CAIRN_OBJECT_HOST_H
#define CAIRN_OBJECT_HOST_H

#include "fn/fn.h"

/* `run` is the invocation. */
extern const struct cairn_host_ops object_host_ops;

#endif
