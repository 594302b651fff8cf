/* Would catch: commands that answer otherwise than the reference says, or are refused otherwise; a protocol error that
 * is not the end; what is not for this port taken for commands. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "server/talk.h"

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
    {"SELECT 1", "-ERR DB index is out of range: there is only 0 without --cache\r\n"},
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
    {"COMMAND COUNT", ":71\r\n"},
    {"COMMAND INFO ping nosuch",
     "*2\r\n*10\r\n$4\r\nping\r\n:-1\r\n*1\r\n+fast\r\n:0\r\n:0\r\n:0\r\n*0\r\n*0\r\n*0\r\n*0\r\n$-1\r\n"},
    {"COMMAND NOSUCH", "-ERR COMMAND NOSUCH is not supported by cairn\r\n"},
    {"CONFIG GET save", "*2\r\n$4\r\nsave\r\n$0\r\n\r\n"},
    {"CONFIG GET append*", "*4\r\n$10\r\nappendonly\r\n$3\r\nyes\r\n$11\r\nappendfsync\r\n$6\r\nalways\r\n"},
    {"CONFIG GET nothing", "*0\r\n"},
    {"CONFIG SET save x",
     "-ERR settings are flags of 'cairn serve'; on a node with --cache, CONFIG SET takes maxmemory and "
     "maxmemory-policy\r\n"},
    {"GET x",
     "-ERR 'get' is a command of the cache, which this node does not have: start it with --cache SIZE, as in 'cairn "
     "serve --cache 256MiB' " HOW "\r\n"},
    {"LPUSH x", "-ERR unknown command 'LPUSH', with args beginning with: 'x' " HOW "\r\n"},
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
/* Each name is looked for among all commands. */
static void test_many_names(void **state)
{
    struct talk *talk = talk_create(cairn_resp_session_open, NULL);
    char line[2048] = "COMMAND INFO";

    (void)state;
    for (int i = 0; i < 128; i++)
        strcat(line, " none");
    talk_command(talk, line);
    talk_settle(talk);
    assert_memory_equal(talk_received(talk), "*128\r\n", 6);
    strcat(line, " none");
    talk_command(talk, line);
    talk_settle(talk);
    talk_expect(talk, "too many", "-ERR COMMAND tells about at most 128 commands at a time\r\n");
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
    static const char *const heads[] = {"POST / HTTP/1.1\r\n", "GET / HTTP/1.1\r\n", "get /x HTTP/1.0\r\n"};

    (void)state;
    for (size_t i = 0; i < sizeof heads / sizeof heads[0]; i++) {
        struct talk *talk = talk_create(cairn_resp_session_open, NULL);

        talk_input(talk, heads[i]);
        talk_input(talk, "Host: localhost\r\n\r\nFCALL Box.set 1 b1 evil\r\n");
        talk_settle(talk);
        talk_expect(talk, "refusal", "-ERR this port speaks RESP, not HTTP\r\n");
        assert_null(talk->session);
        talk_destroy(talk);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_commands),
        cmocka_unit_test(test_info_and_list),
        cmocka_unit_test(test_many_names),
        cmocka_unit_test(test_protocol_error),
        cmocka_unit_test(test_http_at_the_resp_port),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
