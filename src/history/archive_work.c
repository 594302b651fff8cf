/* archive_work.c - what the archive's tasks share: when one is tried again, and module files; see archive.h. */
#include <stdio.h>

#include "history/history_internal.h"

enum { PAUSES_MAX = 32 };

#define PAUSE_NS UINT64_C(1000000000)
#define EVERY_NS UINT64_C(10000000000)

void archive_work_done(struct archive *archive, struct archive_work *work, enum cairn_code code,
                       const struct cairn_err *err)
{
    struct cairn_clock *clock = store_options(archive->store)->clock;
    uint64_t now = clock->monotonic_ns(clock);

    pthread_mutex_lock(&archive->lock);
    if (code == CAIRN_OK) {
        work->pause_ns = work->failing_ns = 0;
    } else {
        if (!work->failing_ns)
            work->failing_ns = now;
        work->err = *err;
        archive->failures++;
        work->pause_ns = work->pause_ns ? 2 * work->pause_ns : PAUSE_NS;
        if (work->pause_ns > PAUSES_MAX * PAUSE_NS)
            work->pause_ns = PAUSES_MAX * PAUSE_NS;
        work->retry_ns = now + work->pause_ns;
    }
    work->busy = false;
    pthread_mutex_unlock(&archive->lock);
}

uint64_t archive_every_ns(const struct cairn_store *store)
{
    return store_options(store)->archive_every_ns ? store_options(store)->archive_every_ns : EVERY_NS;
}

/* --- module files: they are put before anything that may name them --- */

static void take_blob(void *context, const char *name, uint64_t bytes, uint64_t age_ms)
{
    (void)bytes;
    (void)age_ms;
    cairn_buf_add(context, name, strlen(name) + 1);
}

enum cairn_code archive_list_modules(struct archive *archive, struct cairn_err *err)
{
    enum cairn_code code;

    archive->names.size = 0;
    code = archive->blob->ops->list(archive->blob, CAIRN_STORE_MODULES_DIR, take_blob, &archive->names, err);
    return code == CAIRN_ENOTFOUND ? CAIRN_OK : code;
}

static bool has_name(const struct cairn_buf *names, const char *name)
{
    for (size_t at = 0; at < names->size; at += strlen((const char *)names->data + at) + 1)
        if (strcmp((const char *)names->data + at, name) == 0)
            return true;
    return false;
}

static void take_name(void *context, const char *name)
{
    size_t size = strlen(name);

    if (size > 4 && strcmp(name + size - 5, ".wasm") == 0)
        cairn_buf_add(context, name, size + 1);
}

static enum cairn_code put_modules(struct archive *archive, struct cairn_err *err)
{
    struct cairn_disk *disk = store_options(archive->store)->disk;
    struct cairn_buf here = {0};
    size_t before = archive->names.size;
    enum cairn_code code = disk->ops->list(disk, CAIRN_STORE_MODULES_DIR, take_name, &here, err);

    if (code == CAIRN_ENOTFOUND)
        code = CAIRN_OK;
    for (size_t at = 0; code == CAIRN_OK && at < here.size; at += strlen((const char *)here.data + at) + 1) {
        const char *name = (const char *)here.data + at;
        char path[CAIRN_PATH_BYTES];

        if (has_name(&archive->names, name))
            continue;
        snprintf(path, sizeof path, CAIRN_STORE_MODULES_DIR "/%s", name);
        code = archive->blob->ops->put_file(archive->blob, path, disk, path, NULL, err);
        if (code == CAIRN_OK)
            cairn_buf_add(&archive->names, name, strlen(name) + 1);
        if (code == CAIRN_ENOTFOUND) /* it is gone: no module needs it */
            code = CAIRN_OK;
    }
    if (code == CAIRN_OK && archive->names.size > before)
        code = archive_head_put(archive, &archive->head, err);
    if (code != CAIRN_OK)
        archive->names.size = before; /* the head does not name them: they are put again */
    cairn_buf_done(&here);
    return code;
}

enum cairn_code archive_put_modules(struct archive *archive, struct cairn_err *err)
{
    enum cairn_code code;

    pthread_mutex_lock(&archive->files);
    code = put_modules(archive, err);
    pthread_mutex_unlock(&archive->files);
    return code;
}
