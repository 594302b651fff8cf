/* cairn cost cache: what a cache of large values would cost in functions' memory, and as a machine. */
#include <math.h>
#include <stdlib.h>

#include "cache/erasure.h"
#include "cli/commands.h"
#include "cli/cost.h"
#include "cost/cache.h"

/* What the paper compares with: cache.r5.24xlarge of ElastiCache, an hour. */
static const double machine_hour = 10.368;

/* NULL or 0: not given. */
struct options {
    uint64_t nodes, memory_mib;
    bool json;
    const char *gets, *redundancy, *get_ms, *warm, *backup, *backup_ms, *billed, *machine, *hours, *prices;
};

#define TEXT(NAME, MEMBER, VALUE, HELP)                                            \
    {                                                                              \
        .name = (NAME), .kind = CAIRN_FLAG_TEXT, .value = (VALUE), .help = (HELP), \
        .offset = offsetof(struct options, MEMBER)                                 \
    }

static const struct cairn_flag flags[] = {
    TEXT("gets", gets, "N", "an hour; alone, in place of the paper's three cases"),
    TEXT("redundancy", redundancy, "D+P", "chunks of a value (10+2)"),
    {.name = "nodes",
     .kind = CAIRN_FLAG_NUMBER,
     .value = "N",
     .help = "functions that are kept (400)",
     .min = 1,
     .max = 1000000,
     .offset = offsetof(struct options, nodes)},
    {.name = "function-memory",
     .kind = CAIRN_FLAG_NUMBER,
     .value = "MIB",
     .help = "of one (1536)",
     .min = 1,
     .max = 65536,
     .offset = offsetof(struct options, memory_mib)},
    TEXT("get-ms", get_ms, "MS", "time of one function for its chunk (100)"),
    TEXT("warm-up", warm, "MINUTES", "between calls that keep a function (1)"),
    TEXT("backup", backup, "MINUTES", "between backups to a function's peer; 0: none (5)"),
    TEXT("backup-ms", backup_ms, "MS", "time of a backup (1840)"),
    TEXT("billed-ms", billed, "MS", "times are rounded up to multiples of it (1; until 2020: 100)"),
    TEXT("machine", machine, "DOLLARS",
         "an hour of what it is compared with (10.368: ElastiCache's cache.r5.24xlarge)"),
    TEXT("hours", hours, "N", "that are added up (50)"),
    TEXT("prices", prices, "FILE", "a price list of your own, instead of AWS's"),
    CAIRN_FLAG_JSON(struct options),
    {0},
};

struct given {
    const char *flag, *text;
    double *to, least;
};

static int read_number(const struct given *given)
{
    char *end;

    if (!given->text)
        return CAIRN_EXIT_OK;
    *given->to = strtod(given->text, &end);
    if (*given->text < '0' || *given->text > '9' || *end || !isfinite(*given->to) || *given->to < given->least ||
        *given->to > 1e12)
        return cairn_complain(CAIRN_EXIT_USAGE, "--%s is a number from %g on, not '%s'", given->flag, given->least,
                              given->text);
    return CAIRN_EXIT_OK;
}

/* --- what is compared --- */

enum { CASES_MAX = 3 };

struct comparison {
    struct cairn_prices prices;
    struct cairn_cache_work work;
    double machine, hours;
    uint32_t count;
    struct one {
        const char *name;
        struct cairn_cache_work work;
        struct cairn_cache_cost cost;
        double even;
    } cases[CASES_MAX];
};

static void add(struct comparison *comparison, const char *name, double gets, bool backup)
{
    struct one *one = &comparison->cases[comparison->count++];

    *one = (struct one){.name = name, .work = comparison->work};
    one->work.gets = gets;
    if (!backup)
        one->work.backup_minutes = 0;
    one->cost = cairn_cache_cost(&comparison->prices, &one->work);
    one->even = cairn_cache_even(&comparison->prices, &one->work, comparison->machine);
}

static int choose(const struct options *options, struct comparison *ret)
{
    struct cairn_cache_work *work = &ret->work;
    struct cairn_redundancy redundancy;
    struct cairn_err err;
    double gets = 0;
    const struct given given[] = {
        {"gets", options->gets, &gets, 0},
        {"get-ms", options->get_ms, &work->get_ms, 0},
        {"warm-up", options->warm, &work->warm_minutes, 0.001},
        {"backup", options->backup, &work->backup_minutes, 0},
        {"backup-ms", options->backup_ms, &work->backup_ms, 0},
        {"billed-ms", options->billed, &work->billed_ms, 0},
        {"machine", options->machine, &ret->machine, 0},
        {"hours", options->hours, &ret->hours, 0},
    };
    int status = CAIRN_EXIT_OK;

    *work = cairn_cache_work();
    ret->machine = machine_hour;
    ret->hours = 50;
    for (size_t i = 0; i < sizeof given / sizeof *given && status == CAIRN_EXIT_OK; i++)
        status = read_number(&given[i]);
    if (status != CAIRN_EXIT_OK)
        return status;
    if (options->redundancy) {
        if (cairn_redundancy_parse(options->redundancy, &redundancy, &err) != CAIRN_OK)
            return cairn_complain(CAIRN_EXIT_USAGE, "--redundancy: %s", err.text);
        work->chunks = cairn_redundancy_chunks(&redundancy);
    }
    if (options->nodes)
        work->nodes = (uint32_t)options->nodes;
    if (options->memory_mib)
        work->memory_gib = (double)options->memory_mib / 1024;
    if (options->gets) {
        add(ret, "given", gets, true);
        return CAIRN_EXIT_OK;
    }
    add(ret, "all values", work->gets, true);
    add(ret, "above 10 MB", 750, true);
    add(ret, "no backup", 750, false);
    return CAIRN_EXIT_OK;
}

