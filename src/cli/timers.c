/* cairn timers ls: timers of objects. */
#include <inttypes.h>

#include "cli/commands.h"
#include "cli/listing.h"

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

/* Items as CAIRN_OP_TIMERS has them (object/object.h). */
static void row(struct cairn_table *table, struct cairn_reader *r, struct cairn_buf *text)
{
    struct cairn_bytes type, id, name, state, cron, zone, method;
    int64_t due_ms, period_ms;

    type = cairn_value_read(r).bytes;
    id = cairn_value_read(r).bytes;
    name = cairn_value_read(r).bytes;
    state = cairn_value_read(r).bytes;
    due_ms = cairn_value_read(r).integer;
    cairn_value_read(r); /* the kind follows from the rest */
    period_ms = cairn_value_read(r).integer;
    cron = cairn_value_read(r).bytes;
    zone = cairn_value_read(r).bytes;
    method = cairn_value_read(r).bytes;
    cairn_value_read(r);
    cairn_inline_object(text, type, id);
    cairn_listing_cell(table, text);
    cairn_inline_text(text, name);
    cairn_listing_cell(table, text);
    cairn_table_cell(table, method);
    cairn_table_cell(table, state);
    cairn_inline_time(text, due_ms);
    cairn_listing_cell(table, text);
    if (cron.size) {
        cairn_inline_text(text, cron);
        cairn_buf_u8(text, ' ');
        cairn_inline_text(text, zone);
    } else if (period_ms) {
        cairn_buf_printf(text, "every %" PRId64 " ms", period_ms);
    } else {
        cairn_buf_u8(text, '-');
    }
    cairn_listing_cell(table, text);
}

static int run_ls(int argc, char **argv)
{
    static const struct cairn_listing listing = {
        .page = "timers",
        .path = true,
        .headings = {"OBJECT", "NAME", "METHOD", "STATE", "DUE", "REPEATS"},
        .row = row,
    };
    struct options options = {0};
    int status = CAIRN_EXIT_OK, left;

    if (!cairn_flags_parse(&cairn_command_timers_ls, argc, argv, &options, &left, &status))
        return status;
    return cairn_listing_run(&listing, left > 0 ? argv[0] : NULL, options.limit, options.json, NULL);
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
