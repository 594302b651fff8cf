/* history.h - what a data folder was: versions of the whole node, the past of a shard, restores, and an archive of
 * versions and log in a blob store, from which another machine goes on.
 *
 * It stands behind a store's tap (shard/tap.h): a store that is opened with cairn_history_tap in its options has a
 * history, and the functions below are for such stores only.  Versions need an engine that keeps them (hybridlog, lsm,
 * appendlog), and one log for all shards: a cut through the node is a position in it.
 * Layer: history; uses base, io, log, blob, engine, shard. */
#ifndef CAIRN_HISTORY_HISTORY_H
#define CAIRN_HISTORY_HISTORY_H

#include "shard/shard.h"

/* For cairn_store_options.tap. */
struct cairn_tap *cairn_history_tap(struct cairn_store *store);

/* --- any thread: versions of the node, of engines that keep versions --- */

struct cairn_store_version {
    uint64_t number;  /* ascending, never used again */
    uint64_t parent;  /* the version that its state came from; 0: none */
    uint64_t time_ms; /* when it was asked for, by the clock on the wall */
    bool scheduled;   /* the schedule asked for it */
    bool damaged;     /* its record cannot be read */
    bool archived;    /* the archive has it */
};

/* Begins to take one: a cut through all shards, of when all owners have stepped, while they go on.  CAIRN_EINVAL: the
 * engine keeps no versions; CAIRN_ECONFLICT: one is being taken. */
enum cairn_code cairn_store_version_begin(struct cairn_store *store, bool scheduled, struct cairn_err *err);
/* True once, when it is over: *ret_code is CAIRN_OK and it is durable, in the archive if there is one, or why not.  A
 * version that could not be put there yet is one all the same, and it is tried again. */
bool cairn_store_version_poll(struct cairn_store *store, uint64_t *ret_number, enum cairn_code *ret_code,
                              struct cairn_err *ret_err);
/* How many there are, ascending; fills in at most `room`. */
size_t cairn_store_versions(struct cairn_store *store, struct cairn_store_version *to, size_t room);
/* What it alone needs goes in the background.  Blocks for two syncs.  CAIRN_ENOTFOUND. */
enum cairn_code cairn_store_version_forget(struct cairn_store *store, uint64_t number, struct cairn_err *err);

/* To be asked now and then; it also looks, at times, whether the archive is still this folder's.  True: one is to be
 * taken, as the archive's newest does not lead to where the log is now, or more than log_bytes (0: no bound) of log
 * came after the last. */
bool cairn_store_version_due(struct cairn_store *store, uint64_t log_bytes);

/* --- any thread but owners' (it blocks), and any number at once: a shard as it was --- */

struct cairn_past;
/* At version `number`, or, if that is 0, at the last record whose time is not after wall_ms; the store must outlive it.
 * Beside the store, which goes on.  CAIRN_ENOTFOUND: there is no such version, or nothing that leads to the moment;
 * CAIRN_EINVAL: moments need an archive. */
enum cairn_code cairn_past_open(struct cairn_store *store, uint32_t shard, uint64_t number, uint64_t wall_ms,
                                struct cairn_past **ret_past, struct cairn_err *err);
struct cairn_past *cairn_past_close(struct cairn_past *past); /* returns NULL; accepts NULL */
/* What was written to keys, of those that are wanted, after the version was taken counts from then on.  With `last` it
 * is not called again, and gives back what it held for that. */
enum cairn_code cairn_past_load(struct cairn_past *past, bool (*wants)(void *context, struct cairn_bytes key),
                                void *context, bool last, struct cairn_err *err);
/* Every key that was there and its value, in any order. */
enum cairn_code cairn_past_visit(struct cairn_past *past,
                                 void (*each)(void *context, struct cairn_bytes key, struct cairn_bytes value),
                                 void *context, struct cairn_err *err);
/* To get from, and for nothing else; one thread at a time. */
struct cairn_view *cairn_past_view(struct cairn_past *past);

/* --- main thread: --- */

/* Takes a folder that no node is on back, or forth, to a version; first takes one of the state as it is, *ret_undo,
 * which leads back.  Should the process end on the way, then either nothing has come of it, or the next
 * opening of the folder goes on with it.  CAIRN_ENOTFOUND; CAIRN_ECORRUPT when a file of the version is damaged, and
 * nothing has come of it. */
enum cairn_code cairn_store_restore(const struct cairn_store_options *options, uint64_t number, uint64_t *ret_undo,
                                    struct cairn_err *err);
/* The same to a moment: the state after the last record whose time is not after wall_ms, from the newest version before
 * that and options->archive.  CAIRN_ENOTFOUND when these two do not lead there. */
enum cairn_code cairn_store_restore_at(const struct cairn_store_options *options, uint64_t wall_ms, uint64_t *ret_undo,
                                       struct cairn_err *err);

/* What restoring would change, of a folder that no node is on: each shard (not the system shard, which may be asked)
 * beside what it was.  Nothing is changed. */
enum cairn_code cairn_store_compare(const struct cairn_store_options *options, uint64_t number, uint64_t wall_ms,
                                    enum cairn_code (*each)(void *context, struct cairn_store *store, uint32_t shard,
                                                            struct cairn_past *past, struct cairn_err *err),
                                    void *context, struct cairn_err *err);

/* --- any thread --- */

/* How it is with the blob store. */
enum cairn_archive_state {
    CAIRN_ARCHIVE_NONE, /* there is no blob store */
    CAIRN_ARCHIVE_OK,
    CAIRN_ARCHIVE_AWAY,   /* attempts fail; they go on */
    CAIRN_ARCHIVE_FENCED, /* another node has claimed it: writes are refused, now and after the next start with it */
};

struct cairn_archive_report {
    enum cairn_archive_state state;
    uint64_t away_ns;               /* away: for how long */
    uint64_t epoch, fenced_by;      /* fenced: ours, and that of the other's claim */
    char why[CAIRN_ERR_TEXT_BYTES]; /* away or fenced */
};
void cairn_store_archive(struct cairn_store *store, struct cairn_archive_report *ret_report);

#endif
