/* wal_internal.h - the embedded log's state, shared by the wal_*.c files.
 *
 * Three parties: *appenders* (any thread) reserve positions and copy records into `active`;
 * the *writer* (one thread, or step) writes and syncs; the *keeper* (another thread, or step)
 * prepares segments, removes trimmed ones and writes the mark.  Whatever may fail is done by
 * writer and keeper without the lock; the lock only hands things over.
 *
 *   wal_format.c   bytes            wal_segment.c  segment files: create, read, walk
 *   wal_mark.c     the mark file    wal_recover.c  opening: what is valid, what is void, what is rot
 *   wal.c          the vtable       wal_writer.c   writing, syncing        wal_keeper.c  the rest
 *   wal_follow.c   reading          wal_open.c     opening: the folder, the options */
#ifndef CAIRN_LOG_WAL_INTERNAL_H
#define CAIRN_LOG_WAL_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>

#include "io/wait.h"
#include "log/wal.h"
#include "log/wal_format.h"

enum {
    WAL_CHARGE_PER_BYTE = 2,    /* see wal_charge */
    WAL_AHEAD_MAX = 256,        /* segments prepared for claims larger than usual */
    WAL_LAZY_BYTES = 256 << 10, /* pending bytes that wake a dozing writer */
    WAL_CHUNK_BYTES = 1 << 20,  /* one write of zeros, one read */
    WAL_TIME_AHEAD_MS = 3000,   /* reserved by a mark... */
    WAL_TIME_LOW_MS = 1500,     /* ...and reserved anew when less than this is left */
};

#define WAL_LAZY_NS       UINT64_C(10000000)   /* pending bytes that no caller wants are written after this */
#define WAL_MARK_IDLE_NS  UINT64_C(40000000)   /* so that the mark is synced within 100 ms, see wal_keeper.c */
#define WAL_FULL_RETRY_NS UINT64_C(200000000)  /* after a refused claim */
#define WAL_FULL_SLOW_NS  UINT64_C(5000000000) /* when no claim asks */

struct wal_segment {
    struct wal_segment *next;
    struct wal_head head;
    uint64_t end;            /* position behind the last byte of the file */
    uint64_t limit;          /* where its valid records end; UINT64_MAX while it is of this epoch */
    bool chained;            /* opener: it counts */
    struct cairn_file *file; /* writer: open from preparing until it is full and synced */
    uint8_t *map;            /* of the file, if it is mapped */
    bool dirty;              /* writer: written and not synced */
};

struct wal_buffer {
    uint8_t *data;
    size_t size, capacity;
};

/* How the writer sleeps, and so which threads must wake it. */
enum wal_sleep {
    WAL_AWAKE,
    WAL_DOZING,   /* for WAL_LAZY_NS: a want wakes it, or much pending */
    WAL_SLEEPING, /* until further notice: an append wakes it too */
};

struct wal {
    struct cairn_log base;
    struct cairn_disk *disk;
    struct cairn_clock *clock;
    struct cairn_log_events events;
    char dir[CAIRN_PATH_BYTES / 2];
    enum cairn_sync_mode sync;
    uint64_t interval_ns, segment_bytes, body_room; /* body_room: of a whole segment, headers included */
    uint64_t first, epoch_least;                    /* of a new log; of the epoch that is begun */
    uint32_t segments_ahead;
    size_t pending_bytes_max;
    bool threaded, started;
    bool mapped;     /* every segment to come: what is appended is written, and nothing is ever pending */
    uint64_t random; /* of this epoch */

