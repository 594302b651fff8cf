/* Would catch: replies that come out of the order of the commands, or not at all; a session that takes more commands
 * or keeps more output than its bounds, or never goes on afterwards; commands and routes that answer otherwise than
 * the reference says; memory touched after a session was closed with requests under way (under ASan). */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/random.h"
#include "server/talk.h"

/* What /readyz says of the stand-in's checks. */
#define CHECK(name, state, why) "{\"name\":\"" name "\",\"state\":\"" state "\",\"reason\":\"" why "\"}"
#define CHECKS(stopping, log)   "\"checks\":[" stopping "," log "," CHECK("archive", "warning", "far away") "]}\n"
#define NOT_READY(why)          "503 {\"ready\":false,\"status\":503,\"code\":\"unavailable\",\"detail\":\"" why "\","
#define FAILED(name, why)       CHECK(name, "failed", why)

/* --- RESP --- */

/* What stands behind some errors. */
#define HOW     "(methods are called by FCALL TYPE.METHOD 1 ID [ARG ...])"
#define KEY_16  "0123456789abcdef"
#define KEY_64  KEY_16 KEY_16 KEY_16 KEY_16
#define KEY_256 KEY_64 KEY_64 KEY_64 KEY_64
#define WRITE   ": write FCALL TYPE.METHOD 1 ID [ARG ...]"

