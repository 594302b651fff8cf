/* cairn messages ls, show, retry, drop: messages between objects, and dead letters. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cli/commands.h"
#include "cli/listing.h"

struct options {
    uint64_t limit;
    bool json, dead, all;
};

/* As CAIRN_OP_MESSAGES has it (object/object.h). */
struct item {
    struct cairn_bytes number, state, type, id, method, from_type, from_id;
    int64_t sent_ms, due_ms, attempts;
    struct cairn_bytes code, text, effects;
    int64_t args_bytes;
    struct cairn_bytes args; /* an encoded list */
};

static struct item read_item(struct cairn_reader *r)
{
    struct item item;

    item.number = cairn_value_read(r).bytes;
    item.state = cairn_value_read(r).bytes;
    item.type = cairn_value_read(r).bytes;
    item.id = cairn_value_read(r).bytes;
    item.method = cairn_value_read(r).bytes;
    item.from_type = cairn_value_read(r).bytes;
    item.from_id = cairn_value_read(r).bytes;
    item.sent_ms = cairn_value_read(r).integer;
    item.due_ms = cairn_value_read(r).integer;
    item.attempts = cairn_value_read(r).integer;
    item.code = cairn_value_read(r).bytes;
    item.text = cairn_value_read(r).bytes;
    item.effects = cairn_value_read(r).bytes;
    item.args_bytes = cairn_value_read(r).integer;
    item.args = cairn_value_whole(r);
    return item;
}

static bool is_dead(const struct item *item)
{
    return cairn_bytes_equal(item->state, cairn_str("dead"));
}

/* --- ls --- */

static const struct cairn_flag ls_flags[] = {
    {.name = "dead",
     .kind = CAIRN_FLAG_SWITCH,
     .help = "dead letters: those that failed for good",
     .offset = offsetof(struct options, dead)},
    CAIRN_FLAG_LIMIT(struct options, "at most so many (all, up to 100000)"),
    CAIRN_FLAG_JSON(struct options),
    CAIRN_FLAG_NAMESPACE,
    {0},
};

static void row(struct cairn_table *table, struct cairn_reader *r, struct cairn_buf *text)
{
    struct item item = read_item(r);

    cairn_table_cell(table, item.number.size ? item.number : cairn_str("-"));
    cairn_table_cell(table, is_dead(&item) ? item.code : item.state);
    cairn_inline_object(text, item.type, item.id);
    cairn_buf_u8(text, ' ');
    cairn_inline_text(text, item.method);
    cairn_listing_cell(table, text);
    cairn_inline_object(text, item.from_type, item.from_id);
    cairn_listing_cell(table, text);
    cairn_inline_time(text, item.sent_ms);
    cairn_listing_cell(table, text);
    cairn_buf_printf(text, "%" PRId64, item.attempts);
    cairn_listing_cell(table, text);
}

static const struct cairn_listing waiting = {
    .page = "messages", .headings = {"NUMBER", "STATE", "TO", "FROM", "SENT", "ATTEMPTS"}, .row = row};
static const struct cairn_listing dead = {
    .page = "messages", .headings = {"NUMBER", "ERROR", "TO", "FROM", "SENT", "ATTEMPTS"}, .row = row};

static int run_ls(int argc, char **argv)
{
    struct options options = {0};
    int status = CAIRN_EXIT_OK, left;

    if (!cairn_flags_parse(&cairn_command_messages_ls, argc, argv, &options, &left, &status))
        return status;
    return cairn_listing_run(options.dead ? &dead : &waiting, left > 0 ? argv[0] : NULL, options.limit, options.json,
                             options.dead ? "dead" : NULL);
}

const struct cairn_command cairn_command_messages_ls = {
    .name = "messages ls",
    .arguments = "[TYPE[/ID]]",
    .summary = "Lists messages that wait, or dead letters, of all or of those to an object",
    .flags = ls_flags,
    .arguments_max = 1,
    .run = run_ls,
};

/* --- show --- */

static const struct cairn_flag show_flags[] = {CAIRN_FLAG_JSON(struct options), CAIRN_FLAG_NAMESPACE, {0}};

static void add_line(struct cairn_buf *to, const char *name)
{
    if (to->size)
        cairn_buf_u8(to, '\n');
    cairn_buf_printf(to, "%-9s ", name);
}

