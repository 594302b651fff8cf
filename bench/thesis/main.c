/* main.c - one configuration of the thesis's experiments (docs/engines.md) on one of the state engines.
 *
 *   bench_thesis --engine NAME --dir DIR [--NAME NUMBER ..]        the names: see `numbers` below; 0 is their default
 *
 * DIR must be new or empty.  Before `samples` samples all `keys` keys are put, before `increments` increments `first`
 * that are drawn.  One line of JSON tells what came of it.
 *
 * A sample puts `writes` drawn keys, lets background work come to rest, and gets `reads` drawn keys.  Without a rate
 * one operation follows the other, and what a sample says is its time by its operations, as in the thesis.  With a
 * rate each begins when it is due, or when the one before has ended, and a sample is the mean of what they took, of
 * which reading the clock is some 25 ns.  Medians and p95 are over the samples.  With `fresh` each put has a key that
 * was not there before, and nothing is put before the samples.
 *
 * An increment puts `writes` pairs and makes a snapshot; of each it tells the time, and the bytes that it wrote: its
 * runs and its manifest, but not what merges wrote meanwhile, for which no snapshot waits.  `fresh` as above.  The
 * first number of each list is the snapshot of what was put before. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/random.h"
#include "state/state_internal.h"

enum { KEY_BYTES_MAX = 8, RETAIN_EVERY = 10 };

struct config {
    uint64_t keys, key_bytes, value_bytes, zipf, seed, samples, writes, reads, rate, fresh, first, increments, retain;
    uint64_t max_runs_per_level, density_factor, memtable_bytes_limit, mem_segment_len, ro_lag_interval, flush_interval,
        threshold;
};

static const struct {
    const char *name;
    size_t offset;
} numbers[] = {
#define NUMBER(name)                         \
    {                                        \
#name, offsetof(struct config, name) \
    }
    NUMBER(keys),
    NUMBER(key_bytes), /* 1 to 8, as the next one */
    NUMBER(value_bytes),
    NUMBER(zipf), /* 1: keys are drawn by Zipf's law with 0.99, as YCSB does; 0: all alike */
    NUMBER(seed),
    NUMBER(samples),
    NUMBER(writes),
    NUMBER(reads),
    NUMBER(rate), /* operations a second */
    NUMBER(fresh),
    NUMBER(first), /* puts before the first increment */
    NUMBER(increments),
    NUMBER(retain), /* versions that are kept, when it is time to forget some; 0: all */
    /* of struct cairn_state_options, in bytes where that has bytes */
    NUMBER(max_runs_per_level),
    NUMBER(density_factor),
    NUMBER(memtable_bytes_limit),
    NUMBER(mem_segment_len),
    NUMBER(ro_lag_interval),
    NUMBER(flush_interval),
    NUMBER(threshold),
#undef NUMBER
};

struct bench {
    struct config config;
    const char *folder;
    struct cairn_state *state;
    struct cairn_random random;
    double *cumulated; /* Zipf: the share of this rank and those before it */
    uint32_t *trace;   /* drawn keys of a sample */
    uint64_t inserted; /* fresh keys that are there */
    uint8_t *is_there; /* by key */
    uint64_t there;    /* how many are */
};

/* What one kind of operation took, a number a sample. */
struct timing {
    double *sample_us, max_us, ns;
    uint64_t count;
};

static void __attribute__((noreturn)) die(const char *what, const char *why)
{
    fprintf(stderr, "bench_thesis: %s: %s\n", what, why);
    exit(1);
}

static void must(enum cairn_code code, const struct cairn_err *err)
{
    if (code != CAIRN_OK)
        die(cairn_code_name(code), err->text);
}

static uint64_t now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

/* --- keys and values --- */

/* Different numbers below 2^(8 bytes) give different strings, which lie all over their range. */
static void string_of(uint64_t number, size_t bytes, uint8_t *out)
{
    number *= UINT64_C(0x9e3779b97f4a7c15);
    for (size_t i = bytes; i-- > 0; number >>= 8)
        out[i] = (uint8_t)number;
}

