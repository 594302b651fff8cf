#include "engine/remote.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/hash.h"

#define CLAIM_DIR "claims"
#define EPOCH_DIR "epochs"

enum {
    CLAIM_TRIES = 100,
    EPOCH_BYTES_MAX = 64 << 20,
    CLAIM_BYTES_MAX = 4096,
    MANIFEST_BYTES_MAX = 512 << 20,
};

static const char epoch_magic[8] = {'C', 'A', 'I', 'R', 'N', 'E', 'P', 'O'};

/* A manifest's name: versions/EPOCH-NUMBER, the epoch in 16 hexadecimal digits, the number in decimal. */
struct place {
    uint64_t epoch, number;
};

struct remote {
    struct cairn_blob *blob;
    uint64_t epoch;
    struct cairn_buf places; /* struct place each, by number; what counts of older epochs */
};

static void manifest_name(struct place place, char name[CAIRN_BLOB_NAME_BYTES])
{
    snprintf(name, CAIRN_BLOB_NAME_BYTES, "versions/%016" PRIx64 "-%" PRIu64, place.epoch, place.number);
}

static void run_name(const struct run_about *about, char name[CAIRN_BLOB_NAME_BYTES])
{
    int at = snprintf(name, CAIRN_BLOB_NAME_BYTES, "runs/");

    for (size_t i = 0; i < sizeof about->sha256; i++)
        at += snprintf(name + at, CAIRN_BLOB_NAME_BYTES - (size_t)at, "%02x", about->sha256[i]);
}

static void epoch_name(const char *folder, uint64_t epoch, char name[CAIRN_BLOB_NAME_BYTES])
{
    snprintf(name, CAIRN_BLOB_NAME_BYTES, "%s/%016" PRIx64, folder, epoch);
}

static bool epoch_parse(const char *name, uint64_t *ret_epoch)
{
    char again[17];

    if (sscanf(name, "%16" SCNx64, ret_epoch) != 1)
        return false;
    snprintf(again, sizeof again, "%016" PRIx64, *ret_epoch);
    return strcmp(name, again) == 0;
}

/* --- who owns the store --- */

static void take_highest(void *context, const char *name, uint64_t bytes, uint64_t age_ms)
{
    uint64_t *highest = context, epoch;

    (void)bytes;
    (void)age_ms;
    if (epoch_parse(name, &epoch) && epoch > *highest)
        *highest = epoch;
}

/* 0: there is none. */
static enum cairn_code highest(struct remote *remote, const char *folder, uint64_t *ret_epoch, struct cairn_err *err)
{
    *ret_epoch = 0;
    return remote->blob->ops->list(remote->blob, folder, take_highest, ret_epoch, err);
}

/* That the store is the owner's already, or nobody's. */
static enum cairn_code check_owner(struct remote *remote, uint64_t epoch, const char *owner, struct cairn_err *err)
{
    char name[CAIRN_BLOB_NAME_BYTES];
    struct cairn_buf text = {0};
    enum cairn_code code = CAIRN_OK;

    if (!epoch)
        return CAIRN_OK;
    epoch_name(CLAIM_DIR, epoch, name);
    code = remote->blob->ops->get(remote->blob, name, CLAIM_BYTES_MAX, &text, err);
    cairn_buf_u8(&text, 0);
    if (code == CAIRN_OK && strcmp((const char *)text.data, owner) != 0)
        code = cairn_fail(err, CAIRN_ECONFLICT, "the blob store '%s' belongs to %.*s", remote->blob->url,
                          (int)strcspn((const char *)text.data, "\n"), (const char *)text.data);
    cairn_buf_done(&text);
    return code;
}

static enum cairn_code claim(struct remote *remote, const char *owner, bool take, struct cairn_err *err)
{
    char name[CAIRN_BLOB_NAME_BYTES];
    enum cairn_code code = CAIRN_ECONFLICT;

    for (int i = 0; code == CAIRN_ECONFLICT && i < CLAIM_TRIES; i++) {
        code = highest(remote, CLAIM_DIR, &remote->epoch, err);
        if (code == CAIRN_OK && owner && !take)
            code = check_owner(remote, remote->epoch, owner, err);
        if (code != CAIRN_OK)
            return code;
        epoch_name(CLAIM_DIR, ++remote->epoch, name);
        code = remote->blob->ops->create(remote->blob, name, cairn_str(owner ? owner : "somebody\n"), err);
    }
    return code;
}

/* Of several owners the one with the highest claim is it. */
enum cairn_code remote_check(struct remote *remote, struct cairn_err *err)
{
    uint64_t epoch;
    enum cairn_code code = highest(remote, CLAIM_DIR, &epoch, err);

