/* main.c - one store under one or more works.
 *
 *   bench_stores --store NAME --work WORK[,WORK..] --dir DIR [--keys N] [--value BYTES] [--ops N] [--seconds S]
 *                [--memory BYTES] [--log off|none|always] [--blob] [--snapshot-every SECONDS] [--seed N] [--threads N]
 *                [--ahead N]
 *   bench_stores --list      a JSON list of the stores that were built in
 *
 * DIR must be new or empty.  The keys are loaded, background work comes to rest, and if all fit the budget caches are
 * warmed by reading every eighth key; then the works are done one after the other on the same store, each followed by
 * another rest.  Of several threads each works on its share of the keys, --ops of its own: through a session of its own
 * where a store has such things, else in a store of its own with its share of the memory, as shards are kept.
 * With --ahead N operations become known N at a time, as they do to what takes requests from a socket or a queue, and a
 * store that can be told so is told their keys before the first is done; what the telling takes is in the figures.
 * One line of JSON, {WORK: {..}, ..}:
 *
 *   ops seconds ops_per_s     operations of the work; with --ops and --seconds whichever is reached first
 *   p50_us .. max_us          what one took; in `sync` from its submission until it is durable
 *   snapshots snapshot_..     the same of snapshots, if there were any
 *   lost_part                 of the bytes of files, by a work that loses any
 *   put_bytes written_bytes   keys and values put by the work; bytes that the process wrote to the disk from its
 *                             beginning until it came to rest (/proc/self/io; 0 where the kernel does not tell).
 *                             A kernel with large folios counts all of one of which a part is overwritten.
 *   live_bytes disk_bytes     keys and values that are there; blocks of all files of DIR
 *   base_rss_bytes peak_rss_bytes   resident memory before the store was opened, and the most since */
#include <errno.h>
#include <ftw.h>
#include <getopt.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>

#include "base/random.h"
#include "stores.h"

enum { RANDOM_BYTES = 1 << 20, TRACE_ENTRIES = 4 << 20, KEYS_MAX = 1 << 30, VALUE_BYTES_MAX = 1 << 16 };
enum { THREADS_MAX = 16, PATH_BYTES = 4096 };

static const struct store_ops *const stores[] = {
    &cairn_hybridlog_ops,
    &cairn_appendlog_ops,
    &cairn_lsm_ops,
    &cairn_memory_ops,
#ifdef HAVE_ROCKSDB
    &rocksdb_ops,
    &rocksdb_checkpoint_ops,
#endif
#ifdef HAVE_LEVELDB
    &leveldb_ops,
#endif
#ifdef HAVE_LMDB
    &lmdb_ops,
#endif
#ifdef HAVE_FASTER
    &faster_ops,
#endif
};

enum { STORES = sizeof stores / sizeof *stores };

void die(const char *what, const char *why)
{
    fprintf(stderr, "bench_stores: %s: %s\n", what, why);
    exit(1);
}

/* The number after `name` in a file of /proc; 0: it is not there. */
static uint64_t proc_number(const char *path, const char *name)
{
    FILE *file = fopen(path, "r");
    char line[256];
    uint64_t number = 0;

    while (file && fgets(line, sizeof line, file))
        if (strncmp(line, name, strlen(name)) == 0)
            number = strtoull(line + strlen(name), NULL, 10);
    if (file)
        fclose(file);
    return number;
}

static uint64_t folder_bytes; /* nftw has no argument for its callback */

static int add_file(const char *path, const struct stat *about, int type, struct FTW *where)
{
    (void)path;
    (void)where;
    if (type == FTW_F) /* all links of a file lie in this folder */
        folder_bytes += (uint64_t)about->st_blocks * 512 / about->st_nlink;
    return 0;
}

static uint64_t disk_bytes(const char *folder)
{
    folder_bytes = 0;
    nftw(folder, add_file, 16, FTW_PHYS);
    return folder_bytes;
}

