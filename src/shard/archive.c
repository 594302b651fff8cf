#include "shard/archive.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/hash.h"
#include "shard/shard_internal.h"

enum {
    VERSION = 1,
    HEAD_BYTES = 48, /* magic, version, 0, first, end, restored, when */
    CHUNK_BYTES = 4 << 20,
    CHUNK_BYTES_MAX = 256 << 20,
    PENDING_BYTES_MAX = 64 << 20,
    EXTENDED_BYTES_MAX = 384 << 20,
    LATE_MS = 3600000, /* how much earlier than the one before it a record's time may be: a segment's length */
};

#define EVERY_NS    UINT64_C(10000000000)
#define PAUSE_NS    UINT64_C(1000000000)
#define FOLDER      "log"
#define MARKER_PATH "ARCHIVE"

static const char magic[8] = {'C', 'A', 'I', 'R', 'N', 'A', 'R', 'C'};

/* --- chunks --- */

/* By its end, so that the newest is the one with the greatest name. */
static void name_of(uint64_t id, uint64_t first, uint64_t end, char name[CAIRN_BLOB_NAME_BYTES])
{
    snprintf(name, CAIRN_BLOB_NAME_BYTES, FOLDER "/%016" PRIx64 "/%020" PRIu64 "-%020" PRIu64, id, end, first);
}

static void encode(const struct archive_chunk *chunk, struct cairn_buf *to)
{
    uint8_t *at = cairn_buf_reserve(to, HEAD_BYTES);

    memcpy(at, magic, sizeof magic);
    cairn_put_u32(at + 8, VERSION);
    cairn_put_u32(at + 12, 0);
    cairn_put_u64(at + 16, chunk->first);
    cairn_put_u64(at + 24, chunk->end);
    cairn_put_u64(at + 32, chunk->restored);
    cairn_put_u64(at + 40, chunk->restored_ms);
    to->size += HEAD_BYTES;
    cairn_buf_add(to, chunk->records.data, chunk->records.size);
    cairn_put_u32(cairn_buf_reserve(to, 4), cairn_crc32c(0, to->data, to->size));
    to->size += 4;
}

static bool decode(struct cairn_bytes bytes, struct archive_chunk *ret_chunk, struct cairn_bytes *ret_records)
{
    if (bytes.size < HEAD_BYTES + 4 || memcmp(bytes.data, magic, sizeof magic) != 0 ||
        cairn_get_u32(bytes.data + bytes.size - 4) != cairn_crc32c(0, bytes.data, bytes.size - 4) ||
        cairn_get_u32(bytes.data + 8) != VERSION || cairn_get_u32(bytes.data + 12) != 0)
        return false;
    *ret_chunk = (struct archive_chunk){.first = cairn_get_u64(bytes.data + 16),
                                        .end = cairn_get_u64(bytes.data + 24),
                                        .restored = cairn_get_u64(bytes.data + 32),
                                        .restored_ms = cairn_get_u64(bytes.data + 40)};
    *ret_records = cairn_bytes(bytes.data + HEAD_BYTES, bytes.size - HEAD_BYTES - 4);
    return true;
}

struct place {
    uint64_t first, end;
};

struct places {
    struct place *at;
    size_t count, capacity;
};

static void take_place(void *context, const char *name, uint64_t bytes, uint64_t age_ms)
{
    struct places *places = context;
    struct place place;

    (void)bytes;
    (void)age_ms;
    if (sscanf(name, "%20" SCNu64 "-%20" SCNu64, &place.end, &place.first) != 2)
        return;
    if (places->count == places->capacity) {
        places->capacity = places->capacity ? 2 * places->capacity : 64;
        places->at = cairn_realloc(places->at, places->capacity * sizeof *places->at);
    }
    places->at[places->count++] = place;
}

static int by_first(const void *a, const void *b)
{
    const struct place *x = a, *y = b;

    if (x->first != y->first)
        return x->first < y->first ? -1 : 1;
    return (x->end > y->end) - (x->end < y->end);
}

static enum cairn_code list(struct cairn_blob *blob, uint64_t id, struct places *places, struct cairn_err *err)
{
    char folder[CAIRN_BLOB_NAME_BYTES];
    enum cairn_code code;

    snprintf(folder, sizeof folder, FOLDER "/%016" PRIx64, id);
    code = blob->ops->list(blob, folder, take_place, places, err);

    if (code == CAIRN_ENOTFOUND)
        code = CAIRN_OK;
    if (code == CAIRN_OK && places->count)
        qsort(places->at, places->count, sizeof *places->at, by_first);
    return code;
}

/* --- opening --- */

static void trim(struct cairn_store *store)
{
    uint64_t position;

    pthread_mutex_lock(&store->lock);
    position = store_trim_position(store);
    pthread_mutex_unlock(&store->lock);
    store->log->ops->trim(store->log, position);
}

