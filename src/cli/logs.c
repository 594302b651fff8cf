/* cairn logs */
#include <inttypes.h>
#include <stdlib.h>
#include <time.h>

#include "cli/client.h"
#include "cli/commands.h"
#include "cli/print.h"

struct options {
    uint64_t limit;
    bool json;
};

static const struct cairn_flag flags[] = {
    CAIRN_FLAG_LIMIT(struct options, "at most so many lines, the newest (100)"),
    CAIRN_FLAG_JSON(struct options),
    CAIRN_FLAG_NAMESPACE,
    {0},
};

/* [ms, level, type, id, method, line, job] each */
static void print_lines(struct cairn_bytes encoded)
{
    static const char *const levels[] = {"debug", "info", "warning", "error"};
    struct cairn_reader r = cairn_reader(encoded);
    uint64_t count = cairn_value_read(&r).count;
    struct cairn_buf text = {0};

    for (uint64_t i = 0; i < count && !r.bad; i++) {
        int64_t level;

        cairn_value_read(&r);
        text.size = 0;
        cairn_inline_time(&text, cairn_value_read(&r).integer);
        level = cairn_value_read(&r).integer;
        cairn_buf_printf(&text, "  %-7s  ", level >= 0 && level <= 3 ? levels[level] : "?");
        cairn_inline_text(&text, cairn_value_read(&r).bytes);
        cairn_buf_u8(&text, '/');
        cairn_inline_text(&text, cairn_value_read(&r).bytes);
        cairn_buf_u8(&text, ' ');
        cairn_inline_text(&text, cairn_value_read(&r).bytes);
        cairn_buf_str(&text, "  ");
        cairn_inline_text(&text, cairn_value_read(&r).bytes);
        cairn_buf_str(&text, "  job=");
        cairn_inline_text(&text, cairn_value_read(&r).bytes);
        cairn_buf_u8(&text, '\n');
        fwrite(text.data, 1, text.size, stdout);
    }
    cairn_buf_done(&text);
}

static int run(int argc, char **argv)
{
    struct options options = {.limit = 100};
    struct cairn_ask ask = {.method = "GET", .lists = true};
    struct cairn_answer answer;
    char limit[24];
    int status = CAIRN_EXIT_OK, left;

    if (!cairn_flags_parse(&cairn_command_logs, argc, argv, &options, &left, &status))
        return status;
    snprintf(limit, sizeof limit, "%" PRIu64, options.limit);
    cairn_ask_page(&ask, "logs");
    cairn_ask_query(&ask, "limit", cairn_str(limit));
    ask.json = options.json;
    if (cairn_ask(&ask, &answer, &status))
        print_lines(cairn_buf_bytes(&answer.value));
    cairn_answer_done(&answer);
    return status;
}

const struct cairn_command cairn_command_logs = {
    .name = "logs",
    .arguments = "",
    .summary = "Shows what functions have logged lately, oldest first",
    .flags = flags,
    .run = run,
};
