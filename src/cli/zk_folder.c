#include "cli/zk_folder.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "io/disk.h"

enum { PORTION_BYTES = 1 << 20 };

/* --- a file, portion by portion --- */

struct reading {
    struct cairn_zk_database *database;
    bool ended; /* a snapshot is whole */
};

static enum cairn_code take_item(struct reading *reading, const struct cairn_zk_file_item *item, struct cairn_err *err)
{
    return item->kind == CAIRN_ZK_ITEM_TXN ? cairn_zk_database_apply(reading->database, item, err)
                                           : cairn_zk_database_add(reading->database, item, err);
}

/* What there is in the window; *ret_used of it is done with. */
static enum cairn_code take_window(struct reading *reading, struct cairn_zk_file *file, struct cairn_bytes window,
                                   size_t *ret_used, bool *ret_over, struct cairn_err *err)
{
    enum cairn_code code = CAIRN_OK;

    for (*ret_used = 0; code == CAIRN_OK;) {
        struct cairn_zk_file_item item;
        size_t used;
        enum cairn_zk_file_step step =
            cairn_zk_file_next(file, cairn_bytes(window.data + *ret_used, window.size - *ret_used), &used, &item, err);

        *ret_used += used;
        if (step == CAIRN_ZK_FILE_BAD)
            return err->code;
        if (step != CAIRN_ZK_FILE_ITEM) {
            reading->ended |= step == CAIRN_ZK_FILE_END;
            *ret_over = step == CAIRN_ZK_FILE_END;
            return CAIRN_OK;
        }
        code = take_item(reading, &item, err);
    }
    return code;
}

static enum cairn_code read_portions(struct reading *reading, struct cairn_disk *disk, struct cairn_file *from,
                                     enum cairn_zk_file_kind kind, struct cairn_err *err)
{
    struct cairn_buf window = {0};
    struct cairn_zk_file file;
    uint64_t bytes, at = 0;
    bool over = false;
    enum cairn_code code = disk->ops->size(from, &bytes, err);

    cairn_zk_file_begin(&file, kind);
    while (code == CAIRN_OK && !over && at < bytes) {
        size_t more = bytes - at < PORTION_BYTES ? (size_t)(bytes - at) : PORTION_BYTES, used;

        code = disk->ops->read_at(from, at, cairn_buf_reserve(&window, more), more, err);
        if (code != CAIRN_OK)
            break;
        window.size += more;
        at += more;
        code = take_window(reading, &file, cairn_buf_bytes(&window), &used, &over, err);
        cairn_buf_consume(&window, used);
    }
    cairn_buf_done(&window);
    return code;
}

static enum cairn_code read_file(struct reading *reading, struct cairn_disk *disk, enum cairn_zk_file_kind kind,
                                 uint64_t zxid, struct cairn_err *err)
{
    struct cairn_file *from = NULL;
    char name[64];
    enum cairn_code code;

    snprintf(name, sizeof name, "%s%" PRIx64, kind == CAIRN_ZK_SNAPSHOT ? "snapshot." : "log.", zxid);
    reading->ended = false;
    code = disk->ops->open(disk, name, CAIRN_OPEN_READ, &from, err);
    if (code == CAIRN_OK)
        code = read_portions(reading, disk, from, kind, err);
    disk->ops->close(from);
    if (code == CAIRN_OK && kind == CAIRN_ZK_SNAPSHOT && !reading->ended)
        code = cairn_fail(err, CAIRN_ECORRUPT, "it is cut off");
    return code == CAIRN_OK ? code : cairn_while(err, "reading '%s/%s'", disk->root, name);
}

/* --- which files --- */

struct files {
    enum cairn_zk_file_kind kind;
    uint64_t *zxids;
    size_t count, room;
};

static void take_name(void *context, const char *name)
{
    struct files *files = context;
    uint64_t zxid;

    if (!cairn_zk_file_name(name, files->kind, &zxid))
        return;
    if (files->count == files->room) {
        files->room = files->room ? 2 * files->room : 64;
        files->zxids = cairn_realloc(files->zxids, files->room * sizeof *files->zxids);
    }
    files->zxids[files->count++] = zxid;
}

static int by_number(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return (x > y) - (x < y);
}

