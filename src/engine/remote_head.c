/* remote_head.c - the head of a blob store: what an epoch's owner says that there is (docs/formats/remote.md). */
#include "base/seal.h"
#include "engine/remote_internal.h"

enum {
    HEAD_VERSION = 2,
    HEAD_PREFIX_BYTES = 16, /* magic, version, number of manifests */
    HEAD_BYTES_MAX = 64 << 20,
};

static const char head_magic[8] = {'C', 'A', 'I', 'R', 'N', 'E', 'P', 'O'};

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

void remote_add_place(struct cairn_buf *to, struct place place)
{
    cairn_buf_add(to, &place, sizeof place);
}

struct place remote_place_at(const struct cairn_buf *places, size_t index)
{
    struct place place;

    memcpy(&place, places->data + index * sizeof place, sizeof place);
    return place;
}

size_t remote_place_count(const struct cairn_buf *places)
{
    return places->size / sizeof(struct place);
}

void remote_head_done(struct head *head)
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
        remote_add_place(&head->places, place);
    }
    head->owner = cairn_read_sized(&r);
    head->note = cairn_read_sized(&r);
    return !r.bad && !cairn_reader_left(&r);
}

enum cairn_code remote_read_head(struct remote *remote, struct head *head, struct cairn_err *err)
{
    char name[CAIRN_BLOB_NAME_BYTES];
    enum cairn_code code = remote_highest(remote, REMOTE_HEAD_DIR, &head->epoch, err);

    if (code != CAIRN_OK || !head->epoch)
        return code;
    remote_epoch_name(REMOTE_HEAD_DIR, head->epoch, name);
    code = remote->blob->ops->get(remote->blob, name, HEAD_BYTES_MAX, &head->bytes, err);
    head->is_damaged = code == CAIRN_ENOTFOUND || (code == CAIRN_OK && !decode_head(head));
    if (head->is_damaged) {
        head->places.size = 0;
        head->owner = head->note = cairn_bytes(NULL, 0);
    }
    return code == CAIRN_ENOTFOUND ? CAIRN_OK : code;
}

enum cairn_code remote_put_head(struct remote *remote, struct cairn_bytes note, struct cairn_err *err)
{
    char name[CAIRN_BLOB_NAME_BYTES];
    struct cairn_buf bytes = {0};
    uint32_t count = 0;
    enum cairn_code code;

    cairn_seal_begin(&bytes, head_magic, HEAD_VERSION);
    add_u32(&bytes, 0);
    for (size_t i = 0; i < remote_place_count(&remote->places); i++) {
        struct place place = remote_place_at(&remote->places, i);

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
    remote_epoch_name(REMOTE_HEAD_DIR, remote->epoch, name);
    code = remote->blob->ops->put(remote->blob, name, cairn_buf_bytes(&bytes), err);
    cairn_buf_done(&bytes);
    return code;
}
