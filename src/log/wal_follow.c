/* wal_follow.c - readers of the log, which may follow it while it grows and is trimmed.
 *
 * A reader keeps a copy of its segment's header and a descriptor of its own, so the keeper may free the segment and
 * remove the file at any moment.  It reads only what is durable: that is whole in the file, and nothing of it changes
 * any more. */
#include <stdlib.h>

#include "base/list.h"
#include "log/wal_internal.h"

struct follower {
    struct cairn_log_reader base;
    struct wal_reader reader;
    struct wal_segment segment; /* a copy */
    bool opened;                /* segment is one, and the reader has its file open */
    uint64_t from, position;
};

static enum cairn_code trimmed(const struct wal *wal, uint64_t first, uint64_t needed, struct cairn_err *err)
{
    return cairn_fail(err, CAIRN_ECORRUPT,
                      "the log in '%s' begins at position %llu, above %llu, from which it is needed", wal->dir,
                      (unsigned long long)first, (unsigned long long)needed);
}

static void take(struct follower *follower, const struct wal_segment *segment)
{
    follower->segment = (struct wal_segment){.head = segment->head, .end = segment->end, .limit = segment->limit};
}

/* The segment that `from` lies in; the lock is held. */
static enum cairn_code find_first(struct follower *follower, struct wal *wal, struct cairn_err *err)
{
    const struct wal_segment *segment = wal->segments;

    if (follower->from && follower->from < segment->head.previous_end)
        return trimmed(wal, segment->head.previous_end, follower->from, err);
    while (segment->next && segment->next->head.previous_end <= follower->from)
        segment = segment->next;
    take(follower, segment);
    return CAIRN_OK;
}

static uint64_t stop_of(const struct wal_segment *segment)
{
    return segment->limit < segment->end ? segment->limit : segment->end;
}

/* Nothing more can come in this segment. */
static bool is_through(const struct follower *follower)
{
    uint64_t stop = stop_of(&follower->segment);

    return follower->position >= stop ||
           (stop == follower->segment.end && stop - follower->position < WAL_RECORD_HEAD_BYTES);
}

/* Goes on to the next segment if it is through with its own; the lock is held.  What is neither through nor in the list
 * any more was trimmed. */
static enum cairn_code find_next(struct follower *follower, struct wal *wal, bool *ret_moved, struct cairn_err *err)
{
    const struct wal_segment *own = wal->segments, *next;

    *ret_moved = false;
    while (own && own->head.first != follower->segment.head.first)
        own = own->next;
    if (own)
        follower->segment.limit = own->limit; /* start lifts that of the first one of this epoch */
    next = own ? own->next : wal->segments;
    if (!is_through(follower))
        return own ? CAIRN_OK : trimmed(wal, next->head.previous_end, follower->position, err);
    if (!next)
        return CAIRN_OK;
    if (next->head.previous_end > stop_of(&follower->segment)) /* in between others were trimmed, or start is at it */
        return own ? CAIRN_OK : trimmed(wal, next->head.previous_end, follower->position, err);
    take(follower, next);
    *ret_moved = true;
    return CAIRN_OK;
}

/* At a segment that has something to read, or is the last. */
static enum cairn_code find(struct follower *follower, struct wal *wal, struct cairn_err *err)
{
    bool moved = !follower->opened;
    enum cairn_code code = CAIRN_OK;

    while (code == CAIRN_OK) {
        pthread_mutex_lock(&wal->lock);
        if (!follower->opened)
            code = find_first(follower, wal, err);
        else
            code = find_next(follower, wal, &moved, err);
        pthread_mutex_unlock(&wal->lock);
        if (code != CAIRN_OK || !moved)
            break;
        follower->position = follower->segment.head.first;
        code = wal_reader_open(&follower->reader, &follower->segment, err);
        if (code == CAIRN_ENOTFOUND) /* trimmed since we let go of the lock */
            code = trimmed(wal, follower->segment.end, follower->position, err);
        follower->opened = code == CAIRN_OK;
    }
    return code;
}

/* What lies at the position is durable. */
static enum cairn_code read_one(struct follower *follower, struct wal *wal, struct wal_record *ret_record,
                                struct cairn_err *err)
{
    struct wal_segment *segment = &follower->segment;
    uint64_t stop = stop_of(segment);
    enum cairn_code code = CAIRN_OK;

    *ret_record = (struct wal_record){.kind = WAL_BAD, .position = follower->position};
    if (segment->end - follower->position >= WAL_RECORD_HEAD_BYTES)
        code = wal_reader_record(&follower->reader, follower->position, ret_record, err);
    if (code != CAIRN_OK)
        return code;
    if (ret_record->kind == WAL_BAD)
        return wal_rot(wal, segment, follower->position, "a record known to be durable fails its check", err);
    if (ret_record->kind == WAL_SEALED) {
        follower->position = segment->end;
        return stop == segment->end ? CAIRN_OK : wal_rot(wal, segment, stop, "its records end too early", err);
    }
    follower->position += ret_record->bytes;
    return follower->position <= stop
               ? CAIRN_OK
               : wal_rot(wal, segment, stop, "a record reaches beyond the known end of its epoch", err);
}

enum cairn_code wal_reader_next(struct cairn_log_reader *reader, struct cairn_log_record *ret_record, bool *ret_found,
                                struct cairn_err *err)
{
    struct follower *follower = cairn_container(reader, struct follower, base);
    struct wal *wal = wal_of(reader->log);
    struct wal_record record;
    enum cairn_code code;

    *ret_found = false;
    follower->reader.known = atomic_load_explicit(&wal->durable, memory_order_acquire);
    for (;;) {
        code = find(follower, wal, err);
        if (code != CAIRN_OK || is_through(follower) || follower->position >= follower->reader.known)
            return code;
        code = read_one(follower, wal, &record, err);
        if (code != CAIRN_OK)
            return code;
        if (record.kind == WAL_DATA && record.position >= follower->from)
            break;
    }
    *ret_record = (struct cairn_log_record){record.position, record.position + record.bytes, record.body};
    *ret_found = true;
    return CAIRN_OK;
}

enum cairn_code wal_open_reader(struct cairn_log *log, uint64_t from, struct cairn_log_reader **ret_reader,
                                struct cairn_err *err)
{
    struct follower *follower = cairn_alloc_zeroed(1, sizeof *follower);
    enum cairn_code code;

    follower->base.log = log;
    follower->from = from;
    wal_reader_init(&follower->reader, wal_of(log));
    code = find(follower, wal_of(log), err);
    if (code != CAIRN_OK) {
        wal_close_reader(&follower->base);
        return code;
    }
    *ret_reader = &follower->base;
    return CAIRN_OK;
}

struct cairn_log_reader *wal_close_reader(struct cairn_log_reader *reader)
{
    struct follower *follower = reader ? cairn_container(reader, struct follower, base) : NULL;

    if (follower)
        wal_reader_done(&follower->reader);
    free(follower);
    return NULL;
}
