/* archive_way.c - the chunks of an archive: which there are, which count, and where they lead; see archive.h.
 *
 * A chunk counts if it does not reach further than where the first chunk of any newer epoch begins: the owner of that
 * has seen what was there, and what an older one has put since is not part of what it went on from. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/hash.h"
#include "base/seal.h"
#include "history/history_internal.h"

enum {
    VERSION = 3,
    HEAD_BYTES = 88, /* magic, version, epoch of the log, first, end, restored, when, the one before and its hash */
    CHUNK_BYTES_MAX = 512 << 20,
    LATE_MS = 3600000, /* how much earlier than the one before it a record's time may be: a segment's length */
};

#define FOLDER "log"

static const char magic[8] = {'C', 'A', 'I', 'R', 'N', 'A', 'R', 'C'};

/* --- a chunk --- */

void archive_chunk_encode(const struct archive_chunk *chunk, struct cairn_buf *to)
{
    uint8_t *at;

    cairn_seal_begin(to, magic, VERSION);
    cairn_buf_reserve(to, HEAD_BYTES);
    at = to->data;
    cairn_put_u32(at + 12, chunk->log_epoch);
    cairn_put_u64(at + 16, chunk->first);
    cairn_put_u64(at + 24, chunk->end);
    cairn_put_u64(at + 32, chunk->restored);
    cairn_put_u64(at + 40, chunk->restored_ms);
    cairn_put_u64(at + 48, chunk->before_end);
    memcpy(at + 56, chunk->before_sha256, CAIRN_SHA256_BYTES);
    to->size = HEAD_BYTES;
    cairn_buf_add(to, chunk->records.data, chunk->records.size);
    cairn_seal_end(to, 0);
}

bool archive_chunk_decode(struct cairn_bytes bytes, struct archive_chunk *ret_chunk, struct cairn_bytes *ret_records)
{
    struct cairn_reader r;

    if (cairn_seal_check(bytes, magic, VERSION, HEAD_BYTES) != CAIRN_SEAL_WHOLE)
        return false;
    *ret_chunk = (struct archive_chunk){.log_epoch = cairn_get_u32(bytes.data + 12),
                                        .first = cairn_get_u64(bytes.data + 16),
                                        .end = cairn_get_u64(bytes.data + 24),
                                        .restored = cairn_get_u64(bytes.data + 32),
                                        .restored_ms = cairn_get_u64(bytes.data + 40),
                                        .before_end = cairn_get_u64(bytes.data + 48)};
    memcpy(ret_chunk->before_sha256, bytes.data + 56, CAIRN_SHA256_BYTES);
    *ret_records = cairn_bytes(bytes.data + HEAD_BYTES, bytes.size - HEAD_BYTES - 4);
    r = cairn_reader(*ret_records);
    while (!r.bad && cairn_reader_left(&r)) {
        cairn_read_u64(&r);
        cairn_read_sized(&r);
    }
    return !r.bad && ret_chunk->first <= ret_chunk->end;
}

/* --- which there are --- */

struct place {
    uint64_t epoch, first, end, age_ms;
};

struct places {
    struct place *at;
    size_t count, capacity;
};

/* By its end within an epoch, so that the newest has the greatest name. */
void archive_chunk_name(uint64_t epoch, uint64_t first, uint64_t end, char name[CAIRN_BLOB_NAME_BYTES])
{
    snprintf(name, CAIRN_BLOB_NAME_BYTES, FOLDER "/%016" PRIx64 "-%020" PRIu64 "-%020" PRIu64, epoch, end, first);
}