static void print_one(struct cairn_bytes encoded)
{
    struct cairn_reader r = cairn_reader(encoded), args;
    struct cairn_buf text = {0};
    struct item item;

    cairn_value_read(&r);
    item = read_item(&r);
    args = cairn_reader(item.args);
    add_line(&text, "number");
    cairn_buf_add(&text, item.number.data, item.number.size);
    add_line(&text, "state");
    cairn_buf_add(&text, item.state.data, item.state.size);
    add_line(&text, "to");
    cairn_inline_object(&text, item.type, item.id);
    cairn_buf_u8(&text, ' ');
    cairn_inline_text(&text, item.method);
    add_line(&text, "from");
    cairn_inline_object(&text, item.from_type, item.from_id);
    add_line(&text, "sent");
    cairn_inline_time(&text, item.sent_ms);
    if (item.due_ms) {
        add_line(&text, is_dead(&item) ? "given up" : "due");
        cairn_inline_time(&text, item.due_ms);
    }
    add_line(&text, "attempts");
    cairn_buf_printf(&text, "%" PRId64, item.attempts);
    if (item.code.size) {
        add_line(&text, "error");
        cairn_inline_text(&text, item.code);
        cairn_buf_str(&text, ": ");
        cairn_inline_text(&text, item.text);
    }
    if (is_dead(&item)) {
        add_line(&text, "effects");
        cairn_buf_add(&text, item.effects.data, item.effects.size);
    }
    add_line(&text, "arguments");
    cairn_inline_value(&text, &args);
    cairn_buf_printf(&text, ", %" PRId64 " bytes\n", item.args_bytes);
    fwrite(text.data, 1, text.size, stdout);
    cairn_buf_done(&text);
}

static int run_show(int argc, char **argv)
{
    struct options options = {0};
    struct cairn_ask ask = {.method = "GET"};
    struct cairn_answer answer;
    int status = CAIRN_EXIT_OK, left;

    if (!cairn_flags_parse(&cairn_command_messages_show, argc, argv, &options, &left, &status))
        return status;
    ask.json = options.json;
    cairn_ask_page(&ask, "messages");
    cairn_ask_path(&ask, cairn_str(argv[0]));
    if (cairn_ask(&ask, &answer, &status))
        print_one(cairn_buf_bytes(&answer.value));
    cairn_answer_done(&answer);
    return status;
}

const struct cairn_command cairn_command_messages_show = {
    .name = "messages show",
    .arguments = "NUMBER",
    .summary = "Shows a message: its error, attempts, effects and arguments",
    .flags = show_flags,
    .arguments_min = 1,
    .arguments_max = 1,
    .run = run_show,
};

/* --- retry and drop --- */

static const struct cairn_flag change_flags[] = {
    {.name = "all",
     .kind = CAIRN_FLAG_SWITCH,
     .help = "all dead letters of the namespace",
     .offset = offsetof(struct options, all)},
    CAIRN_FLAG_JSON(struct options),
    CAIRN_FLAG_NAMESPACE,
    {0},
};

/* NULL: all. */
static int change(const char *number, bool retry, bool json)
{
    struct cairn_ask ask = {.method = retry ? "POST" : "DELETE", .json = json};
    struct cairn_answer answer;
    int status = CAIRN_EXIT_OK;

    cairn_ask_page(&ask, "messages");
    if (number)
        cairn_ask_path(&ask, cairn_str(number));
    if (retry)
        cairn_ask_path(&ask, cairn_str("retry"));
    if (cairn_ask(&ask, &answer, &status)) {
        struct cairn_reader r = cairn_reader(cairn_buf_bytes(&answer.value));
        int64_t count = cairn_value_read(&r).integer;

        if (number)
            printf("%s %s\n", number, retry ? "is tried again" : "dropped");
        else
            printf("%" PRId64 " %s %s\n", count, count == 1 ? "dead letter" : "dead letters",
                   retry ? "tried again" : "dropped");
    }
    cairn_answer_done(&answer);
    return status;
}

static int run_change(const struct cairn_command *command, bool retry, int argc, char **argv)
{
    struct options options = {0};
    int status = CAIRN_EXIT_OK, left;

    if (!cairn_flags_parse(command, argc, argv, &options, &left, &status))
        return status;
    if (options.all == (left > 0))
        return cairn_complain(CAIRN_EXIT_USAGE,
                              "give the numbers of messages, of 'cairn messages ls' or 'ls --dead', or --all");
    if (options.all)
        return change(NULL, retry, options.json);
    for (int i = 0; i < left; i++) {
        int one = change(argv[i], retry, options.json);

        if (one == CAIRN_EXIT_UNREACHABLE)
            return one;
        if (one > status)
            status = one;
    }
    return status;
}

static int run_retry(int argc, char **argv)
{
    return run_change(&cairn_command_messages_retry, true, argc, argv);
}

static int run_drop(int argc, char **argv)
{
    return run_change(&cairn_command_messages_drop, false, argc, argv);
}

const struct cairn_command cairn_command_messages_retry = {
    .name = "messages retry",
    .arguments = "[NUMBER...]",
    .summary = "Makes dead letters messages again: they run from the beginning",
    .flags = change_flags,
    .arguments_max = -1,
    .run = run_retry,
};

const struct cairn_command cairn_command_messages_drop = {
    .name = "messages drop",
    .arguments = "[NUMBER...]",
    .summary = "Removes dead letters, or messages that wait, by their numbers",
    .flags = change_flags,
    .arguments_max = -1,
    .run = run_drop,
};

static const struct cairn_command *const subcommands[] = {
    &cairn_command_messages_ls,
    &cairn_command_messages_show,
    &cairn_command_messages_retry,
    &cairn_command_messages_drop,
    NULL,
};

const struct cairn_command cairn_command_messages = {
    .name = "messages",
    .arguments = "ls|show|retry|drop ...",
    .summary = "Lists messages between objects; tries dead letters again, or drops them",
    .subcommands = subcommands,
};
