/* cairn cost: what a service would cost, on published price lists. */
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

#include "cli/commands.h"
#include "cli/cost.h"
#include "cost/draw.h"
#include "proto/json.h"

/* --- cost keeper --- */

/* 0 or NULL: not given. */
struct options {
    uint64_t reads, bytes, requests, machines, memory_mib;
    bool json;
    const char *storage, *machine, *follower_ms, *leader_ms, *cloud, *prices, *draw;
};

enum { NOT_GIVEN = 101 }; /* of a share of reads, which may be 0 */

static const struct cairn_flag keeper_flags[] = {
    {.name = "reads",
     .kind = CAIRN_FLAG_NUMBER,
     .value = "PERCENT",
     .help = "requests that are reads, of 100 (90 and 80)",
     .max = 100,
     .offset = offsetof(struct options, reads)},
    {.name = "size",
     .kind = CAIRN_FLAG_NUMBER,
     .value = "BYTES",
     .help = "of a node (1024)",
     .min = 1,
     .max = 256000,
     .offset = offsetof(struct options, bytes)},
    {.name = "requests",
     .kind = CAIRN_FLAG_NUMBER,
     .value = "N",
     .help = "a day (100,000 to 5,000,000)",
     .min = 1,
     .max = 1000000000000,
     .offset = offsetof(struct options, requests)},
    {.name = "machines",
     .kind = CAIRN_FLAG_NUMBER,
     .value = "N",
     .help = "of an ensemble (3 and 9)",
     .min = 1,
     .max = 1000,
     .offset = offsetof(struct options, machines)},
    {.name = "machine",
     .kind = CAIRN_FLAG_TEXT,
     .value = "NAME",
     .help = "only this kind of the price list's",
     .offset = offsetof(struct options, machine)},
    {.name = "storage",
     .kind = CAIRN_FLAG_TEXT,
     .value = "KIND",
     .help = "only 'standard' (nodes in the object store) or\n'hybrid' (up to 4 KiB in the key-value store)",
     .offset = offsetof(struct options, storage)},
    {.name = "function-memory",
     .kind = CAIRN_FLAG_NUMBER,
     .value = "MIB",
     .help = "of a function (512)",
     .min = 1,
     .max = 65536,
     .offset = offsetof(struct options, memory_mib)},
    {.name = "follower-ms",
     .kind = CAIRN_FLAG_TEXT,
     .value = "MS",
     .help = "time of a write in the first function (32)",
     .offset = offsetof(struct options, follower_ms)},
    {.name = "leader-ms",
     .kind = CAIRN_FLAG_TEXT,
     .value = "MS",
     .help = "and in the second (standard 59.26, hybrid 31)",
     .offset = offsetof(struct options, leader_ms)},
    {.name = "cloud",
     .kind = CAIRN_FLAG_TEXT,
     .value = "NAME",
     .help = "whose prices: 'aws' (default) or 'gcp', whose list has no\nmachines to compare with",
     .offset = offsetof(struct options, cloud)},
    {.name = "prices",
     .kind = CAIRN_FLAG_TEXT,
     .value = "FILE",
     .help = "a price list of your own, instead of AWS's",
     .offset = offsetof(struct options, prices)},
    {.name = "draw",
     .kind = CAIRN_FLAG_TEXT,
     .value = "FILE",
     .help = "also draw it, as SVG",
     .offset = offsetof(struct options, draw)},
    CAIRN_FLAG_JSON(struct options),
    {0},
};

int cairn_cost_read(const char *path, size_t bytes_max, struct cairn_buf *to)
{
    FILE *file = fopen(path, "rbe");
    int status = CAIRN_EXIT_OK;

    if (!file)
        return cairn_complain(CAIRN_EXIT_FAILED, "%s: %s", path, strerror(errno));
    cairn_buf_reserve(to, bytes_max + 1);
    to->size = fread(to->data, 1, bytes_max + 1, file);
    if (ferror(file))
        status = cairn_complain(CAIRN_EXIT_FAILED, "%s cannot be read: %s", path, strerror(errno));
    else if (to->size > bytes_max)
        status = cairn_complain(CAIRN_EXIT_FAILED, "%s has more than %zu bytes", path, bytes_max);
    fclose(file);
    return status;
}