static void take_place(void *context, const char *name, uint64_t bytes, uint64_t age_ms)
{
    struct places *places = context;
    struct place place = {.age_ms = age_ms};
    char again[CAIRN_BLOB_NAME_BYTES];

    (void)bytes;
    if (sscanf(name, "%16" SCNx64 "-%20" SCNu64 "-%20" SCNu64, &place.epoch, &place.end, &place.first) != 3)
        return;
    archive_chunk_name(place.epoch, place.first, place.end, again);
    if (strcmp(name, again + strlen(FOLDER "/")) != 0)
        return;
    if (places->count == places->capacity) {
        places->capacity = places->capacity ? 2 * places->capacity : 64;
        places->at = cairn_realloc(places->at, places->capacity * sizeof *places->at);
    }
    places->at[places->count++] = place;
}

static int newest_first(const void *a, const void *b)
{
    const struct place *x = a, *y = b;

    return (x->epoch < y->epoch) - (x->epoch > y->epoch);
}

static int by_first(const void *a, const void *b)
{
    const struct place *x = a, *y = b;

    if (x->first != y->first)
        return x->first < y->first ? -1 : 1;
    return (x->end > y->end) - (x->end < y->end);
}

/* Those that count, by where they begin. */
static enum cairn_code list(struct cairn_blob *blob, struct places *places, struct cairn_err *err)
{
    uint64_t limit = UINT64_MAX, next = UINT64_MAX; /* where newer epochs begin, without and with that of i */
    size_t kept = 0;
    enum cairn_code code = blob->ops->list(blob, FOLDER, take_place, places, err);

    if (code == CAIRN_ENOTFOUND)
        code = CAIRN_OK;
    if (code != CAIRN_OK || !places->count)
        return code;
    qsort(places->at, places->count, sizeof *places->at, newest_first);
    for (size_t i = 0; i < places->count; i++) {
        struct place place = places->at[i];

        if (i && place.epoch != places->at[i - 1].epoch)
            limit = next;
        if (place.first < next)
            next = place.first;
        if (place.end <= limit)
            places->at[kept++] = place;
    }
    places->count = kept;
    qsort(places->at, places->count, sizeof *places->at, by_first);
    return CAIRN_OK;
}

enum cairn_code archive_find_end(struct cairn_blob *blob, uint64_t *ret_end, struct cairn_err *err)
{
    struct places places = {0};
    enum cairn_code code = list(blob, &places, err);

    *ret_end = 0;
    for (size_t i = 0; i < places.count; i++)
        if (places.at[i].end > *ret_end)
            *ret_end = places.at[i].end;
    free(places.at);
    return code;
}

enum cairn_code archive_leads(struct cairn_blob *blob, uint64_t cut, uint64_t end, bool *ret_leads,
                              struct cairn_err *err)
{
    struct places places = {0};
    enum cairn_code code = list(blob, &places, err);
    uint64_t at = cut;

    for (size_t i = 0; i < places.count && places.at[i].first <= at; i++)
        if (places.at[i].end > at)
            at = places.at[i].end;
    *ret_leads = at >= end;
    free(places.at);
    return code;
}

static bool may_go(const struct place *place, uint64_t below, uint64_t grace_ms)
{
    return place->end <= below && place->age_ms >= grace_ms;
}

/* A node that claims the store after the check reads what the head says by then. */
static enum cairn_code raise_low(struct archive *archive, uint64_t low, struct cairn_err *err)
{
    struct archive_head head;
    enum cairn_code code = CAIRN_OK;

    pthread_mutex_lock(&archive->files);
    head = archive->head;
    if (low > head.low) {
        head.low = low;
        code = archive_head_put(archive, &head, err);
    }
    pthread_mutex_unlock(&archive->files);
    return code == CAIRN_OK ? remote_check(archive->remote, err) : code;
}

enum cairn_code archive_trim(struct archive *archive, uint64_t below, uint64_t grace_ms, struct cairn_err *err)
{
    struct cairn_blob *blob = archive->blob;
    struct places places = {0};
    uint64_t low = 0;
    enum cairn_code code = blob->ops->list(blob, FOLDER, take_place, &places, err);

