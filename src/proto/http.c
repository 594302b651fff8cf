#include "proto/http.h"

#include <llhttp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/list.h"

enum { FIELD_BYTES_MAX = 20, BUFFER_KEEPS_BYTES = 2 << 10 };

static const char *const header_names[CAIRN_HTTP_HEADER_COUNT] = {
    [CAIRN_HTTP_HOST] = "host",
    [CAIRN_HTTP_CONTENT_TYPE] = "content-type",
    [CAIRN_HTTP_ACCEPT] = "accept",
    [CAIRN_HTTP_IDEMPOTENCY_KEY] = "idempotency-key",
    [CAIRN_HTTP_ORIGIN] = "origin",
    [CAIRN_HTTP_AUTHORIZATION] = "authorization",
    [CAIRN_HTTP_EXPECT] = "expect",
    [CAIRN_HTTP_TRANSFER_ENCODING] = "transfer-encoding",
    [CAIRN_HTTP_TRACEPARENT] = "traceparent",
    [CAIRN_HTTP_CAIRN_COST] = "cairn-cost",
    [CAIRN_HTTP_IF_MATCH] = "if-match",
    [CAIRN_HTTP_IF_NONE_MATCH] = "if-none-match",
    [CAIRN_HTTP_RANGE] = "range",
    [CAIRN_HTTP_CACHE_CONTROL] = "cache-control",
};

struct span {
    size_t offset, size;
    bool there;
};

/* Where in a line "SIZE *( BWS ; extension ) CRLF" the parser is (RFC 9112, 7.1.1).  llhttp does not know all
 * forms of an extension: it gets such a line without them. */
enum chunk_line { CHUNK_NONE, CHUNK_SIZE, CHUNK_BLANK, CHUNK_EXTENSION };

struct cairn_http_parser {
    llhttp_t llhttp;
    const struct cairn_http_limits *limits;
    cairn_http_head_call *on_head;
    void *context;
    struct cairn_buf bytes; /* target, kept headers, body */
    struct span target, headers[CAIRN_HTTP_HEADER_COUNT], body;
    struct span absolute_host; /* of a target in absolute form */
    struct cairn_http_request request;
    struct cairn_http_refusal refusal;
    size_t header_bytes; /* seen, kept or not */
    uint32_t header_lines;
    uint64_t body_bytes_max;
    int header; /* being read; -1: one that is not kept */
    char field[FIELD_BYTES_MAX];
    uint8_t field_bytes;
    bool in_request, head_done, complete, last_chunk;
    enum chunk_line chunk_line;
};

static struct cairn_http_parser *parser_of(llhttp_t *llhttp)
{
    return cairn_container(llhttp, struct cairn_http_parser, llhttp);
}

