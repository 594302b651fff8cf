/* room.h - what waits for room in the log (room.c).
 *
 * Room is claimed by commits, at once and whole, when nothing runs any more: what waits for it has claimed nothing, and
 * no waiting keeps the log from making room.  While a commit waits, no segment that may write begins on its worker, so
 * that what waits, and its memory, stays little.
 * Threads: the worker's.  Layer: object (private). */
#ifndef CAIRN_OBJECT_ROOM_H
#define CAIRN_OBJECT_ROOM_H

#include "object/worker.h"

struct invocation;

/* Commits the segment, or waits for room to do so: then `again` follows, and false is returned.  In the order of the
 * commits. */
bool room_commit(struct cairn_worker *worker, struct invocation *inv, bool is_over, enum cairn_code *ret_code,
                 struct cairn_err *err, void (*again)(struct cairn_worker *worker, struct invocation *inv));
/* A segment that may write waits until it may begin: then `go_on` follows.  False: it has waited for so long that it is
 * to be refused. */
bool room_begin_waits(struct cairn_worker *worker, struct invocation *inv,
                      void (*go_on)(struct cairn_worker *worker, struct invocation *inv));
/* Tries again with all that waits. */
void room_retry(struct cairn_worker *worker);
/* Does that every now and then. */
extern const struct housekeeper room_housekeeper;

#endif
