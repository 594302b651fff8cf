/* works.c - what the stores are asked to do.
 *
 *   ycsb-a       half reads, half updates            (Cooper et al., SoCC 2010)
 *   ycsb-b       95 % reads, 5 % updates
 *   ycsb-c       reads
 *   ycsb-d       95 % reads of what is new, 5 % inserts
 *   ycsb-f       half reads, half read-modify-writes
 *   update       updates
 *   drift        ycsb-a, whose hot keys are others after every 10^5 operations
 *   amp          updates of keys that are all as likely; ten times as many as there are keys
 *   sync         puts, each awaited, four at any time: of four threads, or of one that can submit
 *   snapshot     10,000 updates, and a snapshot, again and again
 *   restore      back to a snapshot after 10,000 updates, again and again: what the going back takes
 *   refetch      a snapshot, and all files are lost but for the snapshot's copies: what opening takes then
 *   refetch-some a tenth of the keys is updated, then a snapshot, and the files that this has added are lost
 *
 * Keys are drawn as YCSB does it: ranks by a Zipf distribution with the exponent 0.99 (Gray et al., SIGMOD 1994) over
 * 10^10 ranks, hashed onto the keys; `d` counts back from the newest key.  What to do is drawn beforehand, so that
 * drawing is in no figure.  Several threads begin together, each with keys that no other one has and draws of its own.
 * Between two operations the clock is read once: an operation includes that, making its key and value, and counting
 * it, some 30 ns for every store alike. */
#include "stores.h"

#include <math.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/random.h"

enum {
    BATCH = 1000,
    DRIFT_OPS = 100000,
    OUTSTANDING = 4,
    SNAPSHOT_UPDATES = 10000,
    RANDOM_BYTES = 1 << 20,
    VALUE_BYTES_MAX = 1 << 16,
    KIND_SHIFT = 30, /* an entry of the trace: what to do, above a key or its distance from the newest one */
};

enum kind { READ, UPDATE, MODIFY, INSERT };

enum { PERCENT = 100 };

static const struct work {
    const char *name;
    unsigned updates, modifies, inserts; /* percent; the rest are reads */
    bool uniform, drifts, counted;       /* counted: cannot be bounded by time */
    uint64_t ops;                        /* default; 0: ten times the keys */
    double loses;                        /* of the files' bytes */
} works[] = {
    {.name = "ycsb-a", .updates = 50, .ops = 500000},
    {.name = "ycsb-b", .updates = 5, .ops = 500000},
    {.name = "ycsb-c", .ops = 500000},
    {.name = "ycsb-d", .inserts = 5, .ops = 500000},
    {.name = "ycsb-f", .modifies = 50, .ops = 500000},
    {.name = "update", .updates = 100, .ops = 500000},
    {.name = "drift", .updates = 50, .drifts = true, .ops = 500000},
    {.name = "amp", .updates = 100, .uniform = true},
    {.name = "sync", .updates = 100, .uniform = true, .ops = 4000},
    {.name = "snapshot", .updates = 100, .uniform = true, .counted = true, .ops = 100},
    {.name = "restore", .updates = 100, .uniform = true, .counted = true, .ops = 3},
    {.name = "refetch", .updates = 100, .uniform = true, .counted = true, .ops = 3, .loses = 1},
    {.name = "refetch-some", .updates = 100, .uniform = true, .counted = true, .ops = 3, .loses = 0.05},
};

static const struct work *find(const char *name)
{
    for (size_t i = 0; i < sizeof works / sizeof *works; i++)
        if (strcmp(works[i].name, name) == 0)
            return &works[i];
    return NULL;
}

bool work_exists(const char *name)
{
    return find(name);
}

uint64_t work_ops(const char *name, uint64_t keys, uint64_t ops, double seconds)
{
    const struct work *work = find(name);

    if (ops)
        return ops;
    if (seconds > 0 && !work->counted)
        return UINT64_MAX;
    return work->ops ? work->ops : 10 * keys;
}