    for (size_t i = 0; code == CAIRN_OK && i < places.count; i++)
        if (may_go(&places.at[i], below, grace_ms) && places.at[i].end > low)
            low = places.at[i].end;
    if (code == CAIRN_OK && low)
        code = raise_low(archive, low, err);
    for (size_t i = 0; code == CAIRN_OK && i < places.count; i++) {
        const struct place *place = &places.at[i];
        char name[CAIRN_BLOB_NAME_BYTES];

        if (!may_go(place, below, grace_ms))
            continue;
        archive_chunk_name(place->epoch, place->first, place->end, name);
        code = blob->ops->remove(blob, name, err);
    }
    free(places.at);
    return code;
}

/* --- where they lead --- */

struct walk {
    struct cairn_blob *blob;
    struct places places;
    size_t next;
    uint64_t cut, at; /* records from there on, and up to there were shown */
    struct cairn_buf bytes;
    struct archive_chunk chunk;
    struct cairn_bytes records;
    bool restored; /* what follows is of another state, from chunk.restored_ms on */
    bool any;      /* chunks were read; the last one: */
    uint8_t sha256[CAIRN_SHA256_BYTES];
};

static bool is_same(const uint8_t *a, const uint8_t *b)
{
    return memcmp(a, b, CAIRN_SHA256_BYTES) == 0;
}

static enum cairn_code get_chunk(struct cairn_blob *blob, const struct place *place, struct cairn_buf *bytes,
                                 struct archive_chunk *ret_chunk, struct cairn_bytes *ret_records,
                                 struct cairn_err *err)
{
    char name[CAIRN_BLOB_NAME_BYTES];
    enum cairn_code code;

    archive_chunk_name(place->epoch, place->first, place->end, name);
    bytes->size = 0;
    code = blob->ops->get(blob, name, CHUNK_BYTES_MAX, bytes, err);
    if (code == CAIRN_OK && (!archive_chunk_decode(cairn_buf_bytes(bytes), ret_chunk, ret_records) ||
                             ret_chunk->first != place->first || ret_chunk->end != place->end))
        code = cairn_fail(err, CAIRN_ECORRUPT, "'%s' of '%s' is damaged", name, blob->url);
    return code;
}

static enum cairn_code walk_begin(struct walk *walk, struct cairn_blob *blob, uint64_t cut, struct cairn_err *err)
{
    *walk = (struct walk){.blob = blob, .cut = cut, .at = cut};
    return list(blob, &walk->places, err);
}

static void walk_done(struct walk *walk)
{
    free(walk->places.at);
    cairn_buf_done(&walk->bytes);
}

/* One without records that begins and ends where the way has come to: it may tell of a restore. */
static bool is_mark(const struct walk *walk, const struct place *place)
{
    return place->first == walk->at && place->end == walk->at;
}

static enum cairn_code read_next(struct walk *walk, struct cairn_err *err)
{
    enum cairn_code code =
        get_chunk(walk->blob, &walk->places.at[walk->next++], &walk->bytes, &walk->chunk, &walk->records, err);

    if (code == CAIRN_OK && walk->any &&
        (walk->chunk.before_end != walk->at || !is_same(walk->chunk.before_sha256, walk->sha256)))
        code =
            cairn_fail(err, CAIRN_ECORRUPT,
                       "the chunk of the log from position %" PRIu64 " in '%s' does not follow the one before it: that "
                       "is not the one that it was put after",
                       walk->chunk.first, walk->blob->url);
    return code;
}

/* The next chunk with something behind the cut.  *ret_more is false at a gap, a restore and the end. */
static enum cairn_code walk_next(struct walk *walk, bool *ret_more, struct cairn_err *err)
{
    enum cairn_code code;