int cairn_cost_prices(const char *path, struct cairn_prices *ret)
{
    struct cairn_buf text = {0};
    struct cairn_err err;
    int status = CAIRN_EXIT_OK;

    if (path)
        status = cairn_cost_read(path, CAIRN_PRICES_BYTES_MAX, &text);
    else
        cairn_buf_str(&text, cairn_price_lists[0]);
    if (status == CAIRN_EXIT_OK && cairn_prices_read(cairn_buf_bytes(&text), ret, &err) != CAIRN_OK)
        status = cairn_complain(CAIRN_EXIT_FAILED, "%s: %s", path ? path : "the price list in this program", err.text);
    cairn_buf_done(&text);
    return status;
}

int cairn_cost_write(const char *path, struct cairn_bytes picture)
{
    FILE *file = fopen(path, "wbe");
    bool good;

    if (!file)
        return cairn_complain(CAIRN_EXIT_FAILED, "%s: %s", path, strerror(errno));
    good = fwrite(picture.data, 1, picture.size, file) == picture.size;
    good = fclose(file) == 0 && good;
    return good ? CAIRN_EXIT_OK : cairn_complain(CAIRN_EXIT_FAILED, "%s: %s", path, strerror(errno));
}

/* Of the lists of this program, which are called CLOUD-REGION. */
static int cloud_prices(const char *cloud, struct cairn_prices *ret)
{
    size_t size = strlen(cloud);
    struct cairn_err err;

    for (const char *const *list = cairn_price_lists; *list; list++) {
        if (cairn_prices_read(cairn_str(*list), ret, &err) != CAIRN_OK)
            return cairn_complain(CAIRN_EXIT_FAILED, "a price list in this program: %s", err.text);
        if (size && strncmp(ret->name, cloud, size) == 0 && ret->name[size] == '-')
            return CAIRN_EXIT_OK;
    }
    return cairn_complain(CAIRN_EXIT_USAGE, "--cloud is 'aws' or 'gcp', not '%s'", cloud);
}

static bool read_ms(const char *text, double *ret)
{
    char *end;

    *ret = strtod(text, &end);
    return *text >= '0' && *text <= '9' && *end == 0 && isfinite(*ret) && *ret <= 900000;
}

static int choose_machine(const char *name, struct cairn_keeper_plan *plan)
{
    for (uint32_t i = 0; i < plan->machine_count; i++) {
        if (strcmp(plan->machines[i]->name, name) == 0) {
            plan->machines[0] = plan->machines[i];
            plan->machine_count = 1;
            return CAIRN_EXIT_OK;
        }
    }
    cairn_complain(0, "the price list %s has no machine '%s'; it has:", plan->prices->name, name);
    for (uint32_t i = 0; i < plan->machine_count; i++)
        fprintf(stderr, "  %s\n", plan->machines[i]->name);
    return CAIRN_EXIT_USAGE;
}

static int choose_storage(const char *name, struct cairn_keeper_plan *plan)
{
    for (uint32_t i = 0; i < plan->storage_count; i++) {
        if (strcmp(cairn_keeper_storage_name(plan->storages[i]), name) == 0) {
            plan->storages[0] = plan->storages[i];
            plan->storage_count = 1;
            return CAIRN_EXIT_OK;
        }
    }
    return cairn_complain(CAIRN_EXIT_USAGE, "--storage is 'standard' or 'hybrid', not '%s'", name);
}

