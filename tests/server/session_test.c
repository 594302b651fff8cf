/* Would catch: replies that come out of the order of the commands, or not at all; a session that takes more commands
 * or keeps more output than its bounds, or never goes on afterwards; memory touched after a session was closed with
 * requests under way (under ASan). */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/random.h"
#include "server/talk.h"

/* What stands behind the error of a command that there is not. */
#define HOW "(methods are called by FCALL TYPE.METHOD 1 ID [ARG ...])"

static void test_replies_keep_the_order(void **state)
{
    struct talk *talk = talk_create(cairn_resp_session_open, NULL);

    (void)state;
    talk_command(talk, "FCALL Box.late 1 b1 3 first");
    talk_command(talk, "FCALL Box.late 1 b1 1 second");
    talk_command(talk, "PING");
    talk_command(talk, "FCALL Box.echo 1 b1");
    talk_command(talk, "NOSUCH");
    talk_turn(talk);
    talk_turn(talk);
    talk_turn(talk);
    talk_expect(talk, "before the first", "");
    talk_settle(talk);
    talk_expect(talk, "order",
                "$5\r\nfirst\r\n$6\r\nsecond\r\n+PONG\r\n*0\r\n"
                "-ERR unknown command 'NOSUCH', with args beginning with: " HOW "\r\n");
    talk_destroy(talk);
}

/* Everything at random: delays, portions, a client that now and then takes nothing; the replies are those of the
 * commands, in their order, whatever the bounds. */
static void test_random_pipelines(void **state)
{
    static const struct cairn_front_limits small = {.under_way = 5, .output_bytes = 100};

    (void)state;
    for (uint64_t seed = 0; seed < 300; seed++) {
        struct talk *talk = talk_create(cairn_resp_session_open, seed % 2 ? &small : NULL);
        struct cairn_buf text = {0}, want = {0};
        struct cairn_random random;
        size_t at = 0;

        cairn_random_init(&random, seed);
        for (int i = 0; i < 40; i++) {
            char number[24];

            snprintf(number, sizeof number, "%d-%d", (int)seed, i);
            switch (cairn_random_below(&random, 4)) {
            case 0:
                cairn_resp_array(&text, 2);
                cairn_resp_text(&text, "ECHO");
                cairn_resp_text(&text, number);
                cairn_resp_text(&want, number);
                break;
            case 1:
                cairn_buf_str(&text, "PING\r\n");
                cairn_buf_str(&want, "+PONG\r\n");
                break;
            default:
                cairn_buf_printf(&text, "FCALL Box.late 1 b1 %d %s\r\n", (int)cairn_random_below(&random, 4), number);
                cairn_resp_text(&want, number);
            }
        }
        while (at < text.size || talk->got.size < want.size) {
            size_t size = 1 + cairn_random_below(&random, 60);

            if (at < text.size && cairn_session_reads(talk->session)) {
                if (size > text.size - at)
                    size = text.size - at;
                cairn_session_input(talk->session, cairn_bytes(text.data + at, size));
                at += size;
            }
            talk->sends = cairn_random_below(&random, 3) > 0;
            talk_turn(talk);
            if (talk->sends && talk->session) { /* as when the socket has room again */
                struct cairn_bytes output = cairn_session_output(talk->session);

                cairn_buf_add(&talk->got, output.data, output.size);
                cairn_session_sent(talk->session, output.size);
            }
        }
        assert_int_equal(talk->got.size, want.size);
        assert_memory_equal(talk->got.data, want.data, want.size);
        cairn_buf_done(&text);
        cairn_buf_done(&want);
        talk_destroy(talk);
    }
}

static void test_bounds_under_way(void **state)
{
    static const struct cairn_front_limits limits = {.under_way = 10};
    struct talk *talk = talk_create(cairn_resp_session_open, &limits);
    struct cairn_buf text = {0};

    (void)state;
    for (int i = 0; i < 25; i++)
        cairn_buf_str(&text, "FCALL Box.never 1 b1\r\n");
    cairn_session_input(talk->session, cairn_buf_bytes(&text));
    assert_int_equal(standin_admitted(talk->standin), 10);
    assert_false(cairn_session_reads(talk->session));
    talk_settle(talk);
    assert_int_equal(standin_admitted(talk->standin), 10);
    for (int round = 0; round < 3; round++) {
        assert_int_equal(standin_admitted(talk->standin), round < 2 ? 10 : 5);
        standin_release(talk->standin);
        talk_settle(talk);
    }
    assert_int_equal(standin_admitted(talk->standin), 0);
    assert_true(cairn_session_reads(talk->session));
    assert_int_equal(talk->got.size, 25 * strlen("$8\r\nreleased\r\n"));
    cairn_buf_done(&text);
    talk_destroy(talk);
}