    for (*ret_more = false; walk->next < walk->places.count;) {
        const struct place *place = &walk->places.at[walk->next];
        bool mark = is_mark(walk, place);

        if (place->end <= walk->at && !mark) {
            walk->next++;
            continue;
        }
        if (place->first > walk->at)
            return CAIRN_OK;
        code = read_next(walk, err);
        if (code != CAIRN_OK)
            return code;
        if (walk->chunk.restored > walk->cut) {
            walk->restored = true;
            return CAIRN_OK;
        }
        if (mark && !walk->chunk.restored) /* only keeps older owners from going on; nothing is put after it */
            continue;
        cairn_sha256(cairn_buf_bytes(&walk->bytes), walk->sha256);
        walk->any = true;
        walk->at = walk->chunk.end;
        *ret_more = !mark;
        if (!mark)
            return CAIRN_OK;
    }
    return CAIRN_OK;
}

struct moment {
    uint64_t wall_ms;
    uint64_t until;    /* behind the last record whose time is not after that */
    uint64_t least_ms; /* of the last chunk's records */
    uint64_t most_ms;  /* of all */
};

static enum cairn_code look(const struct walk *walk, struct moment *moment, struct cairn_err *err)
{
    struct cairn_reader r = cairn_reader(walk->records);
    enum cairn_code code = CAIRN_OK;

    moment->least_ms = UINT64_MAX;
    while (code == CAIRN_OK && cairn_reader_left(&r)) {
        uint64_t position = cairn_read_u64(&r);
        struct cairn_reader body = cairn_reader(cairn_read_sized(&r));
        struct commit_head head;

        if (position < walk->cut)
            continue;
        code = commit_read_head(&body, &head, err);
        if (code != CAIRN_OK)
            break;
        if (head.wall_ms < moment->least_ms)
            moment->least_ms = head.wall_ms;
        if (head.wall_ms > moment->most_ms)
            moment->most_ms = head.wall_ms;
        if (head.wall_ms <= moment->wall_ms)
            moment->until = position + 1;
    }
    return code;
}

enum cairn_code archive_find_moment(struct cairn_blob *blob, uint64_t cut, uint64_t wall_ms, uint64_t end,
                                    uint64_t *ret_until, struct cairn_err *err)
{
    struct moment moment = {.wall_ms = wall_ms, .until = cut};
    struct walk walk;
    bool more = true, over = false, whole;
    enum cairn_code code = walk_begin(&walk, blob, cut, err);

    while (code == CAIRN_OK && more && !over) {
        code = walk_next(&walk, &more, err);
        if (code == CAIRN_OK && more)
            code = look(&walk, &moment, err);
        over = more && moment.least_ms != UINT64_MAX && moment.least_ms > wall_ms + LATE_MS;
    }
    whole = (walk.restored && wall_ms < walk.chunk.restored_ms) || walk.at >= end || moment.most_ms > wall_ms;
    if (code == CAIRN_OK && !whole)
        code = cairn_fail(err, CAIRN_ENOTFOUND,
                          "the archive has a gap, or a restore, between the last version before that moment and the "
                          "moment itself");
    *ret_until = moment.until;
    walk_done(&walk);
    return code;
}

static bool is_loss(enum cairn_code code)
{
    return code == CAIRN_ECORRUPT || code == CAIRN_ENOTFOUND;
}

enum cairn_code archive_find_last(struct cairn_blob *blob, const struct archive_head *head, uint64_t cut,
                                  uint64_t *ret_until, uint64_t *wall_ms, uint64_t *log_epoch,
                                  struct archive_losses *losses, struct cairn_err *err)
{
    struct moment moment = {.wall_ms = UINT64_MAX, .until = cut};
    struct walk walk;
    bool more = true;
    enum cairn_code code = walk_begin(&walk, blob, cut, err);

