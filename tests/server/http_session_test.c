/* Would catch: routes that answer otherwise than the reference says, heads without what must be in them, replies out of
 * their order, refusals that do not end the connection, readiness told wrongly. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "server/talk.h"

/* What /readyz says of the stand-in's checks. */
#define CHECK(name, state, why) "{\"name\":\"" name "\",\"state\":\"" state "\",\"reason\":\"" why "\"}"
#define CHECKS(stopping, log)   "\"checks\":[" stopping "," log "," CHECK("archive", "warning", "far away") "]}\n"
#define NOT_READY(why)          "503 {\"ready\":false,\"status\":503,\"code\":\"unavailable\",\"detail\":\"" why "\","
#define FAILED(name, why)       CHECK(name, "failed", why)

#define H " HTTP/1.1\r\nHost: localhost:7070\r\n"

/* The body, and before it the status; what else is in the head is looked at elsewhere. */
static void expect_http(struct talk *talk, const char *label, const char *want)
{
    const char *got = talk_received(talk), *body = strstr(got, "\r\n\r\n");
    char text[2048];

    if (!body || strncmp(got, "HTTP/1.1 ", 9) != 0)
        fail_msg("%s: no response: %s", label, got);
    snprintf(text, sizeof text, "%.3s %s", got + 9, body + 4);
    if (strcmp(text, want) != 0)
        fail_msg("%s: got\n%s\nwant\n%s", label, text, want);
}

#define NO_CALL(what, more, which) \
    what " [\\\"TYPE\\\", \\\"ID\\\", \\\"METHOD\\\"" more "] while reading call " which " of the transaction"
#define PROBLEM(title, status, code, detail, effects, retry)                                   \
    "{\"type\":\"about:blank\",\"title\":\"" title "\",\"status\":" status ",\"code\":\"" code \
    "\",\"detail\":\"" detail "\",\"effects\":\"" effects "\",\"retry\":\"" retry "\"}\n"

