/* cairn cache simulate: a cache in instances that a provider takes away, over hours of GETs. */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

#include "cli/cache.h"
#include "cli/commands.h"
#include "cli/cost.h"
#include "fleet/fleet.h"

/* What the paper compares with: cache.r5.24xlarge of ElastiCache, an hour. */
static const double machine_hour = 10.368;

enum { NOT_GIVEN = 1000 };

struct options {
    uint64_t instances, memory, warm, backup, together, seed, least;
    bool hours, json;
    const char *redundancy, *reclaim, *prices;
};

static const struct cairn_flag flags[] = {
    {.name = "instances",
     .kind = CAIRN_FLAG_NUMBER,
     .value = "N",
     .help = "of a function (400)",
     .min = 1,
     .max = 4096,
     .offset = offsetof(struct options, instances)},
    {.name = "instance-memory",
     .kind = CAIRN_FLAG_SIZE,
     .value = "SIZE",
     .help = "of one (1.5GiB)",
     .min = 1 << 20,
     .max = UINT64_C(1) << 40,
     .offset = offsetof(struct options, memory)},
    {.name = "redundancy",
     .kind = CAIRN_FLAG_TEXT,
     .value = "D+P",
     .help = "chunks of a value (10+2)",
     .offset = offsetof(struct options, redundancy)},
    {.name = "reclaim",
     .kind = CAIRN_FLAG_TEXT,
     .value = "POLICY",
     .help = "of the provider: never, idle:TIME, life:TIME, poisson:N,\nzipf:N or script:N,N,.. (poisson:17)",
     .offset = offsetof(struct options, reclaim)},
    {.name = "together",
     .kind = CAIRN_FLAG_NUMBER,
     .value = "PERCENT",
     .help = "of what poisson, zipf and script take: with its peer (35)",
     .max = 100,
     .offset = offsetof(struct options, together)},
    {.name = "warm-up",
     .kind = CAIRN_FLAG_NUMBER,
     .value = "MINUTES",
     .help = "between calls that keep an instance; 0: none (1)",
     .max = NOT_GIVEN - 1,
     .offset = offsetof(struct options, warm)},
    {.name = "backup",
     .kind = CAIRN_FLAG_NUMBER,
     .value = "MINUTES",
     .help = "between backups to an instance's peer; 0: none (5);\nalone, in place of the paper's three cases",
     .max = NOT_GIVEN - 1,
     .offset = offsetof(struct options, backup)},
    {.name = "least",
     .kind = CAIRN_FLAG_SIZE,
     .value = "SIZE",
     .help = "leave out GETs of smaller values; alone likewise",
     .max = UINT64_C(1) << 48,
     .offset = offsetof(struct options, least)},
    {.name = "seed",
     .kind = CAIRN_FLAG_NUMBER,
     .value = "N",
     .help = "of the same losses the next time (1)",
     .min = 1,
     .max = UINT64_MAX,
     .offset = offsetof(struct options, seed)},
    {.name = "by-hour",
     .kind = CAIRN_FLAG_SWITCH,
     .help = "also print each hour",
     .offset = offsetof(struct options, hours)},
    {.name = "prices",
     .kind = CAIRN_FLAG_TEXT,
     .value = "FILE",
     .help = "a price list of your own, instead of AWS's",
     .offset = offsetof(struct options, prices)},
    CAIRN_FLAG_JSON(struct options),
    {0},
};

/* --- what is compared --- */

enum { CASES_MAX = 3, FIGURES = 12 };

struct one {
    const char *name;
    struct cairn_fleet_options fleet;
    struct cairn_fleet_report report;
    double figures[FIGURES];
};

struct comparison {
    struct cairn_prices prices;
    struct one cases[CASES_MAX];
    uint32_t count;
    bool published; /* the cases are the paper's */
};

