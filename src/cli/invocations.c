/* cairn invocations: open durable invocations. */
#include <inttypes.h>
#include <stdio.h>

#include "cli/commands.h"
#include "cli/listing.h"

struct options {
    uint64_t limit;
    bool json, now;
};

/* As CAIRN_OP_INVOCATIONS has it (object/object.h). */
struct item {
    struct cairn_bytes number, type, id, method, from_type, from_id, key, state, what;
    int64_t count, since_ms, until_ms, began_ms, version, args_bytes, cancel_ms;
};

static struct item read_item(struct cairn_reader *r)
{
    struct item item;

    item.number = cairn_value_read(r).bytes;
    item.type = cairn_value_read(r).bytes;
    item.id = cairn_value_read(r).bytes;
    item.method = cairn_value_read(r).bytes;
    item.from_type = cairn_value_read(r).bytes;
    item.from_id = cairn_value_read(r).bytes;
    item.key = cairn_value_read(r).bytes;
    item.state = cairn_value_read(r).bytes;
    item.what = cairn_value_read(r).bytes;
    item.count = cairn_value_read(r).integer;
    item.since_ms = cairn_value_read(r).integer;
    item.until_ms = cairn_value_read(r).integer;
    item.began_ms = cairn_value_read(r).integer;
    item.version = cairn_value_read(r).integer;
    item.args_bytes = cairn_value_read(r).integer;
    item.cancel_ms = cairn_value_read(r).integer;
    return item;
}

static bool is(struct cairn_bytes bytes, const char *text)
{
    return cairn_bytes_equal(bytes, cairn_str(text));
}

static void inline_state(struct cairn_buf *to, const struct item *item)
{
    if (is(item->state, "runs")) {
        cairn_buf_printf(to, "runs step %" PRId64, item->count);
    } else if (is(item->state, "waits_call")) {
        cairn_buf_printf(to, "waits for call %" PRId64 " ", item->count);
        cairn_inline_text(to, item->what);
    } else if (is(item->state, "waits_calls")) {
        cairn_buf_printf(to, "waits for %" PRId64 " calls", item->count);
    } else if (is(item->state, "sleeps")) {
        cairn_buf_str(to, "sleeps until ");
        cairn_inline_time(to, item->until_ms);
    } else if (is(item->state, "waits_promise")) {
        cairn_buf_str(to, "waits for promise ");
        cairn_inline_text(to, item->what);
    } else if (is(item->state, "waits_all")) {
        cairn_buf_printf(to, "waits for %" PRId64 " sleeps and promises", item->count);
    } else if (is(item->state, "put_off")) {
        cairn_buf_str(to, "put off");
    } else {
        cairn_buf_add(to, item->state.data, item->state.size);
    }
    if (item->cancel_ms)
        cairn_buf_str(to, ", cancelled");
}

/* --- ls --- */

static const struct cairn_flag ls_flags[] = {
    CAIRN_FLAG_LIMIT(struct options, "at most so many (all, up to 100000)"),
    CAIRN_FLAG_JSON(struct options),
    CAIRN_FLAG_NAMESPACE,
    {0},
};

static void row(struct cairn_table *table, struct cairn_reader *r, struct cairn_buf *text)
{
    struct item item = read_item(r);

    cairn_table_cell(table, item.number);
    cairn_inline_object(text, item.type, item.id);
    cairn_buf_u8(text, ' ');
    cairn_inline_text(text, item.method);
    cairn_listing_cell(table, text);
    inline_state(text, &item);
    cairn_listing_cell(table, text);
    cairn_inline_time(text, item.since_ms);
    cairn_listing_cell(table, text);
}

