/* dir.c - a blob store that is a folder; and which kind of store a URL means. */
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "blob/blob_internal.h"
#include "io/clock.h"

enum { COPY_BYTES = 1 << 20, SYNC_BYTES = 4 << 20, DURABLE_SLOTS = 1024 };

struct dir {
    struct cairn_blob base;
    struct cairn_disk *disk;
    bool owned; /* the disk */
    /* Folders whose names are durable, by their hash; any thread.  Only what was synced here counts: a crash may have
     * come before that. */
    _Atomic uint64_t durable[DURABLE_SLOTS];
};

static struct dir *dir_of(struct cairn_blob *blob)
{
    return (struct dir *)(void *)blob; /* its first member */
}

/* Made, with its name synced, if it is missing. */
static enum cairn_code make_folder(struct cairn_disk *disk, char folder[CAIRN_PATH_BYTES], struct cairn_err *err)
{
    enum cairn_code code = CAIRN_OK;

    for (char *end = folder; code == CAIRN_OK && *end;) {
        char above[CAIRN_PATH_BYTES], rest = 0;
        const char *last;

        end += strcspn(end + 1, "/") + 1;
        rest = *end;
        *end = 0;
        code = disk->ops->make_dir(disk, folder, err);
        last = strrchr(folder, '/');
        snprintf(above, sizeof above, "%.*s", last ? (int)(last - folder) : 0, folder);
        if (code == CAIRN_OK)
            code = disk->ops->sync_dir(disk, above, err);
        *end = rest;
    }
    return code;
}

/* The folder of a name, "" for none, is there for good. */
static enum cairn_code enter_folder(struct dir *dir, const char *name, char folder[CAIRN_PATH_BYTES],
                                    struct cairn_err *err)
{
    const char *slash = strrchr(name, '/');
    _Atomic uint64_t *slot;
    enum cairn_code code;
    uint64_t hash;

    snprintf(folder, CAIRN_PATH_BYTES, "%.*s", slash ? (int)(slash - name) : 0, name);
    hash = cairn_hash(cairn_str(folder)) | 1;
    slot = &dir->durable[(hash >> 32) % DURABLE_SLOTS];
    if (!folder[0] || atomic_load_explicit(slot, memory_order_relaxed) == hash)
        return CAIRN_OK;
    code = make_folder(dir->disk, folder, err);
    if (code == CAIRN_OK)
        atomic_store_explicit(slot, hash, memory_order_relaxed);
    return code;
}

/* Somebody has removed folders: they are made again with the next try. */
static void forget_folders(struct dir *dir)
{
    for (int i = 0; i < DURABLE_SLOTS; i++)
        atomic_store_explicit(&dir->durable[i], 0, memory_order_relaxed);
}

static void temporary_path(const char *name, char path[CAIRN_PATH_BYTES])
{
    struct cairn_clock *clock = cairn_clock_system();

    snprintf(path, CAIRN_PATH_BYTES, "%s.%016" PRIx64 ".tmp", name, clock->entropy(clock));
}

static bool is_temporary(const char *name)
{
    size_t size = strlen(name);

    return size > 4 && strcmp(name + size - 4, ".tmp") == 0;
}

/* A file is made under a temporary name: filled, synced, renamed. */
static enum cairn_code commit(struct cairn_disk *disk, struct cairn_file *file, const char *temporary, const char *name,
                              const char *folder, bool is_new, enum cairn_code code, struct cairn_err *err)
{
    if (code == CAIRN_OK)
        code = disk->ops->sync(file, err);
    disk->ops->close(file);
    if (code == CAIRN_OK)
        code = (is_new ? disk->ops->rename_new : disk->ops->rename)(disk, temporary, name, err);
    if (code == CAIRN_OK)
        return disk->ops->sync_dir(disk, folder, err);
    if (file)
        disk->ops->remove(disk, temporary, NULL);
    return code;
}

static enum cairn_code put(struct cairn_blob *blob, const char *name, struct cairn_bytes bytes, bool is_new,
                           struct cairn_err *err)
{
    struct cairn_disk *disk = dir_of(blob)->disk;
    char folder[CAIRN_PATH_BYTES], temporary[CAIRN_PATH_BYTES];
    struct cairn_file *file = NULL;
    enum cairn_code code = enter_folder(dir_of(blob), name, folder, err);

