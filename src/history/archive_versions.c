/* archive_versions.c - puts versions of the node into the archive, removes and fetches them; see archive.h. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/hash.h"
#include "base/list.h"
#include "base/seal.h"
#include "history/history_internal.h"

enum {
    VERSION = 2,
    HEAD_BYTES = 24, /* magic, version, number of shards, epoch of the log */
    GRACE_MS = 3600000,
};

#define RETRY_NS UINT64_C(10000000000) /* of one that could not be put: others may */

static const char magic[8] = {'C', 'A', 'I', 'R', 'N', 'A', 'V', 'E'};

/* --- a version's bytes --- */

static void begin(struct cairn_buf *to, uint32_t count, uint64_t log_epoch)
{
    cairn_seal_begin(to, magic, VERSION);
    cairn_put_u32(cairn_buf_reserve(to, 12), count);
    cairn_put_u64(to->data + to->size + 4, log_epoch);
    to->size += 12;
}

static void add(struct cairn_buf *to, struct cairn_bytes bytes)
{
    cairn_buf_varint(to, bytes.size);
    cairn_buf_add(to, bytes.data, bytes.size);
}

enum cairn_code archived_version_parse(struct cairn_buf *bytes, struct archived_version **ret_version,
                                       struct cairn_err *err)
{
    struct archived_version *version;
    struct cairn_reader r;
    uint32_t count;

    switch (cairn_seal_check(cairn_buf_bytes(bytes), magic, VERSION, HEAD_BYTES)) {
    case CAIRN_SEAL_DAMAGED:
        return cairn_fail(err, CAIRN_ECORRUPT, "its object is damaged");
    case CAIRN_SEAL_VERSION:
        return format_fail_version("it", cairn_seal_version(cairn_buf_bytes(bytes)), VERSION, err);
    case CAIRN_SEAL_WHOLE:
        break;
    }
    count = cairn_get_u32(bytes->data + 12);
    if (count < 1 || count > SHARDS_MAX)
        return cairn_fail(err, CAIRN_ECORRUPT, "it makes no sense");
    version = cairn_alloc_zeroed(1, sizeof *version + count * sizeof *version->manifests);
    r = cairn_reader(cairn_bytes(bytes->data + HEAD_BYTES, bytes->size - HEAD_BYTES - 4));
    version->log_epoch = cairn_get_u64(bytes->data + 16);
    version->record = cairn_read_sized(&r);
    for (uint32_t i = 0; i < count; i++)
        version->manifests[i] = cairn_read_sized(&r);
    if (r.bad || cairn_reader_left(&r)) {
        free(version);
        return cairn_fail(err, CAIRN_ECORRUPT, "it makes no sense");
    }
    version->bytes = *bytes;
    *bytes = (struct cairn_buf){0};
    *ret_version = version;
    return CAIRN_OK;
}

struct archived_version *archived_version_get(struct remote *remote, uint64_t number, struct node_version *ret_version,
                                              struct cairn_err *err)
{
    struct archived_version *version = NULL;
    struct cairn_buf bytes = {0};
    enum cairn_code code = remote_get_manifest(remote, number, &bytes, err);

    if (code == CAIRN_OK) {
        uint32_t count = bytes.size > HEAD_BYTES ? cairn_get_u32(bytes.data + 12) : 0;

        code = archived_version_parse(&bytes, &version, err);
        if (code == CAIRN_OK)
            code = node_version_decode(version->record, ret_version, err);
        if (code == CAIRN_OK && (ret_version->number != number || ret_version->count != count)) {
            node_version_done(ret_version);
            code = cairn_fail(err, CAIRN_ECORRUPT, "it is of another version");
        }
    }
    cairn_buf_done(&bytes);
    if (code == CAIRN_OK)
        return version;
    archived_version_free(version);
    cairn_while(err, "reading version %" PRIu64 " from the blob store", number);
    return NULL;
}

struct archived_version *archived_version_free(struct archived_version *version)
{
    if (version)
        cairn_buf_done(&version->bytes);
    free(version);
    return NULL;
}

/* --- which runs are there: a sorted list of hashes --- */

static int compare_hashes(const void *a, const void *b)
{
    return memcmp(a, b, CAIRN_SHA256_BYTES);
}

static bool has_hash(const struct cairn_buf *hashes, const uint8_t *hash)
{
    return hashes->size &&
           bsearch(hash, hashes->data, hashes->size / CAIRN_SHA256_BYTES, CAIRN_SHA256_BYTES, compare_hashes);
}

static void sort_hashes(struct cairn_buf *hashes)
{
    if (hashes->size)
        qsort(hashes->data, hashes->size / CAIRN_SHA256_BYTES, CAIRN_SHA256_BYTES, compare_hashes);
}

