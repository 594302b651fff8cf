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

/* --- values ---
 * Results are what a node writes most of all, so that the encoding (base/value.h) is read right here, by the same
 * grammar as cairn_value_read and without its copies; the fuzz target compares the two. */

/* Room for what an item is written with beside its bytes: a length or integer of 20 digits, line ends. */
enum { ITEM_BYTES_MAX = 32 };

/* Decimal digits and a line end at `to`; returns where they end. */
static inline uint8_t *put_number_line(uint8_t *to, uint64_t n)
{
    uint8_t digits[20], *at = digits + sizeof digits;
    size_t size;

    if (n < 10) {
        *to++ = (uint8_t)('0' + n);
    } else {
        do {
            *--at = (uint8_t)('0' + n % 10);
            n /= 10;
        } while (n);
        size = (size_t)(digits + sizeof digits - at);
        memcpy(to, at, size);
        to += size;
    }
    *to++ = '\r';
    *to++ = '\n';
    return to;
}

/* A varint; false if there is none. */
static inline bool take_varint(struct cairn_reader *r, uint64_t *ret)
{
    if (r->at < r->end && *r->at < 0x80) {
        *ret = *r->at++;
        return true;
    }
    *ret = cairn_read_varint(r);
    return !r->bad;
}

static inline bool take_bytes(struct cairn_reader *r, struct cairn_bytes *ret)
{
    uint64_t size;

    if (!take_varint(r, &size) || size > cairn_reader_left(r))
        return false;
    *ret = cairn_bytes(r->at, (size_t)size);
    r->at += size;
    return true;
}

/* One item; of a list only its head, and how many items follow.  False: not valid. */
static inline bool add_item(struct cairn_buf *to, int version, struct cairn_reader *r, bool *ret_list,
                            uint64_t *ret_count)
{
    struct cairn_bytes bytes, message;
    int64_t integer;
    uint8_t *at;

    *ret_list = false;
    if (r->at == r->end)
        return false;
    switch (*r->at++) {
    case CAIRN_VALUE_NIL:
        cairn_resp_null(to, version);
        return true;
    case CAIRN_VALUE_INT:
        if (cairn_reader_left(r) < 8)
            return false;
        integer = (int64_t)cairn_get_u64(r->at);
        r->at += 8;
        at = cairn_buf_reserve(to, ITEM_BYTES_MAX);
        *at++ = ':';
        if (integer < 0)
            *at++ = '-';
        at = put_number_line(at, integer < 0 ? -(uint64_t)integer : (uint64_t)integer);
        to->size = (size_t)(at - to->data);
        return true;
    case CAIRN_VALUE_BYTES:
        if (!take_bytes(r, &bytes))
            return false;
        at = cairn_buf_reserve(to, bytes.size + ITEM_BYTES_MAX);
        *at++ = '$';
        at = put_number_line(at, bytes.size);
        memcpy(at, bytes.data, bytes.size);
        at += bytes.size;
        *at++ = '\r';
        *at++ = '\n';
        to->size = (size_t)(at - to->data);
        return true;
    case CAIRN_VALUE_LIST:
        if (!take_varint(r, ret_count) || *ret_count > cairn_reader_left(r))
            return false;
        *ret_list = true;
        at = cairn_buf_reserve(to, ITEM_BYTES_MAX);
        *at++ = '*';
        to->size = (size_t)(put_number_line(at, *ret_count) - to->data);
        return true;
    case CAIRN_VALUE_ERROR:
        if (!take_bytes(r, &bytes) || !take_bytes(r, &message))
            return false;
        cairn_resp_error_value(to, bytes, message);
        return true;
    default:
        return false;
    }
}

bool cairn_resp_value(struct cairn_buf *to, int version, struct cairn_bytes encoded)
{
    struct cairn_reader r = cairn_reader(encoded);
    uint64_t left[CAIRN_VALUE_DEPTH_MAX + 1], count;
    size_t from = to->size;
    unsigned depth = 0;
    bool list;

    left[0] = 1;
    for (;;) {
        while (left[depth] == 0) {
            if (depth-- == 0) {
                if (r.at == r.end)
                    return true;
                goto bad;
            }
        }
        left[depth]--;
        if (!add_item(to, version, &r, &list, &count))
            goto bad;
        if (list) {
            if (depth == CAIRN_VALUE_DEPTH_MAX)
                goto bad;
            left[++depth] = count;
        }
    }
bad:
    to->size = from;
    return false;
}