/* Narrows the plan to what was asked for. */
static int choose(const struct options *options, struct cairn_keeper_plan *plan)
{
    struct cairn_keeper_work *work = &plan->work;
    int status = CAIRN_EXIT_OK;

    if (options->reads != NOT_GIVEN) {
        plan->reads[0] = options->reads;
        plan->read_count = 1;
    }
    if (options->requests) {
        plan->rates[0] = options->requests;
        plan->rate_count = 1;
    }
    if (options->machines) {
        plan->counts[0] = options->machines;
        plan->count_count = 1;
    }
    if (options->bytes)
        work->bytes = options->bytes;
    if (options->memory_mib)
        work->memory_gib = (double)options->memory_mib / 1024;
    if (options->follower_ms && !read_ms(options->follower_ms, &work->follower_ms))
        return cairn_complain(CAIRN_EXIT_USAGE, "--follower-ms is a number of milliseconds, not '%s'",
                              options->follower_ms);
    if (options->leader_ms) {
        if (!read_ms(options->leader_ms, &work->leader_ms[CAIRN_KEEPER_STANDARD]))
            return cairn_complain(CAIRN_EXIT_USAGE, "--leader-ms is a number of milliseconds, not '%s'",
                                  options->leader_ms);
        work->leader_ms[CAIRN_KEEPER_HYBRID] = work->leader_ms[CAIRN_KEEPER_STANDARD];
    }
    if (options->machine)
        status = choose_machine(options->machine, plan);
    if (options->storage && status == CAIRN_EXIT_OK)
        status = choose_storage(options->storage, plan);
    return status;
}

static int draw(const struct cairn_keeper_plan *plan, const char *path)
{
    struct cairn_buf picture = {0};
    int status;

    cairn_keeper_draw(plan, &picture);
    status = cairn_cost_write(path, cairn_buf_bytes(&picture));
    cairn_buf_done(&picture);
    return status;
}

/* --- text --- */

void cairn_cost_cell(struct cairn_table *table, const char *format, ...)
{
    char text[64];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    cairn_table_cell(table, cairn_str(text));
}

enum { ITEMS = 7 };

/* The items of a write, its sum, and a read: of each storage, in dollars a million. */
static void items_of(const struct cairn_keeper_plan *plan, uint32_t storage, double ret[ITEMS])
{
    struct cairn_keeper_write write = cairn_keeper_write_cost(plan->prices, &plan->work, plan->storages[storage]);
    double read = cairn_keeper_read_cost(plan->prices, &plan->work, plan->storages[storage]);
    double items[ITEMS] = {write.queues, write.system, write.node, write.follower, write.leader, write.total, read};

    for (int i = 0; i < ITEMS; i++)
        ret[i] = 1e6 * items[i];
}

static void print_items(const struct cairn_keeper_plan *plan)
{
    static const char *const names[ITEMS] = {
        "  queues: 2 messages",
        "  system storage: 3 writes, 1 read",
        "  the node's storage",
        "  follower: a call and its time",
        "  leader: a call and its time",
        "a write",
        "a read",
    };
    struct cairn_table table = {.columns = 1 + plan->storage_count};
    double items[CAIRN_KEEPER_STORAGES][ITEMS];

    cairn_cost_cell(&table, "DOLLARS A MILLION");
    for (uint32_t i = 0; i < plan->storage_count; i++) {
        cairn_cost_cell(&table, "%s", cairn_keeper_storage_name(plan->storages[i]));
        items_of(plan, i, items[i]);
    }
    for (int item = 0; item < ITEMS; item++) {
        cairn_cost_cell(&table, "%s", names[item]);
        for (uint32_t i = 0; i < plan->storage_count; i++)
            cairn_cost_cell(&table, "%8.4f", items[i][item]);
    }
    cairn_table_print(&table, stdout);
}

/* What the paper quotes of services by themselves. */
static void print_services(const struct cairn_prices *prices)
{
    double read = 1e7 * cairn_sized_cost(&prices->entry_read, 1024), object = 1e7 * prices->object_read;

    printf("\nTen million reads of 1 kB: key-value store %.2f, object store %.2f dollars", read, object);
    if (prices->gb_second_arm >= 0)
        printf("; calls of 30 ms, 2 GB, ARM: %.2f", 1e7 * (prices->call + 0.03 * 2 * prices->gb_second_arm));
    puts(".");
}