static void init_draw(struct bench *bench)
{
    double sum = 0;

    cairn_random_init(&bench->random, bench->config.seed);
    if (!bench->config.zipf)
        return;
    bench->cumulated = cairn_alloc(bench->config.keys * sizeof *bench->cumulated);
    for (uint64_t i = 0; i < bench->config.keys; i++)
        bench->cumulated[i] = sum += 1 / pow((double)(i + 1), 0.99);
}

static uint32_t draw(struct bench *bench)
{
    uint64_t low = 0, high = bench->config.keys - 1;
    double at;

    if (!bench->cumulated)
        return (uint32_t)cairn_random_below(&bench->random, bench->config.keys);
    at = (double)(cairn_random_u64(&bench->random) >> 11) * 0x1p-53 * bench->cumulated[high];
    while (low < high) {
        uint64_t middle = (low + high) / 2;

        if (bench->cumulated[middle] <= at)
            low = middle + 1;
        else
            high = middle;
    }
    return (uint32_t)low;
}

static void draw_some(struct bench *bench, uint64_t count, bool fresh)
{
    for (uint64_t i = 0; i < count; i++)
        bench->trace[i] = fresh ? (uint32_t)bench->inserted++ : draw(bench);
}

/* --- operations --- */

static void put(struct bench *bench, uint32_t number, uint64_t value_number)
{
    const struct config *config = &bench->config;
    uint8_t key[KEY_BYTES_MAX], value[KEY_BYTES_MAX];
    struct cairn_err err;

    string_of(number, config->key_bytes, key);
    string_of(value_number, config->value_bytes, value);
    must(cairn_state_put(bench->state, key, config->key_bytes, value, config->value_bytes, &err), &err);
}

static void get(struct bench *bench, uint32_t number)
{
    const struct config *config = &bench->config;
    uint8_t key[KEY_BYTES_MAX];
    const void *value;
    size_t value_bytes;
    struct cairn_err err;
    bool found;

    string_of(number, config->key_bytes, key);
    must(cairn_state_get(bench->state, key, config->key_bytes, &found, &value, &value_bytes, &err), &err);
    if (!found || value_bytes != config->value_bytes)
        die("get", "a key is lost");
}

static void note_puts(struct bench *bench, uint64_t count)
{
    for (uint64_t i = 0; i < count; i++) {
        bench->there += !bench->is_there[bench->trace[i]];
        bench->is_there[bench->trace[i]] = 1;
    }
}

static void run_sample(struct bench *bench, bool puts, uint64_t count, uint64_t sample, struct timing *timing)
{
    const struct config *config = &bench->config;
    double interval = config->rate ? 1e9 / (double)config->rate : 0, sum = 0;
    uint64_t start, end;

    draw_some(bench, count, puts && config->fresh);
    start = end = now_ns();
    for (uint64_t i = 0; i < count; i++) {
        uint64_t due = start + (uint64_t)((double)i * interval), begin;

        while (config->rate && end < due)
            end = now_ns();
        begin = end;
        if (puts)
            put(bench, bench->trace[i], sample * count + i);
        else
            get(bench, bench->trace[i]);
        if (config->rate) {
            end = now_ns();
            sum += (double)(end - begin);
            if ((double)(end - begin) / 1e3 > timing->max_us)
                timing->max_us = (double)(end - begin) / 1e3;
        }
    }
    end = now_ns();
    timing->ns += (double)(end - start);
    timing->count += count;
    timing->sample_us[sample] = (config->rate ? sum : (double)(end - start)) / (double)count / 1e3;
    if (puts)
        note_puts(bench, count);
}

/* --- background work --- */

static uint64_t cpu_us(void)
{
    struct rusage usage;

    getrusage(RUSAGE_SELF, &usage);
    return (uint64_t)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000000 +
           (uint64_t)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
}

