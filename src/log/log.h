/* log.h - an ordered, durable log that shards write their commits to, behind a vtable.
 *
 * What opens a store gives it an opener, which knows of what kind its logs are: the write-ahead log is log/wal.h.
 * One log may serve all shards, or each shard have its own.  What is durable is always a prefix of a log.  A record's
 * position is reserved by append, under a lock, in the order of the calls; positions ascend and are never used twice.
 * They count bytes, but openings leave gaps between them: ask stats how much is retained.
 * A record is durable once durable() has reached its end; on_progress tells so.
 * Threads: any worker may append, claim, want and ask; start and close belong to the thread that opened it; a reader
 * belongs to one thread at a time, any thread.  on_progress and on_failed run on one of the log's own threads (or
 * inside help, step and close), never two at once, hold no lock of appenders and must only pass a message on.
 * Layer: log; uses base and io. */
#ifndef CAIRN_LOG_LOG_H
#define CAIRN_LOG_LOG_H

#include "base/bytes.h"
#include "base/err.h"
#include "io/clock.h"
#include "io/disk.h"

struct cairn_log_events {
    /* Records below `acknowledged` may be acknowledged now (durable under ALWAYS, with the
     * operating system otherwise).  Called too when only durable() has advanced, when a
     * claim refused before may succeed now, and when more time is reserved. */
    void (*on_progress)(void *context, uint64_t acknowledged);
    /* A write or sync failed: nothing more will be acknowledged until the node restarts. */
    void (*on_failed)(void *context, const struct cairn_err *why);
    /* Something was found damaged and could be done without, e.g. one of the mark's two slots.
     * Called while the log is opened.  May be NULL, as each of these. */
    void (*on_warning)(void *context, const char *text);
    void *context;
};

struct cairn_log; /* begins with its ops */

/* Where a log is to be, and of which shard: what every kind of log is told when it is opened. */
struct cairn_log_place {
    struct cairn_disk *disk;
    struct cairn_clock *clock;
    const char *dir; /* below the disk's root, e.g. "log"; a log that lies elsewhere leaves it alone */
    uint32_t shard;  /* whose log it is, if each shard has its own */
    uint64_t first;  /* of a new log: no position is below it */
    uint64_t needed; /* what it had below this is in checkpoints: if there is no log, it is lost; 0: it may be new */
    uint64_t epoch_least; /* the epoch that is begun is not below it */
    struct cairn_log_events events;
};

/* What opens logs of one kind; the kind's own options stand behind it. */
struct cairn_log_opener {
    /* Opens or creates the log.  On failure *ret_log is untouched.  CAIRN_ECORRUPT: a record known to have been durable
     * is damaged, or the log is missing.  CAIRN_EVERSION: written in an unknown format. */
    enum cairn_code (*open)(const struct cairn_log_opener *opener, const struct cairn_log_place *place,
                            struct cairn_log **ret_log, struct cairn_err *err);
    bool per_shard; /* each shard is to have a log of its own */
    bool stepped;   /* its logs have no threads: nothing happens but inside step (simulation) */
};

struct cairn_log_record {
    uint64_t position, end;
    struct cairn_bytes body; /* valid until the reader is asked again */
};

struct cairn_log_reader; /* begins with its log */

struct cairn_log_stats {
    uint64_t records, bytes, syncs, sync_ns_total, sync_ns_max;
    uint64_t durable, end;   /* positions */
    uint64_t retained_bytes; /* of records between the trim point and the end */
    uint64_t pending_bytes;  /* appended, not yet written */
    uint64_t room_bytes;     /* prepared and unclaimed */
    bool full, failed;       /* writes are refused: no room now; for good */
};