    temporary_path(name, temporary);
    if (code == CAIRN_OK)
        code = disk->ops->open(disk, temporary, CAIRN_OPEN_WRITE | CAIRN_OPEN_CREATE, &file, err);
    if (code == CAIRN_ENOTFOUND) {
        forget_folders(dir_of(blob));
        code = enter_folder(dir_of(blob), name, folder, err);
        if (code == CAIRN_OK)
            code = disk->ops->open(disk, temporary, CAIRN_OPEN_WRITE | CAIRN_OPEN_CREATE, &file, err);
    }
    if (code == CAIRN_OK && bytes.size)
        code = disk->ops->write_at(file, 0, bytes.data, bytes.size, err);
    return commit(disk, file, temporary, name, folder, is_new, code, err);
}

static enum cairn_code dir_put(struct cairn_blob *blob, const char *name, struct cairn_bytes bytes,
                               struct cairn_err *err)
{
    return put(blob, name, bytes, false, err);
}

static enum cairn_code dir_create(struct cairn_blob *blob, const char *name, struct cairn_bytes bytes,
                                  struct cairn_err *err)
{
    return put(blob, name, bytes, true, err);
}

/* `aside`: synced piece by piece, since one burst would make syncs of the log wait behind it. */
static enum cairn_code copy(struct cairn_file *from, struct cairn_file *to, bool aside,
                            const struct cairn_blob_progress *progress, struct cairn_err *err)
{
    uint8_t *part = cairn_alloc(COPY_BYTES);
    uint64_t total = 0;
    enum cairn_code code = from->disk->ops->size(from, &total, err);

    for (uint64_t at = 0; code == CAIRN_OK && at < total; at += COPY_BYTES) {
        size_t size = total - at < COPY_BYTES ? (size_t)(total - at) : COPY_BYTES;

        code = from->disk->ops->read_at(from, at, part, size, err);
        if (code == CAIRN_OK)
            code = to->disk->ops->write_at(to, at, part, size, err);
        if (code == CAIRN_OK && aside && at && at % SYNC_BYTES == 0)
            code = to->disk->ops->sync(to, err);
        if (code == CAIRN_OK && progress && progress->moved)
            progress->moved(progress->context, at + size, total);
    }
    free(part);
    return code;
}

static enum cairn_code dir_put_file(struct cairn_blob *blob, const char *name, struct cairn_disk *from_disk,
                                    const char *path, const struct cairn_blob_progress *progress, struct cairn_err *err)
{
    struct cairn_disk *disk = dir_of(blob)->disk;
    char folder[CAIRN_PATH_BYTES], temporary[CAIRN_PATH_BYTES];
    struct cairn_file *from = NULL, *file = NULL;
    enum cairn_code code = enter_folder(dir_of(blob), name, folder, err);

    temporary_path(name, temporary);
    if (code == CAIRN_OK)
        code = from_disk->ops->open(from_disk, path, CAIRN_OPEN_READ, &from, err);
    if (code == CAIRN_OK)
        code = disk->ops->open(disk, temporary, CAIRN_OPEN_WRITE | CAIRN_OPEN_CREATE, &file, err);
    if (code == CAIRN_OK)
        code = copy(from, file, true, progress, err);
    from_disk->ops->close(from);
    return commit(disk, file, temporary, name, folder, false, code, err);
}

static enum cairn_code dir_get(struct cairn_blob *blob, const char *name, size_t max_bytes, struct cairn_buf *to,
                               struct cairn_err *err)
{
    return cairn_disk_read_file(dir_of(blob)->disk, name, max_bytes, to, err);
}

