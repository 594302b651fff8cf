/* Catches (under TSan, and by its results): two workers, the log's threads and the task thread touching
 * the same things without order; a turn that is handed on and lost; a close that hangs, or frees
 * what another thread still uses; loading by two threads that mixes shards up. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>
#include <pthread.h>
#include <sched.h>

#include "base/hash.h"
#include "base/random.h"
#include "log/wal.h"
#include "history/history.h"

enum { SHARDS = 4, WORKERS = 2, COMMITS = 3000, KEYS = 500 };

struct worker {
    pthread_t thread;
    struct cairn_store *store;
    uint32_t first;                   /* owns first, first + WORKERS, ... */
    uint32_t model[SHARDS + 1][KEYS]; /* the number of the commit that wrote the key last */
    _Atomic uint32_t *working;
};

static const char *engine_name; /* NULL: the one in memory; others with versions and an archive */
static unsigned taken;          /* versions */

static void step_own(struct worker *worker)
{
    if (!cairn_store_checkpoint_due(worker->store))
        return;
    for (uint32_t i = worker->first; i <= SHARDS; i += WORKERS)
        cairn_shard_step(cairn_store_shard(worker->store, i), 20000);
}

static void *work(void *context)
{
    struct worker *worker = context;
    struct cairn_log *log = cairn_shard_log(cairn_store_shard(worker->store, 0));
    struct cairn_random random;

    cairn_random_init(&random, worker->first);
    for (uint32_t number = 1; number <= COMMITS; number++) {
        uint32_t index, key;
        struct cairn_shard *shard;
        struct cairn_write write;
        struct cairn_err err;
        uint8_t value[200] = {0};
        uint64_t end;
        size_t bytes;

        index = worker->first + WORKERS * (uint32_t)cairn_random_below(&random, worker->first ? 2 : 3);
        key = (uint32_t)cairn_random_below(&random, KEYS);
        shard = cairn_store_shard(worker->store, index);
        cairn_put_u32(value, number);
        write = (struct cairn_write){.key = cairn_bytes(&key, 4), .value = cairn_bytes(value, sizeof value)};
        write.hash = cairn_hash(write.key);
        bytes = cairn_shard_record_bytes(cairn_str("n"), &write, 1);
        while (cairn_shard_check_writers(shard, &err) != CAIRN_OK || log->ops->claim(log, bytes, 1, &err) != CAIRN_OK) {
            step_own(worker);
            sched_yield();
        }
        if (cairn_shard_commit(shard, number, cairn_str("n"), &write, 1, &end, &err) != CAIRN_OK)
            abort();
        worker->model[index][key] = number;
        if (number % 16 == 0)
            log->ops->want(log, end);
        step_own(worker);
    }
    --*worker->working;
    while (*worker->working) { /* an owner steps although it has nothing else to do */
        step_own(worker);
        sched_yield();
    }
    return NULL;
}

/* Takes versions one after the other, and forgets the one before. */
static void ask_for_versions(struct cairn_store *store)
{
    struct cairn_store_version versions[2];
    struct cairn_err err;
    enum cairn_code code = CAIRN_OK;
    uint64_t number;

    if (cairn_store_version_poll(store, &number, &code, &err))
        taken += code == CAIRN_OK;
    cairn_store_version_begin(store, true, &err); /* one is being taken most often */
    if (cairn_store_versions(store, versions, 2) > 1)
        cairn_store_version_forget(store, versions[0].number, &err);
}

struct asker {
    struct cairn_store *store;
    _Atomic uint32_t *working;
};

static void *ask(void *context)
{
    struct asker *asker = context;
    struct cairn_store *store = asker->store;
    struct cairn_store_stats stats;
    unsigned before = taken;

    for (int i = 0; i < 200 || (engine_name && taken == before && i < 1000000); i++) {
        cairn_store_stats(store, &stats);
        cairn_store_checkpoint_due(store);
        if (engine_name)
            ask_for_versions(store);
        sched_yield();
    }
    --*asker->working;
    return NULL;
}

struct life {
    struct cairn_disk *disk;
    struct cairn_disk *archive_disk;
    struct cairn_blob *archive;
    struct cairn_tasks *tasks;
    struct cairn_store *store;
    _Atomic uint64_t notified;
};

static struct life life_create(uint64_t seed)
{
    struct life life = {.disk = cairn_sim_disk_create(seed)};

    if (engine_name) {
        life.archive_disk = cairn_sim_disk_create(seed + 100);
        life.archive = cairn_blob_on_disk(life.archive_disk);
    }
    return life;
}

static void life_done(struct life *life)
{
    cairn_blob_close(life->archive);
    cairn_disk_close(life->archive_disk);
    cairn_disk_close(life->disk);
}

static void on_checkpoint_work(void *context, uint32_t index)
{
    struct life *life = context;

    (void)index;
    life->notified++;
}