static void test_bounds_output(void **state)
{
    static const struct cairn_front_limits limits = {.output_bytes = 10000};
    struct talk *talk = talk_create(cairn_resp_session_open, &limits);

    (void)state;
    talk->sends = false;
    for (int i = 0; i < 100 && cairn_session_reads(talk->session); i++) {
        talk_command(talk, "FCALL Box.big 1 b1 1000");
        talk_settle(talk);
    }
    assert_false(cairn_session_reads(talk->session));
    assert_in_range(cairn_session_output(talk->session).size, 10000, 12000);
    talk_command(talk, "PING"); /* what came in before it was full waits */
    talk_settle(talk);
    assert_in_range(cairn_session_output(talk->session).size, 10000, 12000);
    cairn_session_sent(talk->session, cairn_session_output(talk->session).size);
    talk->sends = true;
    talk_settle(talk);
    talk_expect(talk, "what had waited", "+PONG\r\n");
    assert_true(cairn_session_reads(talk->session));
    talk_destroy(talk);
}

/* Replies that are all there are written when the client has taken the ones before, in order and with none left out, in
 * the version of the protocol that was spoken when they were asked for. */
static void test_replies_wait_for_room(void **state)
{
    static const struct cairn_front_limits limits = {.output_bytes = 10000};
    struct talk *talk = talk_create(cairn_resp_session_open, &limits);
    struct cairn_buf text = {0}, want = {0};
    struct cairn_bytes output;

    (void)state;
    for (int i = 0; i < 20; i++) {
        cairn_buf_str(&text, "FCALL Box.big 1 b1 3000\r\nFCALL Box.nil 1 b1\r\n");
        cairn_buf_str(&want, "$3000\r\n");
        memset(cairn_buf_reserve(&want, 3000), 'x', 3000);
        want.size += 3000;
        cairn_buf_str(&want, "\r\n$-1\r\n");
    }
    cairn_buf_str(&text, "HELLO 4\r\nHELLO 3 SETNAME x\r\n");
    cairn_buf_str(&want, "-NOPROTO unsupported protocol version: 2 and 3 are spoken\r\n");
    cairn_buf_u8(&want, 0);
    cairn_session_input(talk->session, cairn_buf_bytes(&text));
    talk->sends = false;
    talk_settle(talk);
    assert_in_range(cairn_session_output(talk->session).size, 10000, 13100);
    output = cairn_session_output(talk->session);
    cairn_buf_add(&talk->got, output.data, output.size);
    cairn_session_sent(talk->session, output.size);
    talk->sends = true;
    talk_settle(talk);
    assert_true(talk->got.size > want.size);
    assert_memory_equal(talk->got.data, want.data, want.size - 1);
    assert_true(cairn_session_idle(talk->session));
    assert_int_equal(talk->front.partial_purse.spent, 0);
    cairn_buf_done(&text);
    cairn_buf_done(&want);
    talk_destroy(talk);
}

/* A client that asks for much at once does not get all of it made at once. */
static void test_large_replies_narrow_the_window(void **state)
{
    static const struct cairn_front_limits limits = {.output_bytes = 64 << 20};
    struct talk *talk = talk_create(cairn_resp_session_open, &limits);
    struct cairn_buf text = {0};

    (void)state;
    for (int i = 0; i < 200; i++)
        cairn_buf_str(&text, "FCALL Box.big 1 b1 1000000\r\n");
    talk->sends = false;
    cairn_session_input(talk->session, cairn_buf_bytes(&text));
    assert_int_equal(standin_admitted(talk->standin), 64); /* before anything is known */
    talk_turn(talk);
    assert_in_range(standin_admitted(talk->standin), 1, 8);
    cairn_buf_done(&text);
    talk_destroy(talk);
}

/* When memory runs short the one who lets much wait is cut off, the others are not. */
static void test_overflow(void **state)
{
    static const struct cairn_front_limits limits = {.output_bytes = 10000, .memory_bytes = 200000};
    struct talk *talk = talk_create(cairn_resp_session_open, &limits);
    struct cairn_session *other = cairn_resp_session_open(&talk->front, NULL);

    (void)state;
    talk->sends = false;
    talk_command(talk, "FCALL Box.big 1 b1 9000");
    talk_command(talk, "FCALL Box.big 1 b1 60000");
    cairn_session_input(other, cairn_str("PING\r\n"));
    standin_backend(talk->standin)->run(talk->front.worker, 1);
    assert_true(cairn_session_over(talk->session));
    assert_int_equal(cairn_session_output(talk->session).size, 0);
    assert_false(cairn_session_over(other));
    assert_int_equal(cairn_session_output(other).size, 7);
    assert_int_equal(talk->front.stats.overflowed, 1);
    cairn_session_close(other);
    talk_destroy(talk);
}

