/* Catches: a front that gives back much memory in one call, so that one put in many takes long, or one that does not
 * give it back at all. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "base/hash.h"
#include "engine/front.h"

enum { VALUE_BYTES = 100, KEYS = 20000, CHUNK_BYTES = 8 << 10 };

static void put(struct front *front, uint64_t number)
{
    uint8_t value[VALUE_BYTES] = {0};
    struct cairn_bytes key = cairn_bytes(&number, sizeof number);

    front->ops->put(front, &(struct run_record){cairn_hash(key), key, cairn_bytes(value, sizeof value)});
}

/* How much less it became since then. */
static uint64_t drop(const struct front *front, uint64_t *bytes)
{
    uint64_t before = *bytes;

    *bytes = front->ops->memory_bytes(front);
    return before > *bytes ? before - *bytes : 0;
}

/* A quarter of the keys is in each of four batches; they are written all at once, and then other keys are put. */
static void check(struct front *front, uint64_t most)
{
    uint64_t bytes = 0, largest = 0, dropped, full;

    for (uint64_t number = 0; number < KEYS; number++) {
        put(front, number);
        if (number % (KEYS / 4) == KEYS / 4 - 1)
            assert_true(front->ops->seal(front, true));
    }
    full = bytes = front->ops->memory_bytes(front);
    assert_true(full > (uint64_t)KEYS * VALUE_BYTES);
    while (front->ops->batch(front)) {
        front->ops->release(front);
        dropped = drop(front, &bytes);
        largest = dropped > largest ? dropped : largest;
    }
    assert_true(bytes > full / 2);
    for (uint64_t number = KEYS; number < 2 * KEYS; number++) {
        put(front, number);
        dropped = drop(front, &bytes);
        largest = dropped > largest ? dropped : largest;
    }
    print_message("at most %llu bytes at once; %llu, and then %llu\n", (unsigned long long)largest,
                  (unsigned long long)full, (unsigned long long)bytes);
    assert_true(largest <= most);
    assert_true(bytes < full + full / 8);
    front->ops->close(front);
}

static void table_leaves_bit_by_bit(void **unused)
{
    const struct memtable_options options = {.limit_bytes = 1 << 20};
    enum { ENTRY_BYTES = 160, IN_A_BUCKET = 32 };

    (void)unused;
    check(memtable_create(&options), IN_A_BUCKET * ENTRY_BYTES);
}

static void log_leaves_bit_by_bit(void **unused)
{
    const struct hybridlog_options options = {
        .mem_segment_len = 2 << 20, .ro_lag_interval = 1 << 20, .flush_interval = 8 * CHUNK_BYTES, .keeps = true};

    (void)unused;
    check(hybridlog_create(&options), 3 * CHUNK_BYTES);
}

static void append_log_leaves_bit_by_bit(void **unused)
{
    const struct hybridlog_options options = {.mem_segment_len = 2 << 20, .flush_interval = 8 * CHUNK_BYTES};

    (void)unused;
    check(hybridlog_create(&options), 3 * CHUNK_BYTES);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(table_leaves_bit_by_bit),
        cmocka_unit_test(log_leaves_bit_by_bit),
        cmocka_unit_test(append_log_leaves_bit_by_bit),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
