/* cairn timers ls: timers of objects. */
#include "cli/timers.h"

#include <inttypes.h>

#include "cli/commands.h"
#include "cli/listing.h"
#include "cli/print.h"
#include "proto/json.h"

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

/* An item as CAIRN_OP_TIMERS has it (object/object.h). */
struct item {
    struct cairn_bytes type, id, name, state, kind, cron, zone, method;
    int64_t due_ms, period_ms, args_bytes;
};

static struct item read_item(struct cairn_reader *r)
{
    struct item item = {.type = cairn_value_read(r).bytes};

    item.id = cairn_value_read(r).bytes;
    item.name = cairn_value_read(r).bytes;
    item.state = cairn_value_read(r).bytes;
    item.due_ms = cairn_value_read(r).integer;
    item.kind = cairn_value_read(r).bytes;
    item.period_ms = cairn_value_read(r).integer;
    item.cron = cairn_value_read(r).bytes;
    item.zone = cairn_value_read(r).bytes;
    item.method = cairn_value_read(r).bytes;
    item.args_bytes = cairn_value_read(r).integer;
    return item;
}

/* False: it does not. */
static bool add_repeats(struct cairn_buf *to, const struct item *item)
{
    if (item->cron.size) {
        cairn_inline_text(to, item->cron);
        cairn_buf_u8(to, ' ');
        cairn_inline_text(to, item->zone);
    } else if (item->period_ms) {
        cairn_buf_printf(to, "every %" PRId64 " ms", item->period_ms);
    }
    return item->cron.size || item->period_ms;
}

static void row(struct cairn_table *table, struct cairn_reader *r, struct cairn_buf *text)
{
    struct item item = read_item(r);

    cairn_inline_object(text, item.type, item.id);
    cairn_listing_cell(table, text);
    cairn_inline_text(text, item.name);
    cairn_listing_cell(table, text);
    cairn_table_cell(table, item.method);
    cairn_table_cell(table, item.state);
    cairn_inline_time(text, item.due_ms);
    cairn_listing_cell(table, text);
    if (!add_repeats(text, &item))
        cairn_buf_u8(text, '-');
    cairn_listing_cell(table, text);
}

void cairn_timer_text(struct cairn_buf *to, struct cairn_reader *r)
{
    struct item item;

    cairn_value_read(r);
    item = read_item(r);
    cairn_inline_text(to, item.name);
    cairn_buf_str(to, ": ");
    cairn_inline_text(to, item.method);
    cairn_buf_str(to, ", ");
    cairn_inline_text(to, item.state);
    cairn_buf_str(to, ", ");
    cairn_inline_time(to, item.due_ms);
    if (item.cron.size || item.period_ms)
        cairn_buf_str(to, ", ");
    add_repeats(to, &item);
}

static void add_text(struct cairn_buf *to, const char *key, struct cairn_bytes text)
{
    cairn_buf_str(to, key);
    cairn_json_bytes(to, text);
}

void cairn_timer_json(struct cairn_buf *to, struct cairn_reader *r)
{
    struct item item;

    cairn_value_read(r);
    item = read_item(r);
    add_text(to, "{\"type\":", item.type);
    add_text(to, ",\"id\":", item.id);
    add_text(to, ",\"name\":", item.name);
    add_text(to, ",\"state\":", item.state);
    cairn_buf_printf(to, ",\"due_ms\":%" PRId64, item.due_ms);
    add_text(to, ",\"kind\":", item.kind);
    cairn_buf_printf(to, ",\"period_ms\":%" PRId64, item.period_ms);
    add_text(to, ",\"cron\":", item.cron);
    add_text(to, ",\"zone\":", item.zone);
    add_text(to, ",\"method\":", item.method);
    cairn_buf_printf(to, ",\"args_bytes\":%" PRId64 "}", item.args_bytes);
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