static const struct {
    const char *line, *want;
} commands[] = {
    {"PING", "+PONG\r\n"},
    {"ping hello", "$5\r\nhello\r\n"},
    {"PING a b", "-ERR wrong number of arguments for 'ping' command\r\n"},
    {"ECHO hello", "$5\r\nhello\r\n"},
    {"ECHO", "-ERR wrong number of arguments for 'echo' command\r\n"},
    {"SELECT 0", "+OK\r\n"},
    {"SELECT 1", "-ERR DB index is out of range: there is only 0\r\n"},
    {"AUTH secret", "-AUTH this node has no credentials: connect without user and password\r\n"},
    {"HELLO 2 AUTH user secret", "-AUTH this node has no credentials: connect without user and password\r\n"},
    {"HELLO 4", "-NOPROTO unsupported protocol version: 2 and 3 are spoken\r\n"},
    {"HELLO 2 SETNAME", "-ERR Syntax error in HELLO option 'SETNAME'\r\n"},
    {"CLIENT SETNAME me", "+OK\r\n"},
    {"CLIENT GETNAME", "$2\r\nme\r\n"},
    {"CLIENT SETINFO LIB-NAME redis-py", "+OK\r\n"},
    {"CLIENT SETINFO LIB-VER 5.0", "+OK\r\n"},
    {"CLIENT ID", ":1\r\n"},
    {"CLIENT NO-EVICT ON", "+OK\r\n"},
    {"CLIENT TRACKING ON", "-ERR CLIENT TRACKING is not supported by cairn\r\n"},
    {"CLIENT KILL 1", "-ERR CLIENT KILL is not supported by cairn\r\n"},
    {"COMMAND COUNT", ":19\r\n"},
    {"COMMAND INFO ping nosuch",
     "*2\r\n*10\r\n$4\r\nping\r\n:-1\r\n*1\r\n+fast\r\n:0\r\n:0\r\n:0\r\n*0\r\n*0\r\n*0\r\n*0\r\n$-1\r\n"},
    {"COMMAND NOSUCH", "-ERR COMMAND NOSUCH is not supported by cairn\r\n"},
    {"CONFIG GET save", "*2\r\n$4\r\nsave\r\n$0\r\n\r\n"},
    {"CONFIG GET append*", "*4\r\n$10\r\nappendonly\r\n$3\r\nyes\r\n$11\r\nappendfsync\r\n$6\r\nalways\r\n"},
    {"CONFIG GET nothing", "*0\r\n"},
    {"CONFIG SET save x", "-ERR write CONFIG GET <pattern> ...: settings are flags of 'cairn serve'\r\n"},
    {"GET x", "-ERR unknown command 'GET', with args beginning with: 'x' " HOW "\r\n"},
    {"FCAL Box.get 1 b",
     "-ERR unknown command 'FCAL', with args beginning with: 'Box.get' '1' 'b' " HOW " (did you mean 'fcall'?)\r\n"},
    {"RESET", "+RESET\r\n"},
    {"CLIENT GETNAME", "$-1\r\n"},
    {"FCALL Box.echo 1 b1 a b", "*2\r\n$1\r\na\r\n$1\r\nb\r\n"},
    {"FCALL Box.echo 1 b1", "*0\r\n"},
    {"fcall Box.set 1 b1 hello", "$-1\r\n"},
    {"FCALL_RO Box.get 1 b1", "$5\r\nhello\r\n"},
    {"FCALL_RO Box.set 1 b1 x", "-NOT_READ_ONLY the method changes its object\r\n"},
    {"FCALL Box.get 1 b1", "$5\r\nhello\r\n"},
    {"FCALL Box.key 2 b1 k1", "$2\r\nk1\r\n"},
    {"FCALL Box.key 1 b1 k1", "$0\r\n\r\n"},
    {"FCALL Box.key 2 b1 ",
     "-BAD_REQUEST an idempotency key has 1 to 256 bytes, this one has 0: for a call without a key write FCALL "
     "TYPE.METHOD 1 ID [ARG ...]\r\n"},
    {"FCALL Box.key 2 b1 " KEY_256, "$256\r\n" KEY_256 "\r\n"},
    {"FCALL Box.key 2 b1 " KEY_256 "x",
     "-BAD_REQUEST an idempotency key has 1 to 256 bytes, this one has 257: for a call without a key write FCALL "
     "TYPE.METHOD 1 ID [ARG ...]\r\n"},
    {"FCALL Box.list 1 b1", "*5\r\n$-1\r\n:-7\r\n$4\r\ntext\r\n*1\r\n$2\r\n\xff"},
    {"FCALL Box.fail 1 b1 own_code message", "-OWN_CODE message\r\n"},
    {"FCALL Box.fail 1 b1 own_code message 1", "-OWN_CODE message\r\n"},
    {"FCALL Box.fail 1 b1 disk_full no", "-DISK_FULL no\r\n"},
    {"FCALL Box.fail 1 b1 disk_full no 1", "-DISK_FULL no (effects: some)\r\n"},
    {"FCALL Box.fail 1 b1 unavailable no 2", "-UNAVAILABLE no (effects: unknown)\r\n"},
    {"FCALL Nothing.get 1 b1", "-UNKNOWN_TYPE there is no type 'Nothing'\r\n"},
    {"FCALL Box.bad 1 b1", "-CORRUPT the result is not a valid value\r\n"},
    {"FCALL Box 1 b1", "-BAD_REQUEST the function's name must be TYPE.METHOD, as in FCALL User.timeline 1 bob 10\r\n"},
    {"FCALL Box.get", "-ERR wrong number of arguments for 'fcall' command\r\n"},
    {"FCALL Box.get 0", "-BAD_REQUEST the number of keys must be 1 (ID) or 2 (ID and an idempotency key)" WRITE "\r\n"},
    {"FCALL Box.get 3 a b c",
     "-BAD_REQUEST the number of keys must be 1 (ID) or 2 (ID and an idempotency key)" WRITE "\r\n"},
    {"FCALL Box.get 1", "-BAD_REQUEST fewer words than the number of keys says" WRITE "\r\n"},
    {"FCALL Box.get 2 b1", "-BAD_REQUEST fewer words than the number of keys says" WRITE "\r\n"},
    {"FUNCTION LOAD REPLACE text", "-BAD_MODULE this is not a WebAssembly module\r\n"},
    {"FUNCTION LOAD", "-ERR write FUNCTION LOAD [REPLACE] <.wasm>\r\n"},
    {"FUNCTION DELETE boxes", "+OK\r\n"},
    {"FUNCTION DELETE other", "-NOT_FOUND there is no such module\r\n"},
    {"FUNCTION LIST LIBRARYNAME other", "*0\r\n"},
    {"FUNCTION LIST LIBRARYNAME box*",
     "*1\r\n*6\r\n$12\r\nlibrary_name\r\n$5\r\nboxes\r\n$6\r\nengine\r\n$4\r\nWASM\r\n$9\r\nfunctions\r\n*2\r\n"
     "*6\r\n$4\r\nname\r\n$7\r\nBox.get\r\n$11\r\ndescription\r\n$-1\r\n$5\r\nflags\r\n*1\r\n$9\r\nno-writes\r\n"
     "*6\r\n$4\r\nname\r\n$7\r\nBox.set\r\n$11\r\ndescription\r\n$-1\r\n$5\r\nflags\r\n*0\r\n"},
    {"FUNCTION FLUSH", "-ERR FUNCTION FLUSH is not supported by cairn\r\n"},
    {"HELLO 3",
     "%7\r\n$6\r\nserver\r\n$5\r\ncairn\r\n$7\r\nversion\r\n$5\r\n0.1.0\r\n$5\r\nproto\r\n:3\r\n$2\r\nid\r\n:1\r\n"
     "$4\r\nmode\r\n$10\r\nstandalone\r\n$4\r\nrole\r\n$6\r\nmaster\r\n$7\r\nmodules\r\n*0\r\n"},
    {"FCALL Box.nil 1 b1", "_\r\n"},
    {"CONFIG GET save", "%1\r\n$4\r\nsave\r\n$0\r\n\r\n"},
};

static void test_commands(void **state)
{
    struct talk *talk = talk_create(cairn_resp_session_open, NULL);

    (void)state;
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++) {
        talk_command(talk, commands[i].line);
        talk_settle(talk);
        talk_expect(talk, commands[i].line, commands[i].want);
    }
    talk_command(talk, "QUIT");
    talk_command(talk, "PING");
    talk_settle(talk);
    talk_expect(talk, "QUIT", "+OK\r\n");
    assert_null(talk->session);
    talk_destroy(talk);
}

