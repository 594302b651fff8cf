/* Would catch: a call between MULTI and EXEC that runs before EXEC, or at all when EXEC is refused; replies of EXEC in
 * another order, or outside of its array; an EXEC of which a part happens though a call of it fails, or that does not
 * say which; one that runs beside what was sent before MULTI or behind EXEC; one that does not happen when its client
 * is gone; a queue without a bound; an object that is watched and has changed, and EXEC runs all the same. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "server/talk.h"

#define INCR   "FCALL Box.incr 1 b"
#define NOKEY  "-BAD_REQUEST EXEC takes an idempotency key of 1 to 256 bytes, or nothing: the calls stay queued\r\n"
#define ABORT  "-EXECABORT Transaction discarded because of previous errors.\r\n"
#define QUEUED "+QUEUED\r\n"
#define ARITY  "-ERR wrong number of arguments for 'fcall' command\r\n"
#define OTHER(name)                                                                                                  \
    "-ERR '" name "' cannot be queued: MULTI is a transaction of FCALL and FCALL_RO; send the command before MULTI " \
    "or after EXEC\r\n"
#define NO_KEY                                                                                                      \
    "-BAD_REQUEST a call in a transaction has no idempotency key: it happens with the others or not at all; write " \
    "FCALL TYPE.METHOD 1 ID [ARG ...]\r\n"
#define NAMES "-BAD_REQUEST an object is watched by its type and id: WATCH TYPE/ID, as in WATCH User/bob\r\n"

/* Commands of one connection, one per line, and its replies; then how often Box.incr has run. */
static const struct {
    const char *label, *lines, *want;
    int ran;
} dialogues[] = {
    {"two calls", "MULTI\n" INCR "\n" INCR "\nEXEC", "+OK\r\n" QUEUED QUEUED "*2\r\n:1\r\n:2\r\n", 2},
    {"nothing", "MULTI\nEXEC", "+OK\r\n*0\r\n", 0},
    {"a key", "MULTI\n" INCR "\n" INCR "\nEXEC key\nMULTI\n" INCR "\nEXEC",
     "+OK\r\n" QUEUED QUEUED "*3\r\n$3\r\nkey\r\n:1\r\n:2\r\n+OK\r\n" QUEUED "*1\r\n:3\r\n", 3},
    {"too many keys", "MULTI\n" INCR "\nEXEC a b\nEXEC", "+OK\r\n" QUEUED NOKEY "*1\r\n:1\r\n", 1},
    {"every kind", "MULTI\nfcall Box.late 1 b 3 x\nFCALL_RO Box.nil 1 b\nEXEC\nPING",
     "+OK\r\n" QUEUED QUEUED "*2\r\n$1\r\nx\r\n$-1\r\n+PONG\r\n", 0},
    {"reading only", "MULTI\n" INCR "\nFCALL_RO Box.incr 1 b\nEXEC",
     "+OK\r\n" QUEUED QUEUED "-EXECABORT NOT_READ_ONLY the method changes its object\r\n", 0},
    {"another command", "MULTI\n" INCR "\nPING\n" INCR "\nEXEC\n" INCR,
     "+OK\r\n" QUEUED OTHER("ping") QUEUED ABORT ":1\r\n", 1},
    {"late ones stay in order", "MULTI\nFCALL Box.late 1 b 4 first\n" INCR "\nFCALL Box.late 1 b 1 third\nEXEC\n" INCR,
     "+OK\r\n" QUEUED QUEUED QUEUED "*3\r\n$5\r\nfirst\r\n:1\r\n$5\r\nthird\r\n:2\r\n", 2},
    {"behind an earlier command", "FCALL Box.late 1 b 3 early\nMULTI\n" INCR "\nEXEC\nPING",
     "$5\r\nearly\r\n+OK\r\n" QUEUED "*1\r\n:1\r\n+PONG\r\n", 1},
    {"an error at run time undoes all", "MULTI\n" INCR "\n" INCR "\nFCALL Box.fail 1 b mine no\n" INCR "\nEXEC\n" INCR,
     "+OK\r\n" QUEUED QUEUED QUEUED QUEUED "-EXECABORT MINE no\r\n:1\r\n", 1},
    {"it is not known whether it happened", "MULTI\nFCALL Box.fail 1 b unavailable gone 2\nEXEC",
     "+OK\r\n" QUEUED "-UNAVAILABLE gone (effects: unknown)\r\n", 0},
    {"no such type", "MULTI\n" INCR "\nFCALL Nothing.x 1 b\nEXEC",
     "+OK\r\n" QUEUED QUEUED "-EXECABORT UNKNOWN_TYPE there is no type 'Nothing'\r\n", 0},
    {"a wrong arity", "MULTI\n" INCR "\nFCALL Box.incr\n" INCR "\nEXEC\n" INCR,
     "+OK\r\n" QUEUED ARITY QUEUED ABORT ":1\r\n", 1},
    {"an unknown command", "MULTI\n" INCR "\nLSET a b\nEXEC",
     "+OK\r\n" QUEUED
     "-ERR unknown command 'LSET', with args beginning with: 'a' 'b' (methods are called by FCALL TYPE.METHOD 1 ID "
     "[ARG ...])\r\n" ABORT,
     0},
    {"a call that cannot be", "MULTI\n" INCR "\nFCALL Box.incr 3 a b c\nEXEC",
     "+OK\r\n" QUEUED
     "-BAD_REQUEST the number of keys must be 1 (ID) or 2 (ID and an idempotency key): write FCALL TYPE.METHOD 1 ID "
     "[ARG ...]\r\n" ABORT,
     0},
    {"a key", "MULTI\nFCALL Box.incr 2 b key\nEXEC", "+OK\r\n" NO_KEY ABORT, 0},
    {"discarded", "MULTI\n" INCR "\nDISCARD\nEXEC\n" INCR, "+OK\r\n" QUEUED "+OK\r\n-ERR EXEC without MULTI\r\n:1\r\n",
     1},
    {"discarded after an error", "MULTI\nFCALL\nDISCARD\nMULTI\n" INCR "\nEXEC",
     "+OK\r\n" ARITY "+OK\r\n+OK\r\n" QUEUED "*1\r\n:1\r\n", 1},
    {"nested", "MULTI\n" INCR "\nMULTI\n" INCR "\nEXEC",
     "+OK\r\n" QUEUED "-ERR MULTI calls can not be nested\r\n" QUEUED "*2\r\n:1\r\n:2\r\n", 2},
    {"without MULTI", "EXEC\nDISCARD", "-ERR EXEC without MULTI\r\n-ERR DISCARD without MULTI\r\n", 0},
    {"again", "MULTI\n" INCR "\nEXEC\nMULTI\n" INCR "\nEXEC",
     "+OK\r\n" QUEUED "*1\r\n:1\r\n+OK\r\n" QUEUED "*1\r\n:2\r\n", 2},
    {"reset", "MULTI\n" INCR "\nRESET\nEXEC", "+OK\r\n" QUEUED "+RESET\r\n-ERR EXEC without MULTI\r\n", 0},
    {"watch", "WATCH Box/b\nMULTI\n" INCR "\nEXEC", "+OK\r\n+OK\r\n" QUEUED "*1\r\n:1\r\n", 1},
    {"it has changed", "WATCH Box/a Box/b\n" INCR "\nMULTI\n" INCR "\nEXEC\nMULTI\n" INCR "\nEXEC",
     "+OK\r\n:1\r\n+OK\r\n" QUEUED "*-1\r\n+OK\r\n" QUEUED "*1\r\n:2\r\n", 2},
    {"it has changed, in RESP3", "HELLO 3\nWATCH Box/b\n" INCR "\nMULTI\n" INCR "\nEXEC",
     "%7\r\n$6\r\nserver\r\n$5\r\ncairn\r\n$7\r\nversion\r\n$5\r\n0.1.0\r\n$5\r\nproto\r\n:3\r\n"
     "$2\r\nid\r\n:1\r\n$4\r\nmode\r\n$10\r\nstandalone\r\n$4\r\nrole\r\n$6\r\nmaster\r\n$7\r\nmodules\r\n*0\r\n"
     "+OK\r\n:1\r\n+OK\r\n" QUEUED "_\r\n",
     1},
    {"another has changed", "WATCH Box/a\n" INCR "\nMULTI\n" INCR "\nEXEC",
     "+OK\r\n:1\r\n+OK\r\n" QUEUED "*1\r\n:2\r\n", 2},
    {"changed before it is watched", INCR "\nWATCH Box/b\nMULTI\n" INCR "\nEXEC",
     ":1\r\n+OK\r\n+OK\r\n" QUEUED "*1\r\n:2\r\n", 2},
    {"watched twice, since the first time",
     "WATCH Box/b\n" INCR "\nWATCH Box/b Box/c\nWATCH Box/c\nMULTI\n" INCR "\nEXEC",
     "+OK\r\n:1\r\n+OK\r\n+OK\r\n+OK\r\n" QUEUED "*-1\r\n", 1},
    {"watch, and nothing to do", "WATCH Box/b\nMULTI\nEXEC\nWATCH Box/b\n" INCR "\nMULTI\nEXEC",
     "+OK\r\n+OK\r\n*0\r\n+OK\r\n:1\r\n+OK\r\n*-1\r\n", 1},
    {"unwatch", "WATCH Box/b\n" INCR "\nUNWATCH\nMULTI\n" INCR "\nEXEC",
     "+OK\r\n:1\r\n+OK\r\n+OK\r\n" QUEUED "*1\r\n:2\r\n", 2},
    {"watch, discard", "WATCH Box/b\n" INCR "\nMULTI\nDISCARD\nMULTI\n" INCR "\nEXEC",
     "+OK\r\n:1\r\n+OK\r\n+OK\r\n+OK\r\n" QUEUED "*1\r\n:2\r\n", 2},
    {"watch, reset", "WATCH Box/b\n" INCR "\nRESET\nMULTI\n" INCR "\nEXEC",
     "+OK\r\n:1\r\n+RESET\r\n+OK\r\n" QUEUED "*1\r\n:2\r\n", 2},
    {"no name of an object", "WATCH Box/b k\nMULTI\n" INCR "\nEXEC\nMULTI\n" INCR "\nEXEC",
     NAMES "+OK\r\n" QUEUED ABORT "+OK\r\n" QUEUED "*1\r\n:1\r\n", 1},
    {"no id", "WATCH Box/\nUNWATCH\nWATCH /b\nUNWATCH\nMULTI\n" INCR "\nEXEC",
     NAMES "+OK\r\n" NAMES "+OK\r\n+OK\r\n" QUEUED "*1\r\n:1\r\n", 1},
    {"watch of no type", "WATCH Nothing/b\nMULTI\n" INCR "\nEXEC\nMULTI\n" INCR "\nEXEC",
     "-UNKNOWN_TYPE there is no type 'Nothing'\r\n+OK\r\n" QUEUED ABORT "+OK\r\n" QUEUED "*1\r\n:1\r\n", 1},
    {"another namespace", "WATCH Box/b\nCAIRN.NAMESPACE x\nMULTI\nCAIRN.NAMESPACE x\nEXEC",
     "+OK\r\n-BAD_REQUEST objects of this namespace are watched: UNWATCH first\r\n+OK\r\n" OTHER("cairn.namespace")
         ABORT,
     0},
    {"watch inside", "MULTI\n" INCR "\nWATCH Box/b\n" INCR "\nEXEC",
     "+OK\r\n" QUEUED "-ERR WATCH inside MULTI is not allowed\r\n" QUEUED "*2\r\n:1\r\n:2\r\n", 2},
    {"unwatch inside", "MULTI\nUNWATCH\n" INCR "\nEXEC", "+OK\r\n" OTHER("unwatch") QUEUED ABORT, 0},
    {"quit", "MULTI\n" INCR "\nQUIT", "+OK\r\n" QUEUED "+OK\r\n", 0},
    {"quit behind", "MULTI\n" INCR "\nEXEC\nQUIT", "+OK\r\n" QUEUED "*1\r\n:1\r\n+OK\r\n", 1},
};

