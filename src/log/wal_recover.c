/* wal_recover.c - opening: which files count, what is valid in them, what is void, what is rot.
 *
 * The files that count form a chain, found from the newest backward: each header says where the
 * records before it end (previous_end).  Inside an epoch that is the end of the file before; the
 * first file of an epoch points back to the last record that its opening found proven durable,
 * and thereby voids for good all that older epochs wrote above.  The chain must reach down to the
 * trim point; a gap is a missing file.
 *
 * Older epochs were judged when the next one began: every record below previous_end must be whole.
 * In the newest epoch the first bad record ends the log, unless something says that its position
 * was durable: the mark, the header of the epoch's first file (what opening copied), or any later
 * whole record, found by looking at every 8 bytes.  Then it is rot. */
#include <assert.h>
#include <stdlib.h>

#include "log/wal_internal.h"

static const char advice[] = "restore the data folder from a copy";

struct listing {
    uint64_t *firsts; /* ascending, as the names are listed in order */
    size_t count, capacity;
    struct cairn_buf temporaries; /* names, each with its NUL */
};

struct recovery {
    struct wal *wal;
    struct listing listing;
    struct wal_segment **found; /* all files, ascending */
    size_t count, chain;        /* found[chain] on form the chain */
    uint64_t proven;            /* everything below is proven durable */
    uint64_t cut;               /* where the valid records end */
    uint64_t link;              /* previous_end of the new epoch */
};

static void collect(void *context, const char *name)
{
    struct listing *listing = context;
    uint64_t first;

    if (wal_is_temporary(name))
        cairn_buf_add(&listing->temporaries, name, strlen(name) + 1);
    if (!wal_segment_name(name, &first))
        return;
    if (listing->count == listing->capacity) {
        listing->capacity = listing->capacity ? listing->capacity * 2 : 16;
        listing->firsts = cairn_realloc(listing->firsts, listing->capacity * sizeof *listing->firsts);
    }
    listing->firsts[listing->count++] = first;
}

/* --- the chain ------------------------------------------------------------------------------- */

static enum cairn_code load_head(struct wal *wal, uint64_t first, struct wal_segment **ret_segment,
                                 struct cairn_err *err)
{
    struct cairn_file *file = NULL;
    uint8_t page[WAL_HEAD_BYTES];
    char path[CAIRN_PATH_BYTES];
    struct wal_segment *segment;
    struct wal_head head;
    enum cairn_code code;
    uint64_t size;

    wal_segment_path(wal, first, path);
    code = wal->disk->ops->open(wal->disk, path, CAIRN_OPEN_READ, &file, err);
    if (code != CAIRN_OK)
        return code;
    code = wal->disk->ops->size(file, &size, err);
    if (code == CAIRN_OK && size < WAL_HEAD_BYTES)
        code =
            cairn_fail(err, CAIRN_ECORRUPT, "'%s' is cut off at byte %llu: %s", path, (unsigned long long)size, advice);
    if (code == CAIRN_OK)
        code = wal->disk->ops->read_at(file, 0, page, sizeof page, err);
    wal->disk->ops->close(file);
    if (code != CAIRN_OK)
        return code;
    code = wal_head_decode(page, path, &head, err);
    if (code == CAIRN_ECORRUPT)
        cairn_while(err, "opening the log: %s", advice);
    if (code != CAIRN_OK)
        return code;
    if (head.first != first)
        return cairn_fail(err, CAIRN_ECORRUPT, "'%s' is not the file that its name says: %s", path, advice);
    if (size < head.bytes)
        return cairn_fail(err, CAIRN_ECORRUPT, "'%s' is cut off at byte %llu: %s", path, (unsigned long long)size,
                          advice);
    segment = cairn_alloc_zeroed(1, sizeof *segment);
    segment->head = head;
    segment->end = wal_head_end(&head);
    segment->limit = UINT64_MAX;
    *ret_segment = segment;
    return CAIRN_OK;
}

static enum cairn_code missing(const struct recovery *recovery, size_t before, struct cairn_err *err)
{
    char path[CAIRN_PATH_BYTES];

