#include "proto/json.h"

#include <inttypes.h>

/* --- reading --- */

struct scanner {
    const uint8_t *start, *at, *end;
    struct cairn_err *err;
};

static bool bad(struct scanner *s, const char *what)
{
    cairn_fail(s->err, CAIRN_EINVAL, "the body is not a JSON array of arguments: %s at byte %zu", what,
               (size_t)(s->at - s->start));
    return false;
}

static void skip_blanks(struct scanner *s)
{
    while (s->at < s->end && (*s->at == ' ' || *s->at == '\t' || *s->at == '\n' || *s->at == '\r'))
        s->at++;
}

/* The bytes of one UTF-8 sequence at `at`; 0: none (overlong, surrogate, beyond U+10FFFF, cut). */
static size_t utf8_sequence(const uint8_t *at, const uint8_t *end)
{
    size_t left = (size_t)(end - at);
    uint8_t c = at[0];

    if (c < 0x80)
        return 1;
    if (c < 0xc2)
        return 0;
    if (c < 0xe0)
        return left >= 2 && (at[1] & 0xc0) == 0x80 ? 2 : 0;
    if (c < 0xf0) {
        if (left < 3 || (at[1] & 0xc0) != 0x80 || (at[2] & 0xc0) != 0x80)
            return 0;
        if ((c == 0xe0 && at[1] < 0xa0) || (c == 0xed && at[1] > 0x9f))
            return 0;
        return 3;
    }
    if (c > 0xf4 || left < 4 || (at[1] & 0xc0) != 0x80 || (at[2] & 0xc0) != 0x80 || (at[3] & 0xc0) != 0x80)
        return 0;
    return (c == 0xf0 && at[1] < 0x90) || (c == 0xf4 && at[1] > 0x8f) ? 0 : 4;
}

/* Where the first byte is that is of no sequence, or `end`. */
static const uint8_t *utf8_end(const uint8_t *at, const uint8_t *end)
{
    while (at < end) {
        size_t n;

        while (end - at >= 8 && !(cairn_get_u64(at) & 0x8080808080808080u)) /* most text is ASCII */
            at += 8;
        while (at < end && *at < 0x80)
            at++;
        while (at < end && *at >= 0x80) {
            if (end - at >= 2 && *at >= 0xc2 && *at < 0xe0 && (at[1] & 0xc0) == 0x80) { /* as in most alphabets */
                at += 2;
                continue;
            }
            n = utf8_sequence(at, end);
            if (!n)
                return at;
            at += n;
        }
    }
    return at;
}

bool cairn_utf8_valid(struct cairn_bytes bytes)
{
    return !bytes.size || utf8_end(bytes.data, bytes.data + bytes.size) == bytes.data + bytes.size;
}

/* True if none of eight bytes is a control character, a quote or a backslash; others than ASCII do not matter. */
static bool all_plain(uint64_t eight)
{
    const uint64_t ones = 0x0101010101010101u, tops = 0x8080808080808080u;
    uint64_t quotes = eight ^ ones * '"', backslashes = eight ^ ones * '\\';

    return !((((eight - ones * 0x20) & ~eight) | ((quotes - ones) & ~quotes) | ((backslashes - ones) & ~backslashes)) &
             tops);
}

static void add_utf8(struct cairn_buf *to, uint32_t c)
{
    uint8_t text[4];
    size_t n = 0;

    if (c < 0x80) {
        text[n++] = (uint8_t)c;
    } else if (c < 0x800) {
        text[n++] = (uint8_t)(0xc0 | c >> 6);
        text[n++] = (uint8_t)(0x80 | (c & 0x3f));
    } else if (c < 0x10000) {
        text[n++] = (uint8_t)(0xe0 | c >> 12);
        text[n++] = (uint8_t)(0x80 | (c >> 6 & 0x3f));
        text[n++] = (uint8_t)(0x80 | (c & 0x3f));
    } else {
        text[n++] = (uint8_t)(0xf0 | c >> 18);
        text[n++] = (uint8_t)(0x80 | (c >> 12 & 0x3f));
        text[n++] = (uint8_t)(0x80 | (c >> 6 & 0x3f));
        text[n++] = (uint8_t)(0x80 | (c & 0x3f));
    }
    cairn_buf_add(to, text, n);
}