/* The callbacks' way to say no. */
static int refuse(struct cairn_http_parser *parser, uint16_t status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static int refuse(struct cairn_http_parser *parser, uint16_t status, const char *format, ...)
{
    va_list args;

    parser->refusal.status = status;
    va_start(args, format);
    vsnprintf(parser->refusal.text, sizeof parser->refusal.text, format, args);
    va_end(args);
    return HPE_USER;
}

static void add(struct cairn_http_parser *parser, struct span *span, const char *at, size_t size)
{
    if (!span->there) {
        span->there = true;
        span->offset = parser->bytes.size;
        span->size = 0;
    }
    cairn_buf_add(&parser->bytes, at, size);
    span->size += size;
}

/* --- llhttp's callbacks --- */

static int on_begin(llhttp_t *llhttp)
{
    struct cairn_http_parser *parser = parser_of(llhttp);

    parser->bytes.size = 0;
    parser->target = parser->body = parser->absolute_host = (struct span){0};
    memset(parser->headers, 0, sizeof parser->headers);
    parser->header_bytes = 0;
    parser->header_lines = 0;
    parser->field_bytes = 0;
    parser->header = -1;
    parser->in_request = true;
    parser->head_done = parser->complete = false;
    parser->chunk_line = CHUNK_NONE;
    return 0;
}

static int on_url(llhttp_t *llhttp, const char *at, size_t size)
{
    struct cairn_http_parser *parser = parser_of(llhttp);

    if (parser->target.size + size > parser->limits->target_bytes_max)
        return refuse(parser, 414, "the request's target is longer than %u bytes", parser->limits->target_bytes_max);
    add(parser, &parser->target, at, size);
    return 0;
}

static int count_header_bytes(struct cairn_http_parser *parser, size_t size)
{
    parser->header_bytes += size;
    if (parser->header_bytes > parser->limits->header_bytes_max)
        return refuse(parser, 431, "the headers are longer than %u bytes", parser->limits->header_bytes_max);
    return 0;
}

static int on_header_field(llhttp_t *llhttp, const char *at, size_t size)
{
    struct cairn_http_parser *parser = parser_of(llhttp);

    for (size_t i = 0; i < size && parser->field_bytes < FIELD_BYTES_MAX; i++)
        parser->field[parser->field_bytes++] = (char)(at[i] >= 'A' && at[i] <= 'Z' ? at[i] + 'a' - 'A' : at[i]);
    return count_header_bytes(parser, size);
}

static int on_header_field_complete(llhttp_t *llhttp)
{
    struct cairn_http_parser *parser = parser_of(llhttp);

    parser->header = -1;
    if (++parser->header_lines > parser->limits->headers_max)
        return refuse(parser, 431, "there are more than %u headers", parser->limits->headers_max);
    for (int i = 0; i < CAIRN_HTTP_HEADER_COUNT && !parser->head_done; i++) /* trailers are skipped */
        if (strlen(header_names[i]) == parser->field_bytes &&
            memcmp(header_names[i], parser->field, parser->field_bytes) == 0)
            parser->header = i;
    parser->field_bytes = 0;
    if (parser->header >= 0) {
        struct span *span = &parser->headers[parser->header];

        /* (Two of traceparent are none: as one list they are not well-formed.) */
        if (span->there && parser->header != CAIRN_HTTP_ACCEPT && parser->header != CAIRN_HTTP_TRANSFER_ENCODING &&
            parser->header != CAIRN_HTTP_TRACEPARENT)
            return refuse(parser, 400, "the header %s is there twice", header_names[parser->header]);
        /* A repeated list goes on; its parts must lie together. */
        if (span->there) {
            struct span before = *span;

            *span = (struct span){0};
            cairn_buf_reserve(&parser->bytes, before.size + 1);
            add(parser, span, (const char *)parser->bytes.data + before.offset, before.size);
            add(parser, span, ",", 1);
        } else {
            add(parser, span, "", 0);
        }
    }
    return 0;
}

static int on_header_value(llhttp_t *llhttp, const char *at, size_t size)
{
    struct cairn_http_parser *parser = parser_of(llhttp);

    if (parser->header >= 0)
        add(parser, &parser->headers[parser->header], at, size);
    return count_header_bytes(parser, size);
}

static struct cairn_bytes view(const struct cairn_http_parser *parser, const struct span *span)
{
    static const uint8_t nothing;

    if (!span->there)
        return cairn_bytes(NULL, 0);
    return cairn_bytes(span->size ? parser->bytes.data + span->offset : &nothing, span->size);
}

static struct cairn_bytes trimmed(struct cairn_bytes bytes)
{
    while (bytes.size && (*bytes.data == ' ' || *bytes.data == '\t')) {
        bytes.data++;
        bytes.size--;
    }
    while (bytes.size && (bytes.data[bytes.size - 1] == ' ' || bytes.data[bytes.size - 1] == '\t'))
        bytes.size--;
    return bytes;
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

/* Decodes to `to`, which may be where it comes from; SIZE_MAX: broken. */
static size_t decode(uint8_t *to, struct cairn_bytes from, bool plus)
{
    size_t n = 0;

    for (size_t i = 0; i < from.size; i++) {
        uint8_t c = from.data[i];

        if (c == '%') {
            if (i + 2 >= from.size || hex_digit(from.data[i + 1]) < 0 || hex_digit(from.data[i + 2]) < 0)
                return SIZE_MAX;
            c = (uint8_t)(hex_digit(from.data[i + 1]) * 16 + hex_digit(from.data[i + 2]));
            i += 2;
        } else if (c == '+' && plus) {
            c = ' ';
        }
        to[n++] = c;
    }
    return n;
}

/* What a Host may be made of: a name or an address, and a port (RFC 9110, 7.2). */
static bool is_host(struct cairn_bytes host)
{
    for (size_t i = 0; i < host.size; i++) {
        uint8_t c = host.data[i];

        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
              memchr("-._~%!$&'()*+;=:[]", c, 18)))
            return false;
    }
    return true;
}