static void begin(struct life *life)
{
    struct cairn_wal_options log_options = {.sync = CAIRN_SYNC_ALWAYS, .segment_bytes = 128 << 10, .threaded = true};
    struct cairn_wal_opener wal;
    struct cairn_store_options options = {
        .disk = life->disk,
        .clock = cairn_clock_system(),
        .shards = SHARDS,
        .engine = engine_name,
        .engine_memory_bytes = SHARDS * (256 << 10),
        .archive = life->archive,
        .archive_every_ns = 5000000,
        .log_bytes_max = 300 << 10,
        .log = &wal.opener,
        .tap = cairn_history_tap,
        .on_checkpoint_work = on_checkpoint_work,
        .context = life,
    };
    struct cairn_err err;

    cairn_wal_opener_init(&wal, &log_options);
    options.tasks = life->tasks = cairn_tasks_create(engine_name ? 4 : 1);
    if (cairn_store_open(&options, &life->store, &err) != CAIRN_OK)
        fail_msg("%s", err.text);
    if (cairn_store_start(life->store, &err) != CAIRN_OK)
        fail_msg("%s", err.text);
}

static void run(struct life *life, struct worker *workers)
{
    _Atomic uint32_t working = WORKERS + 1;
    struct asker asker = {life->store, &working};
    pthread_t thread;

    for (uint32_t i = 0; i < WORKERS; i++) {
        workers[i].store = life->store;
        workers[i].first = i;
        workers[i].working = &working;
        assert_int_equal(pthread_create(&workers[i].thread, NULL, work, &workers[i]), 0);
    }
    assert_int_equal(pthread_create(&thread, NULL, ask, &asker), 0);
    for (uint32_t i = 0; i < WORKERS; i++)
        pthread_join(workers[i].thread, NULL);
    pthread_join(thread, NULL);
}

static void verify(struct life *life, struct worker *workers)
{
    for (uint32_t index = 0; index <= SHARDS; index++) {
        struct cairn_view *view = cairn_shard_view(cairn_store_shard(life->store, index));
        struct worker *worker = &workers[index % WORKERS];
        for (uint32_t key = 0; key < KEYS; key++) {
            struct cairn_bytes bytes = cairn_bytes(&key, 4), value;
            bool there = view->ops->get(view, bytes, cairn_hash(bytes), &value);
            assert_int_equal(there, worker->model[index][key] != 0);
            if (there)
                assert_int_equal(cairn_get_u32(value.data), worker->model[index][key]);
        }
    }
}

static void end(struct life *life, bool checkpoint)
{
    struct cairn_err err;

    if (cairn_store_close(life->store, checkpoint, &err) != CAIRN_OK)
        fail_msg("%s", err.text);
    life->store = NULL;
    cairn_tasks_destroy(life->tasks);
    cairn_sim_disk_crash(life->disk, CAIRN_SIM_DROP);
}

static void workers_share_a_store(void **state)
{
    static struct worker workers[WORKERS];
    struct life life = life_create(1);
    struct cairn_store_stats stats;

    (void)state;
    memset(workers, 0, sizeof workers);
    taken = 0;
    for (int round = 0; round < 4; round++) {
        begin(&life);
        verify(&life, workers);
        run(&life, workers);
        cairn_store_stats(life.store, &stats);
        assert_true(engine_name || stats.checkpoints > 0); /* with versions they may come later */
        assert_string_equal(stats.checkpoint_error, "");
        end(&life, round % 2);
    }
    assert_true(life.notified > 0);
    begin(&life);
    verify(&life, workers);
    end(&life, true);
    life_done(&life);
    assert_true(!engine_name || taken > 0);
}

/* A crash in the middle of everything must not hang or touch freed memory; nothing else is asked of it here. */
static void abandoned_in_the_middle(void **state)
{
    (void)state;
    for (uint64_t round = 0; round < 20; round++) {
        static struct worker workers[WORKERS];
        struct life life = life_create(round);

        memset(workers, 0, sizeof workers);
        begin(&life);
        cairn_sim_disk_halt_at(life.disk, 100 + (int64_t)round * 20);
        for (uint32_t number = 1; number < 1500; number++) {
            struct cairn_shard *shard = cairn_store_shard(life.store, number % SHARDS);
            uint8_t value[40] = {0};
            struct cairn_write write = {.key = cairn_bytes(&number, 4), .value = cairn_bytes(value, sizeof value)};
            struct cairn_log *log = cairn_shard_log(cairn_store_shard(life.store, 0));
            struct cairn_err err;
            enum cairn_code code;
            uint64_t at;

            write.hash = cairn_hash(write.key);
            while ((code = log->ops->claim(log, 200, 1, &err)) == CAIRN_EOVERLOAD)
                sched_yield();
            if (code != CAIRN_OK || cairn_shard_commit(shard, 1, cairn_str(""), &write, 1, &at, &err) != CAIRN_OK)
                break;
            log->ops->want(log, at);
            for (uint32_t i = 0; i <= SHARDS; i++)
                cairn_shard_step(cairn_store_shard(life.store, i), 5000);
        }
        cairn_store_abandon(life.store);
        cairn_tasks_destroy(life.tasks);
        cairn_sim_disk_crash(life.disk, CAIRN_SIM_TEAR);
        begin(&life);
        cairn_store_abandon(life.store);
        cairn_tasks_destroy(life.tasks);
        life_done(&life);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(workers_share_a_store),
        cmocka_unit_test(abandoned_in_the_middle),
    };

    int failed = cmocka_run_group_tests_name("memory", tests, NULL, NULL);

    engine_name = "hybridlog";
    return failed + cmocka_run_group_tests_name(engine_name, tests, NULL, NULL);
}
