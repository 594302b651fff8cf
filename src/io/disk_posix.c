/* disk_posix.c - the operating system's files, below one folder that stays open. */
#include "io/disk.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

static const char lock_name[] = "lock";

struct posix_disk {
    struct cairn_disk base;
    int root_fd, lock_fd;
};

struct posix_file {
    struct cairn_file base;
    int fd;
    void *map;
    size_t map_bytes;
};

static struct posix_disk *disk_of(struct cairn_disk *disk)
{
    return (struct posix_disk *)(void *)disk;
}

static struct posix_file *file_of(struct cairn_file *file)
{
    return (struct posix_file *)(void *)file;
}

/* Paths are our own, never a client's. */
static void check_path(const char *path)
{
    assert(path[0] != '/' && strlen(path) < CAIRN_PATH_BYTES && !strstr(path, ".."));
}

static enum cairn_code posix_open(struct cairn_disk *disk, const char *path, unsigned flags,
                                  struct cairn_file **ret_file, struct cairn_err *err)
{
    int how = (flags & CAIRN_OPEN_WRITE ? O_RDWR : O_RDONLY) | O_CLOEXEC;
    struct posix_file *file;
    int fd;

    check_path(path);
    if (flags & CAIRN_OPEN_CREATE)
        how |= O_CREAT | O_EXCL;
    do
        fd = openat(disk_of(disk)->root_fd, path, how, 0640);
    while (fd < 0 && errno == EINTR);
    if (fd < 0 && errno == EEXIST)
        return cairn_fail(err, CAIRN_ECONFLICT, "'%s' in '%s' exists already", path, disk->root);
    if (fd < 0)
        return cairn_fail_errno(err, errno, "cannot open '%s' in '%s'", path, disk->root);
    file = cairn_alloc_zeroed(1, sizeof *file);
    file->base.disk = disk;
    file->base.path = cairn_bytes_dup(cairn_str(path));
    file->fd = fd;
    *ret_file = &file->base;
    return CAIRN_OK;
}

static enum cairn_code posix_read_at(struct cairn_file *file, uint64_t offset, void *to, size_t size,
                                     struct cairn_err *err)
{
    uint8_t *at = to;

    while (size) {
        ssize_t n = pread(file_of(file)->fd, at, size, (off_t)offset);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return cairn_fail_errno(err, errno, "cannot read '%s' at byte %llu", file->path,
                                    (unsigned long long)offset);
        if (n == 0)
            return cairn_fail(err, CAIRN_EIO, "short read: '%s' ends at byte %llu", file->path,
                              (unsigned long long)offset);
        at += n;
        offset += (uint64_t)n;
        size -= (size_t)n;
    }
    return CAIRN_OK;
}

static enum cairn_code posix_write_at(struct cairn_file *file, uint64_t offset, const void *from, size_t size,
                                      struct cairn_err *err)
{
    const uint8_t *at = from;

    while (size) {
        ssize_t n = pwrite(file_of(file)->fd, at, size, (off_t)offset);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return cairn_fail_errno(err, n < 0 ? errno : EIO, "cannot write '%s' at byte %llu", file->path,
                                    (unsigned long long)offset);
        at += n;
        offset += (uint64_t)n;
        size -= (size_t)n;
    }
    return CAIRN_OK;
}

static enum cairn_code posix_sync(struct cairn_file *file, struct cairn_err *err)
{
    /* fdatasync also writes what is needed to find the data again, a new size included.  No retry,
     * not even after EINTR: the error may have been reported and cleared already. */
    if (fdatasync(file_of(file)->fd) != 0)
        return cairn_fail_errno(err, errno, "cannot sync '%s'", file->path);
    return CAIRN_OK;
}

static enum cairn_code posix_size(struct cairn_file *file, uint64_t *ret_bytes, struct cairn_err *err)
{
    struct stat st;

    if (fstat(file_of(file)->fd, &st) != 0)
        return cairn_fail_errno(err, errno, "cannot ask for the size of '%s'", file->path);
    *ret_bytes = (uint64_t)st.st_size;
    return CAIRN_OK;
}

/* File systems that overwrite in place: a store to a page that has its blocks cannot run out of room. */
static bool overwrites(int fd)
{
    struct statfs st;

    return fstatfs(fd, &st) == 0 &&
           (st.f_type == EXT4_SUPER_MAGIC || st.f_type == XFS_SUPER_MAGIC || st.f_type == TMPFS_MAGIC);
}

static bool posix_map(struct cairn_file *file, size_t bytes, bool at_hand, uint8_t **ret_memory)
{
    struct posix_file *posix = file_of(file);

    assert(!posix->map);
    if (!overwrites(posix->fd))
        return false;
    posix->map = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, posix->fd, 0);
    if (posix->map == MAP_FAILED) {
        posix->map = NULL;
        return false;
    }
    posix->map_bytes = bytes;
    if (at_hand)
        madvise(posix->map, bytes, MADV_POPULATE_WRITE); /* Linux 5.14; else stores do it one by one */
    *ret_memory = posix->map;
    return true;
}