static const struct {
    const char *request, *want;
} exchanges[] = {
    {"GET /" H "\r\n",
     "200 {\"cairn\":\"0.1.0\",\"pages\":[\"/v1/objects/TYPE\",\"/v1/objects/TYPE/ID\","
     "\"/v1/objects/TYPE/ID/METHOD\",\"/v1/types\",\"/v1/modules\",\"/v1/versions\","
     "\"/v1/logs\",\"/v1/traces\",\"/v1/traces/JOB\",\"/v1/promises/ID\","
     "\"/v1/transactions\",\"/v1/timers/TYPE/ID\",\"/v1/invocations\",\"/v1/invocations/ID\","
     "\"/v1/invocations/ID/journal\",\"/v1/messages\",\"/v1/keeper\",\"/v1/cache/KEY\",\"/v1/clock\",\"/v1/export\","
     "\"/v1/namespaces\",\"/v1/namespaces/NAME\",\"/v1/ns/NAME/...\",\"/healthz\",\"/readyz\","
     "\"/metrics\"]}\n"},
    {"GET /healthz" H "\r\n", "200 {\"healthy\":true}\n"},
    {"GET /readyz" H "\r\n", "200 {\"ready\":true," CHECKS(CHECK("stopping", "ok", ""), CHECK("log", "ok", ""))},
    {"GET /metrics" H "\r\n", "200 numbers\n"},
    {"POST /v1/objects/Box/b1/echo" H "Content-Length: 9\r\n\r\n[\"a\", 1 ]", "200 [\"a\",\"1\"]\n"},
    {"POST /v1/objects/Box/b1/echo" H "\r\n", "200 []\n"},
    {"POST /v1/objects/Box/b1/echo?arg=x" H "\r\n", "200 [\"x\"]\n"},
    {"POST /v1/objects/Box/b1/echo" H "Content-Type: text/plain\r\nContent-Length: 3\r\n\r\n[1]", "200 [\"[1]\"]\n"},
    {"POST /v1/objects/Box/b1/echo" H "Content-Type: application/octet-stream\r\nContent-Length: 2\r\n\r\n\xff\xfe",
     "200 [{\"base64\":\"//4=\"}]\n"},
    {"POST /v1/objects/Box/b1/echo" H
     "Content-Type: application/vnd.cairn.value\r\nContent-Length: 5\r\n\r\n\x03\x01\x02\x01y",
     "200 [\"y\"]\n"},
    {"POST /v1/objects/Box/b1/echo" H
     "Content-Type: application/vnd.cairn.value\r\nContent-Length: 5\r\n\r\n\x03\x02\x02\x01y",
     "400 " PROBLEM("Bad Request", "400", "bad_request", "the body is not an encoded list of byte strings", "none",
                    "no")},
    {"POST /v1/objects/Box/b1/echo" H "Content-Type: text/xml\r\nContent-Length: 1\r\n\r\nx",
     "415 " PROBLEM("Unsupported Media Type", "415", "bad_request",
                    "send arguments as a JSON array (application/json), or one raw argument (text/plain or "
                    "application/octet-stream)",
                    "none", "no")},
    {"POST /v1/objects/Box/b1/echo" H "Content-Length: 2\r\n\r\n[1",
     "400 " PROBLEM("Bad Request", "400", "bad_request",
                    "the body is not a JSON array of arguments: ']' is missing at byte 2", "none", "no")},
    {"POST /v1/transactions" H "Content-Length: 57\r\n\r\n[[\"Box\",\"b/1\",\"incr\"],"
     "[\"Box\",\"b/1\",\"echo\",1,\"x\",{\"a\":2}]]",
     "200 [1,[\"1\",\"x\",\"{\\\"a\\\":2}\"]]\n"},
    {"POST /v1/transactions" H "Idempotency-Key: k\r\nContent-Length: 22\r\n\r\n[[\"Box\",\"b/1\",\"incr\"]]",
     "200 [\"k\",2]\n"},
    {"POST /v1/transactions" H "Content-Length: 2\r\n\r\n[]",
     "400 " PROBLEM("Bad Request", "400", "bad_request",
                    "send the calls as a JSON array: [[\\\"TYPE\\\", \\\"ID\\\", \\\"METHOD\\\", ARGUMENT ...], ...]",
                    "none", "no")},
    {"POST /v1/transactions" H "Content-Length: 24\r\n\r\n[[\"Box\",\"b\",\"incr\"],[1]]",
     "400 " PROBLEM("Bad Request", "400", "bad_request", NO_CALL("it needs at least", "", "2"), "none", "no")},
    {"POST /v1/transactions" H "Content-Length: 3\r\n\r\n[7]",
     "400 " PROBLEM("Bad Request", "400", "bad_request", NO_CALL("it is no array:", ", ARGUMENT ...", "1"), "none",
                    "no")},
    {"POST /v1/transactions" H "Content-Type: text/plain\r\nContent-Length: 1\r\n\r\nx",
     "415 " PROBLEM("Unsupported Media Type", "415", "bad_request", "a transaction is sent as JSON (application/json)",
                    "none", "no")},
    {"POST /v1/objects/Box/b%2F1/set" H "Content-Length: 5\r\n\r\n[\"v\"]", "200 null\n"},
    {"GET /v1/objects/Box/b%2F1/get" H "\r\n", "200 \"v\"\n"},
    {"GET /v1/objects/Box/b%2F1/get" H "Accept: application/octet-stream\r\n\r\n", "200 v"},
    {"GET /v1/objects/Box/b%2F1/get" H "Accept: application/vnd.cairn.value\r\n\r\n", "200 \x02\x01v"},
    {"GET /v1/objects/Box/none/get" H "Accept: application/octet-stream\r\n\r\n", "200 null\n"},
    {"HEAD /v1/objects/Box/b%2F1/get" H "\r\n", "200 "},
    {"GET /v1/objects/Box/b1/echo?arg=a+b&arg=&arg=%C3%A9" H "\r\n", "200 [\"a b\",\"\",\"\xc3\xa9\"]\n"},
    {"GET /v1/objects/Box/b1/echo?arg=%zz" H "\r\n",
     "400 " PROBLEM("Bad Request", "400", "bad_request", "the query has a broken percent-encoding", "none", "no")},
    {"GET /v1/objects/Box/b1/echo?ark=1" H "\r\n",
     "400 " PROBLEM("Bad Request", "400", "bad_request",
                    "there is no parameter 'ark': arguments are given as arg=, and send makes it a message", "none",
                    "no")},
    {"GET /v1/objects/Box/b1/set" H "\r\n",
     "405 " PROBLEM("Method Not Allowed", "405", "not_read_only", "the method changes its object", "none", "no")},
    {"POST /v1/objects/Box/b1/list" H "\r\n",
     "200 [null,-7,\"text\",[{\"base64\":\"/wA=\"}],{\"error\":{\"code\":\"partial\",\"message\":\"2 of 3\"}}]\n"},
    {"POST /v1/objects/Box/b1/key" H "Idempotency-Key: \"k1\"\r\n\r\n", "200 \"k1\"\n"},
    {"POST /v1/objects/Box/b1/key" H "Idempotency-Key:\r\n\r\n",
     "400 " PROBLEM("Bad Request", "400", "bad_request", "an Idempotency-Key has 1 to 256 bytes", "none", "no")},
    /* The code tells the status; what has happened, and so what to do, the node tells. */
    {"POST /v1/objects/Box/b1/fail" H "Content-Length: 17\r\n\r\n[\"mine\",\"no\",\"0\"]",
     "422 " PROBLEM("Unprocessable Content", "422", "mine", "no", "none", "no")},
    {"POST /v1/objects/Box/b1/fail" H "Content-Length: 17\r\n\r\n[\"mine\",\"no\",\"1\"]",
     "422 " PROBLEM("Unprocessable Content", "422", "mine", "no", "some", "no")},
    {"POST /v1/objects/Box/b1/fail" H "Content-Length: 17\r\n\r\n[\"mine\",\"no\",\"2\"]",
     "422 " PROBLEM("Unprocessable Content", "422", "mine", "no", "unknown", "no")},
    {"POST /v1/objects/Box/b1/fail" H "Content-Length: 24\r\n\r\n[\"unavailable\",\"no\",\"0\"]",
     "503 " PROBLEM("Service Unavailable", "503", "unavailable", "no", "none", "yes")},
    {"POST /v1/objects/Box/b1/fail" H "Content-Length: 24\r\n\r\n[\"unavailable\",\"no\",\"1\"]",
     "503 " PROBLEM("Service Unavailable", "503", "unavailable", "no", "some", "no")},
    {"POST /v1/objects/Box/b1/fail" H "Content-Length: 24\r\n\r\n[\"unavailable\",\"no\",\"2\"]",
     "503 " PROBLEM("Service Unavailable", "503", "unavailable", "no", "unknown", "with a key")},
    {"POST /v1/objects/Box/b1/fail" H "Content-Length: 22\r\n\r\n[\"disk_full\",\"no\",\"0\"]",
     "507 " PROBLEM("Insufficient Storage", "507", "disk_full", "no", "none", "yes")},
    {"POST /v1/objects/Box/b1/fail" H "Content-Length: 22\r\n\r\n[\"disk_full\",\"no\",\"1\"]",
     "507 " PROBLEM("Insufficient Storage", "507", "disk_full", "no", "some", "no")},
    {"POST /v1/objects/Box/b1/fail" H "Content-Length: 22\r\n\r\n[\"disk_full\",\"no\",\"2\"]",
     "507 " PROBLEM("Insufficient Storage", "507", "disk_full", "no", "unknown", "with a key")},
    {"POST /v1/objects/Box/b1/fail" H "Content-Length: 23\r\n\r\n[\"overloaded\",\"no\",\"0\"]",
     "429 " PROBLEM("Too Many Requests", "429", "overloaded", "no", "none", "yes")},
    {"POST /v1/objects/Box/b1/fail" H "Content-Length: 23\r\n\r\n[\"overloaded\",\"no\",\"1\"]",
     "429 " PROBLEM("Too Many Requests", "429", "overloaded", "no", "some", "no")},
    {"POST /v1/objects/Box/b1/fail" H "Content-Length: 23\r\n\r\n[\"overloaded\",\"no\",\"2\"]",
     "429 " PROBLEM("Too Many Requests", "429", "overloaded", "no", "unknown", "with a key")},
    {"POST /v1/objects/Box/b1/fail" H
     "Accept: application/vnd.cairn.value\r\nContent-Length: 13\r\n\r\n[\"mine\",\"no\"]",
     "422 \x04\x04mine\x02no"},
    {"POST /v1/objects/Box/b1/bad" H "\r\n",
     "500 " PROBLEM("Internal Server Error", "500", "corrupt", "the result is not a valid value", "none", "no")},
    {"GET /v1/objects/Nothing/b1/get" H "\r\n",
     "404 " PROBLEM("Not Found", "404", "unknown_type", "there is no type 'Nothing'", "none", "no")},
    {"GET /v1/objects/Box" H "\r\n", "200 {\"ids\":[\"b/1\"],\"cursor\":null}\n"},
    {"GET /v1/objects/Box?prefix=c" H "\r\n", "200 {\"ids\":[],\"cursor\":null}\n"},
    {"GET /v1/objects/Box?limit=0" H "\r\n",
     "400 " PROBLEM("Bad Request", "400", "bad_request", "limit must be a number from 1 to 10000", "none", "no")},
    {"GET /v1/objects/Box?limit=x" H "\r\n",
     "400 " PROBLEM("Bad Request", "400", "bad_request", "limit must be a number from 1 to 10000", "none", "no")},
    {"GET /v1/objects/Box?cursor=!" H "\r\n",
     "400 " PROBLEM("Bad Request", "400", "bad_request",
                    "the parameter 'cursor' does not exist here or has a broken value", "none", "no")},
    {"GET /v1/objects/Box/b%2F1" H "\r\n",
     "200 {\"type\":\"Box\",\"id\":\"b/1\",\"fields\":[{\"name\":\"content\",\"kind\":\"value\",\"count\":1,"
     "\"content\":\"v\"},{\"name\":\"posts\",\"kind\":\"list\",\"count\":7,\"content\":[{\"value\":[\"alice\",42]}]},"
     "{\"name\":\"friends\",\"kind\":\"map\",\"count\":1,\"content\":[{\"key\":\"bob\",\"value\":{\"base64\":\"/gE=\"}}"
     "]}],\"cursor\":null}\n"},
    {"GET /v1/objects/Box/none" H "\r\n",
     "404 " PROBLEM("Not Found", "404", "not_found", "there is no such object", "none", "no")},
    {"DELETE /v1/objects/Box/b%2F1" H "\r\n", "200 {\"deleted\":true}\n"},
    {"DELETE /v1/objects/Box/b%2F1" H "\r\n", "200 {\"deleted\":false}\n"},
    {"PUT /v1/objects/Box/b1?version=3" H "\r\n",
     "400 " PROBLEM("Bad Request", "400", "bad_request", "there are no versions here", "none", "no")},
    {"PUT /v1/objects/Box/b1?version=3&at=1" H "\r\n",
     "400 " PROBLEM("Bad Request", "400", "bad_request",
                    "give either a version, which is a number, or the milliseconds since 1970 of a moment as 'at'",
                    "none", "no")},
    {"PUT /v1/objects/Box/b1?version=x" H "\r\n",
     "400 " PROBLEM("Bad Request", "400", "bad_request",
                    "give either a version, which is a number, or the milliseconds since 1970 of a moment as 'at'",
                    "none", "no")},
    {"PUT /v1/objects/Box/b1" H "\r\n",
     "400 " PROBLEM("Bad Request", "400", "bad_request", "give a version or a moment: ?version=N or ?at=MS", "none",
                    "no")},
    {"PUT /v1/modules/boxes" H "Content-Length: 4\r\n\r\n", NULL},
    {"PUT /v1/modules/boxes" H "Content-Length: 3\r\n\r\nabc",
     "422 " PROBLEM("Unprocessable Content", "422", "bad_module", "this is not a WebAssembly module", "none", "no")},
    {"GET /v1/modules" H "\r\n",
     "200 [{\"name\":\"boxes\",\"version\":3,"
     "\"hash\":\"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\",\"deployed_ms\":1700000000000,"
     "\"bytes\":4096,\"earlier\":[{\"version\":2,"
     "\"hash\":\"fedcba9876543210fedcba9876543210fedcba9876543210fedcba9876543210\","
     "\"deployed_ms\":1600000000000}]}]\n"},
    {"DELETE /v1/modules/boxes" H "\r\n", "200 {\"deleted\":true}\n"},
    {"DELETE /v1/modules/other" H "\r\n",
     "404 " PROBLEM("Not Found", "404", "not_found", "there is no such module", "none", "no")},
    {"GET /v1/types" H "\r\n",
     "200 [{\"type\":\"Box\",\"module\":\"boxes\",\"version\":3,\"fields\":[{\"name\":\"content\",\"kind\":\"value\"}],"
     "\"methods\":[{\"name\":\"get\",\"access\":\"public\",\"flags\":[\"read-only\",\"deterministic\"],"
     "\"limits\":[{\"name\":\"limit-cpu\",\"in_force\":10,\"by\":\"namespace\",\"declared\":20}]},"
     "{\"name\":\"set\",\"access\":\"public\",\"flags\":[],\"limits\":[]}],\"dropped\":false}]\n"},
    {"GET /v1/logs?limit=5" H "\r\n",
     "200 [{\"ms\":1700000000123,\"level\":\"warning\",\"type\":\"Box\",\"id\":\"b1\",\"method\":\"set\","
     "\"line\":\"a line\",\"job\":\"4bf92f3577b34da6a3ce929d0e0e4736\"}]\n"},
    {"PATCH /v1/modules" H "\r\n",
     "405 " PROBLEM("Method Not Allowed", "405", "bad_request", "this page takes only GET, HEAD, POST", "none", "no")},
    {"OPTIONS /v1/types" H "\r\n", "204 "},
    {"GET /v1/nosuch" H "\r\n", "404 " PROBLEM("Not Found", "404", "not_found",
                                               "there is no page '/v1/nosuch': GET / lists all pages", "none", "no")},
    {"GET /v1/object/Box" H "\r\n",
     "404 " PROBLEM("Not Found", "404", "not_found",
                    "there is no page '/v1/object/Box' (did you mean 'objects'?): GET / lists all pages", "none",
                    "no")},
    {"GET /v1/objects" H "\r\n", "404 " PROBLEM("Not Found", "404", "not_found",
                                                "there is no page '/v1/objects': GET / lists all pages", "none", "no")},
    {"GET /metrcs" H "\r\n",
     "404 " PROBLEM("Not Found", "404", "not_found",
                    "there is no page '/metrcs' (did you mean 'metrics'?): GET / lists all pages", "none", "no")},
    {"GET /v1/a/b/c/d/e/f/g/h/i" H "\r\n",
     "404 " PROBLEM("Not Found", "404", "not_found", "there is no page '/v1/a/b/c/d/e/f/g/h/i': GET / lists all pages",
                    "none", "no")},
    {"GET /v1/types" H "Origin: http://evil.example\r\n\r\n",
     "403 " PROBLEM("Forbidden", "403", "permission", "pages of other origins may not use this node", "none", "no")},
    {"GET /healthz" H "Origin: http://localhost:7070\r\n\r\n", "200 {\"healthy\":true}\n"},
    {"GET /v1/types HTTP/1.1\r\nHost: evil.example\r\n\r\n",
     "403 " PROBLEM("Forbidden", "403", "permission", "pages of other origins may not use this node", "none", "no")},
    {"GET /v1/types HTTP/1.1\r\nHost: localhost.evil.example:7070\r\n\r\n",
     "403 " PROBLEM("Forbidden", "403", "permission", "pages of other origins may not use this node", "none", "no")},
    {"GET /v1/types HTTP/1.1\r\nHost: 127.evil.example\r\n\r\n", /* begins like a loopback address */
     "403 " PROBLEM("Forbidden", "403", "permission", "pages of other origins may not use this node", "none", "no")},
    {"GET /v1/types HTTP/1.1\r\nHost: 127.0.0.1.evil:7070\r\n\r\n",
     "403 " PROBLEM("Forbidden", "403", "permission", "pages of other origins may not use this node", "none", "no")},
    {"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1:7070\r\n\r\n", "200 {\"healthy\":true}\n"},
    {"GET /healthz HTTP/1.1\r\nHost: [::1]:7070\r\n\r\n", "200 {\"healthy\":true}\n"},
    {"GET /v1/types" H "Authorization: Bearer x\r\n\r\n",
     "401 " PROBLEM("Unauthorized", "401", "auth", "this node has no credentials: send none", "none", "no")},
};

