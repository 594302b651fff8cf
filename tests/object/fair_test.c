/* Would catch: a namespace that waits for more than two slices of what others have in line, whatever these do (loops,
 * jobs that call without end, floods); one that starves; weights that do not count; time that is saved up while a
 * namespace asks for nothing, or held against it for long; requests that find all fibers taken by another's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/random.h"
#include "object/worker.h"
#include "support/simnode.h"

enum { MS = 1000000, LANES = 40 };

/* --- an order alone, over lanes that run slices of a millisecond ------------------------------------ */

struct rig {
    struct spaces spaces;
    struct order order;
    struct lane lanes[LANES];
};

static struct rig *rig_make(void)
{
    struct rig *rig = calloc(1, sizeof *rig);

    spaces_init(&rig->spaces, 1);
    rig->order.turn_offset = offsetof(struct lane, fresh);
    for (int i = 0; i < LANES; i++) {
        char name[8] = {'n', (char)('a' + i / 10), (char)('a' + i % 10)};
        rig->lanes[i].space = spaces_intern(&rig->spaces, cairn_str(name));
    }
    return rig;
}

static void rig_free(struct rig *rig)
{
    free(rig->order.lanes);
    spaces_done(&rig->spaces);
    free(rig);
}

/* As ready_next does. */
static struct lane *serve(struct rig *rig, uint64_t ns)
{
    struct lane *lane = order_first(&rig->order);

    rig->order.floor = lane->fresh.spent;
    order_charge(&rig->order, lane, ns);
    return lane;
}

static void weights_count(void **state)
{
    static const uint64_t weights[] = {0, 1, 50, 100, 200, 1000}; /* 0: 100 */
    struct rig *rig = rig_make();
    uint64_t served[6] = {0}, sum = 0, turns = 0;

    (void)state;
    for (int i = 0; i < 6; i++) {
        atomic_store(&rig->lanes[i].space->limits[SPACE_WEIGHT], weights[i]);
        sum += weights[i] ? weights[i] : 100;
        order_add(&rig->order, &rig->lanes[i], false);
    }
    for (; turns < 200 * sum; turns++)
        served[serve(rig, MS) - rig->lanes]++;
    for (int i = 0; i < 6; i++) {
        uint64_t share = turns * (weights[i] ? weights[i] : 100) / sum;
        assert_in_range(served[i], share - share / 50 - 1, share + share / 50 + 1);
    }
    rig_free(rig);
}

/* Lanes that loop all the time, and one that now and then wants a little. */
static void who_comes_waits_a_slice(void **state)
{
    struct rig *rig = rig_make();
    struct cairn_random random;
    struct lane *one = &rig->lanes[0];

    (void)state;
    cairn_random_init(&random, 1);
    for (int i = 1; i < LANES; i++)
        order_add(&rig->order, &rig->lanes[i], false);
    for (int n = 0; n < 5000; n++) {
        int waited = 0;

        for (uint64_t k = cairn_random_below(&random, 3 * LANES); k > 0; k--)
            serve(rig, MS);
        order_add(&rig->order, one, false);
        while (order_first(&rig->order) != one) {
            serve(rig, MS);
            waited++;
        }
        if (waited > 1)
            fail_msg("time %d: %d slices of others came before it", n, waited);
        serve(rig, MS / 50);
        order_remove(&rig->order, one);
    }
    rig_free(rig);
}

/* What one has run alone, or while it was set aside, keeps it from its turn for a bounded time, and what it has not
 * used gives it none. */
