/* Would catch: a promise that is settled twice, or by somebody who guessed, or after its time; an outcome that was
 * acknowledged and is lost, or is another one after a crash; an invocation that is not woken, or holds an instance
 * while it waits; a promise that stays in its shard when its invocation is over; `not_found` for one that was settled
 * a moment ago; `settled already` that is heard, and not true after a crash. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "object/layout.h"
#include "object/worker.h"
#include "support/flows.h"

struct vow {
    struct simcall call;
    char id[80];
};

/* The promise's id, or nothing. */
static bool read_id(struct simnode *sim, struct vow *vow)
{
    const char *text = flows_ask(sim, "Flow", "a", "word");

    if (text[0] != '"')
        return false;
    snprintf(vow->id, sizeof vow->id, "%.*s", (int)strcspn(text + 1, "\""), text + 1);
    return true;
}

static void submit(struct simnode *sim, struct vow *vow, const char *within, const char *rest)
{
    simcall_init(&vow->call, CAIRN_OP_INVOKE, "Flow", "a", "vow", "x", within, rest, NULL);
    simcall_key(&vow->call, "once");
    simcall_submit(sim, &vow->call, 0);
}

static void begin(struct simnode *sim, struct vow *vow, const char *within, const char *rest)
{
    submit(sim, vow, within, rest);
    while (!read_id(sim, vow))
        simnode_step(sim);
}

struct settling {
    struct simcall call;
    struct cairn_buf value;
};

static void settling_init(struct settling *s, const char *id, const char *code, const char *text)
{
    *s = (struct settling){0};
    simcall_init(&s->call, CAIRN_OP_SETTLE, NULL, NULL, NULL, NULL);
    if (code)
        cairn_value_add_error(&s->value, cairn_str(code), cairn_str(text));
    else
        cairn_value_add_bytes(&s->value, cairn_str(text));
    s->call.request.name = cairn_str(id);
    s->call.request.body = cairn_buf_bytes(&s->value);
}

static void settling_done(struct settling *s)
{
    simcall_done(&s->call);
    cairn_buf_done(&s->value);
}

/* What whoever settles it hears. */
static const char *settle(struct simnode *sim, const char *id, const char *code, const char *text)
{
    static char heard[200];
    struct settling s;

    settling_init(&s, id, code, text);
    simcall_run(sim, &s.call);
    snprintf(heard, sizeof heard, "%.190s", simvalue_text(cairn_buf_bytes(&s.call.reply)));
    settling_done(&s);
    return heard;
}

static const char *outcome(struct simnode *sim, struct vow *vow)
{
    if (!vow->call.replied)
        for (int i = 0; i < 2000000 && !vow->call.replied; i++)
            simnode_step(sim);
    assert_true(vow->call.replied);
    return simvalue_text(cairn_buf_bytes(&vow->call.reply));
}

static void end(struct simnode *sim, struct vow *vow)
{
    simcall_done(&vow->call);
    assert_true(flows_rest(sim));
    assert_int_equal(flows_keys_with(sim, KEY_PROMISE), 0);
    assert_int_equal(flows_keys_with(sim, KEY_DURABLE_SLEEPER), 0);
    simnode_done(sim);
}

#define SETTLED "!conflict: this promise is settled already"
#define NONE    "!not_found: there is no promise with this id"

static bool begins(const char *text, const char *with)
{
    return strncmp(text, with, strlen(with)) == 0;
}

static void is_known_by_its_id_alone(struct simnode *sim, const char *of)
{
    for (int i = 0; i < 64; i++) {
        char id[80];

        snprintf(id, sizeof id, "%s", of);
        id[i] = id[i] == '0' ? '1' : '0';
        assert_true(begins(settle(sim, id, NULL, "yes"), NONE));
    }
}

static void is_settled_once(void **state)
{
    struct simnode sim;
    struct vow vow;

    (void)state;
    flows_open(&sim, 1, NULL);
    simnode_expect(&sim, "!limit: Flow.plain_vow tried to make a promise: only durable methods can", "Flow", "b",
                   "plain_vow", NULL);
    begin(&sim, &vow, "0", "1000");
    for (uint32_t i = 0; i < sim.options.workers; i++)
        assert_int_equal(cairn_node_worker(sim.node, i)->fibers, 0);
    assert_string_equal(settle(&sim, vow.id, NULL, "yes"), "nil");
    assert_string_equal(settle(&sim, vow.id, NULL, "yes"), SETTLED);
    assert_string_equal(settle(&sim, vow.id, "no", "no"), SETTLED);
    assert_string_equal(outcome(&sim, &vow), "\"yes\"");
    assert_string_equal(settle(&sim, vow.id, "no", "no"), SETTLED); /* its invocation is over */
    is_known_by_its_id_alone(&sim, vow.id);
    simnode_crash(&sim, CAIRN_SIM_KEEP);
    flows_reopen(&sim);
    assert_true(begins(settle(&sim, vow.id, NULL, "yes"), NONE)); /* and the node has forgotten it */
    assert_int_equal(flows_tally(&sim, "x"), 1);
    end(&sim, &vow);
}