    /* Any thread.  room: position space of prepared segments not reserved and not claimed; taken by
     * compare-and-swap, so relaxed is enough: what lies there is handed over under the lock. */
    _Atomic int64_t room __attribute__((aligned(64)));
    _Atomic uint64_t reserved; /* the next record's position; written under the lock */
    _Atomic size_t pending;    /* appended and not yet written */
    _Atomic bool failed;       /* for good; `why` is set before, under the lock */
    _Atomic bool full;
    /* Release by the writer after the sync or write that makes them true; acquire by all. */
    _Atomic uint64_t durable __attribute__((aligned(64)));
    _Atomic uint64_t written;
    _Atomic uint64_t wanted, wanted_durable;
    _Atomic int sleep;              /* enum wal_sleep; sequentially consistent against the wanteds: see wal_wake */
    _Atomic bool refused;           /* a claim was, for want of room, since the last attempt to make some;
                                    * sequentially consistent against room: see wal_release */
    _Atomic bool refused_pending;   /* a claim was, for too much pending */
    _Atomic uint64_t trim;          /* what the user trimmed to */
    _Atomic uint64_t time_given;    /* highest wall-clock time given out */
    _Atomic uint64_t time_reserved; /* by the durable mark */
    _Atomic uint64_t proven;        /* by it, too */
    _Atomic uint64_t wanted_proven;
    _Atomic bool time_asked;    /* the keeper knows that time runs low */
    _Atomic bool keeper_sleeps; /* without a timeout */

    pthread_mutex_t lock __attribute__((aligned(64))); /* guards from here to `stopping` */
    struct wal_buffer active;
    size_t in_flight;             /* bytes of the batch being written */
    struct wal_segment *segments; /* the retained log, oldest first, then this epoch's */
    struct wal_segment *current;  /* where the next record goes, or its successor */
    struct wal_segment *last;
    uint32_t ahead;      /* segments behind current */
    int64_t room_wanted; /* the largest refused claim since room was last made */
    bool notify;         /* tell that a refused claim may succeed now */
    bool failure_told;
    struct cairn_err why;
    uint64_t record_count, byte_count;
    bool keeper_poked, stopping;
    pthread_cond_t writer_wake, keeper_wake;

    /* The writer's: belongs to the thread that holds the baton, the writer's own or one that helps. */
    pthread_mutex_t baton; /* taken before `lock` */
    struct wal_buffer batch;
    struct wal_segment *write_segment, *sync_segment; /* all between have been written to and not all synced */
    uint64_t synced_at_ns;
    _Atomic uint64_t sync_count, sync_ns_total, sync_ns_max; /* for stats */
    _Atomic uint64_t sync_ns_lately;                         /* on average, of about the last eight */

    /* The keeper's (the opener's before start, the closer's at the end). */
    struct cairn_file *mark_file;
    struct wal_mark mark; /* as it lies on the disk */
    uint64_t seen_durable, seen_at_ns, full_at_ns, mark_retry_ns;
    uint64_t time_opened_ms; /* what the mark reserved before this opening */

    pthread_t writer_thread, keeper_thread;
};

static inline struct wal *wal_of(struct cairn_log *log)
{
    return (struct wal *)(void *)log;
}

/* --- wal.c --- */

extern const struct cairn_log_ops wal_ops;
/* Of one whose threads have stopped, or were not started. */
void wal_destroy(struct wal *wal);

/* What a claim must set aside so that records of `bytes` in all, in `records` parts, always fit: a
 * record that does not fit into the rest of a segment wastes less than its own size, once. */
static inline int64_t wal_charge(uint64_t bytes, uint32_t records)
{
    return (int64_t)(WAL_CHARGE_PER_BYTE * (bytes + (uint64_t)records * WAL_RECORD_EXTRA_BYTES));
}

/* The log has failed for good; the first reason counts. */
void wal_fail(struct wal *wal, const struct cairn_err *why);

static inline bool wal_failed(struct wal *wal)
{
    return atomic_load_explicit(&wal->failed, memory_order_acquire);
}

static inline uint64_t wal_now(struct wal *wal)
{
    return wal->clock->monotonic_ns(wal->clock);
}

/* --- wal_segment.c --- */

void wal_path(const struct wal *wal, const char *name, char path[CAIRN_PATH_BYTES]);
void wal_segment_path(const struct wal *wal, uint64_t first, char path[CAIRN_PATH_BYTES]);
/* The position in a segment file's name; false for any other name. */
bool wal_segment_name(const char *name, uint64_t *ret_first);
bool wal_is_temporary(const char *name);

/* Makes the file in three steps, so that a file with a segment's name is always whole and durable:
 * begin (a temporary name), any writes by the caller at positions of the head, finish (the rest of
 * it zeros, header, sync, name, sync of the folder).  After a failure nothing is left of it. */
