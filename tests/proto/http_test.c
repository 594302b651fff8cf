/* Would catch: a request that reads differently when its bytes arrive in other portions, requests that smuggle another
 * one, limits that are not kept, paths and queries decoded wrongly, and responses that a client cannot read. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "proto/http.h"

static const struct cairn_http_limits limits = {
    .target_bytes_max = 64,
    .header_bytes_max = 300,
    .headers_max = 8,
};

enum { BODY_MAX = 20 };

struct seen {
    struct cairn_buf heads; /* "<content length> " per head, "chunked " if it is not known */
};

static uint64_t on_head(void *context, const struct cairn_http_request *head, uint64_t content_bytes)
{
    struct seen *seen = context;

    assert_non_null(head->path.data);
    if (content_bytes == UINT64_MAX)
        cairn_buf_str(&seen->heads, "chunked ");
    else
        cairn_buf_printf(&seen->heads, "%llu ", (unsigned long long)content_bytes);
    return BODY_MAX;
}

static void tell(struct cairn_buf *told, const struct cairn_http_request *request)
{
    static const char *const methods[] = {"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "OTHER"};

    cairn_buf_printf(told, "[%s %u", methods[request->method], request->segment_count);
    for (uint32_t i = 0; i < request->segment_count && i < CAIRN_HTTP_SEGMENTS_MAX; i++)
        cairn_buf_printf(told, "/%.*s", (int)request->segments[i].size, (const char *)request->segments[i].data);
    if (request->query.size)
        cairn_buf_printf(told, "?%.*s", (int)request->query.size, (const char *)request->query.data);
    for (int i = CAIRN_HTTP_CONTENT_TYPE; i < CAIRN_HTTP_TRANSFER_ENCODING; i++)
        if (request->headers[i].data)
            cairn_buf_printf(told, " %d=%.*s", i, (int)request->headers[i].size,
                             (const char *)request->headers[i].data);
    if (request->body.size)
        cairn_buf_printf(told, " {%.*s}", (int)request->body.size, (const char *)request->body.data);
    cairn_buf_str(told, request->keep_alive ? "]" : " close]");
}

static char *parse_all(struct cairn_bytes input, const size_t *cuts, size_t cut_count, char **ret_heads)
{
    struct seen seen = {0};
    struct cairn_http_parser *parser = cairn_http_parser_create(&limits, on_head, &seen);
    struct cairn_buf told = {0};
    size_t at = 0;
    bool bad = false;

    for (size_t i = 0; i <= cut_count && !bad; i++) {
        size_t end = i < cut_count ? cuts[i] : input.size;

        while (at < end && !bad) {
            struct cairn_buf part = {0};
            size_t used = 0;

            cairn_buf_add(&part, input.data + at, end - at);
            switch (cairn_http_parse(parser, cairn_buf_bytes(&part), &used)) {
            case CAIRN_HTTP_MORE:
                assert_int_equal(used, end - at);
                break;
            case CAIRN_HTTP_REQUEST:
                tell(&told, cairn_http_parser_request(parser));
                break;
            case CAIRN_HTTP_BAD:
                cairn_buf_printf(&told, "!%u", cairn_http_parser_refusal(parser)->status);
                assert_true(cairn_http_parser_refusal(parser)->text[0]);
                bad = true;
                break;
            }
            at += used;
            cairn_buf_done(&part);
        }
    }
    if (!bad && cairn_http_parser_partial(parser))
        cairn_buf_str(&told, "...");
    cairn_buf_u8(&told, 0);
    cairn_buf_u8(&seen.heads, 0);
    *ret_heads = (char *)seen.heads.data;
    cairn_http_parser_destroy(parser);
    return (char *)told.data;
}

#define DIGITS  "0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789"
#define CHUNKED "POST /a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
#define GET     "GET /a HTTP/1.1\r\nHost: h\r\n\r\n"

static const struct {
    const char *label, *input, *want;
} requests[] = {
    {"get", GET, "[GET 1/a]"},
    {"two", GET "POST /b HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nhi" GET, "[GET 1/a][POST 1/b {hi}][GET 1/a]"},
    {"the root", "GET / HTTP/1.1\r\nHost: h\r\n\r\n", "[GET 0]"},
    {"segments", "GET /v1/objects/User/bob/post HTTP/1.1\r\nHost: h\r\n\r\n", "[GET 5/v1/objects/User/bob/post]"},
    {"slash at the end", "GET /v1/types/ HTTP/1.1\r\nHost: h\r\n\r\n", "[GET 2/v1/types]"},
    {"empty segment", "GET /v1//x HTTP/1.1\r\nHost: h\r\n\r\n", "[GET 3/v1//x]"},
    {"percent", "GET /a%2Fb%20c/%41 HTTP/1.1\r\nHost: h\r\n\r\n", "[GET 2/a/b c/A]"},
    {"plus in a path is a plus", "GET /a+b HTTP/1.1\r\nHost: h\r\n\r\n", "[GET 1/a+b]"},
    {"broken percent", "GET /a%2 HTTP/1.1\r\nHost: h\r\n\r\n", "!400"},
    {"broken percent digits", "GET /a%zz HTTP/1.1\r\nHost: h\r\n\r\n", "!400"},
    {"query", "GET /a?b=c&d=%20 HTTP/1.1\r\nHost: h\r\n\r\n", "[GET 1/a?b=c&d=%20]"},
    {"absolute form", "GET http://h:1/a?x HTTP/1.1\r\nHost: h\r\n\r\n", "[GET 1/a?x]"},
    {"absolute form without path", "GET http://h HTTP/1.1\r\nHost: h\r\n\r\n", "[GET 0]"},
    {"absolute form, a path in the query", "GET http://h?x=/v1/y HTTP/1.1\r\nHost: h\r\n\r\n", "[GET 0?x=/v1/y]"},
    {"absolute form in capitals", "GET HTTP://h/a HTTP/1.1\r\nHost: h\r\n\r\n", "[GET 1/a]"},
    {"absolute form of another scheme", "GET https://h/a HTTP/1.1\r\nHost: h\r\n\r\n", "!400"},
    {"absolute form without host", "GET http:///a HTTP/1.1\r\nHost: h\r\n\r\n", "!400"},
    {"absolute form without host and path", "GET http://?a HTTP/1.1\r\nHost: h\r\n\r\n", "!400"},
    {"absolute form with a user", "GET http://u@h/a HTTP/1.1\r\nHost: h\r\n\r\n", "!400"},
    {"absolute form and no Host", "GET http://h/a HTTP/1.1\r\n\r\n", "!400"},
    {"a fragment", "GET /a#b HTTP/1.1\r\nHost: h\r\n\r\n", "!400"},
    {"a star", "GET * HTTP/1.1\r\nHost: h\r\n\r\n", "!400"},
    {"a host that is none", "GET /a HTTP/1.1\r\nHost: a/b\r\n\r\n", "!400"},
    {"hosts in a list", "GET /a HTTP/1.1\r\nHost: a, b\r\n\r\n", "!400"},
    {"host with a blank", "GET /a HTTP/1.1\r\nHost: a b\r\n\r\n", "!400"},
    {"an empty host", "GET /a HTTP/1.1\r\nHost:\r\n\r\n", "[GET 1/a]"},
    {"an address as host", "GET /a HTTP/1.1\r\nHost: [::1]:7070\r\n\r\n", "[GET 1/a]"},
    {"a folded header", "GET /a HTTP/1.1\r\nHost: h\r\nAccept: a\r\n b\r\n\r\n", "[GET 1/a 2=a b]"},
    {"a folded first line", "GET /a HTTP/1.1\r\n Host: h\r\n\r\n", "!400"},
    {"CR within a header", "GET /a HTTP/1.1\r\nHost: h\rAccept: b\r\n\r\n", "!400"},
    {"another expectation", "POST /a HTTP/1.1\r\nHost: h\r\nExpect: more\r\nContent-Length: 1\r\n\r\n", "!417"},
    {"line ends without CR", "GET /a HTTP/1.1\nHost: h\n\n", "!400"},
    {"an expectation of HTTP/1.0", "POST /a HTTP/1.0\r\nExpect: more\r\nContent-Length: 1\r\n\r\nx",
     "[POST 1/a 6=more {x} close]"},
    {"nine segments", "GET /1/2/3/4/5/6/7/8/9 HTTP/1.1\r\nHost: h\r\n\r\n", "[GET 9/1/2/3/4/5/6/7/8]"},
    {"target at the limit",
     "GET /aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa HTTP/1.1\r\nHost: h\r\n\r\n",
     "[GET 1/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa]"},
    {"target beyond it",
     "GET /aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa HTTP/1.1\r\nHost: h\r\n\r\n", "!414"},
    {"kept headers",
     "PUT /a HTTP/1.1\r\nhost:h\r\nCONTENT-type:  text/plain \r\nIdempotency-Key: k\r\nX-Y: z\r\nExpect: "
     "100-continue\r\n\r\n",
     "[PUT 1/a 1=text/plain 3=k 6=100-continue]"},
    {"a list in two lines", "GET /a HTTP/1.1\r\nHost: h\r\nAccept: a/b\r\nX: y\r\nAccept: c/d\r\n\r\n",
     "[GET 1/a 2=a/b,c/d]"},
    {"an empty header", "GET /a HTTP/1.1\r\nHost: h\r\nAccept:\r\n\r\n", "[GET 1/a 2=]"},
    {"a key twice", "GET /a HTTP/1.1\r\nHost: h\r\nIdempotency-Key: a\r\nIdempotency-Key: b\r\n\r\n", "!400"},
    {"host twice", "GET /a HTTP/1.1\r\nHost: h\r\nHost: i\r\n\r\n", "!400"},
    {"no host", "GET /a HTTP/1.1\r\n\r\n", "!400"},
    {"HTTP/1.0", "GET /a HTTP/1.0\r\n\r\n", "[GET 1/a close]"},
    {"HTTP/1.0, kept", "GET /a HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", "[GET 1/a]"},
    {"close", "GET /a HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n", "[GET 1/a close]"},
    {"HTTP/2 without asking", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "!505"},
    {"HTTP/3.0", "GET /a HTTP/3.0\r\nHost: h\r\n\r\n", "!505"},
    {"an offer to upgrade", "GET /a HTTP/1.1\r\nHost: h\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n" GET,
     "[GET 1/a][GET 1/a]"},
    {"connect", "CONNECT h:1 HTTP/1.1\r\nHost: h\r\n\r\n", "!400"},
    {"an odd method", "PATCH /a HTTP/1.1\r\nHost: h\r\n\r\n", "[OTHER 1/a]"},
    {"no method", "HELLO /a HTTP/1.1\r\nHost: h\r\n\r\n", "!400"},
    {"RESP", "*1\r\n$4\r\nPING\r\n", "!400"},
    {"body", "POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 20\r\n\r\n01234567890123456789",
     "[POST 1/a {01234567890123456789}]"},
    {"body too large", "POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 21\r\n\r\n", "!413"},
    {"body far too large", "POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 99999999999999999999999\r\n\r\n", "!400"},
    {"negative length", "POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: -1\r\n\r\n", "!400"},
    {"chunks", CHUNKED "3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n" GET, "[POST 1/a {abcde}][GET 1/a]"},
    {"chunks with a trailer", CHUNKED "1\r\na\r\n0\r\nIdempotency-Key: k\r\n\r\n" GET, "[POST 1/a {a}][GET 1/a]"},
    {"chunks too large", CHUNKED "14\r\n01234567890123456789\r\n1\r\nx\r\n", "!413"},
    {"broken chunk", CHUNKED "z\r\n", "!400"},
    {"smuggling: both lengths",
     "POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "!400"},
    {"smuggling: both lengths, turned around",
     "POST /a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n", "!400"},
    {"smuggling: two lengths", "POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
     "!400"},
    {"smuggling: chunked not last", "POST /a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n",
     "!400"},
    {"chunks: an extension without value", CHUNKED "2;x\r\nde\r\n0\r\n\r\n" GET, "[POST 1/a {de}][GET 1/a]"},
    {"chunks: a quoted extension", CHUNKED "2;x=\"y z\"\r\nde\r\n0\r\n\r\n" GET, "[POST 1/a {de}][GET 1/a]"},
    {"chunks: a quoted semicolon", CHUNKED "2;x=\"y;z\"\r\nde\r\n0\r\n\r\n" GET, "[POST 1/a {de}][GET 1/a]"},
    {"chunks: blanks around", CHUNKED "2 \t; x = y \r\nde\r\n0\r\n\r\n" GET, "[POST 1/a {de}][GET 1/a]"},
    {"chunks: two extensions", CHUNKED "2;x=y;z\r\nde\r\n0\r\n\r\n" GET, "[POST 1/a {de}][GET 1/a]"},
    {"chunks: an empty extension", CHUNKED "2;\r\nde\r\n0\r\n\r\n" GET, "[POST 1/a {de}][GET 1/a]"},
    {"chunks: a blank behind the size", CHUNKED "2 \r\nde\r\n0\r\n\r\n" GET, "!400"},
    {"chunks: two sizes", CHUNKED "2 3;x\r\nde\r\n0\r\n\r\n" GET, "!400"},
    {"chunks: no size", CHUNKED ";x\r\nde\r\n0\r\n\r\n" GET, "!400"},
    {"chunks: a blank before the size", CHUNKED " 2\r\nde\r\n0\r\n\r\n" GET, "!400"},
    {"chunks: an extension with a bell", CHUNKED "2;\a\r\nde\r\n0\r\n\r\n" GET, "!400"},
    {"chunks: an extension of the last", CHUNKED "2\r\nde\r\n0;a=b\r\nX: y\r\n\r\n" GET, "[POST 1/a {de}][GET 1/a]"},
    {"chunks: a line end without CR", CHUNKED "2;x=y\nde\r\n0\r\n\r\n", "!400"},
    {"chunks: a size beyond all", CHUNKED "fffffffffffffffff\r\n", "!400"},
    {"chunks: endless extensions", CHUNKED "1;" DIGITS DIGITS DIGITS "", "!431"},
    {"coding: gzip", "POST /a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", "!501"},
    {"coding: in two lines",
     "POST /a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "!501"},
    {"coding: gzip alone", "POST /a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: gzip\r\n\r\n0\r\n\r\n", "!400"},
    {"coding: nothing", "POST /a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: \r\n\r\n0\r\n\r\n", "!400"},
    {"coding: identity", "POST /a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n", "!400"},
    {"coding: chunked twice", "POST /a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
     "!400"},
    {"coding: in capitals", "POST /a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: CHUNKED\r\n\r\n0\r\n\r\n", "[POST 1/a]"},
    {"coding: HTTP/1.0", "POST /a HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "!400"},
    {"length: the same twice", "POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nab",
     "!400"},
    {"length: a list", "POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 2, 2\r\n\r\nab", "!400"},
    {"length: a sign", "POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: +2\r\n\r\nab", "!400"},
    {"length: a blank", "POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 1 2\r\n\r\nab", "!400"},
    {"length: none", "POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: \r\n\r\nab", "!400"},
    {"length: hexadecimal", "POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 0x2\r\n\r\nab", "!400"},
    {"a trailer that looks like framing", CHUNKED "2\r\nde\r\n0\r\nContent-Length: 5\r\nHost: i\r\n\r\n" GET,
     "[POST 1/a {de}][GET 1/a]"},
    {"blank before the colon", "GET /a HTTP/1.1\r\nHost : h\r\n\r\n", "!400"},
    {"too many headers", "GET /a HTTP/1.1\r\nHost: h\r\nA:1\r\nB:1\r\nC:1\r\nD:1\r\nE:1\r\nF:1\r\nG:1\r\nH:1\r\n\r\n",
     "!431"},
    {"headers too long",
     "GET /a HTTP/1.1\r\nHost: h\r\nA: 0123456789012345678901234567890123456789012345678901234567890123456789\r\n"
     "B: 0123456789012345678901234567890123456789012345678901234567890123456789\r\n"
     "C: 0123456789012345678901234567890123456789012345678901234567890123456789\r\n"
     "D: 0123456789012345678901234567890123456789012345678901234567890123456789\r\n"
     "E: 0123456789012345678901234567890123456789012345678901234567890123456789\r\n\r\n",
     "!431"},
    {"half a head", "GET /a HTTP/1.1\r\nHost: h\r\n", "..."},
    {"half a body", "POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nab", "..."},
    {"no path", "GET a HTTP/1.1\r\nHost: h\r\n\r\n", "!400"},
    {"the server as a whole", "OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n", "[OPTIONS 0]"},
};

static void test_requests_split_anywhere(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof requests / sizeof requests[0]; i++) {
        struct cairn_bytes input = cairn_str(requests[i].input);
        char *heads, *got = parse_all(input, NULL, 0, &heads);
        size_t every[1024];

        if (strcmp(got, requests[i].want) != 0)
            fail_msg("%s: got %s, want %s", requests[i].label, got, requests[i].want);
        free(got);
        free(heads);
        for (size_t cut = 0; cut <= input.size; cut++) {
            got = parse_all(input, &cut, 1, &heads);
            if (strcmp(got, requests[i].want) != 0)
                fail_msg("%s, cut at %zu: got %s, want %s", requests[i].label, cut, got, requests[i].want);
            free(got);
            free(heads);
        }
        assert_true(input.size < sizeof every / sizeof every[0]);
        for (size_t cut = 0; cut < input.size; cut++)
            every[cut] = cut + 1;
        got = parse_all(input, every, input.size, &heads);
        if (strcmp(got, requests[i].want) != 0)
            fail_msg("%s, byte by byte: got %s, want %s", requests[i].label, got, requests[i].want);
        free(got);
        free(heads);
    }
}

static void test_heads_tell_the_length(void **state)
{
    char *heads, *got = parse_all(cairn_str(GET "POST /b HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nhi" CHUNKED ""
                                                "0\r\n\r\n"),
                                  NULL, 0, &heads);

    (void)state;
    assert_string_equal(heads, "0 2 chunked ");
    free(got);
    free(heads);
}

/* The views outlive the parser's next request when the buffer has been taken. */
static void test_swap(void **state)
{
    struct seen seen = {0};
    struct cairn_http_parser *parser = cairn_http_parser_create(&limits, on_head, &seen);
    struct cairn_buf taken = {0};
    struct cairn_http_request first;
    struct cairn_bytes input =
        cairn_str("POST /one HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nhiPOST /two HTTP/1.1\r\nHost: h\r\n\r\n");
    size_t used, more;

    (void)state;
    assert_int_equal(cairn_http_parse(parser, input, &used), CAIRN_HTTP_REQUEST);
    first = *cairn_http_parser_request(parser);
    cairn_http_parser_swap(parser, &taken);
    input.data += used;
    input.size -= used;
    assert_int_equal(cairn_http_parse(parser, input, &more), CAIRN_HTTP_REQUEST);
    assert_int_equal(more, input.size);
    assert_true(cairn_bytes_equal(first.segments[0], cairn_str("one")));
    assert_true(cairn_bytes_equal(first.body, cairn_str("hi")));
    assert_true(cairn_bytes_equal(cairn_http_parser_request(parser)->segments[0], cairn_str("two")));
    cairn_http_parser_destroy(parser);
    cairn_buf_done(&taken);
    cairn_buf_done(&seen.heads);
}

/* Of application/octet-stream, in thousandths. */
static const struct {
    const char *accept;
    unsigned want;
} weights[] = {
    {"application/octet-stream", 1000},
    {"text/html, application/octet-stream;q=0.5", 500},
    {"text/html;q=0.1,Application/Octet-Stream ; a=b ; Q=0.25 , x/y", 250},
    {"application/octet-stream;q=0", 0},
    {"application/octet-stream; q=0.000", 0},
    {"application/octet-stream;q=0.", 0},
    {"application/octet-stream;q=0.001", 1},
    {"application/octet-stream;q=1.000", 1000},
    {"application/octet-stream;q=", 1000}, /* broken: as if it were not there */
    {"*/*", 0},
    {"", 0},
};

static void test_queries(void **state)
{
    struct cairn_bytes query = cairn_str("a=1&&b&=x&c=d=e&"), name, value;
    struct cairn_buf told = {0};

    (void)state;
    while (cairn_http_query_next(&query, &name, &value))
        cairn_buf_printf(&told, "(%.*s:%.*s)", (int)name.size, (const char *)name.data, (int)value.size,
                         (const char *)value.data);
    cairn_buf_u8(&told, 0);
    assert_string_equal((char *)told.data, "(a:1)(b:)(:x)(c:d=e)");
    told.size = 0;
    assert_true(cairn_http_decode(&told, cairn_str("a+b%2Bc%00"), true));
    assert_true(cairn_bytes_equal(cairn_buf_bytes(&told), cairn_bytes("a b+c\0", 6)));
    assert_false(cairn_http_decode(&told, cairn_str("%"), true));
    assert_false(cairn_http_decode(&told, cairn_str("%4"), true));
    assert_int_equal(told.size, 6);
    told.size = 0;
    cairn_http_encode(&told, cairn_bytes("a/b c~\xff\0", 8));
    cairn_buf_u8(&told, 0);
    assert_string_equal((char *)told.data, "a%2Fb%20c~%FF%00");
    cairn_buf_done(&told);
}

static void test_media_types(void **state)
{
    (void)state;
    assert_true(cairn_http_type_is(cairn_str("application/json"), "application/json"));
    assert_true(cairn_http_type_is(cairn_str("Application/JSON; charset=utf-8"), "application/json"));
    assert_false(cairn_http_type_is(cairn_str("application/jsonp"), "application/json"));
    assert_false(cairn_http_type_is(cairn_str("application/js"), "application/json"));
    for (size_t i = 0; i < sizeof weights / sizeof weights[0]; i++) {
        unsigned got = cairn_http_weight(cairn_str(weights[i].accept), "application/octet-stream");

        if (got != weights[i].want)
            fail_msg("'%s': %u", weights[i].accept, got);
    }
    assert_int_equal(cairn_http_weight(cairn_bytes(NULL, 0), "application/octet-stream"), 0);
}

/* What is written can be read, whatever the portions. */
static void test_responses(void **state)
{
    struct cairn_http_response response = {.status = 201, .type = "text/plain", .date = "now", .keep_alive = true};
    struct cairn_buf text = {0};

    (void)state;
    cairn_buf_str(&text, "HTTP/1.1 100 Continue\r\n\r\n");
    cairn_http_write(&text, &response, cairn_str("hello"));
    for (size_t cut = 0; cut <= text.size; cut++) {
        struct cairn_http_reader *reader = cairn_http_reader_create(5, false);
        const struct cairn_http_reply *reply = cairn_http_reader_reply(reader);
        struct cairn_err err;

        if (cut)
            assert_int_equal(cairn_http_reader_take(reader, cairn_bytes(text.data, cut), &err), CAIRN_OK);
        assert_int_equal(reply->complete, cut == text.size);
        if (cut < text.size)
            assert_int_equal(cairn_http_reader_take(reader, cairn_bytes(text.data + cut, text.size - cut), &err),
                             CAIRN_OK);
        assert_true(reply->complete);
        assert_int_equal(reply->status, 201);
        assert_true(cairn_bytes_equal(cairn_buf_bytes(&reply->body), cairn_str("hello")));
        assert_true(cairn_bytes_equal(cairn_buf_bytes(&reply->type), cairn_str("text/plain")));
        cairn_http_reader_destroy(reader);
    }
    for (size_t cut = 1; cut < text.size; cut++) { /* the connection ends before its time */
        struct cairn_http_reader *reader = cairn_http_reader_create(5, false);
        struct cairn_err err;

        assert_int_equal(cairn_http_reader_take(reader, cairn_bytes(text.data, cut), &err), CAIRN_OK);
        assert_int_not_equal(cairn_http_reader_take(reader, cairn_bytes(NULL, 0), &err), CAIRN_OK);
        cairn_http_reader_destroy(reader);
    }
    {
        struct cairn_http_reader *reader = cairn_http_reader_create(4, false);
        struct cairn_err err;

        assert_int_equal(cairn_http_reader_take(reader, cairn_buf_bytes(&text), &err), CAIRN_ELIMIT);
        cairn_http_reader_destroy(reader);
        reader = cairn_http_reader_create(4, false);
        assert_int_equal(cairn_http_reader_take(reader, cairn_str("*1\r\n"), &err), CAIRN_EINVAL);
        cairn_http_reader_destroy(reader);
    }
    text.size = 0;
    response = (struct cairn_http_response){.status = 204, .extra = "Allow: GET\r\n"};
    cairn_http_write(&text, &response, cairn_bytes(NULL, 0));
    response = (struct cairn_http_response){.status = 200, .head = true, .keep_alive = true, .http_1_0 = true};
    cairn_http_write(&text, &response, cairn_str("hello"));
    cairn_buf_u8(&text, 0);
    assert_string_equal((char *)text.data, "HTTP/1.1 204 No Content\r\nAllow: GET\r\nConnection: close\r\n\r\n"
                                           "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: keep-alive\r\n\r\n");
    cairn_buf_done(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_requests_split_anywhere),
        cmocka_unit_test(test_heads_tell_the_length),
        cmocka_unit_test(test_swap),
        cmocka_unit_test(test_queries),
        cmocka_unit_test(test_media_types),
        cmocka_unit_test(test_responses),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
