/* tap.h - what stands behind a store: it is told what happens to the store, and may do with it what is below.
 *
 * The store calls the tap through its vtable; it knows nothing of what the tap is for.  The one that there is keeps
 * versions of the whole node and copies of the log (history/history.h).  It belongs to the store and ends with it.
 * Layer: shard; for rooms above that stand behind the tap. */
#ifndef CAIRN_SHARD_TAP_H
#define CAIRN_SHARD_TAP_H

#include <stdatomic.h>

#include "engine/version.h"
#include "shard/shard.h"

struct cairn_tap; /* begins with its ops */

struct cairn_tap_ops {
    /* --- opening, in this order, by the thread that opens; a failure is the opening's --- */

    /* The folder is new: *ret_filled when the tap has made it one that there is, from elsewhere. */
    enum cairn_code (*fill)(struct cairn_tap *tap, bool *ret_filled, struct cairn_err *err);
    /* A new folder is to have this engine, for good. */
    enum cairn_code (*check_engine)(struct cairn_tap *tap, struct cairn_err *err);
    /* Engine and number of shards are known; no engine and no log is open.  Sets `replaces` and `log_epoch`. */
    enum cairn_code (*attach)(struct cairn_tap *tap, struct cairn_err *err);
    /* A shard's engine, which keeps versions, is open. */
    void (*shard_opened)(struct cairn_tap *tap, struct cairn_shard *shard);
    /* The log is open; nothing was replayed.  *from: replaying begins there, or at less if the tap needs that; at `end`
     * if the tap has put another state in the place of what the log has. */
    enum cairn_code (*log_opened)(struct cairn_tap *tap, uint64_t end, uint64_t *from, struct cairn_err *err);
    /* Every record that is replayed. */
    void (*replayed)(struct cairn_tap *tap, uint64_t position, uint64_t end, struct cairn_bytes body);

    /* --- open --- */

    /* While `listens`: a commit.  It is the log's append, and in its order.  The shard's owner. */
    enum cairn_code (*append)(struct cairn_tap *tap, struct cairn_shard *shard, const struct cairn_bytes *parts,
                              size_t count, uint64_t *ret_position, uint64_t *ret_end, struct cairn_err *err);
    /* While `active`, of every shard, and always of the system shard: its owner, in its step. */
    void (*step)(struct cairn_tap *tap, struct cairn_shard *shard);
    /* Owners are to step; any thread, cheap. */
    bool (*is_due)(const struct cairn_tap *tap);
    /* What lies in the log at or above it is not to be trimmed; any thread. */
    uint64_t (*may_trim)(const struct cairn_tap *tap);
    /* As cairn_shard_check_writers. */
    enum cairn_code (*check_writers)(struct cairn_tap *tap, struct cairn_err *err);
    /* A run of an engine's version that its folder lacks; any thread. */
    enum cairn_code (*fetch_run)(struct cairn_tap *tap, struct cairn_shard *shard, const struct run_about *about,
                                 struct cairn_err *err);
    /* Its share of the statistics; any thread. */
    void (*stats)(struct cairn_tap *tap, struct cairn_store_stats *ret_stats);

    /* --- closing: all other threads have stopped --- */

    /* Gives up what it does with the shards. */
    void (*stop)(struct cairn_tap *tap);
    /* All shards have their checkpoints: what the log has is brought where the tap keeps it.  Not when abandoned. */
    enum cairn_code (*finish)(struct cairn_tap *tap, struct cairn_err *err);
    /* Waits for its tasks: from then on it calls nothing of the log. */
    void (*halt)(struct cairn_tap *tap);
    /* The engines are closed. */
    void (*free)(struct cairn_tap *tap);
};

struct cairn_tap {
    const struct cairn_tap_ops *ops;
    bool replaces;        /* opening: another state comes into the place of what the engines have */
    uint64_t log_epoch;   /* opening: the folder is new and has no log yet: its first epoch; 0: it has one */
    _Atomic bool listens; /* commits go through append */
    _Atomic bool active;  /* every owner is to step */
    _Atomic bool holds;   /* no checkpoint is to begin; set under the store's lock */
};

/* --- what it may ask --- */

struct cairn_tap *store_tap(const struct cairn_store *store);
const struct cairn_store_options *store_options(const struct cairn_store *store);
uint32_t store_count(const struct cairn_store *store);        /* of shards, with the system shard; 0: not known yet */
struct cairn_log *store_log(const struct cairn_store *store); /* the one of all shards; NULL: it is not open yet */
uint64_t store_log_end(const struct cairn_store *store);      /* of the one log of all shards */
bool store_log_failed(const struct cairn_store *store);       /* for good */
uint64_t store_checkpoints(struct cairn_store *store);        /* how many were made */
struct cairn_store *shard_store(const struct cairn_shard *shard);
struct cairn_engine *shard_engine(const struct cairn_shard *shard);
struct cairn_disk *shard_disk(const struct cairn_shard *shard); /* where its engine lies */
uint64_t shard_position(const struct cairn_shard *shard);       /* the log from here on continues what the engine has */
uint64_t shard_wall_ms(const struct cairn_shard *shard);        /* of its newest commit */
bool shard_has_versions(const struct cairn_shard *shard);
/* All of its shards do, or none, but for the system shard, which does not. */
bool store_has_versions(const struct cairn_store *store);

/* --- what it may do --- */