struct cairn_log_ops {
    /* Appends one record whose body is the parts joined, and reserves its position.  The space
     * must have been claimed (claim below) and is taken from the claim.  Does not block and
     * does not fail unless the log has failed (CAIRN_EUNAVAILABLE: nothing was appended).
     * *ret_position is the record's own; *ret_end is where durable must be for it. */
    enum cairn_code (*append)(struct cairn_log *log, const struct cairn_bytes *parts, size_t count,
                              uint64_t *ret_position, uint64_t *ret_end, struct cairn_err *err);
    /* Claims room in prepared segments for records of `bytes` body bytes in total, in at most
     * `records` records; never blocks.  Claims add up: one may be enlarged by claiming more bytes
     * and 0 records.  CAIRN_EFULL: the disk has no room (heals).
     * CAIRN_EOVERLOAD: the next segment is not ready yet or too much is pending; ask again
     * after progress, which is told.  CAIRN_EUNAVAILABLE: failed.
     * CAIRN_ELIMIT: a record of that size, or so many, would never fit. */
    enum cairn_code (*claim)(struct cairn_log *log, uint64_t bytes, uint32_t records, struct cairn_err *err);
    /* Gives back what a claim did not use, in the units it was claimed. */
    void (*release)(struct cairn_log *log, uint64_t bytes, uint32_t records);
    /* Something is held back until acknowledged() reaches `end`: what that takes under the
     * sync mode (a sync, or under INTERVAL and NONE a write) is to start when none is in flight. */
    void (*want)(struct cairn_log *log, uint64_t end);
    /* Like want, by a caller that has nothing else to do until acknowledged() reaches `end`: it writes and syncs by
     * itself, which saves two changes of threads, unless another thread is at it, or that would take long.  Blocks as
     * long as that takes.  True: it is acknowledged.  on_progress and on_failed may run inside. */
    bool (*help)(struct cairn_log *log, uint64_t end);
    /* Like want, but until durable() reaches `end`, in every sync mode (checkpoints). */
    void (*want_durable)(struct cairn_log *log, uint64_t end);
    /* Records below this are on stable storage, whatever the sync mode. */
    uint64_t (*durable)(struct cairn_log *log);
    /* Records below this lie where they are for good: an opening copies what was durable and not known to be, which
     * gives it other positions.  It follows durable, after a pause; want_proven makes it follow at once. */
    uint64_t (*proven)(struct cairn_log *log);
    void (*want_proven)(struct cairn_log *log, uint64_t end);
    /* Records below this may be acknowledged under the sync mode. */
    uint64_t (*acknowledged)(struct cairn_log *log);
    /* The next record's position will not be below this. */
    uint64_t (*end)(struct cairn_log *log);
    /* Time reserved ahead, see promises.md: after an opening the node's `now` starts
     * above it, and above every time in a record. */
    uint64_t (*reserved_time_ms)(struct cairn_log *log);
    /* Tells the log how far time has been given out, which never goes down; cheap, for every `now`.
     * The log reserves some seconds ahead, in the background: a time that runs ahead of that must not be
     * told to a client before reserved_time_ms has reached it, or a record that holds it is durable. */
    void (*reserve_time)(struct cairn_log *log, uint64_t wall_ms);
    /* A reader of the records at or above `from` (0: all that are there) that are durable, in order.  It may be opened
     * before start, and then gives what was found, and after, and then follows the log.  Records that opening had to
     * copy come with their new positions.  Any number at once; all are closed before the log is.  CAIRN_ECORRUPT: what
     * lay at `from` was trimmed. */
    enum cairn_code (*open_reader)(struct cairn_log *log, uint64_t from, struct cairn_log_reader **ret_reader,
                                   struct cairn_err *err);
    /* The next record; *ret_found false: there is none yet, ask again once durable() has advanced.  May block on the
     * disk.  CAIRN_ECORRUPT: it is damaged, or it was trimmed before the reader came to it. */
    enum cairn_code (*read)(struct cairn_log_reader *reader, struct cairn_log_record *ret_record, bool *ret_found,
                            struct cairn_err *err);
    struct cairn_log_reader *(*close_reader)(struct cairn_log_reader *reader); /* returns NULL; accepts NULL */
    /* Records may be appended from now on. */
    enum cairn_code (*start)(struct cairn_log *log, struct cairn_err *err);
    /* Records below `position` are needed no more; segments that hold no others are removed, once
     * the records are durable.  May be called by any thread; the work is done on the log's, if it has some. */
    void (*trim)(struct cairn_log *log, uint64_t position);
    /* Of an opener that is `stepped`: does one round of what the log's threads would do.  False when there was nothing
     * to do. */
    bool (*step)(struct cairn_log *log);
    void (*stats)(struct cairn_log *log, struct cairn_log_stats *ret_stats);
    /* Makes durable what was appended, and closes.  If it fails, what was not
     * durable may be gone.  Always frees; NULL log is CAIRN_OK. */
    enum cairn_code (*close)(struct cairn_log *log, struct cairn_err *err);
    /* Stops as a crash would: writes nothing more. */
    void (*abandon)(struct cairn_log *log);
};

struct cairn_log {
    const struct cairn_log_ops *ops;
    uint64_t epoch;     /* this opening's number: ascending over the life of the data folder, never reused */
    uint64_t found_end; /* where the records ended that this opening found, before it copied any */
};

struct cairn_log_reader {
    struct cairn_log *log;
};

/* Calls visit for every durable record at or above `from`, in order; its failure stops and is returned.  The body is
 * borrowed. */
enum cairn_code cairn_log_visit(struct cairn_log *log, uint64_t from,
                                enum cairn_code (*visit)(void *context, uint64_t position, uint64_t end,
                                                         struct cairn_bytes body, struct cairn_err *err),
                                void *context, struct cairn_err *err);

#endif
