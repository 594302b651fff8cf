/* cairn cache trace: GETs over hours, made up or read, and what they are like beside the published ones. */
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

#include "cli/cache.h"
#include "cli/commands.h"
#include "cli/cost.h"

struct options {
    uint64_t seed, gets, hours, large;
    bool csv, json;
};

static const struct cairn_flag flags[] = {
    {.name = "hours",
     .kind = CAIRN_FLAG_NUMBER,
     .value = "N",
     .help = "that are made up (50)",
     .min = 1,
     .max = 8760,
     .offset = offsetof(struct options, hours)},
    {.name = "gets",
     .kind = CAIRN_FLAG_NUMBER,
     .value = "N",
     .help = "an hour (3654)",
     .min = 1,
     .max = 10000000,
     .offset = offsetof(struct options, gets)},
    {.name = "seed",
     .kind = CAIRN_FLAG_NUMBER,
     .value = "N",
     .help = "of the same GETs the next time (1)",
     .min = 1,
     .max = UINT64_MAX,
     .offset = offsetof(struct options, seed)},
    {.name = "least",
     .kind = CAIRN_FLAG_SIZE,
     .value = "SIZE",
     .help = "leave out GETs of smaller values",
     .max = UINT64_C(1) << 48,
     .offset = offsetof(struct options, large)},
    {.name = "csv",
     .kind = CAIRN_FLAG_SWITCH,
     .help = "print the GETs themselves, as a table with commas",
     .offset = offsetof(struct options, csv)},
    CAIRN_FLAG_JSON(struct options),
    {0},
};

int cairn_cache_trace_read(const char *path, struct cairn_trace *ret)
{
    FILE *file = strcmp(path, "-") == 0 ? stdin : fopen(path, "rbe");
    struct cairn_err err;
    enum cairn_code code;

    if (!file)
        return cairn_complain(CAIRN_EXIT_FAILED, "%s: %s", path, strerror(errno));
    code = cairn_trace_read(file, ret, &err);
    if (file != stdin)
        fclose(file);
    return code == CAIRN_OK ? CAIRN_EXIT_OK : cairn_complain(CAIRN_EXIT_FAILED, "%s: %s", path, err.text);
}

/* --- what it is like --- */

/* Of the registry (FAST 2020), and of its public sample; 0: it is not told. */
static const double published_keys[CAIRN_TRACE_QUANTILES] = {214, 975, 14.8e3, 5.3e6, 31.1e6, 137e6, 690e6};
static const double published_gets[CAIRN_TRACE_QUANTILES] = {0, 0, 11.5e3, 3.3e6, 35.3e6, 118e6, 690e6};

/* "14.8 KB", as the paper counts. */
static void add_size(struct cairn_table *table, double bytes)
{
    static const char *const units[] = {"B", "KB", "MB", "GB", "TB"};
    int unit = 0;

    for (; bytes >= 999.5 && unit < 4; unit++)
        bytes /= 1000;
    if (bytes > 0)
        cairn_cost_cell(table, "%12.*f %s", bytes < 99.5 && unit ? 1 : 0, bytes, units[unit]);
    else
        cairn_cost_cell(table, "%12s", "-");
}

static void add_number(struct cairn_table *table, const char *name, double value, const char *published, int decimals)
{
    cairn_cost_cell(table, "%s", name);
    cairn_cost_cell(table, "%12.*f", decimals, value);
    cairn_cost_cell(table, "%12s", published);
}