static void posix_unmap(struct cairn_file *file)
{
    struct posix_file *posix = file_of(file);

    if (posix->map)
        munmap(posix->map, posix->map_bytes);
    posix->map = NULL;
}

static void posix_close(struct cairn_file *file)
{
    if (!file)
        return;
    posix_unmap(file);
    close(file_of(file)->fd);
    free(file->path);
    free(file);
}

static enum cairn_code posix_rename(struct cairn_disk *disk, const char *from, const char *to, struct cairn_err *err)
{
    int root = disk_of(disk)->root_fd;

    check_path(from);
    check_path(to);
    if (renameat(root, from, root, to) != 0)
        return cairn_fail_errno(err, errno, "cannot rename '%s' to '%s' in '%s'", from, to, disk->root);
    return CAIRN_OK;
}

static enum cairn_code posix_rename_new(struct cairn_disk *disk, const char *from, const char *to,
                                        struct cairn_err *err)
{
    int root = disk_of(disk)->root_fd;

    check_path(from);
    check_path(to);
    if (linkat(root, from, root, to, 0) != 0)
        return errno == EEXIST
                   ? cairn_fail(err, CAIRN_ECONFLICT, "'%s' in '%s' is there already", to, disk->root)
                   : cairn_fail_errno(err, errno, "cannot rename '%s' to '%s' in '%s'", from, to, disk->root);
    unlinkat(root, from, 0); /* if it stays, it is only a second name */
    return CAIRN_OK;
}

static enum cairn_code posix_remove(struct cairn_disk *disk, const char *path, struct cairn_err *err)
{
    check_path(path);
    if (unlinkat(disk_of(disk)->root_fd, path, 0) != 0)
        return cairn_fail_errno(err, errno, "cannot remove '%s' in '%s'", path, disk->root);
    return CAIRN_OK;
}

static enum cairn_code posix_make_dir(struct cairn_disk *disk, const char *path, struct cairn_err *err)
{
    struct stat st;

    check_path(path);
    if (mkdirat(disk_of(disk)->root_fd, path, 0750) == 0)
        return CAIRN_OK;
    if (errno == EEXIST && fstatat(disk_of(disk)->root_fd, path, &st, 0) == 0 && S_ISDIR(st.st_mode))
        return CAIRN_OK;
    return cairn_fail_errno(err, errno, "cannot make the folder '%s' in '%s'", path, disk->root);
}

static enum cairn_code open_dir(struct cairn_disk *disk, const char *path, int *ret_fd, struct cairn_err *err)
{
    int fd;

    check_path(path);
    fd = openat(disk_of(disk)->root_fd, path[0] ? path : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return cairn_fail_errno(err, errno, "cannot open the folder '%s' in '%s'", path, disk->root);
    *ret_fd = fd;
    return CAIRN_OK;
}

static enum cairn_code posix_sync_dir(struct cairn_disk *disk, const char *path, struct cairn_err *err)
{
    enum cairn_code code;
    int fd;

    code = open_dir(disk, path, &fd, err);
    if (code != CAIRN_OK)
        return code;
    if (fsync(fd) != 0)
        code = cairn_fail_errno(err, errno, "cannot sync the folder '%s' in '%s'", path, disk->root);
    close(fd);
    return code;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static bool is_plain(int folder_fd, const struct dirent *entry)
{
    struct stat st;

    if (entry->d_type != DT_UNKNOWN)
        return entry->d_type == DT_REG;
    return fstatat(folder_fd, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode);
}

static enum cairn_code posix_list(struct cairn_disk *disk, const char *path,
                                  void (*visit)(void *context, const char *name), void *context, struct cairn_err *err)
{
    char **names = NULL;
    size_t count = 0, capacity = 0;
    struct dirent *entry;
    enum cairn_code code;
    DIR *dir;
    int fd;

    code = open_dir(disk, path, &fd, err);
    if (code != CAIRN_OK)
        return code;
    dir = fdopendir(fd);
    if (!dir) {
        code = cairn_fail_errno(err, errno, "cannot list the folder '%s' in '%s'", path, disk->root);
        close(fd);
        return code;
    }
    /* Collected first: visit may change the folder. */
    while (errno = 0, (entry = readdir(dir)) != NULL) {
        if (!is_plain(fd, entry))
            continue;
        if (count == capacity) {
            capacity = capacity ? capacity * 2 : 16;
            names = cairn_realloc(names, capacity * sizeof *names);
        }
        names[count++] = cairn_bytes_dup(cairn_str(entry->d_name));
    }
    if (errno)
        code = cairn_fail_errno(err, errno, "cannot list the folder '%s' in '%s'", path, disk->root);
    closedir(dir);
    if (count)
        qsort(names, count, sizeof *names, by_name);
    for (size_t i = 0; i < count; i++) {
        if (code == CAIRN_OK)
            visit(context, names[i]);
        free(names[i]);
    }
    free(names);
    return code;
}

static enum cairn_code posix_lock(struct cairn_disk *disk, struct cairn_err *err)
{
    struct posix_disk *posix = disk_of(disk);
    enum cairn_code code;
    int fd;