/* --- keys and values --- */

/* The eight digits of `x` as the bytes of a word, the first digit lowest; all at once, as a loop over digits would take
 * a third of the time that the fastest store has for an operation. */
static uint64_t hex_of(uint32_t x)
{
    static const uint64_t ones = UINT64_C(0x0101010101010101);
    uint64_t digits = x, letters;

    digits = (digits | digits << 16) & UINT64_C(0x0000ffff0000ffff);
    digits = (digits | digits << 8) & UINT64_C(0x00ff00ff00ff00ff);
    digits = (digits | digits << 4) & UINT64_C(0x0f0f0f0f0f0f0f0f);
    letters = (digits + 6 * ones) >> 4 & ones;
    return __builtin_bswap64(digits + '0' * ones + letters * ('a' - '9' - 1));
}

/* 16 hexadecimal digits of the number's hash, which is different for each; numbers are counted in the thread's part. */
static struct cairn_bytes key_of(const struct bench *bench, uint64_t number, uint8_t key[KEY_BYTES])
{
    uint64_t x = number * bench->parts + bench->part, digits[2];

    x += UINT64_C(0x9e3779b97f4a7c15); /* the end of SplitMix64, which can be undone */

    x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
    x ^= x >> 31;
    digits[0] = hex_of((uint32_t)(x >> 32));
    digits[1] = hex_of((uint32_t)x);
    memcpy(key, digits, sizeof digits);
    return cairn_bytes(key, KEY_BYTES);
}

/* Random bytes behind the key's number, by which a wrong answer is found out. */
static struct cairn_bytes value_of(const struct bench *bench, uint64_t number, uint64_t salt, uint8_t *value)
{
    memcpy(value, bench->random + salt * 8 % (RANDOM_BYTES - VALUE_BYTES_MAX), bench->value_bytes);
    memcpy(value, &number, sizeof number);
    return cairn_bytes(value, bench->value_bytes);
}

static void check(const struct bench *bench, uint64_t number, bool found, struct cairn_bytes value)
{
    if (!found)
        die(bench->ops->name, "has lost a key");
    if (value.size != bench->value_bytes || memcmp(value.data, &number, sizeof number) != 0)
        die(bench->ops->name, "has another value than was put");
}

static void read_one(struct bench *bench, uint64_t number)
{
    uint8_t key[KEY_BYTES];
    struct cairn_bytes value = {0};
    bool found = bench->ops->get(bench->store, key_of(bench, number, key), &value);

    check(bench, number, found, value);
}

/* --- drawing --- */

struct zipf {
    double items, zeta, eta, alpha, half;
};

static const double THETA = 0.99;

static struct zipf zipf_of(double items, double zeta)
{
    double zeta2 = 1 + pow(0.5, THETA);

    return (struct zipf){.items = items,
                         .zeta = zeta,
                         .eta = (1 - pow(2 / items, 1 - THETA)) / (1 - zeta2 / zeta),
                         .alpha = 1 / (1 - THETA),
                         .half = zeta2};
}

static double zeta_of(uint64_t items)
{
    double sum = 0;

    for (uint64_t i = 1; i <= items; i++)
        sum += 1 / pow((double)i, THETA);
    return sum;
}

static uint64_t zipf_next(const struct zipf *zipf, struct cairn_random *random)
{
    double u = (double)(cairn_random_u64(random) >> 11) * 0x1p-53, uz = u * zipf->zeta;

    if (uz < 1)
        return 0;
    if (uz < zipf->half)
        return 1;
    return (uint64_t)(zipf->items * pow(zipf->eta * u - zipf->eta + 1, zipf->alpha));
}

/* FNV-1a of the eight bytes, as YCSB scrambles ranks. */
static uint64_t scramble(uint64_t rank)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325);

    for (int i = 0; i < 8; i++, rank >>= 8)
        hash = (hash ^ (rank & 0xff)) * UINT64_C(0x100000001b3);
    return hash;
}