enum cairn_code wal_segment_begin(struct wal *wal, struct cairn_file **ret_file, struct cairn_err *err);
enum cairn_code wal_segment_finish(struct wal *wal, struct cairn_file *file, const struct wal_head *head,
                                   struct wal_segment **ret_segment, struct cairn_err *err);
void wal_segment_discard(struct wal *wal, struct cairn_file *file);
void wal_segment_free(struct wal *wal, struct wal_segment *segment);

/* Reads a segment's records in order through a window. */
struct wal_reader {
    struct wal *wal;
    struct wal_segment *segment;
    struct cairn_file *file;
    char path[CAIRN_PATH_BYTES];
    struct cairn_buf window;
    uint64_t window_first; /* position of the window's first byte */
    uint64_t known;        /* what lies at or above it may change yet: the window keeps none of that */
};

void wal_reader_init(struct wal_reader *reader, struct wal *wal);
void wal_reader_done(struct wal_reader *reader);
enum cairn_code wal_reader_open(struct wal_reader *reader, struct wal_segment *segment, struct cairn_err *err);
/* Judges what lies at a position of the open segment with at least a header's room behind it. */
enum cairn_code wal_reader_record(struct wal_reader *reader, uint64_t position, struct wal_record *ret_record,
                                  struct cairn_err *err);
/* The file offset of a position, for messages. */
uint64_t wal_offset(const struct wal_segment *segment, uint64_t position);

/* --- wal_mark.c --- */

/* *ret_found false: there is no mark file.  CAIRN_ECORRUPT: both slots are damaged. */
enum cairn_code wal_mark_load(struct wal *wal, bool *ret_found, struct cairn_err *err);
enum cairn_code wal_mark_create(struct wal *wal, uint64_t first, struct cairn_err *err);
/* Writes both slots, one after the other, each synced, and makes it wal->mark.  CAIRN_EFULL: nothing
 * was synced, it may be tried again. */
enum cairn_code wal_mark_store(struct wal *wal, const struct wal_mark *mark, struct cairn_err *err);

/* --- wal_recover.c --- */

/* Everything that cairn_wal_open does but allocating. */
enum cairn_code wal_recover(struct wal *wal, struct cairn_err *err);
/* CAIRN_ECORRUPT: what is wrong at a position, and what to do. */
enum cairn_code wal_rot(const struct wal *wal, const struct wal_segment *segment, uint64_t position, const char *why,
                        struct cairn_err *err);

/* --- wal_follow.c: of cairn_log_ops --- */

enum cairn_code wal_open_reader(struct cairn_log *log, uint64_t from, struct cairn_log_reader **ret_reader,
                                struct cairn_err *err);
enum cairn_code wal_reader_next(struct cairn_log_reader *reader, struct cairn_log_record *ret_record, bool *ret_found,
                                struct cairn_err *err);
struct cairn_log_reader *wal_close_reader(struct cairn_log_reader *reader);

/* --- wal_writer.c --- */

void *wal_writer_main(void *context);
/* One thing that is to be done now: tell, write or sync.  False when there was none. */
bool wal_writer_step(struct wal *wal);
/* cairn_log_ops.help, once it is wanted.  False: another thread is at it, or syncs take long. */
bool wal_writer_help(struct wal *wal);
/* Writes and syncs everything. */
void wal_writer_flush(struct wal *wal);

/* --- wal_keeper.c --- */

void *wal_keeper_main(void *context);
/* One thing that is due: trim, prepare or mark.  False when there was none; then *ret_wait_ns is
 * when to ask again unless poked (UINT64_MAX: never). */
bool wal_keeper_step(struct wal *wal, uint64_t *ret_wait_ns);
void wal_keeper_poke(struct wal *wal);
/* Before the keeper runs: prepares what claims need first.  A full disk is not a failure. */
enum cairn_code wal_keeper_start(struct wal *wal, struct cairn_err *err);
/* The last mark: durable position, and no more time reserved than was given out. */
enum cairn_code wal_keeper_close(struct wal *wal, struct cairn_err *err);

#endif
