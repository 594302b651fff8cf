/* disk.c - what both twins share: the helpers over the vtable. */
#include "io/disk.h"

#include <assert.h>
#include <stdio.h>

struct cairn_disk *cairn_disk_close(struct cairn_disk *disk)
{
    return disk ? disk->ops->close_disk(disk) : NULL;
}

enum cairn_code cairn_disk_read_file(struct cairn_disk *disk, const char *path, size_t max_bytes, struct cairn_buf *to,
                                     struct cairn_err *err)
{
    struct cairn_file *file = NULL;
    uint64_t size;
    enum cairn_code code;

    code = disk->ops->open(disk, path, CAIRN_OPEN_READ, &file, err);
    if (code != CAIRN_OK)
        return code;
    code = disk->ops->size(file, &size, err);
    if (code == CAIRN_OK && size > max_bytes)
        code = cairn_fail(err, CAIRN_ELIMIT, "'%s' has %llu bytes, more than the %zu allowed", path,
                          (unsigned long long)size, max_bytes);
    if (code == CAIRN_OK && size) {
        code = disk->ops->read_at(file, 0, cairn_buf_reserve(to, (size_t)size), (size_t)size, err);
        if (code == CAIRN_OK)
            to->size += (size_t)size;
    }
    disk->ops->close(file);
    return code;
}

/* The folder of a path: "" for a name in the root. */
static void folder_of(const char *path, char folder[CAIRN_PATH_BYTES])
{
    const char *slash = strrchr(path, '/');
    size_t size = slash ? (size_t)(slash - path) : 0;

    memcpy(folder, path, size);
    folder[size] = 0;
}

enum cairn_code cairn_disk_replace_file(struct cairn_disk *disk, const char *path, struct cairn_bytes bytes,
                                        struct cairn_err *err)
{
    char temporary[CAIRN_PATH_BYTES], folder[CAIRN_PATH_BYTES];
    struct cairn_file *file = NULL;
    enum cairn_code code;
    int size = snprintf(temporary, sizeof temporary, "%s.tmp", path);

    assert(size > 0 && (size_t)size < sizeof temporary);
    folder_of(path, folder);
    /* One may be left from a crash. */
    code = disk->ops->remove(disk, temporary, err);
    if (code != CAIRN_OK && code != CAIRN_ENOTFOUND)
        return code;
    code = disk->ops->open(disk, temporary, CAIRN_OPEN_WRITE | CAIRN_OPEN_CREATE, &file, err);
    if (code != CAIRN_OK)
        return code;
    if (bytes.size)
        code = disk->ops->write_at(file, 0, bytes.data, bytes.size, err);
    if (code == CAIRN_OK)
        code = disk->ops->sync(file, err);
    disk->ops->close(file);
    if (code == CAIRN_OK)
        code = disk->ops->rename(disk, temporary, path, err);
    if (code != CAIRN_OK) {
        disk->ops->remove(disk, temporary, NULL); /* so that a full disk gets its room back */
        return code;
    }
    return disk->ops->sync_dir(disk, folder, err);
}