/* Half received commands draw on what all sessions share. */
static void test_input_memory(void **state)
{
    static const struct cairn_front_limits limits = {.partial_bytes = 1000, .memory_bytes = 8 * 128 << 10};
    struct talk *talk = talk_create(cairn_resp_session_open, &limits);
    struct cairn_session *other = cairn_resp_session_open(&talk->front, NULL);
    uint8_t bytes[1000];

    (void)state;
    memset(bytes, 'x', sizeof bytes);
    cairn_session_input(other, cairn_str("*2\r\n$4\r\nECHO\r\n$500\r\n"));
    cairn_session_input(other, cairn_bytes(bytes, 400));
    talk_input(talk, "*2\r\n$4\r\nECHO\r\n$30000000\r\n");
    for (int i = 0; i < 300; i++)
        cairn_session_input(talk->session, cairn_bytes(bytes, sizeof bytes));
    talk_settle(talk);
    talk_expect(talk, "refusal", "-OVERLOADED no memory for a command this large now, try again\r\n");
    assert_null(talk->session);
    assert_int_equal(cairn_session_partial_bytes(other), 420);
    cairn_session_input(other, cairn_bytes(bytes, 100));
    cairn_session_input(other, cairn_str("\r\n"));
    assert_int_equal(cairn_session_output(other).size, 500 + 8);
    cairn_session_close(other);
    assert_int_equal(talk->front.partial_purse.spent, 0);
    talk_destroy(talk);
}

static void test_end_of_input(void **state)
{
    static const struct cairn_front_limits limits = {.under_way = 2};
    struct talk *talk = talk_create(cairn_resp_session_open, &limits);

    (void)state;
    talk_input(
        talk,
        "FCALL Box.late 1 b1 1 a\r\nFCALL Box.late 1 b1 2 b\r\nFCALL Box.late 1 b1 1 c\r\nPING\r\n*1\r\n$4\r\nPI");
    cairn_session_input_ended(talk->session);
    assert_false(cairn_session_reads(talk->session));
    talk_settle(talk);
    talk_expect(talk, "all replies", "$1\r\na\r\n$1\r\nb\r\n$1\r\nc\r\n+PONG\r\n");
    assert_null(talk->session);
    talk_destroy(talk);
}

static void test_close_with_requests_under_way(void **state)
{
    struct talk *talk = talk_create(cairn_resp_session_open, NULL);

    (void)state;
    talk_command(talk, "FCALL Box.never 1 b1");
    talk_command(talk, "PING");
    talk_command(talk, "FCALL Box.late 1 b1 2 x");
    talk_settle(talk);
    cairn_session_close(talk->session);
    talk->session = NULL;
    standin_release(talk->standin);
    talk_settle(talk);
    assert_int_equal(standin_admitted(talk->standin), 0);
    assert_true(cairn_list_empty(&talk->front.sessions)); /* freed with its last reply */
    talk_destroy(talk);
}

static void test_timeout(void **state)
{
    struct talk *talk = talk_create(cairn_resp_session_open, NULL);

    (void)state;
    assert_int_equal(cairn_session_partial_bytes(talk->session), 0);
    talk_input(talk, "*1\r\n$4\r\nPI");
    assert_int_equal(cairn_session_partial_bytes(talk->session), 10);
    cairn_session_timed_out(talk->session);
    talk_settle(talk);
    talk_expect(talk, "refusal", "-ERR Protocol error: the rest of the command did not come in time\r\n");
    assert_null(talk->session);
    talk_destroy(talk);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_replies_keep_the_order),
        cmocka_unit_test(test_random_pipelines),
        cmocka_unit_test(test_bounds_under_way),
        cmocka_unit_test(test_bounds_output),
        cmocka_unit_test(test_replies_wait_for_room),
        cmocka_unit_test(test_large_replies_narrow_the_window),
        cmocka_unit_test(test_overflow),
        cmocka_unit_test(test_input_memory),
        cmocka_unit_test(test_end_of_input),
        cmocka_unit_test(test_close_with_requests_under_way),
        cmocka_unit_test(test_timeout),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
