/* Catches: a node's time that goes back, jumps with the wall clock, stands still, follows by more than 10 %, or does
 * not follow at all; a jump that is not told, told twice, or taken without being accepted; readers on other threads
 * that see half of a change. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <pthread.h>
#include <stdatomic.h>

#include "base/random.h"
#include "io/timekeeper.h"

#define SECOND_NS UINT64_C(1000000000)

struct lab {
    struct cairn_sim_clock sim;
    struct cairn_timekeeper *keeper;
    struct cairn_clock *clock;
    int warnings;
    char last[512];
};

static void on_warning(void *context, const char *text)
{
    struct lab *lab = context;

    lab->warnings++;
    snprintf(lab->last, sizeof lab->last, "%s", text);
}

static void begin(struct lab *lab, int64_t least_ms)
{
    *lab = (struct lab){0};
    cairn_sim_clock_init(&lab->sim, 1);
    lab->keeper = cairn_timekeeper_create(&lab->sim.clock, on_warning, lab);
    lab->clock = cairn_timekeeper_clock(lab->keeper);
    cairn_timekeeper_start(lab->keeper,
                           least_ms ? (uint64_t)((int64_t)lab->sim.clock.wall_ms(&lab->sim.clock) + least_ms) : 0);
}

static void end(struct lab *lab)
{
    lab->keeper = cairn_timekeeper_destroy(lab->keeper);
}

static uint64_t now(struct lab *lab)
{
    return lab->clock->wall_ms(lab->clock);
}

static uint64_t wall(struct lab *lab)
{
    return lab->sim.clock.wall_ms(&lab->sim.clock);
}

/* In steps, as a node would look at its clock. */
static void pass(struct lab *lab, uint64_t seconds)
{
    for (uint64_t i = 0; i < seconds * 10; i++) {
        uint64_t before = now(lab);
        cairn_sim_clock_advance(&lab->sim, SECOND_NS / 10);
        assert_in_range(now(lab) - before, 89, 111);
    }
}

static void test_steps(void **state)
{
    static const struct {
        const char *label;
        int64_t step_ms;
        uint64_t seconds;  /* that pass then */
        bool accept;       /* after them */
        int64_t behind_ms; /* of the node's time behind the wall clock, when they have passed and it was accepted */
        int warnings;
    } rows[] = {
        {"nothing happens", 0, 100, false, 0, 0},
        {"a little forward, at once after", 1000, 0, false, 1000, 0},
        {"a little forward, on the way", 5000, 10, false, 4000, 0},
        {"a little forward, there", 5000, 60, false, 0, 0},
        {"a little back, on the way", -5000, 10, false, -4000, 0},
        {"a little back, there", -4000, 60, false, 0, 0},
        {"a jump forward", 5100, 60, false, 5100, 1},
        {"a jump forward, accepted", 3600000, 60, true, 0, 1},
        {"a jump back", -3600000, 60, false, -3600000, 1},
        {"a jump back, accepted", -3600000, 60, true, -3600000, 1},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct lab lab;
        int64_t behind;

        begin(&lab, 0);
        pass(&lab, 1);
        lab.sim.wall_offset_ms += (uint64_t)rows[i].step_ms;
        cairn_sim_clock_advance(&lab.sim, SECOND_NS / 10);
        now(&lab);
        pass(&lab, rows[i].seconds);
        if (rows[i].accept) {
            uint64_t before = now(&lab);
            assert_true(cairn_timekeeper_accept(lab.keeper));
            assert_false(cairn_timekeeper_accept(lab.keeper));
            assert_true(now(&lab) >= before);
        }
        behind = (int64_t)wall(&lab) - (int64_t)now(&lab);
        if (behind - rows[i].behind_ms > 12 || behind - rows[i].behind_ms < -12)
            fail_msg("%s: %lld ms behind, not %lld", rows[i].label, (long long)behind, (long long)rows[i].behind_ms);
        if (lab.warnings != rows[i].warnings)
            fail_msg("%s: %d warnings, not %d", rows[i].label, lab.warnings, rows[i].warnings);
        end(&lab);
    }
}

/* One hour back, accepted: the wall clock is caught up with in ten. */
static void test_back_is_caught_up(void **state)
{
    struct cairn_time_state told;
    struct lab lab;

    (void)state;
    begin(&lab, 0);
    lab.sim.wall_offset_ms -= 3600000;
    cairn_sim_clock_advance(&lab.sim, SECOND_NS);
    assert_true(cairn_timekeeper_accept(lab.keeper));
    cairn_timekeeper_state(lab.keeper, &told);
    assert_in_range(-told.behind_ms, 3599990, 3600010);
    cairn_sim_clock_advance(&lab.sim, 5 * 3600 * SECOND_NS);
    assert_in_range(now(&lab) - wall(&lab), 1799900, 1800100);
    cairn_sim_clock_advance(&lab.sim, 5 * 3600 * SECOND_NS + SECOND_NS);
    assert_int_equal(now(&lab), wall(&lab));
    end(&lab);
}

