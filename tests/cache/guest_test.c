/* Would catch: an instance that gives the same block to two chunks, loses one, or gives one that is not in its memory;
 * a chunk whose bytes are changed by others that come and go; more than 15 % of the memory lost to bookkeeping and
 * half filled blocks under a day of a registry's sizes; a resident that can be used when it was ended, or whose memory
 * goes while it is borrowed; a call that never ends. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/random.h"
#include "cairn/cache_layout.h"
#include "fn/builtin.h"
#include "fn/resident.h"

enum { FUEL = 100000000, MIB = 1 << 20 };

static struct cairn_resident_kind *kind;
static struct cairn_resident *resident;
static uint8_t *memory;
static size_t memory_bytes;

static uint64_t call_of(const char *function, size_t count, const uint64_t *args)
{
    struct cairn_err err;
    uint64_t result = 0;

    if (cairn_resident_call(resident, function, args, count, FUEL, &result, &err) != CAIRN_OK)
        fail_msg("%s: %s", function, err.text);
    return result;
}

#define CALL(function, ...) \
    call_of(function, sizeof((uint64_t[]){__VA_ARGS__}) / sizeof(uint64_t), (const uint64_t[]){__VA_ARGS__})

static uint64_t ask(const char *function)
{
    return call_of(function, 0, NULL);
}

static uint64_t open_resident(uint64_t bytes)
{
    struct cairn_err err;
    uint64_t blocks;

    if (cairn_resident_create(kind, bytes, &resident, &err) != CAIRN_OK)
        fail_msg("%s", err.text);
    blocks = CALL("init", bytes);
    memory = cairn_resident_borrow(resident, &memory_bytes);
    assert_non_null(memory);
    return blocks;
}

static void close_resident(void)
{
    cairn_resident_give_back(resident);
    resident = cairn_resident_drop(resident);
}

static const struct cairn_cache_record *record_of(uint64_t number)
{
    uint64_t at = CALL("record", number);

    assert_true(at > 0 && at + sizeof(struct cairn_cache_record) <= memory_bytes);
    return (const struct cairn_cache_record *)(void *)(memory + at);
}

/* Calls `each` for all blocks of a chunk; returns how many there are. */
static uint32_t each_block(uint32_t block, void (*each)(uint32_t offset, uint32_t number, uint64_t mark), uint64_t mark)
{
    const uint32_t *scratch = (const uint32_t *)(void *)(memory + ask("scratch"));
    uint32_t seen = 0;

    while (block) {
        uint32_t count = (uint32_t)CALL("walk", block, CAIRN_CACHE_WALK_MAX);

        assert_true(count > 0);
        block = scratch[count];
        for (uint32_t i = 0; i < count; i++) {
            assert_int_equal(scratch[i] % CAIRN_CACHE_BLOCK_BYTES, 0);
            assert_true(scratch[i] + (uint64_t)CAIRN_CACHE_BLOCK_BYTES <= memory_bytes);
            each(scratch[i], seen++, mark);
        }
    }
    return seen;
}

static void mark_block(uint32_t offset, uint32_t number, uint64_t mark)
{
    for (uint32_t i = 0; i < CAIRN_CACHE_BLOCK_BYTES; i += 2048)
        memcpy(memory + offset + i, (const uint64_t[]){mark, number}, 16);
}

static void check_block(uint32_t offset, uint32_t number, uint64_t mark)
{
    for (uint32_t i = 0; i < CAIRN_CACHE_BLOCK_BYTES; i += 2048)
        assert_memory_equal(memory + offset + i, ((const uint64_t[]){mark, number}), 16);
}

/* Sizes of a container registry's layers, cut into tenths: from some KiB to 8 MiB, over three orders of magnitude. */
static uint32_t draw_size(struct cairn_random *random)
{
    return (uint32_t)(8192 * exp2((double)cairn_random_below(random, 1000) / 100));
}

enum { CHUNKS_MAX = 4096 };

struct chunk {
    uint64_t number, generation;
    uint32_t bytes;
} chunks[CHUNKS_MAX];

static void drop_chunk(uint32_t i, uint32_t *count)
{
    each_block(record_of(chunks[i].number)->block, check_block, chunks[i].generation);
    assert_true(CALL("drop", chunks[i].number) > 0);
    assert_int_equal(CALL("drop", chunks[i].number), 0);
    assert_int_equal(CALL("find", chunks[i].generation, 3), 0);
    chunks[i] = chunks[--*count];
}

static void a_day_of_chunks(void **state)
{
    uint64_t blocks = open_resident(64 * MIB), held = 0, fills = 0;
    double worst = 1;
    struct cairn_random random;
    uint32_t count = 0;

    (void)state;
    cairn_random_init(&random, 3);
    assert_int_equal(ask("free_blocks"), blocks);
    assert_true(blocks > 64 * MIB / CAIRN_CACHE_BLOCK_BYTES * 98 / 100);
    for (uint64_t generation = 1; generation <= 4000; generation++) {
        uint32_t bytes = draw_size(&random);
        uint64_t number;

        while (!(number = CALL("reserve", generation, 3, bytes))) { /* full */
            double use = (double)held / (64 * MIB);

            if (bytes < 256 << 10) { /* a small one found no room: nothing but waste is left */
                worst = use < worst ? use : worst;
                fills++;
            }
            assert_true(count > 0);
            number = cairn_random_below(&random, count);
            held -= chunks[number].bytes;
            drop_chunk((uint32_t)number, &count);
        }
        assert_int_equal(CALL("reserve", generation, 3, bytes), 0);
        assert_int_equal(CALL("find", generation, 3), number);
        assert_int_equal(record_of(number)->bytes, bytes);
        assert_int_equal(each_block(record_of(number)->block, mark_block, generation),
                         (bytes + CAIRN_CACHE_BLOCK_BYTES - 1) / CAIRN_CACHE_BLOCK_BYTES);
        chunks[count++] = (struct chunk){number, generation, bytes};
        held += bytes;
    }
    assert_true(fills > 100);
    if (worst < 0.85)
        fail_msg("%.1f %% of the memory was of use when it was full", 100 * worst);
    while (count)
        drop_chunk(count - 1, &count);
    assert_int_equal(ask("free_blocks"), blocks);
    close_resident();
}