/* The published figure of each of the paper's cases; NAN: none. */
static const struct {
    const char *name, *json;
    int decimals;
    double published[CASES_MAX];
} rows[FIGURES] = {
    {"GETs", "gets", 0, {NAN, NAN, NAN}},
    {"hits, %", "hit_percent", 1, {64.7, 63.6, 56.1}},
    {"availability, %", "availability_percent", 1, {NAN, 95.4, 81.4}},
    {"losses", "losses", 0, {NAN, NAN, NAN}},
    {"hits with lost chunks", "mended", 0, {NAN, NAN, NAN}},
    {"values evicted", "evicted", 0, {NAN, NAN, NAN}},
    {"instances reclaimed", "reclaimed", 0, {NAN, NAN, NAN}},
    {"GETs: dollars", "get_dollars", 2, {NAN, NAN, NAN}},
    {"keeping warm: dollars", "warm_dollars", 2, {NAN, NAN, NAN}},
    {"backups: dollars", "backup_dollars", 2, {NAN, NAN, NAN}},
    {"all dollars", "dollars", 2, {20.52, 16.51, 5.41}},
    {"machine / instances", "ratio", 1, {25.3, 31.4, 95.8}},
};

static double dollars(const struct comparison *comparison, const struct one *one, uint64_t calls, double ms)
{
    return (double)calls * comparison->prices.call +
           ms / 1000 * (double)one->fleet.memory_bytes / 0x1p30 * comparison->prices.gb_second;
}

static void work_out(const struct comparison *comparison, struct one *one)
{
    const struct cairn_fleet_count *all = &one->report.all;
    double gets = dollars(comparison, one, all->get_calls, all->get_ms);
    double warm = dollars(comparison, one, all->warm_calls, all->warm_ms);
    double backup = dollars(comparison, one, all->backup_calls, all->backup_ms), sum = gets + warm + backup;
    const double figures[FIGURES] = {
        (double)all->gets,
        all->gets ? 100 * (double)all->hits / (double)all->gets : 0,
        100 * cairn_fleet_availability(all),
        (double)all->losses,
        (double)all->mended,
        (double)all->evicted,
        (double)all->reclaimed,
        gets,
        warm,
        backup,
        sum,
        machine_hour * one->report.hour_count / sum,
    };

    memcpy(one->figures, figures, sizeof figures);
}

static int choose(const struct options *options, struct cairn_fleet_options *fleet)
{
    struct cairn_err err;

    *fleet = cairn_fleet_options();
    if (options->redundancy && cairn_redundancy_parse(options->redundancy, &fleet->redundancy, &err) != CAIRN_OK)
        return cairn_complain(CAIRN_EXIT_USAGE, "--redundancy: %s", err.text);
    if (options->reclaim && cairn_reclaim_parse(options->reclaim, &fleet->reclaim, &err) != CAIRN_OK)
        return cairn_complain(CAIRN_EXIT_USAGE, "--reclaim: %s", err.text);
    fleet->instances = options->instances ? (uint32_t)options->instances : fleet->instances;
    fleet->memory_bytes = options->memory ? options->memory : fleet->memory_bytes;
    fleet->seed = options->seed ? options->seed : fleet->seed;
    if (options->together != NOT_GIVEN)
        fleet->together = (double)options->together / 100;
    if (options->warm != NOT_GIVEN)
        fleet->warm_ms = options->warm * 60000;
    if (options->backup != NOT_GIVEN)
        fleet->backup_ms = options->backup * 60000;
    return CAIRN_EXIT_OK;
}

static int simulate(struct comparison *comparison, const char *name, const struct cairn_fleet_options *fleet,
                    const struct cairn_trace *trace)
{
    struct one *one = &comparison->cases[comparison->count];
    struct cairn_err err;

    one->name = name;
    one->fleet = *fleet;
    if (cairn_fleet_run(fleet, trace, &one->report, &err) != CAIRN_OK)
        return cairn_complain(CAIRN_EXIT_USAGE, "%s", err.text);
    comparison->count++;
    work_out(comparison, one);
    return CAIRN_EXIT_OK;
}