/* As a bad answer of a time server makes it. */
static void test_there_and_back(void **state)
{
    struct cairn_time_state told;
    struct lab lab;

    (void)state;
    begin(&lab, 0);
    lab.sim.wall_offset_ms += 2 * 86400000u;
    pass(&lab, 3);
    assert_int_equal(lab.warnings, 1);
    assert_non_null(strstr(lab.last, "cairn clock accept"));
    cairn_timekeeper_state(lab.keeper, &told);
    assert_in_range(told.jump_ms, 2 * 86400000 - 5, 2 * 86400000 + 5);
    assert_int_equal(told.jumps, 1);
    lab.sim.wall_offset_ms += 3600000u; /* another jump on top of it */
    pass(&lab, 1);
    assert_int_equal(lab.warnings, 2);
    lab.sim.wall_offset_ms -= 2 * 86400000u + 3600000u;
    pass(&lab, 3);
    assert_int_equal(lab.warnings, 3); /* that it is over */
    cairn_timekeeper_state(lab.keeper, &told);
    assert_int_equal(told.jump_ms, 0);
    assert_int_equal(told.jumps, 2);
    assert_in_range(now(&lab), wall(&lab) - 3, wall(&lab) + 3);
    assert_false(cairn_timekeeper_accept(lab.keeper));
    end(&lab);
}

static void test_start(void **state)
{
    static const struct {
        const char *label;
        int64_t least_ms; /* the last known time, after the wall clock */
        int64_t ahead_ms; /* of the node's time before the wall clock then */
        const char *warning;
    } rows[] = {
        {"a new folder", 0, 0, NULL},
        {"some minutes later", -300000, 0, NULL},
        {"two days later", -2 * 86400000, 0, "2.0 days after"},
        {"a moment before", 3000, 3000, NULL},
        {"an hour before", 3600000, 3600000, "3600.0 s before"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct lab lab;
        int64_t ahead;

        begin(&lab, rows[i].least_ms);
        ahead = (int64_t)now(&lab) - (int64_t)wall(&lab);
        if (ahead != rows[i].ahead_ms)
            fail_msg("%s: %lld ms ahead, not %lld", rows[i].label, (long long)ahead, (long long)rows[i].ahead_ms);
        if (!rows[i].warning != !lab.last[0] || (rows[i].warning && !strstr(lab.last, rows[i].warning)))
            fail_msg("%s: told '%s'", rows[i].label, lab.last);
        pass(&lab, 60); /* it goes on */
        end(&lab);
    }
}

/* A machine that sleeps, or a node that nobody asks anything: no jump, however long. */
static void test_sleep(void **state)
{
    struct lab lab;

    (void)state;
    begin(&lab, 0);
    cairn_sim_clock_advance(&lab.sim, 40 * 86400 * SECOND_NS);
    assert_int_equal(now(&lab), wall(&lab));
    assert_int_equal(lab.warnings, 0);
    end(&lab);
}

/* --- readers beside a thread that sets the clock --- */

static struct {
    struct cairn_clock clock;
    _Atomic uint64_t boot_ns, offset_ms;
    atomic_bool over;
    struct cairn_timekeeper *keeper;
} shared;

static uint64_t shared_boot_ns(struct cairn_clock *clock)
{
    (void)clock;
    return atomic_load(&shared.boot_ns);
}

static uint64_t shared_wall_ms(struct cairn_clock *clock)
{
    (void)clock;
    return atomic_load(&shared.boot_ns) / 1000000 + atomic_load(&shared.offset_ms);
}

static void *read_on(void *context)
{
    struct cairn_clock *clock = cairn_timekeeper_clock(shared.keeper);
    uint64_t last = 0;

    while (!atomic_load(&shared.over)) {
        uint64_t at = clock->wall_ms(clock);
        if (at < last)
            *(bool *)context = true;
        last = at;
    }
    return NULL;
}

static void test_threads(void **state)
{
    struct cairn_random random;
    pthread_t threads[2];
    bool bad[2] = {false};

    (void)state;
    shared.clock = (struct cairn_clock){.boot_ns = shared_boot_ns, .wall_ms = shared_wall_ms};
    atomic_store(&shared.boot_ns, SECOND_NS);
    atomic_store(&shared.offset_ms, UINT64_C(1700000000000));
    shared.keeper = cairn_timekeeper_create(&shared.clock, NULL, NULL);
    cairn_timekeeper_start(shared.keeper, 0);
    cairn_random_init(&random, 5);
    for (int i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, read_on, &bad[i]), 0);
    for (int i = 0; i < 20000; i++) {
        atomic_fetch_add(&shared.boot_ns, cairn_random_below(&random, 50000000));
        if (i % 10 == 0) /* both ways, mostly by less than a jump */
            atomic_fetch_add(&shared.offset_ms, cairn_random_below(&random, 8000) - UINT64_C(4000));
        if (i % 1000 == 0)
            cairn_timekeeper_accept(shared.keeper);
    }
    atomic_store(&shared.over, true);
    for (int i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    shared.keeper = cairn_timekeeper_destroy(shared.keeper);
    assert_false(bad[0] || bad[1]);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_steps),          cmocka_unit_test(test_back_is_caught_up),
        cmocka_unit_test(test_there_and_back), cmocka_unit_test(test_start),
        cmocka_unit_test(test_sleep),          cmocka_unit_test(test_threads),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
