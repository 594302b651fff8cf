/* Would catch: outcomes of idempotency keys that are in no bound of bytes; a bound that lets a key take effect twice; a
 * new outcome that goes before old ones; an outcome that is gone and is told as something else; bytes that are counted
 * and never given back; numbers that a restart or a refused commit loses; a keyed read that keeps anything. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "support/simnode.h"

static struct simnode sim;

static void open_node(uint64_t seed, uint64_t outcome_bytes, uint32_t keys)
{
    struct simnode_options options = {.workers = 1, .shards = 1, .log_segment_bytes = 1 << 20};
    struct cairn_err err;

    options.limits = (struct cairn_limits){.outcome_bytes = outcome_bytes, .keys_per_shard = keys};
    simnode_init(&sim, seed, &options);
    if (simnode_open(&sim, &err) != CAIRN_OK)
        fail_msg("%s", err.text);
    simnode_deploy(&sim, "step");
}

static void reopen(void)
{
    struct cairn_err err;

    simnode_crash(&sim, CAIRN_SIM_DROP);
    if (simnode_open(&sim, &err) != CAIRN_OK)
        fail_msg("%s", err.text);
}

enum kind { KEPT, GONE, OTHER };

/* Asks for so many bytes with the key of that number. */
static enum kind ask(const char *method, int key, const char *bytes)
{
    struct simcall call;
    enum kind kind = OTHER;
    const char *text;
    char name[16];

    snprintf(name, sizeof name, "k%d", key);
    simcall_init(&call, CAIRN_OP_INVOKE, "Step", "a", method, bytes, NULL);
    simcall_key(&call, name);
    simcall_run(&sim, &call);
    text = simvalue_text(cairn_buf_bytes(&call.reply));
    if (strncmp(text, "\"zzz", 4) == 0)
        kind = KEPT;
    else if (strncmp(text, "!outcome_gone: the first request with this key took effect", 57) == 0) {
        kind = GONE;
        assert_int_equal(call.request.effects, CAIRN_EFFECTS_SOME);
        assert_non_null(strstr(text, " bytes is not kept any more"));
    } else
        fail_msg("%s", text);
    simcall_done(&call);
    return kind;
}

static void expect_count(const char *want)
{
    simnode_expect(&sim, want, "Step", "a", "count", NULL);
}

static uint64_t dropped(void)
{
    return cairn_node_dropped_outcomes(sim.node);
}

static void the_oldest_go_and_take_effect_once(void **state)
{
    (void)state;
    open_node(41, 10000, 1000);
    for (int i = 0; i < 25; i++)
        assert_int_equal(ask("count_large", i, "2000"), KEPT); /* 4 fit: an encoded value is 3 bytes longer */
    for (int i = 0; i < 25; i++)
        assert_int_equal(ask("count_large", i, "2000"), i < 21 ? GONE : KEPT);
    assert_int_equal(dropped(), 21);
    expect_count("25");
    reopen();
    for (int i = 0; i < 25; i++)
        assert_int_equal(ask("count_large", i, "2000"), i < 21 ? GONE : KEPT);
    assert_int_equal(ask("count_large", 25, "2000"), KEPT);
    assert_int_equal(ask("count_large", 21, "2000"), GONE); /* the next oldest, after a restart, too */
    assert_int_equal(ask("count_large", 22, "2000"), KEPT);
    expect_count("26");
    simnode_done(&sim);
}

static void one_that_does_not_fit_is_not_kept(void **state)
{
    (void)state;
    open_node(42, 10000, 1000);
    assert_int_equal(ask("count_large", 1, "300"), KEPT);
    assert_int_equal(ask("count_large", 2, "20000"), KEPT); /* to the first who asks */
    assert_int_equal(ask("count_large", 2, "20000"), GONE);
    assert_int_equal(ask("count_large", 1, "300"), KEPT);
    for (int i = 10; i < 80; i++)
        assert_int_equal(ask("count_large", i, "280"), KEPT);
    assert_int_equal(ask("count_large", 3, "9990"), KEPT);
    assert_int_equal(ask("count_large", 3, "9990"), GONE); /* more old ones than go for one */
    assert_int_equal(ask("count_large", 4, "9990"), KEPT);
    assert_int_equal(ask("count_large", 4, "9990"), KEPT);
    expect_count("74");
    simnode_done(&sim);
}

static void small_ones_do_not_count(void **state)
{
    (void)state;
    open_node(43, 1000, 1000);
    for (int i = 0; i < 50; i++)
        assert_int_equal(ask("count_large", i, "200"), KEPT);
    for (int i = 0; i < 50; i++)
        assert_int_equal(ask("count_large", i, "200"), KEPT);
    assert_int_equal(dropped(), 0);
    simnode_done(&sim);
}

/* A key that is forgotten gives back what its outcome took. */
static void forgotten_keys_give_back(void **state)
{
    (void)state;
    open_node(44, 100000, 5);
    for (int i = 0; i < 400; i++)
        assert_int_equal(ask("count_large", i, "2000"), KEPT);
    assert_int_equal(dropped(), 0);
    for (int i = 396; i < 400; i++)
        assert_int_equal(ask("count_large", i, "2000"), KEPT);
    expect_count("400");
    assert_int_equal(ask("count_large", 0, "2000"), KEPT); /* forgotten: it runs again */
    expect_count("401");
    simnode_done(&sim);
}

static void reads_keep_nothing(void **state)
{
    (void)state;
    open_node(45, 1000, 1000);
    for (int i = 0; i < 20; i++)
        assert_int_equal(ask("look_large", 7, i % 2 ? "900" : "400"), KEPT); /* not the same read */
    assert_int_equal(dropped(), 0);
    simnode_done(&sim);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_oldest_go_and_take_effect_once),
        cmocka_unit_test(one_that_does_not_fit_is_not_kept),
        cmocka_unit_test(small_ones_do_not_count),
        cmocka_unit_test(forgotten_keys_give_back),
        cmocka_unit_test(reads_keep_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
