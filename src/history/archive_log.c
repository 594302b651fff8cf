/* archive_log.c - copies the log's records into chunks, and puts them; see archive.h. */
#include <stdlib.h>

#include "base/hash.h"
#include "base/list.h"
#include "history/history_internal.h"

enum { CHUNK_BYTES = 4 << 20 };

void archive_chunk_free(struct archive_chunk *chunk)
{
    cairn_buf_done(&chunk->records);
    free(chunk);
}

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

void archive_note_restore(struct cairn_store *store, uint64_t end)
{
    struct archive *archive = &history_of(store)->archive;

    if (!archive->blob)
        return;
    archive->current.restored = archive->current.end = end;
    archive->current.restored_ms = cairn_store_wall_ms(store);
    archive->opened_ns = store_options(store)->clock->monotonic_ns(store_options(store)->clock);
    atomic_store(&archive->archived, end);
}

void archive_add(struct cairn_store *store, uint64_t position, uint64_t end, const struct cairn_bytes *parts,
                 size_t count)
{
    struct archive *archive = &history_of(store)->archive;
    struct cairn_buf *records = &archive->current.records;
    struct cairn_clock *clock = store_options(store)->clock;
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

void archive_copy_tail(struct cairn_store *store, struct cairn_buf *to, uint64_t *ret_first)
{
    struct archive *archive = &history_of(store)->archive;

    pthread_mutex_lock(&archive->lock);
    *ret_first = archive->closed ? archive->closed->first : archive->current.first;
    for (const struct archive_chunk *chunk = archive->closed; chunk; chunk = chunk->next)
        cairn_buf_add(to, chunk->records.data, chunk->records.size);
    cairn_buf_add(to, archive->current.records.data, archive->current.records.size);
    pthread_mutex_unlock(&archive->lock);
}

/* --- putting --- */

/* One that tells nothing new only keeps older owners from going on: the next names the one before it. */
static bool is_empty(const struct archive_head *head, const struct archive_chunk *chunk)
{
    return head->epoch && chunk->first == chunk->end && chunk->end == head->end && !chunk->restored;
}

static struct archive_head next_head(const struct archive *archive, const struct archive_chunk *chunk,
                                     struct cairn_bytes bytes)
{
    struct archive_head head = archive->head;
    uint64_t wall_ms = archive_records_ms(cairn_buf_bytes(&chunk->records));

    if (is_empty(&head, chunk))
        return head;
    if (!head.epoch)
        head.low = chunk->first;
    head.epoch = remote_epoch(archive->remote);
    head.first = chunk->first;
    head.end = chunk->end;
    head.wall_ms = wall_ms > head.wall_ms ? wall_ms : head.wall_ms;
    head.log_epoch = chunk->log_epoch > head.log_epoch ? chunk->log_epoch : head.log_epoch;
    cairn_sha256(bytes, head.sha256);
    return head;
}

/* It is there, and nothing but the check behind it has failed: put again, it would name itself as the one before it. */
static bool is_named(const struct archive *archive, const struct archive_chunk *chunk)
{
    const struct archive_head *head = &archive->head;

    return head->epoch == remote_epoch(archive->remote) && head->first == chunk->first && head->end == chunk->end &&
           (chunk->named || (chunk->first == chunk->end && !chunk->restored));
}

/* Another owner that has claimed the store since does not look for more than it has found: then it does not count.
 * The next chunk is put only when the head names this one, so at most one is not named. */
static enum cairn_code put_chunk(struct archive *archive, struct archive_chunk *chunk, struct cairn_err *err)
{
    char name[CAIRN_BLOB_NAME_BYTES];
    struct cairn_buf bytes = {0};
    struct archive_head head;
    enum cairn_code code = remote_check(archive->remote, err);

    archive_chunk_name(remote_epoch(archive->remote), chunk->first, chunk->end, name);
    if (store_log(archive->store))
        chunk->log_epoch = (uint32_t)store_log(archive->store)->epoch;
    pthread_mutex_lock(&archive->files);
    if (code == CAIRN_OK && !is_named(archive, chunk)) {
        chunk->before_end = archive->head.end;
        memcpy(chunk->before_sha256, archive->head.sha256, CAIRN_SHA256_BYTES);
        archive_chunk_encode(chunk, &bytes);
        head = next_head(archive, chunk, cairn_buf_bytes(&bytes));
        code = archive->blob->ops->put(archive->blob, name, cairn_buf_bytes(&bytes), err);
        if (code == CAIRN_OK)
            code = archive_head_put(archive, &head, err);
        chunk->named = code == CAIRN_OK;
    }
    pthread_mutex_unlock(&archive->files);
    if (code == CAIRN_OK)
        code = remote_check(archive->remote, err);
    cairn_buf_done(&bytes);
    return code;
}

enum cairn_code archive_put_end(struct archive *archive, uint64_t end, struct cairn_err *err)
{
    struct archive_chunk chunk = {.first = end, .end = end};

    return put_chunk(archive, &chunk, err);
}

static void put(struct cairn_task *task)
{
    struct archive_work *work = cairn_container(task, struct archive_work, task);
    struct archive *archive = cairn_container(work, struct archive, log);
    struct cairn_store *store = archive->store;
    struct archive_chunk *chunk = archive->closed; /* only this task takes it from there */
    struct cairn_err err;
    enum cairn_code code = archive_put_modules(archive, &err); /* a record may name one */

    if (code == CAIRN_OK)
        code = put_chunk(archive, chunk, &err);
    if (code == CAIRN_OK) {
        pthread_mutex_lock(&archive->lock);
        archive->closed = chunk->next;
        if (!archive->closed)
            archive->last = &archive->closed;
        pthread_mutex_unlock(&archive->lock);
        atomic_store(&archive->archived, chunk->end);
        atomic_fetch_sub(&archive->pending_bytes, chunk->records.size);
        archive_chunk_free(chunk);
        store_trim_logs(store);
    }
    if (code == CAIRN_EUNAVAILABLE)
        node_versions_archived(store, 0, code, &err);
    store_wake_close(store);
    archive_work_done(archive, work, code, &err); /* the last that is touched: the store may be closed then */
}

/* Whether the version is there that the node was restored to: without it what follows is of no use. */
static bool is_based(struct cairn_store *store, uint64_t restored)
{
    struct taking *taking = &history_of(store)->taking;
    bool based = !restored;

    pthread_mutex_lock(&taking->lock);
    for (size_t i = 0; !based && i < taking->count; i++)
        based = taking->versions[i].archived && taking->versions[i].cut >= restored;
    pthread_mutex_unlock(&taking->lock);
    return based;
}

bool archive_may_be_based(struct cairn_store *store)
{
    struct archive *archive = &history_of(store)->archive;
    struct taking *taking = &history_of(store)->taking;
    uint64_t restored;
    bool may = false;

    pthread_mutex_lock(&archive->lock);
    restored = archive->closed ? archive->closed->restored : 0;
    pthread_mutex_unlock(&archive->lock);
    pthread_mutex_lock(&taking->lock);
    for (size_t i = 0; i < taking->count; i++)
        may |= taking->versions[i].shards && !taking->versions[i].lacks && taking->versions[i].cut >= restored;
    pthread_mutex_unlock(&taking->lock);
    return may;
}

void archive_step_log(struct cairn_store *store, bool all)
{
    struct archive *archive = &history_of(store)->archive;
    struct archive_work *work = &archive->log;
    struct cairn_log *log = store_log(store);
    uint64_t every = archive_every_ns(store);
    uint64_t now = store_options(store)->clock->monotonic_ns(store_options(store)->clock), end = 0, restored = 0;

    pthread_mutex_lock(&archive->lock);
    if (archive->opened_ns && (all || now - archive->opened_ns >= every))
        close_current(archive);
    if (archive->closed && !work->busy && (all || !work->pause_ns || now >= work->retry_ns)) {
        end = archive->closed->end;
        restored = archive->closed->restored;
    }
    pthread_mutex_unlock(&archive->lock);
    if (!end || !is_based(store, restored)) /* only this thread takes chunks away, or begins to */
        return;
    if (log->ops->proven(log) < end) { /* else an opening could give the records other positions */
        log->ops->want_proven(log, end);
        return;
    }
    pthread_mutex_lock(&archive->lock);
    work->busy = true;
    pthread_mutex_unlock(&archive->lock);
    work->task.run = put;
    cairn_tasks_submit(store_options(store)->tasks, &work->task);
}