/* The form that proxies send, "http://host/path?query": its host counts, not the header's (RFC 9112, 3.2.2). */
static int cut_absolute(struct cairn_http_parser *parser, struct cairn_bytes *target)
{
    uint8_t *text = parser->bytes.data + parser->target.offset;
    size_t end = 7;

    if (target->size <= 7 || strncasecmp((const char *)text, "http://", 7) != 0)
        return refuse(parser, 400, "the request's target must be a path, or begin with http://");
    while (end < target->size && text[end] != '/' && text[end] != '?' && text[end] != '#')
        end++;
    if (end == 7 || !is_host(cairn_bytes(text + 7, end - 7)))
        return refuse(parser, 400, "the request's target has no host, or one that is none");
    parser->absolute_host = (struct span){parser->target.offset + 7, end - 7, true};
    if (end == target->size || text[end] != '/') {
        /* No path means "/": the host moves one to the left and makes room for it. */
        memmove(text + 6, text + 7, end - 7);
        parser->absolute_host.offset--;
        text[--end] = '/';
    }
    *target = cairn_bytes(text + end, target->size - end);
    return 0;
}

/* Cuts the target into path, segments and query.  Segments are decoded behind what is there, so
 * that the path stays as it was sent. */
static int cut_target(struct cairn_http_parser *parser)
{
    struct cairn_http_request *request = &parser->request;
    struct cairn_bytes target = view(parser, &parser->target), path;
    const uint8_t *question;
    size_t from, used = 0;
    int refused;

    if (target.size && target.data[0] != '/' && target.data[0] != '*') {
        refused = cut_absolute(parser, &target);
        if (refused)
            return refused;
    }
    if (target.size == 0 || (target.data[0] == '*' && (target.size > 1 || request->method != CAIRN_HTTP_OPTIONS)))
        return refuse(parser, 400, "the request's target must be a path that begins with '/'");
    if (memchr(target.data, '#', target.size))
        return refuse(parser, 400, "the request's target has a fragment: write '#' as %%23");
    question = memchr(target.data, '?', target.size);
    path = cairn_bytes(target.data, question ? (size_t)(question - target.data) : target.size);

    from = path.size; /* more than all segments together */
    parser->target.offset = (size_t)(target.data - parser->bytes.data);
    cairn_buf_reserve(&parser->bytes, from);
    target.data = parser->bytes.data + parser->target.offset;
    path.data = target.data;
    request->path = path;
    request->query = cairn_bytes(NULL, 0);
    if (question)
        request->query = cairn_bytes(path.data + path.size + 1, target.size - path.size - 1);

    if (path.size > 1 && path.data[path.size - 1] == '/')
        path.size--;
    request->segment_count = 0;
    for (size_t i = 1; i <= path.size && path.size > 1;) {
        const uint8_t *slash = memchr(path.data + i, '/', path.size - i);
        size_t end = slash ? (size_t)(slash - path.data) : path.size;
        uint8_t *to = parser->bytes.data + parser->bytes.size + used;
        size_t size = decode(to, cairn_bytes(path.data + i, end - i), false);

        if (size == SIZE_MAX)
            return refuse(parser, 400, "the request's target has a broken percent-encoding");
        if (request->segment_count < CAIRN_HTTP_SEGMENTS_MAX)
            request->segments[request->segment_count] = cairn_bytes(to, size);
        request->segment_count++;
        used += size;
        i = end + 1;
    }
    parser->bytes.size += used;
    return 0;
}

