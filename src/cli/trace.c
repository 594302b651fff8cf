/* cairn trace: the last jobs that were traced, and one of them as a tree with a bar for each invocation. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/traceparent.h"
#include "cli/client.h"
#include "cli/commands.h"
#include "cli/print.h"
#include "object/span.h"

struct options {
    uint64_t limit;
    bool json;
};

static const struct cairn_flag flags[] = {
    CAIRN_FLAG_LIMIT(struct options, "at most so many jobs, or spans of one, the newest (20; all)"),
    CAIRN_FLAG_JSON(struct options),
    CAIRN_FLAG_NAMESPACE,
    {0},
};

/* A span as the node gives it (object/span.h); what it points to is the answer's. */
struct row {
    struct cairn_bytes job, type, id, method, error, detail;
    uint64_t span, parent, kind;
    int64_t begin_ns, end_ns, dropped;
    struct cairn_reader phases; /* [phase, ns], ... */
    uint64_t phase_count;
    struct row *first, *next; /* calls, in the order of their begins */
};

static bool read_row(struct cairn_reader *r, struct row *row)
{
    uint64_t skip;

    *row = (struct row){0};
    if (cairn_value_read(r).count != SPAN_FIELDS)
        return false;
    row->job = cairn_value_read(r).bytes;
    row->span = (uint64_t)cairn_value_read(r).integer;
    row->parent = (uint64_t)cairn_value_read(r).integer;
    row->kind = (uint64_t)cairn_value_read(r).integer;
    row->type = cairn_value_read(r).bytes;
    row->id = cairn_value_read(r).bytes;
    row->method = cairn_value_read(r).bytes;
    row->begin_ns = cairn_value_read(r).integer;
    row->end_ns = cairn_value_read(r).integer;
    row->error = cairn_value_read(r).bytes;
    row->detail = cairn_value_read(r).bytes;
    for (skip = cairn_value_read(r).count; skip > 0 && !r->bad; skip--)
        cairn_value_read(r);
    row->phase_count = cairn_value_read(r).count / 2;
    row->phases = *r;
    for (skip = 2 * row->phase_count; skip > 0 && !r->bad; skip--)
        cairn_value_read(r);
    row->dropped = cairn_value_read(r).integer;
    return !r->bad && row->job.size == CAIRN_JOB_ID_BYTES;
}

/* NULL: none, or the node speaks otherwise. */
static struct row *read_rows(struct cairn_bytes encoded, size_t *ret_count)
{
    struct cairn_reader r = cairn_reader(encoded);
    uint64_t count = cairn_value_read(&r).count, n = 0;
    struct row *rows;

    if (count > cairn_reader_left(&r)) /* each takes more than a byte */
        count = 0;
    rows = count ? cairn_alloc((size_t)count * sizeof *rows) : NULL;
    while (n < count && read_row(&r, &rows[n]))
        n++;
    *ret_count = (size_t)n;
    return rows;
}

static void add_took(struct cairn_buf *to, int64_t ns)
{
    double us = (double)(ns > 0 ? ns : 0) / 1000;

    if (us < 1000)
        cairn_buf_printf(to, "%.*f us", us < 10 ? 1 : 0, us);
    else if (us < 1e6)
        cairn_buf_printf(to, "%.*f ms", us < 10000 ? 2 : 1, us / 1000);
    else
        cairn_buf_printf(to, "%.2f s", us / 1e6);
}

static void add_name(struct cairn_buf *to, const struct row *row)
{
    cairn_inline_text(to, row->type);
    cairn_buf_u8(to, '/');
    cairn_inline_text(to, row->id);
    cairn_buf_u8(to, ' ');
    cairn_inline_text(to, row->method);
}

static void add_job(struct cairn_buf *to, const struct row *row)
{
    char id[CAIRN_JOB_ID_DIGITS + 1];

    cairn_job_id_write(cairn_job_id_get(row->job.data), id);
    cairn_buf_str(to, id);
}

static void cell(struct cairn_table *table, struct cairn_buf *text)
{
    cairn_table_cell(table, cairn_buf_bytes(text));
    text->size = 0;
}

