/* Catches: races between appenders, writer and keeper (under TSan), records lost, doubled or out of a
 * thread's order, a wait that nothing ends (a want during a sync, an append while the writer goes to
 * sleep, a claim refused for want of room), a failure told twice or not at all, time that is given out
 * and never reserved, a log that keeps waking up when idle, a mark that is not written then, one that
 * helps and is told that more is acknowledged than is, or that waits for another thread when it could
 * do all by itself. */
#include <setjmp.h>
#include <stdarg.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/random.h"
#include "log/wal.h"

enum { THREADS = 4, RECORDS = 3000, WAIT_S = 30 };

struct bench {
    struct cairn_disk *disk;
    struct cairn_log_place place;
    struct cairn_wal_options options;
    struct cairn_log *log;
    pthread_mutex_t lock;
    pthread_cond_t changed; /* acknowledged, failed */
    uint64_t acknowledged;
    int failed;
    atomic_int running;
    uint32_t found[THREADS]; /* records read back, per thread */
};

struct worker {
    struct bench *bench;
    uint32_t number, appended, acknowledged;
    bool hung, misled;
};

static void on_progress(void *context, uint64_t acknowledged)
{
    struct bench *bench = context;

    pthread_mutex_lock(&bench->lock);
    if (acknowledged > bench->acknowledged)
        bench->acknowledged = acknowledged;
    pthread_cond_broadcast(&bench->changed);
    pthread_mutex_unlock(&bench->lock);
}

static void on_failed(void *context, const struct cairn_err *why)
{
    struct bench *bench = context;

    (void)why;
    pthread_mutex_lock(&bench->lock);
    bench->failed++;
    pthread_cond_broadcast(&bench->changed);
    pthread_mutex_unlock(&bench->lock);
}

/* Waits for progress beyond a position, or for any if it is 0.  False: nothing came for long. */
static bool wait_for(struct bench *bench, uint64_t end)
{
    struct timespec until;
    int timed_out = 0;

    clock_gettime(CLOCK_REALTIME, &until);
    if (end)
        until.tv_sec += WAIT_S;
    else if ((until.tv_nsec += 2000000) >= 1000000000)
        until.tv_nsec -= 1000000000, until.tv_sec++;
    pthread_mutex_lock(&bench->lock);
    while (!bench->failed && !timed_out &&
           (!end || (bench->acknowledged < end && bench->log->ops->acknowledged(bench->log) < end)))
        timed_out = pthread_cond_timedwait(&bench->changed, &bench->lock, &until);
    pthread_mutex_unlock(&bench->lock);
    return !end || !timed_out;
}

static void *work(void *context)
{
    struct worker *worker = context;
    struct bench *bench = worker->bench;
    struct cairn_log *log = bench->log;
    struct cairn_random random;
    uint8_t body[2048] = {0};
    uint64_t position, end = 0;
    struct cairn_err err;

    cairn_random_init(&random, worker->number);
    while (worker->appended < RECORDS) {
        size_t size = 8 + (size_t)cairn_random_below(&random, worker->appended % 50 ? 200 : 2000);
        struct cairn_bytes parts[2] = {cairn_bytes(body, 8), cairn_bytes(body + 8, size - 8)};
        enum cairn_code code = log->ops->claim(log, size + 100, 1, &err);

        if (code == CAIRN_EOVERLOAD) {
            wait_for(bench, 0);
            continue;
        }
        if (code != CAIRN_OK)
            break;
        cairn_put_u32(body, worker->number);
        cairn_put_u32(body + 4, worker->appended);
        memset(body + 8, (int)(worker->appended & 0xff), size - 8);
        if (log->ops->append(log, parts, 2, &position, &end, &err) != CAIRN_OK)
            break;
        log->ops->release(log, 100, 0);
        worker->appended++;
        if (cairn_random_below(&random, 20) == 0) {
            if (worker->appended % 2)
                log->ops->want(log, end);
            else if (log->ops->help(log, end) && log->ops->acknowledged(log) < end)
                worker->misled = true;
            if (!wait_for(bench, end)) {
                worker->hung = true;
                break;
            }
            if (log->ops->acknowledged(log) >= end)
                worker->acknowledged = worker->appended;
        }
    }
    if (worker->appended == RECORDS && !worker->hung) {
        log->ops->want(log, end);
        worker->hung = !wait_for(bench, end);
        if (log->ops->acknowledged(log) >= end)
            worker->acknowledged = worker->appended;
    }
    atomic_fetch_sub(&bench->running, 1);
    return NULL;
}