static void print_text(const struct cairn_trace *trace, const struct cairn_trace_facts *facts)
{
    struct cairn_table table = {.columns = 3};

    printf("%zu GETs of %" PRIu32 " keys in %.1f hours; beside it what is known of a registry of images, 2017\n\n",
           trace->count, trace->keys, facts->hours);
    cairn_cost_cell(&table, "LARGE: ABOVE 10 MB");
    cairn_cost_cell(&table, "%12s", "HERE");
    cairn_cost_cell(&table, "%12s", "REGISTRY");
    add_number(&table, "GETs an hour", facts->gets, "3,654", 0);
    add_number(&table, "  of large values", facts->large_gets, "750", 0);
    add_number(&table, "all keys, GB", facts->footprint / 1e9, "1,169", 0);
    add_number(&table, "  large ones", facts->large_footprint / 1e9, "1,036", 0);
    add_number(&table, "GETs again, %", 100 * facts->again, "67.9", 1);
    add_number(&table, "  of large values", 100 * facts->large_again, "-", 1);
    add_number(&table, "  of those within an hour, %", 100 * facts->large_soon, "37 to 46", 1);
    add_number(&table, "large keys, %", 100 * facts->large_keys, "over 20", 1);
    add_number(&table, "  of those with 10 GETs, %", 100 * facts->large_often, "over 30 *", 1);
    for (int q = 0; q < 2 * CAIRN_TRACE_QUANTILES; q++) {
        bool gets = q >= CAIRN_TRACE_QUANTILES;
        int at = q % CAIRN_TRACE_QUANTILES;

        cairn_cost_cell(&table, "%s %g", gets ? "sizes of GETs, quantile" : "sizes of keys, quantile",
                        cairn_trace_quantiles[at]);
        add_size(&table, (double)(gets ? facts->request_bytes : facts->key_bytes)[at]);
        add_size(&table, (gets ? published_gets : published_keys)[at]);
    }
    cairn_table_print(&table, stdout);
    printf("\n* in 75 days.  The sizes are those of 21 minutes, the other figures of 50 hours.\n");
}

static void json_sizes(const char *name, const uint64_t bytes[CAIRN_TRACE_QUANTILES])
{
    printf(",\"%s\":{", name);
    for (int q = 0; q < CAIRN_TRACE_QUANTILES; q++)
        printf("%s\"%g\":%" PRIu64, q ? "," : "", cairn_trace_quantiles[q], bytes[q]);
    printf("}");
}

static void print_json(const struct cairn_trace *trace, const struct cairn_trace_facts *facts)
{
    printf("{\"gets\":%zu,\"keys\":%" PRIu32 ",\"hours\":%.10g,\"gets_an_hour\":%.10g,\"large_gets_an_hour\":%.10g,"
           "\"bytes\":%.0f,\"large_bytes\":%.0f,\"again\":%.10g,\"large_again\":%.10g,\"large_again_in_an_hour\":%.10g,"
           "\"large_keys\":%.10g,\"large_keys_of_ten_gets\":%.10g",
           trace->count, trace->keys, facts->hours, facts->gets, facts->large_gets, facts->footprint,
           facts->large_footprint, facts->again, facts->large_again, facts->large_soon, facts->large_keys,
           facts->large_often);
    json_sizes("key_bytes", facts->key_bytes);
    json_sizes("get_bytes", facts->request_bytes);
    printf("}\n");
}

static int run(int argc, char **argv)
{
    struct options options = {0};
    struct cairn_trace_options make = cairn_trace_options();
    struct cairn_trace trace = {0};
    struct cairn_trace_facts facts;
    int status, left;

    if (!cairn_flags_parse(&cairn_command_cache_trace, argc, argv, &options, &left, &status))
        return status;
    if (left == 1 && (options.hours || options.gets || options.seed))
        return cairn_complain(CAIRN_EXIT_USAGE, "a trace that is read has its own hours, GETs and seed");
    make.hours = options.hours ? (double)options.hours : make.hours;
    make.gets = options.gets ? (double)options.gets : make.gets;
    make.seed = options.seed ? options.seed : make.seed;
    if (make.hours * make.gets > CAIRN_TRACE_EVENTS_MAX)
        return cairn_complain(CAIRN_EXIT_USAGE, "a trace has at most %d GETs", CAIRN_TRACE_EVENTS_MAX);
    if (left == 1)
        status = cairn_cache_trace_read(argv[0], &trace);
    else
        cairn_trace_generate(&make, &trace);
    if (status != CAIRN_EXIT_OK)
        return status;
    cairn_trace_keep_large(&trace, options.large);
    cairn_trace_tell(&trace, &facts);
    if (options.csv)
        cairn_trace_write(&trace, stdout);
    else if (options.json)
        print_json(&trace, &facts);
    else
        print_text(&trace, &facts);
    cairn_trace_done(&trace);
    return CAIRN_EXIT_OK;
}

const struct cairn_command cairn_command_cache_trace = {
    .name = "cache trace",
    .arguments = "[FILE]",
    .summary = "Makes up GETs of a registry of images, or tells what those of a file are like",
    .more =
        "A file is a table with commas, '-' the standard input.  Its first line names the columns: ms or timestamp,\n"
        "key or http.request.uri, bytes or http.response.written, and perhaps http.request.method.",
    .flags = flags,
    .arguments_max = 1,
    .files = true,
    .run = run,
};
