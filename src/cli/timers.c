/* cairn timers ls: timers of objects. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cli/client.h"
#include "cli/commands.h"
#include "cli/print.h"

struct options {
    uint64_t limit;
    bool json;
};

static const struct cairn_flag ls_flags[] = {
    CAIRN_FLAG_LIMIT(struct options, "at most so many (all, up to 100000)"),
    CAIRN_FLAG_JSON(struct options),
    CAIRN_FLAG_NAMESPACE,
    {0},
};

static void cell(struct cairn_table *table, struct cairn_buf *text)
{
    cairn_table_cell(table, cairn_buf_bytes(text));
    text->size = 0;
}

/* Items as CAIRN_OP_TIMERS has them (object/object.h). */
static void print_list(struct cairn_bytes encoded)
{
    struct cairn_reader r = cairn_reader(encoded);
    uint64_t count = cairn_value_read(&r).count;
    struct cairn_table table = {.columns = 6};
    struct cairn_buf text = {0};

    cairn_table_cell(&table, cairn_str("OBJECT"));
    cairn_table_cell(&table, cairn_str("NAME"));
    cairn_table_cell(&table, cairn_str("METHOD"));
    cairn_table_cell(&table, cairn_str("STATE"));
    cairn_table_cell(&table, cairn_str("DUE"));
    cairn_table_cell(&table, cairn_str("REPEATS"));
    for (uint64_t i = 0; i < count && !r.bad; i++) {
        struct cairn_bytes type, id, name, state, cron, zone, method;
        int64_t due_ms, period_ms;

        cairn_value_read(&r);
        type = cairn_value_read(&r).bytes;
        id = cairn_value_read(&r).bytes;
        name = cairn_value_read(&r).bytes;
        state = cairn_value_read(&r).bytes;
        due_ms = cairn_value_read(&r).integer;
        cairn_value_read(&r); /* the kind follows from the rest */
        period_ms = cairn_value_read(&r).integer;
        cron = cairn_value_read(&r).bytes;
        zone = cairn_value_read(&r).bytes;
        method = cairn_value_read(&r).bytes;
        cairn_value_read(&r);
        cairn_inline_text(&text, type);
        cairn_buf_u8(&text, '/');
        cairn_inline_text(&text, id);
        cell(&table, &text);
        cairn_inline_text(&text, name);
        cell(&table, &text);
        cairn_table_cell(&table, method);
        cairn_table_cell(&table, state);
        cairn_inline_time(&text, due_ms);
        cell(&table, &text);
        if (cron.size) {
            cairn_inline_text(&text, cron);
            cairn_buf_u8(&text, ' ');
            cairn_inline_text(&text, zone);
        } else if (period_ms) {
            cairn_buf_printf(&text, "every %" PRId64 " ms", period_ms);
        } else {
            cairn_buf_u8(&text, '-');
        }
        cell(&table, &text);
    }
    cairn_table_print(&table, stdout);
    cairn_buf_done(&table.text);
    cairn_buf_done(&text);
}

static int run_ls(int argc, char **argv)
{
    struct options options = {0};
    struct cairn_ask ask = {.method = "GET", .lists = true};
    struct cairn_answer answer;
    int status = CAIRN_EXIT_OK, left;
    char number[24];

    if (!cairn_flags_parse(&cairn_command_timers_ls, argc, argv, &options, &left, &status))
        return status;
    ask.json = options.json;
    cairn_ask_page(&ask, "timers");
    if (left > 0 && strchr(argv[0], '/')) {
        struct cairn_bytes type, id;

        if (!cairn_object_name(argv[0], &type, &id))
            return CAIRN_EXIT_USAGE;
        cairn_ask_path(&ask, type);
        cairn_ask_path(&ask, id);
    } else if (left > 0) {
        cairn_ask_path(&ask, cairn_str(argv[0]));
    }
    if (options.limit) {
        snprintf(number, sizeof number, "%" PRIu64, options.limit);
        cairn_ask_query(&ask, "limit", cairn_str(number));
    }
    if (cairn_ask(&ask, &answer, &status))
        print_list(cairn_buf_bytes(&answer.value));
    cairn_answer_done(&answer);
    return status;
}

const struct cairn_command cairn_command_timers_ls = {
    .name = "timers ls",
    .arguments = "[TYPE[/ID]]",
    .summary = "Lists timers, of all objects, of those of a type, or of one",
    .flags = ls_flags,
    .arguments_max = 1,
    .run = run_ls,
};

static const struct cairn_command *const subcommands[] = {
    &cairn_command_timers_ls,
    NULL,
};

const struct cairn_command cairn_command_timers = {
    .name = "timers",
    .arguments = "ls ...",
    .summary = "Lists timers of objects",
    .subcommands = subcommands,
};
