/* wal.h - the write-ahead log: a log (log/log.h) in files of a folder of the node's disk.
 *
 * Rules: "The embedded log" in docs/promises.md; bytes: docs/formats/log.md.
 * Layer: log; uses base and io. */
#ifndef CAIRN_LOG_WAL_H
#define CAIRN_LOG_WAL_H

#include "log/log.h"

enum cairn_sync_mode {
    CAIRN_SYNC_ALWAYS,   /* acknowledged means on stable storage */
    CAIRN_SYNC_INTERVAL, /* synced every interval_ms: a power cut may cost that much */
    CAIRN_SYNC_NONE,     /* synced when the operating system likes, on close and by checkpoints */
};

enum { CAIRN_WAL_HELP_NS = 500000 }; /* no worker helps while a sync takes longer than this on average */

struct cairn_wal_options {
    enum cairn_sync_mode sync;
    uint32_t interval_ms;     /* CAIRN_SYNC_INTERVAL */
    uint64_t segment_bytes;   /* 0: 16 MiB; a record must fit into one */
    uint32_t segments_ahead;  /* 0: 2 prepared, zero-filled segments beyond the one in use */
    size_t pending_bytes_max; /* 0: 64 MiB appended and not yet written */
    bool threaded;            /* false: nothing happens but inside step (simulation) */
    bool mapped;              /* append writes by itself, through a mapping, where the disk can do that: then */
                              /* it is acknowledged at once under INTERVAL and NONE, and no progress is told */
};

/* Opens or creates the log in place->dir: finds the valid prefix, tells torn from rotten,
 * copies what lies beyond the proven durable position into a new segment under a new epoch,
 * and syncs that before it returns.
 * CAIRN_ECORRUPT: a record known to have been durable fails its check; the text names file and
 * offset and says what to do.  CAIRN_EVERSION: written by an unknown format. */
enum cairn_code cairn_wal_open(const struct cairn_wal_options *options, const struct cairn_log_place *place,
                               struct cairn_log **ret_log, struct cairn_err *err);

/* The same behind an opener: one log for all shards. */
struct cairn_wal_opener {
    struct cairn_log_opener opener; /* first */
    struct cairn_wal_options options;
};
void cairn_wal_opener_init(struct cairn_wal_opener *opener, const struct cairn_wal_options *options);

#endif