static size_t draw(struct bench *bench, const struct work *work)
{
    static const double scrambled_ranks = 1e10, scrambled_zeta = 26.46902820178302; /* YCSB's */
    size_t count = bench->ops_max < bench->trace_room ? (size_t)bench->ops_max : bench->trace_room;
    struct zipf zipf = work->inserts ? zipf_of((double)bench->inserted, zeta_of(bench->inserted))
                                     : zipf_of(scrambled_ranks, scrambled_zeta);
    struct cairn_random random;

    /* Other keys for each work, and for each thread. */
    cairn_random_init(&random, bench->seed << 8 | (uint64_t)(work - works) | (uint64_t)bench->part << 56);
    for (size_t i = 0; i < count; i++) {
        uint64_t dice = cairn_random_below(&random, PERCENT), at;
        enum kind kind = dice < work->updates                                    ? UPDATE
                         : dice < work->updates + work->modifies                 ? MODIFY
                         : dice < work->updates + work->modifies + work->inserts ? INSERT
                                                                                 : READ;

        if (work->uniform)
            at = cairn_random_below(&random, bench->keys);
        else if (work->inserts)
            at = zipf_next(&zipf, &random) % bench->keys;
        else
            at = scramble(zipf_next(&zipf, &random) + (work->drifts ? i / DRIFT_OPS * (uint64_t)scrambled_ranks : 0)) %
                 bench->keys;
        bench->trace[i] = (uint32_t)kind << KIND_SHIFT | (uint32_t)at;
    }
    return count;
}

/* --- the mixed works --- */

static void histogram_merge(struct histogram *to, const struct histogram *from)
{
    for (size_t i = 0; i < HISTOGRAM_BUCKETS; i++)
        to->buckets[i] += from->buckets[i];
    to->count += from->count;
    to->total_ns += from->total_ns;
    if (from->max_ns > to->max_ns)
        to->max_ns = from->max_ns;
}

void result_merge(struct result *to, const struct result *from)
{
    histogram_merge(&to->ops, &from->ops);
    to->put_bytes += from->put_bytes;
    if (from->ns > to->ns)
        to->ns = from->ns;
}

static uint64_t ns_of(const struct bench *bench, uint64_t from, uint64_t to)
{
    return (uint64_t)((double)(to - from) * bench->ns_per_tick);
}

/* When a work that began then has had its time. */
static uint64_t end_of(const struct bench *bench, uint64_t start)
{
    return bench->seconds_max > 0 ? start + (uint64_t)(bench->seconds_max * 1e9 / bench->ns_per_tick) : UINT64_MAX;
}

static void do_one(struct bench *bench, uint32_t entry, bool from_newest, uint64_t salt, struct result *result)
{
    const struct store_ops *ops = bench->ops;
    uint64_t number = entry & ((UINT32_C(1) << KIND_SHIFT) - 1);
    enum kind kind = (enum kind)(entry >> KIND_SHIFT);
    uint8_t key_room[KEY_BYTES], value_room[VALUE_BYTES_MAX];
    struct cairn_bytes key, value;

    if (kind == INSERT)
        number = bench->inserted++;
    else if (from_newest)
        number = bench->inserted - 1 - number;
    key = key_of(bench, number, key_room);
    if (kind == READ || kind == MODIFY) {
        bool found = ops->get(bench->store, key, &value);

        check(bench, number, found, value);
    }
    if (kind != READ) {
        ops->put(bench->store, key, value_of(bench, number, salt, value_room));
        result->put_bytes += KEY_BYTES + bench->value_bytes;
    }
}

/* The store is told the keys of the operations that come next, if there is a way to tell it. */
static void tell_ahead(struct bench *bench, size_t next, size_t count)
{
    uint8_t rooms[AHEAD_MAX][KEY_BYTES];
    struct cairn_bytes keys[AHEAD_MAX];

    if (!bench->ops->prefetch)
        return;
    for (unsigned i = 0; i < bench->ahead; i++) {
        keys[i] = key_of(bench, bench->trace[next] & ((UINT32_C(1) << KIND_SHIFT) - 1), rooms[i]);
        next = next + 1 < count ? next + 1 : 0;
    }
    bench->ops->prefetch(bench->store, keys, bench->ahead);
}