/* A version as the list has it, for the task. */
struct item {
    uint64_t number, cut;
    bool scheduled, archived;
    struct cairn_buf numbers; /* of the shards' versions, u64 each; none: it is damaged */
};

struct items {
    struct item *at;
    size_t count;
};

static struct items copy_list(struct cairn_store *store)
{
    struct taking *taking = &history_of(store)->taking;
    struct items items = {0};

    pthread_mutex_lock(&taking->lock);
    items.at = cairn_alloc_zeroed(taking->count + 1, sizeof *items.at);
    for (; items.count < taking->count; items.count++) {
        const struct node_version *version = &taking->versions[items.count];
        struct item *item = &items.at[items.count];

        *item = (struct item){.number = version->number,
                              .cut = version->cut,
                              .scheduled = version->scheduled,
                              .archived = version->archived};
        for (uint32_t i = 0; version->shards && i < version->count; i++)
            ids_add(&item->numbers, version->shards[i].number);
    }
    pthread_mutex_unlock(&taking->lock);
    return items;
}

static void items_done(struct items *items)
{
    for (size_t i = 0; i < items->count; i++)
        cairn_buf_done(&items->at[i].numbers);
    free(items->at);
}

/* The hashes of a version's runs, appended. */
static enum cairn_code add_hashes(struct cairn_store *store, const struct item *item, struct cairn_buf *hashes,
                                  struct cairn_err *err)
{
    enum cairn_code code = CAIRN_OK;

    if (!item->numbers.size)
        return cairn_fail(err, CAIRN_ECORRUPT, "the list of what version %" PRIu64 " needs is lost", item->number);
    for (uint32_t i = 0; code == CAIRN_OK && i + 1 < store_count(store); i++) {
        struct version_manifest manifest;

        code = version_manifest_read(shard_disk(cairn_store_shard(store, i)),
                                     cairn_get_u64(item->numbers.data + 8 * (size_t)i), &manifest, err);
        for (size_t k = 0; code == CAIRN_OK && k < manifest.version.run_count; k++)
            cairn_buf_add(hashes, manifest.version.runs[k].sha256, CAIRN_SHA256_BYTES);
        if (code == CAIRN_OK)
            version_manifest_done(&manifest);
    }
    return code;
}

/* After an opening: what the versions have that are there. */
static void find_hashes(struct archive *archive)
{
    struct items items = copy_list(archive->store);
    struct cairn_err ignored; /* what is put again does no harm */

    for (size_t i = 0; i < items.count; i++)
        if (items.at[i].archived)
            add_hashes(archive->store, &items.at[i], &archive->hashes, &ignored);
    sort_hashes(&archive->hashes);
    items_done(&items);
}

/* --- putting one --- */

static enum cairn_code put_runs(struct archive *archive, struct cairn_disk *disk, const struct version *version,
                                struct cairn_err *err)
{
    struct cairn_buf put = {0};
    enum cairn_code code = CAIRN_OK;

    for (size_t i = 0; code == CAIRN_OK && i < version->run_count; i++) {
        const struct run_about *about = &version->runs[i];

        if (has_hash(&archive->hashes, about->sha256))
            continue;
        if (atomic_load(&archive->closing))
            code = cairn_fail(err, CAIRN_EOVERLOAD, "the node is stopping; the next start goes on");
        else
            code = remote_check_run(disk, about, err);
        if (code == CAIRN_OK)
            code = remote_put_run(archive->remote, disk, about, err);
        if (code == CAIRN_OK)
            cairn_buf_add(&put, about->sha256, sizeof about->sha256);
    }
    cairn_buf_add(&archive->hashes, put.data, put.size);
    if (put.size)
        sort_hashes(&archive->hashes);
    cairn_buf_done(&put);
    return code;
}

static enum cairn_code put_version(struct archive *archive, uint64_t number, struct cairn_err *err)
{
    struct cairn_store *store = archive->store;
    struct cairn_buf record = {0}, bytes = {0};
    struct node_version version = {0};
    enum cairn_code code = node_version_get(store_options(store)->disk, number, &record, &version, err);

