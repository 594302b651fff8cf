/* Would catch: a slot that is not the one that Redis Cluster's clients compute; a tag that is read otherwise than they
 * do; a table that leaves slots out, is not in ascending ranges or gives a shard more than its share; sequential ids
 * that crowd into few shards. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/slot.h"

static uint32_t slot(const char *id)
{
    return cairn_slot(cairn_str(id));
}

static void slots_are_those_of_redis(void **state)
{
    (void)state;
    assert_int_equal(slot("123456789"), 0x31c3); /* the check value of CRC-16/XMODEM */
    assert_int_equal(slot("foo"), 12182);
    assert_int_equal(slot("somekey"), 11058);
    assert_int_equal(slot("foo{hash_tag}"), 2515);
    assert_int_equal(slot("bar{hash_tag}"), 2515);
    assert_int_equal(slot("\xff\xfe\x80"), 0x2e25); /* bytes are unsigned */
    assert_int_equal(cairn_slot(cairn_bytes(NULL, 0)), 0);
}

static const struct {
    const char *id, *tag;
} tags[] = {
    {"{user1000}.following", "user1000"},
    {"{user1000}.followers", "user1000"},
    {"foo{bar}{zap}", "bar"},
    {"{alice}", "alice"},
    {"cart{alice", NULL}, /* the whole id */
    {"cart}alice", NULL},
    {"}a{", NULL},
    {"foo{}{bar}", NULL},
    {"{}", NULL},
    {"{}alice", NULL},
    {"}x{alice}", "alice"},
};

static uint32_t crc_mod(const char *text) /* bit by bit, and without tags */
{
    uint32_t crc = 0;

    for (; *text; text++) {
        crc ^= (uint32_t)(uint8_t)*text << 8;
        for (int bit = 0; bit < 8; bit++)
            crc = (crc << 1 ^ (crc & 0x8000 ? 0x1021 : 0)) & 0xffff;
    }
    return crc % CAIRN_SLOTS;
}

static void tags_are_those_of_redis(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof tags / sizeof *tags; i++)
        if (slot(tags[i].id) != crc_mod(tags[i].tag ? tags[i].tag : tags[i].id))
            fail_msg("%s: slot %u", tags[i].id, slot(tags[i].id));
    assert_int_equal(slot("foo{{bar}}zap"), crc_mod("{bar"));
}

static void shares_are_even(void **state)
{
    static const uint32_t counts[] = {1, 2, 3, 16, 100, 4096};
    static uint16_t slots[CAIRN_SLOTS];

    (void)state;
    for (size_t c = 0; c < sizeof counts / sizeof *counts; c++) {
        uint32_t shards = counts[c], size = 1;

        cairn_slots_share(slots, shards);
        assert_int_equal(slots[0], 0);
        assert_int_equal(slots[CAIRN_SLOTS - 1], shards - 1);
        for (uint32_t i = 1; i <= CAIRN_SLOTS; i++, size++)
            if (i == CAIRN_SLOTS || slots[i] != slots[i - 1]) {
                assert_true(i == CAIRN_SLOTS || slots[i] == slots[i - 1] + 1);
                assert_in_range(size, CAIRN_SLOTS / shards, (CAIRN_SLOTS + shards - 1) / shards);
                size = 0;
            }
    }
}

static void sequential_ids_spread(void **state)
{
    enum { SHARDS = 16, IDS = 16384, EACH = IDS / SHARDS };
    static const struct {
        const char *prefix;
        int width;
    } forms[] = {{"", 1}, {"user", 1}, {"user:", 8}};
    static uint16_t slots[CAIRN_SLOTS];

    (void)state;
    cairn_slots_share(slots, SHARDS);
    for (size_t f = 0; f < sizeof forms / sizeof *forms; f++) {
        uint32_t counts[SHARDS] = {0};

        for (unsigned i = 0; i < IDS; i++) {
            char id[32];

            snprintf(id, sizeof id, "%s%0*u", forms[f].prefix, forms[f].width, i);
            counts[slots[slot(id)]]++;
        }
        for (int i = 0; i < SHARDS; i++)
            if (counts[i] < EACH * 8 / 10 || counts[i] > EACH * 12 / 10)
                fail_msg("ids like %s1: shard %d has %u of %d", forms[f].prefix, i, counts[i], IDS);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(slots_are_those_of_redis),
        cmocka_unit_test(tags_are_those_of_redis),
        cmocka_unit_test(shares_are_even),
        cmocka_unit_test(sequential_ids_spread),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
