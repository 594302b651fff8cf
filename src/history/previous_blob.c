/* previous_blob.c - a blob store of the format before this one becomes one of this program's; see previous.h. */
#include "history/previous.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/hash.h"
#include "base/seal.h"
#include "history/history_internal.h"

enum {
    VERSION_VERSION = 1, /* of an archived version; this program's is one more, and else alike */
    CHUNK_VERSION = 1,
    CHUNK_HEAD_BYTES = 48, /* magic, version, epoch of the log, first, end, restored, when */
    OBJECT_BYTES_MAX = 512 << 20,
    CLAIM_BYTES_MAX = 4096,
};

/* --- what it is --- */

static void take_name(void *context, const char *name, uint64_t bytes, uint64_t age_ms)
{
    (void)bytes;
    (void)age_ms;
    snprintf(context, CAIRN_BLOB_NAME_BYTES, "versions/%.200s", name);
}

/* By any of its versions. */
enum cairn_code previous_is_archive(struct cairn_blob *blob, bool *ret_previous, struct cairn_err *err)
{
    char name[CAIRN_BLOB_NAME_BYTES] = "";
    struct cairn_buf bytes = {0};
    enum cairn_code code = blob->ops->list(blob, "versions", take_name, name, err);

    *ret_previous = false;
    if (code == CAIRN_OK && name[0])
        code = blob->ops->get(blob, name, OBJECT_BYTES_MAX, &bytes, err);
    if (code == CAIRN_OK && bytes.size >= 12)
        *ret_previous = memcmp(bytes.data, "CAIRNAVE", 8) == 0 && cairn_get_u32(bytes.data + 8) == VERSION_VERSION;
    cairn_buf_done(&bytes);
    return code == CAIRN_ENOTFOUND ? CAIRN_OK : code;
}

/* --- which objects there are --- */

struct place {
    uint64_t epoch, number; /* of a version */
    uint64_t first, end;    /* of a chunk */
};

struct places {
    struct place *at;
    size_t count;
};

static void add_place(struct places *places, struct place place)
{
    places->at = cairn_realloc(places->at, (places->count + 1) * sizeof *places->at);
    places->at[places->count++] = place;
}

static void take_version(void *context, const char *name, uint64_t bytes, uint64_t age_ms)
{
    struct places *places = context;
    struct place place = {0};

    (void)bytes;
    (void)age_ms;
    if (sscanf(name, "%16" SCNx64 "-%" SCNu64, &place.epoch, &place.number) == 2)
        add_place(places, place);
}

static void take_chunk(void *context, const char *name, uint64_t bytes, uint64_t age_ms)
{
    struct places *places = context;
    struct place place = {0};

    (void)bytes;
    (void)age_ms;
    if (sscanf(name, "%16" SCNx64 "-%20" SCNu64 "-%20" SCNu64, &place.epoch, &place.end, &place.first) == 3)
        add_place(places, place);
}

static void take_epoch(void *context, const char *name, uint64_t bytes, uint64_t age_ms)
{
    struct places *places = context;
    struct place place = {0};

    (void)bytes;
    (void)age_ms;
    if (sscanf(name, "%16" SCNx64, &place.epoch) == 1)
        add_place(places, place);
}

static void take_module(void *context, const char *name, uint64_t bytes, uint64_t age_ms)
{
    (void)bytes;
    (void)age_ms;
    cairn_buf_add(context, name, strlen(name) + 1);
}

static enum cairn_code list(struct cairn_blob *blob, const char *folder,
                            void (*take)(void *context, const char *name, uint64_t bytes, uint64_t age_ms),
                            void *context, struct cairn_err *err)
{
    enum cairn_code code = blob->ops->list(blob, folder, take, context, err);

    return code == CAIRN_ENOTFOUND ? CAIRN_OK : code;
}

/* --- which of them count --- */

/* Of versions: those of the newest epoch, and those that its object names. */
static enum cairn_code choose_versions(struct cairn_blob *over, struct places *versions, const struct places *epochs,
                                       uint64_t *ret_epoch, struct cairn_err *err)
{
    char name[CAIRN_BLOB_NAME_BYTES];
    struct cairn_buf named = {0};
    uint64_t newest = 0;
    size_t kept = 0;
    enum cairn_code code;

    for (size_t i = 0; i < epochs->count; i++)
        if (epochs->at[i].epoch > newest)
            newest = epochs->at[i].epoch;
    snprintf(name, sizeof name, "epochs/%016" PRIx64, newest);
    code = over->ops->get(over, name, OBJECT_BYTES_MAX, &named, err);
    if (code == CAIRN_OK && (named.size < 12 || (named.size - 12) % 16 || memcmp(named.data, "CAIRNEPO", 8) != 0 ||
                             cairn_get_u32(named.data + named.size - 4) != cairn_crc32c(0, named.data, named.size - 4)))
        code = cairn_fail(err, CAIRN_ECORRUPT, "'%s' in '%s' is damaged", name, over->url);
    for (size_t i = 0; code == CAIRN_OK && i < versions->count; i++) {
        const struct place *version = &versions->at[i];
        bool counts = version->epoch == newest;

        for (size_t at = 8; !counts && at + 16 < named.size; at += 16)
            counts = cairn_get_u64(named.data + at) == version->epoch &&
                     cairn_get_u64(named.data + at + 8) == version->number;
        if (counts)
            versions->at[kept++] = *version;
    }
    versions->count = kept;
    cairn_buf_done(&named);
    *ret_epoch = newest;
    return code;
}