/* The marker in the data folder has the folder's number, and says that trimming has waited for this archive ever
 * since; or with "-" that it has not.  0: there is no marker. */
static enum cairn_code read_marker(struct archive *archive, const char *url, bool *ret_same, struct cairn_err *err)
{
    struct cairn_buf text = {0};
    enum cairn_code code = cairn_disk_read_file(archive->store->options.disk, MARKER_PATH, 4096, &text, err);
    int url_at = 0;

    *ret_same = false;
    cairn_buf_u8(&text, 0);
    if (code == CAIRN_OK && (sscanf((const char *)text.data, "id %16" SCNx64 "\nurl %n", &archive->id, &url_at) != 1 ||
                             !url_at || !archive->id))
        code = cairn_fail(err, CAIRN_ECORRUPT, "'%s' is damaged: remove it; what comes then begins a new archive",
                          MARKER_PATH);
    else if (code == CAIRN_OK)
        *ret_same = strcmp((const char *)text.data + url_at, url) == 0;
    cairn_buf_done(&text);
    return code == CAIRN_ENOTFOUND ? CAIRN_OK : code;
}

static enum cairn_code write_marker(struct archive *archive, const char *url, struct cairn_err *err)
{
    struct cairn_buf text = {0};
    enum cairn_code code;

    cairn_buf_printf(&text, "id %016" PRIx64 "\nurl %s", archive->id, url);
    code = cairn_disk_replace_file(archive->store->options.disk, MARKER_PATH, cairn_buf_bytes(&text), err);
    cairn_buf_done(&text);
    return code;
}

enum cairn_code archive_open(struct cairn_store *store, uint64_t first, struct cairn_err *err)
{
    struct archive *archive = &store->archive;
    struct cairn_clock *clock = store->options.clock;
    const char *url = store->options.archive ? store->options.archive->url : "-";
    struct places places = {0};
    uint64_t archived = 0;
    bool same;
    enum cairn_code code;

    archive->blob = store->options.archive;
    code = read_marker(archive, url, &same, err);
    if (!archive->blob) {
        bool matters = code == CAIRN_OK && archive->id && !same;

        return matters ? write_marker(archive, url, err) : code;
    }
    while (code == CAIRN_OK && !archive->id)
        archive->id = clock->entropy(clock);
    if (code == CAIRN_OK && !same)
        code = write_marker(archive, url, err);
    if (code == CAIRN_OK && same)
        code = list(archive->blob, archive->id, &places, err);
    for (size_t i = 0; i < places.count; i++)
        if (places.at[i].end > archived)
            archived = places.at[i].end;
    free(places.at);
    archive->current.first = archive->current.end = archived ? archived : first;
    atomic_store(&archive->archived, archive->current.first);
    return code == CAIRN_OK ? code : cairn_while(err, "opening the archive '%s'", archive->blob->url);
}

void archive_note_restore(struct cairn_store *store, uint64_t end)
{
    struct archive *archive = &store->archive;

    if (!archive->blob)
        return;
    archive->current.restored = archive->current.end = end;
    archive->current.restored_ms = store->wall_ms;
    archive->opened_ns = store->options.clock->monotonic_ns(store->options.clock);
    atomic_store(&archive->archived, end);
}

/* --- adding --- */

/* The lock is held. */
static void close_current(struct archive *archive)
{
    struct archive_chunk *chunk = cairn_alloc(sizeof *chunk), *current = &archive->current;

    *chunk = *current;
    chunk->next = NULL;
    *archive->last = chunk;
    archive->last = &chunk->next;
    *current = (struct archive_chunk){.first = chunk->end, .end = chunk->end};
    archive->opened_ns = 0;
}

void archive_add(struct cairn_store *store, uint64_t position, uint64_t end, const struct cairn_bytes *parts,
                 size_t count)
{
    struct archive *archive = &store->archive;
    struct cairn_buf *records = &archive->current.records;
    struct cairn_clock *clock = store->options.clock;
    uint64_t bytes = 0;
    size_t before;

    if (!archive->blob || position < atomic_load(&archive->archived))
        return;
    pthread_mutex_lock(&archive->lock);
    before = records->size;
    if (!archive->opened_ns)
        archive->opened_ns = clock->monotonic_ns(clock);
    for (size_t i = 0; i < count; i++)
        bytes += parts[i].size;
    cairn_put_u64(cairn_buf_reserve(records, 8), position);
    records->size += 8;
    cairn_buf_varint(records, bytes);
    for (size_t i = 0; i < count; i++)
        cairn_buf_add(records, parts[i].data, parts[i].size);
    atomic_fetch_add(&archive->pending_bytes, records->size - before);
    archive->current.end = end;
    if (records->size >= CHUNK_BYTES)
        close_current(archive);
    pthread_mutex_unlock(&archive->lock);
}

