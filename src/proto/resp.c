#include "proto/resp.h"

#include <stdlib.h>

/* "*4294967295\r\n" is far longer than any number that passes the limits. */
enum { NUMBER_LINE_BYTES_MAX = 32 };

static struct cairn_resp_span *spans_of(struct cairn_resp_parser *parser)
{
    return parser->more ? parser->more : parser->here;
}

/* Grows as words arrive, not as they are announced. */
static __attribute__((noinline)) void grow_spans(struct cairn_resp_parser *parser)
{
    size_t capacity = 2 * (size_t)parser->count;
    struct cairn_resp_span *grown = cairn_alloc(capacity * sizeof *grown);

    memcpy(grown, spans_of(parser), parser->count * sizeof *grown);
    free(parser->more);
    parser->more = grown;
    parser->capacity = (uint32_t)capacity;
}

static inline void add_span(struct cairn_resp_parser *parser, size_t offset, size_t size)
{
    if (parser->count == (parser->more ? parser->capacity : CAIRN_RESP_SPANS_INLINE))
        grow_spans(parser);
    spans_of(parser)[parser->count++] = (struct cairn_resp_span){(uint32_t)offset, (uint32_t)size};
}

static inline void start(struct cairn_resp_parser *parser)
{
    if (parser->more) {
        free(parser->more);
        parser->more = NULL;
    }
    parser->expected = parser->count = parser->at = parser->need = 0;
    parser->started = true;
    parser->bulk = parser->is_inline = false;
}

void cairn_resp_parser_done(struct cairn_resp_parser *parser)
{
    free(parser->more);
    cairn_buf_done(&parser->text);
    *parser = (struct cairn_resp_parser){0};
}

static enum cairn_resp_result bad(struct cairn_resp_parser *parser, struct cairn_err *err, const char *why)
{
    parser->started = false;
    cairn_fail(err, CAIRN_EINVAL, "Protocol error: %s", why);
    return CAIRN_RESP_BAD;
}

/* Reads "<digits>\r\n" (a minus is allowed) from parser->at + 1 on.  MORE: not there yet. */
static enum cairn_resp_result read_number(struct cairn_resp_parser *parser, struct cairn_bytes input, int64_t *ret,
                                          struct cairn_err *err, const char *what)
{
    const uint8_t *at = input.data + parser->at + 1, *end = input.data + input.size;
    bool negative = false, digits = false;
    int64_t n = 0;

    if (at < end && *at == '-') {
        negative = true;
        at++;
    }
    for (; at < end && *at >= '0' && *at <= '9'; at++) {
        digits = true;
        if (n > INT32_MAX)
            return bad(parser, err, what);
        n = n * 10 + (*at - '0');
    }
    if (at == end || (*at == '\r' && at + 1 == end)) {
        if (input.size - parser->at > NUMBER_LINE_BYTES_MAX)
            return bad(parser, err, what);
        return CAIRN_RESP_MORE;
    }
    /* As long as what was refused when its end had not arrived yet. */
    if (!digits || at[0] != '\r' || at[1] != '\n' || (size_t)(at - input.data) - parser->at >= NUMBER_LINE_BYTES_MAX)
        return bad(parser, err, what);
    parser->at = (uint32_t)(at + 2 - input.data);
    *ret = negative ? -n : n;
    return CAIRN_RESP_REQUEST;
}

static inline bool is_digit(uint8_t c)
{
    return (uint8_t)(c - '0') < 10;
}

/* Nearly all numbers have one or two digits: "$5\r\n", "$12\r\n".  True if it is such a one, whole. */
static inline bool short_number(struct cairn_bytes input, uint32_t *at, uint32_t *ret)
{
    const uint8_t *p = input.data + *at + 1;

    if (input.size - *at < 5 || !is_digit(p[0]))
        return false;
    if (p[1] == '\r' && p[2] == '\n') {
        *ret = p[0] - '0';
        *at += 4;
        return true;
    }
    if (is_digit(p[1]) && p[2] == '\r' && p[3] == '\n') {
        *ret = (uint32_t)(p[0] - '0') * 10 + p[1] - '0';
        *at += 5;
        return true;
    }
    return false;
}

