/* Would catch: a command between MULTI and EXEC that runs before EXEC, or at all when EXEC is refused; replies of EXEC
 * in another order, or outside of its array; a command that begins before the one before has ended, or beside what was
 * sent before MULTI or behind EXEC; an EXEC that stops half way when its client is gone or does not read; a queue
 * without a bound; a WATCH that is refused and then ignored. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "server/talk.h"

#define INCR   "FCALL Box.incr 1 b"
#define ABORT  "-EXECABORT Transaction discarded because of previous errors.\r\n"
#define QUEUED "+QUEUED\r\n"
#define ARITY  "-ERR wrong number of arguments for 'fcall' command\r\n"
#define NO_WATCH                                                                                             \
    "-ERR WATCH is not supported by cairn, and the next EXEC will run nothing: there are no keys to watch; " \
    "let one method read, check and change the object\r\n"

/* Commands of one connection, one per line, and its replies; then how often Box.incr has run. */
static const struct {
    const char *label, *lines, *want;
    int ran;
} dialogues[] = {
    {"two calls", "MULTI\n" INCR "\n" INCR "\nEXEC", "+OK\r\n" QUEUED QUEUED "*2\r\n:1\r\n:2\r\n", 2},
    {"nothing", "MULTI\nEXEC", "+OK\r\n*0\r\n", 0},
    {"every kind", "MULTI\nPING\nfcall Box.late 1 b 3 x\nECHO e\nFCALL_RO Box.nil 1 b\nEXEC\nPING",
     "+OK\r\n" QUEUED QUEUED QUEUED QUEUED "*4\r\n+PONG\r\n$1\r\nx\r\n$1\r\ne\r\n$-1\r\n+PONG\r\n", 0},
    {"late ones stay in order", "MULTI\nFCALL Box.late 1 b 4 first\n" INCR "\nFCALL Box.late 1 b 1 third\nEXEC\n" INCR,
     "+OK\r\n" QUEUED QUEUED QUEUED "*3\r\n$5\r\nfirst\r\n:1\r\n$5\r\nthird\r\n:2\r\n", 2},
    {"behind an earlier command", "FCALL Box.late 1 b 3 early\nMULTI\n" INCR "\nEXEC\nPING",
     "$5\r\nearly\r\n+OK\r\n" QUEUED "*1\r\n:1\r\n+PONG\r\n", 1},
    {"an error at run time is its own command's",
     "MULTI\n" INCR "\nFCALL Nothing.x 1 b\nFCALL Box.fail 1 b mine no\nCLIENT KILL 1\n" INCR "\nEXEC",
     "+OK\r\n" QUEUED QUEUED QUEUED QUEUED QUEUED "*5\r\n:1\r\n-UNKNOWN_TYPE there is no type 'Nothing'\r\n-MINE no\r\n"
     "-ERR CLIENT KILL is not supported by cairn\r\n:2\r\n",
     2},
    {"a wrong arity", "MULTI\n" INCR "\nFCALL Box.incr\n" INCR "\nEXEC\n" INCR,
     "+OK\r\n" QUEUED ARITY QUEUED ABORT ":1\r\n", 1},
    {"an unknown command", "MULTI\n" INCR "\nSET a b\nEXEC",
     "+OK\r\n" QUEUED
     "-ERR unknown command 'SET', with args beginning with: 'a' 'b' (methods are called by FCALL TYPE.METHOD 1 ID "
     "[ARG ...])\r\n" ABORT,
     0},
    {"a call that cannot be", "MULTI\n" INCR "\nFCALL Box.incr 3 a b c\nEXEC",
     "+OK\r\n" QUEUED
     "-BAD_REQUEST the number of keys must be 1 (ID) or 2 (ID and an idempotency key): write FCALL TYPE.METHOD 1 ID "
     "[ARG ...]\r\n" ABORT,
     0},
    {"an empty key", "MULTI\nFCALL Box.incr 2 b \nEXEC",
     "+OK\r\n-BAD_REQUEST an idempotency key has 1 to 256 bytes, this one has 0: for a call without a key write FCALL "
     "TYPE.METHOD 1 ID [ARG ...]\r\n" ABORT,
     0},
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
    {"watch", "WATCH k\nMULTI\n" INCR "\nEXEC\nMULTI\n" INCR "\nEXEC",
     NO_WATCH "+OK\r\n" QUEUED ABORT "+OK\r\n" QUEUED "*1\r\n:1\r\n", 1},
    {"unwatch", "WATCH k\nUNWATCH\nMULTI\n" INCR "\nEXEC", NO_WATCH "+OK\r\n+OK\r\n" QUEUED "*1\r\n:1\r\n", 1},
    {"watch, discard", "WATCH k\nMULTI\nDISCARD\nMULTI\n" INCR "\nEXEC",
     NO_WATCH "+OK\r\n+OK\r\n+OK\r\n" QUEUED "*1\r\n:1\r\n", 1},
    {"watch, reset", "WATCH k\nRESET\nMULTI\n" INCR "\nEXEC", NO_WATCH "+RESET\r\n+OK\r\n" QUEUED "*1\r\n:1\r\n", 1},
    {"watch inside", "MULTI\n" INCR "\nWATCH k\n" INCR "\nEXEC",
     "+OK\r\n" QUEUED "-ERR WATCH inside MULTI is not allowed\r\n" QUEUED ABORT, 0},
    {"unwatch inside", "MULTI\nUNWATCH\n" INCR "\nEXEC", "+OK\r\n" QUEUED QUEUED "*2\r\n+OK\r\n:1\r\n", 1},
    {"another version on the way", "MULTI\nFCALL Box.nil 1 b\nHELLO 3\nFCALL Box.nil 1 b\nEXEC",
     "+OK\r\n" QUEUED QUEUED QUEUED
     "*3\r\n$-1\r\n%7\r\n$6\r\nserver\r\n$5\r\ncairn\r\n$7\r\nversion\r\n$5\r\n0.1.0\r\n$5\r\nproto\r\n:3\r\n"
     "$2\r\nid\r\n:1\r\n$4\r\nmode\r\n$10\r\nstandalone\r\n$4\r\nrole\r\n$6\r\nmaster\r\n$7\r\nmodules\r\n*0\r\n_\r\n",
     0},
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
    send_lines(talk, "MULTI\n" INCR "\nFCALL Box.never 1 b\nPING\n" INCR "\n" INCR "\nEXEC", false);
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

/* Nothing is added while the client does not read, and nothing is lost. */
static void test_output_full(void **state)
{
    const struct cairn_front_limits limits = {.output_bytes = 1000};
    struct talk *talk = talk_create(cairn_resp_session_open, &limits);
    struct cairn_buf want = {0};
    size_t most = 0;

    (void)state;
    talk_command(talk, "MULTI");
    cairn_buf_str(&want, "+OK\r\n");
    for (int i = 0; i < 1000; i++) {
        talk_command(talk, i % 2 ? "FCALL Box.big 1 b 90" : "PING");
        cairn_buf_str(&want, QUEUED);
        if (i % 50 == 0)
            talk_settle(talk);
    }
    talk_settle(talk);
    talk->sends = false;
    talk_command(talk, "EXEC");
    cairn_buf_str(&want, "*1000\r\n");
    for (int i = 0; i < 1000; i++) {
        if (i % 2)
            cairn_buf_printf(
                &want, "$90\r\n%s\r\n",
                "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx");
        else
            cairn_buf_str(&want, "+PONG\r\n");
    }
    cairn_buf_u8(&want, 0);
    for (int i = 0; i < 2000; i++) {
        struct cairn_bytes output;

        talk_settle(talk);
        output = cairn_session_output(talk->session);
        most = output.size > most ? output.size : most;
        output.size = output.size < 300 ? output.size : 300;
        cairn_buf_add(&talk->got, output.data, output.size);
        cairn_session_sent(talk->session, output.size);
    }
    talk_expect(talk, "replies", (const char *)want.data);
    assert_true(most < 1200);
    cairn_buf_done(&want);
    talk_destroy(talk);
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

/* So many commands that need no worker are not run in one turn. */
static void test_slices(void **state)
{
    struct talk *talk = talk_create(cairn_resp_session_open, NULL);
    size_t before;

    (void)state;
    talk_command(talk, "MULTI");
    for (int i = 0; i < 10000; i++)
        talk_command(talk, "PING");
    talk_settle(talk);
    talk->got.size = 0;
    talk_command(talk, "EXEC");
    talk_turn(talk);
    assert_in_range(talk->got.size, 1, 4096);
    before = talk->got.size;
    talk_turn(talk);
    assert_in_range(talk->got.size, before + 1, before + 4096);
    talk_settle(talk);
    assert_int_equal(talk->got.size, strlen("*10000\r\n") + 10000 * strlen("+PONG\r\n"));
    talk_destroy(talk);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_dialogues),   cmocka_unit_test(test_client_gone), cmocka_unit_test(test_end_of_input),
        cmocka_unit_test(test_node_closes), cmocka_unit_test(test_output_full), cmocka_unit_test(test_bounds),
        cmocka_unit_test(test_memory),      cmocka_unit_test(test_slices),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
