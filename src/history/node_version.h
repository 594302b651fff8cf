/* node_version.h - versions of the node: what a restore goes back to (docs/formats/node-version.md).
 *
 * A version of the node names, for each shard, a version of its engine and the position that the log continued it from,
 * and a cut of the log, not below any of these.  What the log had between the least of them and the cut is part of the
 * record, and so is the system shard, which is small: a version needs no log.
 *
 * How one is taken (versions.c), without stopping the workers; each step is every shard's owner's:
 *
 *   WANTED --no checkpoint is under way--> BEGIN --all have begun: the cut--> WRITE --all in runs, log durable to the
 *   cut--> COMMIT --all have committed--> RECORD --written: it is there--> ENDED --told--> NONE
 *
 * With an archive (archive.h) it is there, but ARCHIVE follows RECORD, until it is in that, too, or that has failed
 * once. Meanwhile checkpoints go on.
 *
 * A failure on the way leaves versions of engines that no record names; they go when the folder is next opened.
 *
 * Restoring (restore.c): a RESTORE file, synced, is the point of no return; the next opening of the folder carries it
 * out, as often as it is cut short, and then removes it.  It may say that records of the archive are applied to the
 * version. Layer: history (private). */
#ifndef CAIRN_HISTORY_NODE_VERSION_H
#define CAIRN_HISTORY_NODE_VERSION_H

#include <pthread.h>
#include <stdatomic.h>

#include "engine/ids.h"
#include "shard/shard.h"

#define VERSIONS_DIR "versions"

struct node_version_shard {
    uint64_t number;   /* of the engine's version */
    uint64_t position; /* the log from here on continues it */
};

struct node_version {
    uint64_t number; /* that of shard 0's version: so it ascends and is never used again */
    uint64_t parent; /* the version that the node's state came from; 0: none */
    uint64_t time_ms, cut;
    uint64_t wall_ms; /* no commit below the cut has a later time */
    bool scheduled;
    bool restored; /* the state that the node was restored to: what the log has below the cut is not of it */
    /* Not in the record: the archive has it; it cannot be put there, as runs of it are not here; when that is to be
     * tried again. */
    bool archived, lacks;
    uint64_t retry_ns;
    uint32_t count; /* of shards, without the system shard */
    struct node_version_shard *shards;
    struct cairn_buf system;  /* pairs: varint key bytes, key, varint value bytes, value */
    struct cairn_buf records; /* each: u64 position, varint bytes, the record's body */
};

void node_version_done(struct node_version *version);
/* The record's bytes, appended, and what they say; CAIRN_ECORRUPT with the file's name. */
enum cairn_code node_version_get(struct cairn_disk *disk, uint64_t number, struct cairn_buf *to,
                                 struct node_version *ret_version, struct cairn_err *err);
enum cairn_code node_version_read(struct cairn_disk *disk, uint64_t number, struct node_version *ret_version,
                                  struct cairn_err *err);
enum cairn_code node_version_write(struct cairn_disk *disk, const struct node_version *version, struct cairn_err *err);
enum cairn_code node_version_remove(struct cairn_disk *disk, uint64_t number, struct cairn_err *err);
/* Parses a record's bytes.  Exposed for the fuzz target. */
enum cairn_code node_version_decode(struct cairn_bytes bytes, struct node_version *ret_version, struct cairn_err *err);
void node_version_encode(const struct node_version *version, struct cairn_buf *to);
/* All that there are, ascending, without system and records; to be freed, each by node_version_done.  One that cannot
 * be read has a number and no shards, and `warn` is told why. */
enum cairn_code node_versions_list(struct cairn_disk *disk, void (*warn)(void *context, const char *text),
                                   void *context, struct node_version **ret_versions, size_t *ret_count,
                                   struct cairn_err *err);

struct restore_order {
    struct node_version version; /* number 0: there is no order */
    uint64_t until;              /* records of the archive from the cut to below this, too */
    uint64_t log_epoch;          /* of a folder that is new, and has no log yet: the first; else 0 */
};

enum taking_state {
    TAKING_NONE,
    TAKING_WANTED,
    TAKING_BEGIN,
    TAKING_WRITE,
    TAKING_COMMIT,
    TAKING_RECORD,
    TAKING_ARCHIVE,
    TAKING_FAILED, /* until no shard has one under way */
    TAKING_ENDED,  /* and its result has not been asked for */
};

/* Where a shard is in that; its owner's, and of no meaning before TAKING_BEGIN. */
enum taking_part { PART_NONE, PART_BEGUN, PART_HELD, PART_COMMITTING };

struct taking {
    pthread_mutex_t lock; /* guards all but the atomics; taken before the engines' locks, and before the store's */
    enum taking_state state;
    uint32_t left;        /* shards that are not through with the state */
    uint64_t checkpoints; /* of the store, when it was wanted */
    struct node_version version;
    uint64_t number; /* of the version, once its record is written */
    enum cairn_code code;
    struct cairn_err err;
    struct cairn_task task; /* writes the record */
    struct cairn_store *store;
    struct node_version *versions; /* that there are, ascending */
    size_t count;
    struct cairn_buf drops; /* numbers of engines' versions to be dropped: u32 shard, u64 number */
    _Atomic bool capturing; /* commits are copied into the version */
};

#endif