static enum cairn_http_method method_of(uint8_t method)
{
    switch (method) {
    case HTTP_GET:
        return CAIRN_HTTP_GET;
    case HTTP_HEAD:
        return CAIRN_HTTP_HEAD;
    case HTTP_POST:
        return CAIRN_HTTP_POST;
    case HTTP_PUT:
        return CAIRN_HTTP_PUT;
    case HTTP_DELETE:
        return CAIRN_HTTP_DELETE;
    case HTTP_OPTIONS:
        return CAIRN_HTTP_OPTIONS;
    default:
        return CAIRN_HTTP_OTHER;
    }
}

static void view_headers(struct cairn_http_parser *parser)
{
    for (int i = 0; i < CAIRN_HTTP_HEADER_COUNT; i++)
        parser->request.headers[i] = trimmed(view(parser, &parser->headers[i]));
}

/* Is the last coding of a list "chunked"?  *ret_others: it is not the only one. */
static bool ends_chunked(struct cairn_bytes codings, bool *ret_others)
{
    size_t at = codings.size;

    while (at && codings.data[at - 1] != ',')
        at--;
    *ret_others = at > 0;
    codings = trimmed(cairn_bytes(codings.data + at, codings.size - at));
    return codings.size == 7 && strncasecmp((const char *)codings.data, "chunked", 7) == 0;
}

/* Where the body ends must be beyond doubt (RFC 9112, 6). */
static int check_framing(struct cairn_http_parser *parser)
{
    struct cairn_bytes codings = parser->request.headers[CAIRN_HTTP_TRANSFER_ENCODING];
    bool others;

    if (!codings.data)
        return 0;
    if (parser->llhttp.flags & F_CONTENT_LENGTH)
        return refuse(parser, 400, "content-length and transfer-encoding exclude each other");
    if (parser->request.http_1_0)
        return refuse(parser, 400, "HTTP/1.0 has no transfer-encoding");
    if (!ends_chunked(codings, &others))
        return refuse(parser, 400, "the last transfer-encoding must be chunked");
    if (others)
        return refuse(parser, 501, "the only transfer-encoding that is understood is chunked");
    return 0;
}

static int check_head(struct cairn_http_parser *parser)
{
    struct cairn_http_request *request = &parser->request;
    struct cairn_bytes host = request->headers[CAIRN_HTTP_HOST], expect = request->headers[CAIRN_HTTP_EXPECT];

    if (!request->http_1_0 && !host.data)
        return refuse(parser, 400, "the header host is missing");
    if (!is_host(host))
        return refuse(parser, 400, "the header host is not the name of a host");
    if (parser->absolute_host.there) {
        parser->headers[CAIRN_HTTP_HOST] = parser->absolute_host;
        request->headers[CAIRN_HTTP_HOST] = view(parser, &parser->absolute_host);
    }
    if (expect.data && !request->http_1_0 &&
        !(expect.size == 12 && strncasecmp((const char *)expect.data, "100-continue", 12) == 0))
        return refuse(parser, 417, "the only expectation that can be met is 100-continue");
    return check_framing(parser);
}