static void print_jobs(const struct row *rows, size_t count)
{
    static const char *const heading[] = {"JOB", "BEGAN", "TOOK", "KIND", "WHAT", "RESULT"};
    struct cairn_table table = {.columns = sizeof heading / sizeof *heading};
    struct cairn_buf text = {0};

    for (size_t i = 0; i < sizeof heading / sizeof *heading; i++)
        cairn_table_cell(&table, cairn_str(heading[i]));
    for (size_t i = 0; i < count; i++) {
        add_job(&text, &rows[i]);
        cell(&table, &text);
        cairn_inline_time(&text, rows[i].begin_ns / 1000000);
        cell(&table, &text);
        add_took(&text, rows[i].end_ns - rows[i].begin_ns);
        cell(&table, &text);
        cairn_buf_str(&text, span_kind_name(rows[i].kind));
        cell(&table, &text);
        add_name(&text, &rows[i]);
        cell(&table, &text);
        cairn_inline_text(&text, rows[i].error.size ? rows[i].error : cairn_str("ok"));
        cell(&table, &text);
    }
    cairn_table_print(&table, stdout);
    cairn_buf_done(&text);
}

/* --- one job --------------------------------------------------------------------------------------------- */

enum { NAME_COLUMNS = 36, BAR_COLUMNS = 48, INDENT_MAX = 16 };

static const char marks[SPAN_PHASES] = {'.', '#', '-', '|', '>', 'z', '+'};

static int by_begin(const void *a, const void *b)
{
    const struct row *x = a, *y = b;

    return x->begin_ns != y->begin_ns ? (x->begin_ns < y->begin_ns ? -1 : 1)
                                      : (x->span > y->span) - (x->span < y->span);
}

static int by_span(const void *a, const void *b)
{
    const struct row *x = *(struct row *const *)a, *y = *(struct row *const *)b;

    return (x->span > y->span) - (x->span < y->span);
}

static struct row *find(struct row **sorted, size_t count, uint64_t span)
{
    struct row wanted = {.span = span}, *key = &wanted, **found;

    found = bsearch(&key, sorted, count, sizeof *sorted, by_span);
    return found ? *found : NULL;
}

/* Gives each call to its caller.  What has none here stays on its own. */
static void link_rows(struct row *rows, struct row **sorted, size_t count)
{
    qsort(rows, count, sizeof *rows, by_begin);
    for (size_t i = 0; i < count; i++)
        sorted[i] = &rows[i];
    qsort(sorted, count, sizeof *sorted, by_span);
    for (size_t i = count; i-- > 0;) { /* so that the earliest becomes the first */
        struct row *caller = rows[i].kind == SPAN_CALL ? find(sorted, count, rows[i].parent) : NULL;

        if (caller && caller != &rows[i]) {
            rows[i].next = caller->first;
            caller->first = &rows[i];
        }
    }
}

/* The times of phases, one mark for each BAR_COLUMNS-th of the block; a short one still gets a mark. */
static void add_bar(struct cairn_buf *to, const struct row *row, int64_t from_ns, int64_t took_ns)
{
    char bar[BAR_COLUMNS + 1];
    struct cairn_reader r = row->phases;

    memset(bar, ' ', BAR_COLUMNS);
    bar[BAR_COLUMNS] = 0;
    for (uint64_t i = 0; i < row->phase_count; i++) {
        uint64_t phase = (uint64_t)cairn_value_read(&r).integer;
        int64_t begin = row->begin_ns - from_ns + cairn_value_read(&r).integer, end = row->end_ns - from_ns;
        struct cairn_reader behind = r;

        if (i + 1 < row->phase_count) {
            cairn_value_read(&behind);
            end = row->begin_ns - from_ns + cairn_value_read(&behind).integer;
        }
        begin = took_ns > 0 ? (int64_t)((double)begin / (double)took_ns * BAR_COLUMNS) : 0;
        end = took_ns > 0 ? (int64_t)((double)end / (double)took_ns * BAR_COLUMNS) : 0;
        for (int64_t at = begin < 0 ? 0 : begin; at < BAR_COLUMNS && (at < end || at == begin); at++)
            if (at < end || bar[at] == ' ')
                bar[at] = phase < SPAN_PHASES ? marks[phase] : '?';
    }
    cairn_buf_printf(to, "[%s]", bar);
}

static void print_row(const struct row *row, int depth, int64_t from_ns, int64_t took_ns)
{
    struct cairn_buf text = {0}, took = {0};
    int indent = 2 * (depth < INDENT_MAX ? depth : INDENT_MAX);

    cairn_buf_printf(&text, "%*s", indent, "");
    add_name(&text, row);
    if (text.size > NAME_COLUMNS) {
        text.size = NAME_COLUMNS - 2;
        cairn_buf_str(&text, "..");
    }
    while (text.size < NAME_COLUMNS)
        cairn_buf_u8(&text, ' ');
    add_took(&took, row->end_ns - row->begin_ns);
    cairn_buf_printf(&text, " %9.*s  ", (int)took.size, (const char *)took.data);
    add_bar(&text, row, from_ns, took_ns);
    if (row->error.size) {
        cairn_buf_str(&text, "  ");
        cairn_inline_text(&text, row->error);
        cairn_buf_str(&text, ": ");
        cairn_inline_text(&text, row->detail);
    }
    if (row->dropped)
        cairn_buf_printf(&text, "  (%" PRId64 " more calls, not kept)", row->dropped);
    cairn_buf_u8(&text, '\n');
    fwrite(text.data, 1, text.size, stdout);
    cairn_buf_done(&text);
    cairn_buf_done(&took);
}

