/* fibers.h - those that wait for a fiber get one, or are told that none will come free.
 * Threads: the worker's.  Layer: object (private). */
#ifndef CAIRN_OBJECT_FIBERS_H
#define CAIRN_OBJECT_FIBERS_H

#include "object/operation.h"

void fibers_retry(struct cairn_worker *worker);

extern const struct housekeeper fibers_housekeeper;

#endif
