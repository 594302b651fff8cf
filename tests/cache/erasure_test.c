/* Would catch: a cell that is not given back bit for bit from any `data` others, for each pattern of loss of the
 * redundancies that are named; a value that is cut so that bytes are missing or stand twice; parity that does not
 * rotate as RAID levels 5 and 6 have it; the examples of a lecture on RAID; a redundancy that is read as another one.
 * */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>

#include "base/random.h"
#include "cache/erasure.h"

static struct cairn_redundancy parse(const char *text)
{
    struct cairn_redundancy redundancy;
    struct cairn_err err;

    if (cairn_redundancy_parse(text, &redundancy, &err) != CAIRN_OK)
        fail_msg("%s: %s", text, err.text);
    return redundancy;
}

static void redundancies_are_read(void **state)
{
    static const struct {
        const char *text, *printed;
        unsigned data, parity;
    } good[] = {{"10+2", "10+2", 10, 2},      {"1+0", "1+0", 1, 0},        {"48+16", "48+16", 48, 16},
                {"raid0:4", "4+0", 4, 0},     {"raid1:2", "1+1", 1, 1},    {"raid4:5", "4+1", 4, 1},
                {"raid5:5", "raid5:5", 4, 1}, {"raid6:8", "raid6:8", 6, 2}};
    static const char *const bad[] = {"",        "10",      "10+",      "+2",      "0+1",     "10+2x",
                                      "10 + 2",  "-1+2",    "100+1",    "49+16",   "10+17",   "raid",
                                      "raid5",   "raid5:",  "raid5:1",  "raid2:8", "raid7:8", "raid0:0",
                                      "raid1:1", "raid6:2", "raid5:65", "raid55:5"};
    char printed[CAIRN_REDUNDANCY_TEXT_BYTES];
    struct cairn_redundancy redundancy;
    struct cairn_err err;

    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        redundancy = parse(good[i].text);
        assert_int_equal(redundancy.data, good[i].data);
        assert_int_equal(redundancy.parity, good[i].parity);
        cairn_redundancy_print(&redundancy, printed);
        assert_string_equal(printed, good[i].printed);
        assert_int_equal(redundancy.rotates, good[i].printed[0] == 'r');
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        if (cairn_redundancy_parse(bad[i], &redundancy, &err) != CAIRN_EINVAL)
            fail_msg("'%s' was taken", bad[i]);
}

static void a_value_is_cut_without_gaps(void **state)
{
    static const char *const texts[] = {"10+2", "raid5:5", "raid6:8", "1+2", "4+0", "7+3"};
    struct cairn_random random;

    (void)state;
    cairn_random_init(&random, 7);
    for (int round = 0; round < 400; round++) {
        struct cairn_redundancy redundancy = parse(texts[round % 6]);
        uint64_t full = (uint64_t)redundancy.data * CAIRN_CELL_BYTES;
        uint64_t bytes = round < 48 ? (uint64_t)(round / 6) * full / 2 + (uint64_t)(round % 3)
                                    : cairn_random_below(&random, 5 * full);
        struct cairn_cut cut = cairn_cut(&redundancy, bytes);
        uint64_t sum = 0, cells = 0;
        uint32_t chunks = cairn_redundancy_chunks(&redundancy);

        for (uint64_t stripe = 0; stripe < cut.stripes; stripe++) {
            uint32_t cell = cairn_cut_cell_bytes(&cut, stripe);
            uint64_t seen = 0;

            assert_int_equal(cairn_cut_cell_offset(stripe), cells);
            assert_int_equal(cell % CAIRN_CELL_ALIGN, 0);
            assert_true(cell > 0 && cell <= CAIRN_CELL_BYTES);
            assert_true(cairn_cut_stripe_bytes(&cut, stripe) <= (uint64_t)cell * redundancy.data);
            assert_true((uint64_t)cell * redundancy.data - cairn_cut_stripe_bytes(&cut, stripe) <
                        (uint64_t)CAIRN_CELL_ALIGN * redundancy.data + redundancy.data);
            sum += cairn_cut_stripe_bytes(&cut, stripe);
            cells += cell;
            for (uint32_t i = 0; i < chunks; i++) {
                uint32_t chunk = cairn_cut_chunk_of(&cut, stripe, i);

                seen |= UINT64_C(1) << chunk;
                assert_int_equal(cairn_cut_cell_of(&cut, stripe, chunk), i);
            }
            assert_int_equal(seen, (UINT64_C(1) << chunks) - 1);
        }
        assert_int_equal(sum, bytes);
        if (cut.stripes) {
            assert_int_equal(cairn_cut_sum_offset(&cut, 0), cells);
            assert_int_equal(cairn_cut_chunk_bytes(&cut), cells + 4 * cut.stripes);
        } else
            assert_int_equal(cairn_cut_chunk_bytes(&cut), 0);
    }
}

