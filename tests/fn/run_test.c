/* Catches: a method that starts over without its effects being forgotten, or again and again; slices that do not end or
 * end too late; limits that do not hold; memory that leaks from one invocation into the next; fibers that get lost. */
#include "fn/fn_host.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define SLICE_NS 500000 /* what cairn_fn_options says is taken by itself */

static struct fn_lab *lab;
static struct cairn_module *micro, *hostile, *leaks, *calls;

static void set_up_with(const struct cairn_fn_options *options)
{
    lab = fn_lab_create(options);
    micro = fn_lab_module(lab, "micro");
    hostile = fn_lab_module(lab, "hostile");
    leaks = fn_lab_module(lab, "leaks");
    calls = fn_lab_module(lab, "calls");
}

static int set_up(void **state)
{
    (void)state;
    set_up_with(NULL);
    return 0;
}

static int set_up_deterministic(void **state)
{
    struct cairn_fn_options options = {.clock = cairn_clock_system(),
                                       .workers = 1,
                                       .fibers_per_worker = 16,
                                       .deterministic = true,
                                       .slice_ns = 1000000};

    (void)state;
    set_up_with(&options);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    assert_int_equal(cairn_fn_worker_fibers_free(lab->worker), 16);
    cairn_module_unref(micro);
    cairn_module_unref(hostile);
    cairn_module_unref(leaks);
    cairn_module_unref(calls);
    fn_lab_destroy(lab);
    return 0;
}

static void sleep_ms(long ms)
{
    struct timespec t = {ms / 1000, ms % 1000 * 1000000};

    nanosleep(&t, NULL);
}

/* A run that waits for its first call. */
static struct cairn_run *start_waiting(struct cairn_module *module, const struct cairn_method_decl *method,
                                       struct fn_host *host)
{
    struct cairn_run *run;
    enum cairn_run_state state =
        cairn_run_start(lab->worker, module, method, NULL, host, &(struct cairn_run_limits){lab->cpu_ns_max, 0}, &run,
                        &lab->meter, &lab->err);

    while (state == CAIRN_RUN_SLICE) /* the machine is busy */
        state = cairn_run_resume(run, &lab->meter, &lab->err);
    assert_int_equal(state, CAIRN_RUN_WAITS);
    return run;
}

static void resume_to_end(struct cairn_run *run)
{
    enum cairn_run_state state;

    do
        state = cairn_run_resume(run, &lab->meter, &lab->err);
    while (state == CAIRN_RUN_SLICE);
    assert_int_equal(state, CAIRN_RUN_DONE);
}

/* --- starting over --- */

static void waiting_is_remembered(void **state)
{
    struct fn_host *h = lab->host;

    (void)state;
    for (int i = 0; i < 3; i++) {
        fn_host_clear(h);
        fn_host_args(h, "new", NULL);
        assert_int_equal(fn_lab_start(lab, micro, "Micro.one_wait"), CAIRN_RUN_WAITS);
        assert_int_equal(h->restarts, i == 0); /* only the first start was plain */
        assert_int_equal(h->call_count, 1);    /* nothing was done twice */
        assert_int_equal(cairn_fn_worker_fibers_free(lab->worker), 15);
        assert_int_equal(fn_lab_resume(lab), CAIRN_RUN_WAITS); /* too early: goes on waiting */
        fn_host_finish(h, 0, cairn_bytes("", 1));
        assert_int_equal(fn_lab_resume(lab), CAIRN_RUN_DONE);
        assert_string_equal(fn_host_result(h), "1");
    }
}

/* What is ready already needs no fiber. */
static void a_plain_run_stays_plain(void **state)
{
    struct fn_host *h = lab->host;

    (void)state;
    fn_host_args(h, "abc", NULL);
    for (int i = 0; i < 100; i++)
        assert_int_equal(fn_lab_start(lab, micro, "Micro.leaf"), CAIRN_RUN_DONE);
    assert_true(h->restarts <= 1); /* but for a moment that another process had */
    assert_int_equal(h->list_count, 99);
    assert_int_equal(lab->meter.memory_bytes_peak, 65536);
    assert_true(lab->meter.cpu_ns > 0);
}