    if (code == CAIRN_OK && epoch != remote->epoch)
        return cairn_fail(err, CAIRN_EUNAVAILABLE,
                          "another process has claimed the blob store '%s' (epoch %" PRIu64 ", ours was %" PRIu64
                          "): what is put there from here would not count",
                          remote->blob->url, epoch, remote->epoch);
    return code;
}

uint64_t remote_epoch(const struct remote *remote)
{
    return remote->epoch;
}

/* --- which manifests count --- */

static void add_u64(struct cairn_buf *to, uint64_t value)
{
    cairn_put_u64(cairn_buf_reserve(to, 8), value);
    to->size += 8;
}

static void add_place(struct cairn_buf *to, struct place place)
{
    cairn_buf_add(to, &place, sizeof place);
}

static struct place place_at(const struct cairn_buf *places, size_t index)
{
    struct place place;

    memcpy(&place, places->data + index * sizeof place, sizeof place);
    return place;
}

static size_t place_count(const struct cairn_buf *places)
{
    return places->size / sizeof(struct place);
}

static enum cairn_code read_epoch(struct remote *remote, uint64_t epoch, struct cairn_buf *adopted,
                                  struct cairn_err *err)
{
    char name[CAIRN_BLOB_NAME_BYTES];
    struct cairn_buf bytes = {0};
    enum cairn_code code;

    epoch_name(EPOCH_DIR, epoch, name);
    code = remote->blob->ops->get(remote->blob, name, EPOCH_BYTES_MAX, &bytes, err);
    if (code == CAIRN_OK && (bytes.size < 12 || (bytes.size - 12) % 16 || memcmp(bytes.data, epoch_magic, 8) != 0 ||
                             cairn_get_u32(bytes.data + bytes.size - 4) != cairn_crc32c(0, bytes.data, bytes.size - 4)))
        code = cairn_fail(err, CAIRN_ECORRUPT, "'%s' in '%s' is damaged", name, remote->blob->url);
    for (size_t at = 8; code == CAIRN_OK && at < bytes.size - 4; at += 16)
        add_place(adopted, (struct place){cairn_get_u64(bytes.data + at), cairn_get_u64(bytes.data + at + 8)});
    cairn_buf_done(&bytes);
    return code;
}

static enum cairn_code write_epoch(struct remote *remote, struct cairn_err *err)
{
    char name[CAIRN_BLOB_NAME_BYTES];
    struct cairn_buf bytes = {0};
    enum cairn_code code;

    cairn_buf_add(&bytes, epoch_magic, sizeof epoch_magic);
    for (size_t i = 0; i < place_count(&remote->places); i++) {
        add_u64(&bytes, place_at(&remote->places, i).epoch);
        add_u64(&bytes, place_at(&remote->places, i).number);
    }
    cairn_put_u32(cairn_buf_reserve(&bytes, 4), cairn_crc32c(0, bytes.data, bytes.size));
    bytes.size += 4;
    epoch_name(EPOCH_DIR, remote->epoch, name);
    code = remote->blob->ops->put(remote->blob, name, cairn_buf_bytes(&bytes), err);
    cairn_buf_done(&bytes);
    return code;
}

struct taking {
    struct remote *remote;
    uint64_t epoch; /* of the last owner that could commit: all of its manifests count */
    struct cairn_buf adopted;
};

static void take_manifest(void *context, const char *name, uint64_t bytes, uint64_t age_ms)
{
    struct taking *taking = context;
    char again[CAIRN_BLOB_NAME_BYTES];
    struct place place;
    bool counts;

    (void)bytes;
    (void)age_ms;
    if (sscanf(name, "%16" SCNx64 "-%" SCNu64, &place.epoch, &place.number) != 2)
        return;
    manifest_name(place, again);
    if (strcmp(name, again + strlen("versions/")) != 0)
        return;
    counts = place.epoch == taking->epoch;
    for (size_t i = 0; !counts && i < place_count(&taking->adopted); i++) {
        struct place other = place_at(&taking->adopted, i);

        counts = other.epoch == place.epoch && other.number == place.number;
    }
    if (counts)
        add_place(&taking->remote->places, place);
}

static int compare_places(const void *a, const void *b)
{
    const struct place *x = a, *y = b;

    return (x->number > y->number) - (x->number < y->number);
}

static enum cairn_code find_places(struct remote *remote, struct cairn_err *err)
{
    struct taking taking = {.remote = remote};
    enum cairn_code code = highest(remote, EPOCH_DIR, &taking.epoch, err);

    if (code == CAIRN_OK && taking.epoch)
        code = read_epoch(remote, taking.epoch, &taking.adopted, err);
    if (code == CAIRN_OK)
        code = remote->blob->ops->list(remote->blob, "versions", take_manifest, &taking, err);
    cairn_buf_done(&taking.adopted);
    if (code == CAIRN_OK && remote->places.size)
        qsort(remote->places.data, place_count(&remote->places), sizeof(struct place), compare_places);
    return code;
}