static void nothing_is_saved(void **state)
{
    struct rig *rig = rig_make();
    int others = 0;

    (void)state;
    order_charge(&rig->order, &rig->lanes[0], 3600000000000u); /* an hour */
    order_add(&rig->order, &rig->lanes[1], false);
    order_add(&rig->order, &rig->lanes[0], false);
    while (serve(rig, MS) != &rig->lanes[0])
        others++;
    assert_in_range(others, 5, 12);
    order_remove(&rig->order, &rig->lanes[0]);
    for (int i = 0; i < 10000; i++) /* it asks for nothing */
        serve(rig, MS);
    order_add(&rig->order, &rig->lanes[0], false);
    others = 0;
    for (int i = 0; i < 1000; i++)
        others += serve(rig, MS) == &rig->lanes[1];
    assert_in_range(others, 495, 505);
    rig_free(rig);
}

static int compare(const void *a, const void *b)
{
    uint64_t x = (*(struct lane *const *)a)->fresh.spent, y = (*(struct lane *const *)b)->fresh.spent;

    return (x > y) - (x < y);
}

/* Any lane comes and goes: the first of the heap is always the least. */
static void the_least_is_first(void **state)
{
    struct rig *rig = rig_make();
    struct cairn_random random;

    (void)state;
    cairn_random_init(&random, 7);
    for (int n = 0; n < 20000; n++) {
        struct lane *lane = &rig->lanes[cairn_random_below(&random, LANES)], *all[LANES];
        uint32_t count = 0;

        switch (cairn_random_below(&random, 4)) {
        case 0:
            order_add(&rig->order, lane, cairn_random_below(&random, 2));
            break;
        case 1:
            order_remove(&rig->order, lane);
            break;
        case 2:
            order_charge(&rig->order, lane, cairn_random_below(&random, 2 * MS));
            break;
        case 3:
            if (order_first(&rig->order))
                serve(rig, cairn_random_below(&random, MS));
            break;
        }
        for (int i = 0; i < LANES; i++)
            if (rig->lanes[i].fresh.at) {
                assert_ptr_equal(rig->order.lanes[rig->lanes[i].fresh.at - 1], &rig->lanes[i]);
                all[count++] = &rig->lanes[i];
            }
        assert_int_equal(count, rig->order.count);
        if (!count)
            continue;
        qsort(all, count, sizeof all[0], compare);
        assert_true(all[0]->fresh.spent == order_first(&rig->order)->fresh.spent);
    }
    rig_free(rig);
}

/* --- a worker -------------------------------------------------------------------------------------- */

enum { CALLS = 300 };

static void in_space(struct simnode *sim, struct simcall *call, enum cairn_op op, const char *space)
{
    simcall_init(call, op, NULL, NULL, NULL, NULL);
    call->request.space = cairn_node_space(sim->node, cairn_str(space));
}

static void open_with(struct simnode *sim, struct cairn_buf *wasm)
{
    static const char *const spaces[] = {"wild", "calm"};
    struct cairn_err err;
    struct simcall call;

    simnode_init(sim, 1, &(struct simnode_options){.workers = 1, .fibers_per_worker = 64});
    if (simnode_open(sim, &err) != CAIRN_OK)
        fail_msg("%s", err.text);
    simnode_wasm("probe", wasm);
    for (int i = 0; i < 2; i++) {
        simcall_init(&call, CAIRN_OP_SPACE_CREATE, NULL, NULL, NULL, NULL);
        call.request.name = cairn_str(spaces[i]);
        simcall_run(sim, &call);
        simcall_done(&call);
        in_space(sim, &call, CAIRN_OP_DEPLOY, spaces[i]);
        call.request.body = cairn_buf_bytes(wasm);
        simcall_run(sim, &call);
        simcall_done(&call);
    }
}

static void ask(struct simnode *sim, struct simcall *call, const char *space, int object, const char *method,
                const char *argument)
{
    char id[16];

    snprintf(id, sizeof id, "o%d", object);
    simcall_init(call, CAIRN_OP_INVOKE, "Probe", id, method, argument, NULL);
    call->request.space = cairn_node_space(sim->node, cairn_str(space));
    simcall_submit(sim, call, 0);
}