/* In one step; the ticks that it took. */
static uint64_t snapshot(struct bench *bench, struct result *result)
{
    uint64_t before = ticks(), took;

    bench->ops->snapshot(bench->store);
    took = ticks() - before;
    histogram_add(&result->snapshots, ns_of(bench, 0, took));
    return took;
}

/* Snapshots every now and then.  Beginning one and ending it count as part of the operation before, as both keep the
 * caller waiting. */
struct snapshots {
    uint64_t every, due; /* ticks */
    uint64_t since;      /* when the one began that is under way; 0: none is */
};

/* The ticks of a snapshot in one step, which would be no part of an operation but the other way round. */
static uint64_t snapshots_step(struct bench *bench, struct snapshots *snapshots, uint64_t now, struct result *result)
{
    const struct store_ops *ops = bench->ops;

    if (snapshots->since) {
        if (ops->snapshot_end(bench->store)) {
            histogram_add(&result->snapshots, ns_of(bench, snapshots->since, ticks()));
            snapshots->since = 0;
        }
    } else if (now >= snapshots->due) {
        snapshots->due = now + snapshots->every;
        if (!ops->snapshot_begin)
            return snapshot(bench, result);
        snapshots->since = now;
        ops->snapshot_begin(bench->store);
    }
    return 0;
}

static void run_mixed(struct bench *bench, const struct work *work, struct result *result)
{
    enum { LOOK_AFTER = 16 }; /* operations; then whether a snapshot is due, or done */
    size_t count = draw(bench, work), next = 0;
    bool from_newest = work->inserts > 0;
    uint64_t start, before, end;
    struct snapshots snapshots = {.every = (uint64_t)((double)bench->snapshot_ns / bench->ns_per_tick)};

    if (bench->start)
        pthread_barrier_wait(bench->start);
    start = before = ticks();
    end = end_of(bench, start);
    snapshots.due = start + snapshots.every;
    for (uint64_t done = 0; done < bench->ops_max && before < end; done++) {
        uint64_t after, aside = 0;

        if (bench->ahead && !from_newest && done % bench->ahead == 0)
            tell_ahead(bench, next, count);
        do_one(bench, bench->trace[next], from_newest, done, result);
        next = next + 1 < count ? next + 1 : 0;
        if (snapshots.every && done % LOOK_AFTER == 0)
            aside = snapshots_step(bench, &snapshots, before, result);
        after = ticks();
        histogram_add(&result->ops, ns_of(bench, before + aside, after));
        before = after;
    }
    result->ns = ns_of(bench, start, before);
    while (snapshots.since && !bench->ops->snapshot_end(bench->store))
        usleep(1000);
}

/* --- the others --- */

static void update_some(struct bench *bench, uint64_t updates, size_t count, size_t *next, uint64_t number,
                        struct result *result)
{
    for (uint64_t i = 0; i < updates; i++) {
        uint64_t before = ticks();

        do_one(bench, bench->trace[*next], false, number * updates + i, result);
        histogram_add(&result->ops, ns_of(bench, before, ticks()));
        *next = *next + 1 < count ? *next + 1 : 0;
    }
}

static void run_snapshots(struct bench *bench, const struct work *work, struct result *result)
{
    uint64_t times = bench->ops_max, start;
    size_t count, next = 0;

    bench->ops_max *= SNAPSHOT_UPDATES;
    count = draw(bench, work);
    bench->ops->snapshot(bench->store); /* of all that was loaded */
    bench_settle(bench);
    start = ticks();
    for (uint64_t n = 0; n < times; n++) {
        update_some(bench, SNAPSHOT_UPDATES, count, &next, n, result);
        snapshot(bench, result);
    }
    result->ns = ns_of(bench, start, ticks());
}