    wal_segment_path(recovery->wal, recovery->found[before]->head.first, path);
    return cairn_fail(err, CAIRN_ECORRUPT,
                      "the log's file before '%s', with the records up to position %llu, is "
                      "missing: %s",
                      path, (unsigned long long)recovery->found[before]->head.previous_end, advice);
}

/* Loads every header and finds the chain. */
static enum cairn_code find_chain(struct recovery *recovery, struct cairn_err *err)
{
    struct wal *wal = recovery->wal;
    struct wal_segment **found;
    enum cairn_code code;
    char path[CAIRN_PATH_BYTES];
    size_t at;

    recovery->found = found = cairn_alloc_zeroed(recovery->listing.count + 1, sizeof *found);
    for (size_t i = 0; i < recovery->listing.count; i++) {
        code = load_head(wal, recovery->listing.firsts[i], &found[i], err);
        if (code != CAIRN_OK)
            return code;
        recovery->count = i + 1;
        if (i && (found[i]->head.first < found[i - 1]->end || found[i]->head.epoch < found[i - 1]->head.epoch)) {
            wal_segment_path(wal, found[i]->head.first, path);
            return cairn_fail(err, CAIRN_ECORRUPT, "'%s' does not belong behind the file before it: %s", path, advice);
        }
    }
    if (wal->mark.epoch > (recovery->count ? found[recovery->count - 1]->head.epoch : 0))
        return cairn_fail(err, CAIRN_ECORRUPT, "the newest files of the log in '%s' are missing: %s", wal->dir, advice);
    if (!recovery->count)
        return CAIRN_OK;
    at = recovery->count - 1;
    recovery->chain = at;
    found[at]->chained = true;
    while (found[at]->head.previous_end > wal->mark.trim) {
        uint64_t link = found[at]->head.previous_end;
        size_t older = at;

        do {
            if (older == 0)
                return missing(recovery, at, err);
            older--;
        } while (found[older]->head.first >= link); /* void: above what the newer epoch took over */
        if (found[older]->end < link ||
            (found[older]->head.epoch == found[at]->head.epoch && (found[older]->end != link || older + 1 != at)))
            return missing(recovery, at, err);
        found[older]->chained = true;
        found[older]->limit = link;
        found[older]->next = found[at];
        recovery->chain = at = older;
    }
    return CAIRN_OK;
}

/* --- walking --------------------------------------------------------------------------------- */

struct cursor {
    struct wal_reader reader;
    struct wal_segment *segment; /* NULL: behind the end */
    uint64_t position;
};

static enum cairn_code rot(const struct wal *wal, const struct wal_segment *segment, uint64_t position, const char *why,
                           struct cairn_err *err)
{
    char path[CAIRN_PATH_BYTES];

    wal_segment_path(wal, segment->head.first, path);
    return cairn_fail(err, CAIRN_ECORRUPT, "'%s' is damaged at byte %llu: %s; %s", path,
                      (unsigned long long)wal_offset(segment, position), why, advice);
}

static enum cairn_code cursor_move(struct cursor *cursor, struct wal_segment *segment, struct cairn_err *err)
{
    cursor->segment = segment;
    if (!segment)
        return CAIRN_OK;
    cursor->position = segment->head.first;
    return wal_reader_open(&cursor->reader, segment, err);
}

/* The next data record or bad place, with the cursor at it; segment NULL when the chain ends first.
 * The caller goes on by adding the record's bytes. */
static enum cairn_code cursor_look(struct cursor *cursor, struct wal_record *ret_record, struct cairn_err *err)
{
    struct wal *wal = cursor->reader.wal;
    enum cairn_code code = CAIRN_OK;