static int on_headers_complete(llhttp_t *llhttp)
{
    struct cairn_http_parser *parser = parser_of(llhttp);
    struct cairn_http_request *request = &parser->request;
    bool known = llhttp->flags & F_CONTENT_LENGTH, chunked = llhttp->flags & F_CHUNKED;
    int refused;

    memset(request, 0, sizeof *request);
    parser->head_done = true;
    if (llhttp->http_major != 1)
        return refuse(parser, 505, "HTTP/1.1 is spoken here");
    request->method = method_of(llhttp->method);
    request->http_1_0 = llhttp->http_minor == 0;
    refused = cut_target(parser);
    if (refused)
        return refused;
    view_headers(parser);
    refused = check_head(parser);
    if (refused)
        return refused;
    if (llhttp->method == HTTP_CONNECT)
        return refuse(parser, 405, "this is no proxy");
    llhttp->upgrade = 0; /* offers of another protocol are not taken */
    parser->body_bytes_max = parser->on_head(parser->context, request,
                                             known     ? llhttp->content_length
                                             : chunked ? UINT64_MAX
                                                       : 0);
    if (known && llhttp->content_length > parser->body_bytes_max)
        return refuse(parser, 413, "the body has %llu bytes, %llu are allowed here",
                      (unsigned long long)llhttp->content_length, (unsigned long long)parser->body_bytes_max);
    if (!chunked)
        return 0;
    parser->chunk_line = CHUNK_SIZE;
    return HPE_PAUSED;
}

static int on_chunk_complete(llhttp_t *llhttp)
{
    struct cairn_http_parser *parser = parser_of(llhttp);

    if (parser->last_chunk)
        return 0;
    parser->chunk_line = CHUNK_SIZE;
    return HPE_PAUSED;
}

static int on_chunk_header(llhttp_t *llhttp)
{
    parser_of(llhttp)->last_chunk = llhttp->content_length == 0;
    return 0;
}

static int on_body(llhttp_t *llhttp, const char *at, size_t size)
{
    struct cairn_http_parser *parser = parser_of(llhttp);

    if (parser->body.size + size > parser->body_bytes_max)
        return refuse(parser, 413, "the body is longer than %llu bytes", (unsigned long long)parser->body_bytes_max);
    add(parser, &parser->body, at, size);
    return 0;
}

static int on_complete(llhttp_t *llhttp)
{
    struct cairn_http_parser *parser = parser_of(llhttp);
    struct cairn_http_request *request = &parser->request;
    const uint8_t *before = request->path.data - parser->target.offset, *now = parser->bytes.data;

    /* The body may have moved the buffer. */
    request->path.data = now + (request->path.data - before);
    if (request->query.data)
        request->query.data = now + (request->query.data - before);
    for (uint32_t i = 0; i < request->segment_count && i < CAIRN_HTTP_SEGMENTS_MAX; i++)
        request->segments[i].data = now + (request->segments[i].data - before);
    view_headers(parser);
    request->body = view(parser, &parser->body);
    request->keep_alive = llhttp_should_keep_alive(llhttp);
    parser->complete = true;
    parser->in_request = false;
    return HPE_PAUSED;
}

static const llhttp_settings_t settings = {
    .on_message_begin = on_begin,
    .on_url = on_url,
    .on_header_field = on_header_field,
    .on_header_field_complete = on_header_field_complete,
    .on_header_value = on_header_value,
    .on_headers_complete = on_headers_complete,
    .on_body = on_body,
    .on_chunk_header = on_chunk_header,
    .on_chunk_complete = on_chunk_complete,
    .on_message_complete = on_complete,
};

/* --- the parser --- */

struct cairn_http_parser *cairn_http_parser_create(const struct cairn_http_limits *limits,
                                                   cairn_http_head_call *on_head, void *context)
{
    struct cairn_http_parser *parser = cairn_alloc_zeroed(1, sizeof *parser);

    llhttp_init(&parser->llhttp, HTTP_REQUEST, &settings);
    parser->limits = limits;
    parser->on_head = on_head;
    parser->context = context;
    return parser;
}

struct cairn_http_parser *cairn_http_parser_destroy(struct cairn_http_parser *parser)
{
    if (parser) {
        cairn_buf_done(&parser->bytes);
        free(parser);
    }
    return NULL;
}

