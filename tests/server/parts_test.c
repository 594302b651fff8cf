/* Would catch: a reply in parts that is not the whole, in order, in the form that the client's version of HTTP
 * knows; one that is made although nobody takes it, or that keeps more than some parts; replies behind it that
 * overtake it; an error in the midst of it that looks like its end; memory that is kept or used after the client has
 * gone; HEAD that makes what it does not send. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "server/talk.h"

#define GET(version) "GET /v1/types HTTP/" version "\r\nHost: localhost:7070\r\n\r\n"

static const uint64_t NONE = UINT64_MAX;

static struct talk *create(struct cairn_session *(*open)(struct cairn_front *front, void *owner), uint64_t parts,
                           size_t bytes, uint64_t bad)
{
    struct talk *talk = talk_create(open, NULL);

    standin_set_parts(talk->standin, parts, bytes, bad);
    return talk;
}

/* The chunks of a body become the body; where they end. */
static const char *join_chunks(const char *from, struct cairn_buf *to)
{
    for (;;) {
        char *end;
        unsigned long size = strtoul(from, &end, 16);

        assert_memory_equal(end, "\r\n", 2);
        cairn_buf_add(to, end + 2, size);
        from = end + 2 + size;
        assert_memory_equal(from, "\r\n", 2);
        from += 2;
        if (size == 0)
            return from;
    }
}

/* The array has the parts' types in their order. */
static void expect_types(const char *body, uint64_t parts)
{
    char want[64];

    assert_int_equal(body[0], '[');
    for (uint64_t i = 0; i < parts; i++) {
        snprintf(want, sizeof want, "%s{\"type\":\"T%d\",\"module\":\"m%d\"", i ? "," : "", (int)i, (int)(i / 2));
        assert_memory_equal(body + 1, want, strlen(want));
        body = strstr(body + 1, "\"dropped\":false}");
        assert_non_null(body);
        body += 15;
    }
    assert_string_equal(body + 1, "]\n");
}

static void test_one_part_has_a_length(void **state)
{
    struct talk *talk = create(cairn_http_session_open, 1, 10, NONE);
    const char *got;

    (void)state;
    talk_input(talk, GET("1.1"));
    talk_settle(talk);
    got = talk_received(talk);
    assert_non_null(strstr(got, "Content-Length: "));
    expect_types(strstr(got, "\r\n\r\n") + 4, 1);
    talk_destroy(talk);
}

static void test_chunks(void **state)
{
    struct talk *talk = create(cairn_http_session_open, 9, 1000, NONE);
    struct cairn_buf body = {0};
    const char *got, *rest;

    (void)state;
    talk_input(talk, GET("1.1") "GET /healthz HTTP/1.1\r\nHost: localhost:7070\r\n\r\n");
    talk_settle(talk);
    got = talk_received(talk);
    assert_non_null(strstr(got, "Transfer-Encoding: chunked\r\n"));
    rest = join_chunks(strstr(got, "\r\n\r\n") + 4, &body);
    cairn_buf_u8(&body, 0);
    expect_types((const char *)body.data, 9);
    assert_memory_equal(rest, "HTTP/1.1 200", 12); /* the next reply, which was there before this one's parts */
    assert_non_null(strstr(rest, "{\"healthy\":true}"));
    assert_non_null(talk->session);
    cairn_buf_done(&body);
    talk_destroy(talk);
}

static void test_behind_a_late_reply(void **state)
{
    struct talk *talk = create(cairn_http_session_open, 3, 1000, NONE);
    struct cairn_buf body = {0};
    const char *got;

    (void)state;
    talk_input(
        talk,
        "POST /v1/objects/Box/b/late HTTP/1.1\r\nHost: localhost:7070\r\nContent-Length: 9\r\n\r\n[\"3\",\"x\"]" GET(
            "1.1"));
    talk_settle(talk);
    got = talk_received(talk);
    assert_int_equal(standin_parts_asked(talk->standin), 3);
    got = strstr(got, "Transfer-Encoding");
    join_chunks(strstr(got, "\r\n\r\n") + 4, &body);
    cairn_buf_u8(&body, 0);
    expect_types((const char *)body.data, 3);
    cairn_buf_done(&body);
    talk_destroy(talk);
}