static int run_ls(int argc, char **argv)
{
    static const struct cairn_listing listing = {
        .page = "invocations", .headings = {"ID", "METHOD", "STATE", "SINCE"}, .row = row};
    struct options options = {0};
    int status = CAIRN_EXIT_OK, left;

    if (!cairn_flags_parse(&cairn_command_invocations_ls, argc, argv, &options, &left, &status))
        return status;
    return cairn_listing_run(&listing, left > 0 ? argv[0] : NULL, options.limit, options.json, NULL);
}

const struct cairn_command cairn_command_invocations_ls = {
    .name = "invocations ls",
    .arguments = "[TYPE[/ID]]",
    .summary = "Lists durable invocations that are open, of all objects, of a type's, or of one",
    .flags = ls_flags,
    .arguments_max = 1,
    .run = run_ls,
};

/* --- show --- */

static void add_line(struct cairn_buf *to, const char *name)
{
    if (to->size)
        cairn_buf_u8(to, '\n');
    cairn_buf_printf(to, "%-9s ", name);
}

static void print_one(struct cairn_bytes encoded)
{
    struct cairn_reader r = cairn_reader(encoded);
    struct cairn_buf text = {0};
    struct item item;

    cairn_value_read(&r);
    item = read_item(&r);
    add_line(&text, "id");
    cairn_buf_add(&text, item.number.data, item.number.size);
    add_line(&text, "method");
    cairn_inline_object(&text, item.type, item.id);
    cairn_buf_u8(&text, ' ');
    cairn_inline_text(&text, item.method);
    add_line(&text, "state");
    inline_state(&text, &item);
    add_line(&text, "since");
    cairn_inline_time(&text, item.since_ms);
    if (item.until_ms) {
        add_line(&text, "until");
        cairn_inline_time(&text, item.until_ms);
    }
    add_line(&text, "began");
    cairn_inline_time(&text, item.began_ms);
    if (item.cancel_ms) {
        add_line(&text, "cancelled");
        cairn_inline_time(&text, item.cancel_ms);
    }
    add_line(&text, "caller");
    cairn_inline_object(&text, item.from_type, item.from_id);
    if (item.key.size) {
        add_line(&text, "key");
        cairn_inline_text(&text, item.key);
    }
    add_line(&text, "version");
    cairn_buf_printf(&text, "%" PRId64, item.version);
    add_line(&text, "arguments");
    cairn_buf_printf(&text, "%" PRId64 " bytes\n\n", item.args_bytes);
    fwrite(text.data, 1, text.size, stdout);
    cairn_buf_done(&text);
}

/* As CAIRN_OP_JOURNAL has it. */
static void step_row(struct cairn_table *table, struct cairn_reader *r, struct cairn_buf *text)
{
    int64_t step = cairn_value_read(r).integer, call, ms, bytes;
    struct cairn_bytes name = cairn_value_read(r).bytes, what, error, result;

    call = cairn_value_read(r).integer;
    what = cairn_value_read(r).bytes;
    ms = cairn_value_read(r).integer;
    error = cairn_value_read(r).bytes;
    result = cairn_value_read(r).bytes;
    bytes = cairn_value_read(r).integer;
    if (step)
        cairn_buf_printf(text, "%" PRId64, step);
    cairn_listing_cell(table, text);
    cairn_table_cell(table, name);
    if (call >= 0)
        cairn_buf_printf(text, "%" PRId64, call);
    cairn_listing_cell(table, text);
    if (what.size)
        cairn_inline_text(text, what);
    if (ms) {
        cairn_buf_str(text, what.size ? " until " : "");
        cairn_inline_time(text, ms);
    }
    if (error.size) {
        cairn_inline_text(text, error);
        cairn_buf_str(text, ": ");
    }
    if (result.size)
        cairn_inline_field(text, result);
    cairn_listing_cell(table, text);
    cairn_buf_printf(text, "%" PRId64, bytes);
    cairn_listing_cell(table, text);
}

static const struct cairn_flag show_flags[] = {
    CAIRN_FLAG_LIMIT(struct options, "at most so many steps of its journal (all, up to 100000)"),
    CAIRN_FLAG_JSON(struct options),
    CAIRN_FLAG_NAMESPACE,
    {0},
};