static enum cairn_http_result fail(struct cairn_http_parser *parser, llhttp_errno_t status)
{
    const char *reason = llhttp_get_error_reason(&parser->llhttp);
    bool version = status == HPE_INVALID_VERSION || status == HPE_PAUSED_H2_UPGRADE;

    if (!parser->refusal.status)
        refuse(parser, version ? 505 : 400, "this is not HTTP/1.1: %s",
               reason && *reason ? reason : "it cannot be read");
    return CAIRN_HTTP_BAD;
}

/* Within a chunk's line: how much of the input comes before the extensions, and how much behind that is skipped.
 * False: refused. */
static bool skip_extensions(struct cairn_http_parser *parser, struct cairn_bytes input, size_t *ret_before,
                            size_t *ret_skipped)
{
    size_t at = 0;

    while (parser->chunk_line == CHUNK_SIZE && at < input.size) {
        uint8_t c = input.data[at];

        if (c == ';' || c == ' ' || c == '\t')
            parser->chunk_line = CHUNK_BLANK;
        else if (hex_digit(c) < 0)
            parser->chunk_line = CHUNK_NONE; /* the line's end, or an error */
        else
            at++;
    }
    if (parser->chunk_line == CHUNK_NONE) {
        *ret_before = input.size;
        return true;
    }
    *ret_before = at;
    for (; at < input.size; at++) {
        uint8_t c = input.data[at];

        if (c == '\r' && parser->chunk_line == CHUNK_EXTENSION) {
            parser->chunk_line = CHUNK_NONE;
            break;
        }
        if (c == ';')
            parser->chunk_line = CHUNK_EXTENSION;
        else if ((parser->chunk_line == CHUNK_BLANK && c != ' ' && c != '\t') || (c < ' ' && c != '\t') || c == 127)
            return !refuse(parser, 400, "a chunk's size is followed by neither ';' and an extension nor a line's end");
        if (count_header_bytes(parser, 1))
            return false;
    }
    *ret_skipped = at - *ret_before;
    return true;
}

enum cairn_http_result cairn_http_parse(struct cairn_http_parser *parser, struct cairn_bytes input, size_t *ret_used)
{
    size_t at = 0;

    *ret_used = input.size;
    if (parser->refusal.status)
        return CAIRN_HTTP_BAD;
    if (parser->complete) {
        parser->complete = false;
        llhttp_resume(&parser->llhttp);
    }
    while (at < input.size) {
        size_t size = input.size - at, skipped = 0;
        llhttp_errno_t status = HPE_OK;

        if (parser->chunk_line != CHUNK_NONE &&
            !skip_extensions(parser, cairn_bytes(input.data + at, size), &size, &skipped))
            return CAIRN_HTTP_BAD;
        if (size) /* to llhttp no bytes are the end of the connection */
            status = llhttp_execute(&parser->llhttp, (const char *)input.data + at, size);
        if (status == HPE_PAUSED) {
            at = (size_t)(llhttp_get_error_pos(&parser->llhttp) - (const char *)input.data);
            if (parser->complete) {
                *ret_used = at;
                return CAIRN_HTTP_REQUEST;
            }
            llhttp_resume(&parser->llhttp); /* at the beginning of a chunk's line */
            continue;
        }
        if (status != HPE_OK)
            return fail(parser, status);
        at += size + skipped;
    }
    return CAIRN_HTTP_MORE;
}

const struct cairn_http_request *cairn_http_parser_request(const struct cairn_http_parser *parser)
{
    return &parser->request;
}

const struct cairn_http_refusal *cairn_http_parser_refusal(const struct cairn_http_parser *parser)
{
    return &parser->refusal;
}

void cairn_http_parser_swap(struct cairn_http_parser *parser, struct cairn_buf *buf)
{
    struct cairn_buf taken = parser->bytes;

    parser->bytes = *buf;
    parser->bytes.size = 0;
    *buf = taken;
}

