#include "server/house_keeper.h"

#include <stdlib.h>

#include "fn/builtin.h"
#include "history/history.h"

enum { THREADS = 8 };

#define FOLDER "blobs"

static void ignore_name(void *context, const char *name)
{
    (void)context;
    (void)name;
}

/* keeper_past.look: nothing may go while the blob store is another node's, or may be. */
static bool look_at_past(void *context, uint64_t *ret_oldest, uint64_t *ret_oldest_ms, uint64_t *ret_newest)
{
    const struct cairn_house_keeper *keeper = context;
    struct cairn_store_version *versions;
    struct cairn_archive_report report;
    size_t room = cairn_store_versions(keeper->store, NULL, 0) + 8, count;

    cairn_store_archive(keeper->store, &report);
    if (report.state != CAIRN_ARCHIVE_NONE && report.state != CAIRN_ARCHIVE_OK)
        return false;
    versions = cairn_alloc(room * sizeof *versions);
    count = cairn_store_versions(keeper->store, versions, room);
    for (size_t i = 0; i < count && i < room; i++) {
        *ret_oldest = versions[i].number < *ret_oldest ? versions[i].number : *ret_oldest;
        *ret_oldest_ms = versions[i].time_ms < *ret_oldest_ms ? versions[i].time_ms : *ret_oldest_ms;
        *ret_newest = versions[i].number > *ret_newest ? versions[i].number : *ret_newest;
    }
    free(versions);
    return count <= room;
}

enum cairn_code cairn_house_keeper_open(struct cairn_house_keeper *keeper, const struct cairn_house_options *o,
                                        struct cairn_disk *disk, struct cairn_blob *blob, struct cairn_store *store,
                                        struct cairn_err *err)
{
    enum cairn_code code;

    keeper->store = store;
    keeper->options = (struct keeper_options){
        .module = cairn_builtin_wasm("keeper"),
        .store = blob,
        .blob_bytes = o->keeper_blob_bytes ? o->keeper_blob_bytes : UINT32_MAX,
        .cache_bytes = o->keeper_cache_bytes,
        .collect_every_ns = o->keeper_collect_ns,
        .past = {.look = look_at_past, .context = keeper},
    };
    if (!blob) {
        code = disk->ops->list(disk, FOLDER, ignore_name, NULL, err);
        if (code == CAIRN_ENOTFOUND && !o->keeper_blob_bytes)
            return CAIRN_OK;
        if (code == CAIRN_OK || code == CAIRN_ENOTFOUND)
            code = cairn_disk_folder(disk, FOLDER, &keeper->disk, err);
        if (code != CAIRN_OK)
            return code;
        keeper->options.store = keeper->own = cairn_blob_on_disk(keeper->disk);
    }
    keeper->options.tasks = keeper->tasks = cairn_tasks_create(THREADS);
    return CAIRN_OK;
}

void cairn_house_keeper_stop(struct cairn_house_keeper *keeper)
{
    keeper->tasks = cairn_tasks_destroy(keeper->tasks);
}

void cairn_house_keeper_close(struct cairn_house_keeper *keeper)
{
    cairn_blob_close(keeper->own);
    if (keeper->disk)
        cairn_disk_close(keeper->disk);
}