/* Nanoseconds of a tick, from 50 ms of both clocks. */
static double calibrate(void)
{
    struct timespec start, now;
    uint64_t from, ns;

    clock_gettime(CLOCK_MONOTONIC, &start);
    from = ticks();
    do {
        clock_gettime(CLOCK_MONOTONIC, &now);
        ns = (uint64_t)(now.tv_sec - start.tv_sec) * 1000000000 + (uint64_t)now.tv_nsec - (uint64_t)start.tv_nsec;
    } while (ns < 50000000);
    return (double)ns / (double)(ticks() - from);
}

static void print_times(const char *prefix, const struct histogram *h)
{
    static const struct {
        const char *name;
        double part;
    } parts[] = {{"p50", 0.5}, {"p99", 0.99}, {"p999", 0.999}};

    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        printf(", \"%s%s_us\": %.3f", prefix, parts[i].name, histogram_ns(h, parts[i].part) / 1e3);
    printf(", \"%smax_us\": %.3f", prefix, (double)h->max_ns / 1e3);
}

/* --- threads --- */

/* The benches of all threads; the first one's store is open before any other's, and closed after it. */
struct team {
    struct bench of[THREADS_MAX];
    unsigned threads;
};

struct worker {
    struct bench *bench;
    const char *work;
    pthread_t thread;
    struct result result;
};

static void enter(struct bench *bench)
{
    if (bench->ops->enter)
        bench->ops->enter(bench->store);
}

static void leave(struct bench *bench)
{
    if (bench->ops->leave)
        bench->ops->leave(bench->store);
}

static void each(struct team *team, void (*step)(struct bench *bench))
{
    for (unsigned i = 0; i < team->threads; i++) {
        enter(&team->of[i]);
        step(&team->of[i]);
        leave(&team->of[i]);
    }
}

static void *work_in_thread(void *argument)
{
    struct worker *worker = argument;

    enter(worker->bench);
    work_run(worker->bench, worker->work, &worker->result);
    leave(worker->bench);
    return NULL;
}

static void work_together(struct team *team, const char *name, struct result *result)
{
    struct worker *workers = calloc(team->threads, sizeof *workers);
    pthread_barrier_t start;

    pthread_barrier_init(&start, NULL, team->threads);
    for (unsigned i = 0; i < team->threads; i++) {
        workers[i].bench = &team->of[i];
        workers[i].work = name;
        team->of[i].start = team->threads > 1 ? &start : NULL;
        if (i > 0 && pthread_create(&workers[i].thread, NULL, work_in_thread, &workers[i]) != 0)
            die(name, "no thread");
    }
    work_in_thread(&workers[0]);
    *result = workers[0].result;
    for (unsigned i = 1; i < team->threads; i++) {
        pthread_join(workers[i].thread, NULL);
        result_merge(result, &workers[i].result);
    }
    pthread_barrier_destroy(&start);
    free(workers);
}

static void open_stores(struct team *team, const struct store_options *options)
{
    const struct store_ops *ops = team->of[0].ops;
    struct store_options part = *options;
    char folder[PATH_BYTES];

    if (team->threads > 1 && !ops->join) {
        part.folder = folder;
        part.threads = 1;
        part.memory_bytes /= team->threads;
        part.keys /= team->threads;
        part.data_bytes /= team->threads;
    }
    for (unsigned i = 0; i < team->threads; i++) {
        if (part.folder == folder) {
            snprintf(folder, sizeof folder, "%s/part%u", options->folder, i);
            if (mkdir(folder, 0755) != 0)
                die(folder, strerror(errno));
        }
        team->of[i].store = i > 0 && ops->join ? ops->join(team->of[0].store) : ops->open(&part);
    }
}

