/* state_log.h - the write-ahead log of a state that is used alone (docs/formats/state-log.md): batches of changes, over
 * the log that the node has, too (log/log.h).
 *
 * A batch is in the log whole or, for the next opening, not at all.  It tells which branch of the folder's versions it
 * belongs to, and how many changes there were before it, so that only what the current version has not is made again.
 * Threads: one owner.  Layer: state; uses base, io, log and engine. */
#ifndef CAIRN_STATE_STATE_LOG_H
#define CAIRN_STATE_STATE_LOG_H

#include "engine/run.h"
#include "io/clock.h"
#include "log/wal.h"

struct state_log_options {
    struct cairn_disk *disk;
    struct cairn_clock *clock;
    enum cairn_sync_mode sync;
    uint32_t interval_ms;
    uint64_t segment_bytes; /* 0: the log's default */
    bool threaded;          /* false: only a caller that waits does the work (simulation) */
};

struct state_log;

/* CAIRN_ECORRUPT when what had been durable is damaged. */
enum cairn_code state_log_open(const struct state_log_options *options, struct state_log **ret_log,
                               struct cairn_err *err);
/* What was not durable may be lost if it fails.  NULL log is CAIRN_OK. */
enum cairn_code state_log_close(struct state_log *log, struct cairn_err *err);

/* Calls apply for every change of the branch from change number `sequence` on, until one fails; then changes may be
 * added. */
enum cairn_code state_log_start(struct state_log *log, uint64_t branch, uint64_t sequence,
                                enum cairn_code (*apply)(void *context, const struct run_record *record,
                                                         struct cairn_err *err),
                                void *context, struct cairn_err *err);

/* The same of a log, if there is one, that is not going to be added to. */
enum cairn_code state_log_read(const struct state_log_options *options, uint64_t branch, uint64_t sequence,
                               enum cairn_code (*apply)(void *context, const struct run_record *record,
                                                        struct cairn_err *err),
                               void *context, struct cairn_err *err);

/* --- a batch: begin, add its changes, append --- */

/* `sequence`: the changes before it. */
void state_log_begin(struct state_log *log, uint64_t branch, uint64_t sequence, size_t count);
void state_log_add(struct state_log *log, struct cairn_bytes key, struct cairn_bytes value);
/* Waits for room in the log; after a failure nothing of it is there.  *ret_end is its ticket. */
enum cairn_code state_log_append(struct state_log *log, uint64_t *ret_end, struct cairn_err *err);

/* Until all before `end` is acknowledged, as the sync mode says. */
enum cairn_code state_log_await(struct state_log *log, uint64_t end, struct cairn_err *err);
/* Where the next batch goes. */
uint64_t state_log_end(struct state_log *log);
/* What of the log is kept, in bytes. */
uint64_t state_log_retained(struct state_log *log);
/* What lies before is needed no more. */
void state_log_trim(struct state_log *log, uint64_t position);

#endif
