/* inprocess.c - a whole node with --sync none, driven in the worker threads' own loops: no sockets, no protocol.
 *
 *   bench_inprocess isolated --data DIR --guests DIR [--count N]
 *       what an invocation costs: read-only (Plain.get), writing (Plain.set), and what a nested call adds, to an object
 *       on the same worker: Plain.relay with one call less Plain.get; with a second call less with one; and the
 *       same where caller and called one write (Plain.push).  100-byte values, 1000 objects drawn at random.
 *   bench_inprocess get|set|relay|push --data DIR --guests DIR [--count N]
 *       one of these alone (relay and push with one call each), for profilers
 *   bench_inprocess post --data DIR --guests DIR --objects N --authors N --followers N [--fill N] --count N
 *                        [--workers N]
 *       ReTwis' post by `authors` users drawn at random, each with `followers` followers that are spread over all
 *       `objects` users; before it everybody posts `fill` times, which fills timelines so that each delivery drops an
 *       entry too.  With several workers also how far apart cores are, before and after (bounce.h)
 *   bench_inprocess ordered --data DIR --guests DIR [--objects N] [--count N]
 *       one object with a map, another with an ordered map of N entries (16-byte keys, 16-byte values) each; then,
 *       three times in turn: inserts into the one and the other, ranges of 100 entries, ranks
 *   bench_inprocess map_set|ordered_set|range|rank --data DIR --guests DIR [--objects N] [--count N]
 *       one of these alone, for profilers
 *   bench_inprocess timeline --data DIR --guests DIR [--objects N] [--count N] [--results MIB]
 *       ReTwis' timeline of 10 of one of N users who have as many posts; --results: as cairn serve's
 *   bench_inprocess transfer|move --data DIR --guests DIR --objects N --count N [--workers N]
 *       a transfer between two of N accounts drawn at random: as two calls, or as a transaction
 *
 * --engine NAME and --engine-memory MIB are as cairn serve's; without them the state is in the memory engine.
 * Times are of the whole stretch divided by its invocations, with WINDOW requests under way per worker: replies to
 * writes wait for the log's thread to hand the records to the operating system, and one at a time would measure
 * the two threads waking each other.  CPU time is told beside it (of worker 0, and of all threads), which others on the
 * machine disturb less.  DIR must be empty.  Output is JSON. */
#include <errno.h>
#include <getopt.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "base/random.h"
#include "bounce.h"
#include "histogram.h"
#include "server/house.h"

enum { WINDOW = 64, WORKERS_MAX = 64, TEXT_BYTES = 64, VALUE_BYTES = 100, PLAIN_OBJECTS = 1000, BUDGET_NS = 1000000 };

static struct {
    const char *data, *guests, *engine;
    uint64_t results_mib, engine_mib;
    unsigned objects, authors, followers, fill, workers;
    uint64_t count;
} options = {.objects = PLAIN_OBJECTS, .authors = 1, .workers = 1, .count = 200000};

struct load;

/* What is asked for next: request number n of all. */
typedef void next_request(const struct load *load, uint64_t n, struct cairn_random *dice, struct cairn_buf *id,
                          struct cairn_buf *args);

struct load {
    const char *type, *method;
    next_request *next;
    uint64_t count;
    int64_t argument;
};

struct slot {
    struct cairn_request request;
    struct cairn_buf id, args;
    struct driver *driver;
    uint64_t since_ns;
};

struct driver {
    uint32_t index;
    struct cairn_worker *worker;
    struct cairn_random dice;
    const struct load *load;
    struct histogram *latencies; /* NULL: nobody asks */
    uint64_t next, under_way;    /* request numbers: index, index + workers, .. */
    struct slot slots[WINDOW];
    pthread_t thread;
    int event;
    /* The worker sleeps with `asleep` set after it has looked at `woken`; a waker sets `woken` before it looks at
     * `asleep`; both in sequentially consistent order, so one of them sees the other. */
    atomic_bool woken, asleep;
};

static struct driver drivers[WORKERS_MAX];
static struct cairn_house *house;

static void __attribute__((noreturn)) die(const char *what, const char *why)
{
    fprintf(stderr, "inprocess: %s: %s\n", what, why);
    exit(1);
}

static uint64_t now_ns(void)
{
    return cairn_clock_system()->monotonic_ns(cairn_clock_system());
}

/* --- driving workers --------------------------------------------------------------------------------- */

