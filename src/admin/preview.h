/* preview.h - which objects restoring a folder would change (shard.h), told before it is done.
 * Threads: the caller's.  Layer: object; uses base, engine and shard. */
#ifndef CAIRN_ADMIN_PREVIEW_H
#define CAIRN_ADMIN_PREVIEW_H

#include "history/history.h"

enum cairn_preview {
    CAIRN_PREVIEW_CHANGES,
    CAIRN_PREVIEW_GOES,  /* it did not exist then */
    CAIRN_PREVIEW_COMES, /* it does not exist now */
};

/* Every object that restoring to version `number`, or if that is 0 to the moment wall_ms, would change; in no order.
 * Reads all of the state.  No node is on the folder, and nothing is changed. */
enum cairn_code cairn_preview(const struct cairn_store_options *options, uint64_t number, uint64_t wall_ms,
                              void (*each)(void *context, enum cairn_preview what, const char *type,
                                           struct cairn_bytes id),
                              void *context, struct cairn_err *err);

#endif