    while (code == CAIRN_OK && more) {
        uint64_t at = walk.at;

        code = walk_next(&walk, &more, err);
        if (code == CAIRN_OK && more && walk.at == head->end && head->epoch && walk.chunk.first < walk.at &&
            !is_same(walk.sha256, head->sha256))
            code = cairn_fail(err, CAIRN_ECORRUPT, "the last chunk of the log is not the one that was put last");
        if (code == CAIRN_OK && more)
            code = look(&walk, &moment, err);
        if (code == CAIRN_OK && more && walk.chunk.log_epoch > *log_epoch)
            *log_epoch = walk.chunk.log_epoch;
        if (is_loss(code)) {
            archive_losses_add(losses, "%s", err->text);
            walk.at = at;
            code = CAIRN_OK;
            more = false;
        }
    }
    *ret_until = walk.at;
    if (moment.most_ms > *wall_ms)
        *wall_ms = moment.most_ms;
    walk_done(&walk);
    return code;
}

/* --- what is missing --- */

uint64_t archive_records_ms(struct cairn_bytes records)
{
    struct cairn_reader r = cairn_reader(records);
    uint64_t wall_ms = 0;

    while (cairn_reader_left(&r)) {
        struct cairn_reader body;
        struct commit_head head;

        cairn_read_u64(&r);
        body = cairn_reader(cairn_read_sized(&r));
        if (commit_read_head(&body, &head, NULL) == CAIRN_OK && head.wall_ms > wall_ms)
            wall_ms = head.wall_ms;
    }
    return wall_ms;
}

static enum cairn_code find_next(struct cairn_blob *blob, struct archive_head *head, bool *ret_whole,
                                 struct cairn_err *err)
{
    struct places places = {0};
    struct cairn_buf bytes = {0};
    struct archive_head next = *head;
    enum cairn_code code = list(blob, &places, err);

    for (size_t i = 0; code == CAIRN_OK && i < places.count; i++) {
        const struct place *place = &places.at[i];
        struct archive_chunk chunk;
        struct cairn_bytes records;
        uint64_t wall_ms;

        if (place->first < head->end || (place->first == head->first && place->end == head->end))
            continue;
        code = get_chunk(blob, place, &bytes, &chunk, &records, err);
        if (is_loss(code)) { /* it was never acknowledged if it is the next; else it is missed elsewhere */
            code = CAIRN_OK;
            continue;
        }
        if (code != CAIRN_OK || chunk.before_end != head->end || !is_same(chunk.before_sha256, head->sha256) ||
            (head->epoch && place->end == head->end && !chunk.restored))
            continue;
        wall_ms = archive_records_ms(records);
        next.epoch = place->epoch;
        next.first = place->first;
        next.end = place->end;
        next.wall_ms = wall_ms > next.wall_ms ? wall_ms : next.wall_ms;
        next.log_epoch = chunk.log_epoch > next.log_epoch ? chunk.log_epoch : next.log_epoch;
        if (!head->epoch)
            next.low = place->first;
        cairn_sha256(cairn_buf_bytes(&bytes), next.sha256);
    }
    *ret_whole = next.epoch || !places.count;
    if (code == CAIRN_OK)
        *head = next;
    cairn_buf_done(&bytes);
    free(places.at);
    return code;
}

enum cairn_code archive_head_find(struct cairn_blob *blob, const struct remote *remote, struct archive_head *ret_head,
                                  struct cairn_bytes *ret_names, bool *ret_whole, struct cairn_err *err)
{
    struct cairn_bytes note = remote_note(remote);
    enum cairn_code code;

    *ret_head = (struct archive_head){0};
    *ret_names = cairn_bytes(NULL, 0);
    *ret_whole = remote_head(remote) != REMOTE_HEAD_LOST;
    code = *ret_whole ? archive_head_check(note, err) : CAIRN_OK;
    if (code != CAIRN_OK)
        return code;
    if (*ret_whole && note.size)
        *ret_whole = archive_head_decode(note, ret_head, ret_names);
    return *ret_whole ? find_next(blob, ret_head, ret_whole, err) : CAIRN_OK;
}