static enum cairn_code dir_get_file(struct cairn_blob *blob, const char *name, struct cairn_disk *disk,
                                    const char *path, const struct cairn_blob_progress *progress, struct cairn_err *err)
{
    struct cairn_disk *from_disk = dir_of(blob)->disk;
    struct cairn_file *from = NULL, *file = NULL;
    enum cairn_code code = from_disk->ops->open(from_disk, name, CAIRN_OPEN_READ, &from, err);

    if (code == CAIRN_OK) {
        code = disk->ops->remove(disk, path, err); /* what a crash left of it */
        if (code == CAIRN_ENOTFOUND)
            code = CAIRN_OK;
    }
    if (code == CAIRN_OK)
        code = disk->ops->open(disk, path, CAIRN_OPEN_WRITE | CAIRN_OPEN_CREATE, &file, err);
    if (code == CAIRN_OK)
        code = copy(from, file, false, progress, err);
    if (code == CAIRN_OK)
        code = disk->ops->sync(file, err);
    from_disk->ops->close(from);
    disk->ops->close(file);
    if (code != CAIRN_OK && file)
        disk->ops->remove(disk, path, NULL);
    return code;
}

static enum cairn_code dir_remove(struct cairn_blob *blob, const char *name, struct cairn_err *err)
{
    struct cairn_disk *disk = dir_of(blob)->disk;
    enum cairn_code code = disk->ops->remove(disk, name, err);

    return code == CAIRN_ENOTFOUND ? CAIRN_OK : code;
}

struct listing {
    struct cairn_disk *disk;
    const char *folder;
    void (*visit)(void *context, const char *name, uint64_t bytes, uint64_t age_ms);
    void *context;
    enum cairn_code code;
    struct cairn_err *err;
};

static void take_name(void *context, const char *name)
{
    struct listing *listing = context;
    char path[CAIRN_PATH_BYTES];
    uint64_t bytes, age_ms;
    enum cairn_code code;

    if (listing->code != CAIRN_OK || is_temporary(name))
        return;
    snprintf(path, sizeof path, "%s%s%s", listing->folder, listing->folder[0] ? "/" : "", name);
    code = listing->disk->ops->age(listing->disk, path, &bytes, &age_ms, listing->err);
    if (code == CAIRN_OK)
        listing->visit(listing->context, name, bytes, age_ms);
    else if (code != CAIRN_ENOTFOUND) /* another process removed it */
        listing->code = code;
}

static enum cairn_code dir_list(struct cairn_blob *blob, const char *folder,
                                void (*visit)(void *context, const char *name, uint64_t bytes, uint64_t age_ms),
                                void *context, struct cairn_err *err)
{
    struct cairn_disk *disk = dir_of(blob)->disk;
    struct listing listing = {.disk = disk, .folder = folder, .visit = visit, .context = context, .err = err};
    enum cairn_code code = disk->ops->list(disk, folder, take_name, &listing, err);

    if (code == CAIRN_ENOTFOUND)
        return CAIRN_OK;
    return code == CAIRN_OK ? listing.code : code;
}

static struct cairn_blob *dir_close(struct cairn_blob *blob)
{
    struct dir *dir = dir_of(blob);

    if (dir->owned)
        cairn_disk_close(dir->disk);
    free(dir->base.url);
    free(dir);
    return NULL;
}

static const struct cairn_blob_ops dir_ops = {
    .put = dir_put,
    .create = dir_create,
    .put_file = dir_put_file,
    .get = dir_get,
    .get_file = dir_get_file,
    .remove = dir_remove,
    .list = dir_list,
    .close = dir_close,
};

struct cairn_blob *cairn_blob_on_disk(struct cairn_disk *disk)
{
    struct dir *dir = cairn_alloc_zeroed(1, sizeof *dir);

    dir->base.ops = &dir_ops;
    dir->base.url = cairn_bytes_dup(cairn_str(disk->root));
    dir->disk = disk;
    return &dir->base;
}

static bool begins(const char *text, const char *with)
{
    return strncmp(text, with, strlen(with)) == 0;
}

static int hex_digit(char c)
{
    const char *digits = "0123456789abcdef", *at = c ? strchr(digits, c | (c >= 'A' && c <= 'F' ? 0x20 : 0)) : NULL;

    return at ? (int)(at - digits) : -1;
}

/* Behind the "file:" of a URL (RFC 8089): an absolute path, of this machine, with %20 for a blank. */
static enum cairn_code read_file_url(const char *url, struct cairn_buf *path, struct cairn_err *err)
{
    const char *at = url + strlen("file:");