    if (code == CAIRN_OK && !archive->hashes.size)
        find_hashes(archive);
    if (code == CAIRN_OK)
        code = archive_put_modules(archive, err);
    begin(&bytes, version.count, store_log(store)->epoch);
    add(&bytes, cairn_buf_bytes(&record));
    for (uint32_t i = 0; code == CAIRN_OK && i < version.count; i++) {
        struct version_manifest manifest;
        struct cairn_disk *disk = shard_disk(cairn_store_shard(store, i));

        code = version_manifest_read(disk, version.shards[i].number, &manifest, err);
        if (code != CAIRN_OK)
            break;
        add(&bytes, cairn_buf_bytes(&manifest.bytes));
        code = put_runs(archive, disk, &manifest.version, err);
        version_manifest_done(&manifest);
    }
    cairn_seal_end(&bytes, 0);
    if (code == CAIRN_OK)
        code = remote_put_manifest(archive->remote, number, cairn_buf_bytes(&bytes), err);
    node_version_done(&version);
    cairn_buf_done(&record);
    cairn_buf_done(&bytes);
    return code;
}

/* --- garbage --- */

/* Any moment is kept that the oldest version leads to which the schedule keeps, or without a schedule the oldest. */
static uint64_t trim_position(const struct items *items)
{
    uint64_t oldest = items->count ? items->at[0].cut : 0;

    for (size_t i = 0; i < items->count; i++)
        if (items->at[i].scheduled && items->at[i].archived)
            return items->at[i].cut;
    return oldest;
}

static enum cairn_code sweep(struct archive *archive, struct cairn_err *err)
{
    struct cairn_store *store = archive->store;
    struct items items = copy_list(store);
    struct cairn_buf needed = {0};
    uint64_t grace_ms = store_options(store)->archive_grace_ms ? store_options(store)->archive_grace_ms : GRACE_MS,
             bytes;
    enum cairn_code code = CAIRN_OK;

    for (size_t i = 0; code == CAIRN_OK && i < items.count; i++)
        code = add_hashes(store, &items.at[i], &needed, err);
    sort_hashes(&needed);
    if (code == CAIRN_ECORRUPT || code == CAIRN_ENOTFOUND) { /* a file is damaged, or has just been removed */
        code = CAIRN_OK;
        goto out;
    }
    if (code == CAIRN_OK)
        code = remote_collect(archive->remote, &needed, grace_ms, &bytes, err);
    if (code == CAIRN_OK)
        code = remote_check(archive->remote, err);
    if (code == CAIRN_OK)
        code = archive_trim(archive, trim_position(&items), grace_ms, err);
    archive->hashes.size = 0; /* found anew: what is garbage may be gone */
out:
    pthread_mutex_lock(&archive->lock);
    archive->sweeps &= code != CAIRN_OK;
    pthread_mutex_unlock(&archive->lock);
    cairn_buf_done(&needed);
    items_done(&items);
    return code;
}

/* --- the task --- */

/* The newest that is not there and may be tried; 0: there is none. */
static uint64_t next_version(struct cairn_store *store, bool retry)
{
    struct taking *taking = &history_of(store)->taking;
    uint64_t now = store_options(store)->clock->monotonic_ns(store_options(store)->clock), number = 0;

    pthread_mutex_lock(&taking->lock);
    for (size_t i = 0; i < taking->count; i++) {
        const struct node_version *version = &taking->versions[i];

        if (version->shards && !version->archived && !version->lacks && (retry || now >= version->retry_ns))
            number = version->number;
    }
    pthread_mutex_unlock(&taking->lock);
    return number;
}

/* False: there is none any more. */
static bool note(struct cairn_store *store, uint64_t number, enum cairn_code code)
{
    struct taking *taking = &history_of(store)->taking;
    bool found = false;

    pthread_mutex_lock(&taking->lock);
    for (size_t i = 0; i < taking->count; i++) {
        struct node_version *version = &taking->versions[i];

        if (version->number != number)
            continue;
        found = true;
        version->archived |= code == CAIRN_OK;
        version->lacks = code == CAIRN_ENOTFOUND;
        version->retry_ns = store_options(store)->clock->monotonic_ns(store_options(store)->clock) + RETRY_NS;
    }
    pthread_mutex_unlock(&taking->lock);
    return found;
}

static enum cairn_code work_on_version(struct archive *archive, uint64_t number, struct cairn_err *err)
{
    struct cairn_store *store = archive->store;
    enum cairn_code code = put_version(archive, number, err);

    if (!note(store, number, code)) /* it was forgotten meanwhile */
        code = CAIRN_OK;
    return code;
}

static enum cairn_code work_on_removed(struct archive *archive, uint64_t number, struct cairn_err *err)
{
    enum cairn_code code = remote_remove_manifest(archive->remote, number, err);

    pthread_mutex_lock(&archive->lock);
    if (code == CAIRN_OK)
        ids_strike(&archive->removed, number);
    archive->sweeps |= code == CAIRN_OK;
    pthread_mutex_unlock(&archive->lock);
    return code;
}

