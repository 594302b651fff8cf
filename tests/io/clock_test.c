/* Catches: a simulated clock that moves by itself or forgets its seed, a system clock that stands still. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "io/clock.h"

static void test_clocks(void **state)
{
    struct cairn_clock *clock = cairn_clock_system();
    uint64_t before = clock->monotonic_ns(clock), a, b;
    struct cairn_sim_clock sim, same;

    (void)state;
    assert_true(clock->wall_ms(clock) > 1600000000000u);
    assert_true(clock->entropy(clock) != clock->entropy(clock));
    assert_true(clock->monotonic_ns(clock) >= before);

    cairn_sim_clock_init(&sim, 7);
    cairn_sim_clock_init(&same, 7);
    a = sim.clock.monotonic_ns(&sim.clock);
    b = sim.clock.wall_ms(&sim.clock);
    assert_int_equal(sim.clock.monotonic_ns(&sim.clock), a);
    cairn_sim_clock_advance(&sim, 2500000);
    assert_int_equal(sim.clock.monotonic_ns(&sim.clock), a + 2500000);
    assert_int_equal(sim.clock.wall_ms(&sim.clock), b + 2);
    assert_true(sim.clock.entropy(&sim.clock) == same.clock.entropy(&same.clock));
    assert_true(sim.clock.entropy(&sim.clock) != sim.clock.entropy(&sim.clock));
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_clocks),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