size_t cairn_http_parser_partial(const struct cairn_http_parser *parser)
{
    return parser->in_request ? parser->bytes.size + parser->header_bytes + 1 : 0;
}

void cairn_http_parser_trim(struct cairn_http_parser *parser)
{
    if (!parser->in_request)
        cairn_buf_done(&parser->bytes);
}

/* --- helpers --- */

bool cairn_http_query_next(struct cairn_bytes *query, struct cairn_bytes *ret_name, struct cairn_bytes *ret_value)
{
    while (query->size) {
        const uint8_t *and = memchr(query->data, '&', query->size), *equals;
        struct cairn_bytes pair = {query->data, and? (size_t)(and-query->data) : query->size};

        query->data += pair.size + (and != NULL);
        query->size -= pair.size + (and != NULL);
        if (!pair.size)
            continue;
        equals = memchr(pair.data, '=', pair.size);
        ret_name->data = pair.data;
        ret_name->size = equals ? (size_t)(equals - pair.data) : pair.size;
        *ret_value = cairn_bytes(pair.data + pair.size, 0);
        if (equals)
            *ret_value = cairn_bytes(equals + 1, pair.size - ret_name->size - 1);
        return true;
    }
    return false;
}

bool cairn_http_decode(struct cairn_buf *to, struct cairn_bytes encoded, bool plus)
{
    size_t size;

    if (!encoded.size)
        return true;
    size = decode(cairn_buf_reserve(to, encoded.size), encoded, plus);
    if (size == SIZE_MAX)
        return false;
    to->size += size;
    return true;
}

void cairn_http_encode(struct cairn_buf *to, struct cairn_bytes bytes)
{
    static const char digits[] = "0123456789ABCDEF";

    for (size_t i = 0; i < bytes.size; i++) {
        uint8_t c = bytes.data[i];

        if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || memchr("-._~", c, 4)) {
            cairn_buf_u8(to, c);
        } else {
            uint8_t text[3] = {'%', (uint8_t)digits[c >> 4], (uint8_t)digits[c & 15]};

            cairn_buf_add(to, text, 3);
        }
    }
}

bool cairn_http_type_is(struct cairn_bytes content_type, const char *type)
{
    size_t size = strlen(type);

    if (content_type.size < size || strncasecmp((const char *)content_type.data, type, size) != 0)
        return false;
    return content_type.size == size || memchr("; \t", content_type.data[size], 3);
}

/* "q=0.5" among the parameters behind a type, in thousandths; 1000 without. */
static unsigned weight_of(struct cairn_bytes parameters)
{
    const uint8_t *at = parameters.data, *end = at + parameters.size;

    while (at < end && (at = memchr(at, ';', (size_t)(end - at)))) {
        unsigned weight = 0, scale = 100;

        at++;
        while (at < end && (*at == ' ' || *at == '\t'))
            at++;
        if (end - at < 3 || (*at != 'q' && *at != 'Q') || at[1] != '=')
            continue;
        if (at[2] != '0')
            return 1000;
        if (end - at > 3 && at[3] == '.')
            for (at += 4; at < end && *at >= '0' && *at <= '9' && scale; at++, scale /= 10)
                weight += scale * (unsigned)(*at - '0');
        return weight;
    }
    return 1000;
}

unsigned cairn_http_weight(struct cairn_bytes accept, const char *type)
{
    size_t size = strlen(type);

    while (accept.size) {
        const uint8_t *comma = memchr(accept.data, ',', accept.size);
        struct cairn_bytes one = {accept.data, comma ? (size_t)(comma - accept.data) : accept.size};

        accept.data += one.size + (comma != NULL);
        accept.size -= one.size + (comma != NULL);
        one = trimmed(one);
        if (cairn_http_type_is(one, type))
            return weight_of(cairn_bytes(one.data + size, one.size - size));
    }
    return 0;
}
