/* cairn cache ls, instances, why, reclaim: large values of a node's cache, and where their chunks are, over HTTP. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cli/client.h"
#include "cli/commands.h"
#include "cli/print.h"

struct options {
    bool json;
    uint64_t limit, database;
};

#define FLAG_DATABASE                                                                                                \
    {                                                                                                                \
        .name = "database", .kind = CAIRN_FLAG_NUMBER, .value = "N", .min = 0, .max = 15, .help = "as SELECT's (0)", \
        .offset = offsetof(struct options, database)                                                                 \
    }

static const struct cairn_flag ls_flags[] = {CAIRN_FLAG_LIMIT(struct options, "at most so many (100)"),
                                             CAIRN_FLAG_JSON(struct options),
                                             CAIRN_FLAG_NAMESPACE,
                                             {0}};
static const struct cairn_flag instances_flags[] = {CAIRN_FLAG_JSON(struct options), {0}};
static const struct cairn_flag why_flags[] = {
    FLAG_DATABASE, CAIRN_FLAG_JSON(struct options), CAIRN_FLAG_NAMESPACE, {0}};

/* --- the trees that the node answers with (server/http_large.c) --- */

static struct cairn_bytes member(struct cairn_bytes object, const char *name)
{
    struct cairn_reader r = cairn_reader(object);
    struct cairn_value head = cairn_value_read(&r);

    cairn_value_whole(&r); /* the 1 */
    for (uint64_t i = 1; i + 1 < head.count; i += 2) {
        struct cairn_value key = cairn_value_read(&r);
        struct cairn_bytes value = cairn_value_whole(&r);

        if (cairn_bytes_equal(key.bytes, cairn_str(name)))
            return value;
    }
    return cairn_bytes(NULL, 0);
}

static uint64_t number(struct cairn_bytes object, const char *name)
{
    struct cairn_reader r = cairn_reader(member(object, name));

    return (uint64_t)cairn_value_read(&r).integer;
}

static struct cairn_bytes text(struct cairn_bytes object, const char *name)
{
    struct cairn_reader r = cairn_reader(member(object, name));

    return cairn_value_read(&r).bytes;
}

static void each(struct cairn_bytes object, const char *name,
                 void (*add)(struct cairn_table *table, struct cairn_bytes item), struct cairn_table *table)
{
    struct cairn_reader r = cairn_reader(member(object, name));
    struct cairn_value head = cairn_value_read(&r);

    cairn_value_whole(&r); /* the 0 */
    for (uint64_t i = 1; i < head.count; i++)
        add(table, cairn_value_whole(&r));
}

static void heading(struct cairn_table *table, const char *const *names)
{
    for (; *names; names++)
        cairn_table_cell(table, cairn_str(*names));
}

static void cell_number(struct cairn_table *table, uint64_t n)
{
    char digits[24];

    snprintf(digits, sizeof digits, "%" PRIu64, n);
    cairn_table_cell(table, cairn_str(digits));
}

static void cell_size(struct cairn_table *table, uint64_t bytes)
{
    struct cairn_buf size = {0};

    cairn_inline_size(&size, bytes);
    cairn_table_cell(table, cairn_buf_bytes(&size));
    cairn_buf_done(&size);
}

static void cell_text(struct cairn_table *table, struct cairn_bytes bytes)
{
    struct cairn_buf shown = {0};

    cairn_inline_text(&shown, bytes);
    cairn_table_cell(table, cairn_buf_bytes(&shown));
    cairn_buf_done(&shown);
}

static void print_size(const char *before, uint64_t bytes, const char *behind)
{
    struct cairn_buf size = {0};

    cairn_inline_size(&size, bytes);
    printf("%s%.*s%s", before, (int)size.size, (const char *)size.data, behind);
    cairn_buf_done(&size);
}

/* --- commands --- */

static void value_row(struct cairn_table *table, struct cairn_bytes value)
{
    cell_text(table, text(value, "key"));
    cell_number(table, number(value, "database"));
    cell_size(table, number(value, "bytes"));
    cell_size(table, number(value, "takes"));
    cell_text(table, text(value, "redundancy"));
    cell_number(table, number(value, "lost_chunks"));
}

static void print_values(struct cairn_bytes answer)
{
    struct cairn_table table = {.columns = 6};

    print_size("", number(answer, "used"), " of ");
    print_size("", number(answer, "bytes_max"), " are used, ");
    print_size("", number(answer, "large"), " of it by large values; of these, ");
    print_size("", number(answer, "usable"), " fit if there is nothing else\n");
    heading(&table, (const char *const[]){"key", "database", "size", "takes", "code", "lost", NULL});
    each(answer, "values", value_row, &table);
    cairn_table_print(&table, stdout);
}

static void instance_row(struct cairn_table *table, struct cairn_bytes instance)
{
    cell_number(table, number(instance, "id"));
    cell_text(table, text(instance, "provider"));
    cell_number(table, number(instance, "agent"));
    cell_text(table, text(instance, "state"));
    cell_number(table, number(instance, "chunks"));
    cell_size(table, number(instance, "held"));
    cell_size(table, number(instance, "memory"));
}

static void print_instances(struct cairn_bytes answer)
{
    struct cairn_table table = {.columns = 7};

    heading(&table,
            (const char *const[]){"instance", "provider", "agent", "state", "chunks", "holds", "at most", NULL});
    each(answer, "instances", instance_row, &table);
    cairn_table_print(&table, stdout);
}

