/* value.h - the values that methods return, arguments are, and tuples in fields are made of.
 *
 * A value is nil, a 64-bit integer, a byte string, a list of values, or an error (a
 * code and a message).  Encoded form (docs/formats/value.md), also the guest ABI's:
 *   nil    00
 *   int    01 i64 little-endian
 *   bytes  02 varint size, bytes
 *   list   03 varint count, that many values
 *   error  04 varint size, code; varint size, message
 * Validity: a byte string is a value if and only if it parses by this grammar with
 * nothing left over and lists nest at most 32 deep.  Lists may hold errors.
 * Layer: base. */
#ifndef CAIRN_BASE_VALUE_H
#define CAIRN_BASE_VALUE_H

#include "base/bytes.h"
#include "base/err.h"

enum cairn_value_kind {
    CAIRN_VALUE_NIL = 0,
    CAIRN_VALUE_INT = 1,
    CAIRN_VALUE_BYTES = 2,
    CAIRN_VALUE_LIST = 3,
    CAIRN_VALUE_ERROR = 4,
};

enum { CAIRN_VALUE_DEPTH_MAX = 32 };

struct cairn_value {
    enum cairn_value_kind kind;
    int64_t integer;          /* INT */
    struct cairn_bytes bytes; /* BYTES; ERROR: its message */
    struct cairn_bytes error; /* ERROR: its code */
    uint64_t count;           /* LIST: read that many values next */
};

/* Reads one value's head (a list's items follow in the reader).  Bad input sets r->bad. */
struct cairn_value cairn_value_read(struct cairn_reader *r);

/* True if and only if the bytes are one whole valid value. */
bool cairn_value_valid(struct cairn_bytes encoded);

void cairn_value_add_nil(struct cairn_buf *to);
void cairn_value_add_int(struct cairn_buf *to, int64_t integer);
void cairn_value_add_bytes(struct cairn_buf *to, struct cairn_bytes bytes);
/* The caller adds `count` values behind it. */
void cairn_value_add_list(struct cairn_buf *to, uint64_t count);
void cairn_value_add_error(struct cairn_buf *to, struct cairn_bytes code, struct cairn_bytes message);

#endif