/* Beyond the window, by a store or by a host call that writes there: nobody notices, and what comes later neither. */
static void beyond_the_window(void **state)
{
    struct fn_host *h = lab->host;
    char text[20000];

    (void)state;
    memset(text, 'x', sizeof text);
    text[sizeof text - 1] = 0;
    for (int i = 0; i < 200; i++) { /* opened and closed again several times */
        assert_int_equal(fn_lab_start(lab, leaks, i % 100 < 70 ? "Leaks.small" : "Leaks.large"), CAIRN_RUN_DONE);
        assert_string_equal(fn_host_result(h), "0");
        assert_int_equal(lab->meter.memory_bytes_peak, 65536);
    }
    fn_host_args(h, text, NULL);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(fn_lab_start(lab, calls, "Calls.args"), CAIRN_RUN_DONE);
        assert_int_equal(h->result.size, 2 + 4 + sizeof text - 1);
    }
    assert_true(h->restarts <= 1); /* but for a moment that another process had */
}

/* --- slices and limits --- */

static uint64_t thread_cpu_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static void slices(void **state)
{
    struct fn_host *h = lab->host;
    uint64_t start, took;
    uint32_t resumes = 0;

    (void)state;
    lab->cpu_ns_max = 30000000;
    fn_lab_start_slice(lab, hostile, "Hostile.loop");
    while (lab->state == CAIRN_RUN_SLICE) {
        start = thread_cpu_ns();
        fn_lab_resume_slice(lab);
        took = thread_cpu_ns() - start;
        assert_true(took < 20000000); /* two slices, and what a ticker adds that is not let run */
        resumes++;
    }
    assert_int_equal(lab->state, CAIRN_RUN_FAILED);
    assert_int_equal(lab->err.code, CAIRN_ECPU);
    assert_true(resumes >= 1 && resumes <= 60);       /* time that others had counts */
    assert_int_equal(lab->meter.slices, resumes + 2); /* the plain one, and the first as a fiber */
    assert_true(lab->meter.cpu_ns > 30000000);
    assert_int_equal(h->restarts, 1);
}

/* A slice that is over soon after a long wait does not count as one: waiting costs no CPU time. */
static void a_wait_is_no_slice(void **state)
{
    struct fn_host *h = lab->host;

    (void)state;
    fn_host_args(h, "10", NULL);
    fn_lab_start(lab, calls, "Calls.chain");
    while (lab->state == CAIRN_RUN_WAITS) {
        sleep_ms(5); /* several ticks */
        fn_host_finish(h, UINT32_MAX, cairn_bytes("", 1));
        fn_lab_resume(lab);
    }
    assert_int_equal(lab->state, CAIRN_RUN_DONE);
    assert_true(lab->meter.cpu_ns < 10000000);
}

/* Others run while one is set aside; each has its own memory. */
static void interleaved(void **state)
{
    struct cairn_run *runs[8];
    struct fn_host *hosts[8];
    const struct cairn_method_decl *waits = fn_lab_method(leaks, "Leaks.waits");

    (void)state;
    fn_host_keep_signals();
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 8; i++) {
            hosts[i] = cairn_alloc_zeroed(1, sizeof *hosts[i]);
            runs[i] = start_waiting(leaks, waits, hosts[i]);
        }
        for (int i = 0; i < 8; i++) {
            struct fn_host *h = hosts[i * 3 % 8];

            fn_host_finish(h, 0, cairn_bytes("", 1));
            resume_to_end(runs[i * 3 % 8]);
            assert_string_equal(fn_host_result(h), "0");
        }
        for (int i = 0; i < 8; i++) {
            fn_host_done(hosts[i]);
            free(hosts[i]);
        }
    }
}

static const struct {
    const char *method;
    enum cairn_code want;
    const char *says;
} ends[] = {
    {"Hostile.memory_bomb", CAIRN_EMEMORY, "memory limit of 16384 KiB"},
    {"Hostile.recursion", CAIRN_ETRAP, ""},
    {"Hostile.recursion_bare", CAIRN_ETRAP, "call stack exhausted in function recurse_bare"},
    {"Hostile.unreachable", CAIRN_ETRAP, "unreachable code reached in function Hostile_unreachable_method"},
    {"Hostile.wild_pointer", CAIRN_ETRAP, "memory access out of bounds"},
    {"Hostile.divide", CAIRN_ETRAP, "division by zero"},
    {"Hostile.wild_call", CAIRN_ETRAP, "function"},
    {"Hostile.loop", CAIRN_ECPU, "CPU time"},
    {"Hostile.million_calls", CAIRN_ELIMIT, "too many calls"},
    {"Hostile.many_writes", CAIRN_ELIMIT, "the list is full"},
};