    while (cursor->segment && code == CAIRN_OK) {
        struct wal_segment *segment = cursor->segment;
        uint64_t stop = segment->limit < segment->end ? segment->limit : segment->end;

        if (cursor->position > stop)
            return rot(wal, segment, stop, "a record reaches beyond the known end of its epoch", err);
        if (cursor->position == stop || (stop == segment->end && stop - cursor->position < WAL_RECORD_HEAD_BYTES)) {
            code = cursor_move(cursor, segment->next, err);
            continue;
        }
        if (segment->end - cursor->position < WAL_RECORD_HEAD_BYTES) {
            *ret_record = (struct wal_record){.kind = WAL_BAD, .position = cursor->position};
            return CAIRN_OK;
        }
        code = wal_reader_record(&cursor->reader, cursor->position, ret_record, err);
        if (code != CAIRN_OK || ret_record->kind != WAL_SEALED)
            return code;
        if (stop != segment->end)
            return rot(wal, segment, cursor->position, "its records end too early", err);
        if (!segment->next)
            return rot(wal, segment, cursor->position, "the file that must follow it is missing", err);
        code = cursor_move(cursor, segment->next, err);
    }
    return code;
}

/* Older epochs: all must be whole up to the first segment of the newest. */
static enum cairn_code check_old(struct recovery *recovery, struct wal_segment *newest, struct cairn_err *err)
{
    struct wal_segment *from = recovery->found[recovery->chain];
    struct cursor cursor = {0};
    struct wal_record record;
    enum cairn_code code;

    wal_reader_init(&cursor.reader, recovery->wal);
    code = cursor_move(&cursor, from == newest ? NULL : from, err);
    while (code == CAIRN_OK && cursor.segment) {
        code = cursor_look(&cursor, &record, err);
        if (code != CAIRN_OK || !cursor.segment || cursor.segment->head.epoch == newest->head.epoch)
            break;
        if (record.kind == WAL_BAD)
            code = rot(recovery->wal, cursor.segment, cursor.position, "a record known to be durable fails its check",
                       err);
        cursor.position += record.bytes;
    }
    wal_reader_done(&cursor.reader);
    return code;
}

/* Is there a later whole record that says that `bad` was durable? */
static enum cairn_code find_proof(struct cursor *cursor, uint64_t bad, bool *ret_proof, struct cairn_err *err)
{
    enum cairn_code code = CAIRN_OK;
    struct wal_record record;
    uint64_t position = bad + 8;

    *ret_proof = false;
    while (code == CAIRN_OK && cursor->segment) {
        if (cursor->segment->end < position + WAL_RECORD_HEAD_BYTES) {
            code = cursor_move(cursor, cursor->segment->next, err);
            position = cursor->position;
            continue;
        }
        code = wal_reader_record(&cursor->reader, position, &record, err);
        if (code == CAIRN_OK && record.kind != WAL_BAD && record.durable > bad) {
            *ret_proof = true;
            break;
        }
        position += 8;
    }
    return code;
}

/* The newest epoch: where its records end, and how much of that is proven durable. */
static enum cairn_code judge_newest(struct recovery *recovery, struct wal_segment *newest, struct cairn_err *err)
{
    struct wal *wal = recovery->wal;
    struct cursor cursor = {0};
    struct wal_segment *segment = newest;
    struct wal_record record;
    enum cairn_code code;
    bool proof;

    recovery->proven = wal->mark.durable > newest->head.copied_end ? wal->mark.durable : newest->head.copied_end;
    recovery->cut = newest->head.first;
    wal_reader_init(&cursor.reader, wal);
    code = cursor_move(&cursor, newest, err);
    while (code == CAIRN_OK) {
        code = cursor_look(&cursor, &record, err);
        if (code != CAIRN_OK || !cursor.segment)
            break;
        segment = cursor.segment;
        if (record.kind == WAL_BAD) {
            uint64_t bad = cursor.position;
            if (recovery->proven > bad) {
                code = rot(wal, segment, bad, "a record known to be durable fails its check", err);
                break;
            }
            code = find_proof(&cursor, bad, &proof, err);
            if (code == CAIRN_OK && proof)
                code = rot(wal, segment, bad, "a record fails its check that a later one says was durable", err);
            break;
        }
        if (record.durable > recovery->proven)
            recovery->proven = record.durable;
        cursor.position += record.bytes;
        recovery->cut = cursor.position;
    }
    wal_reader_done(&cursor.reader);
    if (code == CAIRN_OK && recovery->proven > recovery->cut)
        code = cairn_fail(err, CAIRN_ECORRUPT,
                          "the log in '%s' ends at position %llu but was durable to %llu: "
                          "its newest files are missing; %s",
                          wal->dir, (unsigned long long)recovery->cut, (unsigned long long)recovery->proven, advice);
    return code;
}

