/* Would catch: an object that lives in another shard than its id's slot says, by the table and the namespace; a type
 * that has a say in it; objects with the same tag that do not live together. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/hash.h"
#include "base/slot.h"
#include "support/simnode.h"

enum { SHARDS = 16 };

static void keys_of(struct simnode *sim, uint64_t keys[SHARDS])
{
    for (uint32_t i = 0; i < SHARDS; i++) {
        struct cairn_engine_stats stats;

        cairn_shard_engine_stats(cairn_store_shard(sim->store, i), &stats);
        keys[i] = stats.keys;
    }
}

/* Makes an object; in which shard there are more keys then. */
static uint32_t shard_of_new(struct simnode *sim, const char *type, const char *id, const char *method)
{
    uint64_t before[SHARDS], after[SHARDS];
    uint32_t grown = SHARDS;
    struct simcall call;

    keys_of(sim, before);
    simcall_init(&call, CAIRN_OP_INVOKE, type, id, method, "10", NULL);
    simcall_run(sim, &call);
    if (call.reply.data[0] == CAIRN_VALUE_ERROR)
        fail_msg("%s/%s: %s", type, id, simvalue_text(cairn_buf_bytes(&call.reply)));
    simcall_done(&call);
    keys_of(sim, after);
    for (uint32_t i = 0; i < SHARDS; i++)
        if (after[i] != before[i]) {
            assert_int_equal(grown, SHARDS); /* one only */
            grown = i;
        }
    assert_in_range(grown, 0, SHARDS - 1);
    return grown;
}

static void objects_live_where_their_tags_say(void **state)
{
    struct simnode_options options = {.shards = SHARDS};
    const uint16_t *slots;
    struct simnode sim;
    struct cairn_err err;

    (void)state;
    simnode_init(&sim, 1, &options);
    if (simnode_open(&sim, &err) != CAIRN_OK)
        fail_msg("%s", err.text);
    simnode_deploy(&sim, "probe");
    simnode_deploy(&sim, "step");
    slots = cairn_store_slots(sim.store);
    for (int i = 0; i < 48; i++) {
        char tag[16], one[32], other[32];
        uint32_t shard;

        snprintf(tag, sizeof tag, "t%d", i);
        snprintf(one, sizeof one, "{%s}a", tag);
        snprintf(other, sizeof other, "b{%s}{x}", tag);
        shard = shard_of_new(&sim, "Probe", one, "set");
        assert_int_equal(shard, slots[(cairn_slot(cairn_str(tag)) + cairn_hash(cairn_str("default"))) % CAIRN_SLOTS]);
        assert_int_equal(shard_of_new(&sim, "Step", other, "write"), shard);
        assert_int_equal(shard_of_new(&sim, "Probe", tag, "set"), shard);
        assert_int_equal(shard_of_new(&sim, "Step", tag, "write"), shard);
    }
    simnode_done(&sim);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(objects_live_where_their_tags_say),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