static void wake(void *context, uint32_t index)
{
    struct driver *driver = &drivers[index];
    uint64_t one = 1;

    (void)context;
    atomic_store(&driver->woken, true);
    if (atomic_load(&driver->asleep) && write(driver->event, &one, sizeof one) < 0 && errno != EAGAIN)
        die("eventfd", strerror(errno));
}

static void wait_for_wake(struct driver *driver)
{
    uint64_t ns = cairn_worker_next_ns(driver->worker), count;
    struct pollfd p = {.fd = driver->event, .events = POLLIN};

    atomic_store(&driver->asleep, true);
    if (!atomic_exchange(&driver->woken, false)) {
        poll(&p, 1, ns > 100000000 ? 100 : (int)(ns / 1000000) + 1);
        if (read(driver->event, &count, sizeof count) < 0 && errno != EAGAIN)
            die("eventfd", strerror(errno));
        atomic_store(&driver->woken, false);
    }
    atomic_store(&driver->asleep, false);
}

static void submit(struct slot *slot)
{
    struct driver *driver = slot->driver;
    const struct load *load = driver->load;

    if (driver->next >= load->count)
        return;
    slot->id.size = slot->args.size = 0;
    load->next(load, driver->next, &driver->dice, &slot->id, &slot->args);
    driver->next += options.workers;
    driver->under_way++;
    slot->since_ns = driver->latencies ? now_ns() : 0;
    slot->request = (struct cairn_request){.op = CAIRN_OP_INVOKE,
                                           .type = cairn_str(load->type),
                                           .method = cairn_str(load->method),
                                           .id = cairn_buf_bytes(&slot->id),
                                           .args = cairn_buf_bytes(&slot->args),
                                           .reply = slot->request.reply,
                                           .owner = slot};
    cairn_worker_submit(driver->worker, &slot->request);
}

static void check(const char *what, struct cairn_bytes reply)
{
    struct cairn_reader r = cairn_reader(reply);
    struct cairn_value v = cairn_value_read(&r);
    char why[512];

    if (v.kind != CAIRN_VALUE_ERROR)
        return;
    snprintf(why, sizeof why, "%.*s: %.*s", (int)v.error.size, (const char *)v.error.data, (int)v.bytes.size,
             (const char *)v.bytes.data);
    die(what, why);
}

static void on_reply(struct cairn_request *request, struct cairn_bytes value)
{
    struct slot *slot = request->owner;

    check(slot->driver->load->method, value);
    slot->driver->under_way--;
    if (slot->driver->latencies)
        histogram_add(slot->driver->latencies, now_ns() - slot->since_ns);
    submit(slot);
}

static void drive(struct driver *driver)
{
    for (int i = 0; i < WINDOW; i++)
        submit(&driver->slots[i]);
    while (driver->under_way)
        if (!cairn_worker_run(driver->worker, BUDGET_NS) && driver->under_way)
            wait_for_wake(driver);
}

/* Another worker may still need this one for calls between their objects when its own requests are done. */
static atomic_uint driving;

static void *drive_to_the_end(void *argument)
{
    struct driver *driver = argument;

    drive(driver);
    atomic_fetch_sub(&driving, 1);
    for (uint32_t i = 0; i < options.workers; i++)
        wake(NULL, i);
    while (atomic_load(&driving))
        if (!cairn_worker_run(driver->worker, BUDGET_NS))
            wait_for_wake(driver);
    return NULL;
}

struct cost {
    double us;                /* wall time per invocation */
    double worker_us, all_us; /* CPU time per invocation: of worker 0's thread, of the process */
};

