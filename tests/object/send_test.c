/* Would catch: a client's message that is acknowledged and lost, or runs twice, by itself or for being sent again with
 * its key, over crashes at any step; one that waits for what its object does before it is acknowledged; one to a method
 * that does not exist or is internal and is taken all the same; a delay that is not kept; a key that is used up by a
 * message that found no room. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/metric.h"
#include "support/simnode.h"

#define expect(want, ...) simnode_expect(&sim, want, "Mail", __VA_ARGS__, NULL)

static void reopen(struct simnode *sim)
{
    struct cairn_err err;

    if (simnode_open(sim, &err) != CAIRN_OK)
        fail_msg("%s", err.text);
}

static void open_node(struct simnode *sim, uint64_t seed, const struct simnode_options *options)
{
    simnode_init(sim, seed, options);
    reopen(sim);
    simnode_deploy(sim, "mail");
}

static void init(struct simcall *call, const char *type, const char *id, const char *method, const char *key)
{
    simcall_init(call, CAIRN_OP_SEND, type, id, method, NULL);
    if (key)
        simcall_key(call, key);
}

/* What it is answered with. */
static const char *sent(struct simnode *sim, const char *type, const char *id, const char *method, const char *key,
                        const char *arg, uint64_t delay_ms)
{
    static char text[1024];
    struct simcall call;

    init(&call, type, id, method, key);
    if (arg)
        simcall_arg(&call, arg);
    call.request.delay_ms = delay_ms;
    simcall_run(sim, &call);
    snprintf(text, sizeof text, "%s", simvalue_text(cairn_buf_bytes(&call.reply)));
    simcall_done(&call);
    return text;
}

static void begins(const char *text, const char *start)
{
    if (strncmp(text, start, strlen(start)) != 0)
        fail_msg("%s does not begin with %s", text, start);
}

static void it_runs_once(void **state)
{
    struct simnode_options options = {.workers = 2, .shards = 4};
    struct simnode sim;
    char first[1024];

    (void)state;
    open_node(&sim, 1, &options);
    begins(sent(&sim, "Mail", "a", "add", NULL, "5", 0), "\"");
    simnode_settle(&sim);
    expect("5", "a", "count");
    snprintf(first, sizeof first, "%s", sent(&sim, "Mail", "a", "add", "k1", "7", 0));
    begins(first, "\"");
    assert_string_equal(sent(&sim, "Mail", "a", "add", "k1", "7", 0), first);
    begins(sent(&sim, "Mail", "a", "add", "k1", "8", 0), "!key_reused");
    simnode_settle(&sim);
    expect("12", "a", "count");
    simnode_crash(&sim, CAIRN_SIM_DROP);
    reopen(&sim);
    assert_string_equal(sent(&sim, "Mail", "a", "add", "k1", "7", 0), first);
    simnode_settle(&sim);
    expect("12", "a", "count");
    /* A call with the same key is something else. */
    begins(sent(&sim, "Nobody", "a", "add", NULL, NULL, 0), "!unknown_type");
    begins(sent(&sim, "Mail", "a", "nothing", NULL, NULL, 0), "!unknown_method");
    begins(sent(&sim, "Mail", "a", "take", NULL, NULL, 0), "!not_public");
    assert_int_equal(sim_metric(&sim, "cairn_messages_waiting"), 0);
    assert_int_equal(sim_metric(&sim, "cairn_message_bytes"), 0);
    simnode_done(&sim);
}

static void a_delay_is_kept(void **state)
{
    struct simnode_options options = {.workers = 1, .shards = 2};
    struct simnode sim;

    (void)state;
    open_node(&sim, 2, &options);
    begins(sent(&sim, "Mail", "a", "add", NULL, "1", 60000), "\"");
    cairn_sim_clock_advance(&sim.clock, UINT64_C(50000000000));
    simnode_settle(&sim);
    expect("0", "a", "count");
    cairn_sim_clock_advance(&sim.clock, UINT64_C(11000000000));
    simnode_settle(&sim);
    expect("1", "a", "count");
    simnode_done(&sim);
}

/* The dead letter has the number that the sender was told. */
static void the_number_stays(void **state)
{
    struct simnode_options options = {.workers = 2, .shards = 4};
    struct simcall call;
    struct simnode sim;
    char number[1024];

    (void)state;
    open_node(&sim, 3, &options);
    snprintf(number, sizeof number, "%s", sent(&sim, "Mail", "b", "refuse", NULL, NULL, 0));
    simnode_settle(&sim);
    number[strlen(number) - 1] = 0;
    simcall_init(&call, CAIRN_OP_MESSAGE, NULL, NULL, NULL, NULL);
    call.request.name = cairn_str(number + 1);
    simcall_run(&sim, &call);
    assert_non_null(strstr(simvalue_text(cairn_buf_bytes(&call.reply)), "\"dead\", \"Mail\", \"b\", \"refuse\", \"\""));
    simcall_done(&call);
    simnode_done(&sim);
}

static void no_room_uses_no_key_up(void **state)
{
    struct simnode_options options = {.workers = 1, .shards = 1, .limits = {.message_bytes = 8000}};
    struct simnode sim;
    int i;

    (void)state;
    open_node(&sim, 4, &options);
    for (i = 0; i < 1000 && sent(&sim, "Mail", "b", "add", NULL, "1", 60000)[0] == '"'; i++)
        ;
    assert_in_range(i, 2, 999);
    begins(sent(&sim, "Mail", "a", "add", "key", "1", 0), "!overloaded");
    cairn_sim_clock_advance(&sim.clock, UINT64_C(61000000000));
    simnode_settle(&sim);
    begins(sent(&sim, "Mail", "a", "add", "key", "1", 0), "\"");
    simnode_settle(&sim);
    expect("1", "a", "count");
    simnode_done(&sim);
}

/* What is acknowledged runs; what is sent again with its key runs once. */
static void over_crashes(void **state)
{
    static const enum cairn_sim_crash how[] = {CAIRN_SIM_DROP, CAIRN_SIM_KEEP, CAIRN_SIM_TEAR};

    (void)state;
    for (uint64_t seed = 1; seed <= 4; seed++) {
        struct simnode_options options = {.workers = 2, .shards = 3, .streams = seed == 4};
        struct simnode sim;
        char want[16];
        int number = 0;

        open_node(&sim, seed, &options);
        for (uint64_t crash = 0; crash < 25; crash++) {
            struct simcall call;
            char key[16];

            snprintf(key, sizeof key, "k%d", number++);
            init(&call, "Mail", "a", "add", key);
            simcall_arg(&call, "1");
            simcall_submit(&sim, &call, crash % 2);
            for (uint64_t steps = crash + seed; steps > 0; steps--)
                simnode_step(&sim);
            simnode_crash(&sim, how[crash % 3]);
            simcall_done(&call);
            reopen(&sim);
            begins(sent(&sim, "Mail", "a", "add", key, "1", 0), "\"");
        }
        simnode_settle(&sim);
        snprintf(want, sizeof want, "%d", number);
        expect(want, "a", "count");
        assert_int_equal(sim_metric(&sim, "cairn_messages_waiting"), 0);
        simnode_done(&sim);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_runs_once),           cmocka_unit_test(a_delay_is_kept), cmocka_unit_test(the_number_stays),
        cmocka_unit_test(no_room_uses_no_key_up), cmocka_unit_test(over_crashes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
