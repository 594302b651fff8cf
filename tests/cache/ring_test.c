/* Would catch: a value whose chunks share an instance, or an agent while others have none; an instance that comes or
 * goes and moves keys of others; keys that crowd at few instances; weights that do not count; a model of loss that
 * does not give the figures of its paper. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>
#include <stdlib.h>

#include "base/hash.h"
#include "cache/ring.h"

enum { KEYS = 20000, NODES = 50 };

static uint64_t key(uint32_t number)
{
    return cairn_hash(cairn_bytes(&number, sizeof number));
}

static struct cairn_ring *ring_of(uint32_t count, uint32_t per_agent, uint64_t without, uint32_t places)
{
    struct cairn_ring_instance instances[200];
    size_t n = 0;

    for (uint32_t i = 0; i < count; i++)
        if (i != without)
            instances[n++] = (struct cairn_ring_instance){.id = i, .agent = i / per_agent, .strength = 1};
    return cairn_ring_new(instances, n, places);
}

static void chunks_lie_apart(void **state)
{
    struct cairn_ring *ring = ring_of(18, 3, UINT64_MAX, 16); /* six agents */
    uint32_t got[32];

    (void)state;
    for (uint32_t k = 0; k < 2000; k++)
        for (size_t want = 0; want <= 20; want++) {
            size_t count = cairn_ring_place(ring, key(k), want, got, NULL, NULL);
            unsigned seen = 0, had[6] = {0};

            assert_int_equal(count, want < 18 ? want : 18);
            for (size_t i = 0; i < count; i++) {
                assert_false(seen >> got[i] & 1);
                seen |= 1u << got[i];
                had[got[i] / 3]++;
            }
            for (size_t i = 0; i < 6; i++)
                assert_in_range(had[i], count / 6, (count + 5) / 6);
        }
    cairn_ring_free(ring);
}

static bool is_left_out(void *context, uint32_t index)
{
    return index == *(uint32_t *)context;
}

static void one_that_goes_moves_its_own_keys(void **state)
{
    struct cairn_ring *all = ring_of(NODES, 1, UINT64_MAX, CAIRN_RING_PLACES);
    struct cairn_ring *fewer = ring_of(NODES, 1, 17, CAIRN_RING_PLACES);
    uint32_t moved = 0, left_out = 17;

    (void)state;
    for (uint32_t k = 0; k < KEYS; k++) {
        uint32_t before, after, without;

        cairn_ring_place(all, key(k), 1, &before, NULL, NULL);
        cairn_ring_place(fewer, key(k), 1, &after, NULL, NULL);
        cairn_ring_place(all, key(k), 1, &without, is_left_out, &left_out);
        after += after >= 17; /* it has one index less */
        assert_int_equal(after, without);
        if (before == 17)
            moved++;
        else
            assert_int_equal(before, after);
    }
    assert_in_range(moved, KEYS / NODES / 2, KEYS / NODES * 2);
    cairn_ring_free(all);
    cairn_ring_free(fewer);
}

/* The most over the mean. */
static double imbalance(uint32_t places)
{
    struct cairn_ring *ring = ring_of(NODES, 1, UINT64_MAX, places);
    uint32_t counts[NODES] = {0}, most = 0, got;

    for (uint32_t k = 0; k < KEYS; k++) {
        cairn_ring_place(ring, key(k), 1, &got, NULL, NULL);
        most = ++counts[got] > most ? counts[got] : most;
    }
    cairn_ring_free(ring);
    return (double)most * NODES / KEYS;
}

static void places_balance(void **state)
{
    (void)state;
    assert_true(imbalance(1) > 2);
    assert_true(imbalance(CAIRN_RING_PLACES) < 1.4);
}

static void strength_counts(void **state)
{
    struct cairn_ring_instance instances[] = {{.id = 1, .agent = 1, .strength = 1},
                                              {.id = 2, .agent = 2, .strength = 3}};
    struct cairn_ring *ring = cairn_ring_new(instances, 2, CAIRN_RING_PLACES);
    uint32_t counts[2] = {0}, got;

    (void)state;
    for (uint32_t k = 0; k < KEYS; k++) {
        cairn_ring_place(ring, key(k), 1, &got, NULL, NULL);
        counts[got]++;
    }
    assert_true(fabs((double)counts[1] / KEYS - 0.75) < 0.1);
    cairn_ring_free(ring);
    ring = cairn_ring_new(NULL, 0, 1);
    assert_int_equal(cairn_ring_place(ring, 1, 3, counts, NULL, NULL), 0);
    cairn_ring_free(ring);
}

static void near(double value, double printed, double half_digit)
{
    if (fabs(value - printed) > half_digit)
        fail_msg("%g is not %g", value, printed);
}

/* 400 nodes: figures of the paper's model. */
static void losses_are_the_model_s(void **state)
{
    double chance[401] = {0};

    (void)state;
    near(cairn_loss_given(400, 11, 1, 12), 3.9e-2, 0.05e-2);
    near(cairn_loss_given(400, 12, 2, 12), 3.9e-3, 0.05e-3);
    near(cairn_loss_given(400, 14, 4, 12), 1.7e-5, 0.05e-5);
    near(cairn_loss_given(400, 6, 2, 12), 3.947535e-4, 0.000001e-4); /* the sum in whole numbers */
    near(cairn_loss_given(400, 11, 1, 36), 0.26, 0.005);
    near(cairn_loss_given(400, 12, 2, 36), 0.084, 0.0005);
    near(cairn_loss_given(400, 14, 4, 36), 4.9e-3, 0.05e-3);
    near(cairn_loss_given(400, 6, 2, 36), 1.1e-2, 0.05e-2);
    near(cairn_loss_given(400, 12, 2, 400), 1, 1e-9);
    near(cairn_loss_given(400, 12, 2, 2), 0, 0);
    near(cairn_loss_given(12, 12, 2, 3), 1, 1e-9);
    chance[0] = 0.5;
    chance[12] = 0.5;
    near(cairn_loss(400, 12, 2, chance, 401), cairn_loss_given(400, 12, 2, 12) / 2, 1e-12);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(chunks_lie_apart),       cmocka_unit_test(one_that_goes_moves_its_own_keys),
        cmocka_unit_test(places_balance),         cmocka_unit_test(strength_counts),
        cmocka_unit_test(losses_are_the_model_s),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
