#include "io/scratch.h"

#include <errno.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { OPEN_FOLDERS = 16 };

enum cairn_code cairn_scratch_open(struct cairn_disk **ret_disk, struct cairn_err *err)
{
    const char *parent = getenv("TMPDIR");
    char path[CAIRN_PATH_BYTES];
    enum cairn_code code;
    int size = snprintf(path, sizeof path, "%s/cairn-XXXXXX", parent && *parent ? parent : "/tmp");

    if (size < 0 || (size_t)size >= sizeof path)
        return cairn_fail(err, CAIRN_ELIMIT, "TMPDIR is too long a path");
    if (!mkdtemp(path))
        return cairn_fail_errno(err, errno, "making '%s' (TMPDIR names another place)", path);
    code = cairn_disk_open(path, ret_disk, err);
    if (code != CAIRN_OK)
        rmdir(path);
    return code;
}

static int remove_one(const char *path, const struct stat *about, int kind, struct FTW *where)
{
    (void)about;
    (void)kind;
    (void)where;
    remove(path); /* what stays is told by what is left in the temporary folder */
    return 0;
}

struct cairn_disk *cairn_scratch_close(struct cairn_disk *disk)
{
    char path[CAIRN_PATH_BYTES];

    if (!disk)
        return NULL;
    snprintf(path, sizeof path, "%s", disk->root);
    cairn_disk_close(disk);
    nftw(path, remove_one, OPEN_FOLDERS, FTW_DEPTH | FTW_PHYS);
    return NULL;
}