static void run_restores(struct bench *bench, const struct work *work, struct result *result)
{
    uint64_t times = bench->ops_max;
    struct result *updates = calloc(1, sizeof *updates);
    size_t count, next = 0;

    bench->ops_max *= SNAPSHOT_UPDATES;
    count = draw(bench, work);
    bench->ops->snapshot(bench->store);
    bench_settle(bench);
    for (uint64_t n = 0; n < times; n++) {
        uint8_t key[KEY_BYTES];
        struct cairn_bytes value = {0};
        uint64_t before;
        bool found;

        update_some(bench, SNAPSHOT_UPDATES, count, &next, n, updates);
        before = ticks();
        bench->ops->restore(bench->store);
        found = bench->ops->get(bench->store, key_of(bench, n, key), &value);
        histogram_add(&result->ops, ns_of(bench, before, ticks()));
        check(bench, n, found, value);
    }
    result->ns = (uint64_t)result->ops.total_ns;
    free(updates);
}

static void run_refetches(struct bench *bench, const struct work *work, struct result *result)
{
    enum { PART_UPDATED = 10 };
    uint64_t times = bench->ops_max, updates = work->loses < 1 ? bench->keys / PART_UPDATED : 0;
    struct result *aside = calloc(1, sizeof *aside);
    size_t count, next = 0;

    if (!bench->ops->lose)
        die(bench->ops->name, "has nowhere to have lost files from");
    bench->ops_max *= updates;
    count = draw(bench, work);
    bench->ops->snapshot(bench->store);
    bench_settle(bench);
    for (uint64_t n = 0; n < times; n++) {
        uint64_t before;

        update_some(bench, updates, count, &next, n, aside);
        bench->ops->snapshot(bench->store);
        bench_settle(bench);
        result->lost_part += bench->ops->lose(bench->store, work->loses) / (double)times;
        before = ticks();
        bench->ops->reopen(bench->store);
        read_one(bench, n);
        histogram_add(&result->ops, ns_of(bench, before, ticks()));
        for (uint64_t i = 1; i < bench->keys; i += 1000)
            read_one(bench, i);
    }
    result->ns = (uint64_t)result->ops.total_ns;
    free(aside);
}

struct syncer {
    struct bench *bench;
    pthread_t thread;
    size_t from, count; /* of the trace; again and again */
    uint64_t ops_max, end;
    struct result result;
};

static void *sync_puts(void *argument)
{
    struct syncer *syncer = argument;
    uint64_t before = ticks(), after;

    for (uint64_t done = 0; done < syncer->ops_max && before < syncer->end; done++, before = after) {
        do_one(syncer->bench, syncer->bench->trace[syncer->from + done % syncer->count], false, done, &syncer->result);
        after = ticks();
        histogram_add(&syncer->result.ops, ns_of(syncer->bench, before, after));
    }
    return NULL;
}

static void sync_by_threads(struct bench *bench, size_t count, uint64_t end, struct result *result)
{
    struct syncer *syncers = calloc(OUTSTANDING, sizeof *syncers);

    for (size_t i = 0; i < OUTSTANDING; i++) {
        syncers[i].bench = bench;
        syncers[i].from = i * (count / OUTSTANDING);
        syncers[i].count = count / OUTSTANDING;
        syncers[i].ops_max = bench->ops_max / OUTSTANDING;
        syncers[i].end = end;
        if (pthread_create(&syncers[i].thread, NULL, sync_puts, &syncers[i]) != 0)
            die("sync", "no thread");
    }
    for (size_t i = 0; i < OUTSTANDING; i++) {
        pthread_join(syncers[i].thread, NULL);
        result_merge(result, &syncers[i].result);
    }
    free(syncers);
}

