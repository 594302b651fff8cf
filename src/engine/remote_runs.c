/* remote_runs.c - runs in a blob store: each is there once, under the hash of its content. */
#include <stdio.h>
#include <stdlib.h>

#include "base/hash.h"
#include "engine/remote_internal.h"

static void run_name(const struct run_about *about, char name[CAIRN_BLOB_NAME_BYTES])
{
    int at = snprintf(name, CAIRN_BLOB_NAME_BYTES, "runs/");

    for (size_t i = 0; i < sizeof about->sha256; i++)
        at += snprintf(name + at, CAIRN_BLOB_NAME_BYTES - (size_t)at, "%02x", about->sha256[i]);
}

enum cairn_code remote_put_run(struct remote *remote, struct cairn_disk *disk, const struct run_about *about,
                               struct cairn_err *err)
{
    char name[CAIRN_BLOB_NAME_BYTES], path[CAIRN_PATH_BYTES];

    run_name(about, name);
    run_path(about->id, path);
    return remote->blob->ops->put_file(remote->blob, name, disk, path, NULL, err);
}

static enum cairn_code check_file(struct cairn_disk *disk, const char *path, const struct run_about *about,
                                  bool *ret_same, struct cairn_err *err)
{
    enum { PART_BYTES = 1 << 20 };
    struct cairn_sha256 *sha = cairn_sha256_begin();
    uint8_t *part = cairn_alloc(PART_BYTES), digest[CAIRN_SHA256_BYTES];
    struct cairn_file *file = NULL;
    uint64_t total = 0;
    enum cairn_code code = disk->ops->open(disk, path, CAIRN_OPEN_READ, &file, err);

    if (code == CAIRN_OK)
        code = disk->ops->size(file, &total, err);
    for (uint64_t at = 0; code == CAIRN_OK && at < total; at += PART_BYTES) {
        size_t size = total - at < PART_BYTES ? (size_t)(total - at) : PART_BYTES;

        code = disk->ops->read_at(file, at, part, size, err);
        if (code == CAIRN_OK)
            cairn_sha256_add(sha, part, size);
    }
    cairn_sha256_end(sha, digest);
    disk->ops->close(file);
    free(part);
    *ret_same = total == about->bytes && memcmp(digest, about->sha256, sizeof digest) == 0;
    return code;
}

enum cairn_code remote_check_run(struct cairn_disk *disk, const struct run_about *about, struct cairn_err *err)
{
    char path[CAIRN_PATH_BYTES];
    bool same;
    enum cairn_code code;

    run_path(about->id, path);
    code = check_file(disk, path, about, &same, err);
    if (code == CAIRN_OK && !same)
        code = cairn_fail(err, CAIRN_ECORRUPT, "'%s' in '%s' is damaged", path, disk->root);
    return code;
}

enum cairn_code remote_get_run(struct remote *remote, struct cairn_disk *disk, const struct run_about *about,
                               const struct cairn_blob_progress *progress, struct cairn_err *err)
{
    char name[CAIRN_BLOB_NAME_BYTES], path[CAIRN_PATH_BYTES], temporary[CAIRN_PATH_BYTES + 8];
    bool same = false;
    enum cairn_code code;

    run_name(about, name);
    run_path(about->id, path);
    snprintf(temporary, sizeof temporary, "%s.tmp", path);
    code = remote->blob->ops->get_file(remote->blob, name, disk, temporary, progress, err);
    if (code == CAIRN_ENOTFOUND)
        return cairn_fail(err, CAIRN_ECORRUPT, "'%s' is missing in '%s'", name, remote->blob->url);
    if (code == CAIRN_OK)
        code = check_file(disk, temporary, about, &same, err);
    if (code == CAIRN_OK && !same)
        code = cairn_fail(err, CAIRN_ECORRUPT, "'%s' in '%s' is damaged: it has not the SHA-256 that it is named after",
                          name, remote->blob->url);
    if (code == CAIRN_OK)
        code = disk->ops->rename(disk, temporary, path, err);
    if (code == CAIRN_OK)
        code = disk->ops->sync_dir(disk, RUN_DIR, err);
    return code;
}

/* --- garbage --- */

struct sweep {
    const struct cairn_buf *hashes;
    uint64_t grace_ms;
    struct cairn_buf names; /* each with its NUL */
    uint64_t bytes;
};

static int compare_hashes(const void *a, const void *b)
{
    return memcmp(a, b, CAIRN_SHA256_BYTES);
}

static void take_garbage(void *context, const char *name, uint64_t bytes, uint64_t age_ms)
{
    struct sweep *sweep = context;
    uint8_t hash[CAIRN_SHA256_BYTES];

    if (strlen(name) != 2 * sizeof hash || age_ms < sweep->grace_ms)
        return;
    for (size_t i = 0; i < sizeof hash; i++)
        if (sscanf(name + 2 * i, "%2hhx", &hash[i]) != 1)
            return;
    if (sweep->hashes->size && bsearch(hash, sweep->hashes->data, sweep->hashes->size / CAIRN_SHA256_BYTES,
                                       CAIRN_SHA256_BYTES, compare_hashes))
        return;
    cairn_buf_str(&sweep->names, "runs/");
    cairn_buf_add(&sweep->names, name, strlen(name) + 1);
    sweep->bytes += bytes;
}

enum cairn_code remote_collect(struct remote *remote, const struct cairn_buf *hashes, uint64_t grace_ms,
                               uint64_t *ret_bytes, struct cairn_err *err)
{
    struct sweep sweep = {.hashes = hashes, .grace_ms = grace_ms};
    enum cairn_code code = remote_check(remote, err);

    if (code == CAIRN_OK)
        code = remote->blob->ops->list(remote->blob, "runs", take_garbage, &sweep, err);
    if (code == CAIRN_OK)
        code = remote_check(remote, err); /* the list took a while */
    for (size_t at = 0; code == CAIRN_OK && at < sweep.names.size;
         at += strlen((const char *)sweep.names.data + at) + 1)
        code = remote->blob->ops->remove(remote->blob, (const char *)sweep.names.data + at, err);
    if (code == CAIRN_OK)
        *ret_bytes = sweep.bytes;
    cairn_buf_done(&sweep.names);
    return code;
}

/* --- which runs are there --- */

static void take_hash(void *context, const char *name, uint64_t bytes, uint64_t age_ms)
{
    uint8_t hash[CAIRN_SHA256_BYTES];

    (void)bytes;
    (void)age_ms;
    if (strlen(name) != 2 * sizeof hash)
        return;
    for (size_t i = 0; i < sizeof hash; i++)
        if (sscanf(name + 2 * i, "%2hhx", &hash[i]) != 1)
            return;
    cairn_buf_add(context, hash, sizeof hash);
}

enum cairn_code remote_list_runs(struct remote *remote, struct cairn_buf *hashes, struct cairn_err *err)
{
    enum cairn_code code = remote->blob->ops->list(remote->blob, "runs", take_hash, hashes, err);

    if (code == CAIRN_OK && hashes->size)
        qsort(hashes->data, hashes->size / CAIRN_SHA256_BYTES, CAIRN_SHA256_BYTES, compare_hashes);
    return code;
}
