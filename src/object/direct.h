/* direct.h - calls that are run on top of the run that waits for them (direct.c).
 * Threads: the worker's.  Layer: object (private). */
#ifndef CAIRN_OBJECT_DIRECT_H
#define CAIRN_OBJECT_DIRECT_H

#include "fn/fn.h"

/* struct cairn_host_ops, run_calls; `run` is the invocation. */
enum cairn_calls direct_run_calls(void *run);

#endif
