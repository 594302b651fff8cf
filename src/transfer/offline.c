#include "transfer/offline.h"

#include <stdlib.h>

#include "history/history.h"
#include "history/previous.h"
#include "io/scratch.h"
#include "log/wal.h"

enum { THREADS = 4 };

struct cairn_offline {
    struct cairn_disk *below, *scratch, *disk; /* disk: the one over the other */
    struct cairn_disk *put;                    /* of a blob store: where what is put goes */
    struct cairn_blob *blob_below, *blob_above, *blob;
    struct cairn_tasks *tasks;
    struct cairn_store *store;
    struct cairn_moment *moment;
};

/* Nothing is made where nothing is. */
static enum cairn_code check_is_there(const char *data, struct cairn_err *err)
{
    char *path = cairn_path_real(data);

    free(path);
    return path ? CAIRN_OK : cairn_fail(err, CAIRN_ENOTFOUND, "there is no data folder in '%s'", data);
}

static enum cairn_code check_is_folder(struct cairn_disk *disk, struct cairn_err *err)
{
    struct cairn_buf ignored = {0};
    enum cairn_code code = cairn_disk_read_file(disk, "FORMAT", CAIRN_PATH_BYTES, &ignored, err);

    cairn_buf_done(&ignored);
    if (code == CAIRN_ENOTFOUND)
        return cairn_fail(err, code, "there is no data folder in '%s'", disk->root);
    return code == CAIRN_ELIMIT ? CAIRN_OK : code;
}

static enum cairn_code open_store(struct cairn_offline *offline, const struct cairn_offline_options *o,
                                  struct cairn_err *err)
{
    struct cairn_wal_opener wal;
    struct cairn_store_options options = {
        .disk = offline->disk,
        .clock = cairn_clock_system(),
        .tasks = offline->tasks,
        .log = &wal.opener,
        .tap = cairn_history_tap,
        .archive = offline->blob,
        .recover = offline->blob != NULL,
        .previous = true,
        .on_warning = o->on_warning,
        .on_recovery = o->on_stage,
        .context = o->context,
    };
    enum cairn_code code;

    cairn_wal_opener_init(&wal, &(struct cairn_wal_options){.threaded = true});
    code = cairn_store_open(&options, &offline->store, err);

    if (code == CAIRN_ELOCKED && o->data)
        cairn_while(err, "opening '%s' (without --data the node that is on it is asked)", o->data);
    return code;
}

static enum cairn_code open_folder(struct cairn_offline *offline, const struct cairn_offline_options *options,
                                   struct cairn_err *err)
{
    enum cairn_code code = check_is_there(options->data, err);

    if (code == CAIRN_OK)
        code = cairn_disk_open(options->data, &offline->below, err);
    if (code == CAIRN_OK)
        code = check_is_folder(offline->below, err);
    if (code == CAIRN_OK)
        offline->disk = cairn_disk_over(offline->below, offline->scratch);
    return code;
}

/* A new folder is filled from it, in the scratch folder. */
static enum cairn_code open_blob(struct cairn_offline *offline, const struct cairn_offline_options *options,
                                 struct cairn_err *err)
{
    bool previous;
    enum cairn_code code = cairn_blob_open(options->blob, &offline->blob_below, err);

    if (code == CAIRN_OK)
        code = cairn_disk_folder(offline->scratch, "blob", &offline->put, err);
    if (code == CAIRN_OK)
        code = cairn_disk_folder(offline->scratch, "data", &offline->disk, err);
    if (code != CAIRN_OK)
        return code;
    offline->blob_above = cairn_blob_on_disk(offline->put);
    offline->blob = cairn_blob_over(offline->blob_below, offline->blob_above);
    return cairn_previous_translate(offline->blob, &previous, err);
}

enum cairn_code cairn_offline_open(const struct cairn_offline_options *options, struct cairn_offline **ret_offline,
                                   struct cairn_err *err)
{
    struct cairn_offline *offline = cairn_alloc_zeroed(1, sizeof *offline);
    enum cairn_code code = cairn_scratch_open(&offline->scratch, err);

    if (code == CAIRN_OK)
        code = options->data ? open_folder(offline, options, err) : open_blob(offline, options, err);
    if (code == CAIRN_OK) {
        offline->tasks = cairn_tasks_create(THREADS);
        code = open_store(offline, options, err);
    }
    if (code == CAIRN_OK) {
        offline->moment = cairn_moment_still(offline->store);
        *ret_offline = offline;
    } else {
        cairn_offline_close(offline);
    }
    return code;
}

struct cairn_moment *cairn_offline_moment(struct cairn_offline *offline)
{
    return offline->moment;
}

struct cairn_disk *cairn_offline_disk(struct cairn_offline *offline)
{
    return offline->disk;
}

struct cairn_offline *cairn_offline_close(struct cairn_offline *offline)
{
    if (!offline)
        return NULL;
    cairn_moment_close(offline->moment);
    cairn_store_abandon(offline->store);
    if (offline->tasks)
        cairn_tasks_destroy(offline->tasks);
    cairn_blob_close(offline->blob);
    cairn_blob_close(offline->blob_above);
    cairn_blob_close(offline->blob_below);
    if (offline->put)
        cairn_disk_close(offline->put);
    if (offline->disk)
        cairn_disk_close(offline->disk);
    cairn_scratch_close(offline->scratch);
    if (offline->below)
        cairn_disk_close(offline->below);
    free(offline);
    return NULL;
}
