/* disk_over.c - a disk over another one, which it leaves as it is: what is written goes elsewhere.
 *
 * A path is looked for above first, then below unless it was removed here.  A file of below that is opened for writing
 * is copied first.  Nothing here is to last, so that syncing does nothing. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/list.h"
#include "io/disk.h"

enum { COPY_BYTES = 1 << 20 };

struct over {
    struct cairn_disk disk;
    struct cairn_disk *below, *above;
    pthread_mutex_t lock;  /* guards `gone`, and is held while names change */
    struct cairn_buf gone; /* paths of below that were removed here, each with its NUL */
};

static struct over *over_of(struct cairn_disk *disk)
{
    return cairn_container(disk, struct over, disk);
}

/* --- which there are; the lock is held --- */

static bool is_gone(const struct over *over, const char *path)
{
    const char *names = (const char *)over->gone.data;

    for (size_t at = 0; at < over->gone.size; at += strlen(names + at) + 1)
        if (strcmp(names + at, path) == 0)
            return true;
    return false;
}

static enum cairn_code look(struct cairn_disk *disk, const char *path, bool *ret_there, struct cairn_err *err)
{
    struct cairn_file *file = NULL;
    enum cairn_code code = disk->ops->open(disk, path, CAIRN_OPEN_READ, &file, err);

    *ret_there = code == CAIRN_OK;
    if (code == CAIRN_OK)
        disk->ops->close(file);
    return code == CAIRN_ENOTFOUND ? CAIRN_OK : code;
}

/* Whether it is above, and whether it is seen below. */
static enum cairn_code find(struct over *over, const char *path, bool *ret_above, bool *ret_below,
                            struct cairn_err *err)
{
    enum cairn_code code = look(over->above, path, ret_above, err);

    *ret_below = false;
    if (code == CAIRN_OK && !is_gone(over, path))
        code = look(over->below, path, ret_below, err);
    return code;
}

/* Folders of below are made above when something comes into them. */
static enum cairn_code make_parents(struct over *over, const char *path, struct cairn_err *err)
{
    char part[CAIRN_PATH_BYTES];
    enum cairn_code code = CAIRN_OK;

    for (const char *slash = strchr(path, '/'); code == CAIRN_OK && slash; slash = strchr(slash + 1, '/')) {
        snprintf(part, sizeof part, "%.*s", (int)(slash - path), path);
        code = over->above->ops->make_dir(over->above, part, err);
    }
    return code;
}

static enum cairn_code copy_bytes(struct over *over, struct cairn_file *from, struct cairn_file *to,
                                  struct cairn_err *err)
{
    uint8_t *bytes = cairn_alloc(COPY_BYTES);
    uint64_t size, at = 0;
    enum cairn_code code = over->below->ops->size(from, &size, err);

    while (code == CAIRN_OK && at < size) {
        size_t part = size - at < COPY_BYTES ? (size_t)(size - at) : COPY_BYTES;

        code = over->below->ops->read_at(from, at, bytes, part, err);
        if (code == CAIRN_OK)
            code = over->above->ops->write_at(to, at, bytes, part, err);
        at += part;
    }
    free(bytes);
    return code;
}

static enum cairn_code copy_up(struct over *over, const char *path, struct cairn_err *err)
{
    struct cairn_file *from = NULL, *to = NULL;
    enum cairn_code code = over->below->ops->open(over->below, path, CAIRN_OPEN_READ, &from, err);

    if (code != CAIRN_OK)
        return code;
    code = make_parents(over, path, err);
    if (code == CAIRN_OK)
        code = over->above->ops->open(over->above, path, CAIRN_OPEN_WRITE | CAIRN_OPEN_CREATE, &to, err);
    if (code == CAIRN_OK) {
        code = copy_bytes(over, from, to, err);
        over->above->ops->close(to);
        if (code != CAIRN_OK) /* half a copy must not hide what is below */
            over->above->ops->remove(over->above, path, NULL);
    }
    over->below->ops->close(from);
    return code;
}

static enum cairn_code hide(struct over *over, const char *path, struct cairn_err *err)
{
    bool above, below;
    enum cairn_code code = find(over, path, &above, &below, err);

    if (code == CAIRN_OK && below)
        cairn_buf_add(&over->gone, path, strlen(path) + 1);
    return code;
}

/* --- files: they are of the one or the other --- */

static enum cairn_code over_read_at(struct cairn_file *file, uint64_t offset, void *to, size_t size,
                                    struct cairn_err *err)
{
    return file->disk->ops->read_at(file, offset, to, size, err);
}