/* --- every loss --- */

enum { BYTES = 192 };

/* All cells that are gone come back, whichever `data` cells of all are there. */
static void try_losses(const char *text, bool of_all)
{
    struct cairn_redundancy redundancy = parse(text);
    uint32_t chunks = cairn_redundancy_chunks(&redundancy), data = redundancy.data;
    struct cairn_erasure *erasure = cairn_erasure_new(&redundancy);
    struct cairn_mend *mend = cairn_alloc(sizeof *mend);
    uint8_t cells[CAIRN_CHUNKS_MAX][BYTES], made[CAIRN_CHUNKS_MAX][BYTES];
    uint8_t *pointers[CAIRN_CHUNKS_MAX], *from[CAIRN_CHUNKS_MAX], *to[CAIRN_CHUNKS_MAX];
    struct cairn_random random;

    cairn_random_init(&random, 11);
    for (uint32_t i = 0; i < chunks; i++) {
        pointers[i] = cells[i];
        to[i] = made[i];
        for (size_t n = 0; n < BYTES; n++)
            cells[i][n] = (uint8_t)cairn_random_below(&random, 256);
    }
    cairn_erasure_encode(erasure, BYTES, pointers, pointers + data);
    for (uint64_t there = 0; there < UINT64_C(1) << chunks; there++) {
        uint64_t gone = ((UINT64_C(1) << chunks) - 1) & ~there;
        uint32_t count = (uint32_t)__builtin_popcountll(there);

        if (!of_all && count != data && count + 1 != data)
            continue;
        if (!cairn_mend_plan(erasure, there, gone, mend)) {
            assert_true(count < data);
            continue;
        }
        assert_true(count >= data);
        assert_int_equal(mend->from_count, data);
        assert_int_equal(mend->to_count, chunks - count);
        for (uint32_t i = 0; i < data; i++) {
            assert_true(there >> mend->from[i] & 1);
            from[i] = cells[mend->from[i]];
        }
        memset(made, 0xee, sizeof made);
        cairn_mend_run(mend, BYTES, from, to);
        for (uint32_t i = 0; i < mend->to_count; i++)
            assert_memory_equal(made[i], cells[mend->to[i]], BYTES);
    }
    free(mend);
    cairn_erasure_free(erasure);
}

static void every_loss_is_mended(void **state)
{
    (void)state;
    try_losses("4+2", true);
    try_losses("5+1", true);
    try_losses("1+3", true);
    try_losses("raid6:8", true);
    try_losses("10+1", false);
    try_losses("10+2", false);
    try_losses("10+4", false);
    try_losses("3+0", true);
}