static int run_show(int argc, char **argv)
{
    struct cairn_listing listing = {.headings = {"STEP", "HOST CALL", "CALL", "WHAT", "BYTES"}, .row = step_row};
    struct options options = {0};
    struct cairn_ask ask = {.method = "GET"};
    struct cairn_buf page = {0};
    struct cairn_answer answer;
    int status = CAIRN_EXIT_OK, left;

    if (!cairn_flags_parse(&cairn_command_invocations_show, argc, argv, &options, &left, &status))
        return status;
    ask.json = options.json;
    cairn_ask_page(&ask, "invocations");
    cairn_ask_path(&ask, cairn_str(argv[0]));
    if (cairn_ask(&ask, &answer, &status))
        print_one(cairn_buf_bytes(&answer.value));
    cairn_answer_done(&answer);
    if (status != CAIRN_EXIT_OK)
        return status;
    cairn_buf_printf(&page, "invocations/%s/journal", argv[0]); /* it is an id, or there is none such */
    cairn_buf_u8(&page, 0);
    listing.page = (const char *)page.data;
    status = cairn_listing_run(&listing, NULL, options.limit, options.json, NULL);
    cairn_buf_done(&page);
    return status;
}

const struct cairn_command cairn_command_invocations_show = {
    .name = "invocations show",
    .arguments = "ID",
    .summary = "Shows a durable invocation that is open, and its journal",
    .flags = show_flags,
    .arguments_min = 1,
    .arguments_max = 1,
    .run = run_show,
};

/* --- cancel --- */

static const struct cairn_flag cancel_flags[] = {
    {.name = "now",
     .kind = CAIRN_FLAG_SWITCH,
     .help = "end them at once: their methods are not told, and put nothing back",
     .offset = offsetof(struct options, now)},
    CAIRN_FLAG_JSON(struct options),
    CAIRN_FLAG_NAMESPACE,
    {0},
};

static int cancel(const char *id, const struct options *options)
{
    struct cairn_ask ask = {.method = "DELETE", .json = options->json};
    struct cairn_answer answer;
    int status = CAIRN_EXIT_OK;

    cairn_ask_page(&ask, "invocations");
    cairn_ask_path(&ask, cairn_str(id));
    if (options->now)
        cairn_ask_query(&ask, "now", cairn_str("1"));
    if (cairn_ask(&ask, &answer, &status))
        printf(options->now ? "%s cancelled\n" : "%s cancelled: it is told at its next wait, and has 60 s to end\n",
               id);
    cairn_answer_done(&answer);
    return status;
}

static int run_cancel(int argc, char **argv)
{
    struct options options = {0};
    int status = CAIRN_EXIT_OK, left;

    if (!cairn_flags_parse(&cairn_command_invocations_cancel, argc, argv, &options, &left, &status))
        return status;
    for (int i = 0; i < left; i++) {
        int one = cancel(argv[i], &options);

        if (one == CAIRN_EXIT_UNREACHABLE)
            return one;
        if (one > status)
            status = one;
    }
    return status;
}

const struct cairn_command cairn_command_invocations_cancel = {
    .name = "invocations cancel",
    .arguments = "ID...",
    .summary = "Has durable invocations end with the error 'cancelled': they are told, and may put back what they did",
    .flags = cancel_flags,
    .arguments_min = 1,
    .arguments_max = -1,
    .run = run_cancel,
};

static const struct cairn_command *const subcommands[] = {
    &cairn_command_invocations_ls,
    &cairn_command_invocations_show,
    &cairn_command_invocations_cancel,
    NULL,
};

const struct cairn_command cairn_command_invocations = {
    .name = "invocations",
    .arguments = "ls|show|cancel ...",
    .summary = "Lists, shows and cancels durable invocations",
    .subcommands = subcommands,
};