static void test_info_and_list(void **state)
{
    struct talk *talk = talk_create(cairn_resp_session_open, NULL);
    const char *got;

    (void)state;
    talk_command(talk, "INFO");
    talk_settle(talk);
    got = talk_received(talk);
    assert_non_null(strstr(got, "redis_version:7"));
    assert_non_null(strstr(got, "cairn_version:"));
    assert_non_null(strstr(got, "\r\nloading:0\r\n"));
    assert_non_null(strstr(got, "\r\nrole:master\r\n"));
    assert_non_null(strstr(got, "\r\nlog_syncs:0\r\n"));
    talk_command(talk, "INFO clients");
    talk_settle(talk);
    got = talk_received(talk);
    assert_null(strstr(got, "redis_version"));
    assert_non_null(strstr(got, "connected_clients:"));
    cairn_session_name_peer(talk->session, "1.2.3.4:5");
    talk_command(talk, "CLIENT LIST");
    talk_settle(talk);
    got = talk_received(talk);
    assert_non_null(strstr(got, "id=1 addr=1.2.3.4:5 "));
    talk_destroy(talk);
}

/* Later commands may be done first; replies keep the order. */
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

static void test_protocol_error(void **state)
{
    struct talk *talk = talk_create(cairn_resp_session_open, NULL);

    (void)state;
    talk_command(talk, "FCALL Box.late 1 b1 2 x");
    talk_input(talk, "*1\r\n!3\r\nPING\r\n");
    talk_input(talk, "PING\r\n");
    talk_settle(talk);
    talk_expect(talk, "refusal", "$1\r\nx\r\n-ERR Protocol error: expected '$', got '!'\r\n");
    assert_null(talk->session);
    talk_destroy(talk);
}

static void test_http_at_the_resp_port(void **state)
{
    struct talk *talk = talk_create(cairn_resp_session_open, NULL);

    (void)state;
    talk_input(talk, "POST / HTTP/1.1\r\nHost: localhost\r\n\r\nFCALL Box.set 1 b1 evil\r\n");
    talk_settle(talk);
    talk_expect(talk, "refusal", "-ERR this port speaks RESP, not HTTP\r\n");
    assert_null(talk->session);
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

/* --- HTTP --- */

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

#define PROBLEM(title, status, code, detail, effects, retry)                                   \
    "{\"type\":\"about:blank\",\"title\":\"" title "\",\"status\":" status ",\"code\":\"" code \
    "\",\"detail\":\"" detail "\",\"effects\":\"" effects "\",\"retry\":\"" retry "\"}\n"

static const struct {
    const char *request, *want;
} exchanges[] = {
    {"GET /" H "\r\n", "200 {\"cairn\":\"0.1.0\",\"pages\":[\"/v1/objects/TYPE\",\"/v1/objects/TYPE/ID\","
                       "\"/v1/objects/TYPE/ID/METHOD\",\"/v1/types\",\"/v1/modules\",\"/v1/versions\","
                       "\"/v1/logs\",\"/v1/clock\",\"/v1/export\",\"/healthz\",\"/readyz\","
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
                    "there is no parameter 'ark': arguments are given as arg=", "none", "no")},
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
     "]}]}\n"},
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
     "\"methods\":[{\"name\":\"get\",\"access\":\"public\",\"flags\":[\"read-only\",\"deterministic\"]},"
     "{\"name\":\"set\",\"access\":\"public\",\"flags\":[]}],\"dropped\":false}]\n"},
    {"GET /v1/logs?limit=5" H "\r\n",
     "200 [{\"ms\":1700000000123,\"level\":\"warning\",\"type\":\"Box\",\"id\":\"b1\",\"method\":\"set\","
     "\"line\":\"a line\"}]\n"},
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
        cmocka_unit_test(test_commands),
        cmocka_unit_test(test_info_and_list),
        cmocka_unit_test(test_replies_keep_the_order),
        cmocka_unit_test(test_random_pipelines),
        cmocka_unit_test(test_bounds_under_way),
        cmocka_unit_test(test_bounds_output),
        cmocka_unit_test(test_replies_wait_for_room),
        cmocka_unit_test(test_large_replies_narrow_the_window),
        cmocka_unit_test(test_overflow),
        cmocka_unit_test(test_input_memory),
        cmocka_unit_test(test_protocol_error),
        cmocka_unit_test(test_http_at_the_resp_port),
        cmocka_unit_test(test_end_of_input),
        cmocka_unit_test(test_close_with_requests_under_way),
        cmocka_unit_test(test_timeout),
        cmocka_unit_test(test_routes),
        cmocka_unit_test(test_http_heads),
        cmocka_unit_test(test_http_pipeline_keeps_the_order),
        cmocka_unit_test(test_http_refusals_end),
        cmocka_unit_test(test_http_ready),
        cmocka_unit_test(test_http_timeout),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