static void print_ratios(const struct cairn_keeper_plan *plan, uint32_t read, uint32_t storage)
{
    struct cairn_table table = {.columns = 1 + plan->rate_count};

    printf("\n%" PRIu64 " %% reads, %s\n", plan->reads[read], cairn_keeper_storage_name(plan->storages[storage]));
    cairn_cost_cell(&table, "REQUESTS A DAY");
    for (uint32_t i = 0; i < plan->rate_count; i++)
        cairn_cost_cell(&table, "%8" PRIu64, plan->rates[i]);
    for (uint32_t c = 0; c < plan->count_count; c++) {
        for (uint32_t m = 0; m < plan->machine_count; m++) {
            cairn_cost_cell(&table, "%" PRIu64 " x %s", plan->counts[c], plan->machines[m]->name);
            for (uint32_t i = 0; i < plan->rate_count; i++) {
                double ratio = cairn_keeper_plan_ratio(plan, read, storage, c, m, i);

                if (isfinite(ratio))
                    cairn_cost_cell(&table, "%8.2f", ratio);
                else
                    cairn_cost_cell(&table, "%8s", "-"); /* functions are free */
            }
        }
    }
    cairn_table_print(&table, stdout);
}

static void print_text(const struct cairn_keeper_plan *plan)
{
    printf("ZooKeeper's service from functions, at the prices of %s, %s\n(%s)\n"
           "nodes of %" PRIu64 " bytes, functions of %.0f MiB\n\n",
           plan->prices->name, plan->prices->date, plan->prices->source, plan->work.bytes,
           plan->work.memory_gib * 1024);
    print_items(plan);
    print_services(plan->prices);
    if (!plan->machine_count) {
        puts("\nThe list has no machines that these could be compared with.");
        return;
    }
    puts("\nWhat an ensemble of machines costs, for each dollar that functions cost:");
    for (uint32_t i = 0; i < plan->read_count; i++)
        for (uint32_t j = 0; j < plan->storage_count; j++)
            print_ratios(plan, i, j);
}

/* --- JSON --- */

void cairn_cost_json_text(struct cairn_buf *to, const char *name, const char *text)
{
    cairn_buf_printf(to, "\"%s\":", name);
    cairn_json_text(to, cairn_str(text));
}

void cairn_cost_json_prices(struct cairn_buf *to, const struct cairn_prices *prices)
{
    cairn_buf_str(to, "\"prices\":{");
    cairn_cost_json_text(to, "name", prices->name);
    cairn_buf_u8(to, ',');
    cairn_cost_json_text(to, "date", prices->date);
    cairn_buf_u8(to, ',');
    cairn_cost_json_text(to, "source", prices->source);
    cairn_buf_u8(to, '}');
}

static void json_items(struct cairn_buf *to, const struct cairn_keeper_plan *plan, uint32_t storage)
{
    static const char *const names[ITEMS] = {"queues", "system_storage", "node_storage", "follower",
                                             "leader", "write",          "read"};
    double items[ITEMS];

    items_of(plan, storage, items);
    cairn_buf_printf(to, "\"%s\":{", cairn_keeper_storage_name(plan->storages[storage]));
    for (int i = 0; i < ITEMS; i++)
        cairn_buf_printf(to, "%s\"%s\":%.10g", i ? "," : "", names[i], items[i]);
    cairn_buf_u8(to, '}');
}

static void json_ratio(struct cairn_buf *to, double ratio)
{
    if (isfinite(ratio))
        cairn_buf_printf(to, "%.10g", ratio);
    else
        cairn_buf_str(to, "null"); /* functions are free */
}

