/* cairn cost --data DIR | --url URL: what a node's namespaces have used would have cost on a price list. */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

#include "base/metered.h"
#include "cli/client.h"
#include "cli/commands.h"
#include "cli/cost.h"
#include "cost/bill.h"

struct options {
    const char *data, *url, *prices, *draw;
    uint64_t memory_mib, machines;
    bool json;
};

static const struct cairn_flag flags[] = {
    {.name = "data",
     .kind = CAIRN_FLAG_TEXT,
     .value = "DIR",
     .help = "of this data folder, whether a node is on it or not;\nof one that runs five seconds may be missing",
     .offset = offsetof(struct options, data)},
    {.name = "url",
     .kind = CAIRN_FLAG_TEXT,
     .value = "URL",
     .help = "of the node there (CAIRN_URL)",
     .offset = offsetof(struct options, url)},
    {.name = "function-memory",
     .kind = CAIRN_FLAG_NUMBER,
     .value = "MIB",
     .help = "that functions are billed for, whatever they had",
     .min = 1,
     .max = 65536,
     .offset = offsetof(struct options, memory_mib)},
    {.name = "machines",
     .kind = CAIRN_FLAG_NUMBER,
     .value = "N",
     .help = "that it is compared with (3)",
     .min = 1,
     .max = 1000,
     .offset = offsetof(struct options, machines)},
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

/* --- what was metered --- */

struct use {
    char name[CAIRN_METERED_NAME_BYTES_MAX + 1];
    uint64_t metered[CAIRN_MEASURES];
};

/* Of a folder or a node. */
struct run {
    struct cairn_metered_time time;
    struct use *uses;
    size_t count, room, next; /* next: behind the one that was found last */
};

static struct use *find_use(struct run *run, struct cairn_bytes name)
{
    struct use *use;

    if (name.size == 0 || name.size > CAIRN_METERED_NAME_BYTES_MAX)
        return NULL;
    /* Those of one series follow each other, and the next series has them in the same order. */
    for (size_t i = 0; i < run->count; i++) {
        use = &run->uses[(run->next + i) % run->count];
        if (cairn_bytes_equal(cairn_str(use->name), name)) {
            run->next = (size_t)(use - run->uses) + 1;
            return use;
        }
    }
    if (run->count == run->room) {
        run->room = run->room ? 2 * run->room : 64;
        run->uses = cairn_realloc(run->uses, run->room * sizeof *run->uses);
    }
    use = &run->uses[run->count++];
    *use = (struct use){0};
    memcpy(use->name, name.data, name.size);
    return use;
}

static void take(void *context, struct cairn_bytes name, const uint64_t values[CAIRN_MEASURES])
{
    struct run *run = context;

    memcpy(find_use(run, name)->metered, values, CAIRN_MEASURES * sizeof *values);
}

static int read_folder(const char *data, struct run *run)
{
    struct cairn_buf path = {0}, text = {0};
    struct cairn_err err;
    int status;

    cairn_buf_printf(&path, "%s/metered", data);
    cairn_buf_u8(&path, 0);
    status = cairn_cost_read((const char *)path.data, CAIRN_METERED_BYTES_MAX, &text);
    if (status == CAIRN_EXIT_OK && cairn_metered_read(cairn_buf_bytes(&text), &run->time, take, run, &err) != CAIRN_OK)
        status = cairn_complain(CAIRN_EXIT_FAILED, "%s: %s", (const char *)path.data, err.text);
    cairn_buf_done(&path);
    cairn_buf_done(&text);
    return status;
}

/* "NAME" or "NAME{namespace="SPACE"}", then a number; another line is none of ours. */
static void take_line(struct run *run, char *line)
{
    char *blank = strrchr(line, ' '), *brace = strchr(line, '{'), *end;
    static const char label[] = "{namespace=\"";
    double value;

    if (!blank || *line == '#')
        return;
    *blank = 0;
    value = strtod(blank + 1, &end);
    if (*end || !isfinite(value) || value < 0)
        return;
    if (strcmp(line, CAIRN_METERED_SINCE) == 0)
        run->time.since_ms = (uint64_t)llround(value * 1e3);
    if (strcmp(line, CAIRN_METERED_SERVED) == 0)
        run->time.served_ms = (uint64_t)llround(value * 1e3);
    if (!brace || strncmp(brace, label, sizeof label - 1) != 0)
        return;
    *brace = 0;
    brace += sizeof label - 1;
    for (int i = 0; i < CAIRN_MEASURES; i++) {
        struct use *use;

        if (strcmp(line, cairn_metered_series[i].metric) != 0)
            continue;
        use = find_use(run, cairn_bytes(brace, strcspn(brace, "\"")));
        if (use)
            use->metered[i] = (uint64_t)llround(value / cairn_metered_series[i].scale);
    }
}

static int read_node(const char *url, struct run *run)
{
    struct cairn_ask ask = {.method = "GET", .text = true};
    struct cairn_answer answer;
    char *line, *next = NULL;
    int status;

    if (url && setenv("CAIRN_URL", url, 1) != 0)
        abort(); /* as cairn_alloc */
    cairn_buf_str(&ask.target, "/metrics");
    if (!cairn_ask(&ask, &answer, &status))
        return status;
    cairn_buf_u8(&answer.value, 0);
    for (line = strtok_r((char *)answer.value.data, "\n", &next); line; line = strtok_r(NULL, "\n", &next))
        take_line(run, line);
    cairn_answer_done(&answer);
    return CAIRN_EXIT_OK;
}

/* --- the bills --- */

struct bills {
    struct cairn_prices prices;
    struct cairn_metered_time time;
    uint64_t machines;
    struct cairn_bill all, *of; /* of each namespace, the dearest first */
    size_t count;
};

static int dearer(const void *a, const void *b)
{
    double x = ((const struct cairn_bill *)a)->total, y = ((const struct cairn_bill *)b)->total;

    return x < y ? 1 : x > y ? -1 : strcmp(((const struct cairn_bill *)a)->name, ((const struct cairn_bill *)b)->name);
}

static void make_bills(const struct options *options, const struct run *run, struct bills *bills)
{
    double memory_gib = (double)options->memory_mib / 1024;
    uint64_t sum[CAIRN_MEASURES] = {0};

    bills->time = run->time;
    bills->machines = options->machines ? options->machines : 3;
    bills->count = run->count;
    bills->of = cairn_alloc((run->count + 1) * sizeof *bills->of);
    for (size_t i = 0; i < run->count; i++) {
        const struct use *use = &run->uses[i];
        const char *name = strcmp(use->name, CAIRN_METERED_REMOVED) == 0 ? "(removed)" : use->name;

        bills->of[i] = cairn_bill(&bills->prices, name, use->metered, run->time.served_ms, memory_gib);
        for (int k = 0; k < CAIRN_MEASURES; k++)
            sum[k] += use->metered[k];
    }
    qsort(bills->of, bills->count, sizeof *bills->of, dearer);
    bills->all = cairn_bill(&bills->prices, "all", sum, run->time.served_ms, memory_gib);
    /* Namespaces are billed at the mean sizes of each. */
    if (bills->count) {
        memset(bills->all.dollars, 0, sizeof bills->all.dollars);
        bills->all.total = 0;
        for (size_t i = 0; i < bills->count; i++) {
            for (int k = 0; k < CAIRN_BILL_ITEMS; k++)
                bills->all.dollars[k] += bills->of[i].dollars[k];
            bills->all.total += bills->of[i].total;
        }
        if (sum[CAIRN_METERED_REQUESTS])
            bills->all.request = bills->all.total / (double)sum[CAIRN_METERED_REQUESTS];
    }
}

/* --- text --- */

/* "4.0 KiB" a piece */
static void size_cell(struct cairn_table *table, uint64_t count, uint64_t bytes)
{
    struct cairn_buf text = {0};

    cairn_buf_printf(&text, "%" PRIu64, count);
    if (count) {
        cairn_buf_str(&text, " x ");
        cairn_inline_size(&text, (bytes + count / 2) / count);
    }
    cairn_table_cell(table, cairn_buf_bytes(&text));
    cairn_buf_done(&text);
}

static void use_row(struct cairn_table *table, const struct cairn_bill *bill)
{
    const uint64_t *is = bill->metered;

    cairn_table_cell(table, cairn_str(bill->name));
    cairn_cost_cell(table, "%" PRIu64, is[CAIRN_METERED_REQUESTS]);
    cairn_cost_cell(table, "%" PRIu64, is[CAIRN_METERED_INVOCATIONS]);
    cairn_cost_cell(table, "%.3f", (double)is[CAIRN_METERED_CPU_NS] / 1e9);
    cairn_cost_cell(table, "%.6f", bill->gib_seconds);
    size_cell(table, is[CAIRN_METERED_HOPS], is[CAIRN_METERED_HOP_BYTES]);
    size_cell(table, is[CAIRN_METERED_READS], is[CAIRN_METERED_READ_BYTES]);
    size_cell(table, is[CAIRN_METERED_WRITES], is[CAIRN_METERED_WRITTEN_BYTES]);
}

static void cost_row(struct cairn_table *table, const struct cairn_bill *bill)
{
    cairn_table_cell(table, cairn_str(bill->name));
    for (int i = 0; i < CAIRN_BILL_ITEMS; i++)
        cairn_cost_cell(table, "%.6f", bill->dollars[i]);
    cairn_cost_cell(table, "%.6f", bill->total);
    cairn_cost_cell(table, "%.4f", bill->request * 1e6);
}

static void print_rows(const struct bills *bills, const char *const heads[8],
                       void (*row)(struct cairn_table *table, const struct cairn_bill *bill))
{
    struct cairn_table table = {.columns = 8};

    for (int i = 0; i < 8; i++)
        cairn_table_cell(&table, cairn_str(heads[i]));
    for (size_t i = 0; i < bills->count; i++)
        row(&table, &bills->of[i]);
    if (bills->count > 1)
        row(&table, &bills->all);
    cairn_table_print(&table, stdout);
}

static void print_machines(const struct bills *bills)
{
    struct cairn_table table = {.columns = 3};

    printf("\n%.0f requests a day, and machines, which cost the same whatever they do:\n", bills->all.requests_day);
    cairn_cost_cell(&table, "MACHINES");
    cairn_cost_cell(&table, "DOLLARS A DAY");
    cairn_cost_cell(&table, "EVEN AT REQUESTS A DAY");
    for (uint32_t i = 0; i < bills->prices.machine_count; i++) {
        const struct cairn_machine_price *machine = &bills->prices.machines[i];
        double even = cairn_bill_even(&bills->all, machine, bills->machines);

        cairn_cost_cell(&table, "%" PRIu64 " x %s", bills->machines, machine->name);
        cairn_cost_cell(&table, "%.2f", (double)bills->machines * machine->hour * 24);
        if (even > 0)
            cairn_cost_cell(&table, "%.0f", even);
        else
            cairn_cost_cell(&table, "-"); /* functions are free */
    }
    cairn_cost_cell(&table, "functions");
    cairn_cost_cell(&table, "%.6f", bills->all.request * bills->all.requests_day);
    cairn_table_cell(&table, cairn_str(""));
    cairn_table_print(&table, stdout);
}

static void print_text(const struct bills *bills)
{
    static const char *const used[8] = {"NAMESPACE", "REQUESTS", "CALLS", "CPU S", "GIB S", "HOPS", "READS", "WRITES"};
    static const char *const costs[8] = {"DOLLARS", "CALLS", "TIME", "HOPS", "READS", "WRITES", "ALL", "A MILLION"};
    struct cairn_buf since = {0};

    if (bills->time.since_ms)
        cairn_inline_time(&since, (int64_t)bills->time.since_ms);
    printf("What namespaces have used since %.*s, in %.1f hours of nodes,\n", (int)since.size, (const char *)since.data,
           (double)bills->time.served_ms / 3.6e6);
    printf("at the prices of %s, %s (%s)\n\n", bills->prices.name, bills->prices.date, bills->prices.source);
    cairn_buf_done(&since);
    if (!bills->count) {
        puts("Nothing has been used.");
        return;
    }
    print_rows(bills, used, use_row);
    puts("");
    print_rows(bills, costs, cost_row);
    print_machines(bills);
}

/* --- JSON --- */

static void json_bill(struct cairn_buf *to, const struct cairn_bill *bill)
{
    static const char *const items[CAIRN_BILL_ITEMS] = {"calls", "time", "hops", "reads", "writes"};

    cairn_buf_u8(to, '{');
    cairn_cost_json_text(to, "namespace", bill->name);
    cairn_buf_str(to, ",\"metered\":{");
    for (int i = 0; i < CAIRN_MEASURES; i++)
        cairn_buf_printf(to, "%s\"%s\":%" PRIu64, i ? "," : "", cairn_metered_series[i].json, bill->metered[i]);
    cairn_buf_printf(to, "},\"gib_seconds\":%.10g,\"dollars\":{", bill->gib_seconds);
    for (int i = 0; i < CAIRN_BILL_ITEMS; i++)
        cairn_buf_printf(to, "\"%s\":%.10g,", items[i], bill->dollars[i]);
    cairn_buf_printf(to, "\"all\":%.10g},\"dollars_a_million\":%.10g,\"requests_a_day\":%.10g}", bill->total,
                     bill->request * 1e6, bill->requests_day);
}

static void print_json(const struct bills *bills)
{
    struct cairn_buf text = {0};

    cairn_buf_u8(&text, '{');
    cairn_cost_json_prices(&text, &bills->prices);
    cairn_buf_printf(&text, ",\"since_ms\":%" PRIu64 ",\"served_ms\":%" PRIu64 ",\"namespaces\":[",
                     bills->time.since_ms, bills->time.served_ms);
    for (size_t i = 0; i < bills->count; i++) {
        cairn_buf_str(&text, i ? "," : "");
        json_bill(&text, &bills->of[i]);
    }
    cairn_buf_str(&text, "],\"all\":");
    json_bill(&text, &bills->all);
    cairn_buf_str(&text, ",\"machines\":[");
    for (uint32_t i = 0; i < bills->prices.machine_count; i++) {
        const struct cairn_machine_price *machine = &bills->prices.machines[i];

        cairn_buf_str(&text, i ? ",{" : "{");
        cairn_cost_json_text(&text, "machine", machine->name);
        cairn_buf_printf(&text,
                         ",\"count\":%" PRIu64 ",\"dollars_a_day\":%.10g,\"even_requests_a_day\":", bills->machines,
                         (double)bills->machines * machine->hour * 24);
        if (bills->all.request > 0)
            cairn_buf_printf(&text, "%.10g}", cairn_bill_even(&bills->all, machine, bills->machines));
        else
            cairn_buf_str(&text, "null}"); /* functions are free */
    }
    cairn_buf_str(&text, "]}\n");
    fwrite(text.data, 1, text.size, stdout);
    cairn_buf_done(&text);
}

/* --- the command --- */

static int draw(const struct bills *bills, const char *path)
{
    struct cairn_buf picture = {0};
    int status;

    cairn_bill_draw(&bills->prices, bills->of, bills->count, bills->machines, &picture);
    status = cairn_cost_write(path, cairn_buf_bytes(&picture));
    cairn_buf_done(&picture);
    return status;
}

static int run_run(int argc, char **argv)
{
    struct options options = {0};
    struct bills bills = {0};
    struct run run = {0};
    int status, left;

    if (!cairn_flags_parse(&cairn_command_cost_run, argc, argv, &options, &left, &status))
        return status;
    if (options.data && options.url)
        return cairn_complain(CAIRN_EXIT_USAGE, "--data is of a folder and --url of a node: give one of them");
    status = cairn_cost_prices(options.prices, &bills.prices);
    if (status == CAIRN_EXIT_OK)
        status = options.data ? read_folder(options.data, &run) : read_node(options.url, &run);
    if (status == CAIRN_EXIT_OK) {
        make_bills(&options, &run, &bills);
        if (options.draw)
            status = draw(&bills, options.draw);
    }
    if (status == CAIRN_EXIT_OK && options.json)
        print_json(&bills);
    else if (status == CAIRN_EXIT_OK)
        print_text(&bills);
    free(bills.of);
    free(run.uses);
    return status;
}

const struct cairn_command cairn_command_cost_run = {
    .name = "cost run",
    .arguments = "",
    .summary = "Tells what the work of a node would have cost, by namespace",
    .more =
        "`cairn cost` alone does the same.  What was metered is priced as functions, queues and entries of a cloud:\n"
        "calls, their CPU time with the memory of their instances, arguments of methods that may write as messages,\n"
        "entries read and written.  What is kept costs nothing.",
    .flags = flags,
    .run = run_run,
};