static void hostile_ends(void **state)
{
    (void)state;
    for (int fiber = 0; fiber < 2; fiber++)
        for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
            fn_host_clear(lab->host);
            if (ends[i].want == CAIRN_ECPU)
                lab->cpu_ns_max = 5000000;
            fn_lab_force(fn_lab_method(hostile, ends[i].method), fiber);
            fn_lab_start(lab, hostile, ends[i].method);
            lab->cpu_ns_max = 10000000000;
            if (lab->state != CAIRN_RUN_FAILED || lab->err.code != ends[i].want || !strstr(lab->err.text, ends[i].says))
                fail_msg("%s: state %d, %s: %s", ends[i].method, lab->state, cairn_code_name(lab->err.code),
                         lab->err.text);
            fn_host_clear(lab->host);
            fn_lab_start(lab, hostile, "Hostile.fine"); /* and the next is as good as new */
            assert_string_equal(fn_host_result(lab->host), "\"well\"");
        }
}

/* One memory.fill runs to its end, but there is a slice's end behind it.  How long one takes is the machine's affair
 * (page faults, the width of its memory), so the limit leaves room for many; a slice is at least half of its time. */
static void memory_fill_stalls(void **state)
{
    /* loop; i32.const 0; i32.const 1; i32.const 16777216; memory.fill; br 0; end */
    static const char code[] = "\x03\x40\x41\0\x41\x01\x41\x80\x80\x80\x08\xfc\x0b\0\x0c\0\x0b";
    struct fn_binary binary = {.pages = 256, .code = (const uint8_t *)code, .code_bytes = sizeof code - 1};
    struct cairn_buf wasm = fn_binary_make(&binary);
    struct cairn_module *module;
    uint32_t slices = 0;

    (void)state;
    if (cairn_module_compile(lab->fn, cairn_buf_bytes(&wasm), &module, &lab->err) != CAIRN_OK)
        fail_msg("%s", lab->err.text);
    lab->cpu_ns_max = 1000 * SLICE_NS;
    for (fn_lab_start_slice(lab, module, "T.f"); lab->state == CAIRN_RUN_SLICE; slices++)
        fn_lab_resume_slice(lab);
    assert_int_equal(lab->err.code, CAIRN_ECPU);
    assert_in_range(slices, 2, 2 * 1000 + 1);
    assert_int_equal(lab->meter.memory_bytes_peak, 16 << 20);
    cairn_module_unref(module);
    cairn_buf_done(&wasm);
}

/* --- nothing leaks --- */

static const char *const leaky[] = {"Leaks.small", "Leaks.large", "Leaks.waits",
                                    "Leaks.grows", "Leaks.traps", "Leaks.exits"};

/* In every order: each leaves as much dirt as it can, and reports what it found. */
static void nothing_leaks(void **state)
{
    uint64_t dice = 12345;

    (void)state;
    for (int i = 0; i < 3000; i++) {
        const char *method;

        dice = dice * 6364136223846793005u + 1442695040888963407u;
        method = leaky[(dice >> 33) % 6];
        if (dice >> 60 == 0)
            fn_lab_force(fn_lab_method(leaks, method), dice & 1 << 20);
        fn_host_clear(lab->host);
        fn_lab_run(lab, leaks, method);
        if (strcmp(method, "Leaks.traps") == 0)
            assert_int_equal(lab->err.code, CAIRN_ETRAP);
        else if (strcmp(method, "Leaks.exits") == 0)
            assert_int_equal(lab->state, CAIRN_RUN_DONE);
        else if (strcmp(fn_host_result(lab->host), "0") != 0)
            fail_msg("%s (run %d) found %s: %s", method, i, fn_host_result(lab->host), lab->err.text);
    }
}

/* Also across a fiber that was given up in the middle. */
static void nothing_leaks_from_cancelled_runs(void **state)
{
    (void)state;
    for (int i = 0; i < 50; i++) {
        fn_host_clear(lab->host);
        assert_int_equal(fn_lab_start(lab, leaks, "Leaks.waits"), CAIRN_RUN_WAITS);
        cairn_run_cancel(lab->run);
        fn_host_clear(lab->host);
        fn_lab_run(lab, leaks, "Leaks.waits");
        assert_string_equal(fn_host_result(lab->host), "0");
    }
}