enum cairn_code archive_check_writers(struct cairn_store *store, struct cairn_err *err)
{
    struct archive *archive = &store->archive;
    enum cairn_code code;

    if (!archive->blob || atomic_load_explicit(&archive->pending_bytes, memory_order_relaxed) <= PENDING_BYTES_MAX)
        return CAIRN_OK;
    pthread_mutex_lock(&archive->lock);
    code = archive->pause_ns
               ? cairn_fail(err, CAIRN_EFULL, "the archive takes no more of the log: %s", archive->err.text)
               : cairn_fail(err, CAIRN_EOVERLOAD, "the archive is behind");
    pthread_mutex_unlock(&archive->lock);
    return code;
}

/* --- putting --- */

static void put(struct cairn_task *task)
{
    struct archive *archive = (struct archive *)(void *)((char *)task - offsetof(struct archive, task));
    struct cairn_store *store = archive->store;
    struct cairn_clock *clock = store->options.clock;
    struct archive_chunk *chunk = archive->closed; /* nobody but this task takes it from there */
    char name[CAIRN_BLOB_NAME_BYTES];
    struct cairn_buf bytes = {0};
    struct cairn_err err;
    enum cairn_code code;

    name_of(archive->id, chunk->first, chunk->end, name);
    encode(chunk, &bytes);
    code = archive->blob->ops->put(archive->blob, name, cairn_buf_bytes(&bytes), &err);
    cairn_buf_done(&bytes);
    pthread_mutex_lock(&archive->lock);
    if (code == CAIRN_OK) {
        archive->closed = chunk->next;
        if (!archive->closed)
            archive->last = &archive->closed;
        atomic_store(&archive->archived, chunk->end);
        atomic_fetch_sub(&archive->pending_bytes, chunk->records.size);
        archive->pause_ns = 0;
        cairn_buf_done(&chunk->records);
        free(chunk);
    } else {
        archive->err = err;
        archive->failures++;
        archive->pause_ns = archive->pause_ns ? 2 * archive->pause_ns : PAUSE_NS;
        if (archive->pause_ns > 32 * PAUSE_NS)
            archive->pause_ns = 32 * PAUSE_NS;
        archive->retry_ns = clock->monotonic_ns(clock) + archive->pause_ns;
    }
    pthread_mutex_unlock(&archive->lock);
    if (code == CAIRN_OK)
        trim(store);
    store_wake_close(store);
    pthread_mutex_lock(&archive->lock);
    archive->busy = false; /* the last that is touched: the store may be closed then */
    pthread_mutex_unlock(&archive->lock);
}

static void step(struct cairn_store *store, bool all)
{
    struct archive *archive = &store->archive;
    uint64_t every = store->options.archive_every_ns ? store->options.archive_every_ns : EVERY_NS, end = 0;
    uint64_t now = store->options.clock->monotonic_ns(store->options.clock);
    bool submit = false;

    pthread_mutex_lock(&archive->lock);
    if (archive->opened_ns && (all || now - archive->opened_ns >= every))
        close_current(archive);
    if (archive->closed && !archive->busy && (all || !archive->pause_ns || now >= archive->retry_ns)) {
        end = archive->closed->end;
        submit = store->log->ops->durable(store->log) >= end;
        archive->busy = submit;
    }
    pthread_mutex_unlock(&archive->lock);
    if (submit) {
        archive->task.run = put;
        cairn_tasks_submit(store->options.tasks, &archive->task);
    } else if (end) {
        store->log->ops->want_durable(store->log, end);
    }
}

void archive_step(struct cairn_store *store)
{
    if (store->archive.blob)
        step(store, false);
}

enum cairn_code archive_finish(struct cairn_store *store, struct cairn_err *err)
{
    struct archive *archive = &store->archive;
    uint64_t failures = archive->failures, end = store->log->ops->end(store->log);
    bool left = archive->blob, failed = false;

    if (left && archive->current.end < end) { /* the archive shows that there is nothing more */
        archive->current.end = end;
        if (!archive->opened_ns)
            archive->opened_ns = 1;
    }

    while (left) {
        step(store, !failed);
        pthread_mutex_lock(&archive->lock);
        failed = archive->failures != failures || atomic_load(&store->log_failed);
        left = archive->busy || (!failed && (archive->closed || archive->opened_ns));
        pthread_mutex_unlock(&archive->lock);
        if (left)
            store_wait_a_little(store);
    }
    return failed
               ? cairn_fail(err, CAIRN_EUNAVAILABLE,
                            "not all of the log could be archived; the next start tries again: %s", archive->err.text)
               : CAIRN_OK;
}

void archive_stop(struct cairn_store *store)
{
    struct archive *archive = &store->archive;
    bool busy;

    do {
        pthread_mutex_lock(&archive->lock);
        busy = archive->busy;
        pthread_mutex_unlock(&archive->lock);
        if (busy)
            store_wait_a_little(store);
    } while (busy);
}