/* Four hexadecimal digits. */
static bool read_hex(struct scanner *s, uint32_t *ret)
{
    uint32_t n = 0;

    if (s->end - s->at < 4)
        return bad(s, "an escape is cut short");
    for (int i = 0; i < 4; i++) {
        uint8_t c = *s->at++;

        n <<= 4;
        if (c >= '0' && c <= '9')
            n |= (uint32_t)(c - '0');
        else if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f')
            n |= (uint32_t)((c | 0x20) - 'a' + 10);
        else
            return bad(s, "an escape is broken");
    }
    *ret = n;
    return true;
}

/* Behind "\u". */
static bool read_unicode(struct scanner *s, struct cairn_buf *to)
{
    uint32_t c, low;

    if (!read_hex(s, &c))
        return false;
    if (c >= 0xdc00 && c <= 0xdfff)
        return bad(s, "half a surrogate pair");
    if (c >= 0xd800 && c <= 0xdbff) {
        if (s->end - s->at < 2 || s->at[0] != '\\' || s->at[1] != 'u')
            return bad(s, "half a surrogate pair");
        s->at += 2;
        if (!read_hex(s, &low))
            return false;
        if (low < 0xdc00 || low > 0xdfff)
            return bad(s, "half a surrogate pair");
        c = 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
    }
    if (to)
        add_utf8(to, c);
    return true;
}

/* At the opening quote.  Appends the text, if `to` is there. */
static bool read_string(struct scanner *s, struct cairn_buf *to)
{
    static const char from[] = "\"\\/bfnrt", into[] = "\"\\/\b\f\n\r\t";

    s->at++;
    while (s->at < s->end) {
        const uint8_t *run = s->at;

        while (s->at < s->end && *s->at != '"' && *s->at != '\\') {
            size_t n;

            if (s->end - s->at >= 8) {
                uint64_t eight = cairn_get_u64(s->at);

                if (!(eight & 0x8080808080808080u) && all_plain(eight)) {
                    s->at += 8;
                    continue;
                }
            }
            n = utf8_sequence(s->at, s->end);
            if (*s->at < 0x20)
                return bad(s, "a control character in a string");
            if (!n)
                return bad(s, "a string that is not UTF-8");
            s->at += n;
        }
        if (to)
            cairn_buf_add(to, run, (size_t)(s->at - run));
        if (s->at == s->end)
            break;
        if (*s->at++ == '"')
            return true;
        if (s->at == s->end)
            break;
        if (*s->at == 'u') {
            s->at++;
            if (!read_unicode(s, to))
                return false;
        } else {
            const char *escape = *s->at ? strchr(from, *s->at) : NULL;

            if (!escape)
                return bad(s, "an unknown escape");
            if (to)
                cairn_buf_u8(to, (uint8_t)into[escape - from]);
            s->at++;
        }
    }
    return bad(s, "a string without its end");
}

static bool digits(struct scanner *s)
{
    const uint8_t *from = s->at;

    while (s->at < s->end && *s->at >= '0' && *s->at <= '9')
        s->at++;
    return s->at > from;
}

static bool read_number(struct scanner *s)
{
    if (*s->at == '-')
        s->at++;
    if (s->at < s->end && *s->at == '0')
        s->at++;
    else if (!digits(s))
        return bad(s, "a broken number");
    if (s->at < s->end && *s->at == '.') {
        s->at++;
        if (!digits(s))
            return bad(s, "a broken number");
    }
    if (s->at < s->end && (*s->at | 0x20) == 'e') {
        s->at++;
        if (s->at < s->end && (*s->at == '+' || *s->at == '-'))
            s->at++;
        if (!digits(s))
            return bad(s, "a broken number");
    }
    return true;
}

static bool read_word(struct scanner *s, const char *word)
{
    size_t size = strlen(word);

    if ((size_t)(s->end - s->at) < size || memcmp(s->at, word, size) != 0)
        return bad(s, "an unknown word");
    s->at += size;
    return true;
}