/* Until nothing was done for a while.  Asking for a key that is in no file lets the engine take over what was done, and
 * begin what is next. */
static void rest(struct bench *bench)
{
    enum { TIMES = 3, SLICE_US = 3000, IDLE_US = 300, SLICES_MAX = 10000 };
    struct cairn_state_stats before = {0}, after;
    int calm = 0;

    for (int i = 0; i < SLICES_MAX && calm < TIMES; i++) {
        const void *value;
        size_t value_bytes;
        struct cairn_err err;
        uint64_t cpu;
        bool found;

        must(cairn_state_get(bench->state, "not there", 9, &found, &value, &value_bytes, &err), &err);
        cpu = cpu_us();
        usleep(SLICE_US);
        cairn_state_get_stats(bench->state, &after);
        calm =
            cpu_us() - cpu < IDLE_US && after.flushes == before.flushes && after.merges == before.merges ? calm + 1 : 0;
        before = after;
    }
}

/* --- what came of it --- */

static int compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

/* Between the two nearest values, as numpy does it. */
static double percentile(const double *sorted, size_t count, double part)
{
    double at = part * (double)(count - 1);
    size_t low = (size_t)at;

    return low + 1 < count ? sorted[low] + (at - (double)low) * (sorted[low + 1] - sorted[low]) : sorted[low];
}

static void print_timing(const char *name, const struct timing *timing, uint64_t samples)
{
    double *sorted = cairn_alloc(samples * sizeof *sorted);

    memcpy(sorted, timing->sample_us, samples * sizeof *sorted);
    qsort(sorted, samples, sizeof *sorted, compare_doubles);
    printf(", \"%s\": {\"p50_us\": %.4f, \"p95_us\": %.4f, \"ops_per_s\": %.1f", name, percentile(sorted, samples, 0.5),
           percentile(sorted, samples, 0.95), (double)timing->count / (timing->ns / 1e9));
    if (timing->max_us > 0)
        printf(", \"max_us\": %.1f", timing->max_us);
    printf(", \"samples_us\": [");
    for (uint64_t i = 0; i < samples; i++)
        printf("%s%.4f", i ? ", " : "", timing->sample_us[i]);
    printf("]}");
    free(sorted);
}

static void print_stats(struct bench *bench)
{
    struct cairn_state_stats stats;

    cairn_state_get_stats(bench->state, &stats);
    printf(", \"keys\": %" PRIu64 ", \"memory_bytes\": %" PRIu64 ", \"disk_bytes\": %" PRIu64 ", \"files\": %" PRIu64
           ", \"flushes\": %" PRIu64 ", \"merges\": %" PRIu64 ", \"merged_bytes\": %" PRIu64,
           bench->there, stats.memory_bytes, stats.disk_bytes, stats.files, stats.flushes, stats.merges,
           stats.merged_bytes);
}

/* --- samples --- */

static void note_stats(struct bench *bench, uint64_t *ret_memory_bytes, uint64_t *ret_disk_bytes)
{
    struct cairn_state_stats stats;

    cairn_state_get_stats(bench->state, &stats);
    *ret_memory_bytes = stats.memory_bytes;
    *ret_disk_bytes = stats.disk_bytes;
}

static void print_numbers(const char *name, const uint64_t *list, uint64_t count)
{
    printf(", \"%s\": [", name);
    for (uint64_t i = 0; i < count; i++)
        printf("%s%" PRIu64, i ? ", " : "", list[i]);
    printf("]");
}

