/* Catches: tasks lost or run out of order, destroy returning before what is queued has run, a
 * simulated queue that runs by itself, a caller that is made to run what real threads should. */
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/list.h"
#include "io/task.h"

struct job {
    struct cairn_task task;
    int number;
    int *order;
    atomic_int *done;
};

static void run_job(struct cairn_task *task)
{
    struct job *job = cairn_container(task, struct job, task);
    int at = atomic_fetch_add(job->done, 1);

    if (job->order)
        job->order[at] = job->number;
    free(job); /* a task may free itself */
}

static struct cairn_task *submit(struct cairn_tasks *tasks, int number, int *order, atomic_int *done)
{
    struct job *job = malloc(sizeof *job);

    assert_non_null(job);
    *job = (struct job){{NULL, run_job}, number, order, done};
    cairn_tasks_submit(tasks, &job->task);
    return &job->task;
}

static void test_threads(void **state)
{
    (void)state;
    for (unsigned threads = 1; threads <= 3; threads++) {
        struct cairn_tasks *tasks = cairn_tasks_create(threads);
        atomic_int done = 0;
        int order[1000];

        for (int i = 0; i < 1000; i++)
            submit(tasks, i, threads == 1 ? order : NULL, &done);
        cairn_tasks_destroy(tasks);
        assert_int_equal(done, 1000);
        for (int i = 0; i < 1000 && threads == 1; i++)
            assert_int_equal(order[i], i);
    }
    assert_null(cairn_tasks_destroy(NULL));
}

struct blocker {
    struct cairn_task task;
    atomic_bool runs, let_go;
};

static void run_blocker(struct cairn_task *task)
{
    struct blocker *blocker = cairn_container(task, struct blocker, task);

    atomic_store(&blocker->runs, true);
    while (!atomic_load(&blocker->let_go))
        sched_yield();
}

static void test_nobody_helps_threads(void **state)
{
    struct cairn_tasks *tasks = cairn_tasks_create(1);
    struct blocker blocker = {.task = {.run = run_blocker}};
    atomic_int done = 0;

    (void)state;
    cairn_tasks_submit(tasks, &blocker.task);
    while (!atomic_load(&blocker.runs))
        sched_yield();
    submit(tasks, 0, NULL, &done); /* queued for as long as the thread is blocked */
    assert_false(cairn_tasks_step(tasks));
    assert_int_equal(done, 0);
    atomic_store(&blocker.let_go, true);
    cairn_tasks_destroy(tasks);
    assert_int_equal(done, 1);
}

/* Of those that are queued any can be run by who waits for it, and the others stay in their order. */
static void test_one_is_run_here(void **state)
{
    for (int which = 0; which < 3; which++) {
        struct cairn_tasks *tasks = cairn_tasks_create(1);
        struct blocker blocker = {.task = {.run = run_blocker}};
        struct cairn_task *queued[3];
        atomic_int done = 0;
        int order[4];

        (void)state;
        cairn_tasks_submit(tasks, &blocker.task);
        while (!atomic_load(&blocker.runs))
            sched_yield();
        assert_false(cairn_tasks_run_here(tasks, &blocker.task));
        for (int i = 0; i < 3; i++)
            queued[i] = submit(tasks, i, order, &done);
        assert_true(cairn_tasks_run_here(tasks, queued[which]));
        assert_int_equal(done, 1);
        submit(tasks, 3, order, &done);
        atomic_store(&blocker.let_go, true);
        cairn_tasks_destroy(tasks);
        assert_int_equal(done, 4);
        assert_int_equal(order[0], which);
        assert_true(order[1] < order[2] && order[3] == 3);
    }
}

static void test_simulated_tasks(void **state)
{
    struct cairn_tasks *tasks = cairn_tasks_create(0);
    atomic_int done = 0;
    int order[3];

    (void)state;
    assert_false(cairn_tasks_step(tasks));
    for (int i = 0; i < 3; i++)
        submit(tasks, i, order, &done);
    assert_int_equal(done, 0);
    assert_true(cairn_tasks_step(tasks));
    assert_int_equal(done, 1);
    cairn_tasks_destroy(tasks);
    assert_int_equal(done, 3);
    assert_int_equal(order[2], 2);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_threads),
        cmocka_unit_test(test_nobody_helps_threads),
        cmocka_unit_test(test_one_is_run_here),
        cmocka_unit_test(test_simulated_tasks),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