static enum cairn_code over_write_at(struct cairn_file *file, uint64_t offset, const void *from, size_t size,
                                     struct cairn_err *err)
{
    return file->disk->ops->write_at(file, offset, from, size, err);
}

static enum cairn_code over_sync(struct cairn_file *file, struct cairn_err *err)
{
    (void)file;
    (void)err;
    return CAIRN_OK;
}

static enum cairn_code over_size(struct cairn_file *file, uint64_t *ret_bytes, struct cairn_err *err)
{
    return file->disk->ops->size(file, ret_bytes, err);
}

static void over_close(struct cairn_file *file)
{
    if (file)
        file->disk->ops->close(file);
}

/* --- names --- */

static enum cairn_code open_locked(struct over *over, const char *path, unsigned flags, struct cairn_file **ret_file,
                                   struct cairn_err *err)
{
    bool above, below;
    enum cairn_code code = find(over, path, &above, &below, err);

    if (code == CAIRN_OK && (flags & CAIRN_OPEN_CREATE) && (above || below))
        code = cairn_fail(err, CAIRN_ECONFLICT, "'%s/%s' exists", over->disk.root, path);
    if (code == CAIRN_OK && (flags & CAIRN_OPEN_CREATE))
        code = make_parents(over, path, err);
    if (code == CAIRN_OK && (flags & CAIRN_OPEN_WRITE) && !above && below) {
        code = copy_up(over, path, err);
        above = true;
    }
    if (code != CAIRN_OK)
        return code;
    if (above || !below || (flags & CAIRN_OPEN_WRITE))
        return over->above->ops->open(over->above, path, flags, ret_file, err);
    return over->below->ops->open(over->below, path, flags, ret_file, err);
}

static enum cairn_code over_open(struct cairn_disk *disk, const char *path, unsigned flags,
                                 struct cairn_file **ret_file, struct cairn_err *err)
{
    struct over *over = over_of(disk);
    enum cairn_code code;

    pthread_mutex_lock(&over->lock);
    code = open_locked(over, path, flags, ret_file, err);
    pthread_mutex_unlock(&over->lock);
    return code;
}

static enum cairn_code rename_locked(struct over *over, const char *from, const char *to, bool is_new,
                                     struct cairn_err *err)
{
    bool above, below;
    enum cairn_code code = find(over, to, &above, &below, err);

    if (code == CAIRN_OK && is_new && (above || below))
        return cairn_fail(err, CAIRN_ECONFLICT, "'%s/%s' exists", over->disk.root, to);
    if (code == CAIRN_OK)
        code = find(over, from, &above, &below, err);
    if (code == CAIRN_OK && !above && below)
        code = copy_up(over, from, err);
    if (code == CAIRN_OK)
        code = make_parents(over, to, err);
    if (code == CAIRN_OK)
        code = over->above->ops->rename(over->above, from, to, err);
    return code == CAIRN_OK ? hide(over, from, err) : code;
}

static enum cairn_code over_rename(struct cairn_disk *disk, const char *from, const char *to, struct cairn_err *err)
{
    struct over *over = over_of(disk);
    enum cairn_code code;

    pthread_mutex_lock(&over->lock);
    code = rename_locked(over, from, to, false, err);
    pthread_mutex_unlock(&over->lock);
    return code;
}

static enum cairn_code over_rename_new(struct cairn_disk *disk, const char *from, const char *to, struct cairn_err *err)
{
    struct over *over = over_of(disk);
    enum cairn_code code;

    pthread_mutex_lock(&over->lock);
    code = rename_locked(over, from, to, true, err);
    pthread_mutex_unlock(&over->lock);
    return code;
}

static enum cairn_code over_remove(struct cairn_disk *disk, const char *path, struct cairn_err *err)
{
    struct over *over = over_of(disk);
    bool above, below;
    enum cairn_code code;

    pthread_mutex_lock(&over->lock);
    code = find(over, path, &above, &below, err);
    if (code == CAIRN_OK && (above || !below))
        code = over->above->ops->remove(over->above, path, err);
    if (code == CAIRN_OK && below)
        cairn_buf_add(&over->gone, path, strlen(path) + 1);
    pthread_mutex_unlock(&over->lock);
    return code;
}

static enum cairn_code over_make_dir(struct cairn_disk *disk, const char *path, struct cairn_err *err)
{
    struct over *over = over_of(disk);
    enum cairn_code code;