struct olds {
    uint64_t epoch;
    struct cairn_buf names; /* each with its NUL */
    const char *folder;
};

static void take_old(void *context, const char *name, uint64_t bytes, uint64_t age_ms)
{
    struct olds *olds = context;
    uint64_t epoch;

    (void)bytes;
    (void)age_ms;
    if (!epoch_parse(name, &epoch) || epoch >= olds->epoch)
        return;
    cairn_buf_printf(&olds->names, "%s/%s", olds->folder, name);
    cairn_buf_u8(&olds->names, 0);
}

/* Only the highest claim and the highest epoch matter.  What stays goes next time. */
static void remove_old(struct remote *remote, const char *folder)
{
    struct olds olds = {.epoch = remote->epoch, .folder = folder};
    struct cairn_err ignored;

    remote->blob->ops->list(remote->blob, folder, take_old, &olds, &ignored);
    for (size_t at = 0; at < olds.names.size; at += strlen((const char *)olds.names.data + at) + 1)
        remote->blob->ops->remove(remote->blob, (const char *)olds.names.data + at, &ignored);
    cairn_buf_done(&olds.names);
}

enum cairn_code remote_open(struct cairn_blob *blob, const char *owner, bool take, struct remote **ret_remote,
                            struct cairn_err *err)
{
    struct remote *remote = cairn_alloc_zeroed(1, sizeof *remote);
    enum cairn_code code;

    remote->blob = blob;
    code = claim(remote, owner, take, err);
    if (code == CAIRN_OK)
        code = find_places(remote, err);
    if (code == CAIRN_OK)
        code = write_epoch(remote, err);
    if (code == CAIRN_OK)
        code = remote_check(remote, err); /* what follows is for the owner */
    if (code != CAIRN_OK) {
        remote_close(remote);
        return code == CAIRN_ECONFLICT ? code : cairn_while(err, "claiming the blob store '%s'", blob->url);
    }
    remove_old(remote, EPOCH_DIR);
    remove_old(remote, CLAIM_DIR);
    *ret_remote = remote;
    return CAIRN_OK;
}

enum cairn_code remote_look(struct cairn_blob *blob, struct remote **ret_remote, struct cairn_err *err)
{
    struct remote *remote = cairn_alloc_zeroed(1, sizeof *remote);
    enum cairn_code code;

    remote->blob = blob;
    code = find_places(remote, err);
    if (code != CAIRN_OK) {
        remote_close(remote);
        return cairn_while(err, "reading the blob store '%s'", blob->url);
    }
    *ret_remote = remote;
    return CAIRN_OK;
}

struct remote *remote_close(struct remote *remote)
{
    if (!remote)
        return NULL;
    cairn_buf_done(&remote->places);
    free(remote);
    return NULL;
}

bool remote_version(const struct remote *remote, size_t index, uint64_t *ret_number)
{
    if (index >= place_count(&remote->places))
        return false;
    *ret_number = place_at(&remote->places, index).number;
    return true;
}

/* Where a version's manifest is: among those that were adopted, or our own. */
static struct place place_of(const struct remote *remote, uint64_t number)
{
    for (size_t i = 0; i < place_count(&remote->places); i++)
        if (place_at(&remote->places, i).number == number)
            return place_at(&remote->places, i);
    return (struct place){remote->epoch, number};
}

enum cairn_code remote_get_manifest(struct remote *remote, uint64_t number, struct cairn_buf *to, struct cairn_err *err)
{
    char name[CAIRN_BLOB_NAME_BYTES];

    manifest_name(place_of(remote, number), name);
    return remote->blob->ops->get(remote->blob, name, MANIFEST_BYTES_MAX, to, err);
}

/* --- runs --- */

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

/* --- manifests --- */

enum cairn_code remote_put_manifest(struct remote *remote, uint64_t number, struct cairn_bytes bytes,
                                    struct cairn_err *err)
{
    char name[CAIRN_BLOB_NAME_BYTES];
    enum cairn_code code = remote_check(remote, err);

    manifest_name((struct place){remote->epoch, number}, name);
    if (code == CAIRN_OK)
        code = remote->blob->ops->put(remote->blob, name, bytes, err);
    /* Only when nobody had claimed the store after it was there is it sure that the next owner sees it. */
    return code == CAIRN_OK ? remote_check(remote, err) : code;
}

enum cairn_code remote_remove_manifest(struct remote *remote, uint64_t number, struct cairn_err *err)
{
    char name[CAIRN_BLOB_NAME_BYTES];
    enum cairn_code code = remote_check(remote, err);

    manifest_name(place_of(remote, number), name);
    return code == CAIRN_OK ? remote->blob->ops->remove(remote->blob, name, err) : code;
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