static enum cairn_code list(struct cairn_disk *disk, enum cairn_zk_file_kind kind, struct files *files,
                            struct cairn_err *err)
{
    enum cairn_code code;

    *files = (struct files){.kind = kind};
    code = disk->ops->list(disk, "", take_name, files, err);
    if (files->count)
        qsort(files->zxids, files->count, sizeof *files->zxids, by_number);
    return code;
}

/* The newest that is whole. */
static enum cairn_code read_snapshot(const struct cairn_zk_folder *folder, struct cairn_disk *disk,
                                     struct cairn_zk_database **ret_database, struct cairn_err *err)
{
    struct files files;
    enum cairn_code code = list(disk, CAIRN_ZK_SNAPSHOT, &files, err);

    if (code == CAIRN_OK && !files.count)
        code = cairn_fail(err, CAIRN_ENOTFOUND, "'%s' has no snapshot of ZooKeeper: name its dataDir", disk->root);
    for (size_t i = files.count; code == CAIRN_OK && i-- > 0;) {
        struct reading reading = {.database = cairn_zk_database_create(folder->bytes_max)};

        code = read_file(&reading, disk, CAIRN_ZK_SNAPSHOT, files.zxids[i], err);
        if (code == CAIRN_OK) {
            cairn_zk_database_set_zxid(reading.database, files.zxids[i]);
            *ret_database = reading.database;
            break;
        }
        cairn_zk_database_destroy(reading.database);
        if (code == CAIRN_ECORRUPT && i) {
            folder->warn(folder->context, err->text);
            code = CAIRN_OK;
        }
    }
    free(files.zxids);
    return code;
}

/* From the one that has what comes right behind the snapshot. */
static enum cairn_code read_logs(struct cairn_disk *disk, struct cairn_zk_database *database, struct cairn_err *err)
{
    uint64_t zxid = cairn_zk_database_zxid(database);
    struct reading reading = {.database = database};
    struct files files;
    size_t first = 0;
    enum cairn_code code = list(disk, CAIRN_ZK_LOG, &files, err);

    while (first + 1 < files.count && files.zxids[first + 1] <= zxid + 1)
        first++;
    if (code == CAIRN_OK && files.count && files.zxids[first] > zxid + 1 && files.zxids[first] >> 32 == zxid >> 32)
        code =
            cairn_fail(err, CAIRN_ECORRUPT,
                       "'%s' has no log from 0x%" PRIx64 " on, where the snapshot ends: the first begins at 0x%" PRIx64,
                       disk->root, zxid + 1, files.zxids[first]);
    for (size_t i = first; code == CAIRN_OK && i < files.count; i++)
        code = read_file(&reading, disk, CAIRN_ZK_LOG, files.zxids[i], err);
    free(files.zxids);
    return code;
}

/* --- the folder --- */

/* The folder itself, or its version-2. */
static enum cairn_code open_folder(const char *path, struct cairn_disk **ret_disk, struct cairn_err *err)
{
    char below[CAIRN_PATH_BYTES];
    char *real;
    enum cairn_code code;

    snprintf(below, sizeof below, "%s/version-2", path);
    real = cairn_path_real(below);
    if (!real)
        real = cairn_path_real(path);
    if (!real) /* opening it would make it */
        return cairn_fail(err, CAIRN_ENOTFOUND, "there is no folder '%s'", path);
    code = cairn_disk_open(real, ret_disk, err);
    free(real);
    return code;
}

enum cairn_code cairn_zk_folder_read(const struct cairn_zk_folder *folder, struct cairn_zk_database **ret_database,
                                     struct cairn_err *err)
{
    struct cairn_disk *data = NULL, *logs = NULL;
    struct cairn_zk_database *database = NULL;
    enum cairn_code code = open_folder(folder->data, &data, err);

    if (code == CAIRN_OK && folder->logs)
        code = open_folder(folder->logs, &logs, err);
    if (code == CAIRN_OK)
        code = read_snapshot(folder, data, &database, err);
    if (code == CAIRN_OK)
        code = read_logs(logs ? logs : data, database, err);
    cairn_disk_close(logs);
    cairn_disk_close(data);
    if (code == CAIRN_OK)
        *ret_database = database;
    else
        cairn_zk_database_destroy(database);
    return code;
}
