/* shard_micro.c - the store on a real disk, without objects above it: what a commit costs, how long its
 * worker is kept by a checkpoint of everything written under load, and a restart from
 * checkpoints and log.
 *
 *   bench_shard_micro FOLDER [OBJECTS [LOG_MB]]      (a new folder; default 1,000,000 objects, 200 MB) */
#include <inttypes.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/hash.h"
#include "base/random.h"
#include "log/wal.h"
#include "shard/shard.h"

enum { SHARDS = 16, STEP_NS = 200000, VALUE_BYTES = 100 };

static struct cairn_clock *the_clock;

static uint64_t now(void)
{
    return the_clock->monotonic_ns(the_clock);
}

static void must(enum cairn_code code, const struct cairn_err *err)
{
    if (code == CAIRN_OK)
        return;
    fprintf(stderr, "failed: %s: %s\n", cairn_code_name(code), err->text);
    exit(1);
}

static void on_warning(void *context, const char *text)
{
    (void)context;
    fprintf(stderr, "warning: %s\n", text);
}

static struct cairn_store *open_store(struct cairn_disk *disk, struct cairn_tasks *tasks, uint64_t log_bytes_max)
{
    struct cairn_wal_opener wal;
    struct cairn_store_options options = {
        .disk = disk,
        .clock = the_clock,
        .tasks = tasks,
        .shards = SHARDS,
        .log_bytes_max = log_bytes_max,
        .log = &wal.opener,
        .on_warning = on_warning,
    };
    struct cairn_store *store;
    struct cairn_err err;

    cairn_wal_opener_init(&wal, &(struct cairn_wal_options){.sync = CAIRN_SYNC_ALWAYS, .threaded = true});
    must(cairn_store_open(&options, &store, &err), &err);
    must(cairn_store_start(store, &err), &err);
    return store;
}

struct load {
    struct cairn_store *store;
    uint64_t commits, waits, worst_commit, worst_step, worst_wait, steps;
};

static void step(struct load *load)
{
    for (uint32_t i = 0; cairn_store_checkpoint_due(load->store) && i <= SHARDS; i++) {
        uint64_t start = now(), took;
        cairn_shard_step(cairn_store_shard(load->store, i), STEP_NS);
        took = now() - start;
        load->worst_step = took > load->worst_step ? took : load->worst_step;
        load->steps++;
    }
}

/* An object: a header of 20 + 10 bytes and a field of 10 + 100. */
static void commit(struct load *load, uint64_t object)
{
    struct cairn_log *log = cairn_shard_log(cairn_store_shard(load->store, 0));
    struct cairn_shard *shard = cairn_store_shard(load->store, (uint32_t)(object % SHARDS));
    uint8_t header[20] = {1}, field[10] = {2}, value[VALUE_BYTES] = {3};
    struct cairn_write writes[2];
    struct cairn_err err;
    uint64_t start, took, end;
    enum cairn_code code;
    size_t bytes;

    snprintf((char *)header + 1, sizeof header - 1, "t%017" PRIu64, object);
    cairn_put_u64(field + 1, object);
    cairn_put_u64(value, load->commits);
    writes[0] = (struct cairn_write){.key = cairn_bytes(header, sizeof header), .value = cairn_bytes(field, 10)};
    writes[1] =
        (struct cairn_write){.key = cairn_bytes(field, sizeof field), .value = cairn_bytes(value, sizeof value)};
    writes[0].hash = cairn_hash(writes[0].key);
    writes[1].hash = cairn_hash(writes[1].key);
    bytes = cairn_shard_record_bytes(cairn_str("a note of 24 bytes......"), writes, 2);
    start = now();
    while (cairn_shard_check_writers(shard, &err) != CAIRN_OK ||
           (code = log->ops->claim(log, bytes, 1, &err)) == CAIRN_EOVERLOAD) {
        step(load);
        load->waits++;
        sched_yield();
    }
    must(code, &err);
    took = now() - start;
    load->worst_wait = took > load->worst_wait ? took : load->worst_wait;
    start = now();
    must(cairn_shard_commit(shard, 1, cairn_str("a note of 24 bytes......"), writes, 2, &end, &err), &err);
    took = now() - start;
    load->worst_commit = took > load->worst_commit ? took : load->worst_commit;
    if (++load->commits % 64 == 0)
        log->ops->want(log, end);
}