static void do_work(struct team *team, const char *name, const char *folder, uint64_t base_rss)
{
    struct bench *bench = &team->of[0];
    struct result *result = calloc(1, sizeof *result);
    uint64_t written = proc_number("/proc/self/io", "write_bytes:"), inserted = 0;
    double seconds;

    work_together(team, name, result);
    each(team, bench_settle);
    written = proc_number("/proc/self/io", "write_bytes:") - written;
    for (unsigned i = 0; i < team->threads; i++)
        inserted += team->of[i].inserted;
    seconds = (double)result->ns / 1e9;
    printf("\"%s\": {\"ops\": %llu, \"seconds\": %.6f, \"ops_per_s\": %.1f", name,
           (unsigned long long)result->ops.count, seconds, seconds > 0 ? (double)result->ops.count / seconds : 0);
    print_times("", &result->ops);
    printf(", \"snapshots\": %llu", (unsigned long long)result->snapshots.count);
    if (result->snapshots.count)
        print_times("snapshot_", &result->snapshots);
    if (result->lost_part > 0)
        printf(", \"lost_part\": %.3f", result->lost_part);
    printf(", \"put_bytes\": %llu, \"written_bytes\": %llu", (unsigned long long)result->put_bytes,
           (unsigned long long)written);
    printf(", \"live_bytes\": %llu, \"disk_bytes\": %llu",
           (unsigned long long)(inserted * (KEY_BYTES + bench->value_bytes)), (unsigned long long)disk_bytes(folder));
    printf(", \"base_rss_bytes\": %llu, \"peak_rss_bytes\": %llu}", (unsigned long long)base_rss,
           (unsigned long long)proc_number("/proc/self/status", "VmHWM:") * 1024);
    free(result);
}

static const char *next_word(char **list)
{
    char *word = strsep(list, ",");

    return word && !*word ? next_word(list) : word;
}

static void check_works(const char *works, unsigned threads)
{
    char *copy = strdup(works), *left = copy;

    for (const char *name; (name = next_word(&left));) {
        if (!work_exists(name))
            die(name, "there is no such work");
        if (threads > 1 && !work_is_shared(name))
            die(name, "is for one thread");
    }
    free(copy);
}

static const struct store_ops *store_of(const char *name)
{
    for (size_t i = 0; i < STORES; i++)
        if (strcmp(stores[i]->name, name) == 0)
            return stores[i];
    die(name, "there is no such store, or it was not built in");
}

static int list_stores(void)
{
    for (size_t i = 0; i < STORES; i++)
        printf("%s\"%s\"", i ? ", " : "[", stores[i]->name);
    printf("]\n");
    return 0;
}

