/* engine.h - cairn's state engines for other programs: an embedded key-value store with incremental snapshots and
 * rollback, made for dataflow and serverless systems that keep their state next to where it is used.
 *
 * A state lies in one folder.  It is used by one process at a time (the folder is locked) and by one thread at a time;
 * background threads of its own write and merge files.  What is put is durable with the next snapshot: a crash brings
 * back the version that was current, whole, with the metadata that was stored with it (offsets of a source, say), and
 * nothing of what came after.  With a log (the option of that name) it brings back what came after, too, as far as
 * the log's mode says, and then nothing between: a prefix of the batches.  Versions have ascending numbers that are
 * never used again; any that was not forgotten can be restored.
 *
 * Keys have 1 byte to 1 MiB, values 0 byte to 64 MiB; an empty value is a value.  Bytes that a function hands out
 * are valid until the next call for the same state, and must be copied to be put.  Failures are told in the caller's
 * struct cairn_err, and leave the state as it was unless it is said otherwise.  CAIRN_ECORRUPT: a file is damaged;
 * the text names it.  CAIRN_EFULL: no room; it heals when there is some. */
#ifndef CAIRN_ENGINE_H
#define CAIRN_ENGINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cairn/err.h"

#ifdef __cplusplus
extern "C" {
#endif

struct cairn_state;

/* Whether changes are durable before the next snapshot: by a write-ahead log, in the sync modes of cairn's node. */
enum cairn_state_log {
    CAIRN_STATE_LOG_OFF,      /* no log; what a folder's earlier one has is read */
    CAIRN_STATE_LOG_ALWAYS,   /* a change is on stable storage when it was awaited */
    CAIRN_STATE_LOG_INTERVAL, /* with the operating system then; synced every interval_ms, which a power cut may cost */
    CAIRN_STATE_LOG_NONE,     /* with the operating system then; synced when that likes, and by snapshots */
};

/* 0 or NULL in any member means its default. */
struct cairn_state_options {
    /* sizeof(struct cairn_state_options) of the header that the program was built with, so that a later library, whose
     * struct may have more at its end, knows what it is given; 0: that of this library. */
    size_t options_bytes;
    const char *engine; /* one of the below; the folder's, or for a new folder "hybridlog" */
    uint64_t version;   /* to open at, as cairn_state_restore does; also when the current one is damaged */

    /* For everything that is kept in memory, but by "memory": what was put and is not written, indexes, filters, what
     * is read, and what work in the background takes.  For the last a quarter, of at most 3 MiB, is set aside; options
     * below divide the rest otherwise.  64 MiB, from 256 KiB. */
    size_t memory_bytes;

    /* Where versions go, too: a folder (on another machine's disk, say), or s3://BUCKET/PREFIX.  A
     * snapshot ends when it is there; a new folder takes over the versions that are there, and what it needs of their
     * files; what is missing or damaged here is fetched.  One state at a time uses it: opening claims it, and the state
     * that had it before is told CAIRN_EUNAVAILABLE by the next snapshot.  The log does not go there. */
    const char *blob;
    unsigned blob_grace_s; /* cairn_state_collect spares what has not been there for so long: an hour */
    void (*progress)(void *context, uint64_t bytes, uint64_t total); /* of a file that is fetched */
    void *progress_context;

    enum cairn_state_log log;
    unsigned interval_ms;    /* of CAIRN_STATE_LOG_INTERVAL: 100 */
    uint64_t log_bytes_max;  /* kept beyond the last version, then a version is made that is not listed: 256 MiB */
    uint64_t log_file_bytes; /* of the log's files, of which three or more are there: 4 MiB, from 64 KiB */

    /* "hybridlog": FASTER's log.  Its tail is updated in place, older parts are read-only, then written; what was
     * written, or read, stays to be found in memory while there is room.  All in bytes, not in records: one
     * takes those of its key and its value and up to 48 more, the index included.  mem_segment_len must be greater than
     * the other two together. */
    size_t mem_segment_len; /* in memory, with its index: five eighths of the rest */
    size_t ro_lag_interval; /* updated in place: 80 % of that, but what the index and two batches leave of it */
    size_t flush_interval;  /* written as one file: a sixteenth of it */

    /* "appendlog": Bitcask's log.  Everything put is appended, and leaves memory bit by bit once it is written. */
    size_t threshold; /* written as one file: an eighth of the rest */

    /* "lsm": a log-structured merge-tree; visits in the order of keys. */
    size_t memtable_bytes_limit; /* gathered in memory and then written as one file: an eighth of the rest */
    unsigned density_factor;     /* records from one fence to the next: as many as fit 4 KiB */

    /* "memory": all in memory, and a snapshot writes all of it. */

    /* All but "memory". */
    unsigned max_runs_per_level; /* files of one level before they are merged, from 2: 8 */
    unsigned filter_bits;        /* of the Bloom filters, per key: 10 */

    unsigned open_files_max; /* of them at once, but for those that are being merged: 500 */

    /* Of files: "none", "lz4" or "zstd", or one for each level from 0 on, of which the last counts for deeper ones,
     * too: "none,lz4,zstd".  Files that are there are read whatever they have.  "none" */
    const char *compression;
};

/* What a snapshot has left. */
struct cairn_state_version {
    uint64_t number, parent; /* parent: the version that the state was at before; 0: none */
    uint64_t time_ms;        /* wall clock */
    uint64_t bytes;          /* of all its files, which it may share with other versions */
    bool current, pinned;
    const void *metadata;
    size_t metadata_bytes;
};

struct cairn_state_stats {
    uint64_t memory_bytes; /* what the engine keeps, estimated */
    uint64_t disk_bytes;   /* of the files in use now */
    uint64_t files;
    uint64_t flushes, merges, merged_bytes; /* since it was opened */
};

/* Opens the folder, or makes it.  CAIRN_ELOCKED: another process has it open; CAIRN_EVERSION: its format is not this
 * one's; CAIRN_ECONFLICT: it is of another engine. */
enum cairn_code cairn_state_open(const char *folder, const struct cairn_state_options *options,
                                 struct cairn_state **ret_state, struct cairn_err *err);
/* Waits for background work.  What is neither in a snapshot nor in a log is gone.  Accepts NULL; returns NULL. */
struct cairn_state *cairn_state_close(struct cairn_state *state);

/* May read the disk.  *ret_value and *ret_value_bytes are set if *ret_found. */
enum cairn_code cairn_state_get(struct cairn_state *state, const void *key, size_t key_bytes, bool *ret_found,
                                const void **ret_value, size_t *ret_value_bytes, struct cairn_err *err);
struct cairn_state_key {
    const void *key;
    size_t key_bytes;
};

/* A hint: these keys are about to be asked for, or put.  What the state has of them in memory comes to the processor's
 * caches all at once, where each call would have to wait for its own; keys beyond the 32nd are left alone.  Nothing
 * else changes, and no disk is read.  Worth it for eight keys or so at a time, in a state that is larger than those
 * caches. */
void cairn_state_prefetch(struct cairn_state *state, const struct cairn_state_key *keys, size_t count);

/* Blocks only while background writing is far behind. */
enum cairn_code cairn_state_put(struct cairn_state *state, const void *key, size_t key_bytes, const void *value,
                                size_t value_bytes, struct cairn_err *err);
/* Removing what is not there does nothing. */
enum cairn_code cairn_state_remove(struct cairn_state *state, const void *key, size_t key_bytes, struct cairn_err *err);

/* A change of a batch. */
struct cairn_state_change {
    const void *key;
    size_t key_bytes;
    const void *value; /* ignored when it removes */
    size_t value_bytes;
    bool removes;
};

/* Makes all of the changes, in their order, or none: also after a crash.  At most 64 MiB of keys and values, but that
 * one change may be larger (CAIRN_ELIMIT).  *ret_ticket, if not NULL, is for cairn_state_await, and the function does
 * not wait for the log; if NULL it does, as put and remove do.  Reads see the changes at once in either case. */
enum cairn_code cairn_state_write(struct cairn_state *state, const struct cairn_state_change *changes, size_t count,
                                  uint64_t *ret_ticket, struct cairn_err *err);
/* Until the batch, and all before it, is as durable as the log's mode says; at once without a log.  CAIRN_EINVAL: no
 * batch has that ticket.  CAIRN_EUNAVAILABLE when the log has failed: then nothing more can be changed, and what was
 * not awaited may be lost, until it is opened again. */
enum cairn_code cairn_state_await(struct cairn_state *state, uint64_t ticket, struct cairn_err *err);
/* Every key with its value, in any order; false ends the walk.  `each` must not call the
 * state. */
enum cairn_code cairn_state_visit(struct cairn_state *state,
                                  bool (*each)(void *context, const void *key, size_t key_bytes, const void *value,
                                               size_t value_bytes),
                                  void *context, struct cairn_err *err);

/* Makes a version of everything that was put, with up to 64 KiB of metadata.  Durable when it returns; costs what has
 * changed since the last one, and one small file if nothing has. */
enum cairn_code cairn_state_snapshot(struct cairn_state *state, const void *metadata, size_t metadata_bytes,
                                     uint64_t *ret_version, struct cairn_err *err);
/* The same in two steps, so that one can go on between them: the version has what was there at begin.  Until end was
 * called another one, restore, pin and forget are refused with CAIRN_ECONFLICT.  The engine "memory" does all in
 * begin. */
enum cairn_code cairn_state_snapshot_begin(struct cairn_state *state, const void *metadata, size_t metadata_bytes,
                                           struct cairn_err *err);
bool cairn_state_snapshot_is_done(struct cairn_state *state); /* end would not wait */
enum cairn_code cairn_state_snapshot_end(struct cairn_state *state, uint64_t *ret_version, struct cairn_err *err);
/* All that were not forgotten, in ascending order; false ends the walk.  An unreadable one has only its number. */
void cairn_state_versions(struct cairn_state *state,
                          bool (*each)(void *context, const struct cairn_state_version *version), void *context);
/* Goes back, or forth, to a version, after all its files were read and found whole; drops what is not in a snapshot.
 * The next snapshot has it as its parent.  0: the current one. */
enum cairn_code cairn_state_restore(struct cairn_state *state, uint64_t version, struct cairn_err *err);
/* A pinned version cannot be forgotten. */
enum cairn_code cairn_state_pin(struct cairn_state *state, uint64_t version, bool pinned, struct cairn_err *err);
/* CAIRN_ECONFLICT for the current version and a pinned one. */
enum cairn_code cairn_state_forget(struct cairn_state *state, uint64_t version, struct cairn_err *err);
/* Which versions to keep.  The current one and pinned ones are kept in any case, and count where the rule has them. */
struct cairn_state_retention {
    unsigned last;        /* as many, the newest ones, */
    uint64_t interval_ms; /* and of each such stretch of time the newest one, */
    unsigned intervals;   /* for as many stretches that have one */
};

/* Forgets all others; their files go with cairn_state_collect.  After a failure some may be forgotten. */
enum cairn_code cairn_state_retain(struct cairn_state *state, const struct cairn_state_retention *rule,
                                   uint64_t *ret_forgotten, struct cairn_err *err);
/* Removes files that no version needs. */
enum cairn_code cairn_state_collect(struct cairn_state *state, uint64_t *ret_bytes, struct cairn_err *err);
void cairn_state_get_stats(struct cairn_state *state, struct cairn_state_stats *ret_stats);

#ifdef __cplusplus
}
#endif

#endif