static void all_chunks_are_listed(void **state)
{
    const struct cairn_cache_record *scratch;
    uint64_t from = 1, seen = 0, listed;

    (void)state;
    open_resident(16 * MIB);
    for (uint64_t generation = 1; generation <= 300; generation++)
        assert_true(CALL("reserve", generation, 0, 0) > 0);
    for (uint64_t generation = 1; generation <= 300; generation += 3)
        CALL("drop", CALL("find", generation, 0));
    scratch = (const struct cairn_cache_record *)(void *)(memory + ask("scratch"));
    while ((listed = CALL("list", from, CAIRN_CACHE_LIST_MAX)) > 0) {
        for (uint64_t i = 0; i < listed; i++, seen++)
            assert_int_not_equal(scratch[i].generation % 3, 1);
        from = scratch[listed - 1].number + 1;
    }
    assert_int_equal(seen, 200);
    close_resident();
}

static void what_cannot_be_is_refused(void **state)
{
    uint64_t blocks = open_resident(4 * MIB);
    struct cairn_err err;
    uint64_t result;

    (void)state;
    assert_int_equal(CALL("init", 4 * MIB), 0);
    assert_int_equal(CALL("reserve", 0, 0, 1), 0);
    assert_int_equal(CALL("reserve", 1, 0, (blocks + 1) * CAIRN_CACHE_BLOCK_BYTES), 0);
    assert_int_equal(CALL("reserve", 1, 0, UINT32_MAX), 0);
    assert_int_equal(CALL("drop", 0), 0);
    assert_int_equal(CALL("drop", UINT32_MAX), 0);
    assert_int_equal(CALL("record", 7), 0);
    assert_int_equal(cairn_resident_call(resident, "reserve", (const uint64_t[]){1}, 1, FUEL, &result, &err),
                     CAIRN_ENOTFOUND);
    assert_int_equal(cairn_resident_call(resident, "nothing", NULL, 0, FUEL, &result, &err), CAIRN_ENOTFOUND);
    assert_int_equal(cairn_resident_call(resident, "memory", NULL, 0, FUEL, &result, &err), CAIRN_ENOTFOUND);
    assert_int_equal(cairn_resident_call(resident, "find", (const uint64_t[]){1, 1}, 2, 1, &result, &err), CAIRN_ECPU);
    close_resident();
    assert_int_equal(cairn_resident_create(kind, MIB / 32, &resident, &err), CAIRN_ELIMIT); /* not even a page */
}

static void memory_outlives_its_end(void **state)
{
    struct cairn_resident_usage usage;
    struct cairn_err err;
    size_t bytes;

    (void)state;
    open_resident(4 * MIB);
    usage = cairn_resident_usage(resident);
    assert_true(usage.calls == 1 && usage.fuel > 0 && usage.memory_bytes == 4 * MIB);
    cairn_resident_end(resident);
    cairn_resident_end(resident);
    assert_null(cairn_resident_borrow(resident, &bytes));
    assert_int_equal(cairn_resident_call(resident, "scratch", NULL, 0, FUEL, NULL, &err), CAIRN_EUNAVAILABLE);
    assert_null(cairn_resident_drop(resident));
    memory[memory_bytes - 1] = 1; /* ours still */
    cairn_resident_give_back(resident);
}

static void modules_are_checked(void **state)
{
    static const uint8_t imports[] = {0, 'a', 's', 'm', 1, 0, 0, 0, 1, 4, 1, 0x60, 0, 0, 2, 7, 1, 1, 'a', 1, 'b', 0, 0};
    static const uint8_t nothing[] = {0, 'a', 's', 'm', 1, 0, 0, 0};
    struct cairn_resident_kind *other;
    struct cairn_resident *none;
    struct cairn_err err;

    (void)state;
    assert_int_equal(cairn_resident_kind_create(cairn_str("no module"), &other, &err), CAIRN_EMODULE);
    assert_int_equal(cairn_resident_kind_create(cairn_bytes(imports, sizeof imports), &other, &err), CAIRN_EMODULE);
    assert_int_equal(cairn_resident_kind_create(cairn_bytes(nothing, sizeof nothing), &other, &err), CAIRN_OK);
    assert_int_equal(cairn_resident_create(other, MIB, &none, &err), CAIRN_EMODULE);
    cairn_resident_kind_destroy(other);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_day_of_chunks),           cmocka_unit_test(all_chunks_are_listed),
        cmocka_unit_test(what_cannot_be_is_refused), cmocka_unit_test(memory_outlives_its_end),
        cmocka_unit_test(modules_are_checked),
    };
    struct cairn_err err;
    int failed;

    if (cairn_resident_kind_create(cairn_builtin_wasm("cache"), &kind, &err) != CAIRN_OK) {
        fprintf(stderr, "%s\n", err.text);
        return 1;
    }
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    cairn_resident_kind_destroy(kind);
    return failed;
}
