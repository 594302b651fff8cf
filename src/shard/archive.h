/* archive.h - the log's records, kept in a blob store so that the node can go back to any moment
 * (docs/formats/archive.md).
 *
 * What is committed is copied into a chunk; a chunk is closed when it is large or old enough, and put once the log is
 * durable to its end.  What is not there yet is in the log: trimming waits for it, and a start archives again what
 * the last process had not.  So what the loss of the machine can cost is what was committed since the last chunk was
 * put. Chunks are without gaps: each begins where the one before ended, but where the node has run without this
 * archive. Where it was restored a chunk says so.  They lie in a folder of the data folder's own number, so that two
 * data folders that are given the same archive, one after the other perhaps, do not mix. Threads: the lock guards
 * what says so; the task puts chunks, one at a time.  Layer: shard (private). */
#ifndef CAIRN_SHARD_ARCHIVE_H
#define CAIRN_SHARD_ARCHIVE_H

#include <pthread.h>
#include <stdatomic.h>

#include "blob/blob.h"
#include "shard/node_version.h"

struct archive_chunk {
    struct archive_chunk *next;
    struct cairn_buf records; /* each: u64 position, varint bytes, the record's body */
    uint64_t first, end;      /* all that was committed between these positions */
    uint64_t restored;    /* a position: what comes from there on is of another state, that the node was restored to; */
    uint64_t restored_ms; /* when that was; 0 and 0: it was not */
};

struct archive {
    struct cairn_blob *blob; /* NULL: there is no archive */
    uint64_t id;             /* the data folder's, drawn once */
    struct cairn_store *store;
    pthread_mutex_t lock; /* guards all that follows but the atomics; nothing is called under it */
    struct archive_chunk current;
    uint64_t opened_ns; /* when its first record came; 0: it has none */
    struct archive_chunk *closed, **last;
    bool busy;
    uint64_t retry_ns, pause_ns; /* after a failure */
    uint64_t failures;
    struct cairn_err err; /* the last failure */
    struct cairn_task task;
    _Atomic uint64_t archived;      /* positions below are there, or of no use */
    _Atomic uint64_t pending_bytes; /* in chunks that are not */
};

/* Before the log is replayed: finds out how far it goes.  `first`: the log has all from there on. */
enum cairn_code archive_open(struct cairn_store *store, uint64_t first, struct cairn_err *err);
/* The node was restored: all until `end` is of another state, and is in the archive. */
void archive_note_restore(struct cairn_store *store, uint64_t end);
/* A record, in the order of positions; what is there already is passed over. */
void archive_add(struct cairn_store *store, uint64_t position, uint64_t end, const struct cairn_bytes *parts,
                 size_t count);
/* Closes a chunk if it is time, puts what may be put.  The system shard's owner. */
void archive_step(struct cairn_store *store);
/* All of it is put, or not: then it is put after the next start.  All other threads have stopped. */
enum cairn_code archive_finish(struct cairn_store *store, struct cairn_err *err);
/* Waits for what is being put: before the log is closed, as it is told to trim. */
void archive_stop(struct cairn_store *store);
void archive_free(struct cairn_store *store);
/* CAIRN_EOVERLOAD, or why nothing can be put, while too much waits. */
enum cairn_code archive_check_writers(struct cairn_store *store, struct cairn_err *err);

/* Adds to the version what was committed from its cut to the last moment that is not after wall_ms; `end`: of the log,
 * all of which was archived as `id`.  CAIRN_ENOTFOUND: the archive does not show that nothing is missing in between. */
enum cairn_code archive_extend(struct cairn_blob *blob, uint64_t id, uint64_t end, struct node_version *version,
                               uint64_t wall_ms, struct cairn_err *err);

#endif
