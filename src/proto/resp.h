/* resp.h - the Redis serialization protocol: requests in, replies out (RESP2 and RESP3).
 *
 * The parser is incremental over the session's buffer: nothing is copied, arguments are views,
 * and no byte is looked at twice, however the input is cut.  Inline commands (a line of words,
 * quoted as redis-cli does) are taken too.
 * Errors of the protocol end with the connection, as in Redis: what follows cannot be trusted.
 * Threads: none of its own.  Layer: proto; uses base. */
#ifndef CAIRN_PROTO_RESP_H
#define CAIRN_PROTO_RESP_H

#include "base/value.h"

/* Every member must be set; request_bytes_max below 2 GiB. */
struct cairn_resp_limits {
    uint32_t args_max;          /* words of one command */
    uint32_t bulk_bytes_max;    /* one word */
    uint32_t request_bytes_max; /* one command as it is on the wire */
    uint32_t inline_bytes_max;  /* one inline command's line */
};

struct cairn_resp_span {
    uint32_t offset, size;
};

enum { CAIRN_RESP_SPANS_INLINE = 10 };

/* Zero-initialized is ready; ends with cairn_resp_parser_done. */
struct cairn_resp_parser {
    struct cairn_resp_span here[CAIRN_RESP_SPANS_INLINE];
    struct cairn_resp_span *more; /* instead of `here` when a command has more words */
    struct cairn_buf text;        /* an inline command's words, unquoted */
    uint32_t capacity;            /* of more */
    uint32_t expected, count;     /* words announced, words seen */
    uint32_t at;                  /* parsed so far, from the request's first byte */
    uint32_t need;                /* nothing new can be seen before the input is this long */
    bool started, bulk, is_inline;
    uint32_t bulk_bytes; /* of the word under way, if bulk */
};

enum cairn_resp_result {
    CAIRN_RESP_MORE,    /* not complete: call again with the same bytes and more behind them */
    CAIRN_RESP_REQUEST, /* the words can be read until the next parse; count 0: nothing to do */
    CAIRN_RESP_BAD,     /* err says why; close after telling */
};

/* Parses the request at the start of `input`; on REQUEST *ret_used bytes belong to it. */
enum cairn_resp_result cairn_resp_parse(struct cairn_resp_parser *parser, const struct cairn_resp_limits *limits,
                                        struct cairn_bytes input, size_t *ret_used, struct cairn_err *err);
void cairn_resp_parser_done(struct cairn_resp_parser *parser);

/* Word `index` < parser->count of the request that was found at the start of `input`. */
static inline struct cairn_bytes cairn_resp_word(const struct cairn_resp_parser *parser, struct cairn_bytes input,
                                                 uint32_t index)
{
    const struct cairn_resp_span *spans = parser->more ? parser->more : parser->here;
    const uint8_t *base = parser->is_inline ? parser->text.data : input.data;

    /* An inline command of nothing but empty words has no text at all. */
    return cairn_bytes(base ? base + spans[index].offset : (const uint8_t *)"", spans[index].size);
}

/* --- replies; `version` is 2 or 3 --- */

void cairn_resp_simple(struct cairn_buf *to, const char *text);
/* "-PREFIX message": line ends in the message become spaces. */
void cairn_resp_error(struct cairn_buf *to, const char *prefix, const char *message);
void cairn_resp_int(struct cairn_buf *to, int64_t integer);
void cairn_resp_bulk(struct cairn_buf *to, struct cairn_bytes bytes);
void cairn_resp_text(struct cairn_buf *to, const char *text); /* as bulk */
void cairn_resp_null(struct cairn_buf *to, int version);
void cairn_resp_array(struct cairn_buf *to, uint64_t count);
/* `pairs` keys and values follow; an array of twice as many in RESP2. */
void cairn_resp_map(struct cairn_buf *to, int version, uint64_t pairs);
/* An error value: its code in capitals is the prefix. */
void cairn_resp_error_value(struct cairn_buf *to, struct cairn_bytes code, struct cairn_bytes message);
/* A whole encoded value; errors inside of lists stay errors.  False, and nothing added, if it
 * is not valid. */
bool cairn_resp_value(struct cairn_buf *to, int version, struct cairn_bytes encoded);

#endif