int main(int argc, char **argv)
{
    static const struct option known[] = {{"store", required_argument, NULL, 's'},
                                          {"work", required_argument, NULL, 'w'},
                                          {"dir", required_argument, NULL, 'd'},
                                          {"keys", required_argument, NULL, 'k'},
                                          {"value", required_argument, NULL, 'v'},
                                          {"ops", required_argument, NULL, 'o'},
                                          {"seconds", required_argument, NULL, 't'},
                                          {"memory", required_argument, NULL, 'm'},
                                          {"log", required_argument, NULL, 'l'},
                                          {"blob", no_argument, NULL, 'b'},
                                          {"snapshot-every", required_argument, NULL, 'e'},
                                          {"seed", required_argument, NULL, 'r'},
                                          {"threads", required_argument, NULL, 'T'},
                                          {"ahead", required_argument, NULL, 'a'},
                                          {"list", no_argument, NULL, 'L'},
                                          {0}};
    static struct team team = {.threads = 1};
    struct bench bench = {.keys = 1000000, .value_bytes = 100, .seed = 1, .trace_room = TRACE_ENTRIES};
    struct store_options options = {.memory_bytes = UINT64_C(256) << 20};
    char *works = NULL;
    const char *log = "off", *work;
    struct cairn_random random;
    uint64_t ops = 0, base_rss;

    for (int c; (c = getopt_long(argc, argv, "", known, NULL)) != -1;) {
        if (c == 's')
            bench.ops = store_of(optarg);
        else if (c == 'w')
            works = optarg;
        else if (c == 'd')
            options.folder = optarg;
        else if (c == 'k')
            bench.keys = strtoull(optarg, NULL, 10);
        else if (c == 'v')
            bench.value_bytes = strtoull(optarg, NULL, 10);
        else if (c == 'o')
            ops = strtoull(optarg, NULL, 10);
        else if (c == 't')
            bench.seconds_max = strtod(optarg, NULL);
        else if (c == 'm')
            options.memory_bytes = strtoull(optarg, NULL, 10);
        else if (c == 'l')
            log = optarg;
        else if (c == 'b')
            options.blob = true;
        else if (c == 'e')
            bench.snapshot_ns = (uint64_t)(strtod(optarg, NULL) * 1e9);
        else if (c == 'r')
            bench.seed = strtoull(optarg, NULL, 10);
        else if (c == 'T')
            team.threads = (unsigned)atoi(optarg);
        else if (c == 'a')
            bench.ahead = (unsigned)atoi(optarg);
        else
            return c == 'L' ? list_stores() : 2;
    }
    if (!bench.ops || !works || !options.folder || optind < argc)
        die("usage", "--store NAME --work WORK[,WORK..] --dir DIR, and more (bench/stores/main.c)");
    if (bench.keys < 1 || bench.keys > KEYS_MAX || bench.value_bytes < 8 || bench.value_bytes > VALUE_BYTES_MAX)
        die("usage", "--keys from 1 to 2^30, --value from 8 to 65536");
    if (bench.ahead > AHEAD_MAX)
        die("usage", "--ahead from 0 to 32");
    if (team.threads < 1 || team.threads > THREADS_MAX || bench.keys < team.threads)
        die("usage", "--threads from 1 to 16");
    if (team.threads > 1 && (options.blob || bench.snapshot_ns))
        die("usage", "--blob and --snapshot-every are for one thread");
    check_works(works, team.threads);
    if (options.blob && !bench.ops->lose)
        die(bench.ops->name, "has no --blob");
    options.log = strcmp(log, "off") == 0      ? LOG_OFF
                  : strcmp(log, "none") == 0   ? LOG_NONE
                  : strcmp(log, "always") == 0 ? LOG_ALWAYS
                                               : (die("--log", "off, none or always"), LOG_OFF);
    options.kind = strchr(bench.ops->name, ':') ? strchr(bench.ops->name, ':') + 1 : NULL;
    options.keys = bench.keys;
    options.data_bytes = bench.keys * (KEY_BYTES + bench.value_bytes);
    if (mkdir(options.folder, 0755) != 0 && errno != EEXIST)
        die(options.folder, strerror(errno));

    bench.ns_per_tick = calibrate();
    bench.random = cairn_alloc(RANDOM_BYTES);
    cairn_random_init(&random, bench.seed);
    cairn_random_fill(&random, bench.random, RANDOM_BYTES);
    bench.parts = options.threads = team.threads;
    bench.keys /= team.threads;
    for (unsigned i = 0; i < team.threads; i++) {
        bench.part = i;
        bench.trace = cairn_alloc(TRACE_ENTRIES * sizeof *bench.trace);
        memset(bench.trace, 0, TRACE_ENTRIES * sizeof *bench.trace);
        team.of[i] = bench;
    }
    base_rss = proc_number("/proc/self/status", "VmRSS:") * 1024;

    open_stores(&team, &options);
    each(&team, bench_load);
    each(&team, bench_settle);
    if (options.data_bytes <= options.memory_bytes)
        each(&team, bench_warm);
    printf("{");
    for (bool first = true; (work = next_word(&works)); first = false) {
        printf("%s", first ? "" : ", ");
        for (unsigned i = 0; i < team.threads; i++)
            team.of[i].ops_max = work_ops(work, bench.keys, ops, bench.seconds_max);
        do_work(&team, work, options.folder, base_rss);
    }
    printf("}\n");
    for (unsigned i = team.threads; i-- > 0;) {
        bench.ops->close(team.of[i].store);
        free(team.of[i].trace);
    }
    free(bench.random);
    return 0;
}
