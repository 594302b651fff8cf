/* journal.h - the node's log for operators: one line per event, as text or JSON.
 *
 *   2026-11-28T04:30:15.123Z warning archive event=failing msg="the blob store ..." failures=4
 *   {"time":"2026-11-28T04:30:15.123Z","level":"warning","from":"archive","event":"failing","msg":"...","failures":4}
 *
 * Telling never blocks: lines wait in a queue of QUEUE_BYTES for a thread that writes them, and what does not fit is
 * dropped and counted, so that a slow or full disk of the log stops nothing.  Of a kind at most LINES_PER_WINDOW lines
 * are written in WINDOW_NS; how many were suppressed is told when the window is over.  What guests log is not here.
 * Threads: any may tell and ask for a reopening; open and close belong to one.  Layer: server. */
#ifndef CAIRN_SERVER_JOURNAL_H
#define CAIRN_SERVER_JOURNAL_H

#include "base/bytes.h"
#include "base/err.h"
#include "base/event.h"
#include "io/clock.h"

struct cairn_journal;

struct cairn_journal_options {
    const char *path; /* NULL: standard error */
    bool json;
    enum cairn_level least;    /* what is below it is not written */
    struct cairn_clock *clock; /* must be set */
};

struct cairn_journal_counts {
    uint64_t lines[CAIRN_LEVEL_ERROR + 1]; /* told, by level */
    uint64_t suppressed;                   /* by the limit of their kind */
    uint64_t dropped;                      /* the queue was full, or the file could not be written */
};

enum cairn_code cairn_journal_open(const struct cairn_journal_options *options, struct cairn_journal **ret_journal,
                                   struct cairn_err *err);
void cairn_journal_tell(struct cairn_journal *journal, const struct cairn_event *event);
/* To be handed to what tells; it lives as long as the journal. */
const struct cairn_events *cairn_journal_events(struct cairn_journal *journal);
/* The file has been moved away: the next line goes to a new one of that name. */
void cairn_journal_reopen(struct cairn_journal *journal);
void cairn_journal_counts(struct cairn_journal *journal, struct cairn_journal_counts *ret_counts);
/* Writes what waits, for at most a second.  Returns NULL; accepts NULL. */
struct cairn_journal *cairn_journal_close(struct cairn_journal *journal);

#endif