static int newest_first(const void *a, const void *b)
{
    const struct place *x = a, *y = b;

    return (x->epoch < y->epoch) - (x->epoch > y->epoch);
}

static int by_end(const void *a, const void *b)
{
    const struct place *x = a, *y = b;

    if (x->end != y->end)
        return x->end < y->end ? -1 : 1;
    if (x->first != y->first)
        return x->first < y->first ? -1 : 1;
    return (x->epoch > y->epoch) - (x->epoch < y->epoch);
}

/* Of chunks: those whose end is not beyond the first of any of a newer epoch. */
static void choose_chunks(struct places *chunks)
{
    uint64_t limit = UINT64_MAX, next = UINT64_MAX;
    size_t kept = 0;

    if (!chunks->count)
        return;
    qsort(chunks->at, chunks->count, sizeof *chunks->at, newest_first);
    for (size_t i = 0; i < chunks->count; i++) {
        struct place chunk = chunks->at[i];

        if (i && chunk.epoch != chunks->at[i - 1].epoch)
            limit = next;
        if (chunk.first < next)
            next = chunk.first;
        if (chunk.end <= limit)
            chunks->at[kept++] = chunk;
    }
    chunks->count = kept;
    qsort(chunks->at, chunks->count, sizeof *chunks->at, by_end);
}

/* --- writing them anew: what does not count stays below, where it does not count either --- */

static enum cairn_code translate_version(struct cairn_blob *over, const struct place *version, struct cairn_buf *bytes,
                                         struct cairn_err *err)
{
    if (cairn_seal_check(cairn_buf_bytes(bytes), "CAIRNAVE", VERSION_VERSION, 24) != CAIRN_SEAL_WHOLE)
        return cairn_fail(err, CAIRN_ECORRUPT, "version %" PRIu64 " in '%s' is damaged", version->number, over->url);
    cairn_put_u32(bytes->data + 8, VERSION_VERSION + 1);
    bytes->size -= 4;
    cairn_seal_end(bytes, 0);
    return CAIRN_OK;
}

static enum cairn_code move_versions(struct cairn_blob *over, const struct places *versions, struct cairn_err *err)
{
    enum cairn_code code = CAIRN_OK;

    for (size_t i = 0; code == CAIRN_OK && i < versions->count; i++) {
        char name[CAIRN_BLOB_NAME_BYTES];
        struct cairn_buf bytes = {0};

        snprintf(name, sizeof name, "versions/%016" PRIx64 "-%" PRIu64, versions->at[i].epoch, versions->at[i].number);
        code = over->ops->get(over, name, OBJECT_BYTES_MAX, &bytes, err);
        if (code == CAIRN_OK)
            code = translate_version(over, &versions->at[i], &bytes, err);
        if (code == CAIRN_OK)
            code = over->ops->put(over, name, cairn_buf_bytes(&bytes), err);
        cairn_buf_done(&bytes);
    }
    return code;
}

/* Each names the one before it; the head names the last. */
static enum cairn_code move_chunk(struct cairn_blob *over, const struct place *place, struct archive_head *head,
                                  struct cairn_err *err)
{
    char name[CAIRN_BLOB_NAME_BYTES];
    struct cairn_buf bytes = {0}, anew = {0};
    struct archive_chunk chunk = {.before_end = head->end};
    uint64_t latest_ms;
    enum cairn_code code;