void archive_free(struct cairn_store *store)
{
    struct archive *archive = &store->archive;

    while (archive->closed) {
        struct archive_chunk *next = archive->closed->next;

        cairn_buf_done(&archive->closed->records);
        free(archive->closed);
        archive->closed = next;
    }
    cairn_buf_done(&archive->current.records);
}

/* --- reading --- */

struct extending {
    struct node_version *version;
    uint64_t wall_ms;
    size_t kept;       /* of the version's records: to the last whose time is not after wall_ms */
    uint64_t kept_to;  /* its position */
    uint64_t least_ms; /* of the last chunk's records */
    uint64_t most_ms;  /* of all records */
};

static enum cairn_code extend_by(struct extending *extending, struct cairn_bytes records, struct cairn_err *err)
{
    struct node_version *version = extending->version;
    struct cairn_reader r = cairn_reader(records);

    extending->least_ms = UINT64_MAX;
    while (cairn_reader_left(&r)) {
        const uint8_t *from = r.at;
        uint64_t position = cairn_read_u64(&r);
        struct cairn_reader body = cairn_reader(cairn_read_sized(&r));
        struct commit_head head;
        enum cairn_code code;

        if (r.bad)
            return cairn_fail(err, CAIRN_ECORRUPT, "a chunk's records make no sense");
        if (position < version->cut)
            continue;
        code = commit_read_head(&body, &head, err);
        if (code != CAIRN_OK)
            return code;
        cairn_buf_add(&version->records, from, (size_t)(r.at - from));
        if (head.wall_ms < extending->least_ms)
            extending->least_ms = head.wall_ms;
        if (head.wall_ms > extending->most_ms)
            extending->most_ms = head.wall_ms;
        if (head.wall_ms > extending->wall_ms)
            continue;
        extending->kept = version->records.size;
        extending->kept_to = position;
    }
    return CAIRN_OK;
}

static enum cairn_code get(struct cairn_blob *blob, uint64_t id, const struct place *place, struct cairn_buf *bytes,
                           struct archive_chunk *chunk, struct cairn_bytes *records, struct cairn_err *err)
{
    char name[CAIRN_BLOB_NAME_BYTES];
    enum cairn_code code;

    name_of(id, place->first, place->end, name);
    bytes->size = 0;
    code = blob->ops->get(blob, name, CHUNK_BYTES_MAX, bytes, err);
    if (code == CAIRN_OK &&
        (!decode(cairn_buf_bytes(bytes), chunk, records) || chunk->first != place->first || chunk->end != place->end))
        code = cairn_fail(err, CAIRN_ECORRUPT, "'%s' of '%s' is damaged", name, blob->url);
    return code;
}

enum cairn_code archive_extend(struct cairn_blob *blob, uint64_t id, uint64_t end, struct node_version *version,
                               uint64_t wall_ms, struct cairn_err *err)
{
    struct extending extending = {.version = version, .wall_ms = wall_ms, .kept = version->records.size};
    struct places places = {0};
    struct cairn_buf bytes = {0};
    uint64_t at = version->cut;
    bool over = false, whole = false;
    enum cairn_code code = list(blob, id, &places, err);

    for (size_t i = 0; code == CAIRN_OK && !over && i < places.count; i++) {
        struct archive_chunk chunk = {0};
        struct cairn_bytes records = {0};

        if (places.at[i].end <= at) /* before the version */
            continue;
        code = get(blob, id, &places.at[i], &bytes, &chunk, &records, err);
        if (code != CAIRN_OK || chunk.first > at)
            break;
        if (chunk.restored > version->cut) { /* what follows is of another state, of later moments */
            whole = wall_ms < chunk.restored_ms;
            break;
        }
        at = chunk.end;
        code = extend_by(&extending, records, err);
        over = extending.least_ms != UINT64_MAX && extending.least_ms > wall_ms + LATE_MS;
        if (version->records.size > EXTENDED_BYTES_MAX)
            code = cairn_fail(err, CAIRN_ELIMIT,
                              "more than %d MiB of log lie between version %" PRIu64
                              " and that moment: take versions more often",
                              EXTENDED_BYTES_MAX >> 20, version->number);
    }
    if (code == CAIRN_OK && !whole && at < end && extending.most_ms <= wall_ms)
        code = cairn_fail(err, CAIRN_ENOTFOUND,
                          "the archive has a gap, or a restore, between version %" PRIu64
                          ", the last one before that moment, and the moment itself",
                          version->number);
    version->records.size = extending.kept;
    if (extending.kept_to >= version->cut)
        version->cut = extending.kept_to + 1;
    cairn_buf_done(&bytes);
    free(places.at);
    return code;
}