static void is_rejected(void **state)
{
    struct simnode sim;
    struct vow vow;

    (void)state;
    flows_open(&sim, 2, NULL);
    begin(&sim, &vow, "100000", "0");
    assert_string_equal(settle(&sim, vow.id, "declined", "no money"), "nil");
    assert_string_equal(outcome(&sim, &vow), "!declined: no money");
    end(&sim, &vow);
}

static void has_its_time(void **state)
{
    struct simnode sim;
    struct vow vow;

    (void)state;
    flows_open(&sim, 3, NULL);
    begin(&sim, &vow, "500", "2000");
    cairn_sim_clock_advance(&sim.clock, 1000000000);
    assert_string_equal(settle(&sim, vow.id, NULL, "late"), "!conflict: this promise's time is over");
    assert_string_equal(outcome(&sim, &vow), "!timed_out: the promise's time is over");
    end(&sim, &vow);
}

static void is_not_guessed(void **state)
{
    struct simnode sim;
    struct vow vow;

    (void)state;
    flows_open(&sim, 4, NULL);
    begin(&sim, &vow, "0", "0");
    assert_true(begins(settle(&sim, "7f3a", NULL, "yes"), NONE));
    is_known_by_its_id_alone(&sim, vow.id);
    assert_false(vow.call.replied);
    assert_string_equal(settle(&sim, vow.id, NULL, "yes"), "nil");
    assert_string_equal(outcome(&sim, &vow), "\"yes\"");
    end(&sim, &vow);
}

/* The second is told so only when that cannot be lost any more. */
static void second_hears_what_is_durable(void **state)
{
    struct settling first, second;
    struct simnode sim;
    struct vow vow;

    (void)state;
    flows_open(&sim, 5, NULL);
    begin(&sim, &vow, "0", "100000");
    settling_init(&first, vow.id, NULL, "yes");
    settling_init(&second, vow.id, NULL, "no");
    simcall_submit(&sim, &first.call, 0);
    simcall_submit(&sim, &second.call, 0);
    while (!second.call.replied)
        simnode_step(&sim);
    assert_true(first.call.replied);
    assert_string_equal(simvalue_text(cairn_buf_bytes(&first.call.reply)), "nil");
    assert_string_equal(simvalue_text(cairn_buf_bytes(&second.call.reply)), SETTLED);
    settling_done(&first);
    settling_done(&second);
    assert_string_equal(outcome(&sim, &vow), "\"yes\"");
    end(&sim, &vow);
}

/* Cut off while it begins, and while it is settled; somebody else then says something else.  False: the first was
 * heard before the crash. */
static bool cut_off(const struct simnode_options *options, int at)
{
    static const enum cairn_sim_crash how[] = {CAIRN_SIM_DROP, CAIRN_SIM_KEEP, CAIRN_SIM_TEAR};
    struct simnode sim;
    struct settling first;
    const char *heard, *said;
    struct vow vow;
    bool acknowledged;

    flows_open(&sim, 100 + (uint64_t)at, options);
    submit(&sim, &vow, "0", "20");
    for (int i = 0; i < at; i++)
        simnode_step(&sim);
    simnode_crash(&sim, how[(unsigned)at % 3]);
    flows_reopen(&sim);
    simcall_done(&vow.call);
    begin(&sim, &vow, "0", "20");
    settling_init(&first, vow.id, NULL, "yes");
    simcall_submit(&sim, &first.call, (uint32_t)at % 2);
    for (int i = 0; i < at && !first.call.replied; i++)
        simnode_step(&sim);
    acknowledged = first.call.replied;
    if (acknowledged)
        assert_string_equal(simvalue_text(cairn_buf_bytes(&first.call.reply)), "nil");
    simnode_crash(&sim, how[(unsigned)(at / 3) % 3]);
    flows_reopen(&sim);
    settling_done(&first);
    heard = settle(&sim, vow.id, NULL, "no");
    said = strcmp(heard, "nil") == 0 ? "\"no\"" : "\"yes\"";
    if (acknowledged && strcmp(said, "\"yes\"") != 0)
        fail_msg("cut off at step %d: what was acknowledged is lost", at);
    simcall_done(&vow.call);
    submit(&sim, &vow, "0", "20");
    assert_string_equal(outcome(&sim, &vow), said);
    assert_int_equal(flows_tally(&sim, "x"), 1);
    end(&sim, &vow);
    return !acknowledged;
}

static void happens_once_whenever_it_is_cut_off(void **state)
{
    (void)state;
    for (int at = 0; cut_off(NULL, at); at += 3)
        ;
}

static void happens_once_with_a_log_for_each_shard(void **state)
{
    const struct simnode_options options = {.streams = true};

    (void)state;
    for (int at = 0; cut_off(&options, at); at += 11)
        ;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(is_settled_once),
        cmocka_unit_test(is_rejected),
        cmocka_unit_test(has_its_time),
        cmocka_unit_test(is_not_guessed),
        cmocka_unit_test(second_hears_what_is_durable),
        cmocka_unit_test(happens_once_whenever_it_is_cut_off),
        cmocka_unit_test(happens_once_with_a_log_for_each_shard),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
