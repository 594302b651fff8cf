/* disk_folder.c - a folder of a disk as a disk of its own. */
#include <stdio.h>
#include <stdlib.h>

#include "base/list.h"
#include "io/disk.h"

struct folder {
    struct cairn_disk disk;
    struct cairn_disk *parent;
    char path[]; /* in the parent */
};

/* The path in the parent; CAIRN_ELIMIT when it is too long. */
static enum cairn_code path_in(struct cairn_disk *disk, const char *path, char ret_path[CAIRN_PATH_BYTES],
                               struct cairn_err *err)
{
    const struct folder *folder = cairn_container(disk, struct folder, disk);
    int size = snprintf(ret_path, CAIRN_PATH_BYTES, *path ? "%s/%s" : "%s", folder->path, path);

    if (size < 0 || size >= CAIRN_PATH_BYTES)
        return cairn_fail(err, CAIRN_ELIMIT, "'%s/%s' is too long a path", disk->root, path);
    return CAIRN_OK;
}

static struct cairn_disk *parent_of(struct cairn_disk *disk)
{
    return cairn_container(disk, struct folder, disk)->parent;
}

/* --- files: they are the parent's --- */

static enum cairn_code folder_read_at(struct cairn_file *file, uint64_t offset, void *to, size_t size,
                                      struct cairn_err *err)
{
    return file->disk->ops->read_at(file, offset, to, size, err);
}

static enum cairn_code folder_write_at(struct cairn_file *file, uint64_t offset, const void *from, size_t size,
                                       struct cairn_err *err)
{
    return file->disk->ops->write_at(file, offset, from, size, err);
}

static enum cairn_code folder_sync(struct cairn_file *file, struct cairn_err *err)
{
    return file->disk->ops->sync(file, err);
}

static enum cairn_code folder_size(struct cairn_file *file, uint64_t *ret_bytes, struct cairn_err *err)
{
    return file->disk->ops->size(file, ret_bytes, err);
}

static void folder_close(struct cairn_file *file)
{
    if (file)
        file->disk->ops->close(file);
}

/* --- names --- */

static enum cairn_code folder_open(struct cairn_disk *disk, const char *path, unsigned flags,
                                   struct cairn_file **ret_file, struct cairn_err *err)
{
    char whole[CAIRN_PATH_BYTES];
    enum cairn_code code = path_in(disk, path, whole, err);

    return code == CAIRN_OK ? parent_of(disk)->ops->open(parent_of(disk), whole, flags, ret_file, err) : code;
}

static enum cairn_code folder_rename(struct cairn_disk *disk, const char *from, const char *to, struct cairn_err *err)
{
    char whole_from[CAIRN_PATH_BYTES], whole_to[CAIRN_PATH_BYTES];
    enum cairn_code code = path_in(disk, from, whole_from, err);

    if (code == CAIRN_OK)
        code = path_in(disk, to, whole_to, err);
    return code == CAIRN_OK ? parent_of(disk)->ops->rename(parent_of(disk), whole_from, whole_to, err) : code;
}

static enum cairn_code folder_rename_new(struct cairn_disk *disk, const char *from, const char *to,
                                         struct cairn_err *err)
{
    char whole_from[CAIRN_PATH_BYTES], whole_to[CAIRN_PATH_BYTES];
    enum cairn_code code = path_in(disk, from, whole_from, err);

    if (code == CAIRN_OK)
        code = path_in(disk, to, whole_to, err);
    return code == CAIRN_OK ? parent_of(disk)->ops->rename_new(parent_of(disk), whole_from, whole_to, err) : code;
}

static enum cairn_code folder_remove(struct cairn_disk *disk, const char *path, struct cairn_err *err)
{
    char whole[CAIRN_PATH_BYTES];
    enum cairn_code code = path_in(disk, path, whole, err);

    return code == CAIRN_OK ? parent_of(disk)->ops->remove(parent_of(disk), whole, err) : code;
}

static enum cairn_code folder_make_dir(struct cairn_disk *disk, const char *path, struct cairn_err *err)
{
    char whole[CAIRN_PATH_BYTES];
    enum cairn_code code = path_in(disk, path, whole, err);

    return code == CAIRN_OK ? parent_of(disk)->ops->make_dir(parent_of(disk), whole, err) : code;
}

static enum cairn_code folder_sync_dir(struct cairn_disk *disk, const char *path, struct cairn_err *err)
{
    char whole[CAIRN_PATH_BYTES];
    enum cairn_code code = path_in(disk, path, whole, err);

    return code == CAIRN_OK ? parent_of(disk)->ops->sync_dir(parent_of(disk), whole, err) : code;
}

static enum cairn_code folder_list(struct cairn_disk *disk, const char *path,
                                   void (*visit)(void *context, const char *name), void *context, struct cairn_err *err)
{
    char whole[CAIRN_PATH_BYTES];
    enum cairn_code code = path_in(disk, path, whole, err);

    return code == CAIRN_OK ? parent_of(disk)->ops->list(parent_of(disk), whole, visit, context, err) : code;
}

static enum cairn_code folder_age(struct cairn_disk *disk, const char *path, uint64_t *ret_bytes, uint64_t *ret_age_ms,
                                  struct cairn_err *err)
{
    char whole[CAIRN_PATH_BYTES];
    enum cairn_code code = path_in(disk, path, whole, err);

    return code == CAIRN_OK ? parent_of(disk)->ops->age(parent_of(disk), whole, ret_bytes, ret_age_ms, err) : code;
}

/* The parent's is the whole disk's. */
static enum cairn_code folder_lock(struct cairn_disk *disk, struct cairn_err *err)
{
    return parent_of(disk)->ops->lock(parent_of(disk), err);
}

static struct cairn_disk *folder_close_disk(struct cairn_disk *disk)
{
    free(disk->root);
    free(cairn_container(disk, struct folder, disk));
    return NULL;
}

static const struct cairn_disk_ops ops = {
    .open = folder_open,
    .read_at = folder_read_at,
    .write_at = folder_write_at,
    .sync = folder_sync,
    .size = folder_size,
    .close = folder_close,
    .rename = folder_rename,
    .rename_new = folder_rename_new,
    .remove = folder_remove,
    .make_dir = folder_make_dir,
    .sync_dir = folder_sync_dir,
    .list = folder_list,
    .age = folder_age,
    .lock = folder_lock,
    .close_disk = folder_close_disk,
};

enum cairn_code cairn_disk_folder(struct cairn_disk *parent, const char *path, struct cairn_disk **ret_disk,
                                  struct cairn_err *err)
{
    struct folder *folder;
    struct cairn_buf root = {0};
    char above[CAIRN_PATH_BYTES];
    const char *slash = strrchr(path, '/');
    enum cairn_code code = parent->ops->make_dir(parent, path, err);

    snprintf(above, sizeof above, "%.*s", slash ? (int)(slash - path) : 0, path);
    if (code == CAIRN_OK)
        code = parent->ops->sync_dir(parent, above, err);
    if (code != CAIRN_OK)
        return code;
    folder = cairn_alloc_zeroed(1, sizeof *folder + strlen(path) + 1);
    folder->disk.ops = &ops;
    folder->parent = parent;
    memcpy(folder->path, path, strlen(path) + 1);
    cairn_buf_printf(&root, "%s/%s", parent->root, path);
    folder->disk.root = cairn_bytes_dup(cairn_buf_bytes(&root));
    cairn_buf_done(&root);
    *ret_disk = &folder->disk;
    return CAIRN_OK;
}