/* How often Box.incr has run on `b`, asked by another session. */
static int runs(struct talk *talk)
{
    struct cairn_session *mine = talk->session;
    const char *got;
    int count = 0;

    talk->got.size = 0;
    talk->session = cairn_resp_session_open(&talk->front, talk);
    talk_command(talk, "FCALL Box.get 1 b");
    talk_settle(talk);
    got = talk_received(talk);
    sscanf(got, "$%*d\r\n%d", &count);
    talk_hang_up(talk);
    talk->session = mine;
    return count;
}

static void send_lines(struct talk *talk, const char *lines, bool settle_each)
{
    char *copy = strdup(lines), *at = copy, *line;

    while ((line = strsep(&at, "\n"))) {
        talk_command(talk, line);
        if (settle_each)
            talk_settle(talk);
    }
    free(copy);
}

static void check_dialogue(size_t i, bool settle_each)
{
    struct talk *talk = talk_create(cairn_resp_session_open, NULL);
    int ran;

    send_lines(talk, dialogues[i].lines, settle_each);
    talk_settle(talk);
    talk_expect(talk, dialogues[i].label, dialogues[i].want);
    ran = runs(talk);
    if (ran != dialogues[i].ran)
        fail_msg("%s: Box.incr ran %d times", dialogues[i].label, ran);
    talk_destroy(talk);
}

