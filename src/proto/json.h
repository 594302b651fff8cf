/* json.h - JSON (RFC 8259) in and out of cairn's values.
 *
 * In: an array of arguments.  A string is its text as UTF-8, a number the text that it is written
 * as, anything else its JSON text.  Out: nil null, integers numbers, byte strings that are valid
 * UTF-8 strings, other byte strings {"base64": "..."}, lists arrays, errors inside of lists
 * {"error": {"code": ..., "message": ...}}.
 * Why not a library: a tree of doubles and NUL-terminated strings loses what arguments must
 * keep (integers beyond 2^53, "\u0000", the text of nested values); docs/design/0010-json-by-hand.md.
 * Threads: none of its own.  Layer: proto; uses base. */
#ifndef CAIRN_PROTO_JSON_H
#define CAIRN_PROTO_JSON_H

#include "base/value.h"

enum { CAIRN_JSON_DEPTH_MAX = 64 };

/* Appends the arguments packed (per argument u32 size little-endian, bytes).  Empty or blank text
 * is no argument.  CAIRN_EINVAL tells what is wrong and where; CAIRN_ELIMIT: too many. */
enum cairn_code cairn_json_args(struct cairn_bytes text, uint32_t args_max, struct cairn_buf *packed,
                                struct cairn_err *err);

/* A whole encoded value; false, and nothing added, if it is not valid. */
bool cairn_json_value(struct cairn_buf *to, struct cairn_bytes encoded);
/* One byte string, as above. */
void cairn_json_bytes(struct cairn_buf *to, struct cairn_bytes bytes);
/* "..." of text that is shown to people: what is not UTF-8 becomes U+FFFD. */
void cairn_json_text(struct cairn_buf *to, struct cairn_bytes text);
/* A byte string of a field: a string or {"base64": ...} as above, but {"value": ...} if it is a whole
 * valid value other than by looking like text. */
void cairn_json_field(struct cairn_buf *to, struct cairn_bytes bytes);

bool cairn_utf8_valid(struct cairn_bytes bytes);
/* RFC 4648, section 4; with `url`: section 5, without padding. */
void cairn_base64_add(struct cairn_buf *to, struct cairn_bytes bytes, bool url);
/* Of the URL form; false if it is not. */
bool cairn_base64_url_read(struct cairn_bytes text, struct cairn_buf *to);

#endif