/* --- telling --- */

enum { FIGURES = 9 };

static const struct {
    const char *name, *json;
    int decimals;
} figures[FIGURES] = {
    {"GETs an hour", "gets_an_hour", 0},
    {"  GETs: calls and their time", "gets", 4},
    {"  keeping functions warm", "warm_up", 4},
    {"  backups", "backup", 4},
    {"an hour", "hour", 4},
    {"all hours", "hours", 2},
    {"machine, all hours", "machine_hours", 2},
    {"machine / functions", "ratio", 1},
    {"even at GETs an hour", "even_at_gets_an_hour", 0},
};

static void figures_of(const struct comparison *comparison, const struct one *one, double ret[FIGURES])
{
    const double all[FIGURES] = {
        one->work.gets,
        one->cost.gets,
        one->cost.warm,
        one->cost.backup,
        one->cost.total,
        one->cost.total * comparison->hours,
        comparison->machine * comparison->hours,
        comparison->machine / one->cost.total,
        one->even,
    };

    memcpy(ret, all, sizeof all);
}

static void print_text(const struct comparison *comparison)
{
    const struct cairn_cache_work *work = &comparison->work;
    struct cairn_table table = {.columns = 1 + comparison->count};
    double values[CASES_MAX][FIGURES];

    printf("A cache in the memory of functions, at the prices of %s, %s\n(%s)\n"
           "%u functions of %.0f MiB, %u chunks a value, %g hours\n\n",
           comparison->prices.name, comparison->prices.date, comparison->prices.source, work->nodes,
           work->memory_gib * 1024, work->chunks, comparison->hours);
    cairn_cost_cell(&table, "DOLLARS");
    for (uint32_t i = 0; i < comparison->count; i++) {
        figures_of(comparison, &comparison->cases[i], values[i]);
        cairn_cost_cell(&table, "%12s", comparison->cases[i].name);
    }
    for (int f = 0; f < FIGURES; f++) {
        cairn_cost_cell(&table, "%s", figures[f].name);
        for (uint32_t i = 0; i < comparison->count; i++)
            if (isfinite(values[i][f]))
                cairn_cost_cell(&table, "%12.*f", figures[f].decimals, values[i][f]);
            else
                cairn_cost_cell(&table, "%12s", "-"); /* functions are free */
    }
    cairn_table_print(&table, stdout);
}

static void print_json(const struct comparison *comparison)
{
    struct cairn_buf text = {0};
    double values[FIGURES];

    cairn_buf_str(&text, "{\"prices\":{");
    cairn_cost_json_text(&text, "name", comparison->prices.name);
    cairn_buf_u8(&text, ',');
    cairn_cost_json_text(&text, "date", comparison->prices.date);
    cairn_buf_u8(&text, ',');
    cairn_cost_json_text(&text, "source", comparison->prices.source);
    cairn_buf_printf(&text, "},\"functions\":%u,\"function_memory_mib\":%.10g,\"chunks\":%u,\"cases\":[",
                     comparison->work.nodes, comparison->work.memory_gib * 1024, comparison->work.chunks);
    for (uint32_t i = 0; i < comparison->count; i++) {
        figures_of(comparison, &comparison->cases[i], values);
        cairn_buf_str(&text, i ? ",{" : "{");
        cairn_cost_json_text(&text, "name", comparison->cases[i].name);
        for (int f = 0; f < FIGURES; f++) {
            cairn_buf_printf(&text, ",\"%s\":", figures[f].json);
            if (isfinite(values[f]))
                cairn_buf_printf(&text, "%.10g", values[f]);
            else
                cairn_buf_str(&text, "null");
        }
        cairn_buf_u8(&text, '}');
    }
    cairn_buf_str(&text, "]}\n");
    fwrite(text.data, 1, text.size, stdout);
    cairn_buf_done(&text);
}

static int run(int argc, char **argv)
{
    struct options options = {0};
    struct comparison comparison = {0};
    int status, left;

    if (!cairn_flags_parse(&cairn_command_cost_cache, argc, argv, &options, &left, &status))
        return status;
    status = cairn_cost_prices(options.prices, &comparison.prices);
    if (status == CAIRN_EXIT_OK)
        status = choose(&options, &comparison);
    if (status != CAIRN_EXIT_OK)
        return status;
    if (options.json)
        print_json(&comparison);
    else
        print_text(&comparison);
    return CAIRN_EXIT_OK;
}

const struct cairn_command cairn_command_cost_cache = {
    .name = "cost cache",
    .arguments = "",
    .summary = "Tells what a cache costs in functions' memory, and as a machine",
    .more = "The model is InfiniCache's (FAST 2020), and without flags these are its three cases: 50 hours of a\n"
            "registry's GETs, of all values and of those above 10 MB.",
    .flags = flags,
    .run = run,
};
