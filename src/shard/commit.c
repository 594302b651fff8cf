/* commit.c - a record's body: what a commit writes, and how it is read (docs/formats/commit.md). */
#include "shard/joint.h"
#include "shard/shard_internal.h"

enum {
    KIND_COMMIT = 1,
    KIND_JOINT = 2,
    /* Shorter values are copied into one part with what is around them, longer ones are parts of their own. */
    PART_BYTES = 1024,
};

size_t cairn_shard_record_bytes(struct cairn_bytes note, const struct cairn_write *writes, size_t count)
{
    size_t bytes = 1 + 4 * CAIRN_VARINT_BYTES_MAX + note.size;

    for (size_t i = 0; i < count; i++)
        bytes += 2 * CAIRN_VARINT_BYTES_MAX + writes[i].key.size + (writes[i].deleted ? 0 : writes[i].value.size);
    return bytes;
}

static void add_part(struct cairn_shard *shard, size_t *count, const void *data, size_t size)
{
    if (*count == shard->part_capacity) {
        shard->part_capacity = shard->part_capacity ? 2 * shard->part_capacity : 16;
        shard->parts = cairn_realloc(shard->parts, shard->part_capacity * sizeof *shard->parts);
    }
    shard->parts[(*count)++] = cairn_bytes(data, size);
}

static uint8_t *put_bytes(uint8_t *to, struct cairn_bytes bytes)
{
    if (bytes.size)
        memcpy(to, bytes.data, bytes.size);
    return to + bytes.size;
}

/* Fills shard->parts and returns their number.  On the way of every segment: room for the worst case is made once, and
 * then it is written straight down. */
size_t commit_encode(struct cairn_shard *shard, uint64_t wall_ms, struct cairn_bytes note,
                     const struct cairn_write *writes, size_t count)
{
    size_t bytes = 1 + 4 * CAIRN_VARINT_BYTES_MAX + note.size, parts = 0;
    uint8_t *at, *from;

    for (size_t i = 0; i < count; i++)
        bytes += 2 * CAIRN_VARINT_BYTES_MAX + writes[i].key.size +
                 (writes[i].value.size <= PART_BYTES ? writes[i].value.size : 0);
    shard->scratch.size = 0;
    at = from = cairn_buf_reserve(&shard->scratch, bytes);
    *at++ = KIND_COMMIT;
    at += cairn_put_varint(at, shard->index);
    at += cairn_put_varint(at, wall_ms);
    at += cairn_put_varint(at, note.size);
    at = put_bytes(at, note);
    at += cairn_put_varint(at, count);
    for (size_t i = 0; i < count; i++) {
        const struct cairn_write *write = &writes[i];
        at += cairn_put_varint(at, write->key.size);
        at = put_bytes(at, write->key);
        at += cairn_put_varint(at, write->deleted ? 0 : write->value.size + 1);
        if (write->deleted)
            continue;
        if (write->value.size <= PART_BYTES) {
            at = put_bytes(at, write->value);
            continue;
        }
        add_part(shard, &parts, from, (size_t)(at - from));
        add_part(shard, &parts, write->value.data, write->value.size);
        from = at;
    }
    if (at > from)
        add_part(shard, &parts, from, (size_t)(at - from));
    return parts;
}

/* --- one record of several shards ------------------------------------------------------------ */

size_t joint_encode_head(uint8_t to[JOINT_HEAD_BYTES_MAX], uint64_t wall_ms, size_t count)
{
    size_t n = 0;

    to[n++] = KIND_JOINT;
    n += cairn_put_varint(to + n, wall_ms);
    return n + cairn_put_varint(to + n, count);
}

void cairn_joint_encode(struct cairn_shard *shard, struct cairn_bytes note, const struct cairn_write *writes,
                        size_t count, struct cairn_buf *to)
{
    struct cairn_buf part = {0};

    cairn_buf_varint(&part, shard->index);
    cairn_buf_varint(&part, note.size);
    cairn_buf_add(&part, note.data, note.size);
    cairn_buf_varint(&part, count);
    for (size_t i = 0; i < count; i++) {
        const struct cairn_write *write = &writes[i];

        cairn_buf_varint(&part, write->key.size);
        cairn_buf_add(&part, write->key.data, write->key.size);
        cairn_buf_varint(&part, write->deleted ? 0 : write->value.size + 1);
        if (!write->deleted)
            cairn_buf_add(&part, write->value.data, write->value.size);
    }
    cairn_buf_varint(to, part.size);
    cairn_buf_add(to, part.data, part.size);
    cairn_buf_done(&part);
}

/* --- reading --------------------------------------------------------------------------------- */

static enum cairn_code read_part(struct cairn_reader *r, struct commit_head *head, bool is_joint, struct cairn_err *err)
{
    uint64_t bytes = is_joint ? cairn_read_varint(r) : 0, shard;

    if (r->bad || bytes > cairn_reader_left(r))
        return cairn_fail(err, CAIRN_ECORRUPT, "malformed part of a commit");
    head->end = is_joint ? r->at + bytes : r->end;
    shard = cairn_read_varint(r);
    if (!is_joint)
        head->wall_ms = cairn_read_varint(r);
    head->note = cairn_read_sized(r);
    head->writes = cairn_read_varint(r);
    if (r->bad || shard > SHARDS_MAX || r->at > head->end)
        return cairn_fail(err, CAIRN_ECORRUPT, "malformed head of a commit");
    head->shard = (uint32_t)shard;
    return CAIRN_OK;
}

enum cairn_code commit_read_head(struct cairn_reader *r, struct commit_head *ret_head, struct cairn_err *err)
{
    uint8_t kind = cairn_read_u8(r);

    if (!r->bad && kind != KIND_COMMIT && kind != KIND_JOINT)
        return cairn_fail(err, CAIRN_EVERSION, "a log record is of the unknown kind %u: use the program that wrote it",
                          kind);
    ret_head->parts_left = 0;
    if (kind == KIND_COMMIT || r->bad)
        return read_part(r, ret_head, false, err);
    ret_head->wall_ms = cairn_read_varint(r);
    ret_head->parts_left = cairn_read_varint(r);
    if (r->bad || ret_head->parts_left == 0)
        return cairn_fail(err, CAIRN_ECORRUPT, "malformed head of a commit of several shards");
    ret_head->parts_left--;
    return read_part(r, ret_head, true, err);
}

bool commit_read_next(struct cairn_reader *r, struct commit_head *head, enum cairn_code *code, struct cairn_err *err)
{
    if (*code != CAIRN_OK || head->parts_left == 0)
        return false;
    head->parts_left--;
    r->at = head->end; /* what was not read of the part is skipped */
    *code = read_part(r, head, true, err);
    return *code == CAIRN_OK;
}

enum cairn_code commit_read_write(struct cairn_reader *r, struct cairn_write *ret_write, struct cairn_err *err)
{
    struct cairn_bytes key = cairn_read_sized(r), value = {0};
    uint64_t size = cairn_read_varint(r);

    if (!r->bad && size > 0) {
        if (size - 1 > CAIRN_VALUE_BYTES_MAX)
            r->bad = true;
        else
            value = cairn_read_bytes(r, (size_t)(size - 1));
    }
    if (r->bad || key.size < 1 || key.size > CAIRN_SNAPSHOT_KEY_BYTES_MAX)
        return cairn_fail(err, CAIRN_ECORRUPT, "malformed write in a commit");
    *ret_write = (struct cairn_write){.key = key, .value = value, .deleted = size == 0};
    return CAIRN_OK;
}
