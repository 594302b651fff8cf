/* Would catch: pieces of slabs that overlap or are not aligned; a slab that is given back while a piece of it is in
 * use, or kept when none is; a hybridlog large enough for slabs that lost a value, or has more memory than it may. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

#include "base/hash.h"
#include "base/random.h"
#include "engine/front.h"
#include "engine/slab.h"

static void slabs_are_cut_and_given_back(void **unused)
{
    enum { PIECES = 5, BYTES = 1000003 };
    struct slabs slabs = {0};
    uint8_t *pieces[PIECES];
    size_t given = 0;

    (void)unused;
    assert_int_equal(slabs_room(&slabs), 0);
    for (int i = 0; i < PIECES; i++) {
        if (slabs_room(&slabs) < BYTES)
            slabs_grow(&slabs);
        pieces[i] = slabs_take(&slabs, BYTES);
        assert_int_equal((uintptr_t)pieces[i] % SLAB_ALIGNMENT, 0);
        memset(pieces[i], i + 1, BYTES);
    }
    assert_int_equal((uintptr_t)pieces[0] / SLAB_BYTES, (uintptr_t)pieces[1] / SLAB_BYTES);
    assert_int_not_equal((uintptr_t)pieces[1] / SLAB_BYTES, (uintptr_t)pieces[2] / SLAB_BYTES);
    slabs_cut(&slabs, pieces[PIECES - 1], 10);
    assert_int_equal(slabs_room(&slabs), SLAB_PIECES_BYTES - SLAB_ALIGNMENT);
    for (int i = 0; i < PIECES; i++)
        for (size_t at = 0; at < (i < PIECES - 1 ? BYTES : 10); at += 9)
            assert_int_equal(pieces[i][at], i + 1);
    for (int i = 0; i < PIECES; i++) {
        size_t bytes = slabs_give(&slabs, pieces[i]);

        assert_int_equal(bytes, i % 2 == 1 || i == PIECES - 1 ? SLAB_BYTES : 0);
        given += bytes;
    }
    assert_int_equal(given, 3 * SLAB_BYTES);
    assert_int_equal(slabs_room(&slabs), 0);
    slabs_done(&slabs);
}

enum { KEYS = 30000, VALUE_BYTES = 1200, PUTS = 200000, SEGMENT_BYTES = 48 << 20, BATCH_BYTES = 4 << 20 };

static void put(struct front *front, uint32_t number, uint32_t generation)
{
    uint8_t value[VALUE_BYTES];
    struct cairn_bytes key = cairn_bytes(&number, sizeof number);

    memset(value, (int)(generation & 0xff), sizeof value);
    memcpy(value, &generation, sizeof generation);
    /* Some grow out of their record, and are appended again. */
    front->ops->put(front, &(struct run_record){cairn_hash(key), key,
                                                cairn_bytes(value, VALUE_BYTES - 200 + 20 * (generation % 11))});
}

/* What is still in memory is the newest. */
static size_t check(struct front *front, const uint32_t *generations)
{
    size_t found = 0;

    for (uint32_t number = 0; number < KEYS; number++) {
        struct cairn_bytes key = cairn_bytes(&number, sizeof number), value;
        uint32_t generation;

        if (!front->ops->get(front, key, cairn_hash(key), &value))
            continue;
        memcpy(&generation, value.data, sizeof generation);
        assert_int_equal(generation, generations[number]);
        assert_int_equal(value.size, VALUE_BYTES - 200 + 20 * (generation % 11));
        assert_int_equal(value.data[value.size - 1], generation & 0xff);
        found++;
    }
    return found;
}

static void large_log_keeps_what_it_has(void **unused)
{
    static uint32_t generations[KEYS];
    struct front *front = hybridlog_create(&(struct hybridlog_options){.mem_segment_len = SEGMENT_BYTES,
                                                                       .ro_lag_interval = SEGMENT_BYTES / 10 * 8,
                                                                       .flush_interval = BATCH_BYTES,
                                                                       .keeps = true});
    struct cairn_random random;
    uint64_t most = 0;

    (void)unused;
    cairn_random_init(&random, 1);
    for (uint32_t n = 1; n <= PUTS; n++) {
        uint32_t number = (uint32_t)cairn_random_below(&random, KEYS);
        uint64_t bytes;

        generations[number] = n;
        put(front, number, n);
        if (front->ops->pressure(front) != FRONT_EASY || n % 10000 == 0) /* now and then as for a snapshot */
            front->ops->seal(front, n % 10000 == 0);
        if (front->ops->batch_count(front) > 1)
            front->ops->release(front);
        bytes = front->ops->memory_bytes(front);
        most = bytes > most ? bytes : most;
    }
    assert_true(check(front, generations) > KEYS / 2);
    assert_true(most > SEGMENT_BYTES / 2 && most < SEGMENT_BYTES + 3 * BATCH_BYTES);
    front->ops->close(front);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(slabs_are_cut_and_given_back),
        cmocka_unit_test(large_log_keeps_what_it_has),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