/* What other parts of a node do meanwhile. */
static void *meddle(void *context)
{
    struct bench *bench = context;
    struct cairn_log_stats stats;
    uint64_t time_ms = 1000;

    while (atomic_load(&bench->running) > 0) {
        bench->log->ops->stats(bench->log, &stats);
        if (stats.durable > 400000)
            bench->log->ops->trim(bench->log, stats.durable - 400000);
        bench->log->ops->reserve_time(bench->log, time_ms += 100);
        bench->log->ops->want_durable(bench->log, stats.end);
        usleep(1000);
    }
    return NULL;
}

static enum cairn_code count_record(void *context, uint64_t position, uint64_t end, struct cairn_bytes body,
                                    struct cairn_err *err)
{
    struct bench *bench = context;
    uint32_t number = cairn_get_u32(body.data), index = cairn_get_u32(body.data + 4);

    (void)err;
    assert_true(position < end && number < THREADS && index <= RECORDS);
    if (bench->found[number]) /* the front may be trimmed */
        assert_int_equal(index + 1, bench->found[number] + 1);
    bench->found[number] = index + 1;
    for (size_t i = 8; i < body.size; i++)
        assert_int_equal(body.data[i], index & 0xff);
    return CAIRN_OK;
}

static void bench_init(struct bench *bench, struct cairn_disk *disk, enum cairn_sync_mode sync)
{
    *bench = (struct bench){.disk = disk};
    pthread_mutex_init(&bench->lock, NULL);
    pthread_cond_init(&bench->changed, NULL);
    bench->place = (struct cairn_log_place){
        .disk = disk,
        .clock = cairn_clock_system(),
        .dir = "log",
        .events = {.on_progress = on_progress, .on_failed = on_failed, .context = bench},
    };
    bench->options = (struct cairn_wal_options){
        .sync = sync,
        .interval_ms = 5,
        .segment_bytes = 64 << 10,
        .pending_bytes_max = 32 << 10,
        .threaded = true,
    };
}

static void bench_open(struct bench *bench)
{
    struct cairn_err err;

    memset(bench->found, 0, sizeof bench->found);
    bench->acknowledged = 0;
    assert_int_equal(cairn_wal_open(&bench->options, &bench->place, &bench->log, &err), CAIRN_OK);
    assert_int_equal(cairn_log_visit(bench->log, 0, count_record, bench, &err), CAIRN_OK);
}

static void bench_start(struct bench *bench)
{
    struct cairn_err err;

    bench_open(bench);
    assert_int_equal(bench->log->ops->start(bench->log, &err), CAIRN_OK);
}