static void json_row(struct cairn_buf *to, const struct cairn_keeper_plan *plan, const uint32_t at[4])
{
    cairn_buf_printf(to, "{\"reads\":%" PRIu64 ",\"storage\":\"%s\",\"machines\":%" PRIu64 ",", plan->reads[at[0]],
                     cairn_keeper_storage_name(plan->storages[at[1]]), plan->counts[at[2]]);
    cairn_cost_json_text(to, "machine", plan->machines[at[3]]->name);
    cairn_buf_str(to, ",\"ratios\":[");
    for (uint32_t i = 0; i < plan->rate_count; i++) {
        cairn_buf_printf(to, "%s{\"requests\":%" PRIu64 ",\"ratio\":", i ? "," : "", plan->rates[i]);
        json_ratio(to, cairn_keeper_plan_ratio(plan, at[0], at[1], at[2], at[3], i));
        cairn_buf_u8(to, '}');
    }
    cairn_buf_str(to, "]}");
}

static void print_json(const struct cairn_keeper_plan *plan)
{
    struct cairn_buf text = {0};
    uint32_t rows = plan->read_count * plan->storage_count * plan->count_count * plan->machine_count;

    cairn_buf_u8(&text, '{');
    cairn_cost_json_prices(&text, plan->prices);
    cairn_buf_printf(&text, ",\"bytes\":%" PRIu64 ",\"function_memory_mib\":%.0f,\"dollars_a_million\":{",
                     plan->work.bytes, plan->work.memory_gib * 1024);
    for (uint32_t i = 0; i < plan->storage_count; i++) {
        cairn_buf_str(&text, i ? "," : "");
        json_items(&text, plan, i);
    }
    cairn_buf_str(&text, "},\"machines_to_functions\":[");
    for (uint32_t row = 0; row < rows; row++) {
        uint32_t machine = row % plan->machine_count, rest = row / plan->machine_count,
                 count = rest % plan->count_count;

        rest /= plan->count_count;
        cairn_buf_str(&text, row ? "," : "");
        json_row(&text, plan, (uint32_t[4]){rest / plan->storage_count, rest % plan->storage_count, count, machine});
    }
    cairn_buf_str(&text, "]}\n");
    fwrite(text.data, 1, text.size, stdout);
    cairn_buf_done(&text);
}

static int run_keeper(int argc, char **argv)
{
    struct options options = {.reads = NOT_GIVEN};
    struct cairn_keeper_plan plan;
    struct cairn_prices prices;
    int status, left;

    if (!cairn_flags_parse(&cairn_command_cost_keeper, argc, argv, &options, &left, &status))
        return status;
    if (options.cloud && options.prices)
        return cairn_complain(CAIRN_EXIT_USAGE, "--cloud and --prices are two lists: give one of them");
    status = options.cloud ? cloud_prices(options.cloud, &prices) : cairn_cost_prices(options.prices, &prices);
    if (status != CAIRN_EXIT_OK)
        return status;
    plan = cairn_keeper_plan(&prices);
    if (options.draw && !plan.machine_count)
        return cairn_complain(CAIRN_EXIT_USAGE, "--draw compares with machines, and the price list %s has none",
                              prices.name);
    status = choose(&options, &plan);
    if (status == CAIRN_EXIT_OK && options.draw)
        status = draw(&plan, options.draw);
    if (status != CAIRN_EXIT_OK)
        return status;
    if (options.json)
        print_json(&plan);
    else
        print_text(&plan);
    return CAIRN_EXIT_OK;
}

const struct cairn_command cairn_command_cost_keeper = {
    .name = "cost keeper",
    .arguments = "",
    .summary = "Tells what ZooKeeper's service costs from functions, and from machines",
    .more =
        "The model is FaaSKeeper's (HPDC 2024), and without flags these are its two tables.  The times of functions\n"
        "were measured for nodes of 1 kB with 512 MiB; they are not changed by --size or --function-memory.",
    .flags = keeper_flags,
    .run = run_keeper,
};

static const struct cairn_command *const cost_subcommands[] = {
    &cairn_command_cost_run,
    &cairn_command_cost_keeper,
    &cairn_command_cost_cache,
    NULL,
};

const struct cairn_command cairn_command_cost = {
    .name = "cost",
    .arguments = "[run|keeper|cache]",
    .summary = "Prices what was done, or a workload, on published price lists",
    .subcommands = cost_subcommands,
};