/* --- the new epoch --------------------------------------------------------------------------- */

/* Goes over the records from `proven` to `cut`, and with a file writes them into it.  The bytes that
 * they take there go to *ret_bytes. */
static enum cairn_code copy_tail(struct recovery *recovery, struct wal_segment *newest, struct cairn_file *file,
                                 const struct wal_head *head, uint64_t *ret_bytes, struct cairn_err *err)
{
    struct wal *wal = recovery->wal;
    struct wal_segment *segment = newest, *at = newest;
    struct cursor cursor = {0};
    struct wal_record record;
    struct cairn_buf out = {0};
    uint64_t done = 0; /* written */
    enum cairn_code code;
    uint8_t *to;

    while (segment->next && segment->end <= recovery->proven)
        segment = segment->next;
    wal_reader_init(&cursor.reader, wal);
    code = cursor_move(&cursor, segment, err);
    if (recovery->proven > cursor.position)
        cursor.position = recovery->proven;
    while (code == CAIRN_OK && cursor.position < recovery->cut) {
        code = cursor_look(&cursor, &record, err);
        if (code != CAIRN_OK || !cursor.segment)
            break;
        if (record.kind != WAL_DATA)
            break;
        at = cursor.segment;
        to = cairn_buf_reserve(&out, record.bytes);
        if (file) {
            wal_record_begin(to, (uint32_t)record.body.size, head->first + done + out.size);
            memset(to + record.bytes - 8, 0, 8);
            if (record.body.size)
                memcpy(to + WAL_RECORD_HEAD_BYTES, record.body.data, record.body.size);
            wal_record_finish(to, head->epoch, head->random, head->first);
        }
        out.size += record.bytes;
        cursor.position += record.bytes;
        if (out.size >= WAL_CHUNK_BYTES || cursor.position >= recovery->cut) {
            if (file)
                code = wal->disk->ops->write_at(file, WAL_HEAD_BYTES + done, out.data, out.size, err);
            done += out.size;
            out.size = 0;
        }
    }
    if (code == CAIRN_OK && recovery->proven < recovery->cut && cursor.position != recovery->cut)
        code = rot(wal, at, at->head.first, "its records do not begin where the log was durable to", err);
    wal_reader_done(&cursor.reader);
    cairn_buf_done(&out);
    *ret_bytes = done;
    return code;
}

/* Makes the first segment of this opening's epoch.  Once it has its name, what was cut is void. */
static enum cairn_code begin_epoch(struct recovery *recovery, struct wal_segment *newest,
                                   struct wal_segment **ret_segment, struct cairn_err *err)
{
    struct wal *wal = recovery->wal;
    struct wal_head head = {.epoch = wal->base.epoch, .random = wal->random, .previous_end = recovery->link};
    struct cairn_file *file = NULL;
    enum cairn_code code;
    uint64_t copied = 0, again = 0, least;

    if (newest) {
        code = copy_tail(recovery, newest, NULL, NULL, &copied, err);
        if (code != CAIRN_OK)
            return code;
    }
    /* Above any position that an older epoch could have reserved: those lie in prepared files. */
    head.first = wal->mark.durable > wal->mark.trim ? wal->mark.durable : wal->mark.trim;
    if (recovery->count && recovery->found[recovery->count - 1]->end > head.first)
        head.first = recovery->found[recovery->count - 1]->end;
    head.first = (head.first + 7) & ~UINT64_C(7);
    if (head.first > WAL_POSITION_MAX)
        return cairn_fail(err, CAIRN_ECORRUPT, "the log in '%s' has no positions left", wal->dir);
    head.copied_end = head.first + copied;
    least = WAL_HEAD_BYTES + (copied ? copied : 8);
    head.bytes = wal->segment_bytes > least ? wal->segment_bytes : least;
    for (;;) {
        code = wal_segment_begin(wal, &file, err);
        if (code != CAIRN_OK)
            return code;
        if (copied) {
            code = copy_tail(recovery, newest, file, &head, &again, err);
            assert(code != CAIRN_OK || again == copied);
        }
        if (code == CAIRN_OK)
            code = wal_segment_finish(wal, file, &head, ret_segment, err);
        else
            wal_segment_discard(wal, file);
        /* A full disk: what must be saved is little, and claims are refused until there is room. */
        if (code != CAIRN_EFULL || head.bytes == least)
            return code;
        head.bytes = least;
    }
}

