/* Catches: a front that keeps within its own part while there is memory to be had, one that takes more than there is,
 * one that gives nothing back to another that needs it, and one that loses or makes up what it was told. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "base/hash.h"
#include "engine/front.h"

enum {
    VALUE_BYTES = 100,
    OWN_BYTES = 256 << 10,
    COMMON_BYTES = 4 << 20,
    FEW = 10000, /* keys: more than a front's own part holds, less than all */
    MANY = 60000,
    SLACK_BYTES = 128 << 10, /* a chunk, and what one batch goes over */
};

static void on_asked(void *context)
{
    (*(int *)context)++;
}

static struct front *make_log(struct budget *budget, int *asked)
{
    struct hybridlog_options options = {.share = {budget, on_asked, asked},
                                        .mem_segment_len = OWN_BYTES,
                                        .ro_lag_interval = OWN_BYTES / 2,
                                        .flush_interval = OWN_BYTES / 8,
                                        .keeps = true};

    return hybridlog_create(&options);
}

static struct front *make_table(struct budget *budget, int *asked)
{
    struct memtable_options options = {
        .share = {budget, on_asked, asked}, .limit_bytes = OWN_BYTES / 5, .keep_bytes = OWN_BYTES / 5 * 2};

    return memtable_create(&options);
}

static void release_all(struct front *front)
{
    while (front->ops->batch(front))
        front->ops->release(front);
}

/* As the owner does: what presses is sealed, and a writer releases it. */
static void put(struct front *front, uint64_t number)
{
    uint8_t value[VALUE_BYTES] = {0};
    struct cairn_bytes key = cairn_bytes(&number, sizeof number);

    memcpy(value, &number, sizeof number);
    front->ops->put(front, &(struct run_record){cairn_hash(key), key, cairn_bytes(value, sizeof value)});
    front->ops->give_back(front);
    if (front->ops->pressure(front) != FRONT_EASY && front->ops->seal(front, false))
        release_all(front);
}

static size_t count_found(struct front *front, uint64_t from, uint64_t to)
{
    size_t found = 0;

    for (uint64_t number = from; number < to; number++) {
        struct cairn_bytes key = cairn_bytes(&number, sizeof number), value;

        if (!front->ops->get(front, key, cairn_hash(key), &value))
            continue;
        assert_int_equal(value.size, VALUE_BYTES);
        assert_memory_equal(value.data, &number, sizeof number);
        found++;
    }
    return found;
}

static void check(struct front *make(struct budget *budget, int *asked))
{
    struct budget budget;
    int asked[2] = {0}, seen = 0;
    struct front *fronts[2], *alone;
    uint64_t bytes[2], most;

    budget_init(&budget, 0);
    budget_add(&budget, COMMON_BYTES);
    alone = make(NULL, NULL);
    for (int i = 0; i < 2; i++)
        fronts[i] = make(&budget, &asked[i]);

    /* More than its own part, and all of it is in memory, written or not; without a budget it is not. */
    for (uint64_t number = 0; number < FEW; number++) {
        put(fronts[0], number);
        put(alone, number);
        assert_null(fronts[0]->ops->batch(fronts[0]));
    }
    assert_int_equal(count_found(fronts[0], 0, FEW), FEW);
    assert_true(count_found(alone, 0, FEW) < FEW / 2);
    assert_true(fronts[0]->ops->seal(fronts[0], true));
    release_all(fronts[0]);
    assert_int_equal(count_found(fronts[0], 0, FEW), FEW);

    /* More than there is: the bound holds. */
    for (uint64_t number = 0, all = OWN_BYTES + COMMON_BYTES + SLACK_BYTES; number < MANY; number++) {
        put(fronts[0], number);
        most = fronts[0]->ops->memory_bytes(fronts[0]);
        if (most > all)
            fail_msg("%llu bytes of %llu", (unsigned long long)most, (unsigned long long)all);
    }
    assert_true(fronts[0]->ops->memory_bytes(fronts[0]) > COMMON_BYTES / 2);
    assert_int_equal(asked[0] + asked[1], 0);

    /* Another needs memory, too: the first, which does nothing of its own, gives some back whenever it is asked. */
    for (uint64_t number = 0; number < MANY; number++) {
        put(fronts[1], number);
        while (seen < asked[0]) {
            seen = asked[0];
            fronts[0]->ops->give_back(fronts[0]);
        }
        if (fronts[0]->ops->pressure(fronts[0]) != FRONT_EASY && fronts[0]->ops->seal(fronts[0], false))
            release_all(fronts[0]);
        for (int i = 0; i < 2; i++)
            bytes[i] = fronts[i]->ops->memory_bytes(fronts[i]);
        assert_true(bytes[0] + bytes[1] <= 2 * OWN_BYTES + COMMON_BYTES + 2 * SLACK_BYTES);
    }
    print_message("%llu and %llu bytes; asked %d and %d times\n", (unsigned long long)bytes[0],
                  (unsigned long long)bytes[1], asked[0], asked[1]);
    assert_true(asked[0] > 0);
    assert_true(bytes[1] > bytes[0] / 2);
    count_found(fronts[0], 0, MANY);
    assert_true(count_found(fronts[1], 0, MANY) > FEW);

    /* All that was drawn comes back. */
    for (int i = 0; i < 2; i++)
        fronts[i]->ops->close(fronts[i]);
    alone->ops->close(alone);
    assert_int_equal(atomic_load(&budget.left), COMMON_BYTES);
    budget_done(&budget);
}

static void log_shares(void **unused)
{
    (void)unused;
    check(make_log);
}

static void table_shares(void **unused)
{
    (void)unused;
    check(make_table);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(log_shares),
        cmocka_unit_test(table_shares),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