static void test_dialogues(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof dialogues / sizeof dialogues[0]; i++) {
        check_dialogue(i, false);
        check_dialogue(i, true);
    }
}

/* EXEC has arrived: what it stands for is done, whoever is left to hear of it. */
static void test_client_gone(void **state)
{
    struct talk *talk = talk_create(cairn_resp_session_open, NULL);

    (void)state;
    send_lines(talk, INCR "\nMULTI\nFCALL Box.never 1 b\n" INCR "\n" INCR "\nEXEC", false);
    talk_settle(talk);
    talk_hang_up(talk);
    assert_int_equal(runs(talk), 1);
    standin_release(talk->standin);
    talk_settle(talk);
    assert_int_equal(runs(talk), 3);
    assert_true(cairn_list_empty(&talk->front.sessions)); /* freed when all was done */
    talk_destroy(talk);
}

/* The client sends EXEC and says that it will send nothing more. */
static void test_end_of_input(void **state)
{
    struct talk *talk = talk_create(cairn_resp_session_open, NULL);

    (void)state;
    send_lines(talk, "MULTI\nFCALL Box.late 1 b 2 x\n" INCR "\nEXEC\nPING", false);
    cairn_session_input_ended(talk->session);
    talk_settle(talk);
    assert_null(talk->session);
    talk_expect(talk, "all replies", "+OK\r\n" QUEUED QUEUED "*2\r\n$1\r\nx\r\n:1\r\n+PONG\r\n");
    talk_destroy(talk);
}

