#include "proto/resp.h"

/* Writes `lead`, the decimal number and a line end. */
static void add_number_line(struct cairn_buf *to, char lead, uint64_t n, bool negative)
{
    char digits[24], *at = digits + sizeof digits;

    *--at = '\n';
    *--at = '\r';
    do {
        *--at = (char)('0' + n % 10);
        n /= 10;
    } while (n);
    if (negative)
        *--at = '-';
    *--at = lead;
    cairn_buf_add(to, at, (size_t)(digits + sizeof digits - at));
}

void cairn_resp_simple(struct cairn_buf *to, const char *text)
{
    cairn_buf_u8(to, '+');
    cairn_buf_str(to, text);
    cairn_buf_add(to, "\r\n", 2);
}

/* A line must stay one. */
static void add_line_text(struct cairn_buf *to, struct cairn_bytes text)
{
    uint8_t *at = cairn_buf_reserve(to, text.size);

    for (size_t i = 0; i < text.size; i++)
        at[i] = text.data[i] == '\r' || text.data[i] == '\n' ? ' ' : text.data[i];
    to->size += text.size;
}

void cairn_resp_error(struct cairn_buf *to, const char *prefix, const char *message)
{
    cairn_buf_u8(to, '-');
    cairn_buf_str(to, prefix);
    cairn_buf_u8(to, ' ');
    add_line_text(to, cairn_str(message));
    cairn_buf_add(to, "\r\n", 2);
}

void cairn_resp_int(struct cairn_buf *to, int64_t integer)
{
    add_number_line(to, ':', integer < 0 ? -(uint64_t)integer : (uint64_t)integer, integer < 0);
}

void cairn_resp_bulk(struct cairn_buf *to, struct cairn_bytes bytes)
{
    add_number_line(to, '$', bytes.size, false);
    memcpy(cairn_buf_reserve(to, bytes.size + 2) + bytes.size, "\r\n", 2);
    if (bytes.size)
        memcpy(to->data + to->size, bytes.data, bytes.size);
    to->size += bytes.size + 2;
}

void cairn_resp_text(struct cairn_buf *to, const char *text)
{
    cairn_resp_bulk(to, cairn_str(text));
}

void cairn_resp_null(struct cairn_buf *to, int version)
{
    cairn_buf_str(to, version == 3 ? "_\r\n" : "$-1\r\n");
}

void cairn_resp_array(struct cairn_buf *to, uint64_t count)
{
    add_number_line(to, '*', count, false);
}

void cairn_resp_map(struct cairn_buf *to, int version, uint64_t pairs)
{
    add_number_line(to, version == 3 ? '%' : '*', version == 3 ? pairs : 2 * pairs, false);
}

void cairn_resp_error_value(struct cairn_buf *to, struct cairn_bytes code, struct cairn_bytes message)
{
    uint8_t *at;

    cairn_buf_u8(to, '-');
    if (code.size == 0)
        code = cairn_str("ERR");
    at = cairn_buf_reserve(to, code.size);
    for (size_t i = 0; i < code.size; i++) {
        uint8_t c = code.data[i];

        if (c >= 'a' && c <= 'z')
            c = (uint8_t)(c - 'a' + 'A');
        else if (!((c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9')))
            c = '_'; /* clients take the first word for the code */
        at[i] = c;
    }
    to->size += code.size;
    cairn_buf_u8(to, ' ');
    add_line_text(to, message);
    cairn_buf_add(to, "\r\n", 2);
}

static inline void add_leaf(struct cairn_buf *to, int version, const struct cairn_value *v)
{
    switch (v->kind) {
    case CAIRN_VALUE_INT:
        cairn_resp_int(to, v->integer);
        break;
    case CAIRN_VALUE_BYTES:
        cairn_resp_bulk(to, v->bytes);
        break;
    case CAIRN_VALUE_ERROR:
        cairn_resp_error_value(to, v->error, v->bytes);
        break;
    default:
        cairn_resp_null(to, version);
    }
}

/* A list, which may hold lists. */
static bool add_tree(struct cairn_buf *to, int version, struct cairn_bytes encoded)
{
    struct cairn_reader r = cairn_reader(encoded);
    uint64_t left[CAIRN_VALUE_DEPTH_MAX + 1] = {1};
    size_t from = to->size;
    int depth = 0;

    while (depth >= 0) {
        struct cairn_value v;

        if (left[depth] == 0) {
            depth--;
            continue;
        }
        left[depth]--;
        v = cairn_value_read(&r);
        if (r.bad)
            goto bad;
        if (v.kind == CAIRN_VALUE_LIST) {
            if (depth == CAIRN_VALUE_DEPTH_MAX)
                goto bad;
            cairn_resp_array(to, v.count);
            left[++depth] = v.count;
        } else {
            add_leaf(to, version, &v);
        }
    }
    if (cairn_reader_left(&r) == 0)
        return true;
bad:
    to->size = from;
    return false;
}

bool cairn_resp_value(struct cairn_buf *to, int version, struct cairn_bytes encoded)
{
    struct cairn_reader r = cairn_reader(encoded);
    struct cairn_value v = cairn_value_read(&r);

    if (v.kind == CAIRN_VALUE_LIST)
        return add_tree(to, version, encoded);
    if (r.bad || cairn_reader_left(&r) > 0)
        return false;
    add_leaf(to, version, &v);
    return true;
}