static bool expect(struct scanner *s, char c, const char *what)
{
    skip_blanks(s);
    if (s->at == s->end || *s->at != (uint8_t)c)
        return bad(s, what);
    s->at++;
    return true;
}

/* A key and its colon. */
static bool read_key(struct scanner *s)
{
    skip_blanks(s);
    if (s->at == s->end || *s->at != '"')
        return bad(s, "a key is missing");
    return read_string(s, NULL) && expect(s, ':', "a colon is missing");
}

/* Anything but an array or object. */
static bool read_scalar(struct scanner *s)
{
    if (s->at == s->end)
        return bad(s, "a value is missing");
    switch (*s->at) {
    case '"':
        return read_string(s, NULL);
    case 't':
        return read_word(s, "true");
    case 'f':
        return read_word(s, "false");
    case 'n':
        return read_word(s, "null");
    default:
        if (*s->at == '-' || (*s->at >= '0' && *s->at <= '9'))
            return read_number(s);
        return bad(s, "a value is missing");
    }
}

/* One value of any kind; nothing is kept. */
static bool skip_value(struct scanner *s)
{
    uint64_t objects = 0; /* bit per level: an object, not an array */
    unsigned depth = 0;

    for (;;) {
        skip_blanks(s);
        if (s->at < s->end && (*s->at == '[' || *s->at == '{')) {
            bool object = *s->at++ == '{';

            if (depth == CAIRN_JSON_DEPTH_MAX)
                return bad(s, "nested too deep");
            objects = objects << 1 | object;
            depth++;
            skip_blanks(s);
            if (s->at == s->end || *s->at != (object ? '}' : ']')) {
                if (object && !read_key(s))
                    return false;
                continue; /* its first value */
            }
            s->at++;
            objects >>= 1;
            depth--;
        } else if (!read_scalar(s)) {
            return false;
        }
        /* A value has ended: so may what holds it. */
        for (;;) {
            if (depth == 0)
                return true;
            skip_blanks(s);
            if (s->at == s->end)
                return bad(s, "the end is missing");
            if (*s->at == ',') {
                s->at++;
                if ((objects & 1) && !read_key(s))
                    return false;
                break;
            }
            if (*s->at != ((objects & 1) ? '}' : ']'))
                return bad(s, "a comma is missing");
            s->at++;
            objects >>= 1;
            depth--;
        }
    }
}

/* One argument, behind its size. */
static bool read_arg(struct scanner *s, struct cairn_buf *packed)
{
    size_t size_at = packed->size;
    const uint8_t *from;

    skip_blanks(s);
    cairn_buf_reserve(packed, 4);
    packed->size += 4;
    from = s->at;
    if (s->at < s->end && *s->at == '"') {
        if (!read_string(s, packed))
            return false;
    } else {
        if (!skip_value(s))
            return false;
        cairn_buf_add(packed, from, (size_t)(s->at - from));
    }
    cairn_put_u32(packed->data + size_at, (uint32_t)(packed->size - size_at - 4));
    return true;
}

static bool read_args(struct scanner *s, uint32_t args_max, struct cairn_buf *packed)
{
    uint32_t count = 0;

    skip_blanks(s);
    if (s->at == s->end)
        return true;
    if (!expect(s, '[', "'[' is missing (as in [\"a\", 1])"))
        return false;
    skip_blanks(s);
    if (s->at < s->end && *s->at == ']') {
        s->at++;
    } else {
        for (;;) {
            if (count++ == args_max) {
                cairn_fail(s->err, CAIRN_ELIMIT, "there are more than %u arguments", args_max);
                return false;
            }
            if (!read_arg(s, packed))
                return false;
            skip_blanks(s);
            if (s->at < s->end && *s->at == ',') {
                s->at++;
                continue;
            }
            if (!expect(s, ']', "']' is missing"))
                return false;
            break;
        }
    }
    skip_blanks(s);
    return s->at == s->end || bad(s, "something follows the array");
}

