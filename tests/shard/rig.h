/* rig.h - a store over a simulated disk, with a model of what it must hold.
 *
 * Every commit has a number and goes to one shard: it writes the number under "last" and under
 * two or three drawn keys, and deletes one.  Because what survives is a prefix of the log, the
 * highest "last" found says which commits survived, and then all of the state must be theirs. */
#ifndef CAIRN_TESTS_SHARD_RIG_H
#define CAIRN_TESTS_SHARD_RIG_H

#include "base/random.h"
#include "log/wal.h"
#include "history/history.h"

enum { RIG_SHARDS = 3, RIG_KEYS = 40, RIG_COMMITS_MAX = 4000 };

struct rig {
    struct cairn_disk *disk;
    struct cairn_sim_clock clock;
    struct cairn_tasks *tasks;
    struct cairn_store *store;
    struct cairn_wal_opener wal;
    struct cairn_store_options options;
    struct cairn_random random;
    uint32_t commits; /* tried so far; numbers are 1.. */
    uint64_t ends[RIG_COMMITS_MAX + 1];
    uint32_t lives[RIG_COMMITS_MAX + 1]; /* in which life of the store it was tried: lost ones must not come back */
    int8_t shards[RIG_COMMITS_MAX + 1];  /* asked for, or -1 */
    uint32_t life;
    uint32_t durable;   /* the newest commit known to be durable */
    size_t value_bytes; /* padding of each value */
    bool log_failed;
    uint64_t notified; /* calls of on_checkpoint_work */
};

extern const char *rig_engine; /* what rigs are made with; NULL: the one in memory */

static inline bool rig_writers_wait(struct cairn_shard *shard)
{
    struct cairn_err err;

    return cairn_shard_check_writers(shard, &err) != CAIRN_OK;
}

/* Takes the disk.  log_bytes_max 0: 24 KiB, so that checkpoints come often. */
void rig_init(struct rig *rig, struct cairn_disk *disk, enum cairn_sync_mode sync, uint64_t seed);
/* With an open store it is abandoned. */
void rig_done(struct rig *rig);
enum cairn_code rig_open(struct rig *rig, struct cairn_err *err); /* opens and starts */
/* Abandons the store (if open), crashes the disk, and makes new tasks. */
void rig_crash(struct rig *rig, enum cairn_sim_crash how);

/* One commit to a drawn shard (or to `shard` if >= 0); false when the log refused it. */
bool rig_commit(struct rig *rig, int shard);
/* One round of everything that is not a commit: log, tasks, shards; some of it, by the seed. */
void rig_pump(struct rig *rig);
/* Until nothing moves any more. */
void rig_settle(struct rig *rig);

/* Fails the test unless the store holds exactly what the commits up to some n >= at_least left. */
void rig_verify(struct rig *rig, uint32_t at_least, const char *label);

#endif