static void remove_file(struct wal *wal, const char *path)
{
    wal->disk->ops->remove(wal->disk, path, NULL); /* else the next opening does */
}

static void remove_leftovers(struct recovery *recovery)
{
    char path[CAIRN_PATH_BYTES];
    struct cairn_buf *names = &recovery->listing.temporaries;

    for (size_t at = 0; at < names->size; at += strlen((char *)names->data + at) + 1) {
        wal_path(recovery->wal, (char *)names->data + at, path);
        remove_file(recovery->wal, path);
    }
    for (size_t i = 0; i < recovery->count; i++) {
        if (!recovery->found[i])
            continue;
        wal_segment_path(recovery->wal, recovery->found[i]->head.first, path);
        remove_file(recovery->wal, path);
    }
}

/* Moves the chain from `found` to the log's list, the new epoch's first segment behind it; drops
 * what lies wholly at or above the link (an epoch in which nothing was written). */
static void adopt(struct recovery *recovery, struct wal_segment *first_of_epoch)
{
    struct wal *wal = recovery->wal;
    struct wal_segment **to = &wal->segments;

    for (size_t i = recovery->chain; i < recovery->count; i++) {
        struct wal_segment *segment = recovery->found[i];

        if (!segment->chained || segment->head.first >= recovery->link)
            continue;
        if (segment->limit > recovery->link)
            segment->limit = recovery->link;
        if (segment->limit > segment->end)
            segment->limit = segment->end;
        segment->next = NULL;
        *to = segment;
        to = &segment->next;
        recovery->found[i] = NULL;
    }
    *to = first_of_epoch;
    wal->current = wal->last = wal->write_segment = wal->sync_segment = first_of_epoch;
    first_of_epoch->limit = first_of_epoch->head.copied_end; /* until start: how far read goes */
}

static enum cairn_code recover(struct recovery *recovery, struct cairn_err *err)
{
    struct wal *wal = recovery->wal;
    struct wal_segment *newest = NULL, *first_of_epoch;
    enum cairn_code code;
    struct wal_mark mark;
    bool found_mark;

    code = wal_mark_load(wal, &found_mark, err);
    if (code == CAIRN_OK)
        code = wal->disk->ops->list(wal->disk, wal->dir, collect, &recovery->listing, err);
    if (code != CAIRN_OK)
        return code;
    if (!found_mark && recovery->listing.count)
        return cairn_fail(err, CAIRN_ECORRUPT,
                          "the log in '%s' has lost its file 'mark', without which damage cannot "
                          "be told from its end: %s",
                          wal->dir, advice);
    if (!found_mark)
        code = wal_mark_create(wal, wal->first, err);
    if (code == CAIRN_OK)
        code = find_chain(recovery, err);
    if (code != CAIRN_OK)
        return code;

    wal->base.epoch = wal->mark.epoch + 1;
    recovery->link = wal->mark.trim;
    if (recovery->count) {
        uint64_t epoch = recovery->found[recovery->count - 1]->head.epoch;
        size_t at = recovery->count - 1;

        /* All of the newest epoch's files are in the chain but those below the trim point. */
        while (at > recovery->chain && recovery->found[at - 1]->head.epoch == epoch)
            at--;
        newest = recovery->found[at];
        code = check_old(recovery, newest, err);
        if (code == CAIRN_OK)
            code = judge_newest(recovery, newest, err);
        if (code != CAIRN_OK)
            return code;
        /* Where nothing was written in an epoch, the one before it ended the log. */
        recovery->link = recovery->proven > newest->head.first ? recovery->proven : newest->head.previous_end;
        wal->base.epoch = epoch + 1;
    }
    if (wal->base.epoch < wal->epoch_least)
        wal->base.epoch = wal->epoch_least;
    code = begin_epoch(recovery, newest, &first_of_epoch, err);
    if (code != CAIRN_OK)
        return code;
    wal->base.found_end = recovery->count ? recovery->cut : first_of_epoch->head.first;
    adopt(recovery, first_of_epoch);
    mark = wal->mark;
    mark.epoch = wal->base.epoch;
    mark.durable = first_of_epoch->head.copied_end;
    code = wal_mark_store(wal, &mark, err);
    if (code != CAIRN_OK)
        return code;
    remove_leftovers(recovery);
    return CAIRN_OK;
}