enum cairn_code cairn_json_args(struct cairn_bytes text, uint32_t args_max, struct cairn_buf *packed,
                                struct cairn_err *err)
{
    struct cairn_err ours;
    struct scanner s = {text.data, text.data, text.size ? text.data + text.size : text.data, err ? err : &ours};
    size_t from = packed->size;

    if (text.size > UINT32_MAX)
        return cairn_fail(err, CAIRN_ELIMIT, "the body is too long");
    if (read_args(&s, args_max, packed))
        return CAIRN_OK;
    packed->size = from;
    return s.err->code;
}

/* --- writing --- */

void cairn_base64_add(struct cairn_buf *to, struct cairn_bytes bytes, bool url)
{
    static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    static const char safe[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    const char *digit = url ? safe : plain;
    uint8_t *at, *start;

    if (!bytes.size)
        return;
    at = start = cairn_buf_reserve(to, (bytes.size + 2) / 3 * 4);
    for (size_t i = 0; i < bytes.size; i += 3) {
        size_t left = bytes.size - i;
        uint32_t bits = (uint32_t)bytes.data[i] << 16;

        if (left > 1)
            bits |= (uint32_t)bytes.data[i + 1] << 8;
        if (left > 2)
            bits |= bytes.data[i + 2];
        *at++ = (uint8_t)digit[bits >> 18];
        *at++ = (uint8_t)digit[bits >> 12 & 63];
        if (left > 1 || !url)
            *at++ = left > 1 ? (uint8_t)digit[bits >> 6 & 63] : '=';
        if (left > 2 || !url)
            *at++ = left > 2 ? (uint8_t)digit[bits & 63] : '=';
    }
    to->size += (size_t)(at - start);
}

static int url_digit(uint8_t c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '-' ? 62 : c == '_' ? 63 : -1;
}

bool cairn_base64_url_read(struct cairn_bytes text, struct cairn_buf *to)
{
    size_t from = to->size;
    uint32_t bits = 0;
    unsigned held = 0;

    for (size_t i = 0; i < text.size; i++) {
        int digit = url_digit(text.data[i]);

        if (digit < 0)
            goto bad;
        bits = bits << 6 | (uint32_t)digit;
        held += 6;
        if (held >= 8) {
            held -= 8;
            cairn_buf_u8(to, (uint8_t)(bits >> held));
        }
    }
    /* What is left over must be less than a digit, and zero: one text per string of bytes. */
    if (held < 6 && (bits & ((1u << held) - 1)) == 0)
        return true;
bad:
    to->size = from;
    return false;
}

/* The letter behind the backslash; 0: none is needed, 'u': six characters. */
static const char escapes[256] = {
    [0] = 'u',  [1] = 'u',  [2] = 'u',    [3] = 'u',    [4] = 'u',   [5] = 'u',     [6] = 'u',
    [7] = 'u',  [8] = 'u',  ['\t'] = 't', ['\n'] = 'n', [11] = 'u',  [12] = 'u',    ['\r'] = 'r',
    [14] = 'u', [15] = 'u', [16] = 'u',   [17] = 'u',   [18] = 'u',  [19] = 'u',    [20] = 'u',
    [21] = 'u', [22] = 'u', [23] = 'u',   [24] = 'u',   [25] = 'u',  [26] = 'u',    [27] = 'u',
    [28] = 'u', [29] = 'u', [30] = 'u',   [31] = 'u',   ['"'] = '"', ['\\'] = '\\',
};

/* There are six bytes of room. */
static uint8_t *put_escaped(uint8_t *to, uint8_t c)
{
    static const char hex[] = "0123456789abcdef";
    char escape = escapes[c];

    if (!escape) {
        *to = c;
        return to + 1;
    }
    memcpy(to, "\\u00", 4);
    if (escape != 'u') {
        to[1] = (uint8_t)escape;
        return to + 2;
    }
    to[4] = (uint8_t)hex[c >> 4];
    to[5] = (uint8_t)hex[c & 15];
    return to + 6;
}

/* Text known to be UTF-8, without the quotes.  Room is made for a piece at a time, as for the worst. */
static void add_escaped(struct cairn_buf *to, const uint8_t *at, size_t size)
{
    enum { PIECE = 4096 };

    while (size) {
        size_t piece = size < PIECE ? size : PIECE;
        const uint8_t *end = at + piece;
        uint8_t *out = cairn_buf_reserve(to, 6 * piece);

        while (at < end) {
            const uint8_t *some = end - at >= 8 ? at + 8 : end;

            if (some == at + 8 && all_plain(cairn_get_u64(at))) {
                memcpy(out, at, 8);
                out += 8;
                at = some;
                continue;
            }
            while (at < some)
                out = put_escaped(out, *at++);
        }
        to->size = (size_t)(out - to->data);
        size -= piece;
    }
}

void cairn_json_text(struct cairn_buf *to, struct cairn_bytes text)
{
    const uint8_t *at = text.data, *end = text.size ? at + text.size : at;

    cairn_buf_u8(to, '"');
    while (at < end) {
        const uint8_t *run = at;

        at = utf8_end(at, end);
        add_escaped(to, run, (size_t)(at - run));
        if (at < end) {
            cairn_buf_str(to, "\xef\xbf\xbd");
            at++;
        }
    }
    cairn_buf_u8(to, '"');
}

void cairn_json_bytes(struct cairn_buf *to, struct cairn_bytes bytes)
{
    if (cairn_utf8_valid(bytes)) {
        cairn_buf_u8(to, '"');
        add_escaped(to, bytes.data, bytes.size);
        cairn_buf_u8(to, '"');
    } else {
        cairn_buf_str(to, "{\"base64\":\"");
        cairn_base64_add(to, bytes, false);
        cairn_buf_str(to, "\"}");
    }
}

static void add_error(struct cairn_buf *to, struct cairn_value v)
{
    cairn_buf_str(to, "{\"error\":{\"code\":");
    cairn_json_text(to, v.error);
    cairn_buf_str(to, ",\"message\":");
    cairn_json_text(to, v.bytes);
    cairn_buf_str(to, "}}");
}

bool cairn_json_value(struct cairn_buf *to, struct cairn_bytes encoded)
{
    struct cairn_reader r = cairn_reader(encoded);
    uint64_t left[CAIRN_VALUE_DEPTH_MAX + 1] = {1};
    size_t from = to->size;
    bool first = true; /* no comma yet */
    int depth = 0;

    for (;;) {
        struct cairn_value v;

        if (left[depth] == 0) {
            if (depth-- == 0)
                break;
            cairn_buf_u8(to, ']');
            first = false;
            continue;
        }
        left[depth]--;
        v = cairn_value_read(&r);
        if (r.bad)
            goto bad;
        if (!first)
            cairn_buf_u8(to, ',');
        first = false;
        switch (v.kind) {
        case CAIRN_VALUE_NIL:
            cairn_buf_str(to, "null");
            break;
        case CAIRN_VALUE_INT:
            cairn_buf_printf(to, "%" PRId64, v.integer);
            break;
        case CAIRN_VALUE_BYTES:
            cairn_json_bytes(to, v.bytes);
            break;
        case CAIRN_VALUE_LIST:
            if (depth == CAIRN_VALUE_DEPTH_MAX)
                goto bad;
            cairn_buf_u8(to, '[');
            left[++depth] = v.count;
            first = true;
            break;
        case CAIRN_VALUE_ERROR:
            add_error(to, v);
            break;
        }
    }
    if (cairn_reader_left(&r) == 0)
        return true;
bad:
    to->size = from;
    return false;
}

void cairn_json_field(struct cairn_buf *to, struct cairn_bytes bytes)
{
    size_t from = to->size;

    /* An encoded value begins with a byte below 5, text does not. */
    if (bytes.size && bytes.data[0] <= CAIRN_VALUE_ERROR) {
        cairn_buf_str(to, "{\"value\":");
        if (cairn_json_value(to, bytes)) {
            cairn_buf_u8(to, '}');
            return;
        }
        to->size = from;
    }
    cairn_json_bytes(to, bytes);
}