    if (begins(at, "//localhost/"))
        at += strlen("//localhost");
    else if (begins(at, "///"))
        at += strlen("//");
    else if (begins(at, "//"))
        return cairn_fail(err, CAIRN_EINVAL, "'%s' is a folder of another machine: file:///PATH is one of this", url);
    if (*at != '/' || strpbrk(at, "?#"))
        return cairn_fail(
            err, CAIRN_EINVAL,
            "'%s' names no folder: a file URL is file:///PATH, with an absolute path and %%3F and %%23 for "
            "'?' and '#'",
            url);
    for (; *at; at++) {
        int high = *at == '%' ? hex_digit(at[1]) : 0, low = *at == '%' && high >= 0 ? hex_digit(at[2]) : 0;

        if (high < 0 || low < 0 || (*at == '%' && !high && !low))
            return cairn_fail(err, CAIRN_EINVAL, "'%s' has a '%%' without two hexadecimal digits: write %%25 for it",
                              url);
        cairn_buf_u8(path, *at == '%' ? (uint8_t)(16 * high + low) : (uint8_t)*at);
        at += *at == '%' ? 2 : 0;
    }
    return CAIRN_OK;
}

enum cairn_code blob_folder_of(const char *url, struct cairn_buf *path, struct cairn_err *err)
{
    enum cairn_code code = CAIRN_OK;

    if (begins(url, "file:"))
        code = read_file_url(url, path, err);
    else if (!url[0] || strstr(url, "://") || begins(url, "s3:"))
        code = cairn_fail(err, CAIRN_EINVAL,
                          "'%s' names no blob store: give a folder, file:///PATH, or s3://BUCKET/PREFIX", url);
    else
        cairn_buf_str(path, url);
    cairn_buf_u8(path, 0);
    return code;
}

/* One folder has one URL, however it is written and from wherever: it is compared with what was given before. */
static enum cairn_code open_folder(const char *path, struct cairn_blob **ret_blob, struct cairn_err *err)
{
    struct cairn_disk *disk;
    char *real;
    enum cairn_code code = cairn_disk_open(path, &disk, err);

    if (code != CAIRN_OK)
        return code;
    real = cairn_path_real(path);
    if (real) {
        free(disk->root);
        disk->root = real;
    }
    *ret_blob = cairn_blob_on_disk(disk);
    dir_of(*ret_blob)->owned = true;
    return CAIRN_OK;
}

enum cairn_code cairn_blob_open(const char *url, struct cairn_blob **ret_blob, struct cairn_err *err)
{
    struct cairn_buf path = {0};
    enum cairn_code code;

    if (begins(url, "s3://"))
        return blob_s3_open(url, ret_blob, err);
    code = blob_folder_of(url, &path, err);
    if (code == CAIRN_OK)
        code = open_folder((const char *)path.data, ret_blob, err);
    cairn_buf_done(&path);
    return code;
}

/* Whether one path is the other, or in it; both are absolute. */
static bool is_within(const char *path, const char *folder)
{
    size_t size = strlen(folder);

    if (size && folder[size - 1] == '/')
        size--;
    return strncmp(path, folder, size) == 0 && (!path[size] || path[size] == '/');
}

enum cairn_code cairn_blob_check_apart(const struct cairn_blob *blob, const char *folder, struct cairn_err *err)
{
    char *real = blob->ops == &dir_ops ? cairn_path_real(folder) : NULL;
    const char *how = NULL;
    enum cairn_code code = CAIRN_OK;

    if (real && strcmp(real, blob->url) == 0)
        how = "is";
    else if (real && is_within(blob->url, real))
        how = "lies in";
    else if (real && is_within(real, blob->url))
        how = "contains";
    if (how)
        code = cairn_fail(err, CAIRN_EINVAL,
                          "the blob store '%s' %s the data folder '%s', whose loss it is to survive: give a folder "
                          "elsewhere",
                          blob->url, how, real);
    free(real);
    return code;
}

struct cairn_blob *cairn_blob_close(struct cairn_blob *blob)
{
    return blob ? blob->ops->close(blob) : NULL;
}