static void run_workers(struct bench *bench, struct worker workers[THREADS])
{
    pthread_t threads[THREADS], meddler;

    bench->running = THREADS;
    for (uint32_t i = 0; i < THREADS; i++) {
        workers[i] = (struct worker){.bench = bench, .number = i};
        assert_int_equal(pthread_create(&threads[i], NULL, work, &workers[i]), 0);
    }
    assert_int_equal(pthread_create(&meddler, NULL, meddle, bench), 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    pthread_join(meddler, NULL);
    for (int i = 0; i < THREADS; i++)
        assert_false(workers[i].hung || workers[i].misled);
}

/* One last record each, so that trimming leaves something of every thread. */
static void append_last(struct bench *bench)
{
    uint64_t position, end;
    uint8_t body[8];
    struct cairn_bytes part = cairn_bytes(body, sizeof body);

    for (uint32_t i = 0; i < THREADS; i++) {
        while (bench->log->ops->claim(bench->log, sizeof body, 1, NULL) == CAIRN_EOVERLOAD)
            wait_for(bench, 0);
        cairn_put_u32(body, i);
        cairn_put_u32(body + 4, RECORDS);
        assert_int_equal(bench->log->ops->append(bench->log, &part, 1, &position, &end, NULL), CAIRN_OK);
    }
}

static void load(struct cairn_disk *disk, enum cairn_sync_mode sync, bool mapped)
{
    struct worker workers[THREADS];
    struct cairn_log_stats stats;
    struct cairn_err err;
    struct bench bench;
    uint64_t first;

    bench_init(&bench, disk, sync);
    bench.options.mapped = mapped;
    bench_start(&bench);
    first = bench.log->ops->end(bench.log);
    run_workers(&bench, workers);
    append_last(&bench);
    /* No claim has lost or won room: what is left and what was taken make whole segments. */
    bench.log->ops->stats(bench.log, &stats);
    assert_int_equal((stats.end + stats.room_bytes - first) % (bench.options.segment_bytes - 512), 0);
    assert_int_equal(bench.log->ops->close(bench.log, &err), CAIRN_OK);
    bench_open(&bench);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(bench.found[i], RECORDS + 1);
    assert_int_equal(bench.failed, 0);
    bench.log->ops->abandon(bench.log);
}

static void test_load(void **state)
{
    (void)state;
    for (int sync = CAIRN_SYNC_ALWAYS; sync <= CAIRN_SYNC_NONE; sync++) {
        struct cairn_disk *disk = cairn_sim_disk_create((uint64_t)sync);

        load(disk, (enum cairn_sync_mode)sync, sync != CAIRN_SYNC_NONE); /* which this disk cannot: it does without */
        cairn_disk_close(disk);
    }
}

static void remove_name(void *context, const char *name)
{
    struct cairn_disk *disk = context;
    char path[64];

    snprintf(path, sizeof path, "log/%s", name);
    disk->ops->remove(disk, path, NULL);
}

static void test_load_on_files(void **state)
{
    (void)state;
    for (int how = 0; how < 4; how++) {
        static const enum cairn_sync_mode modes[] = {CAIRN_SYNC_ALWAYS, CAIRN_SYNC_ALWAYS, CAIRN_SYNC_INTERVAL,
                                                     CAIRN_SYNC_NONE};
        char root[] = "/tmp/cairn-wal-XXXXXX", folder[64];
        struct cairn_disk *disk = NULL;

        assert_non_null(mkdtemp(root));
        assert_int_equal(cairn_disk_open(root, &disk, NULL), CAIRN_OK);
        load(disk, modes[how], how > 0);
        disk->ops->list(disk, "log", remove_name, disk, NULL);
        cairn_disk_close(disk);
        snprintf(folder, sizeof folder, "%s/log", root);
        assert_int_equal(rmdir(folder), 0);
        assert_int_equal(rmdir(root), 0);
    }
}

/* Some call fails in the middle of the load, then the machine goes down. */
static void test_failure_under_load(void **state)
{
    int failures = 0;

    (void)state;
    for (int round = 0; round < 12; round++) {
        struct cairn_disk *disk = cairn_sim_disk_create((uint64_t)round);
        struct worker workers[THREADS];
        struct cairn_log_stats stats;
        struct cairn_err err;
        struct bench bench;
        bool failed;

        bench_init(&bench, disk, CAIRN_SYNC_ALWAYS);
        bench_start(&bench);
        cairn_sim_disk_fail_call(disk, 5 + round * 17, CAIRN_EIO);
        run_workers(&bench, workers);
        bench.log->ops->stats(bench.log, &stats);
        if (stats.failed)
            assert_int_equal(bench.log->ops->claim(bench.log, 8, 1, &err), CAIRN_EUNAVAILABLE);
        failed = bench.log->ops->close(bench.log, &err) == CAIRN_EUNAVAILABLE; /* its threads are gone now */
        assert_int_equal(bench.failed, failed);
        assert_true(failed || !stats.failed);
        failures += failed; /* not a failed removal: that does no harm */
        cairn_sim_disk_crash(disk, CAIRN_SIM_DROP);
        bench_open(&bench);
        for (int i = 0; i < THREADS; i++)
            assert_true(bench.found[i] >= workers[i].acknowledged && bench.found[i] <= workers[i].appended);
        bench.log->ops->abandon(bench.log);
        cairn_disk_close(disk);
    }
    assert_true(failures > 8);
}

/* One thread that appends and helps: others are not needed for it, and seldom in the way. */
static void test_help(void **state)
{
    enum { ROUNDS = 200 };
    uint8_t zero[8] = {0};
    struct cairn_bytes part = cairn_bytes(zero, sizeof zero);
    uint64_t position, end;

    (void)state;
    for (int sync = CAIRN_SYNC_ALWAYS; sync <= CAIRN_SYNC_NONE; sync++) {
        struct cairn_disk *disk = cairn_sim_disk_create(1);
        struct bench bench;
        int helped = 0;

        bench_init(&bench, disk, (enum cairn_sync_mode)sync);
        bench_start(&bench);
        for (int i = 0; i < ROUNDS; i++) {
            assert_int_equal(bench.log->ops->claim(bench.log, 8, 1, NULL), CAIRN_OK);
            assert_int_equal(bench.log->ops->append(bench.log, &part, 1, &position, &end, NULL), CAIRN_OK);
            if (bench.log->ops->help(bench.log, end)) {
                assert_true(bench.log->ops->acknowledged(bench.log) >= end);
                helped++;
            } else {
                assert_true(wait_for(&bench, end));
            }
        }
        if (helped < ROUNDS / 2)
            fail_msg("helped %d times of %d", helped, ROUNDS);
        assert_int_equal(bench.log->ops->close(bench.log, NULL), CAIRN_OK);
        cairn_disk_close(disk);
    }
}

static uint64_t now_ms(void)
{
    struct timespec at;

    clock_gettime(CLOCK_MONOTONIC, &at);
    return (uint64_t)at.tv_sec * 1000 + (uint64_t)at.tv_nsec / 1000000;
}

/* Of the threads that give out time, each later one than before. */
struct giver {
    struct cairn_log *log;
    _Atomic uint64_t *time_ms;
    bool hung;
};

static void *give_time(void *context)
{
    enum { GIVEN = 4000, STEP_MS = 2000 };
    struct giver *giver = context;
    const struct cairn_log_ops *ops = giver->log->ops;

    for (int i = 0; i < GIVEN && !giver->hung; i++) {
        uint64_t given = atomic_fetch_add(giver->time_ms, STEP_MS) + STEP_MS, until = 0;

        ops->reserve_time(giver->log, given);
        while (ops->reserved_time_ms(giver->log) < given && !giver->hung) {
            struct timespec nap = {.tv_nsec = 1000};

            nanosleep(&nap, NULL);
            until = until ? until : now_ms() + 1000 * WAIT_S;
            giver->hung = now_ms() > until;
        }
    }
    return NULL;
}

/* Nothing but the giving of time wakes the log's keeper here. */
static void test_time_is_reserved(void **state)
{
    struct cairn_disk *disk = cairn_sim_disk_create(1);
    _Atomic uint64_t time_ms = 1000000;
    struct giver givers[THREADS];
    pthread_t threads[THREADS];
    struct bench bench;

    (void)state;
    bench_init(&bench, disk, CAIRN_SYNC_NONE);
    bench_start(&bench);
    for (int i = 0; i < THREADS; i++) {
        givers[i] = (struct giver){bench.log, &time_ms, false};
        assert_int_equal(pthread_create(&threads[i], NULL, give_time, &givers[i]), 0);
    }
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    for (int i = 0; i < THREADS; i++)
        assert_false(givers[i].hung);
    assert_int_equal(bench.log->ops->close(bench.log, NULL), CAIRN_OK);
    cairn_disk_close(disk);
}

static uint64_t marked(struct cairn_disk *disk)
{
    struct cairn_buf mark = {0};
    uint64_t slots[2];

    assert_int_equal(cairn_disk_read_file(disk, "log/mark", 10000, &mark, NULL), CAIRN_OK);
    slots[0] = cairn_get_u64(mark.data + 32);
    slots[1] = cairn_get_u64(mark.data + 4096 + 32);
    cairn_buf_done(&mark);
    return slots[0] < slots[1] ? slots[0] : slots[1];
}

static long switches(void)
{
    struct rusage usage;

    getrusage(RUSAGE_SELF, &usage);
    return usage.ru_nvcsw + usage.ru_nivcsw;
}

static void test_idle(void **state)
{
    struct cairn_disk *disk = cairn_sim_disk_create(1);
    struct cairn_log_stats stats;
    struct cairn_bytes part = cairn_str("12345678");
    uint64_t position, end = 0, began, syncs;
    struct bench bench;
    long before;

    (void)state;
    bench_init(&bench, disk, CAIRN_SYNC_ALWAYS);
    bench_start(&bench);
    for (int round = 0; round < 3; round++) {
        uint8_t zero[8] = {0};
        part = cairn_bytes(zero, sizeof zero);
        assert_int_equal(bench.log->ops->claim(bench.log, 8, 1, NULL), CAIRN_OK);
        assert_int_equal(bench.log->ops->append(bench.log, &part, 1, &position, &end, NULL), CAIRN_OK);
        /* Nobody wants it: written all the same, and not synced. */
        bench.log->ops->stats(bench.log, &stats);
        syncs = stats.syncs;
        began = now_ms();
        do
            bench.log->ops->stats(bench.log, &stats);
        while (stats.pending_bytes && now_ms() - began < 5000);
        assert_int_equal(stats.pending_bytes, 0);
        assert_int_equal(stats.syncs, syncs);
        if (round)
            usleep(50000); /* it sleeps soundly by now */
        bench.log->ops->want(bench.log, end);
        assert_true(wait_for(&bench, end));
        began = now_ms();
        while (marked(disk) != end && now_ms() - began < 5000)
            usleep(1000);
        assert_int_equal(marked(disk), end);
        usleep(100000);
        before = switches();
        usleep(500000);
        assert_true(switches() - before < 20); /* ours, and a sanitizer's thread */
    }
    bench.log->ops->close(bench.log, NULL);
    cairn_disk_close(disk);
}

/* A log that has failed rests too, though what was due before is due for ever. */
static void test_idle_after_failure(void **state)
{
    uint8_t zero[8] = {0};
    struct cairn_bytes part = cairn_bytes(zero, sizeof zero);
    uint64_t position, end;

    (void)state;
    for (int sync = CAIRN_SYNC_ALWAYS; sync <= CAIRN_SYNC_NONE; sync++) {
        struct cairn_disk *disk = cairn_sim_disk_create(1);
        struct bench bench;
        long before;

        bench_init(&bench, disk, (enum cairn_sync_mode)sync);
        bench_start(&bench);
        usleep(50000); /* all is prepared */
        assert_int_equal(bench.log->ops->claim(bench.log, 8, 1, NULL), CAIRN_OK);
        cairn_sim_disk_fail_call(disk, 1, CAIRN_EIO); /* the write is 0 */
        assert_int_equal(bench.log->ops->append(bench.log, &part, 1, &position, &end, NULL), CAIRN_OK);
        bench.log->ops->want_durable(bench.log, end);
        wait_for(&bench, UINT64_MAX);
        assert_true(cairn_sim_disk_fired(disk));
        usleep(50000);
        before = switches();
        usleep(300000);
        assert_true(switches() - before < 20);
        assert_int_equal(bench.log->ops->close(bench.log, NULL), CAIRN_EUNAVAILABLE);
        assert_int_equal(bench.failed, 1);
        cairn_disk_close(disk);
    }
}

/* Refused for want of room while nothing else happens: told when there is. */
static void test_refused_claim_is_told(void **state)
{
    struct cairn_disk *disk = cairn_sim_disk_create(1);
    struct bench bench;
    bool ok = false;

    (void)state;
    bench_init(&bench, disk, CAIRN_SYNC_ALWAYS);
    bench_start(&bench);
    for (int i = 0; i < 100 && !ok; i++) {
        enum cairn_code code;
        struct timespec until;

        pthread_mutex_lock(&bench.lock);
        code = bench.log->ops->claim(bench.log, 200000, 10, NULL);
        if (code == CAIRN_OK) {
            ok = true;
        } else {
            assert_int_equal(code, CAIRN_EOVERLOAD);
            clock_gettime(CLOCK_REALTIME, &until);
            until.tv_sec += WAIT_S;
            assert_int_equal(pthread_cond_timedwait(&bench.changed, &bench.lock, &until), 0);
        }
        pthread_mutex_unlock(&bench.lock);
    }
    assert_true(ok);
    bench.log->ops->abandon(bench.log);
    cairn_disk_close(disk);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_load),
        cmocka_unit_test(test_load_on_files),
        cmocka_unit_test(test_failure_under_load),
        cmocka_unit_test(test_help),
        cmocka_unit_test(test_time_is_reserved),
        cmocka_unit_test(test_idle),
        cmocka_unit_test(test_refused_claim_is_told),
        cmocka_unit_test(test_idle_after_failure),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