/* --- fibers --- */

static void fibers_run_out(void **state)
{
    struct fn_host *hosts = cairn_alloc_zeroed(16, sizeof *hosts);
    struct cairn_run *runs[16];
    const struct cairn_method_decl *method = fn_lab_method(micro, "Micro.one_wait");

    (void)state;
    fn_host_keep_signals();
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 16; i++) {
            fn_host_args(&hosts[i], "x", NULL);
            runs[i] = start_waiting(micro, method, &hosts[i]);
        }
        assert_int_equal(cairn_fn_worker_fibers_free(lab->worker), 0);

        fn_host_clear(lab->host);
        fn_host_args(lab->host, "x", NULL);
        assert_int_equal(fn_lab_start(lab, micro, "Micro.one_wait"), CAIRN_RUN_NO_FIBER);
        assert_int_equal(lab->host->restarts, 1);
        assert_int_equal(lab->host->call_count, 0);
        fn_host_clear(lab->host);
        fn_host_args(lab->host, "x", NULL);
        assert_int_equal(fn_lab_start(lab, micro, "Micro.leaf"), CAIRN_RUN_DONE); /* plain ones go on */
        fn_lab_force(fn_lab_method(leaks, "Leaks.waits"), false);
        assert_int_equal(fn_lab_start(lab, leaks, "Leaks.waits"), CAIRN_RUN_NO_FIBER); /* another module's too */

        for (int i = 0; i < 16; i++) {
            if (i % 3 == round) {
                cairn_run_cancel(runs[i]);
            } else {
                fn_host_finish(&hosts[i], 0, cairn_bytes("", 1));
                resume_to_end(runs[i]);
            }
            assert_int_equal(cairn_fn_worker_fibers_free(lab->worker), i + 1);
            fn_host_clear(&hosts[i]);
        }
        /* All sixteen are idle instances of one module now; another one can have them. */
        fn_host_clear(lab->host);
        fn_lab_run(lab, leaks, "Leaks.waits");
        assert_string_equal(fn_host_result(lab->host), "0");
    }
    for (int i = 0; i < 16; i++)
        fn_host_done(&hosts[i]);
    free(hosts);
}

static void cancelled_in_a_slice(void **state)
{
    (void)state;
    for (int i = 0; i < 5; i++) {
        fn_host_clear(lab->host);
        assert_int_equal(fn_lab_start_slice(lab, hostile, "Hostile.loop"), CAIRN_RUN_SLICE);
        fn_lab_resume_slice(lab);
        cairn_run_cancel(lab->run);
        assert_int_equal(cairn_fn_worker_fibers_free(lab->worker), 16);
    }
}

/* A module that its users have left stays as long as a run of it is under way. */
static void unreferenced_module(void **state)
{
    struct cairn_module *module = fn_lab_module(lab, "micro");

    (void)state;
    fn_host_args(lab->host, "x", NULL);
    assert_int_equal(fn_lab_start(lab, module, "Micro.one_wait"), CAIRN_RUN_WAITS);
    cairn_module_unref(module);
    cairn_fn_worker_trim(lab->worker);
    fn_host_finish(lab->host, 0, cairn_bytes("", 1));
    assert_int_equal(fn_lab_resume(lab), CAIRN_RUN_DONE);
    cairn_fn_worker_trim(lab->worker); /* sanitizers tell if it is not freed */
}

/* More modules than a worker keeps plain instances of. */
static void many_modules(void **state)
{
    enum { MODULES = FN_PLAIN_CACHED_MAX + 20 };
    struct cairn_module *modules[MODULES];
    struct fn_binary binary = {0};
    struct cairn_buf wasm = fn_binary_make(&binary);

    (void)state;
    for (int i = 0; i < MODULES; i++)
        assert_int_equal(cairn_module_compile(lab->fn, cairn_buf_bytes(&wasm), &modules[i], &lab->err), CAIRN_OK);
    for (int round = 0; round < 3; round++)
        for (int i = 0; i < MODULES; i++)
            assert_int_equal(fn_lab_start(lab, modules[i], "T.f"), CAIRN_RUN_DONE);
    for (int i = 0; i < MODULES; i++)
        cairn_module_unref(modules[i]);
    cairn_buf_done(&wasm);
    cairn_fn_worker_trim(lab->worker);
}