/* As cairn_store_open, by a caller that has the folder's lock. */
enum cairn_code store_open_locked(const struct cairn_store_options *options, struct cairn_store **ret_store,
                                  struct cairn_err *err);
void store_notify(struct cairn_store *store, uint32_t shard);
/* The caller's on_recovery and on_warning, where there are such. */
void store_report(struct cairn_store *store, const char *stage, uint64_t done, uint64_t total);
void store_warn(struct cairn_store *store, const char *text);
/* A close that waits for others looks again. */
void store_wake_close(struct cairn_store *store);
/* Until something has happened, or a moment; in simulation lets it. */
void store_wait_a_little(struct cairn_store *store);
/* Gives back of the logs what no checkpoint needs, and the tap has.  Takes store->lock. */
void store_trim_logs(struct cairn_store *store);
/* No time is given out below it. */
void store_raise_wall_ms(struct cairn_store *store, uint64_t wall_ms);
/* Has a checkpoint begun if one is due. */
void checkpoint_choose_turn(struct cairn_store *store);
/* Sets tap->holds if no checkpoint is under way, which is returned, or if one for each shard was made since there were
 * `since`.  *err is set when they fail. */
bool checkpoint_hold(struct cairn_store *store, uint64_t since, struct cairn_err *err);
/* Begins a version of a shard's engine, which tells where the log continues it and the time of its last commit. */
enum cairn_code shard_version_begin(struct cairn_shard *shard, bool automatic, bool hold, struct cairn_err *err);
/* Puts or removes; waits while the engine has too much to write. */
enum cairn_code engine_apply(struct cairn_engine *engine, const struct cairn_write *write, uint64_t hash,
                             struct cairn_err *err);

/* --- the checkpoints of one moment, while the store goes on (hold.c) --- */

struct store_hold;
/* What the manifest names now, and the logs from there on, stays until the hold is ended.  CAIRN_ECONFLICT: there is
 * one.  The store must outlive it. */
enum cairn_code store_hold_begin(struct cairn_store *store, struct store_hold **ret_hold, struct cairn_err *err);
struct store_hold *store_hold_end(struct store_hold *hold); /* returns NULL; accepts NULL */
/* Not below the time of any commit that is in a checkpoint. */
uint64_t store_hold_wall_ms(const struct store_hold *hold);
/* The log from here on continues the shard's checkpoint. */
uint64_t store_hold_position(const struct store_hold *hold, uint32_t shard);
uint64_t store_hold_file_bytes(const struct store_hold *hold, uint32_t shard);
/* The checkpoint, into an empty engine.  Blocks. */
enum cairn_code store_hold_load(const struct store_hold *hold, uint32_t shard, struct cairn_engine *engine,
                                struct cairn_err *err);

/* --- while opening: another state in the place of what is there --- */

/* The system shard has nothing any more. */
void shard_empty(struct cairn_shard *shard);
/* What the engine has now is the state from `end` on: the log below is of another. */
void shard_rebase(struct cairn_shard *shard, uint64_t end);
/* The system shard, which is the other state's by now, gets another number (cairn_store_restores). */
void store_note_restore(struct cairn_store *store);
/* That is so of all shards, durably: each is at the version of its engine that `numbers` has for it, and the system
 * shard gets a checkpoint. */
enum cairn_code store_rebase(struct cairn_store *store, const uint64_t *numbers, uint64_t end, struct cairn_err *err);

/* --- a new folder --- */

#define FORMAT_PATH "FORMAT"
#define SHARDS_DIR  "shards"

enum {
    SHARDS_DEFAULT = 16,
    SHARDS_MAX = 4096,
    FORMAT_BYTES_MAX = 4096,
};

/* Which engine, and how many shards. */
enum cairn_code store_choose(struct cairn_store *store, const char *engine, uint32_t shards, struct cairn_err *err);
/* Makes it, with a manifest that has all shards' states begin at a position; what makes it a data folder goes last. */
enum cairn_code store_make_folder(struct cairn_store *store, uint64_t position, uint64_t wall_ms,
                                  struct cairn_err *err);
enum cairn_code store_write_format(struct cairn_store *store, struct cairn_err *err);

/* --- the bytes of records and files --- */

/* A record's body (commit.c; docs/formats/commit.md): of the part that is read, where it has several. */
struct commit_head {
    uint32_t shard;
    uint64_t wall_ms, writes;
    struct cairn_bytes note;
    const uint8_t *end; /* of the part */
    uint64_t parts_left;
};
/* Reads up to the first write, of the first part.  CAIRN_EVERSION for an unknown kind. */
enum cairn_code commit_read_head(struct cairn_reader *r, struct commit_head *ret_head, struct cairn_err *err);
/* Goes on to the next part, up to its first write, whether or not the writes of this one were read:
 *     code = commit_read_head(&r, &head, err);
 *     if (code == CAIRN_OK)
 *         do
 *             code = ...
 *         while (commit_read_next(&r, &head, &code, err));
 * False: there is none, or *code, which was CAIRN_OK, tells what is wrong with it. */
bool commit_read_next(struct cairn_reader *r, struct commit_head *head, enum cairn_code *code, struct cairn_err *err);
/* One write (its hash is left 0). */
enum cairn_code commit_read_write(struct cairn_reader *r, struct cairn_write *ret_write, struct cairn_err *err);
/* CAIRN_EVERSION for `what`, of any file of the folder: what it is, and what to do. */
enum cairn_code format_fail_version(const char *what, unsigned version, unsigned known, struct cairn_err *err);

#endif