/* Slices that are run while a method of the calm one that takes many is under way; its own are `own`. */
static void slices_beside_loops(void **state)
{
    struct simcall *wild = calloc(CALLS, sizeof *wild), call;
    struct cairn_buf wasm = {0};
    struct cairn_worker *worker;
    struct simnode sim;
    uint64_t own, beside;

    (void)state;
    open_with(&sim, &wasm);
    worker = cairn_node_worker(sim.node, 0);
    for (int pass = 0; pass < 2; pass++) {
        own = stat_get(&worker->counts.slices);
        ask(&sim, &call, "calm", 0, "work", "3000000");
        while (!call.replied)
            simnode_step(&sim);
        simcall_done(&call);
        own = stat_get(&worker->counts.slices) - own;
    }
    for (int i = 0; i < CALLS; i++)
        ask(&sim, &wild[i], "wild", i, "spin", NULL);
    for (int k = 0; k < 100; k++)
        cairn_worker_run(worker, 0);
    beside = stat_get(&worker->counts.slices);
    ask(&sim, &call, "calm", 0, "work", "3000000");
    while (!call.replied)
        simnode_step(&sim);
    beside = stat_get(&worker->counts.slices) - beside;
    assert_true(own > 5);
    assert_in_range(beside, own, 6 * own); /* with 24 loops in one line it would be 25 times as many */
    simcall_done(&call);
    for (int i = 0; i < CALLS; i++) {
        while (!wild[i].replied)
            simnode_step(&sim);
        simcall_done(&wild[i]);
    }
    cairn_buf_done(&wasm);
    simnode_done(&sim);
    free(wild);
}

/* How many turns of the worker the calm one's request takes, each of which runs one segment that begins and one slice
 * at most, while the wild one does its worst. */
static void worst_of(const char *label, const char *method, const char *argument, const char *calm, int most)
{
    struct simcall *wild = calloc(CALLS, sizeof *wild), call;
    struct cairn_buf wasm = {0};
    struct cairn_worker *worker;
    struct simnode sim;
    int worst = 0, under_way = CALLS;

    open_with(&sim, &wasm);
    worker = cairn_node_worker(sim.node, 0);
    ask(&sim, &call, "calm", 0, calm, "1");
    while (!call.replied)
        simnode_step(&sim);
    simcall_done(&call);
    for (int i = 0; i < CALLS; i++)
        ask(&sim, &wild[i], "wild", i, method, argument);
    for (int n = 0; n < 40; n++) {
        int turns = 0;

        for (int k = 0; k < 5; k++)
            cairn_worker_run(worker, 0);
        ask(&sim, &call, "calm", n, calm, "1");
        while (!call.replied && turns < 1000) {
            cairn_worker_run(worker, 0);
            turns++;
            if (turns > most) /* what it waits for is no turn of the worker */
                simnode_step(&sim);
        }
        worst = turns > worst ? turns : worst;
        assert_true(call.replied);
        simcall_done(&call);
    }
    for (int i = 0; i < CALLS; i++)
        under_way -= wild[i].replied;
    if (worst > most || under_way < 50)
        fail_msg("%s: it took %d turns, while %d requests of the other were under way", label, worst, under_way);
    for (int i = 0; i < CALLS; i++) {
        while (!wild[i].replied)
            simnode_step(&sim);
        simcall_done(&wild[i]);
    }
    cairn_buf_done(&wasm);
    simnode_done(&sim);
    free(wild);
}

static void a_wild_neighbour(void **state)
{
    (void)state;
    worst_of("a flood", "count", NULL, "count", 2);
    worst_of("loops", "work", "300000", "count", 2);
    worst_of("endless loops", "spin", NULL, "count", 2);
    worst_of("jobs that call", "many_calls", "20", "count", 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(weights_count),    cmocka_unit_test(who_comes_waits_a_slice),
        cmocka_unit_test(nothing_is_saved), cmocka_unit_test(the_least_is_first),
        cmocka_unit_test(a_wild_neighbour), cmocka_unit_test(slices_beside_loops),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