/* What was asked for; or all values, large ones, and those without backup. */
static int compare(const struct options *options, struct cairn_trace *trace, struct comparison *to)
{
    struct cairn_fleet_options fleet;
    int status = choose(options, &fleet);

    if (status != CAIRN_EXIT_OK)
        return status;
    if (options->backup != NOT_GIVEN || options->least != NOT_GIVEN) {
        cairn_trace_keep_large(trace, options->least != NOT_GIVEN ? options->least : 0);
        return simulate(to, "as given", &fleet, trace);
    }
    status = simulate(to, "all values", &fleet, trace);
    cairn_trace_keep_large(trace, CAIRN_TRACE_LARGE);
    if (status == CAIRN_EXIT_OK)
        status = simulate(to, "above 10 MB", &fleet, trace);
    fleet.backup_ms = 0;
    return status == CAIRN_EXIT_OK ? simulate(to, "no backup", &fleet, trace) : status;
}

/* --- telling --- */

static void add_figure(struct cairn_table *table, double value, int decimals)
{
    if (isfinite(value))
        cairn_cost_cell(table, "%12.*f", decimals, value);
    else
        cairn_cost_cell(table, "%12s", "-");
}

static void print_hours(const struct one *one)
{
    struct cairn_table table = {.columns = 6};
    static const char *const heads[] = {"HOUR", "GETS", "HITS, %", "AVAILABILITY, %", "RECLAIMED", "EVICTED"};

    printf("\n%s\n", one->name);
    for (int i = 0; i < 6; i++)
        cairn_cost_cell(&table, "%s", heads[i]);
    for (uint32_t h = 0; h < one->report.hour_count; h++) {
        const struct cairn_fleet_count *hour = &one->report.hours[h];

        cairn_cost_cell(&table, "%" PRIu32, h);
        cairn_cost_cell(&table, "%" PRIu64, hour->gets);
        cairn_cost_cell(&table, "%.1f", hour->gets ? 100 * (double)hour->hits / (double)hour->gets : 0);
        cairn_cost_cell(&table, "%.1f", 100 * cairn_fleet_availability(hour));
        cairn_cost_cell(&table, "%" PRIu64, hour->reclaimed);
        cairn_cost_cell(&table, "%" PRIu64, hour->evicted);
    }
    cairn_table_print(&table, stdout);
}

static void print_text(const struct comparison *comparison, bool hours)
{
    const struct cairn_fleet_options *fleet = &comparison->cases[0].fleet;
    struct cairn_table table = {.columns = 1 + comparison->count * (comparison->published ? 2 : 1)};

    printf("A cache in %u instances of %.0f MiB, a value in %u+%u chunks, %u hours of GETs,\nat the prices of %s, %s\n",
           fleet->instances, (double)fleet->memory_bytes / 0x1p20, fleet->redundancy.data, fleet->redundancy.parity,
           comparison->cases[0].report.hour_count, comparison->prices.name, comparison->prices.date);
    printf("%s\n", comparison->published ? "(paper: InfiniCache, FAST 2020, which had a registry's own GETs)\n" : "");
    cairn_cost_cell(&table, "SIMULATED");
    for (uint32_t i = 0; i < comparison->count; i++) {
        cairn_cost_cell(&table, "%12s", comparison->cases[i].name);
        if (comparison->published)
            cairn_cost_cell(&table, "%12s", "(paper)");
    }
    for (int f = 0; f < FIGURES; f++) {
        cairn_cost_cell(&table, "%s", rows[f].name);
        for (uint32_t i = 0; i < comparison->count; i++) {
            add_figure(&table, comparison->cases[i].figures[f], rows[f].decimals);
            if (comparison->published)
                add_figure(&table, rows[f].published[i], rows[f].decimals);
        }
    }
    cairn_table_print(&table, stdout);
    for (uint32_t i = 0; hours && i < comparison->count; i++)
        print_hours(&comparison->cases[i]);
}