/* The greatest time in a chunk, 0 if it cannot be told; *least_ms the least. */
static uint64_t times_of(struct cairn_blob *blob, const struct place *place, uint64_t *least_ms)
{
    struct walk walk = {.blob = blob};
    struct moment moment = {0};
    struct cairn_err ignored;

    if (get_chunk(blob, place, &walk.bytes, &walk.chunk, &walk.records, &ignored) == CAIRN_OK)
        look(&walk, &moment, &ignored);
    cairn_buf_done(&walk.bytes);
    *least_ms = moment.most_ms ? moment.least_ms : 0;
    return moment.most_ms;
}

static void add_lost(struct cairn_blob *blob, uint64_t first, uint64_t end, const struct place *before,
                     const struct place *after, uint64_t last_ms, struct archive_losses *losses)
{
    char from[ARCHIVE_TIME_BYTES], to[ARCHIVE_TIME_BYTES];
    uint64_t from_ms = 0, to_ms = last_ms, ignored;

    if (before)
        from_ms = times_of(blob, before, &ignored);
    if (after)
        times_of(blob, after, &to_ms);
    archive_losses_add(
        losses, "the log from position %" PRIu64 " to %" PRIu64 ", committed from %s to %s, is missing in 'log/'",
        first, end, archive_time(from_ms, from), archive_time(to_ms, to));
}

/* A chunk that begins behind the one before it may say that there was nothing: the node ran without the archive. */
static enum cairn_code is_gap(struct cairn_blob *blob, const struct place *place, uint64_t end, bool *ret_gap,
                              struct cairn_err *err)
{
    struct cairn_buf bytes = {0};
    struct archive_chunk chunk;
    struct cairn_bytes records;
    enum cairn_code code = get_chunk(blob, place, &bytes, &chunk, &records, err);

    *ret_gap = code == CAIRN_OK && chunk.before_end == end;
    cairn_buf_done(&bytes);
    return is_loss(code) ? CAIRN_OK : code;
}

enum cairn_code archive_find_lost(struct cairn_blob *blob, const struct archive_head *head,
                                  struct archive_losses *losses, struct cairn_err *err)
{
    struct places places = {0};
    const struct place *last = NULL;
    uint64_t at = head->low;
    enum cairn_code code = head->epoch ? list(blob, &places, err) : CAIRN_OK;

    for (size_t i = 0; code == CAIRN_OK && i < places.count; i++) {
        const struct place *place = &places.at[i];
        bool gap = false;

        if (place->end < at || (place->end == at && place->first < at))
            continue;
        if (place->first > at && last)
            code = is_gap(blob, place, at, &gap, err);
        if (code == CAIRN_OK && place->first > at && !gap)
            add_lost(blob, at, place->first, last, place, head->wall_ms, losses);
        at = place->end;
        last = place;
    }
    if (code == CAIRN_OK && at < head->end)
        add_lost(blob, at, head->end, last, NULL, head->wall_ms, losses);
    free(places.at);
    return code;
}

enum cairn_code archive_replay(struct cairn_blob *blob, uint64_t cut, uint64_t until,
                               enum cairn_code (*each)(void *context, struct cairn_bytes body, struct cairn_err *err),
                               void *context, struct cairn_err *err)
{
    struct walk walk;
    bool more = true;
    enum cairn_code code = walk_begin(&walk, blob, cut, err);

    while (code == CAIRN_OK && more && walk.at < until) {
        struct cairn_reader r;

        code = walk_next(&walk, &more, err);
        if (code != CAIRN_OK || !more)
            break;
        r = cairn_reader(walk.records);
        while (code == CAIRN_OK && cairn_reader_left(&r)) {
            uint64_t position = cairn_read_u64(&r);
            struct cairn_bytes body = cairn_read_sized(&r);

            if (position >= cut && position < until)
                code = each(context, body, err);
        }
    }
    if (code == CAIRN_OK && walk.at < until)
        code = cairn_fail(err, CAIRN_ECORRUPT, "'%s' has no longer what leads to position %" PRIu64, blob->url, until);
    walk_done(&walk);
    return code;
}