/* --- the ticker --- */

static void the_ticker_sleeps(void **state)
{
    (void)state;
    fn_host_args(lab->host, "x", NULL);
    fn_lab_start(lab, micro, "Micro.leaf");
    assert_false(atomic_load(&lab->fn->asleep));
    cairn_fn_worker_busy(lab->worker, false);
    for (int i = 0; i < 200 && !atomic_load(&lab->fn->asleep); i++)
        sleep_ms(10);
    assert_true(atomic_load(&lab->fn->asleep)); /* nothing wakes up while nobody is busy */
    lab->cpu_ns_max = 5000000;
    fn_lab_start_slice(lab, hostile, "Hostile.loop"); /* and it is there when it is needed */
    while (lab->state == CAIRN_RUN_SLICE)
        fn_lab_resume_slice(lab);
    assert_int_equal(lab->err.code, CAIRN_ECPU);
}

/* --- determinism --- */

struct trace {
    uint64_t cpu_ns[200];
    enum cairn_run_state states[200];
    size_t count;
};

static void note(struct trace *trace)
{
    assert_true(trace->count < 200);
    trace->cpu_ns[trace->count] = lab->meter.cpu_ns;
    trace->states[trace->count++] = lab->state;
}

static void record(struct trace *trace)
{
    static const char *const methods[] = {"Hostile.loop", "Hostile.spin", "Hostile.recursion", "Hostile.fine",
                                          "Hostile.memory_bomb"};

    *trace = (struct trace){0};
    lab->cpu_ns_max = 20000000;
    for (int i = 0; i < 5; i++) {
        fn_host_clear(lab->host);
        fn_host_args(lab->host, "3", NULL);
        fn_lab_start_slice(lab, hostile, methods[i]);
        note(trace);
        while (lab->state == CAIRN_RUN_SLICE) {
            fn_lab_resume_slice(lab);
            note(trace);
        }
    }
    fn_host_clear(lab->host);
    fn_host_args(lab->host, "5", NULL);
    fn_lab_start_slice(lab, calls, "Calls.chain");
    note(trace);
    while (lab->state == CAIRN_RUN_WAITS) {
        fn_host_finish(lab->host, UINT32_MAX, cairn_bytes("", 1));
        fn_lab_resume_slice(lab);
        note(trace);
    }
}

/* The same runs, slice for slice and unit for unit, in another sandbox. */
static void the_same_again(void **state)
{
    struct trace first, second;

    record(&first);
    assert_int_equal(lab->state, CAIRN_RUN_DONE);
    assert_true(first.count > 20 && first.count < 60);
    tear_down(state);
    set_up_deterministic(state);
    record(&second);
    assert_int_equal(first.count, second.count);
    for (size_t i = 0; i < first.count; i++) {
        assert_int_equal(first.cpu_ns[i], second.cpu_ns[i]);
        assert_int_equal(first.states[i], second.states[i]);
        assert_true(first.cpu_ns[i] > 0 && first.cpu_ns[i] <= 20000000 + 3000000);
    }
}

/* Everything else holds there too. */
static void deterministic_limits(void **state)
{
    hostile_ends(state);
    nothing_leaks(state);
    waiting_is_remembered(state);
}

#define TEST(name)               cmocka_unit_test_setup_teardown(name, set_up, tear_down)
#define DETERMINISTIC_TEST(name) cmocka_unit_test_setup_teardown(name, set_up_deterministic, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(waiting_is_remembered),
        TEST(a_plain_run_stays_plain),
        TEST(beyond_the_window),
        TEST(slices),
        TEST(a_wait_is_no_slice),
        TEST(interleaved),
        TEST(hostile_ends),
        TEST(memory_fill_stalls),
        TEST(nothing_leaks),
        TEST(nothing_leaks_from_cancelled_runs),
        TEST(fibers_run_out),
        TEST(cancelled_in_a_slice),
        TEST(unreferenced_module),
        TEST(many_modules),
        TEST(the_ticker_sleeps),
        DETERMINISTIC_TEST(the_same_again),
        DETERMINISTIC_TEST(deterministic_limits),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