static uint64_t cpu_ns(clockid_t clock)
{
    struct timespec t;

    clock_gettime(clock, &t);
    return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static struct cost run(const struct load *load)
{
    uint64_t start = now_ns(), worker = cpu_ns(CLOCK_THREAD_CPUTIME_ID), all = cpu_ns(CLOCK_PROCESS_CPUTIME_ID);
    double each = 1e3 * (double)load->count;

    atomic_store(&driving, options.workers);
    for (uint32_t i = 0; i < options.workers; i++) {
        drivers[i].load = load;
        drivers[i].next = i;
    }
    for (uint32_t i = 1; i < options.workers; i++)
        if (pthread_create(&drivers[i].thread, NULL, drive_to_the_end, &drivers[i]) != 0)
            die("a thread", strerror(errno));
    drive_to_the_end(&drivers[0]);
    for (uint32_t i = 1; i < options.workers; i++)
        pthread_join(drivers[i].thread, NULL);
    return (struct cost){(double)(now_ns() - start) / each, (double)(cpu_ns(CLOCK_THREAD_CPUTIME_ID) - worker) / each,
                         (double)(cpu_ns(CLOCK_PROCESS_CPUTIME_ID) - all) / each};
}

/* --- the node ------------------------------------------------------------------------------------------ */

static void open_node(void)
{
    struct cairn_house_options o = {.data = options.data,
                                    .engine = options.engine,
                                    .engine_memory_bytes = options.engine_mib << 20,
                                    .workers = options.workers,
                                    .sync = CAIRN_SYNC_NONE,
                                    .wake = wake,
                                    .limits = {.cache_bytes = options.results_mib << 20}};
    struct cairn_err err;

    for (uint32_t i = 0; i < options.workers; i++) {
        drivers[i].index = i;
        drivers[i].event = eventfd(0, EFD_NONBLOCK);
        cairn_random_init(&drivers[i].dice, i + 1);
        for (int k = 0; k < WINDOW; k++) {
            drivers[i].slots[k].driver = &drivers[i];
            drivers[i].slots[k].request.reply = on_reply;
        }
    }
    if (cairn_house_open(&o, &house, &err) != CAIRN_OK)
        die("cannot open the node", err.text);
    for (uint32_t i = 0; i < options.workers; i++)
        drivers[i].worker = cairn_house_backend(house)->worker(cairn_house_backend(house)->context, i);
}

static bool deployed;

static void on_deployed(struct cairn_request *request, struct cairn_bytes value)
{
    (void)request;
    check("deploying", value);
    deployed = true;
}

static void deploy(const char *module)
{
    struct cairn_buf wasm = {0};
    struct cairn_request request = {.op = CAIRN_OP_DEPLOY, .reply = on_deployed};
    char path[4096];
    FILE *file;
    size_t n;

    snprintf(path, sizeof path, "%s/%s.wasm", options.guests, module);
    file = fopen(path, "rb");
    if (!file)
        die(path, strerror(errno));
    while ((n = fread(cairn_buf_reserve(&wasm, 65536), 1, 65536, file)) > 0)
        wasm.size += n;
    fclose(file);
    request.body = cairn_buf_bytes(&wasm);
    cairn_worker_submit(drivers[0].worker, &request);
    while (!deployed) { /* no thread runs yet but this one */
        for (uint32_t i = 0; i < options.workers; i++)
            cairn_worker_run(drivers[i].worker, BUDGET_NS);
        usleep(1000);
    }
    cairn_buf_done(&wasm);
}

/* --- what is asked for ----------------------------------------------------------------------------------- */

static void add_id(struct cairn_buf *id, uint64_t number)
{
    char text[12] = "o00000000000"; /* by hand: printf would take a fifth of the time that a kept result takes */

    for (int at = 11; number && at > 0; at--, number /= 10)
        text[at] = (char)('0' + number % 10);
    cairn_buf_add(id, text, sizeof text);
}

static void add_text(struct cairn_buf *args, size_t bytes)
{
    static const char text[] = "The quick brown fox jumps over the lazy dog, again and again, as long as there is "
                               "a dog to jump over.......";

    cairn_args_add(args, cairn_bytes(text, bytes));
}

static void next_get(const struct load *load, uint64_t n, struct cairn_random *dice, struct cairn_buf *id,
                     struct cairn_buf *args)
{
    (void)load, (void)n, (void)args;
    add_id(id, cairn_random_below(dice, PLAIN_OBJECTS));
}

static void next_set(const struct load *load, uint64_t n, struct cairn_random *dice, struct cairn_buf *id,
                     struct cairn_buf *args)
{
    (void)load;
    add_id(id, n < PLAIN_OBJECTS ? n : cairn_random_below(dice, PLAIN_OBJECTS));
    add_text(args, VALUE_BYTES);
}

static void next_relay(const struct load *load, uint64_t n, struct cairn_random *dice, struct cairn_buf *id,
                       struct cairn_buf *args)
{
    struct cairn_buf whom = {0};
    char times[24];

    (void)n;
    snprintf(times, sizeof times, "%lld", (long long)load->argument);
    add_id(id, cairn_random_below(dice, PLAIN_OBJECTS));
    add_id(&whom, cairn_random_below(dice, PLAIN_OBJECTS));
    cairn_args_add(args, cairn_buf_bytes(&whom));
    cairn_args_add(args, cairn_str(times));
    cairn_buf_done(&whom);
}

static void next_create(const struct load *load, uint64_t n, struct cairn_random *dice, struct cairn_buf *id,
                        struct cairn_buf *args)
{
    (void)load, (void)dice;
    add_id(id, n);
    add_text(args, 16);
}

static uint64_t author(uint64_t number)
{
    return number * (options.objects / options.authors);
}

/* Follower number f of author a; the last factor spreads them over the whole table. */
static void next_follow(const struct load *load, uint64_t n, struct cairn_random *dice, struct cairn_buf *id,
                        struct cairn_buf *args)
{
    uint64_t a = author(n / options.followers), f = n % options.followers + 1, away;
    struct cairn_buf whom = {0};

    (void)load, (void)dice;
    away = options.objects > 4ull * options.followers ? f * (options.objects / (2ull * options.followers) | 1) : f;
    add_id(id, (a + away) % options.objects);
    add_id(&whom, a);
    cairn_args_add(args, cairn_buf_bytes(&whom));
    cairn_buf_done(&whom);
}

static void next_fill(const struct load *load, uint64_t n, struct cairn_random *dice, struct cairn_buf *id,
                      struct cairn_buf *args)
{
    (void)load, (void)dice;
    add_id(id, author(n % options.authors));
    add_text(args, TEXT_BYTES);
}

static void next_post(const struct load *load, uint64_t n, struct cairn_random *dice, struct cairn_buf *id,
                      struct cairn_buf *args)
{
    (void)load, (void)n;
    add_id(id, author(cairn_random_below(dice, options.authors)));
    add_text(args, TEXT_BYTES);
}

static void next_deposit(const struct load *load, uint64_t n, struct cairn_random *dice, struct cairn_buf *id,
                         struct cairn_buf *args)
{
    (void)load, (void)dice;
    add_id(id, n);
    cairn_args_add(args, cairn_str("1000000000"));
}

static void next_transfer(const struct load *load, uint64_t n, struct cairn_random *dice, struct cairn_buf *id,
                          struct cairn_buf *args)
{
    uint64_t from = cairn_random_below(dice, options.objects), to = cairn_random_below(dice, options.objects - 1);
    struct cairn_buf whom = {0};

    (void)load, (void)n;
    add_id(id, from);
    add_id(&whom, to < from ? to : to + 1);
    cairn_args_add(args, cairn_buf_bytes(&whom));
    cairn_args_add(args, cairn_str("1"));
    cairn_buf_done(&whom);
}

/* --- the parts --------------------------------------------------------------------------------------------- */

static struct cost cost(const char *type, const char *method, next_request *next, int64_t argument, uint64_t count)
{
    struct load load = {type, method, next, count, argument};

    return run(&load);
}

static void tell(const char *name, struct cost c)
{
    printf("\"%s_us\": %.3f, \"%s_worker_us\": %.3f, \"%s_all_us\": %.3f", name, c.us, name, c.worker_us, name,
           c.all_us);
}

static struct cost less(struct cost a, struct cost b)
{
    return (struct cost){a.us - b.us, a.worker_us - b.worker_us, a.all_us - b.all_us};
}

static void isolated(void)
{
    uint64_t n = options.count;
    struct cost get, set, relay[3], push[3];

    deploy("plain");
    cost("Plain", "set", next_set, 0, 2 * PLAIN_OBJECTS);
    cost("Plain", "get", next_get, 0, n / 10);
    cost("Plain", "relay", next_relay, 1, n / 10);
    cost("Plain", "push", next_relay, 1, n / 10);
    get = cost("Plain", "get", next_get, 0, n);
    set = cost("Plain", "set", next_set, 0, n);
    for (int i = 1; i <= 2; i++) {
        relay[i] = cost("Plain", "relay", next_relay, i, n);
        push[i] = cost("Plain", "push", next_relay, i, n);
    }
    printf("{");
    tell("get", get);
    printf(", ");
    tell("set", set);
    printf(", ");
    tell("nested", less(relay[1], get));
    printf(", ");
    tell("nested_more", less(relay[2], relay[1]));
    printf(", ");
    tell("nested_set", less(push[1], set));
    printf(", ");
    tell("nested_set_more", less(push[2], push[1]));
    printf("}\n");
}

static void one(const char *method)
{
    bool relays = strcmp(method, "relay") == 0 || strcmp(method, "push") == 0;

    deploy("plain");
    cost("Plain", "set", next_set, 0, 2 * PLAIN_OBJECTS);
    printf("{");
    tell(method, cost("Plain", method,
                      relays                       ? next_relay
                      : strcmp(method, "get") == 0 ? next_get
                                                   : next_set,
                      1, options.count));
    printf("}\n");
}

static void post(void)
{
    double bounces[2] = {0};
    struct cost each;

    if (options.authors > options.objects || options.followers >= options.objects)
        die("usage", "authors and followers are some of the objects");
    deploy("retwis");
    cost("User", "create", next_create, 0, options.objects);
    if (options.followers)
        cost("User", "follow", next_follow, 0, (uint64_t)options.authors * options.followers);
    cost("User", "post", next_post, 0, 200);
    if (options.fill)
        cost("User", "post", next_fill, 0, (uint64_t)options.fill * options.authors);
    if (options.workers > 1)
        bounces[0] = bounce_ns();
    each = cost("User", "post", next_post, 0, options.count);
    if (options.workers > 1)
        bounces[1] = bounce_ns();
    printf("{\"objects\": %u, \"authors\": %u, \"followers\": %u, \"workers\": %u, \"posts\": %llu, "
           "\"throughput\": %.1f, ",
           options.objects, options.authors, options.followers, options.workers, (unsigned long long)options.count,
           1e6 / each.us);
    if (options.workers > 1)
        printf("\"bounce_ns\": [%.1f, %.1f], ", bounces[0], bounces[1]);
    tell("post", each);
    printf("}\n");
}

static void transfer(const char *method)
{
    struct histogram *all = cairn_alloc_zeroed(options.workers, sizeof *all);
    struct cost each;

    if (options.objects < 2)
        die("usage", "a transfer takes two accounts");
    deploy("bank");
    cost("Account", "deposit", next_deposit, 0, options.objects);
    cost("Account", method, next_transfer, 0, options.count / 10);
    for (uint32_t i = 0; i < options.workers; i++)
        drivers[i].latencies = &all[i];
    each = cost("Account", method, next_transfer, 0, options.count);
    for (uint32_t i = 1; i < options.workers; i++) {
        for (unsigned k = 0; k < HISTOGRAM_BUCKETS; k++)
            all[0].buckets[k] += all[i].buckets[k];
        all[0].count += all[i].count;
    }
    printf("{\"accounts\": %u, \"workers\": %u, \"throughput\": %.1f, \"p50_us\": %.1f, \"p99_us\": %.1f, ",
           options.objects, options.workers, 1e6 / each.us, histogram_ns(&all[0], .5) / 1e3,
           histogram_ns(&all[0], .99) / 1e3);
    tell(method, each);
    printf("}\n");
}

/* Random keys; the object is the method's own. */
static void next_sorting(const struct load *load, uint64_t n, struct cairn_random *dice, struct cairn_buf *id,
                         struct cairn_buf *args)
{
    uint8_t key[16];

    (void)n;
    cairn_put_u64(key, cairn_random_u64(dice));
    cairn_put_u64(key + 8, cairn_random_u64(dice));
    cairn_buf_str(id, load->argument ? "ordered" : "map");
    cairn_args_add(args, cairn_bytes(key, sizeof key));
    add_text(args, 16);
}

static void sorting(const char *method)
{
    int64_t is_ordered = strcmp(method, "map_set") != 0;

    deploy("sorting");
    cost("Sorting", is_ordered ? "ordered_set" : "map_set", next_sorting, is_ordered, options.objects);
    printf("{");
    tell(method, cost("Sorting", method, next_sorting, is_ordered, options.count));
    printf("}\n");
}

static void ordered(void)
{
    uint64_t n = options.count;

    deploy("sorting");
    cost("Sorting", "map_set", next_sorting, 0, options.objects);
    cost("Sorting", "ordered_set", next_sorting, 1, options.objects);
    printf("{\"entries\": %u", options.objects);
    for (int round = 1; round <= 3; round++) {
        char name[32];

        snprintf(name, sizeof name, "map_set_%d", round);
        printf(", ");
        tell(name, cost("Sorting", "map_set", next_sorting, 0, n));
        snprintf(name, sizeof name, "ordered_set_%d", round);
        printf(", ");
        tell(name, cost("Sorting", "ordered_set", next_sorting, 1, n));
        snprintf(name, sizeof name, "range_%d", round);
        printf(", ");
        tell(name, cost("Sorting", "range", next_sorting, 1, n / 4));
        snprintf(name, sizeof name, "rank_%d", round);
        printf(", ");
        tell(name, cost("Sorting", "rank", next_sorting, 1, n));
    }
    printf("}\n");
}

static void next_timeline(const struct load *load, uint64_t n, struct cairn_random *dice, struct cairn_buf *id,
                          struct cairn_buf *args)
{
    (void)load, (void)n;
    add_id(id, cairn_random_below(dice, options.objects));
    cairn_args_add(args, cairn_str("10"));
}

static void next_first_posts(const struct load *load, uint64_t n, struct cairn_random *dice, struct cairn_buf *id,
                             struct cairn_buf *args)
{
    (void)load, (void)dice;
    add_id(id, n % options.objects);
    add_text(args, TEXT_BYTES);
}

static void timeline(void)
{
    deploy("retwis");
    cost("User", "create", next_create, 0, options.objects);
    cost("User", "post", next_first_posts, 0, 10ull * options.objects);
    cost("User", "timeline", next_timeline, 0, 8ull * options.objects);
    printf("{\"results_mib\": %llu, ", (unsigned long long)options.results_mib);
    tell("timeline", cost("User", "timeline", next_timeline, 0, options.count));
    printf("}\n");
}

static const struct option known[] = {
    {"results", required_argument, NULL, 'c'},       {"data", required_argument, NULL, 'd'},
    {"guests", required_argument, NULL, 'g'},        {"objects", required_argument, NULL, 'o'},
    {"authors", required_argument, NULL, 'a'},       {"followers", required_argument, NULL, 'f'},
    {"fill", required_argument, NULL, 'F'},          {"workers", required_argument, NULL, 'w'},
    {"count", required_argument, NULL, 'n'},         {"engine", required_argument, NULL, 'e'},
    {"engine-memory", required_argument, NULL, 'm'}, {0},
};

int main(int argc, char **argv)
{
    const char *part = argc > 1 ? argv[1] : "";

    for (int c; (c = getopt_long(argc, argv, "", known, NULL)) != -1;) {
        switch (c) {
        case 'c':
            options.results_mib = strtoull(optarg, NULL, 10);
            break;
        case 'd':
            options.data = optarg;
            break;
        case 'g':
            options.guests = optarg;
            break;
        case 'o':
            options.objects = (unsigned)atoi(optarg);
            break;
        case 'a':
            options.authors = (unsigned)atoi(optarg);
            break;
        case 'f':
            options.followers = (unsigned)atoi(optarg);
            break;
        case 'F':
            options.fill = (unsigned)atoi(optarg);
            break;
        case 'w':
            options.workers = (unsigned)atoi(optarg);
            break;
        case 'e':
            options.engine = optarg;
            break;
        case 'm':
            options.engine_mib = strtoull(optarg, NULL, 10);
            break;
        case 'n':
            options.count = strtoull(optarg, NULL, 10);
            break;
        default:
            return 2;
        }
    }
    if (!options.data || !options.guests || !options.authors || options.workers < 1 || options.workers > WORKERS_MAX)
        die("usage", "--data, --guests, and at least one author and worker");
    open_node();
    if (strcmp(part, "isolated") == 0)
        isolated();
    else if (strcmp(part, "post") == 0)
        post();
    else if (strcmp(part, "ordered") == 0)
        ordered();
    else if (strcmp(part, "map_set") == 0 || strcmp(part, "ordered_set") == 0 || strcmp(part, "range") == 0 ||
             strcmp(part, "rank") == 0)
        sorting(part);
    else if (strcmp(part, "timeline") == 0)
        timeline();
    else if (strcmp(part, "get") == 0 || strcmp(part, "set") == 0 || strcmp(part, "relay") == 0 ||
             strcmp(part, "push") == 0)
        one(part);
    else if (strcmp(part, "transfer") == 0 || strcmp(part, "move") == 0)
        transfer(part);
    else
        die("usage",
            "isolated, get, set, relay, push, post, ordered, map_set, ordered_set, range, rank, timeline, transfer "
            "or move");
    fflush(stdout);
    _exit(0); /* the folder is thrown away: a checkpoint at the end would only cost time */
}
