/* http.h - HTTP/1.1: requests in, responses out.
 *
 * The parser wraps llhttp and is incremental: it takes bytes as they come and keeps only what a
 * request needs (target, a few headers, body) in one buffer.  Everything is bounded by
 * struct cairn_http_limits; extensions of chunks are skipped.  What is refused ends the connection: the rest cannot be
 * trusted.
 * Responses to requests (for the command line) are parsed too.
 * Threads: none of its own.  Layer: proto; uses base and llhttp. */
#ifndef CAIRN_PROTO_HTTP_H
#define CAIRN_PROTO_HTTP_H

#include "base/bytes.h"
#include "base/err.h"

enum cairn_http_method {
    CAIRN_HTTP_GET,
    CAIRN_HTTP_HEAD,
    CAIRN_HTTP_POST,
    CAIRN_HTTP_PUT,
    CAIRN_HTTP_DELETE,
    CAIRN_HTTP_OPTIONS,
    CAIRN_HTTP_OTHER,
};

/* Headers that are kept; all others are skipped. */
enum cairn_http_header {
    CAIRN_HTTP_HOST,
    CAIRN_HTTP_CONTENT_TYPE,
    CAIRN_HTTP_ACCEPT,
    CAIRN_HTTP_IDEMPOTENCY_KEY,
    CAIRN_HTTP_ORIGIN,
    CAIRN_HTTP_AUTHORIZATION,
    CAIRN_HTTP_EXPECT,
    CAIRN_HTTP_TRANSFER_ENCODING,
    CAIRN_HTTP_TRACEPARENT,
    CAIRN_HTTP_CAIRN_COST,
    CAIRN_HTTP_IF_MATCH,
    CAIRN_HTTP_IF_NONE_MATCH,
    CAIRN_HTTP_RANGE,
    CAIRN_HTTP_CACHE_CONTROL,
    CAIRN_HTTP_HEADER_COUNT,
};

/* Every member must be set. */
struct cairn_http_limits {
    uint32_t target_bytes_max;
    uint32_t header_bytes_max; /* names and values of one request, all together */
    uint32_t headers_max;      /* lines */
};

enum { CAIRN_HTTP_SEGMENTS_MAX = 8 };

/* Views into the parser's buffer. */
struct cairn_http_request {
    enum cairn_http_method method;
    bool keep_alive;
    bool http_1_0;
    struct cairn_bytes path;                              /* as sent, without the query */
    struct cairn_bytes segments[CAIRN_HTTP_SEGMENTS_MAX]; /* of the path, percent-decoded */
    uint32_t segment_count;                               /* more than the maximum: too many, and none is given */
    struct cairn_bytes query;                             /* behind the '?', as sent */
    struct cairn_bytes headers[CAIRN_HTTP_HEADER_COUNT];  /* data NULL: not sent */
    struct cairn_bytes body;
};

struct cairn_http_parser;

/* Why a request is refused. */
struct cairn_http_refusal {
    uint16_t status;
    char text[160];
};

/* Called once the headers are there: how large the body may be.  The request has no body yet.  May
 * answer "Expect: 100-continue" (content_bytes is UINT64_MAX when the length is not known). */
typedef uint64_t cairn_http_head_call(void *context, const struct cairn_http_request *head, uint64_t content_bytes);

struct cairn_http_parser *cairn_http_parser_create(const struct cairn_http_limits *limits,
                                                   cairn_http_head_call *on_head, void *context);
struct cairn_http_parser *cairn_http_parser_destroy(struct cairn_http_parser *parser); /* returns NULL */

enum cairn_http_result {
    CAIRN_HTTP_MORE,    /* all was used; the request is not complete */
    CAIRN_HTTP_REQUEST, /* valid until the next parse; what was not used belongs to the next one */
    CAIRN_HTTP_BAD,     /* refused, see cairn_http_parser_refusal; parse no more */
};
enum cairn_http_result cairn_http_parse(struct cairn_http_parser *parser, struct cairn_bytes input, size_t *ret_used);
const struct cairn_http_request *cairn_http_parser_request(const struct cairn_http_parser *parser);
const struct cairn_http_refusal *cairn_http_parser_refusal(const struct cairn_http_parser *parser);
/* Exchanges the buffer that holds the request's bytes (the views stay valid) for another one. */
void cairn_http_parser_swap(struct cairn_http_parser *parser, struct cairn_buf *buf);
/* Bytes of a half received request. */
size_t cairn_http_parser_partial(const struct cairn_http_parser *parser);
/* Gives back memory between requests. */
void cairn_http_parser_trim(struct cairn_http_parser *parser);

/* Takes the next "name=value" off the query; false when there is none.  Still encoded. */
bool cairn_http_query_next(struct cairn_bytes *query, struct cairn_bytes *ret_name, struct cairn_bytes *ret_value);
/* Appends percent-decoded text; a '+' is a blank if `plus`.  False: broken encoding. */
bool cairn_http_decode(struct cairn_buf *to, struct cairn_bytes encoded, bool plus);
/* Appends `bytes` for use as one segment of a path, or in a query. */
void cairn_http_encode(struct cairn_buf *to, struct cairn_bytes bytes);
/* The weight, in thousandths, that a header's list (Accept) gives to the media type (RFC 9110, 12.4.2); a range such as
 * "text/" and "*" is a type of its own.  0: not listed, or not acceptable. */
unsigned cairn_http_weight(struct cairn_bytes accept, const char *type);
/* True if a Content-Type is this media type, whatever its parameters. */
bool cairn_http_type_is(struct cairn_bytes content_type, const char *type);

/* --- responses out --- */

struct cairn_http_response {
    unsigned status;
    const char *type; /* NULL: no body, no type */
    const char *date;
    const char *extra; /* whole header lines, each with its end; NULL: none */
    bool keep_alive, http_1_0;
    bool head; /* the body is told about and not sent */
    /* How the body's end is found: by its length, by chunks (HTTP/1.1), or by the connection's end.  With head, and
     * UNTOLD, there is no body here whose length could be told. */
    enum { CAIRN_HTTP_LENGTH, CAIRN_HTTP_CHUNKS, CAIRN_HTTP_UNTOLD } framing;
};

void cairn_http_write(struct cairn_buf *to, const struct cairn_http_response *response, struct cairn_bytes body);
/* More of a body in chunks; an empty one ends it. */
void cairn_http_write_chunk(struct cairn_buf *to, struct cairn_bytes bytes);

/* --- responses in --- */

struct cairn_http_reply {
    unsigned status;
    struct cairn_buf type; /* Content-Type */
    struct cairn_buf body;
    bool complete;
};

struct cairn_http_reader;

struct cairn_http_reader *cairn_http_reader_create(size_t body_bytes_max, bool head);
struct cairn_http_reader *cairn_http_reader_destroy(struct cairn_http_reader *reader);
/* An empty input is the connection's end.  Interim (1xx) responses are skipped. */
enum cairn_code cairn_http_reader_take(struct cairn_http_reader *reader, struct cairn_bytes input,
                                       struct cairn_err *err);
const struct cairn_http_reply *cairn_http_reader_reply(const struct cairn_http_reader *reader);

#endif