static void run_samples(struct bench *bench)
{
    const struct config *config = &bench->config;
    uint64_t samples = config->samples;
    struct timing writes = {.sample_us = cairn_alloc_zeroed(samples, sizeof(double))};
    struct timing reads = {.sample_us = cairn_alloc_zeroed(samples, sizeof(double))};
    uint64_t *room = cairn_alloc(4 * samples * sizeof *room), *memory = room, *disk = room + samples;
    uint64_t *rest_memory = room + 2 * samples, *rest_disk = room + 3 * samples;

    for (uint64_t i = 0; i < samples; i++) {
        if (config->writes)
            run_sample(bench, true, config->writes, i, &writes);
        note_stats(bench, &memory[i], &disk[i]);
        if (config->reads || config->fresh)
            rest(bench);
        note_stats(bench, &rest_memory[i], &rest_disk[i]);
        if (config->reads)
            run_sample(bench, false, config->reads, i, &reads);
    }
    if (config->writes)
        print_timing("write", &writes, samples);
    if (config->reads)
        print_timing("read", &reads, samples);
    print_numbers("memory", memory, samples);
    print_numbers("disk", disk, samples);
    print_numbers("rest_memory", rest_memory, samples);
    print_numbers("rest_disk", rest_disk, samples);
    free(writes.sample_us);
    free(reads.sample_us);
    free(room);
}

/* --- snapshots --- */

struct snapshot {
    double us;
    uint64_t bytes;
};

static struct levels_stats levels_stats_of(struct bench *bench)
{
    struct levels_stats stats;

    levels_stats(bench->state->levels, &stats); /* the public ones do not tell what was written from memory */
    return stats;
}

static struct snapshot take_snapshot(struct bench *bench, struct levels_stats *last)
{
    struct snapshot snapshot;
    struct levels_stats stats;
    struct stat manifest;
    struct cairn_err err;
    char path[4096];
    uint64_t version, start = now_ns();

    must(cairn_state_snapshot(bench->state, NULL, 0, &version, &err), &err);
    snapshot.us = (double)(now_ns() - start) / 1e3;
    stats = levels_stats_of(bench);
    snprintf(path, sizeof path, "%s/versions/%" PRIu64 ".version", bench->folder, version);
    if (stat(path, &manifest) != 0)
        die(path, "is not there");
    snapshot.bytes = stats.flushed_bytes - last->flushed_bytes + (uint64_t)manifest.st_size;
    *last = stats;
    return snapshot;
}

static bool count_key(void *context, const void *key, size_t key_bytes, const void *value, size_t value_bytes)
{
    (void)key;
    (void)key_bytes;
    (void)value;
    (void)value_bytes;
    ++*(uint64_t *)context;
    return true;
}

static void check_keys(struct bench *bench)
{
    uint64_t count = 0;
    struct cairn_err err;

    must(cairn_state_restore(bench->state, 0, &err), &err); /* so that only what was in the snapshot is there */
    must(cairn_state_visit(bench->state, count_key, &count, &err), &err);
    if (count != bench->there)
        die("snapshot", "it has another number of keys than were put");
}

static void put_some(struct bench *bench, uint64_t count)
{
    draw_some(bench, count, bench->config.fresh);
    for (uint64_t i = 0; i < count; i++)
        put(bench, bench->trace[i], cairn_random_u64(&bench->random));
    note_puts(bench, count);
}

static void run_increments(struct bench *bench)
{
    const struct config *config = &bench->config;
    struct snapshot *all = cairn_alloc((config->increments + 1) * sizeof *all);
    struct cairn_state_retention rule = {.last = (unsigned)config->retain};
    struct levels_stats last = levels_stats_of(bench);
    struct cairn_err err;
    uint64_t bytes;

    put_some(bench, config->first);
    all[0] = take_snapshot(bench, &last);
    for (uint64_t i = 1; i <= config->increments; i++) {
        put_some(bench, config->writes);
        all[i] = take_snapshot(bench, &last);
        if (config->retain && i % RETAIN_EVERY == 0) {
            must(cairn_state_retain(bench->state, &rule, &bytes, &err), &err);
            must(cairn_state_collect(bench->state, &bytes, &err), &err);
        }
    }
    check_keys(bench);
    printf(", \"snapshot_us\": [");
    for (uint64_t i = 0; i <= config->increments; i++)
        printf("%s%.1f", i ? ", " : "", all[i].us);
    printf("], \"snapshot_bytes\": [");
    for (uint64_t i = 0; i <= config->increments; i++)
        printf("%s%" PRIu64, i ? ", " : "", all[i].bytes);
    printf("]");
    free(all);
}