/* A straggler: 2+1, d2 comes late, the value is made from d1 and the parity. */
static void the_first_cells_suffice(void **state)
{
    struct cairn_redundancy redundancy = parse("2+1");
    struct cairn_erasure *erasure = cairn_erasure_new(&redundancy);
    struct cairn_mend *mend = cairn_alloc(sizeof *mend);
    uint8_t d1[64], d2[64], parity[64], made[64];
    uint8_t *data[] = {d1, d2}, *parities[] = {parity}, *from[] = {d1, parity}, *to[] = {made};

    (void)state;
    memset(d1, 0x35, sizeof d1);
    memset(d2, 0x0f, sizeof d2);
    cairn_erasure_encode(erasure, 64, data, parities);
    assert_int_equal(parity[63], 0x35 ^ 0x0f);
    assert_true(cairn_mend_plan(erasure, 5, 2, mend));
    cairn_mend_run(mend, 64, from, to);
    assert_memory_equal(made, d2, sizeof d2);
    free(mend);
    cairn_erasure_free(erasure);
}

/* --- a lecture's examples of RAID --- */

static void striping_places_blocks(void **state)
{
    struct cairn_raid_place place = cairn_raid0_place(4, 1, 13);

    (void)state;
    assert_int_equal(place.disk, 1);
    assert_int_equal(place.offset, 3);
    place = cairn_raid0_place(4, 2, 13);
    assert_int_equal(place.disk, 2);
    assert_int_equal(place.offset, 3);
}

/* The XOR of two bits each: 00 10 11 10 and 10 01 00 01; a block that is lost is the XOR of the rest. */
static void parity_is_xor(void **state)
{
    static const uint8_t rows[2][5] = {{0, 2, 3, 2, 3}, {2, 1, 0, 1, 2}};
    struct cairn_redundancy redundancy = parse("raid4:5");
    struct cairn_erasure *erasure = cairn_erasure_new(&redundancy);
    struct cairn_mend *mend = cairn_alloc(sizeof *mend);

    (void)state;
    for (int row = 0; row < 2; row++) {
        uint8_t cells[5][64], made[64];
        uint8_t *data[4], *parity[] = {cells[4]}, *from[4], *to[] = {made};

        for (int i = 0; i < 4; i++)
            memset(data[i] = cells[i], rows[row][i], 64);
        cairn_erasure_encode(erasure, 64, data, parity);
        assert_int_equal(cells[4][0], rows[row][4]);
        for (unsigned lost = 0; lost < 5; lost++) {
            assert_true(cairn_mend_plan(erasure, 31u & ~(1u << lost), 1u << lost, mend));
            for (int i = 0; i < 4; i++)
                from[i] = cells[mend->from[i]];
            cairn_mend_run(mend, 64, from, to);
            assert_int_equal(made[17], rows[row][lost]);
        }
    }
    free(mend);
    cairn_erasure_free(erasure);
}

static void raid5_rotates(void **state)
{
    static const int rows[5][5] = {
        {0, 1, 2, 3, -1}, {5, 6, 7, -1, 4}, {10, 11, -1, 8, 9}, {15, -1, 12, 13, 14}, {-1, 16, 17, 18, 19}};
    struct cairn_redundancy redundancy = parse("raid5:5");
    struct cairn_cut cut = cairn_cut(&redundancy, 5 * 4 * (uint64_t)CAIRN_CELL_BYTES);

    (void)state;
    assert_int_equal(cut.stripes, 5);
    for (uint64_t stripe = 0; stripe < 5; stripe++)
        for (uint32_t chunk = 0; chunk < 5; chunk++) {
            uint32_t cell = cairn_cut_cell_of(&cut, stripe, chunk);

            assert_int_equal(cell == 4 ? -1 : (int)(stripe * 4 + cell), rows[stripe][chunk]);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(redundancies_are_read),  cmocka_unit_test(a_value_is_cut_without_gaps),
        cmocka_unit_test(every_loss_is_mended),   cmocka_unit_test(the_first_cells_suffice),
        cmocka_unit_test(striping_places_blocks), cmocka_unit_test(parity_is_xor),
        cmocka_unit_test(raid5_rotates),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
