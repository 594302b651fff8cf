/* Would catch: of the last promises that were settled one that is forgotten, or found by another secret, number or
 * namespace, or in a namespace that was made again; more than the last that are kept. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>

#include "object/settled.h"

enum { ADDED = 3 * SETTLED_MAX + 5 };

static struct promise_id ids[ADDED];

static void the_last_are_known(void **state)
{
    struct space space = {0}, other = {0};
    struct settled *settled = NULL;
    struct dependency record;

    (void)state;
    for (uint32_t i = 0; i < ADDED; i++) {
        ids[i] = (struct promise_id){.shard = i % 8, .call = i % 3, .number = i};
        for (size_t k = 0; k < sizeof ids[i].secret; k++)
            ids[i].secret[k] = (uint8_t)(i % 97 * (k + 1) + (k > 8 ? i >> 8 : 0)); /* many of a bucket */
        assert_false(settled_find(settled, &ids[i], &space, &record));
        settled_add(&settled, &ids[i], &space, (struct dependency){.end = i + 1});
    }
    for (uint32_t i = 0; i < ADDED; i++) {
        struct promise_id wrong = ids[i];

        assert_int_equal(settled_find(settled, &ids[i], &space, &record), i >= ADDED - SETTLED_MAX);
        if (i < ADDED - SETTLED_MAX)
            continue;
        assert_int_equal(record.end, i + 1);
        assert_false(settled_find(settled, &ids[i], &other, &record));
        wrong.secret[15] ^= 1;
        assert_false(settled_find(settled, &wrong, &space, &record));
        wrong = ids[i];
        wrong.number += ADDED;
        assert_false(settled_find(settled, &wrong, &space, &record));
    }
    atomic_store(&space.life, 1);
    assert_false(settled_find(settled, &ids[ADDED - 1], &space, &record));
    free(settled);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(the_last_are_known)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