static void test_routes(void **state)
{
    struct talk *talk = talk_create(cairn_http_session_open, NULL);

    (void)state;
    for (size_t i = 0; i < sizeof exchanges / sizeof exchanges[0]; i++) {
        talk_input(talk, exchanges[i].request);
        if (!exchanges[i].want) { /* a body with a zero byte */
            cairn_session_input(talk->session, cairn_bytes("\0asm", 4));
            talk_settle(talk);
            expect_http(talk, "deploy",
                        "201 {\"name\":\"boxes\",\"version\":4,"
                        "\"hash\":\"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\","
                        "\"created\":true,\"previous\":3}\n");
            continue;
        }
        talk_settle(talk);
        expect_http(talk, exchanges[i].request, exchanges[i].want);
        assert_non_null(talk->session);
    }
    assert_string_equal(standin_last(talk->standin), "op=8 type= id= method= args=0 key= ro=0");
    talk_destroy(talk);
}

static void test_http_heads(void **state)
{
    struct talk *talk = talk_create(cairn_http_session_open, NULL);
    const char *got;

    (void)state;
    talk_input(talk, "GET /healthz" H "\r\n");
    talk_settle(talk);
    talk_expect(talk, "head",
                "HTTP/1.1 200 OK\r\nDate: Tue, 14 Nov 2023 22:13:21 GMT\r\nContent-Type: application/json\r\n"
                "Content-Length: 17\r\nCache-Control: no-store\r\n\r\n{\"healthy\":true}\n");
    talk_input(talk, "OPTIONS /v1/types" H "\r\n");
    talk_settle(talk);
    talk_expect(talk, "options", "HTTP/1.1 204 No Content\r\nAllow: GET, HEAD\r\n\r\n");
    talk_input(talk, "POST /v1/objects/Box/b1/echo" H "Expect: 100-continue\r\nContent-Length: 2\r\n\r\n");
    talk_settle(talk);
    talk_expect(talk, "expect", "HTTP/1.1 100 Continue\r\n\r\n");
    talk_input(talk, "[]");
    talk_settle(talk);
    expect_http(talk, "after it", "200 []\n");
    talk_input(talk, "GET /healthz HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    talk_settle(talk);
    got = talk_received(talk);
    assert_non_null(strstr(got, "Connection: keep-alive\r\n"));
    talk_input(talk, "GET /healthz" H "Connection: close\r\n\r\nGET /healthz" H "\r\n");
    talk_settle(talk);
    got = talk_received(talk);
    assert_non_null(strstr(got, "Connection: close\r\n"));
    assert_null(strstr(got + 20, "HTTP/1.1"));
    assert_null(talk->session);
    talk_destroy(talk);
}

static void test_http_pipeline_keeps_the_order(void **state)
{
    struct talk *talk = talk_create(cairn_http_session_open, NULL);
    const char *got, *first, *second, *third;

    (void)state;
    talk_input(talk, "GET /v1/objects/Box/b1/late?arg=3&arg=first" H "\r\nGET /healthz" H
                     "\r\nGET /v1/objects/Box/b1/late?arg=1&arg=third" H "\r\n");
    talk_settle(talk);
    got = talk_received(talk);
    first = strstr(got, "\"first\"");
    second = strstr(got, "healthy");
    third = strstr(got, "\"third\"");
    assert_true(first && second && third && first < second && second < third);
    talk_destroy(talk);
}

static void test_http_refusals_end(void **state)
{
    static const struct {
        const char *request, *status;
    } refused[] = {
        {"BREW /pot HTTP/1.1\r\n\r\n", "400"},
        {"POST /v1/objects/Box/b1/set" H "Content-Length: 9000000\r\n\r\n", "413"},
        {"PUT /v1/modules/x" H "Content-Length: 100000000\r\n\r\n", "413"},
        {"PUT /v1/modules/x" H "Expect: 100-continue\r\nContent-Length: 100000000\r\n\r\n", "413"},
        {"GET /healthz HTTP/1.1\r\n\r\n", "400"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        struct talk *talk = talk_create(cairn_http_session_open, NULL);
        const char *got;

        talk_input(talk, refused[i].request);
        talk_settle(talk);
        got = talk_received(talk);
        if (strncmp(got + 9, refused[i].status, 3) != 0 || !strstr(got, "Connection: close\r\n"))
            fail_msg("%s: got %s", refused[i].request, got);
        assert_null(talk->session);
        talk_destroy(talk);
    }
}

static void test_http_ready(void **state)
{
    struct talk *talk = talk_create(cairn_http_session_open, NULL);

    (void)state;
    standin_set_ready(talk->standin, false);
    talk_input(talk, "GET /readyz" H "\r\n");
    talk_settle(talk);
    expect_http(talk, "failed",
                NOT_READY("the log has failed")
                    CHECKS(CHECK("stopping", "ok", ""), FAILED("log", "the log has failed")));
    atomic_store(&talk->front.draining, true);
    talk_input(talk, "GET /readyz" H "\r\n");
    talk_settle(talk);
    expect_http(talk, "draining",
                NOT_READY("the node is stopping")
                    CHECKS(FAILED("stopping", "the node is stopping"), FAILED("log", "the log has failed")));
    talk_destroy(talk);
}

static void test_http_timeout(void **state)
{
    struct talk *talk = talk_create(cairn_http_session_open, NULL);

    (void)state;
    assert_int_equal(cairn_session_partial_bytes(talk->session), 0);
    talk_input(talk, "GET /healthz HTTP/1.1\r\n");
    assert_in_range(cairn_session_partial_bytes(talk->session), 1, 100);
    cairn_session_timed_out(talk->session);
    talk_settle(talk);
    expect_http(talk, "timeout",
                "408 " PROBLEM("Request Timeout", "408", "bad_request", "the rest of the request did not come in time",
                               "none", "no"));
    assert_null(talk->session);
    talk_destroy(talk);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_routes),
        cmocka_unit_test(test_http_heads),
        cmocka_unit_test(test_http_pipeline_keeps_the_order),
        cmocka_unit_test(test_http_refusals_end),
        cmocka_unit_test(test_http_ready),
        cmocka_unit_test(test_http_timeout),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