static void test_http_1_0_ends_with_the_connection(void **state)
{
    struct talk *talk = create(cairn_http_session_open, 4, 1000, NONE);
    const char *got;

    (void)state;
    talk_input(talk, "GET /v1/types HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    talk_settle(talk);
    got = talk_received(talk);
    assert_null(strstr(got, "chunked"));
    assert_null(strstr(got, "Content-Length"));
    assert_non_null(strstr(got, "Connection: close\r\n"));
    expect_types(strstr(got, "\r\n\r\n") + 4, 4);
    assert_null(talk->session);
    talk_destroy(talk);
}

static void test_a_client_that_takes_nothing(void **state)
{
    enum { PARTS = 100, BYTES = 50000 };
    struct talk *talk = create(cairn_http_session_open, PARTS, BYTES, NONE);
    uint64_t asked;

    (void)state;
    talk->sends = false;
    talk_input(talk, GET("1.1"));
    talk_settle(talk);
    asked = standin_parts_asked(talk->standin);
    assert_true(asked >= 1 && asked <= 3);
    assert_true(cairn_session_waiting_bytes(talk->session) < (size_t)6 * BYTES);
    talk_settle(talk);
    assert_int_equal(standin_parts_asked(talk->standin), asked);
    talk->sends = true; /* it takes what there is, and the rest follows */
    cairn_session_sent(talk->session, cairn_session_output(talk->session).size);
    talk_settle(talk);
    assert_int_equal(standin_parts_asked(talk->standin), PARTS);
    assert_true(cairn_session_idle(talk->session));
    talk_destroy(talk);
}

static void test_gone_in_the_midst(void **state)
{
    struct talk *talk = create(cairn_http_session_open, 100, 50000, NONE);

    (void)state;
    talk->sends = false;
    talk_input(talk, GET("1.1") GET("1.1"));
    talk_settle(talk);
    talk_hang_up(talk);
    talk_settle(talk);
    assert_int_equal(standin_admitted(talk->standin), 0);
    assert_true(cairn_list_empty(&talk->front.sessions));
    talk_destroy(talk);
}

static void test_an_error(void **state)
{
    struct talk *talk = create(cairn_http_session_open, 4, 1000, 0);
    const char *got;

    (void)state;
    talk_input(talk, GET("1.1"));
    talk_settle(talk);
    assert_memory_equal(talk_received(talk), "HTTP/1.1 503", 12); /* nothing has begun */
    standin_set_parts(talk->standin, 4, 1000, 2);
    talk_input(talk, GET("1.1"));
    talk_settle(talk);
    got = talk_received(talk);
    assert_memory_equal(got, "HTTP/1.1 200", 12);
    assert_null(strstr(got, "\r\n0\r\n")); /* no end that a client could take for one */
    assert_null(strstr(got, "not now"));
    assert_null(talk->session);
    talk_destroy(talk);
}

static void test_heads(void **state)
{
    static const char *const pages[] = {"/v1/types", "/v1/modules", "/v1/logs", "/metrics", "/v1/objects/Box"};
    struct talk *talk = create(cairn_http_session_open, 4, 1000, NONE);
    char request[128];

    (void)state;
    for (size_t i = 0; i < sizeof pages / sizeof pages[0]; i++) {
        const char *got;

        snprintf(request, sizeof request, "HEAD %s HTTP/1.1\r\nHost: localhost:7070\r\n\r\n", pages[i]);
        talk_input(talk, request);
        talk_settle(talk);
        got = talk_received(talk);
        assert_memory_equal(got, "HTTP/1.1 200 OK\r\n", 17);
        assert_non_null(strstr(got, "Content-Type: "));
        assert_null(strstr(got, "chunked"));
        assert_null(strstr(got, "Content-Length"));
        assert_string_equal(got + strlen(got) - 4, "\r\n\r\n");
    }
    assert_true(standin_parts_asked(talk->standin) <= 1);
    talk_destroy(talk);
}

static void test_function_list(void **state)
{
    struct talk *talk = create(cairn_resp_session_open, 5, 1000, NONE);

    (void)state;
    talk_command(talk, "FUNCTION LIST LIBRARYNAME M[02]");
    talk_command(talk, "PING");
    talk_settle(talk);
#define LIBRARY(name, functions) \
    "*6\r\n$12\r\nlibrary_name\r\n$2\r\n" name "\r\n$6\r\nengine\r\n$4\r\nWASM\r\n$9\r\nfunctions\r\n" functions
#define FUNCTION(name) "*6\r\n$4\r\nname\r\n$6\r\n" name ".get\r\n$11\r\ndescription\r\n$-1\r\n$5\r\nflags\r\n*0\r\n"
    talk_expect(talk, "libraries",
                "*2\r\n" LIBRARY("m0", "*2\r\n" FUNCTION("T0") FUNCTION("T1"))
                    LIBRARY("m2", "*1\r\n" FUNCTION("T4")) "+PONG\r\n");
    talk_destroy(talk);
}

static void test_a_long_function_list(void **state)
{
    enum { PARTS = 1500 };
    struct talk *talk = create(cairn_resp_session_open, PARTS, 1, NONE);
    const char *got;
    int functions = 0;

    (void)state;
    talk->sends = false;
    talk_command(talk, "FUNCTION LIST");
    talk_command(talk, "PING");
    talk_settle(talk);
    assert_int_equal(standin_parts_asked(talk->standin), PARTS);
    assert_true(cairn_session_output(talk->session).size < 3 * (size_t)CAIRN_PAGE_BYTES);
    talk->sends = true;
    cairn_buf_add(&talk->got, cairn_session_output(talk->session).data, cairn_session_output(talk->session).size);
    cairn_session_sent(talk->session, cairn_session_output(talk->session).size);
    talk_settle(talk);
    got = talk_received(talk);
    assert_memory_equal(got, "*750\r\n", 6);
    assert_string_equal(got + strlen(got) - 18, "flags\r\n*0\r\n+PONG\r\n");
    for (const char *at = got; (at = strstr(at, "\r\nname\r\n")); at++)
        functions++;
    assert_int_equal(functions, PARTS);
    talk_destroy(talk);
}

/* CLIENT LIST is made of parts that need no request. */
static void test_many_clients(void **state)
{
    enum { OTHERS = 300 };
    struct talk *talk = talk_create(cairn_resp_session_open, NULL);
    struct cairn_session *others[OTHERS];
    const char *got, *text;
    unsigned long size;
    char *end;
    int clients = 0, turns = 0;

    (void)state;
    for (int i = 0; i < OTHERS; i++)
        others[i] = cairn_resp_session_open(&talk->front, talk);
    talk_command(talk, "PING");
    talk_command(talk, "CLIENT LIST");
    talk_command(talk, "CLIENT LIST");
    talk_command(talk, "PING");
    while (talk_turn(talk))
        turns++;
    got = talk_received(talk);
    assert_memory_equal(got, "+PONG\r\n$", 8);
    size = strtoul(got + 8, &end, 10);
    text = end + 2;
    for (size_t i = 0; i < size; i++)
        clients += text[i] == '\n';
    assert_int_equal(text[size - 1], '\n');
    assert_memory_equal(text + size, "\r\n$", 3);
    assert_int_equal(clients, OTHERS + 1);
    assert_string_equal(got + strlen(got) - 7, "+PONG\r\n");
    assert_true(turns >= 2 * (OTHERS / 64));
    talk_command(talk, "CLIENT LIST");
    talk_hang_up(talk); /* in the midst of it */
    for (int i = 0; i < OTHERS; i++)
        cairn_session_close(others[i]);
    talk_settle(talk);
    assert_true(cairn_list_empty(&talk->front.sessions));
    talk_destroy(talk);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_part_has_a_length),
        cmocka_unit_test(test_chunks),
        cmocka_unit_test(test_behind_a_late_reply),
        cmocka_unit_test(test_http_1_0_ends_with_the_connection),
        cmocka_unit_test(test_a_client_that_takes_nothing),
        cmocka_unit_test(test_gone_in_the_midst),
        cmocka_unit_test(test_an_error),
        cmocka_unit_test(test_heads),
        cmocka_unit_test(test_function_list),
        cmocka_unit_test(test_a_long_function_list),
        cmocka_unit_test(test_many_clients),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
