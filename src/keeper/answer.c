#include "keeper/answer.h"

#include <stddef.h>
#include <stdlib.h>

static void change(struct cairn_buf *to, size_t at, const void *with, size_t size)
{
    memcpy(to->data + at, with, size);
}

void answer_begin(struct cairn_buf *to, int32_t error, uint64_t zxid, uint64_t epoch)
{
    struct answer_head head = {.error = error, .zxid = zxid, .epoch = epoch};

    cairn_buf_u8(to, ANSWER_MARK);
    cairn_buf_add(to, &head, sizeof head);
}

static struct answer_head head_of(const struct cairn_buf *to)
{
    struct answer_head head;

    memcpy(&head, to->data + 1, sizeof head);
    return head;
}

void answer_state(struct cairn_buf *to, const struct keeper_state *state)
{
    struct answer_head head = head_of(to);

    head.has_state = 1;
    change(to, 1, &head, sizeof head);
    cairn_buf_add(to, state, sizeof *state);
}

size_t answer_slot(struct cairn_buf *to, int32_t error)
{
    struct answer_head head = head_of(to);
    struct slot_head slot = {.error = error};
    size_t at = to->size;

    head.slots++;
    change(to, 1, &head, sizeof head);
    cairn_buf_add(to, &slot, sizeof slot);
    return at;
}

static struct slot_head slot_of(const struct cairn_buf *to, size_t at)
{
    struct slot_head slot;

    memcpy(&slot, to->data + at, sizeof slot);
    return slot;
}

void slot_path(struct cairn_buf *to, size_t at, struct cairn_bytes path)
{
    struct slot_head slot = slot_of(to, at);

    slot.path = (uint32_t)path.size;
    change(to, at, &slot, sizeof slot);
    cairn_buf_add(to, path.data, path.size);
}

void slot_stat(struct cairn_buf *to, size_t at, const uint8_t stat[KEEPER_STAT_BYTES])
{
    struct slot_head slot = slot_of(to, at);

    slot.stat = KEEPER_STAT_BYTES;
    change(to, at, &slot, sizeof slot);
    cairn_buf_add(to, stat, KEEPER_STAT_BYTES);
}

void slot_data(struct cairn_buf *to, size_t at, struct cairn_bytes data)
{
    struct slot_head slot = slot_of(to, at);

    slot.has_data = data.data ? ANSWER_DATA : ANSWER_NULL;
    slot.data = (uint32_t)data.size;
    change(to, at, &slot, sizeof slot);
    cairn_buf_add(to, data.data, data.size);
}

void slot_blob(struct cairn_buf *to, size_t at, const uint8_t hash[32], uint32_t bytes)
{
    struct answer_head head = head_of(to);
    struct slot_head slot = slot_of(to, at);
    uint8_t size[4];

    head.blobs++;
    change(to, 1, &head, sizeof head);
    slot.has_data = ANSWER_BLOB;
    slot.data = 4 + 32;
    change(to, at, &slot, sizeof slot);
    cairn_put_u32(size, bytes);
    cairn_buf_add(to, size, sizeof size);
    cairn_buf_add(to, hash, 32);
}

void slot_acl(struct cairn_buf *to, size_t at, struct cairn_bytes acl)
{
    struct slot_head slot = slot_of(to, at);

    slot.acl = (uint32_t)acl.size;
    change(to, at, &slot, sizeof slot);
    cairn_buf_add(to, acl.data, acl.size);
}

/* Of a thousand names each changes these two alone: copying the whole head out and in took longer than the names. */
static void count_names(struct cairn_buf *to, size_t at, uint32_t count, size_t bytes)
{
    uint8_t *names = to->data + at + offsetof(struct slot_head, names);
    uint8_t *name_count = to->data + at + offsetof(struct slot_head, name_count);

    cairn_put_u32(names, cairn_get_u32(names) + (uint32_t)bytes);
    cairn_put_u32(name_count, cairn_get_u32(name_count) + count);
}

void slot_name(struct cairn_buf *to, size_t at, struct cairn_bytes name)
{
    size_t bytes = sizeof(uint32_t) + name.size;
    uint8_t *end = cairn_buf_reserve(to, bytes);

    cairn_put_u32(end, __builtin_bswap32((uint32_t)name.size));
    if (name.size)
        memcpy(end + sizeof(uint32_t), name.data, name.size);
    to->size += bytes;
    count_names(to, at, 1, bytes);
}

void slot_names(struct cairn_buf *to, size_t at, uint32_t count, struct cairn_bytes names)
{
    cairn_buf_add(to, names.data, names.size);
    count_names(to, at, count, names.size);
}

void slot_number(struct cairn_buf *to, size_t at, int32_t number)
{
    struct slot_head slot = slot_of(to, at);

    slot.number = number;
    change(to, at, &slot, sizeof slot);
}

void slot_fail(struct cairn_buf *to, size_t at, int32_t error)
{
    struct slot_head slot = {.error = error};

    to->size = at + sizeof slot;
    change(to, at, &slot, sizeof slot);
}

static void read_slot(struct cairn_reader *r, struct keeper_slot *to)
{
    static const uint8_t nothing;
    struct cairn_bytes bytes = cairn_read_bytes(r, sizeof(struct slot_head));
    struct slot_head slot = {0};

    if (bytes.size == sizeof slot)
        memcpy(&slot, bytes.data, sizeof slot);
    *to = (struct keeper_slot){.error = slot.error, .number = slot.number};
    to->path = cairn_read_bytes(r, slot.path);
    to->stat = cairn_read_bytes(r, slot.stat);
    to->data = cairn_read_bytes(r, slot.data);
    if (slot.has_data == ANSWER_BLOB)
        to->blob = to->data;
    if (slot.has_data != ANSWER_DATA)
        to->data = cairn_bytes(NULL, 0);
    else if (!to->data.data)
        to->data = cairn_bytes(&nothing, 0);
    to->acl = cairn_read_bytes(r, slot.acl);
    to->names = (struct keeper_names){slot.name_count, cairn_read_bytes(r, slot.names)};
}

bool answer_read(struct cairn_bytes value, struct answer *ret)
{
    struct cairn_reader r = cairn_reader(value);

    *ret = (struct answer){.slots = &ret->one};
    if (value.size < 1 + sizeof ret->head || cairn_read_u8(&r) != ANSWER_MARK)
        return false;
    memcpy(&ret->head, cairn_read_bytes(&r, sizeof ret->head).data, sizeof ret->head);
    if (ret->head.has_state)
        memcpy(&ret->state, cairn_read_bytes(&r, sizeof ret->state).data, sizeof ret->state);
    if (ret->head.slots > 1)
        ret->slots = cairn_alloc(ret->head.slots * sizeof *ret->slots);
    for (uint32_t i = 0; i < ret->head.slots; i++)
        read_slot(&r, &ret->slots[i]);
    return true;
}

void answer_done(struct answer *answer)
{
    if (answer->slots != &answer->one)
        free(answer->slots);
}
