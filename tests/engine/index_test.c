/* Catches: an index that loses an entry, or finds one that was removed, when pages grow, split or are crowded by equal
 * hashes; one that takes more memory than its header says. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

#include "base/random.h"
#include "engine/index.h"

enum { PLACES = 200000 };

static uint64_t hashes[PLACES + 1]; /* of place n; 0: not there */

static uint64_t hash_of(void *context, uint64_t place)
{
    (void)context;
    assert_true(place <= PLACES && hashes[place]);
    return hashes[place];
}

static bool find(const struct index *index, uint64_t hash, uint64_t place, struct index_walk *walk)
{
    uint64_t other;

    *walk = index_walk(index, hash);
    while (index_next(walk, &other))
        if (other == place)
            return true;
    return false;
}

static void check_all(const struct index *index)
{
    struct index_walk walk;
    uint64_t count = 0;

    for (uint64_t place = 1; place <= PLACES; place++)
        if (hashes[place]) {
            assert_true(find(index, hashes[place], place, &walk));
            count++;
        }
    assert_int_equal(index->count, count);
}

static void run(uint64_t seed, uint64_t equal_of_1000)
{
    struct cairn_random random;
    struct index index;
    struct index_walk walk;

    cairn_random_init(&random, seed);
    memset(hashes, 0, sizeof hashes);
    index_init(&index, hash_of, NULL);
    for (uint64_t step = 0; step < 3 * PLACES; step++) {
        uint64_t place = 1 + cairn_random_below(&random, PLACES), kind = cairn_random_below(&random, 10);

        if (hashes[place] && kind < 3) {
            assert_true(find(&index, hashes[place], place, &walk));
            index_remove(&index, &walk);
            assert_false(find(&index, hashes[place], place, &walk));
            hashes[place] = 0;
        } else if (!hashes[place] && kind < 9) {
            hashes[place] = cairn_random_below(&random, 1000) < equal_of_1000 ? 77 : cairn_random_u64(&random) | 1;
            index_add(&index, hashes[place], place);
        } else if (hashes[place]) {
            uint64_t other = 1 + cairn_random_below(&random, PLACES);

            if (hashes[other])
                continue;
            assert_true(find(&index, hashes[place], place, &walk));
            index_set(&walk, other);
            hashes[other] = hashes[place];
            hashes[place] = 0;
        }
        if (step % PLACES == 0)
            check_all(&index);
    }
    check_all(&index);
    if (!equal_of_1000)
        assert_true(index.count > PLACES / 2);
    for (uint64_t place = 1; place <= PLACES; place++)
        if (hashes[place]) {
            assert_true(find(&index, hashes[place], place, &walk));
            index_remove(&index, &walk);
            hashes[place] = 0;
        }
    assert_int_equal(index.count, 0);
    index_done(&index);
}

static void finds_what_is_there(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 3; seed++)
        run(seed, 0);
}

static void equal_hashes(void **state)
{
    (void)state;
    run(7, 5);
}

static void bytes_a_key(void **state)
{
    struct cairn_random random;
    struct index index;
    double worst = 0;

    (void)state;
    cairn_random_init(&random, 1);
    memset(hashes, 0, sizeof hashes);
    index_init(&index, hash_of, NULL);
    for (uint64_t place = 1; place <= PLACES; place++) {
        hashes[place] = cairn_random_u64(&random) | 1;
        index_add(&index, hashes[place], place);
        if (place > 2000 && (double)index.bytes / (double)place > worst)
            worst = (double)index.bytes / (double)place;
    }
    print_message("at most %.1f bytes a key\n", worst);
    assert_true(worst <= 12);
    index_done(&index);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds_what_is_there),
        cmocka_unit_test(equal_hashes),
        cmocka_unit_test(bytes_a_key),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
