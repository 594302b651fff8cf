/* Catches: with a log for each shard: positions or ends of one shard that come from another's log, a checkpoint that
 * waits for or trims another shard's log, one that is never due as another log is shorter, a restart that replays a
 * shard from another's position or loses a shard's commits; and a version of the node or an archive over several
 * logs, of which there is no cut yet. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/hash.h"
#include "history/history.h"
#include "support/simstreams.h"

enum { SHARDS = 3, COMMITS = 2000 };

struct lab {
    struct cairn_disk *disk;
    struct cairn_sim_clock clock;
    struct cairn_tasks *tasks;
    struct simstreams streams;
    struct cairn_store_options options;
    struct cairn_store *store;
    uint32_t commits[SHARDS]; /* that each shard has had */
};

static void begin(struct lab *lab, const char *engine)
{
    *lab = (struct lab){.disk = cairn_sim_disk_create(1), .tasks = cairn_tasks_create(0)};
    cairn_sim_clock_init(&lab->clock, 1);
    simstreams_init(&lab->streams, 1);
    lab->options = (struct cairn_store_options){
        .disk = lab->disk,
        .clock = &lab->clock.clock,
        .tasks = lab->tasks,
        .shards = SHARDS,
        .engine = engine,
        .engine_memory_bytes = SHARDS * (256 << 10),
        .log_bytes_max = 16 << 10,
        .log = &lab->streams.opener,
        .tap = cairn_history_tap,
    };
}

static void open_store(struct lab *lab)
{
    struct cairn_err err;

    if (cairn_store_open(&lab->options, &lab->store, &err) != CAIRN_OK ||
        cairn_store_start(lab->store, &err) != CAIRN_OK)
        fail_msg("%s", err.text);
}

static void end(struct lab *lab)
{
    cairn_store_abandon(lab->store);
    cairn_tasks_destroy(lab->tasks);
    cairn_disk_close(lab->disk);
    simstreams_done(&lab->streams);
}

static struct cairn_log *log_of(struct lab *lab, uint32_t shard)
{
    return cairn_shard_log(cairn_store_shard(lab->store, shard));
}

/* Writes how many commits the shard has had. */
static void commit(struct lab *lab, uint32_t index)
{
    struct cairn_shard *shard = cairn_store_shard(lab->store, index);
    struct cairn_write write = {.key = cairn_str("count"), .hash = cairn_hash(cairn_str("count"))};
    struct cairn_log *log = cairn_shard_log(shard);
    uint64_t before = log->ops->end(log), end;
    uint8_t value[60] = {0};
    struct cairn_err err;
    enum cairn_code code;

    cairn_put_u32(value, ++lab->commits[index]);
    write.value = cairn_bytes(value, sizeof value);
    while ((code = log->ops->claim(log, cairn_shard_record_bytes(cairn_str(""), &write, 1), 1, &err)) ==
           CAIRN_EOVERLOAD)
        log->ops->step(log);
    assert_int_equal(code, CAIRN_OK);
    assert_int_equal(cairn_shard_commit(shard, 1000, cairn_str(""), &write, 1, &end, &err), CAIRN_OK);
    assert_true(end > before && end == log->ops->end(log));
}

static void settle(struct lab *lab)
{
    for (int idle = 0; idle < 20; idle++) {
        bool any = cairn_store_step_logs(lab->store);

        if (cairn_tasks_step(lab->tasks) || any)
            idle = 0;
        for (uint32_t i = 0; i <= SHARDS; i++)
            cairn_shard_step(cairn_store_shard(lab->store, i), 1000000);
    }
}

static void check_counts(struct lab *lab)
{
    for (uint32_t i = 0; i < SHARDS; i++) {
        struct cairn_view *view = cairn_shard_view(cairn_store_shard(lab->store, i));
        struct cairn_bytes value;

        if (!view->ops->get(view, cairn_str("count"), cairn_hash(cairn_str("count")), &value))
            assert_int_equal(lab->commits[i], 0);
        else
            assert_int_equal(cairn_get_u32(value.data), lab->commits[i]);
    }
}

static void run(const char *engine)
{
    struct cairn_store_stats stats;
    struct lab lab;

    begin(&lab, engine);
    open_store(&lab);
    assert_false(cairn_store_has_one_log(lab.store));
    assert_ptr_not_equal(log_of(&lab, 0), log_of(&lab, 1));
    commit(&lab, 1);
    assert_int_equal(log_of(&lab, 0)->ops->end(log_of(&lab, 0)), 1);
    settle(&lab);
    for (int life = 0; life < 3; life++) {
        for (int i = 0; i < COMMITS; i++) { /* much to one shard, little to another, nothing to the third */
            commit(&lab, 0);
            if (i % 500 == 0)
                commit(&lab, 1);
            if (i % 10 == 0)
                settle(&lab);
        }
        settle(&lab);
        cairn_store_stats(lab.store, &stats);
        assert_true(stats.checkpoints >= 5);
        log_of(&lab, 0)->ops->stats(log_of(&lab, 0), &stats.log);
        assert_true(stats.log.retained_bytes <= 16 << 10); /* trimmed, by its own checkpoints */
        log_of(&lab, 1)->ops->stats(log_of(&lab, 1), &stats.log);
        assert_true(stats.log.durable == stats.log.end && stats.log.end < 4000);
        assert_int_equal(log_of(&lab, 2)->ops->end(log_of(&lab, 2)), 1);
        cairn_store_abandon(lab.store);
        cairn_sim_disk_crash(lab.disk, CAIRN_SIM_DROP);
        open_store(&lab);
        check_counts(&lab);
    }
    end(&lab);
}

static void each_shard_has_its_own(void **state)
{
    (void)state;
    run("memory");
    run("lsm");
}

static void nothing_cuts_through_several_logs(void **state)
{
    struct cairn_disk *disk = cairn_sim_disk_create(2);
    struct cairn_blob *blob = cairn_blob_on_disk(disk);
    struct cairn_store *store;
    struct cairn_err err;
    struct lab lab;

    (void)state;
    begin(&lab, "lsm");
    open_store(&lab);
    assert_int_equal(cairn_store_version_begin(lab.store, false, &err), CAIRN_EINVAL);
    assert_non_null(strstr(err.text, "log of its own"));
    assert_false(cairn_store_version_due(lab.store, 1));
    cairn_store_abandon(lab.store);
    lab.store = NULL;
    cairn_sim_disk_crash(lab.disk, CAIRN_SIM_KEEP);
    lab.options.archive = blob;
    assert_int_equal(cairn_store_open(&lab.options, &store, &err), CAIRN_EINVAL);
    assert_non_null(strstr(err.text, "without --blob"));
    end(&lab);
    cairn_blob_close(blob);
    cairn_disk_close(disk);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_shard_has_its_own),
        cmocka_unit_test(nothing_cuts_through_several_logs),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