static void chunk_row(struct cairn_table *table, struct cairn_bytes chunk)
{
    bool lost = cairn_bytes_equal(text(chunk, "state"), cairn_str("lost"));

    cell_number(table, number(chunk, "index"));
    cell_text(table, text(chunk, "kind"));
    cell_text(table, text(chunk, "state"));
    if (lost) {
        cairn_table_cell(table, cairn_str("-"));
        cairn_table_cell(table, cairn_str("-"));
    } else {
        cell_number(table, number(chunk, "instance"));
        cell_number(table, number(chunk, "agent"));
    }
}

static void print_why(struct cairn_bytes answer)
{
    struct cairn_table table = {.columns = 5};
    struct cairn_bytes code = text(answer, "redundancy");
    uint64_t may_lose = number(answer, "may_lose");

    print_size("", number(answer, "bytes"), ", coded ");
    printf("%.*s", (int)code.size, (const char *)code.data);
    print_size(", takes ", number(answer, "takes"), "\n");
    printf("%" PRIu64 " of its chunks %s lost; it is there as long as no more than %" PRIu64 " others are\n",
           number(answer, "lost_chunks"), number(answer, "lost_chunks") == 1 ? "is" : "are", may_lose);
    if (cairn_bytes_equal(text(answer, "may_lose_an_agent"), cairn_str("no")))
        printf(
            "losing one agent can lose it: an agent has more of its chunks than may be lost (0 is the node itself)\n");
    heading(&table, (const char *const[]){"chunk", "kind", "state", "instance", "agent", NULL});
    each(answer, "chunks", chunk_row, &table);
    cairn_table_print(&table, stdout);
}

static int show(struct cairn_ask *ask, const struct options *options, void (*print)(struct cairn_bytes answer))
{
    struct cairn_answer answer;
    int status = CAIRN_EXIT_OK;

    ask->method = "GET";
    ask->json = options->json;
    if (cairn_ask(ask, &answer, &status))
        print(cairn_buf_bytes(&answer.value));
    cairn_answer_done(&answer);
    return status;
}

static void query_number(struct cairn_ask *ask, const char *name, uint64_t n)
{
    char digits[24];

    snprintf(digits, sizeof digits, "%" PRIu64, n);
    cairn_ask_query(ask, name, cairn_str(digits));
}

static int run_ls(int argc, char **argv)
{
    struct options options = {0};
    struct cairn_ask ask = {0};
    int status = CAIRN_EXIT_OK, left;

    if (!cairn_flags_parse(&cairn_command_cache_ls, argc, argv, &options, &left, &status))
        return status;
    cairn_ask_page(&ask, "cache");
    if (options.limit)
        query_number(&ask, "limit", options.limit);
    return show(&ask, &options, print_values);
}

static int run_instances(int argc, char **argv)
{
    struct options options = {0};
    struct cairn_ask ask = {0};
    int status = CAIRN_EXIT_OK, left;

    if (!cairn_flags_parse(&cairn_command_cache_instances, argc, argv, &options, &left, &status))
        return status;
    cairn_ask_page(&ask, "cache");
    cairn_ask_query(&ask, "of", cairn_str("instances"));
    return show(&ask, &options, print_instances);
}

static int run_why(int argc, char **argv)
{
    struct options options = {0};
    struct cairn_ask ask = {0};
    int status = CAIRN_EXIT_OK, left;

    if (!cairn_flags_parse(&cairn_command_cache_why, argc, argv, &options, &left, &status))
        return status;
    cairn_ask_page(&ask, "cache");
    cairn_ask_query(&ask, "key", cairn_str(argv[0]));
    if (options.database)
        query_number(&ask, "database", options.database);
    return show(&ask, &options, print_why);
}

static int run_reclaim(int argc, char **argv)
{
    struct options options = {0};
    struct cairn_ask ask = {.method = "DELETE"};
    struct cairn_answer answer;
    int status = CAIRN_EXIT_OK, left;

    if (!cairn_flags_parse(&cairn_command_cache_reclaim, argc, argv, &options, &left, &status))
        return status;
    ask.json = options.json;
    cairn_ask_page(&ask, "cache");
    for (int i = 0; i < left; i++)
        cairn_ask_query(&ask, "instance", cairn_str(argv[i]));
    if (cairn_ask(&ask, &answer, &status))
        printf("%s taken away, and what can be is made again in others\n", left == 1 ? "the instance is" : "they are");
    cairn_answer_done(&answer);
    return status;
}

const struct cairn_command cairn_command_cache_reclaim = {
    .name = "cache reclaim",
    .arguments = "INSTANCE...",
    .summary = "Takes instances away, with all that they have",
    .flags = instances_flags,
    .arguments_min = 1,
    .arguments_max = -1,
    .run = run_reclaim,
};

const struct cairn_command cairn_command_cache_ls = {
    .name = "cache ls",
    .arguments = "",
    .summary = "Lists a node's large values",
    .flags = ls_flags,
    .run = run_ls,
};

const struct cairn_command cairn_command_cache_instances = {
    .name = "cache instances",
    .arguments = "",
    .summary = "Lists the instances that have their chunks",
    .flags = instances_flags,
    .run = run_instances,
};

const struct cairn_command cairn_command_cache_why = {
    .name = "cache why",
    .arguments = "KEY",
    .summary = "Tells where a large value's chunks are, and what a loss would cost",
    .flags = why_flags,
    .arguments_min = 1,
    .arguments_max = 1,
    .run = run_why,
};
