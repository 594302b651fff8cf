/* offline.h - a data folder that no node is on, opened as a node would open it, but left as it is: what opening writes
 * goes to a scratch folder (io/disk_over.c, io/scratch.h).
 *
 * The folder's lock is held meanwhile.  With the engine in memory all of the state is loaded.
 * Threads: the caller's.  Layer: transfer; uses base, io, blob and shard. */
#ifndef CAIRN_TRANSFER_OFFLINE_H
#define CAIRN_TRANSFER_OFFLINE_H

#include "shard/view.h"

struct cairn_offline;

struct cairn_offline_options {
    const char *data; /* the folder */
    /* For people; may be NULL. */
    void (*on_stage)(void *context, const char *stage, uint64_t done, uint64_t total);
    void (*on_warning)(void *context, const char *text);
    void *context;
};

/* CAIRN_ENOTFOUND: there is no data folder; CAIRN_ELOCKED: a node is on it. */
enum cairn_code cairn_offline_open(const struct cairn_offline_options *options, struct cairn_offline **ret_offline,
                                   struct cairn_err *err);
struct cairn_view *cairn_offline_view(struct cairn_offline *offline);
/* Where modules' files are. */
struct cairn_disk *cairn_offline_disk(struct cairn_offline *offline);
struct cairn_offline *cairn_offline_close(struct cairn_offline *offline); /* returns NULL; accepts NULL */

#endif