static void run(struct cairn_task *task)
{
    struct archive_work *work = cairn_container(task, struct archive_work, task);
    struct archive *archive = cairn_container(work, struct archive, versions);
    struct cairn_store *store = archive->store;
    uint64_t number, removed = 0;
    struct cairn_err err = {0};
    enum cairn_code code = CAIRN_OK;
    bool sweeps, retry;

    pthread_mutex_lock(&archive->lock);
    retry = archive->retry;
    pthread_mutex_unlock(&archive->lock);
    number = next_version(store, retry);
    pthread_mutex_lock(&archive->lock);
    if (archive->removed.size)
        removed = cairn_get_u64(archive->removed.data);
    sweeps = archive->sweeps;
    pthread_mutex_unlock(&archive->lock);
    if (number)
        code = work_on_version(archive, number, &err);
    else if (removed)
        code = work_on_removed(archive, removed, &err);
    else if (sweeps)
        code = sweep(archive, &err);
    node_versions_archived(store, number, code, &err);
    store_wake_close(store);
    archive_work_done(archive, work, code, &err); /* the last that is touched: the store may be closed then */
}

void archive_step_versions(struct cairn_store *store, bool retry)
{
    struct archive *archive = &history_of(store)->archive;
    struct archive_work *work = &archive->versions;
    uint64_t now = store_options(store)->clock->monotonic_ns(store_options(store)->clock);
    uint64_t next;
    bool any, submit;

    if (!atomic_load(&archive->versions_left))
        return;
    atomic_store(&archive->versions_left, false); /* the next version sets it again */
    next = next_version(store, retry);
    pthread_mutex_lock(&archive->lock);
    any = next || archive->removed.size || archive->sweeps;
    submit = any && !work->busy && (retry || !work->pause_ns || now >= work->retry_ns);
    work->busy |= submit;
    archive->retry = submit ? retry : archive->retry;
    pthread_mutex_unlock(&archive->lock);
    if (any || node_versions_pending(store))
        atomic_store(&archive->versions_left, true);
    if (!submit)
        return;
    work->task.run = run;
    cairn_tasks_submit(store_options(store)->tasks, &work->task);
}

/* --- from outside --- */

/* A record that is damaged here: what it says is there. */
static enum cairn_code mend(struct cairn_store *store, uint64_t number, struct cairn_err *err)
{
    struct taking *taking = &history_of(store)->taking;
    struct node_version version;
    struct archived_version *archived;
    enum cairn_code code;

    for (size_t i = 0; i < taking->count; i++) {
        if (taking->versions[i].number != number || taking->versions[i].shards)
            continue;
        archived = archived_version_get(history_of(store)->archive.remote, number, &version, err);
        code = archived ? node_version_write(store_options(store)->disk, &version, err) : err->code;
        archived = archived_version_free(archived);
        if (code == CAIRN_ECORRUPT || code == CAIRN_EVERSION)
            return CAIRN_OK; /* it stays unknown */
        if (code != CAIRN_OK)
            return code;
        cairn_buf_done(&version.system);
        cairn_buf_done(&version.records);
        taking->versions[i] = version;
    }
    return CAIRN_OK;
}

enum cairn_code archive_match_versions(struct cairn_store *store, struct cairn_err *err)
{
    struct archive *archive = &history_of(store)->archive;
    enum cairn_code code = CAIRN_OK;
    uint64_t number;

    for (size_t i = 0; code == CAIRN_OK && remote_version(archive->remote, i, &number); i++) {
        code = mend(store, number, err);
        if (code == CAIRN_OK && !note(store, number, CAIRN_OK))
            ids_insert(&archive->removed, number);
    }
    archive->sweeps = true;
    atomic_store(&archive->versions_left, true);
    return code;
}

void archive_forget_version(struct cairn_store *store, uint64_t number)
{
    struct archive *archive = &history_of(store)->archive;

    if (!archive->blob)
        return;
    pthread_mutex_lock(&archive->lock);
    ids_insert(&archive->removed, number);
    pthread_mutex_unlock(&archive->lock);
    atomic_store(&archive->versions_left, true);
}

enum cairn_code archive_fetch_run(void *context, const struct run_about *about, struct cairn_err *err)
{
    struct cairn_shard *shard = context;
    struct archive *archive = &history_of(shard_store(shard))->archive;

    if (!archive->remote)
        return cairn_fail(err, CAIRN_ECORRUPT,
                          "'" RUN_DIR "/%" PRIu64 ".run' in '%s' is missing: start with the --blob that has it, put a "
                          "copy of it in its place, or restore a version that does not have it",
                          about->id, shard_disk(shard)->root);
    return remote_get_run(archive->remote, shard_disk(shard), about, NULL, err);
}
