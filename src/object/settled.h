/* settled.h - promises that clients have settled lately, which a client hears of that settles one of them again when
 * its invocation, and the promise with it, is gone.
 *
 * Each worker keeps the last SETTLED_MAX that its shards have recorded, in memory alone, found by their secrets in
 * constant time: 300 KiB at most, and nothing as long as none has been settled.  After a restart there are none.
 * Threads: the worker's.  Layer: object (private). */
#ifndef CAIRN_OBJECT_SETTLED_H
#define CAIRN_OBJECT_SETTLED_H

#include "object/dependency.h"
#include "object/promise.h"
#include "object/space.h"

enum { SETTLED_MAX = 4096 };

struct settled;

/* That record settles it; *settled, NULL at first, is made if it has to be. */
void settled_add(struct settled **settled, const struct promise_id *id, const struct space *space,
                 struct dependency record);
/* False: that one was not among the last, or not the namespace's. */
bool settled_find(const struct settled *settled, const struct promise_id *id, const struct space *space,
                  struct dependency *ret_record);

#endif