    pthread_mutex_lock(&over->lock);
    code = make_parents(over, path, err);
    if (code == CAIRN_OK)
        code = over->above->ops->make_dir(over->above, path, err);
    pthread_mutex_unlock(&over->lock);
    return code;
}

static enum cairn_code over_sync_dir(struct cairn_disk *disk, const char *path, struct cairn_err *err)
{
    (void)disk;
    (void)path;
    (void)err;
    return CAIRN_OK;
}

/* --- listing --- */

struct names {
    char **at;
    size_t count, room;
};

static void add_name(void *context, const char *name)
{
    struct names *names = context;

    if (names->count == names->room) {
        names->room = names->room ? 2 * names->room : 64;
        names->at = cairn_realloc(names->at, names->room * sizeof *names->at);
    }
    names->at[names->count++] = cairn_bytes_dup(cairn_str(name));
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static bool is_hidden(struct over *over, const char *folder, const char *name)
{
    char path[CAIRN_PATH_BYTES];
    bool gone;

    snprintf(path, sizeof path, *folder ? "%s/%s" : "%s%s", folder, name);
    pthread_mutex_lock(&over->lock);
    gone = is_gone(over, path);
    pthread_mutex_unlock(&over->lock);
    return gone;
}

static enum cairn_code over_list(struct cairn_disk *disk, const char *path,
                                 void (*visit)(void *context, const char *name), void *context, struct cairn_err *err)
{
    struct over *over = over_of(disk);
    struct names names = {0};
    enum cairn_code above = over->above->ops->list(over->above, path, add_name, &names, err), below;
    size_t own = names.count, kept = own;

    below = above == CAIRN_OK || above == CAIRN_ENOTFOUND
                ? over->below->ops->list(over->below, path, add_name, &names, err)
                : above;
    for (size_t i = own; i < names.count; i++) {
        if (is_hidden(over, path, names.at[i]))
            free(names.at[i]);
        else
            names.at[kept++] = names.at[i];
    }
    names.count = kept;
    if (names.count)
        qsort(names.at, names.count, sizeof *names.at, by_name);
    for (size_t i = 0; i < names.count; i++)
        if ((below == CAIRN_OK || below == CAIRN_ENOTFOUND) && (!i || strcmp(names.at[i], names.at[i - 1]) != 0))
            visit(context, names.at[i]);
    while (names.count > 0)
        free(names.at[--names.count]);
    free(names.at);
    return below == CAIRN_ENOTFOUND ? above : below;
}

static enum cairn_code over_age(struct cairn_disk *disk, const char *path, uint64_t *ret_bytes, uint64_t *ret_age_ms,
                                struct cairn_err *err)
{
    struct over *over = over_of(disk);
    bool above = false, below = false;
    enum cairn_code code;

    pthread_mutex_lock(&over->lock);
    code = find(over, path, &above, &below, err);
    pthread_mutex_unlock(&over->lock);
    if (code != CAIRN_OK)
        return code;
    disk = below && !above ? over->below : over->above;
    return disk->ops->age(disk, path, ret_bytes, ret_age_ms, err);
}

/* Nothing may change what is below meanwhile. */
static enum cairn_code over_lock(struct cairn_disk *disk, struct cairn_err *err)
{
    return over_of(disk)->below->ops->lock(over_of(disk)->below, err);
}

static struct cairn_disk *over_close_disk(struct cairn_disk *disk)
{
    struct over *over = over_of(disk);

    cairn_buf_done(&over->gone);
    pthread_mutex_destroy(&over->lock);
    free(disk->root);
    free(over);
    return NULL;
}

static const struct cairn_disk_ops ops = {
    .open = over_open,
    .read_at = over_read_at,
    .write_at = over_write_at,
    .sync = over_sync,
    .size = over_size,
    .close = over_close,
    .rename = over_rename,
    .rename_new = over_rename_new,
    .remove = over_remove,
    .make_dir = over_make_dir,
    .sync_dir = over_sync_dir,
    .list = over_list,
    .age = over_age,
    .lock = over_lock,
    .close_disk = over_close_disk,
};

struct cairn_disk *cairn_disk_over(struct cairn_disk *below, struct cairn_disk *above)
{
    struct over *over = cairn_alloc_zeroed(1, sizeof *over);

    over->disk = (struct cairn_disk){.ops = &ops, .root = cairn_bytes_dup(cairn_str(below->root))};
    over->below = below;
    over->above = above;
    pthread_mutex_init(&over->lock, NULL);
    return &over->disk;
}