    assert(posix->lock_fd < 0);
    fd = openat(posix->root_fd, lock_name, O_RDWR | O_CREAT | O_CLOEXEC, 0640);
    if (fd < 0)
        return cairn_fail_errno(err, errno, "cannot open '%s' in '%s'", lock_name, disk->root);
    /* flock belongs to the open file, so it also keeps out a second node of the same process, and it
     * goes when the process does, however it ends. */
    if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        if (errno == EWOULDBLOCK)
            code = cairn_fail(err, CAIRN_ELOCKED, "'%s' is in use by another node: stop it or choose another folder",
                              disk->root);
        else
            code = cairn_fail_errno(err, errno, "cannot lock '%s' in '%s'", lock_name, disk->root);
        close(fd);
        return code;
    }
    posix->lock_fd = fd;
    return CAIRN_OK;
}

static struct cairn_disk *posix_close_disk(struct cairn_disk *disk)
{
    struct posix_disk *posix = disk_of(disk);

    if (posix->lock_fd >= 0)
        close(posix->lock_fd);
    if (posix->root_fd >= 0)
        close(posix->root_fd);
    free(disk->root);
    free(posix);
    return NULL;
}

static enum cairn_code posix_age(struct cairn_disk *disk, const char *path, uint64_t *ret_bytes, uint64_t *ret_age_ms,
                                 struct cairn_err *err)
{
    struct timespec now;
    struct stat st;
    int64_t age_ms;

    check_path(path);
    if (fstatat(disk_of(disk)->root_fd, path, &st, 0) != 0)
        return cairn_fail_errno(err, errno, "cannot ask for the age of '%s' in '%s'", path, disk->root);
    clock_gettime(CLOCK_REALTIME, &now);
    age_ms = (now.tv_sec - st.st_mtim.tv_sec) * INT64_C(1000) + (now.tv_nsec - st.st_mtim.tv_nsec) / 1000000;
    *ret_bytes = (uint64_t)st.st_size;
    *ret_age_ms = age_ms > 0 ? (uint64_t)age_ms : 0;
    return CAIRN_OK;
}

static const struct cairn_disk_ops posix_ops = {
    .open = posix_open,
    .read_at = posix_read_at,
    .write_at = posix_write_at,
    .sync = posix_sync,
    .size = posix_size,
    .map = posix_map,
    .unmap = posix_unmap,
    .close = posix_close,
    .rename = posix_rename,
    .rename_new = posix_rename_new,
    .remove = posix_remove,
    .make_dir = posix_make_dir,
    .sync_dir = posix_sync_dir,
    .list = posix_list,
    .age = posix_age,
    .lock = posix_lock,
    .close_disk = posix_close_disk,
};

static enum cairn_code sync_folder(const char *path, struct cairn_err *err)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    enum cairn_code code = CAIRN_OK;

    /* A folder above the root may be one that we may not read; then its names are its owner's affair. */
    if (fd < 0)
        return CAIRN_OK;
    if (fsync(fd) != 0 && errno != EINVAL && errno != EROFS)
        code = cairn_fail_errno(err, errno, "cannot sync the folder '%s'", path);
    close(fd);
    return code;
}

/* Makes one folder and what is missing above it, durably. */
static enum cairn_code make_root(const char *root, struct cairn_err *err)
{
    enum cairn_code code;
    char *path, *slash;

    if (mkdir(root, 0750) == 0 || errno == ENOENT) {
        bool missing = access(root, F_OK) != 0;
        path = cairn_bytes_dup(cairn_str(root));
        for (size_t n = strlen(path); n > 1 && path[n - 1] == '/'; n--)
            path[n - 1] = 0;
        slash = strrchr(path, '/');
        if (slash)
            slash[slash == path] = 0; /* "/x" is in "/" */
        code = CAIRN_OK;
        if (missing && slash)
            code = make_root(path, err);
        if (code == CAIRN_OK && missing && mkdir(root, 0750) != 0 && errno != EEXIST)
            code = cairn_fail_errno(err, errno, "cannot make the folder '%s'", root);
        if (code == CAIRN_OK)
            code = sync_folder(slash ? path : ".", err);
        free(path);
        return code;
    }
    if (errno == EEXIST)
        return CAIRN_OK;
    return cairn_fail_errno(err, errno, "cannot make the folder '%s'", root);
}

char *cairn_path_real(const char *path)
{
    return realpath(path, NULL);
}

enum cairn_code cairn_disk_open(const char *root, struct cairn_disk **ret_disk, struct cairn_err *err)
{
    struct posix_disk *posix;
    enum cairn_code code;
    int fd;

    code = make_root(root, err);
    if (code != CAIRN_OK)
        return code;
    fd = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return cairn_fail_errno(err, errno, "cannot open the folder '%s'", root);
    posix = cairn_alloc_zeroed(1, sizeof *posix);
    posix->base.ops = &posix_ops;
    posix->base.root = cairn_bytes_dup(cairn_str(root));
    posix->root_fd = fd;
    posix->lock_fd = -1;
    *ret_disk = &posix->base;
    return CAIRN_OK;
}