static void json_hours(struct cairn_buf *to, const struct cairn_fleet_report *report)
{
    cairn_buf_str(to, ",\"by_hour\":[");
    for (uint32_t h = 0; h < report->hour_count; h++) {
        const struct cairn_fleet_count *hour = &report->hours[h];

        cairn_buf_printf(to,
                         "%s{\"gets\":%" PRIu64 ",\"hits\":%" PRIu64 ",\"losses\":%" PRIu64 ",\"reclaimed\":%" PRIu64
                         ",\"evicted\":%" PRIu64 "}",
                         h ? "," : "", hour->gets, hour->hits, hour->losses, hour->reclaimed, hour->evicted);
    }
    cairn_buf_u8(to, ']');
}

static void print_json(const struct comparison *comparison, bool hours)
{
    struct cairn_buf text = {0};

    cairn_buf_str(&text, "{\"prices\":{");
    cairn_cost_json_text(&text, "name", comparison->prices.name);
    cairn_buf_u8(&text, ',');
    cairn_cost_json_text(&text, "date", comparison->prices.date);
    cairn_buf_str(&text, "},\"cases\":[");
    for (uint32_t i = 0; i < comparison->count; i++) {
        const struct one *one = &comparison->cases[i];

        cairn_buf_str(&text, i ? ",{" : "{");
        cairn_cost_json_text(&text, "name", one->name);
        cairn_buf_printf(&text, ",\"instances\":%u,\"hours\":%u", one->fleet.instances, one->report.hour_count);
        for (int f = 0; f < FIGURES; f++) {
            cairn_buf_printf(&text, ",\"%s\":", rows[f].json);
            if (isfinite(one->figures[f]))
                cairn_buf_printf(&text, "%.10g", one->figures[f]);
            else
                cairn_buf_str(&text, "null");
        }
        if (hours)
            json_hours(&text, &one->report);
        cairn_buf_u8(&text, '}');
    }
    cairn_buf_str(&text, "]}\n");
    fwrite(text.data, 1, text.size, stdout);
    cairn_buf_done(&text);
}

static int run(int argc, char **argv)
{
    struct options options = {.together = NOT_GIVEN, .warm = NOT_GIVEN, .backup = NOT_GIVEN, .least = NOT_GIVEN};
    struct comparison comparison = {0};
    struct cairn_trace_options make = cairn_trace_options();
    struct cairn_trace trace = {0};
    int status, left;

    if (!cairn_flags_parse(&cairn_command_cache_simulate, argc, argv, &options, &left, &status))
        return status;
    status = cairn_cost_prices(options.prices, &comparison.prices);
    if (left == 0)
        cairn_trace_generate(&make, &trace);
    else if (status == CAIRN_EXIT_OK)
        status = cairn_cache_trace_read(argv[0], &trace);
    if (status == CAIRN_EXIT_OK)
        status = compare(&options, &trace, &comparison);
    comparison.published = comparison.count == CASES_MAX && left == 0;
    if (status == CAIRN_EXIT_OK && options.json)
        print_json(&comparison, options.hours);
    else if (status == CAIRN_EXIT_OK)
        print_text(&comparison, options.hours);
    for (uint32_t i = 0; i < comparison.count; i++)
        cairn_fleet_report_done(&comparison.cases[i].report);
    cairn_trace_done(&trace);
    return status;
}

const struct cairn_command cairn_command_cache_simulate = {
    .name = "cache simulate",
    .arguments = "[FILE]",
    .summary = "Runs hours of GETs against instances that a provider takes away",
    .more = "Without a file the GETs are those of `cairn cache trace`, and without --backup and --least the cases are\n"
            "InfiniCache's three (FAST 2020): all values, those above 10 MB, and these without backup.\n"
            "Rates are instances an hour of 400: poisson:N takes each by itself, zipf:N many in some minutes,\n"
            "script:N,N,.. so many in each minute; idle:TIME and life:TIME what was not called, or lives, for so long.",
    .flags = flags,
    .arguments_max = 1,
    .files = true,
    .run = run,
};