static void print_below(const struct row *row, int depth, int64_t from_ns, int64_t took_ns)
{
    print_row(row, depth, from_ns, took_ns);
    for (const struct row *call = row->first; call; call = call->next)
        print_below(call, depth + 1, from_ns, took_ns);
}

/* A request or a message with its calls, on a scale of its own. */
static void print_block(const struct row *row, const struct row *sender, int64_t first_ns)
{
    struct cairn_buf text = {0};

    cairn_buf_printf(&text, "\n%s", span_kind_name(row->kind));
    if (row->begin_ns > first_ns) {
        cairn_buf_str(&text, ", ");
        add_took(&text, row->begin_ns - first_ns);
        cairn_buf_str(&text, " later");
    }
    if (sender) {
        cairn_buf_str(&text, ", by ");
        add_name(&text, sender);
    }
    cairn_buf_u8(&text, '\n');
    fwrite(text.data, 1, text.size, stdout);
    cairn_buf_done(&text);
    print_below(row, 0, row->begin_ns, row->end_ns - row->begin_ns);
}

static void print_job(struct row *rows, size_t count)
{
    struct row **sorted = cairn_alloc(count * sizeof *sorted);
    struct cairn_buf text = {0};

    link_rows(rows, sorted, count);
    cairn_buf_str(&text, "job ");
    add_job(&text, &rows[0]);
    cairn_buf_str(&text, "  ");
    cairn_inline_time(&text, rows[0].begin_ns / 1000000);
    printf("%.*s\n", (int)text.size, (const char *)text.data);
    cairn_buf_done(&text);
    for (size_t i = 0; i < count; i++) {
        const struct row *above = find(sorted, count, rows[i].parent);

        if (rows[i].kind != SPAN_CALL || !above)
            print_block(&rows[i], above, rows[0].begin_ns);
    }
    printf("\n");
    for (int phase = 0; phase < SPAN_PHASES - 1; phase++)
        printf("%c %s%s", marks[phase], span_phase_name((uint64_t)phase), phase < SPAN_PHASES - 2 ? "  " : "\n");
    free(sorted);
}

/* --- the command ----------------------------------------------------------------------------------------- */

static int run(int argc, char **argv)
{
    struct options options = {0};
    struct cairn_ask ask = {.method = "GET", .lists = true};
    struct cairn_answer answer;
    struct cairn_job_id job = {0};
    char limit[24];
    int status = CAIRN_EXIT_OK, left;

    if (!cairn_flags_parse(&cairn_command_trace, argc, argv, &options, &left, &status))
        return status;
    if (left && strcmp(argv[0], "ls") != 0 && !cairn_job_id_read(cairn_str(argv[0]), &job))
        return cairn_complain(CAIRN_EXIT_USAGE,
                              "'%s' is no job's id, which has 32 hex digits; 'cairn trace ls' shows the last ones",
                              argv[0]);
    cairn_ask_page(&ask, "traces");
    if (cairn_job_id_is(job))
        cairn_ask_path(&ask, cairn_str(argv[0]));
    if (options.limit) {
        snprintf(limit, sizeof limit, "%" PRIu64, options.limit);
        cairn_ask_query(&ask, "limit", cairn_str(limit));
    }
    ask.json = options.json;
    if (cairn_ask(&ask, &answer, &status)) {
        size_t count;
        struct row *rows = read_rows(cairn_buf_bytes(&answer.value), &count);

        if (!cairn_job_id_is(job))
            print_jobs(rows, count);
        else if (count)
            print_job(rows, count);
        else
            status = cairn_complain(CAIRN_EXIT_FAILED,
                                    "the node has no trace of the job %s (any more); 'cairn trace ls' "
                                    "shows the last ones",
                                    argv[0]);
        free(rows);
    }
    cairn_answer_done(&answer);
    return status;
}

const struct cairn_command cairn_command_trace = {
    .name = "trace",
    .arguments = "[ls | JOB]",
    .summary = "Draws one of the last jobs that were traced, or lists them, oldest first",
    .more = "The node must have been started with --trace.  A job's id stands in replies (Cairn-Job) and in its log\n"
            "lines.",
    .flags = flags,
    .arguments_max = 1,
    .run = run,
};
