/* Would catch: a promise that a method settles although its segment, or its transaction, came to nothing; an outcome
 * that is lost, or comes twice, when the node is cut off; a second one that takes the place of the first, or of which
 * nobody hears; a method that can settle what it cannot know. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "object/layout.h"
#include "support/seen.h"

/* Flow/a waits for the promise. */
static void vow(struct simnode *sim, struct simcall *call, char id[80])
{
    flow_submit(sim, call, "a", "vow", "x", "0", "0", "once");
    simnode_settle(sim);
    snprintf(id, 80, "%.64s", flows_ask(sim, "Flow", "a", "word") + 1);
    assert_int_equal(strlen(id), 64);
}

static const char *ask(struct simnode *sim, const char *method, const char *a, const char *b, const char *c,
                       const char *d)
{
    static char text[300];
    struct simcall call;

    simcall_init(&call, CAIRN_OP_INVOKE, "Flow", "s", method, NULL);
    for (const char *const *arg = (const char *const[]){a, b, c, d, NULL}; *arg; arg++)
        simcall_arg(&call, *arg);
    simcall_run(sim, &call);
    snprintf(text, sizeof text, "%.290s", simvalue_text(cairn_buf_bytes(&call.reply)));
    simcall_done(&call);
    return text;
}

/* As a client. */
static const char *settle(struct simnode *sim, const char *id)
{
    static char text[300];
    struct cairn_buf value = {0};
    struct simcall call;

    simcall_init(&call, CAIRN_OP_SETTLE, NULL, NULL, NULL, NULL);
    cairn_value_add_bytes(&value, cairn_str("client"));
    call.request.name = cairn_str(id);
    call.request.body = cairn_buf_bytes(&value);
    simcall_run(sim, &call);
    snprintf(text, sizeof text, "%.290s", simvalue_text(cairn_buf_bytes(&call.reply)));
    simcall_done(&call);
    cairn_buf_done(&value);
    return text;
}

static const char *dead_letters(struct simnode *sim)
{
    static char text[1000];
    struct simcall call;

    simcall_init(&call, CAIRN_OP_MESSAGES, NULL, NULL, NULL, NULL);
    call.request.dead = true;
    simcall_run(sim, &call);
    snprintf(text, sizeof text, "%.990s", simvalue_text(cairn_buf_bytes(&call.reply)));
    simcall_done(&call);
    return text;
}

static void hears(struct simnode *sim, struct simcall *call, const char *want)
{
    assert_string_equal(flow_outcome(sim, call), want);
    simcall_done(call);
    flow_nothing_is_left(sim);
}

/* --- from where it may be said -------------------------------------------------------------------------------- */

static void said_by(const char *method, bool as_alarm, bool as_message, const struct simnode_options *options)
{
    struct simcall call;
    struct simnode sim;
    char id[80];

    flows_open(&sim, 10, options);
    vow(&sim, &call, id);
    if (as_alarm)
        assert_string_equal(ask(&sim, "alarm", "30", method, id, "yes"), "nil");
    else if (as_message)
        assert_string_equal(ask(&sim, "post", "t", method, id, "yes"), "nil");
    else
        assert_string_equal(ask(&sim, method, id, "yes", NULL, NULL), "1");
    hears(&sim, &call, strcmp(method, "say_no") == 0 ? "!no: not now" : "\"yes\"");
    if (strcmp(method, "say_no") == 0) /* of the second somebody hears */
        assert_non_null(strstr(dead_letters(&sim), "\"conflict\", \"this promise is settled already\""));
    else
        assert_string_equal(dead_letters(&sim), "[[], nil]");
    assert_true(begins(settle(&sim, id), "!conflict: this promise is settled already"));
    simnode_done(&sim);
}

static void is_said_by_any_method(void **state)
{
    static const struct simnode_options streams = {.streams = true};

    (void)state;
    said_by("say", false, false, NULL);
    said_by("say", false, false, &streams);
    said_by("say_no", false, false, NULL);
    said_by("say", true, false, NULL);
    said_by("say", false, true, NULL);
    said_by("say_at_once", false, false, NULL);
    said_by("say_later", false, false, &streams);
    said_by("say_later", false, true, NULL);
}

static void is_not_said_if_nothing_is_committed(void **state)
{
    struct simcall call;
    struct simnode sim;
    char id[80];

    (void)state;
    flows_open(&sim, 20, NULL);
    vow(&sim, &call, id);
    assert_true(begins(ask(&sim, "say_and_fail", id, "yes", NULL, NULL), "!failed"));
    assert_true(begins(ask(&sim, "say_at_once", id, "yes", "fail", NULL), "!failed"));
    assert_true(begins(ask(&sim, "say_and_read", id, "yes", NULL, NULL), "!not_read_only"));
    assert_string_equal(ask(&sim, "say", "7f3a", "yes", NULL, NULL), "0");
    simnode_settle(&sim);
    assert_false(call.replied);
    assert_string_equal(dead_letters(&sim), "[[], nil]");
    assert_string_equal(settle(&sim, id), "nil");
    assert_string_equal(ask(&sim, "say", id, "yes", NULL, NULL), "1"); /* and the second is a dead letter */
    hears(&sim, &call, "\"client\"");
    assert_non_null(strstr(dead_letters(&sim), "\"conflict\""));
    id[3] = id[3] == '0' ? '1' : '0';
    assert_string_equal(ask(&sim, "say", id, "yes", NULL, NULL), "1");
    simnode_settle(&sim);
    assert_non_null(strstr(dead_letters(&sim), "\"not_found\""));
    simnode_done(&sim);
}

/* --- when the node is cut off ----------------------------------------------------------------------------------- */

/* Cut off `at` steps after it was to be said.  False: the one that waits had heard of it before. */
static bool crash_at(int at, const char *method, bool streams)
{
    static const enum cairn_sim_crash how[] = {CAIRN_SIM_DROP, CAIRN_SIM_KEEP, CAIRN_SIM_TEAR};
    const struct simnode_options options = {.streams = streams};
    struct simcall call, says;
    struct simnode sim;
    char id[80];
    bool over;

    flows_open(&sim, 100 + (uint64_t)at, &options);
    vow(&sim, &call, id);
    flow_submit(&sim, &says, "s", method, id, "yes", NULL, "twice");
    for (int i = 0; i < at && !call.replied; i++)
        simnode_step(&sim);
    over = call.replied;
    simnode_crash(&sim, how[(unsigned)at % 3]);
    flows_reopen(&sim);
    simcall_done(&says);
    simcall_done(&call);
    flow_submit(&sim, &says, "s", method, id, "yes", NULL, "twice"); /* the key has it done once */
    assert_string_equal(flow_outcome(&sim, &says), "1");
    flow_submit(&sim, &call, "a", "vow", "x", "0", "0", "once");
    simcall_done(&says);
    hears(&sim, &call, "\"yes\"");
    assert_string_equal(dead_letters(&sim), "[[], nil]");
    assert_int_equal(flows_tally(&sim, "x"), 1);
    simnode_done(&sim);
    return !over;
}

static void is_said_once_whenever_the_node_is_cut_off(void **state)
{
    (void)state;
    for (int at = 0; crash_at(at, "say", at % 2); at += 23)
        ;
    for (int at = 5; crash_at(at, "say_later", at % 2); at += 67)
        ;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(is_said_by_any_method),
        cmocka_unit_test(is_not_said_if_nothing_is_committed),
        cmocka_unit_test(is_said_once_whenever_the_node_is_cut_off),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