/* --- the configuration --- */

static uint64_t *number_of(struct config *config, const char *name)
{
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        if (strcmp(numbers[i].name, name) == 0)
            return (uint64_t *)(void *)((char *)config + numbers[i].offset);
    die(name, "there is no such option");
}

static uint64_t parse(const char *name, const char *text)
{
    char *end;
    uint64_t number = strtoull(text, &end, 10);

    if (!*text || *end)
        die(name, "is not a number");
    return number;
}

static void read_arguments(struct bench *bench, int argc, char **argv, struct cairn_state_options *ret_options)
{
    struct config *config = &bench->config;

    for (int i = 1; i < argc; i += 2) {
        const char *name = argv[i] + 2, *value = i + 1 < argc ? argv[i + 1] : "";

        if (strncmp(argv[i], "--", 2) != 0)
            die(argv[i], "is not an option");
        if (strcmp(name, "engine") == 0)
            ret_options->engine = value;
        else if (strcmp(name, "dir") == 0)
            bench->folder = value;
        else
            *number_of(config, name) = parse(name, value);
    }
    if (!ret_options->engine || !bench->folder)
        die("usage", "--engine NAME --dir DIR [--NAME NUMBER ..]");
    if (!config->key_bytes || config->key_bytes > KEY_BYTES_MAX || !config->value_bytes ||
        config->value_bytes > KEY_BYTES_MAX)
        die("usage", "key_bytes and value_bytes are from 1 to 8");
    if (!config->keys || (!config->increments && !config->samples))
        die("usage", "keys, and samples or increments, are needed");
    ret_options->max_runs_per_level = (unsigned)config->max_runs_per_level;
    ret_options->density_factor = (unsigned)config->density_factor;
    ret_options->memtable_bytes_limit = config->memtable_bytes_limit;
    ret_options->mem_segment_len = config->mem_segment_len;
    ret_options->ro_lag_interval = config->ro_lag_interval;
    ret_options->flush_interval = config->flush_interval;
    ret_options->threshold = config->threshold;
}

static uint64_t max(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

int main(int argc, char **argv)
{
    struct bench bench = {.config = {.key_bytes = 4, .value_bytes = 4, .seed = 1}};
    const struct config *config = &bench.config;
    struct cairn_state_options options = {.options_bytes = sizeof options};
    struct cairn_err err;
    uint64_t keys_max;

    read_arguments(&bench, argc, argv, &options);
    init_draw(&bench);
    keys_max = config->keys + config->first + config->writes * max(config->samples, config->increments);
    bench.is_there = cairn_alloc_zeroed(keys_max, 1);
    bench.trace =
        cairn_alloc(max(max(config->keys, config->first), max(config->writes, config->reads)) * sizeof *bench.trace);
    must(cairn_state_open(bench.folder, &options, &bench.state, &err), &err);
    printf("{\"engine\": \"%s\"", options.engine);
    if (config->increments) {
        run_increments(&bench);
    } else {
        if (!config->fresh)
            for (uint64_t i = 0; i < config->keys; i++) {
                bench.trace[i] = (uint32_t)i;
                put(&bench, (uint32_t)i, i);
            }
        note_puts(&bench, config->fresh ? 0 : config->keys);
        rest(&bench);
        run_samples(&bench);
    }
    rest(&bench);
    print_stats(&bench);
    printf("}\n");
    cairn_state_close(bench.state);
    free(bench.cumulated);
    free(bench.trace);
    free(bench.is_there);
    return 0;
}
