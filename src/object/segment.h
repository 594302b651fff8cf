/* segment.h - what one segment of an invocation has done so far; exists while the segment is in progress.
 * Threads: the worker's.  Layer: object, seen by admin. */
#ifndef CAIRN_OBJECT_SEGMENT_H
#define CAIRN_OBJECT_SEGMENT_H

#include "base/list.h"
#include "object/header.h"
#include "object/overlay.h"

struct cairn_worker;
struct invocation;
struct object;

/* Of the log, see log.h. */
struct claim {
    uint64_t bytes;
    uint32_t records;
};

struct segment {
    struct segment *next_free;
    struct overlay overlay;
    struct header header; /* as this segment sees it */
    bool header_dirty;
    bool deleted;            /* the committed incarnation was deleted in this segment */
    struct cairn_link calls; /* invocations queued by this segment, in the order issued */
    uint32_t call_count;
    struct cairn_buf sends; /* messages, in the order sent: each u32 size, posted.h */
    uint32_t send_count;
    uint32_t timers_changed; /* times that it has set or cancelled one */
    uint32_t timers_set;
    struct claim need; /* what its commit was refused and waits for, and has not claimed; 0: nothing */
};

/* Of the invocation, at its object. */
struct segment *segment_begin(struct cairn_worker *worker, struct invocation *inv);
/* Over something else than the object as it was committed. */
struct segment *segment_begin_on(struct cairn_worker *worker, struct object *object, struct cairn_view *view,
                                 const struct header *header);
struct segment *segment_end(struct cairn_worker *worker, struct segment *segment); /* drops it; returns NULL */
void segment_free(struct cairn_worker *worker, struct segment *segment);           /* the same, and its memory */
/* Forgets what the segment did. */
void segment_restart(struct cairn_worker *worker, struct invocation *inv);
/* Deletes the object.  The segment's own writes to it go too: all of them are fields of it. */
void segment_delete(struct invocation *inv);

#endif
