#include "engine/remote.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/hash.h"
#include "base/seal.h"

#define CLAIM_DIR "claims"
#define HEAD_DIR  "epochs"

enum {
    CLAIM_TRIES = 100,
    LOOK_TRIES = 5,
    HEAD_VERSION = 2,
    HEAD_PREFIX_BYTES = 16, /* magic, version, number of manifests */
    HEAD_BYTES_MAX = 64 << 20,
    CLAIM_BYTES_MAX = 4096,
    MANIFEST_BYTES_MAX = 512 << 20,
};

static const char head_magic[8] = {'C', 'A', 'I', 'R', 'N', 'E', 'P', 'O'};
static const char unnamed[] = "somebody\n";

/* A manifest's name: versions/EPOCH-NUMBER, the epoch in 16 hexadecimal digits, the number in decimal. */
struct place {
    uint64_t epoch, number;
    bool going; /* it is being removed: the head does not name it any more */
};

struct remote {
    struct cairn_blob *blob;
    uint64_t epoch;
    _Atomic uint64_t fenced_by; /* the epoch of another owner, once a check has found it */
    struct cairn_buf owner;     /* the text of the claim */
    enum remote_head head;
    struct cairn_buf missing; /* struct place each: the head names them, and they are not there */
    pthread_mutex_t lock;     /* guards what follows, also while the head is put */
    struct cairn_buf places;  /* struct place each, by number; what counts */
    struct cairn_buf note;    /* the caller's part of the head */
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

/* --- the store's owner --- */

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

/* --- the head: what an epoch's owner says that there is --- */

static void add_u64(struct cairn_buf *to, uint64_t value)
{
    cairn_put_u64(cairn_buf_reserve(to, 8), value);
    to->size += 8;
}

static void add_u32(struct cairn_buf *to, uint32_t value)
{
    cairn_put_u32(cairn_buf_reserve(to, 4), value);
    to->size += 4;
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

struct head {
    uint64_t epoch; /* 0: there is none */
    bool is_damaged;
    struct cairn_buf bytes; /* owner and note lie in it */
    struct cairn_buf places;
    struct cairn_bytes owner, note;
};

static void head_done(struct head *head)
{
    cairn_buf_done(&head->bytes);
    cairn_buf_done(&head->places);
}

static bool decode_head(struct head *head)
{
    struct cairn_bytes bytes = cairn_buf_bytes(&head->bytes);
    struct cairn_reader r;
    uint32_t count;

    if (cairn_seal_check(bytes, head_magic, HEAD_VERSION, HEAD_PREFIX_BYTES) != CAIRN_SEAL_WHOLE)
        return false;
    count = cairn_get_u32(bytes.data + 12);
    r = cairn_reader(cairn_bytes(bytes.data + HEAD_PREFIX_BYTES, bytes.size - HEAD_PREFIX_BYTES - 4));
    for (uint32_t i = 0; !r.bad && i < count; i++) {
        struct place place = {.epoch = cairn_read_u64(&r)};

        place.number = cairn_read_u64(&r);
        add_place(&head->places, place);
    }
    head->owner = cairn_read_sized(&r);
    head->note = cairn_read_sized(&r);
    return !r.bad && !cairn_reader_left(&r);
}

/* The newest.  One that is damaged, or has just been removed by a newer owner, is no failure. */
static enum cairn_code read_head(struct remote *remote, struct head *head, struct cairn_err *err)
{
    char name[CAIRN_BLOB_NAME_BYTES];
    enum cairn_code code = highest(remote, HEAD_DIR, &head->epoch, err);

    if (code != CAIRN_OK || !head->epoch)
        return code;
    epoch_name(HEAD_DIR, head->epoch, name);
    code = remote->blob->ops->get(remote->blob, name, HEAD_BYTES_MAX, &head->bytes, err);
    head->is_damaged = code == CAIRN_ENOTFOUND || (code == CAIRN_OK && !decode_head(head));
    if (head->is_damaged) {
        head->places.size = 0;
        head->owner = head->note = cairn_bytes(NULL, 0);
    }
    return code == CAIRN_ENOTFOUND ? CAIRN_OK : code;
}

/* The lock is held, or no other thread uses the store. */
static enum cairn_code put_head(struct remote *remote, struct cairn_bytes note, struct cairn_err *err)
{
    char name[CAIRN_BLOB_NAME_BYTES];
    struct cairn_buf bytes = {0};
    uint32_t count = 0;
    enum cairn_code code;

    cairn_seal_begin(&bytes, head_magic, HEAD_VERSION);
    add_u32(&bytes, 0);
    for (size_t i = 0; i < place_count(&remote->places); i++) {
        struct place place = place_at(&remote->places, i);

        if (place.going)
            continue;
        add_u64(&bytes, place.epoch);
        add_u64(&bytes, place.number);
        count++;
    }
    cairn_put_u32(bytes.data + 12, count);
    cairn_buf_varint(&bytes, remote->owner.size);
    cairn_buf_add(&bytes, remote->owner.data, remote->owner.size);
    cairn_buf_varint(&bytes, note.size);
    cairn_buf_add(&bytes, note.data, note.size);
    cairn_seal_end(&bytes, 0);
    epoch_name(HEAD_DIR, remote->epoch, name);
    code = remote->blob->ops->put(remote->blob, name, cairn_buf_bytes(&bytes), err);
    cairn_buf_done(&bytes);
    return code;
}

/* Names that begin with an epoch, whatever follows. */
static void take_greatest(void *context, const char *name, uint64_t bytes, uint64_t age_ms)
{
    uint64_t *greatest = context, epoch;

    (void)bytes;
    (void)age_ms;
    if (strlen(name) >= 16 && strspn(name, "0123456789abcdef") >= 16 && sscanf(name, "%16" SCNx64, &epoch) == 1 &&
        epoch > *greatest)
        *greatest = epoch;
}

/* The greatest epoch that anything was put under; `log` is where an archive keeps it. */
static enum cairn_code greatest_used(struct remote *remote, uint64_t *ret_epoch, struct cairn_err *err)
{
    struct cairn_blob *blob = remote->blob;
    enum cairn_code code;

    *ret_epoch = 0;
    code = blob->ops->list(blob, "versions", take_greatest, ret_epoch, err);
    return code == CAIRN_OK ? blob->ops->list(blob, "log", take_greatest, ret_epoch, err) : code;
}

/* That the store is the owner's already, or has none. */
static enum cairn_code check_owner(const struct remote *remote, struct cairn_bytes text, struct cairn_err *err)
{
    struct cairn_bytes owner = cairn_buf_bytes(&remote->owner);
    struct cairn_bytes line = cairn_bytes(text.data, 0);

    while (line.size < text.size && text.data[line.size] != '\n')
        line.size++;
    if (!text.size || cairn_bytes_equal(text, owner))
        return CAIRN_OK;
    return cairn_fail(err, CAIRN_ECONFLICT, "the blob store '%s' belongs to %.*s", remote->blob->url, (int)line.size,
                      (const char *)line.data);
}

/* The head says so, too, and has a checksum. */
static enum cairn_code check_last_owner(struct remote *remote, uint64_t claimed, const struct head *head,
                                        struct cairn_err *err)
{
    char name[CAIRN_BLOB_NAME_BYTES];
    struct cairn_buf text = {0};
    enum cairn_code code;

    if (head->epoch >= claimed && !head->is_damaged)
        return check_owner(remote, head->owner, err);
    if (!claimed)
        return CAIRN_OK;
    epoch_name(CLAIM_DIR, claimed, name);
    code = remote->blob->ops->get(remote->blob, name, CLAIM_BYTES_MAX, &text, err);
    if (code == CAIRN_OK)
        code = check_owner(remote, cairn_buf_bytes(&text), err);
    cairn_buf_done(&text);
    return code;
}

static enum cairn_code claim(struct remote *remote, bool check, struct cairn_err *err)
{
    char name[CAIRN_BLOB_NAME_BYTES];
    enum cairn_code code = CAIRN_ECONFLICT;

    for (int i = 0; code == CAIRN_ECONFLICT && i < CLAIM_TRIES; i++) {
        struct head head = {0};
        uint64_t claimed, used;

        code = highest(remote, CLAIM_DIR, &claimed, err);
        if (code == CAIRN_OK)
            code = read_head(remote, &head, err);
        if (code == CAIRN_OK && check)
            code = check_last_owner(remote, claimed, &head, err);
        if (code == CAIRN_OK)
            code = greatest_used(remote, &used, err);
        remote->epoch = head.epoch;
        head_done(&head);
        if (code != CAIRN_OK)
            return code;
        if (claimed > remote->epoch)
            remote->epoch = claimed;
        if (used > remote->epoch) /* claims and head are lost: nothing may be put under an epoch again */
            remote->epoch = used;
        epoch_name(CLAIM_DIR, ++remote->epoch, name);
        code = remote->blob->ops->create(remote->blob, name, cairn_buf_bytes(&remote->owner), err);
    }
    return code;
}

static enum cairn_code fenced(struct remote *remote, uint64_t epoch, struct cairn_err *err)
{
    atomic_store(&remote->fenced_by, epoch);
    return cairn_fail(err, CAIRN_EUNAVAILABLE,
                      "another process has claimed the blob store '%s' (epoch %" PRIu64 ", ours was %" PRIu64
                      "): what is put there from here would not count",
                      remote->blob->url, epoch, remote->epoch);
}

/* Our claim is gone.  Heads of later owners tell as well that the store is theirs. */
static enum cairn_code claim_again(struct remote *remote, struct cairn_err *err)
{
    char name[CAIRN_BLOB_NAME_BYTES];
    uint64_t epoch;
    enum cairn_code code = highest(remote, HEAD_DIR, &epoch, err);

    if (code == CAIRN_OK && epoch > remote->epoch)
        return fenced(remote, epoch, err);
    epoch_name(CLAIM_DIR, remote->epoch, name);
    if (code == CAIRN_OK)
        code = remote->blob->ops->create(remote->blob, name, cairn_buf_bytes(&remote->owner), err);
    if (code == CAIRN_ECONFLICT)
        code = cairn_fail(err, CAIRN_EIO, "'%s' has '%s' and does not list it: its listing is out of date",
                          remote->blob->url, name);
    return code;
}

/* Of several owners the one with the highest claim is it. */
enum cairn_code remote_check(struct remote *remote, struct cairn_err *err)
{
    uint64_t epoch;
    enum cairn_code code = highest(remote, CLAIM_DIR, &epoch, err);

    if (code == CAIRN_OK && epoch < remote->epoch) {
        code = claim_again(remote, err);
        if (code == CAIRN_OK)
            code = highest(remote, CLAIM_DIR, &epoch, err);
    }
    return code == CAIRN_OK && epoch > remote->epoch ? fenced(remote, epoch, err) : code;
}

uint64_t remote_fenced_by(const struct remote *remote)
{
    return atomic_load(&remote->fenced_by);
}

uint64_t remote_epoch(const struct remote *remote)
{
    return remote->epoch;
}

/* --- which manifests count --- */

struct taking {
    struct remote *remote;
    const struct head *head;
    struct cairn_buf all; /* of the places that there are */
};

static void take_manifest(void *context, const char *name, uint64_t bytes, uint64_t age_ms)
{
    struct taking *taking = context;
    char again[CAIRN_BLOB_NAME_BYTES];
    struct place place = {0};

    (void)bytes;
    (void)age_ms;
    if (sscanf(name, "%16" SCNx64 "-%" SCNu64, &place.epoch, &place.number) != 2)
        return;
    manifest_name(place, again);
    if (strcmp(name, again + strlen("versions/")) == 0)
        add_place(&taking->all, place);
}

static int compare_places(const void *a, const void *b)
{
    const struct place *x = a, *y = b;

    return (x->number > y->number) - (x->number < y->number);
}

static bool has_place(const struct cairn_buf *places, struct place place)
{
    for (size_t i = 0; i < place_count(places); i++)
        if (place_at(places, i).epoch == place.epoch && place_at(places, i).number == place.number)
            return true;
    return false;
}

/* Without a head: no newer epoch has the number or a lower one, as its owner went on from what counted. */
static bool is_newest(const struct cairn_buf *all, struct place place)
{
    for (size_t i = 0; i < place_count(all); i++)
        if (place_at(all, i).epoch > place.epoch && place_at(all, i).number <= place.number)
            return false;
    return true;
}

static void choose_places(struct remote *remote, const struct head *head, const struct cairn_buf *all)
{
    remote->places.size = remote->missing.size = 0;
    for (size_t i = 0; i < place_count(all); i++) {
        struct place place = place_at(all, i);

        if (remote->head == REMOTE_HEAD_LOST ? is_newest(all, place)
                                             : place.epoch == head->epoch || has_place(&head->places, place))
            add_place(&remote->places, place);
    }
    for (size_t i = 0; remote->head != REMOTE_HEAD_LOST && i < place_count(&head->places); i++)
        if (!has_place(all, place_at(&head->places, i)))
            add_place(&remote->missing, place_at(&head->places, i));
    if (remote->places.size)
        qsort(remote->places.data, place_count(&remote->places), sizeof(struct place), compare_places);
}

static enum cairn_code find_places(struct remote *remote, struct cairn_err *err)
{
    struct head head = {0};
    struct taking taking = {.remote = remote};
    uint64_t used;
    enum cairn_code code = read_head(remote, &head, err);

    if (code == CAIRN_OK)
        code = remote->blob->ops->list(remote->blob, "versions", take_manifest, &taking, err);
    if (code == CAIRN_OK)
        code = greatest_used(remote, &used, err);
    if (code == CAIRN_OK) {
        remote->head = head.is_damaged || used > head.epoch ? REMOTE_HEAD_LOST
                       : head.epoch                         ? REMOTE_HEAD_WHOLE
                                                            : REMOTE_HEAD_NONE;
        choose_places(remote, &head, &taking.all);
        remote->note.size = 0;
        cairn_buf_add(&remote->note, head.note.data, head.note.size);
    }
    cairn_buf_done(&taking.all);
    head_done(&head);
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

static struct remote *create(struct cairn_blob *blob)
{
    struct remote *remote = cairn_alloc_zeroed(1, sizeof *remote);

    remote->blob = blob;
    pthread_mutex_init(&remote->lock, NULL);
    return remote;
}

enum cairn_code remote_open(struct cairn_blob *blob, const char *owner, bool take, struct remote **ret_remote,
                            struct cairn_err *err)
{
    struct remote *remote = create(blob);
    enum cairn_code code;

    cairn_buf_str(&remote->owner, owner ? owner : unnamed);
    code = claim(remote, owner && !take, err);
    if (code == CAIRN_OK)
        code = find_places(remote, err);
    if (code == CAIRN_OK)
        code = put_head(remote, cairn_buf_bytes(&remote->note), err);
    if (code == CAIRN_OK)
        code = remote_check(remote, err); /* what follows is for the owner */
    if (code != CAIRN_OK) {
        remote_close(remote);
        return code == CAIRN_ECONFLICT ? code : cairn_while(err, "claiming the blob store '%s'", blob->url);
    }
    remove_old(remote, HEAD_DIR);
    remove_old(remote, CLAIM_DIR);
    *ret_remote = remote;
    return CAIRN_OK;
}

/* An owner that is at work may have removed what the head named when it was read. */
enum cairn_code remote_look(struct cairn_blob *blob, struct remote **ret_remote, struct cairn_err *err)
{
    struct remote *remote = create(blob);
    enum cairn_code code = find_places(remote, err);

    for (int i = 0; code == CAIRN_OK && i < LOOK_TRIES && (remote->missing.size || remote->head == REMOTE_HEAD_LOST);
         i++)
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
    pthread_mutex_destroy(&remote->lock);
    cairn_buf_done(&remote->owner);
    cairn_buf_done(&remote->places);
    cairn_buf_done(&remote->missing);
    cairn_buf_done(&remote->note);
    free(remote);
    return NULL;
}

enum remote_head remote_head(const struct remote *remote)
{
    return remote->head;
}

static bool number_at(const struct cairn_buf *places, size_t index, uint64_t *ret_number)
{
    if (index >= place_count(places))
        return false;
    *ret_number = place_at(places, index).number;
    return true;
}

bool remote_version(const struct remote *remote, size_t index, uint64_t *ret_number)
{
    return number_at(&remote->places, index, ret_number);
}

bool remote_missing(const struct remote *remote, size_t index, uint64_t *ret_number,
                    char ret_name[CAIRN_BLOB_NAME_BYTES])
{
    if (!number_at(&remote->missing, index, ret_number))
        return false;
    manifest_name(place_at(&remote->missing, index), ret_name);
    return true;
}

struct cairn_bytes remote_note(const struct remote *remote)
{
    return cairn_buf_bytes(&remote->note);
}

enum cairn_code remote_put_note(struct remote *remote, struct cairn_bytes note, struct cairn_err *err)
{
    enum cairn_code code;

    pthread_mutex_lock(&remote->lock);
    code = put_head(remote, note, err);
    if (code == CAIRN_OK) {
        remote->note.size = 0;
        cairn_buf_add(&remote->note, note.data, note.size);
    }
    pthread_mutex_unlock(&remote->lock);
    return code;
}

/* Where a version's manifest is: among those that are there, or our own.  The lock is held. */
static struct place place_of(const struct remote *remote, uint64_t number, size_t *ret_index)
{
    size_t count = place_count(&remote->places);

    for (*ret_index = 0; *ret_index < count; ++*ret_index)
        if (place_at(&remote->places, *ret_index).number == number)
            return place_at(&remote->places, *ret_index);
    return (struct place){.epoch = remote->epoch, .number = number};
}

enum cairn_code remote_get_manifest(struct remote *remote, uint64_t number, struct cairn_buf *to, struct cairn_err *err)
{
    char name[CAIRN_BLOB_NAME_BYTES];
    size_t index;

    pthread_mutex_lock(&remote->lock);
    manifest_name(place_of(remote, number, &index), name);
    pthread_mutex_unlock(&remote->lock);
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

/* --- manifests: the head names what is there, and never what is not --- */

static void set_place(struct remote *remote, size_t index, struct place place)
{
    if (index == place_count(&remote->places))
        add_place(&remote->places, place);
    else
        memcpy(remote->places.data + index * sizeof place, &place, sizeof place);
    qsort(remote->places.data, place_count(&remote->places), sizeof place, compare_places);
}

static enum cairn_code put_manifest(struct remote *remote, uint64_t number, struct cairn_bytes bytes,
                                    struct cairn_err *err)
{
    char name[CAIRN_BLOB_NAME_BYTES];
    struct place place = {.epoch = remote->epoch, .number = number};
    size_t index;
    enum cairn_code code;

    manifest_name(place, name);
    code = remote->blob->ops->put(remote->blob, name, bytes, err);
    if (code != CAIRN_OK)
        return code;
    place_of(remote, number, &index);
    set_place(remote, index, place);
    return put_head(remote, cairn_buf_bytes(&remote->note), err);
}

enum cairn_code remote_put_manifest(struct remote *remote, uint64_t number, struct cairn_bytes bytes,
                                    struct cairn_err *err)
{
    enum cairn_code code;

    pthread_mutex_lock(&remote->lock);
    code = remote_check(remote, err);
    if (code == CAIRN_OK)
        code = put_manifest(remote, number, bytes, err);
    /* Only if no other had claimed the store after it was put is it sure that the next owner sees it. */
    if (code == CAIRN_OK)
        code = remote_check(remote, err);
    pthread_mutex_unlock(&remote->lock);
    return code;
}

static enum cairn_code remove_manifest(struct remote *remote, uint64_t number, struct cairn_err *err)
{
    char name[CAIRN_BLOB_NAME_BYTES];
    size_t index, count = place_count(&remote->places);
    struct place place = place_of(remote, number, &index);
    enum cairn_code code;

    manifest_name(place, name);
    if (index == count) /* the head does not name it */
        return remote->blob->ops->remove(remote->blob, name, err);
    place.going = true;
    set_place(remote, index, place);
    code = put_head(remote, cairn_buf_bytes(&remote->note), err);
    if (code == CAIRN_OK)
        code = remote_check(remote, err); /* every later claim reads that */
    if (code == CAIRN_OK)
        code = remote->blob->ops->remove(remote->blob, name, err);
    if (code == CAIRN_OK) {
        place_of(remote, number, &index);
        memmove(remote->places.data + index * sizeof place, remote->places.data + (index + 1) * sizeof place,
                (count - index - 1) * sizeof place);
        remote->places.size -= sizeof place;
    }
    return code;
}

enum cairn_code remote_remove_manifest(struct remote *remote, uint64_t number, struct cairn_err *err)
{
    enum cairn_code code;

    pthread_mutex_lock(&remote->lock);
    code = remote_check(remote, err);
    if (code == CAIRN_OK)
        code = remove_manifest(remote, number, err);
    pthread_mutex_unlock(&remote->lock);
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