static void sync_by_tickets(struct bench *bench, size_t count, uint64_t end, struct result *result)
{
    const struct store_ops *ops = bench->ops;
    uint64_t tickets[OUTSTANDING], since[OUTSTANDING], awaited = 0;
    uint8_t key[KEY_BYTES], value[VALUE_BYTES_MAX];

    for (uint64_t sent = 0; awaited < sent || (sent < bench->ops_max && ticks() < end);) {
        if (sent - awaited < OUTSTANDING && sent < bench->ops_max && ticks() < end) {
            uint64_t number = bench->trace[sent % count] & ((UINT32_C(1) << KIND_SHIFT) - 1);

            since[sent % OUTSTANDING] = ticks();
            tickets[sent % OUTSTANDING] =
                ops->submit(bench->store, key_of(bench, number, key), value_of(bench, number, sent, value));
            result->put_bytes += KEY_BYTES + bench->value_bytes;
            sent++;
        } else {
            ops->await(bench->store, tickets[awaited % OUTSTANDING]);
            histogram_add(&result->ops, ns_of(bench, since[awaited % OUTSTANDING], ticks()));
            awaited++;
        }
    }
}

static void run_sync(struct bench *bench, const struct work *work, struct result *result)
{
    size_t count = draw(bench, work);
    uint64_t start = ticks(), end = end_of(bench, start);

    if (count < OUTSTANDING)
        die("sync", "needs more operations");
    if (bench->ops->submit)
        sync_by_tickets(bench, count, end, result);
    else
        sync_by_threads(bench, count, end, result);
    result->ns = ns_of(bench, start, ticks());
}

bool work_is_shared(const char *name)
{
    const struct work *work = find(name);

    return !work->counted && strcmp(name, "sync") != 0;
}

void work_run(struct bench *bench, const char *name, struct result *ret_result)
{
    const struct work *work = find(name);

    memset(ret_result, 0, sizeof *ret_result);
    if (strcmp(name, "sync") == 0)
        run_sync(bench, work, ret_result);
    else if (strcmp(name, "snapshot") == 0)
        run_snapshots(bench, work, ret_result);
    else if (strcmp(name, "restore") == 0)
        run_restores(bench, work, ret_result);
    else if (work->loses > 0)
        run_refetches(bench, work, ret_result);
    else
        run_mixed(bench, work, ret_result);
}

/* --- before a work --- */

void bench_load(struct bench *bench)
{
    struct store_put *puts = cairn_alloc(BATCH * sizeof *puts);
    uint8_t(*keys)[KEY_BYTES] = cairn_alloc(BATCH * sizeof *keys), *values = cairn_alloc(BATCH * bench->value_bytes);

    for (bench->inserted = 0; bench->inserted < bench->keys;) {
        size_t count = 0;

        for (; count < BATCH && bench->inserted < bench->keys; count++, bench->inserted++) {
            puts[count].key = key_of(bench, bench->inserted, keys[count]);
            puts[count].value = value_of(bench, bench->inserted, bench->inserted, values + count * bench->value_bytes);
        }
        bench->ops->write(bench->store, puts, count);
    }
    free(puts);
    free(keys);
    free(values);
}

void bench_warm(struct bench *bench)
{
    enum { EACH = 8 };

    for (uint64_t number = 0; number < bench->inserted; number += EACH)
        read_one(bench, number);
}

/* Processor time of all threads, in microseconds. */
static uint64_t cpu_us(void)
{
    struct rusage usage;

    getrusage(RUSAGE_SELF, &usage);
    return (uint64_t)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000000 +
           (uint64_t)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
}

/* At rest: three times in a row 50 ms with less than 1 ms of processor time.  A key is read before each, as there are
 * stores in which the caller's thread goes on with what a background thread has finished. */
void bench_settle(struct bench *bench)
{
    enum { TIMES = 3, SLICE_US = 50000, IDLE_US = 1000, SLICES_MAX = 1200 };
    int calm = 0;

    for (int i = 0; i < SLICES_MAX && calm < TIMES; i++) {
        uint64_t before;

        read_one(bench, (uint64_t)i % bench->keys);
        before = cpu_us();
        usleep(SLICE_US);
        calm = cpu_us() - before < IDLE_US ? calm + 1 : 0;
    }
}