enum cairn_code wal_recover(struct wal *wal, struct cairn_err *err)
{
    struct recovery recovery = {.wal = wal};
    enum cairn_code code;

    code = recover(&recovery, err);
    for (size_t i = 0; i < recovery.count; i++)
        if (recovery.found[i])
            wal_segment_free(wal, recovery.found[i]);
    free(recovery.found);
    free(recovery.listing.firsts);
    cairn_buf_done(&recovery.listing.temporaries);
    return code;
}

/* `segment`: the first of a chain of which none but those below `from` may be missing. */
static enum cairn_code read_chain(struct wal *wal, struct wal_segment *segment, uint64_t from,
                                  enum cairn_code (*visit)(void *context, uint64_t position, uint64_t end,
                                                           struct cairn_bytes body, struct cairn_err *err),
                                  void *context, struct cairn_err *err)
{
    struct cursor cursor = {0};
    struct wal_record record;
    enum cairn_code code;

    if (from && from < segment->head.previous_end)
        return cairn_fail(err, CAIRN_ECORRUPT,
                          "the log in '%s' begins at position %llu, above %llu, from which it is "
                          "needed",
                          wal->dir, (unsigned long long)segment->head.previous_end, (unsigned long long)from);
    while (segment->next && segment->next->head.previous_end <= from)
        segment = segment->next;
    wal_reader_init(&cursor.reader, wal);
    code = cursor_move(&cursor, segment, err);
    while (code == CAIRN_OK) {
        code = cursor_look(&cursor, &record, err);
        if (code != CAIRN_OK || !cursor.segment)
            break;
        if (record.kind == WAL_BAD)
            code = rot(wal, cursor.segment, cursor.position, "a record known to be durable fails its check", err);
        else if (record.position >= from)
            code = visit(context, record.position, record.position + record.bytes, record.body, err);
        cursor.position += record.bytes;
    }
    wal_reader_done(&cursor.reader);
    return code;
}

enum cairn_code wal_read(struct wal *wal, uint64_t from,
                         enum cairn_code (*visit)(void *context, uint64_t position, uint64_t end,
                                                  struct cairn_bytes body, struct cairn_err *err),
                         void *context, struct cairn_err *err)
{
    return read_chain(wal, wal->segments, from, visit, context, err);
}

/* The log's list changes meanwhile, so a copy of it is walked: of the segments that have something below `until`. */
enum cairn_code wal_read_between(struct wal *wal, uint64_t from, uint64_t until,
                                 enum cairn_code (*visit)(void *context, uint64_t position, uint64_t end,
                                                          struct cairn_bytes body, struct cairn_err *err),
                                 void *context, struct cairn_err *err)
{
    struct wal_segment *copies = NULL;
    size_t count = 0, room = 0;
    enum cairn_code code;

    pthread_mutex_lock(&wal->lock);
    for (const struct wal_segment *at = wal->segments; at && at->head.first <= until; at = at->next) {
        if (count == room) {
            room = room ? 2 * room : 32;
            copies = cairn_realloc(copies, room * sizeof *copies);
        }
        copies[count] = *at;
        if (copies[count].limit > until)
            copies[count].limit = until;
        count++;
    }
    pthread_mutex_unlock(&wal->lock);
    for (size_t i = 0; i < count; i++)
        copies[i].next = i + 1 < count ? &copies[i + 1] : NULL;
    code = count ? read_chain(wal, copies, from, visit, context, err) : CAIRN_OK;
    free(copies);
    return code;
}
