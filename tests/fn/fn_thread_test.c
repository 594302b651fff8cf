/* Catches what goes wrong when several workers run the same modules at once while others are compiled and let go, and
 * the ticker wakes and sleeps: races (under TSan), instances or modules shared that must not be, references lost. */
#include "fn/fn_host.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

enum { WORKERS = 3, ROUNDS = 300 };

struct shared {
    struct cairn_fn *fn;
    struct cairn_module *leaks, *micro;
    struct cairn_buf wasm;
};

struct thread {
    struct shared *shared;
    pthread_t id;
    uint32_t number, failures;
};

static enum cairn_run_state run(struct cairn_fn_worker *worker, struct fn_host *host, struct cairn_module *module,
                                const char *method)
{
    struct cairn_run_meter meter;
    struct cairn_err err;
    struct cairn_run *r;
    enum cairn_run_state state;

    fn_host_clear(host);
    fn_host_args(host, "x", NULL);
    state = cairn_run_start(worker, module, fn_lab_method(module, method), NULL, host,
                            &(struct cairn_run_limits){.cpu_ns = 10000000000}, &r, &meter, &err);
    while (state == CAIRN_RUN_WAITS || state == CAIRN_RUN_SLICE) {
        fn_host_finish(host, UINT32_MAX, cairn_bytes("", 1));
        state = cairn_run_resume(r, &meter, &err);
    }
    return state;
}

static void *work(void *argument)
{
    static const char *const methods[] = {"Leaks.small", "Leaks.large", "Leaks.waits", "Leaks.grows", "Leaks.exits"};
    struct thread *t = argument;
    struct shared *s = t->shared;
    struct fn_host *host = cairn_alloc_zeroed(1, sizeof *host);
    struct cairn_fn_worker *worker;
    struct cairn_module *own = NULL;
    struct cairn_err err;

    if (cairn_fn_worker_create(s->fn, &fn_host_ops, &worker, &err) != CAIRN_OK) {
        t->failures++;
        free(host);
        return NULL;
    }
    for (uint32_t i = 0; i < ROUNDS; i++) {
        const char *method = methods[(i * 7 + t->number) % 5];

        t->failures += run(worker, host, s->leaks, method) != CAIRN_RUN_DONE;
        if (strcmp(method, "Leaks.exits") != 0)
            t->failures += strcmp(fn_host_result(host), "0") != 0;
        t->failures += run(worker, host, s->micro, i % 3 ? "Micro.leaf" : "Micro.one_wait") != CAIRN_RUN_DONE;
        if (i % 50 == 0) {
            cairn_module_unref(own);
            cairn_fn_worker_trim(worker);
            own = NULL;
            t->failures += cairn_module_compile(s->fn, cairn_buf_bytes(&s->wasm), &own, &err) != CAIRN_OK;
        }
        t->failures += run(worker, host, own, "Micro.leaf") != CAIRN_RUN_DONE;
        if (i % 10 == t->number)
            cairn_fn_worker_busy(worker, false);
        if (i == ROUNDS / 2) {
            struct timespec pause = {0, 120000000}; /* the ticker falls asleep */

            cairn_fn_worker_busy(worker, false);
            nanosleep(&pause, NULL);
        }
    }
    cairn_module_unref(own);
    cairn_fn_worker_destroy(worker);
    fn_host_done(host);
    free(host);
    return NULL;
}

static void several_workers(void **state)
{
    struct cairn_fn_options options = {.clock = cairn_clock_system(), .workers = WORKERS, .fibers_per_worker = 8};
    struct shared shared = {.wasm = fn_lab_wasm("micro")};
    struct thread threads[WORKERS];
    struct cairn_err err;
    struct cairn_buf wasm = fn_lab_wasm("leaks");

    (void)state;
    assert_int_equal(cairn_fn_create(&options, &shared.fn, &err), CAIRN_OK);
    fn_host_keep_signals();
    assert_int_equal(cairn_module_compile(shared.fn, cairn_buf_bytes(&wasm), &shared.leaks, &err), CAIRN_OK);
    assert_int_equal(cairn_module_compile(shared.fn, cairn_buf_bytes(&shared.wasm), &shared.micro, &err), CAIRN_OK);
    for (uint32_t i = 0; i < WORKERS; i++) {
        threads[i] = (struct thread){.shared = &shared, .number = i};
        assert_int_equal(pthread_create(&threads[i].id, NULL, work, &threads[i]), 0);
    }
    for (uint32_t i = 0; i < WORKERS; i++) {
        pthread_join(threads[i].id, NULL);
        assert_int_equal(threads[i].failures, 0);
    }
    cairn_module_unref(shared.leaks);
    cairn_module_unref(shared.micro);
    cairn_fn_destroy(shared.fn);
    cairn_buf_done(&shared.wasm);
    cairn_buf_done(&wasm);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(several_workers)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
