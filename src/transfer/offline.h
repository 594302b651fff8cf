/* offline.h - a data folder that no node is on, or a blob store, opened as a node would open it, but left as it is:
 * what opening writes goes to a scratch folder (io/disk_over.c, blob/over.c, io/scratch.h).  Of the format before this
 * one, too (history/previous.h).
 *
 * A folder's lock is held meanwhile.  With the engine in memory all of the state is loaded; of a blob store it comes to
 * the scratch folder.
 * Threads: the caller's.  Layer: transfer; uses base, io, log, blob, shard and history. */
#ifndef CAIRN_TRANSFER_OFFLINE_H
#define CAIRN_TRANSFER_OFFLINE_H

#include "history/moment.h"

struct cairn_offline;

struct cairn_offline_options {
    const char *data; /* the folder; NULL: the state is in `blob` */
    const char *blob; /* URL of a blob store; NULL: none */
    /* For people; may be NULL. */
    void (*on_stage)(void *context, const char *stage, uint64_t done, uint64_t total);
    void (*on_warning)(void *context, const char *text);
    void *context;
};

/* CAIRN_ENOTFOUND: there is no data folder, or nothing in the blob store; CAIRN_ELOCKED: a node is on the folder. */
enum cairn_code cairn_offline_open(const struct cairn_offline_options *options, struct cairn_offline **ret_offline,
                                   struct cairn_err *err);
struct cairn_moment *cairn_offline_moment(struct cairn_offline *offline);
/* Where modules' files are. */
struct cairn_disk *cairn_offline_disk(struct cairn_offline *offline);
struct cairn_offline *cairn_offline_close(struct cairn_offline *offline); /* returns NULL; accepts NULL */

#endif
