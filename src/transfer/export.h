/* export.h - a node's state as a stream (stream.h): namespaces, modules, types, objects with all that is in them,
 * idempotency keys.  All namespaces, or one.
 *
 * It is made piece by piece, as it is asked for, from a moment (history/moment.h), so that it takes no more memory than
 * a part and one shard of that.  Objects come shard by shard, by type and id; an object's lists and maps are in order.
 *
 * Left out: versions of the node, the log, and what deleted objects have left.
 * Threads: the caller's; it blocks.  Layer: transfer; uses base, io, engine, shard, history and object. */
#ifndef CAIRN_TRANSFER_EXPORT_H
#define CAIRN_TRANSFER_EXPORT_H

#include "history/moment.h"
#include "transfer/stream.h"

struct cairn_export;

/* All is borrowed until close. */
struct cairn_export_options {
    struct cairn_moment *moment;
    struct cairn_disk *disk;  /* the data folder: of modules' files */
    const char *program;      /* the version that exports, for people */
    struct cairn_bytes space; /* this namespace alone; empty: all */
};

struct cairn_export *cairn_export_open(const struct cairn_export_options *options);
/* Appends the stream's next bytes, of one part or more.  *ret_over: these were the last. */
enum cairn_code cairn_export_next(struct cairn_export *export, struct cairn_buf *to, bool *ret_over,
                                  struct cairn_err *err);
const struct stream_counts *cairn_export_counts(const struct cairn_export *export);
struct cairn_export *cairn_export_close(struct cairn_export *export); /* returns NULL; accepts NULL */

#endif
