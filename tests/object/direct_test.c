/* Would catch: calls run on top of the run that waits for them (direct.c) whose results differ from those that come
 * back through mailboxes; something left of them when the run is started over; a run that does not come to its end when
 * a called object is held, is slow, waits itself or fails; bytes of calls that are counted for ever. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "admin/admin.h"
#include "support/simnode.h"

static void open_node(struct simnode *sim, uint64_t seed, uint32_t workers)
{
    struct simnode_options options = {.workers = workers, .shards = 4};
    struct cairn_err err;

    simnode_init(sim, seed, &options);
    if (simnode_open(sim, &err) != CAIRN_OK)
        fail_msg("%s", err.text);
    simnode_deploy(sim, "reader");
    simnode_expect(sim, "nil", "Reader", "a", "set", "3", NULL);
    simnode_expect(sim, "nil", "Reader", "b", "set", "4", NULL);
}

/* Of a metric, with its labels. */
static uint64_t metric(struct simnode *sim, const char *name)
{
    struct cairn_metrics_place place = {0};
    struct cairn_buf page = {0};
    const char *at;
    uint64_t value;

    while (cairn_admin_metrics(sim->node, &place, CAIRN_PAGE_BYTES, &page))
        ;
    cairn_buf_u8(&page, 0);
    at = strstr((const char *)page.data, name);
    while (at && at != (const char *)page.data && at[-1] != '\n')
        at = strstr(at + 1, name);
    assert_non_null(at);
    value = strtoull(at + strlen(name), NULL, 10);
    cairn_buf_done(&page);
    return value;
}

#define expect(want, ...) simnode_expect(&sim, want, "Reader", __VA_ARGS__, NULL)

/* On one worker all can be run at once; on three some calls go to others, and the run is started over. */
static void results_are_the_same(void **state)
{
    (void)state;
    for (uint32_t workers = 1; workers <= 3; workers++)
        for (int again = 0; again < 2; again++) {
            struct simnode sim;

            open_node(&sim, 100 * workers + (uint64_t)again, workers);
            for (int i = 0; i < 3; i++) {
                expect("[3, 4, 3, 0]", "c", "each", "get", "a", "b", "a", "new");
                expect("[3]", "a", "each", "get", "a"); /* itself */
                expect("10", "c", "sum", "get", "a", "b", "a");
                expect("4", "c", "deep", "b", "a");
                expect("3", "c", "deep", "a", "c"); /* itself, on the way */
                expect("[!refused: on purpose, !refused: on purpose]", "c", "each", "refuse", "a", "b");
                expect("[!trap...", "c", "each", "crash", "a");
                expect("[!not_read_only...", "c", "each", "set", "a");
                expect("[!unknown_method...", "c", "each", "fly", "a");
                expect("7", "c", "sum", "get_slowly", "a", "b");
                expect("4", "c", "many", "b", "1");
                expect("4", "c", "many", "b", "64");
                expect("4", "c", "many", "b", "65");
                expect("4", "c", "many", "b", "2000");
            }
            simnode_done(&sim);
        }
}

static void short_reads_take_no_fiber(void **state)
{
    struct simnode sim;
    uint64_t before;

    (void)state;
    open_node(&sim, 1, 1);
    before = metric(&sim, "cairn_restarts_total{worker=\"0\"} ");
    for (int i = 0; i < 100; i++) {
        expect("[3, 4, 3]", "c", "each", "get", "a", "b", "a");
        expect("7", "c", "sum", "get", "a", "b");
        expect("[!refused: on purpose]", "c", "each", "refuse", "a");
    }
    assert_int_equal(metric(&sim, "cairn_restarts_total{worker=\"0\"} "), before);
    expect("4", "c", "deep", "b", "a"); /* and this is how one that needs a fiber shows */
    assert_true(metric(&sim, "cairn_restarts_total{worker=\"0\"} ") > before);
    simnode_done(&sim);
}

/* Writers hold an object for longer than a slice while others read it through a third; all see one value or the other,
 * and one that came after the writer's reply sees what it wrote. */
static void writers_are_waited_for(void **state)
{
    enum { READS = 16 };

    (void)state;
    for (uint64_t seed = 1; seed <= 15; seed++) {
        struct simcall write, reads[READS];
        struct simnode sim;

        open_node(&sim, seed, 1 + (uint32_t)seed % 3);
        simcall_init(&write, CAIRN_OP_INVOKE, "Reader", "b", "set_slowly", "5", NULL);
        for (int i = 0; i < READS; i++) {
            if (i == READS / 2)
                simcall_submit(&sim, &write, 0);
            simcall_init(&reads[i], CAIRN_OP_INVOKE, "Reader", i % 3 ? "c" : "d", i % 2 ? "sum" : "each", "get", "b",
                         NULL);
            simcall_submit(&sim, &reads[i], 0);
            for (int steps = (int)(seed % 7); steps > 0; steps--)
                simnode_step(&sim);
        }
        simnode_settle(&sim);
        assert_true(write.replied);
        for (int i = 0; i < READS; i++) {
            const char *text;

            assert_true(reads[i].replied);
            text = simvalue_text(cairn_buf_bytes(&reads[i].reply));
            if (strcmp(text, i % 2 ? "4" : "[4]") != 0)
                assert_string_equal(text, i % 2 ? "5" : "[5]");
            simcall_done(&reads[i]);
        }
        simcall_done(&write);
        expect("[5, 5]", "c", "each", "get", "b", "b");
        simnode_done(&sim);
    }
}

/* Calls that are made again after a start over count once, and no more than a job may make are run. */
static void calls_are_counted(void **state)
{
    (void)state;
    for (uint32_t workers = 1; workers <= 3; workers++) {
        struct simnode_options options = {.workers = workers, .shards = 4, .limits = {.job_calls = 6}};
        struct simnode sim;
        struct cairn_err err;

        simnode_init(&sim, workers, &options);
        if (simnode_open(&sim, &err) != CAIRN_OK)
            fail_msg("%s", err.text);
        simnode_deploy(&sim, "reader");
        expect("nil", "a", "set", "3");
        for (int i = 0; i < 40; i++) {
            expect("18", "c", "sum", "get", "a", "a", "a", "a", "a", "a");
            expect("18", "c", "sum", "get_slowly", "a", "a", "a", "a", "a", "a");
            expect("!limit...", "c", "sum", "get", "a", "a", "a", "a", "a", "a", "a");
            expect("!limit...", "c", "many", "a", "7");
        }
        simnode_done(&sim);
    }
}

static void large_results_are_given_back(void **state)
{
    struct simnode sim;

    (void)state;
    open_node(&sim, 7, 1);
    for (int i = 0; i < 100; i++) { /* 2 MB */
        struct simcall call;

        simcall_init(&call, CAIRN_OP_INVOKE, "Reader", "c", "each", "large", "a", "b", "a", "b", NULL);
        simcall_run(&sim, &call);
        assert_true(call.reply.size > 20000);
        simcall_done(&call);
    }
    simnode_settle(&sim);
    /* A worker keeps some of what it has given back for what comes next. */
    assert_true(metric(&sim, "cairn_client_memory_bytes{of=\"calls\"} ") < 256 << 10);
    simnode_done(&sim);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(results_are_the_same),         cmocka_unit_test(short_reads_take_no_fiber),
        cmocka_unit_test(writers_are_waited_for),       cmocka_unit_test(calls_are_counted),
        cmocka_unit_test(large_results_are_given_back),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