static void report(const char *what, const struct load *load, uint64_t took)
{
    printf("%-28s %7.2f s, %.0f ns each; longest commit %.2f ms, step %.2f ms (%" PRIu64 "), wait %.2f ms (%" PRIu64
           ")\n",
           what, (double)took / 1e9, (double)took / (double)(load->commits ? load->commits : 1),
           (double)load->worst_commit / 1e6, (double)load->worst_step / 1e6, load->steps,
           (double)load->worst_wait / 1e6, load->waits);
}

static struct cairn_disk *open_disk(const char *path)
{
    struct cairn_disk *disk;
    struct cairn_err err;

    must(cairn_disk_open(path, &disk, &err), &err);
    return disk;
}

int main(int argc, char **argv)
{
    uint64_t objects = argc > 2 ? strtoull(argv[2], NULL, 10) : 1000000;
    uint64_t log_bytes = (argc > 3 ? strtoull(argv[3], NULL, 10) : 200) << 20;
    struct cairn_tasks *tasks = cairn_tasks_create(1);
    struct cairn_store_stats stats;
    struct cairn_random random;
    struct cairn_disk *disk;
    struct load load = {0};
    struct cairn_err err;
    uint64_t start;

    if (argc < 2 || !objects) {
        fprintf(stderr, "usage: %s FOLDER [OBJECTS [LOG_MB]]\n", argv[0]);
        return 2;
    }
    the_clock = cairn_clock_system();
    cairn_random_init(&random, 1);
    disk = open_disk(argv[1]);
    load.store = open_store(disk, tasks, 256 << 20);
    start = now();
    for (uint64_t i = 0; i < objects; i++) {
        commit(&load, i);
        step(&load);
    }
    report("objects made", &load, now() - start);

    start = now();
    must(cairn_store_close(load.store, true, &err), &err);
    printf("close with checkpoints       %7.2f s\n", (double)(now() - start) / 1e9);
    cairn_disk_close(disk);
    disk = open_disk(argv[1]);
    start = now();
    load = (struct load){.store = open_store(disk, tasks, 4 * log_bytes)};
    printf("restart from checkpoints     %7.2f s\n", (double)(now() - start) / 1e9);

    start = now();
    do {
        for (int i = 0; i < 1000; i++)
            commit(&load, cairn_random_below(&random, objects));
        cairn_store_stats(load.store, &stats);
    } while (stats.log.retained_bytes < log_bytes);
    report("objects changed", &load, now() - start);
    cairn_store_abandon(load.store);
    cairn_disk_close(disk);
    disk = open_disk(argv[1]);
    start = now();
    load = (struct load){.store = open_store(disk, tasks, log_bytes + log_bytes / 2)};
    cairn_store_stats(load.store, &stats);
    printf("restart with %4.0f MB of log   %7.2f s\n", (double)stats.log.retained_bytes / 1e6,
           (double)(now() - start) / 1e9);

    start = now();
    do { /* every shard is due now */
        commit(&load, cairn_random_below(&random, objects));
        step(&load);
        cairn_store_stats(load.store, &stats);
    } while (stats.checkpoints < SHARDS);
    report("changed while checkpointing", &load, now() - start);
    printf("  written %.0f MB, %" PRIu64 " syncs of the log, longest %.2f ms\n", (double)stats.checkpoint_bytes / 1e6,
           stats.log.syncs, (double)stats.log.sync_ns_max / 1e6);
    must(cairn_store_close(load.store, false, &err), &err);
    cairn_disk_close(disk);
    cairn_tasks_destroy(tasks);
    return 0;
}