static int hex_digit(uint8_t c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

/* Behind a backslash in double quotes; returns the bytes it took. */
static size_t unescape(struct cairn_buf *text, const uint8_t *at, const uint8_t *end)
{
    uint8_t c = *at;

    if (c == 'x' && end - at >= 3 && hex_digit(at[1]) >= 0 && hex_digit(at[2]) >= 0) {
        cairn_buf_u8(text, (uint8_t)(hex_digit(at[1]) * 16 + hex_digit(at[2])));
        return 3;
    }
    switch (c) {
    case 'n':
        c = '\n';
        break;
    case 'r':
        c = '\r';
        break;
    case 't':
        c = '\t';
        break;
    case 'b':
        c = '\b';
        break;
    case 'a':
        c = '\a';
        break;
    default:
        break;
    }
    cairn_buf_u8(text, c);
    return 1;
}

static bool is_space(uint8_t c)
{
    return c == ' ' || (c >= '\t' && c <= '\r') || c == 0;
}

/* One word of an inline command from *at on; false: quotes do not match. */
static bool inline_word(struct cairn_buf *text, const uint8_t **at, const uint8_t *end)
{
    const uint8_t *p = *at;
    uint8_t quote = 0;

    for (; p < end; p++) {
        if (!quote) {
            if (is_space(*p))
                break;
            if (*p == '"' || *p == '\'')
                quote = *p;
            else
                cairn_buf_u8(text, *p);
        } else if (*p == '\\' && p + 1 < end && quote == '"') {
            p += unescape(text, p + 1, end);
        } else if (*p == '\\' && p + 1 < end && p[1] == '\'') { /* in single quotes */
            cairn_buf_u8(text, '\'');
            p++;
        } else if (*p == quote) {
            if (p + 1 < end && !is_space(p[1]))
                return false; /* a closing quote ends the word */
            quote = 0;
        } else {
            cairn_buf_u8(text, *p);
        }
    }
    *at = p;
    return quote == 0;
}

static enum cairn_resp_result parse_inline(struct cairn_resp_parser *parser, const struct cairn_resp_limits *limits,
                                           struct cairn_bytes input, size_t *ret_used, struct cairn_err *err)
{
    const uint8_t *newline = memchr(input.data + parser->at, '\n', input.size - parser->at), *at = input.data, *end;

    if ((newline ? (size_t)(newline - input.data) : input.size) > limits->inline_bytes_max)
        return bad(parser, err, "too big inline request");
    if (!newline) {
        parser->at = (uint32_t)input.size;
        return CAIRN_RESP_MORE;
    }
    end = newline > at && newline[-1] == '\r' ? newline - 1 : newline;
    parser->is_inline = true;
    parser->text.size = 0;
    for (;;) {
        size_t from = parser->text.size;

        while (at < end && is_space(*at))
            at++;
        if (at == end)
            break;
        if (parser->count == limits->args_max)
            return bad(parser, err, "too many words");
        if (!inline_word(&parser->text, &at, end))
            return bad(parser, err, "unbalanced quotes in request");
        add_span(parser, from, parser->text.size - from);
    }
    parser->started = false;
    *ret_used = (size_t)(newline + 1 - input.data);
    return CAIRN_RESP_REQUEST;
}

/* "*<count>\r\n" */
static enum cairn_resp_result parse_head(struct cairn_resp_parser *parser, const struct cairn_resp_limits *limits,
                                         struct cairn_bytes input, struct cairn_err *err)
{
    enum cairn_resp_result result;
    int64_t count = 0;

    if (short_number(input, &parser->at, &parser->expected)) {
        if (parser->expected > limits->args_max)
            return bad(parser, err, "invalid multibulk length");
        return CAIRN_RESP_REQUEST;
    }
    result = read_number(parser, input, &count, err, "invalid multibulk length");

    if (result != CAIRN_RESP_REQUEST)
        return result;
    if (count > limits->args_max)
        return bad(parser, err, "invalid multibulk length");
    parser->expected = count > 0 ? (uint32_t)count : 0;
    return CAIRN_RESP_REQUEST;
}

static __attribute__((noinline)) enum cairn_resp_result no_dollar(struct cairn_resp_parser *parser, uint8_t c,
                                                                  struct cairn_err *err)
{
    parser->started = false;
    cairn_fail(err, CAIRN_EINVAL, "Protocol error: expected '$', got '%c'", c >= ' ' && c < 127 ? c : '?');
    return CAIRN_RESP_BAD;
}

/* "$<size>\r\n" */
static inline enum cairn_resp_result parse_bulk_head(struct cairn_resp_parser *parser,
                                                     const struct cairn_resp_limits *limits, struct cairn_bytes input,
                                                     struct cairn_err *err)
{
    uint32_t short_size;
    int64_t size = 0;

    if (parser->at == input.size)
        return CAIRN_RESP_MORE;
    if (input.data[parser->at] != '$')
        return no_dollar(parser, input.data[parser->at], err);
    if (short_number(input, &parser->at, &short_size)) {
        size = short_size;
    } else {
        enum cairn_resp_result result = read_number(parser, input, &size, err, "invalid bulk length");

        if (result != CAIRN_RESP_REQUEST)
            return result;
    }
    if (size < 0 || size > limits->bulk_bytes_max)
        return bad(parser, err, "invalid bulk length");
    if (parser->at + (uint64_t)size + 2 > limits->request_bytes_max)
        return bad(parser, err, "too big request");
    parser->bulk_bytes = (uint32_t)size;
    return CAIRN_RESP_REQUEST;
}

enum cairn_resp_result cairn_resp_parse(struct cairn_resp_parser *parser, const struct cairn_resp_limits *limits,
                                        struct cairn_bytes input, size_t *ret_used, struct cairn_err *err)
{
    enum cairn_resp_result result;

    if (!parser->started)
        start(parser);
    if (input.size == 0 || input.size < parser->need)
        return CAIRN_RESP_MORE;
    if (input.data[0] != '*')
        return parse_inline(parser, limits, input, ret_used, err);
    if (parser->at == 0) {
        result = parse_head(parser, limits, input, err);
        if (result != CAIRN_RESP_REQUEST)
            return result;
    }
    while (parser->count < parser->expected) {
        const uint8_t *end;

        if (!parser->bulk) {
            result = parse_bulk_head(parser, limits, input, err);
            if (result != CAIRN_RESP_REQUEST)
                return result;
        }
        parser->need = parser->at + parser->bulk_bytes + 2;
        if (input.size < parser->need) {
            parser->bulk = true;
            return CAIRN_RESP_MORE;
        }
        end = input.data + parser->at + parser->bulk_bytes;
        if (end[0] != '\r' || end[1] != '\n')
            return bad(parser, err, "expected the end of a line behind a word");
        add_span(parser, parser->at, parser->bulk_bytes);
        parser->at = parser->need;
        parser->bulk = false;
    }
    parser->started = false;
    *ret_used = parser->at;
    return CAIRN_RESP_REQUEST;
}
