/* Would catch: a record of several shards of which a shard's part is missing after a crash; a checkpoint that begins
 * while a shard has entered, so that it names a position beyond a record that it lacks; a shard that lets none enter
 * any more, or has no checkpoint any more. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "base/hash.h"
#include "shard/joint.h"
#include "shard/rig.h"

static void must_open(struct rig *rig)
{
    struct cairn_err err;

    if (rig_open(rig, &err) != CAIRN_OK)
        fail_msg("%s", err.text);
}

static struct cairn_shard *at(struct rig *rig, uint32_t index)
{
    return cairn_store_shard(rig->store, index);
}

static struct cairn_write a_write(const char *key, struct cairn_bytes value)
{
    return (struct cairn_write){.key = cairn_str(key), .value = value, .hash = cairn_hash(cairn_str(key))};
}

/* The shards have entered; the record is in the log, and nobody has applied it. */
static uint64_t append(struct rig *rig, const struct cairn_write *writes)
{
    struct cairn_log *log = cairn_shard_log(at(rig, 0));
    struct cairn_buf parts[2] = {{0}, {0}};
    struct cairn_bytes pieces[2];
    struct cairn_err err;
    uint64_t end;

    for (uint32_t i = 0; i < 2; i++) {
        cairn_joint_encode(at(rig, i), cairn_str("n"), &writes[i], 1, &parts[i]);
        pieces[i] = cairn_buf_bytes(&parts[i]);
    }
    assert_int_equal(log->ops->claim(log, cairn_joint_record_bytes(pieces[0].size + pieces[1].size), 1, &err),
                     CAIRN_OK);
    assert_int_equal(cairn_joint_append(at(rig, 0), 77, pieces, 2, 2, &end, &err), CAIRN_OK);
    for (int i = 0; i < 2; i++)
        cairn_buf_done(&parts[i]);
    log->ops->want(log, end);
    for (int i = 0; i < 100; i++)
        rig_pump(rig);
    return end;
}

static void must_hold(struct rig *rig, uint32_t shard, const struct cairn_write *write)
{
    struct cairn_view *view = cairn_shard_view(at(rig, shard));
    struct cairn_bytes value;

    assert_true(view->ops->get(view, write->key, write->hash, &value));
    assert_true(cairn_bytes_equal(value, write->value));
}

static void a_crash_loses_no_part(void **state)
{
    static uint8_t large[5000];
    struct cairn_write writes[2] = {a_write("joint one", cairn_str("first")),
                                    a_write("joint two", cairn_bytes(large, sizeof large))};
    static struct rig rig;

    (void)state;
    for (int applied = 0; applied < 3; applied++) { /* none, one and both of the shards had */
        rig_init(&rig, cairn_sim_disk_create(3), CAIRN_SYNC_ALWAYS, 2);
        must_open(&rig);
        rig_commit(&rig, 0);
        for (uint32_t i = 0; i < 2; i++)
            assert_true(cairn_joint_enter(at(&rig, i)));
        uint64_t end = append(&rig, writes);
        for (uint32_t i = 0; i < 2; i++)
            if ((int)i < applied)
                cairn_joint_apply(at(&rig, i), 77, &writes[i], 1, end);
        rig_crash(&rig, CAIRN_SIM_DROP);
        must_open(&rig);
        for (uint32_t i = 0; i < 2; i++)
            must_hold(&rig, i, &writes[i]);
        assert_true(cairn_store_wall_ms(rig.store) >= 77);
        rig_done(&rig);
    }
}

/* Others commit to the shard, so much that checkpoints are due, before it has applied what has a position: then it is
 * applied, checkpoints come, and the log below them is not read any more. */
static void no_checkpoint_passes_it(void **state)
{
    struct cairn_write writes[2] = {a_write("joint one", cairn_str("first")),
                                    a_write("joint two", cairn_str("second"))};
    struct cairn_store_stats stats;
    static struct rig rig;
    uint64_t before, end;
    int waited = 0;

    (void)state;
    rig_init(&rig, cairn_sim_disk_create(4), CAIRN_SYNC_ALWAYS, 2);
    rig.options.log_bytes_max = 64 << 10;
    must_open(&rig);
    for (uint32_t i = 0; i < 2; i++)
        assert_true(cairn_joint_enter(at(&rig, i)));
    end = append(&rig, writes);
    cairn_joint_apply(at(&rig, 0), 77, &writes[0], 1, end); /* the other is late */
    for (int i = 0; i < 400; i++) {
        struct cairn_err err;

        if (cairn_shard_check_writers(at(&rig, 1), &err) != CAIRN_OK)
            break;
        rig_commit(&rig, 1);
        rig_pump(&rig);
    }
    cairn_store_stats(rig.store, &stats);
    before = stats.checkpoints;
    for (int i = 0; i < 200; i++)
        rig_pump(&rig);
    assert_false(cairn_joint_enter(at(&rig, 1))); /* a checkpoint is due, and waits for it to be gone */
    cairn_joint_apply(at(&rig, 1), 77, &writes[1], 1, end);
    while (!cairn_joint_enter(at(&rig, 1))) {
        rig_pump(&rig);
        assert_true(++waited < 1000);
    }
    cairn_joint_leave(at(&rig, 1));
    for (int i = 0; i < 400; i++) {
        rig_commit(&rig, 1);
        for (int k = 0; k < 8; k++)
            rig_pump(&rig);
    }
    cairn_store_stats(rig.store, &stats);
    assert_true(stats.checkpoints > before);
    rig_crash(&rig, CAIRN_SIM_KEEP);
    must_open(&rig);
    for (uint32_t i = 0; i < 2; i++)
        must_hold(&rig, i, &writes[i]);
    rig_done(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_crash_loses_no_part),
        cmocka_unit_test(no_checkpoint_passes_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