static void test_node_closes(void **state)
{
    struct talk *talk = talk_create(cairn_resp_session_open, NULL);

    (void)state;
    send_lines(talk, "MULTI\nFCALL Box.never 1 b\n" INCR "\nEXEC", false);
    talk_settle(talk);
    talk_hang_up(talk);
    assert_false(cairn_list_empty(&talk->front.sessions));
    talk_destroy(talk); /* frees what waits: told by the sanitizer */
}

/* What is watched is known only when its reply has left, and EXEC waits for that. */
static void test_output_full(void **state)
{
    const struct cairn_front_limits limits = {.output_bytes = 1000};
    struct talk *talk = talk_create(cairn_resp_session_open, &limits);

    (void)state;
    talk->sends = false;
    send_lines(talk, "FCALL Box.big 1 b 2000\nWATCH Box/b\n" INCR "\nMULTI\n" INCR "\nEXEC", false);
    talk_settle(talk);
    for (int i = 0; i < 100; i++) {
        struct cairn_bytes output = cairn_session_output(talk->session);

        output.size = output.size < 300 ? output.size : 300;
        cairn_buf_add(&talk->got, output.data, output.size);
        cairn_session_sent(talk->session, output.size);
        talk_settle(talk);
    }
    assert_non_null(strstr(talk_received(talk), "+OK\r\n:1\r\n+OK\r\n" QUEUED "*-1\r\n"));
    talk_destroy(talk);
}