    archive_chunk_name(place->epoch, place->first, place->end, name);
    code = over->ops->get(over, name, OBJECT_BYTES_MAX, &bytes, err);
    if (code == CAIRN_OK &&
        cairn_seal_check(cairn_buf_bytes(&bytes), "CAIRNARC", CHUNK_VERSION, CHUNK_HEAD_BYTES) != CAIRN_SEAL_WHOLE)
        code = cairn_fail(err, CAIRN_ECORRUPT, "'%s' in '%s' is damaged", name, over->url);
    if (code == CAIRN_OK) {
        chunk.log_epoch = cairn_get_u32(bytes.data + 12);
        chunk.first = cairn_get_u64(bytes.data + 16);
        chunk.end = cairn_get_u64(bytes.data + 24);
        chunk.restored = cairn_get_u64(bytes.data + 32);
        chunk.restored_ms = cairn_get_u64(bytes.data + 40);
        memcpy(chunk.before_sha256, head->sha256, sizeof chunk.before_sha256);
        cairn_buf_add(&chunk.records, bytes.data + CHUNK_HEAD_BYTES, bytes.size - CHUNK_HEAD_BYTES - 4);
        archive_chunk_encode(&chunk, &anew);
        code = over->ops->put(over, name, cairn_buf_bytes(&anew), err);
    }
    if (code == CAIRN_OK) {
        latest_ms = archive_records_ms(cairn_buf_bytes(&chunk.records));
        head->epoch = place->epoch;
        head->first = place->first;
        head->end = place->end;
        cairn_sha256(cairn_buf_bytes(&anew), head->sha256);
        if (latest_ms > head->wall_ms)
            head->wall_ms = latest_ms;
        if (chunk.log_epoch > head->log_epoch)
            head->log_epoch = chunk.log_epoch;
    }
    cairn_buf_done(&chunk.records);
    cairn_buf_done(&bytes);
    cairn_buf_done(&anew);
    return code;
}

static void add_u64(struct cairn_buf *to, uint64_t value)
{
    cairn_put_u64(cairn_buf_reserve(to, 8), value);
    to->size += 8;
}

/* docs/formats/remote.md */
static enum cairn_code put_head(struct cairn_blob *over, uint64_t epoch, const struct places *versions,
                                const struct archive_head *head, struct cairn_err *err)
{
    char name[CAIRN_BLOB_NAME_BYTES];
    struct cairn_buf bytes = {0}, note = {0}, owner = {0}, modules = {0};
    enum cairn_code code = list(over, "modules", take_module, &modules, err);

    snprintf(name, sizeof name, "claims/%016" PRIx64, epoch);
    if (code == CAIRN_OK && over->ops->get(over, name, CLAIM_BYTES_MAX, &owner, NULL) != CAIRN_OK)
        owner.size = 0;
    archive_head_encode(head, &modules, &note);
    cairn_buf_add(&bytes, "CAIRNEPO", 8);
    cairn_put_u32(cairn_buf_reserve(&bytes, 8), 2);
    cairn_put_u32(bytes.data + 12, (uint32_t)versions->count);
    bytes.size += 8;
    for (size_t i = 0; i < versions->count; i++) {
        add_u64(&bytes, versions->at[i].epoch);
        add_u64(&bytes, versions->at[i].number);
    }
    cairn_buf_varint(&bytes, owner.size);
    cairn_buf_add(&bytes, owner.data, owner.size);
    cairn_buf_varint(&bytes, note.size);
    cairn_buf_add(&bytes, note.data, note.size);
    cairn_seal_end(&bytes, 0);
    snprintf(name, sizeof name, "epochs/%016" PRIx64, epoch);
    if (code == CAIRN_OK)
        code = over->ops->put(over, name, cairn_buf_bytes(&bytes), err);
    cairn_buf_done(&bytes);
    cairn_buf_done(&note);
    cairn_buf_done(&owner);
    cairn_buf_done(&modules);
    return code;
}

/* --- all of it --- */

static enum cairn_code translate(struct cairn_blob *over, struct places *versions, struct places *chunks,
                                 struct places *epochs, struct cairn_err *err)
{
    struct archive_head head = {0};
    uint64_t epoch = 0;
    enum cairn_code code = list(over, "log", take_chunk, chunks, err);

    if (code == CAIRN_OK)
        code = list(over, "epochs", take_epoch, epochs, err);
    if (code == CAIRN_OK)
        code = choose_versions(over, versions, epochs, &epoch, err);
    choose_chunks(chunks);
    if (code == CAIRN_OK)
        code = move_versions(over, versions, err);
    head.low = chunks->count ? chunks->at[0].first : 0;
    for (size_t i = 0; code == CAIRN_OK && i < chunks->count; i++)
        code = move_chunk(over, &chunks->at[i], &head, err);
    return code == CAIRN_OK ? put_head(over, epoch, versions, &head, err) : code;
}

enum cairn_code cairn_previous_translate(struct cairn_blob *over, bool *ret_previous, struct cairn_err *err)
{
    struct places versions = {0}, chunks = {0}, epochs = {0};
    enum cairn_code code = previous_is_archive(over, ret_previous, err);

    if (code == CAIRN_OK && *ret_previous)
        code = list(over, "versions", take_version, &versions, err);
    if (code == CAIRN_OK && *ret_previous)
        code = translate(over, &versions, &chunks, &epochs, err);
    free(versions.at);
    free(chunks.at);
    free(epochs.at);
    return code == CAIRN_OK ? code : cairn_while(err, "reading the blob store '%s'", over->url);
}
