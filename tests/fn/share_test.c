/* Would catch: instances whose memory is in no account; runs that begin although it is used up; a share that is not
 * given back, or that idle instances keep from others; runs that can never go on, as all of them wait for what may not
 * begin; small instances that are held up by it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "fn/fn_host.h"

enum { RUNS = 16, MIB = 1 << 20 };

static struct fn_lab *lab;
static struct cairn_module *calls;
static struct fn_host *hosts;
static struct cairn_run *runs[RUNS];

static void open_lab(uint64_t share)
{
    struct cairn_fn_options options = {.clock = cairn_clock_system(), .workers = 1, .fibers_per_worker = RUNS};

    options.share_bytes = share;
    lab = fn_lab_create(&options);
    fn_host_keep_signals();
    calls = fn_lab_module(lab, "calls");
    hosts = cairn_alloc_zeroed(RUNS, sizeof *hosts);
    fn_lab_force(fn_lab_method(calls, "Calls.hold"), true);
}

static void close_lab(void)
{
    assert_int_equal(cairn_fn_worker_memory(lab->worker), 0);
    for (int i = 0; i < RUNS; i++)
        fn_host_done(&hosts[i]);
    free(hosts);
    cairn_module_unref(calls);
    fn_lab_destroy(lab);
}

/* Begins a run that holds so much and waits; false: it may not begin. */
static bool begin(int i, const char *before, const char *after)
{
    struct cairn_run_meter meter;
    struct cairn_err err;
    enum cairn_run_state state;

    fn_host_clear(&hosts[i]);
    fn_host_args(&hosts[i], before, after, NULL);
    fn_host_begin(&hosts[i]);
    state = cairn_run_start(lab->worker, calls, fn_lab_method(calls, "Calls.hold"), NULL, &hosts[i],
                            &(struct cairn_run_limits){.cpu_ns = 1000000000}, &runs[i], &meter, &err);
    while (state == CAIRN_RUN_SLICE)
        state = cairn_run_resume(runs[i], &meter, &err);
    if (state == CAIRN_RUN_NO_FIBER)
        return false;
    assert_int_equal(state, CAIRN_RUN_WAITS);
    return true;
}

static void end(int i)
{
    struct cairn_run_meter meter;
    struct cairn_err err;
    enum cairn_run_state state;

    fn_host_finish(&hosts[i], 0, cairn_bytes("", 1));
    do
        state = cairn_run_resume(runs[i], &meter, &err);
    while (state == CAIRN_RUN_SLICE);
    assert_int_equal(state, CAIRN_RUN_DONE);
}

static void it_is_used_up_and_given_back(void **state)
{
    uint64_t used;

    (void)state;
    open_lab(8 * MIB);
    for (int i = 0; i < 8; i++) {
        assert_int_equal(cairn_fn_worker_memory(lab->worker) < 8 * MIB, 1);
        assert_true(begin(i, "1048576", "0"));
    }
    used = cairn_fn_worker_memory(lab->worker);
    assert_in_range(used, 8 * MIB, 9 * MIB);
    /* One is enough, when all wait for calls: what they wait for may need it.  With twice the share, none. */
    assert_int_equal(cairn_fn_worker_fibers_free(lab->worker), 1);
    for (int i = 8; i < RUNS - 1; i++)
        assert_true(begin(i, "1048576", "0"));
    assert_true(cairn_fn_worker_memory(lab->worker) < 16 * MIB || cairn_fn_worker_pressed(lab->worker));
    for (int i = 0; i < RUNS - 1; i++)
        end(i);
    assert_int_equal(cairn_fn_worker_memory(lab->worker), 0);
    assert_true(cairn_fn_worker_fibers_free(lab->worker) > 1);
    close_lab();
}

static void none_begins_while_others_can_end(void **state)
{
    struct cairn_run_meter meter;
    struct cairn_err err;
    struct fn_host *last = NULL;

    (void)state;
    open_lab(4 * MIB);
    for (int i = 0; i < 5; i++)
        assert_true(begin(i, "1048576", "6000000"));
    assert_true(cairn_fn_worker_memory(lab->worker) >= 4 * MIB);
    /* One of them has its result and is set aside at the end of a slice: it does not wait. */
    fn_host_finish(&hosts[0], 0, cairn_bytes("", 1));
    last = &hosts[9];
    if (cairn_run_resume(runs[0], &meter, &err) == CAIRN_RUN_SLICE) {
        assert_false(begin(9, "1", "1"));
        assert_int_equal(last->restarts, 1); /* it has left nothing, and may be tried again */
        while (cairn_run_resume(runs[0], &meter, &err) == CAIRN_RUN_SLICE)
            ;
    }
    for (int i = 1; i < 5; i++)
        end(i);
    assert_true(begin(9, "1", "1"));
    end(9);
    close_lab();
}

static void small_ones_do_not_count(void **state)
{
    (void)state;
    open_lab(1);
    for (int i = 0; i < RUNS; i++)
        assert_true(begin(i, "100", "100"));
    assert_int_equal(cairn_fn_worker_memory(lab->worker), 0);
    assert_int_equal(cairn_fn_worker_fibers_free(lab->worker), 0); /* there are no more */
    for (int i = 0; i < RUNS; i++)
        end(i);
    close_lab();
}

static void twice_the_share_is_the_end(void **state)
{
    int begun = 0;

    (void)state;
    open_lab(3 * MIB);
    while (begun < RUNS && begin(begun, "1048576", "0"))
        begun++;
    assert_in_range(begun, 5, 7);
    assert_true(cairn_fn_worker_pressed(lab->worker));
    cairn_run_cancel(runs[0]);
    cairn_run_cancel(runs[1]);
    assert_true(begin(0, "1048576", "0"));
    assert_true(cairn_fn_worker_memory(lab->worker) < 7 * MIB);
    end(0);
    for (int i = 2; i < begun; i++)
        end(i);
    close_lab();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_is_used_up_and_given_back),
        cmocka_unit_test(none_begins_while_others_can_end),
        cmocka_unit_test(small_ones_do_not_count),
        cmocka_unit_test(twice_the_share_is_the_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
