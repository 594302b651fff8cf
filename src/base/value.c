#include "base/value.h"

struct cairn_value cairn_value_read(struct cairn_reader *r)
{
    struct cairn_value v = {.kind = (enum cairn_value_kind)cairn_read_u8(r)};

    switch (v.kind) {
    case CAIRN_VALUE_NIL:
        break;
    case CAIRN_VALUE_INT:
        v.integer = (int64_t)cairn_read_u64(r);
        break;
    case CAIRN_VALUE_BYTES:
        v.bytes = cairn_read_sized(r);
        break;
    case CAIRN_VALUE_LIST:
        v.count = cairn_read_varint(r);
        if (v.count > cairn_reader_left(r)) /* every item takes a byte at least */
            r->bad = true;
        break;
    case CAIRN_VALUE_ERROR:
        v.error = cairn_read_sized(r);
        v.bytes = cairn_read_sized(r);
        break;
    default:
        r->bad = true;
    }
    if (r->bad)
        v = (struct cairn_value){.kind = CAIRN_VALUE_NIL};
    return v;
}

static bool all_valid(struct cairn_reader *r)
{
    uint64_t left[CAIRN_VALUE_DEPTH_MAX + 1] = {1};
    int depth = 0;

    while (depth >= 0) {
        struct cairn_value v;

        if (left[depth] == 0) {
            depth--;
            continue;
        }
        left[depth]--;
        v = cairn_value_read(r);
        if (r->bad)
            return false;
        if (v.kind == CAIRN_VALUE_LIST) {
            if (depth == CAIRN_VALUE_DEPTH_MAX)
                return false;
            left[++depth] = v.count;
        }
    }
    return cairn_reader_left(r) == 0;
}

bool cairn_value_valid(struct cairn_bytes encoded)
{
    struct cairn_reader r = cairn_reader(encoded);

    if (encoded.size && encoded.data[0] == CAIRN_VALUE_LIST)
        return all_valid(&r);
    cairn_value_read(&r);
    return !r.bad && cairn_reader_left(&r) == 0;
}

void cairn_value_add_nil(struct cairn_buf *to)
{
    cairn_buf_u8(to, CAIRN_VALUE_NIL);
}

void cairn_value_add_int(struct cairn_buf *to, int64_t integer)
{
    uint8_t *at = cairn_buf_reserve(to, 9);

    at[0] = CAIRN_VALUE_INT;
    cairn_put_u64(at + 1, (uint64_t)integer);
    to->size += 9;
}

void cairn_value_add_bytes(struct cairn_buf *to, struct cairn_bytes bytes)
{
    cairn_buf_u8(to, CAIRN_VALUE_BYTES);
    cairn_buf_varint(to, bytes.size);
    cairn_buf_add(to, bytes.data, bytes.size);
}

void cairn_value_add_list(struct cairn_buf *to, uint64_t count)
{
    cairn_buf_u8(to, CAIRN_VALUE_LIST);
    cairn_buf_varint(to, count);
}

void cairn_value_add_error(struct cairn_buf *to, struct cairn_bytes code, struct cairn_bytes message)
{
    cairn_buf_u8(to, CAIRN_VALUE_ERROR);
    cairn_buf_varint(to, code.size);
    cairn_buf_add(to, code.data, code.size);
    cairn_buf_varint(to, message.size);
    cairn_buf_add(to, message.data, message.size);
}