/* The client is gone while WATCH is under way, or its reply cannot leave. */
static void test_watch_gone(void **state)
{
    const struct cairn_front_limits limits = {.output_bytes = 1000};

    (void)state;
    for (int turns = 0; turns < 4; turns++) {
        struct talk *talk = talk_create(cairn_resp_session_open, &limits);

        talk->sends = false;
        send_lines(talk, "FCALL Box.big 1 b 2000\nWATCH Box/b Box/c\nPING", false);
        for (int i = 0; i < turns; i++)
            talk_turn(talk);
        talk_hang_up(talk);
        talk_settle(talk);
        assert_true(cairn_list_empty(&talk->front.sessions));
        talk_destroy(talk);
    }
}

static void test_bounds(void **state)
{
    const struct cairn_front_limits few = {.transaction_commands = 2}, small = {.transaction_bytes = 300};
    struct talk *talk = talk_create(cairn_resp_session_open, &few);

    (void)state;
    send_lines(talk, "MULTI\n" INCR "\n" INCR "\n" INCR "\nEXEC\nPING", false);
    talk_settle(talk);
    talk_expect(talk, "commands",
                "+OK\r\n" QUEUED QUEUED
                "-LIMIT a transaction has at most 2 commands of together 33554432 bytes: send smaller transactions, or "
                "the commands without MULTI\r\n" ABORT "+PONG\r\n");
    assert_int_equal(runs(talk), 0);
    talk_destroy(talk);
    talk = talk_create(cairn_resp_session_open, &small);
    send_lines(talk, "MULTI\n" INCR "\n" INCR "\n" INCR "\n" INCR "\n" INCR "\nEXEC\nPING", false);
    talk_settle(talk);
    assert_non_null(
        strstr(talk_received(talk), "-LIMIT a transaction has at most 16384 commands of together 300 bytes"));
    assert_int_equal(runs(talk), 0);
    talk_destroy(talk);
}

/* What is queued counts as input: a worker keeps no more of it than of half received requests. */
static void test_memory(void **state)
{
    const struct cairn_front_limits limits = {.memory_bytes = 8 * 128 << 10, .partial_bytes = 1000};
    struct talk *talk = talk_create(cairn_resp_session_open, &limits);
    struct cairn_buf line = {0};

    (void)state;
    cairn_buf_str(&line, "FCALL Box.set 1 b ");
    memset(cairn_buf_reserve(&line, 9001), 'v', 9000);
    line.size += 9000;
    cairn_buf_u8(&line, 0);
    talk_command(talk, "MULTI");
    for (int i = 0; i < 5; i++)
        talk_command(talk, (const char *)line.data);
    talk_settle(talk);
    talk_expect(talk, "below", "+OK\r\n" QUEUED QUEUED QUEUED QUEUED QUEUED);
    talk_command(talk, "DISCARD");
    talk_command(talk, "MULTI");
    for (int i = 0; i < 5; i++)
        talk_command(talk, (const char *)line.data);
    talk_settle(talk);
    talk_expect(talk, "again", "+OK\r\n+OK\r\n" QUEUED QUEUED QUEUED QUEUED QUEUED);
    for (int i = 0; i < 30 && talk->session; i++) {
        talk_command(talk, (const char *)line.data);
        talk_settle(talk);
    }
    assert_null(talk->session); /* beyond: it was refused, and ended */
    assert_int_equal(talk->front.partial_purse.spent, 0);
    cairn_buf_done(&line);
    talk_destroy(talk);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_dialogues),   cmocka_unit_test(test_client_gone), cmocka_unit_test(test_end_of_input),
        cmocka_unit_test(test_node_closes), cmocka_unit_test(test_output_full), cmocka_unit_test(test_bounds),
        cmocka_unit_test(test_memory),      cmocka_unit_test(test_watch_gone),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
