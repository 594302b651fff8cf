/* cairn clock: the node's time beside the wall clock. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "cli/client.h"
#include "cli/clock.h"
#include "cli/commands.h"
#include "cli/moment.h"
#include "cli/print.h"

struct options {
    bool json;
};

static const struct cairn_flag flags[] = {CAIRN_FLAG_JSON(struct options), {0}};

static void print_line(const char *label, int64_t ms)
{
    struct cairn_buf text = {0};

    cairn_inline_time(&text, ms);
    printf("%-12s  %.*s\n", label, (int)text.size, (const char *)text.data);
    cairn_buf_done(&text);
}

/* [node's ms, wall ms, ms behind, ms of a jump] */
static void print_clock(struct cairn_bytes encoded)
{
    struct cairn_reader r = cairn_reader(encoded);
    int64_t behind, jump;

    cairn_value_read(&r);
    print_line("node's time", cairn_value_read(&r).integer);
    print_line("wall clock", cairn_value_read(&r).integer);
    behind = cairn_value_read(&r).integer;
    jump = cairn_value_read(&r).integer;
    if (jump)
        printf("The wall clock has jumped %s by %.1f s, and the node's time does not follow.\n"
               "Set the clock right, or, if it is right, run: cairn clock accept\n",
               jump > 0 ? "forward" : "back", (double)(jump > 0 ? jump : -jump) / 1e3);
    else if (behind)
        printf("The node's time is %.3f s %s; it runs at most 10 %% %s until it is there.\n",
               (double)(behind > 0 ? behind : -behind) / 1e3, behind > 0 ? "behind" : "ahead",
               behind > 0 ? "faster" : "slower");
}

int cairn_clock_check_moment(const char *text)
{
    enum { OFF_MS_MAX = 5000 };
    struct cairn_ask ask = {.method = "GET"};
    struct cairn_answer answer;
    char moment[CAIRN_MOMENT_TEXT_BYTES];
    int status = CAIRN_EXIT_OK;

    if (!text[strspn(text, "0123456789")])
        return CAIRN_EXIT_OK;
    cairn_buf_str(&ask.target, "/v1/clock");
    if (cairn_ask(&ask, &answer, &status)) {
        struct cairn_reader r = cairn_reader(cairn_buf_bytes(&answer.value));
        int64_t now, wall;

        cairn_value_read(&r);
        now = cairn_value_read(&r).integer;
        wall = cairn_value_read(&r).integer;
        if (!r.bad && llabs(now - wall) > OFF_MS_MAX)
            status = cairn_complain(
                CAIRN_EXIT_USAGE,
                "'%s' could mean two moments: the node's time is %s, %.1f s %s its wall clock (cairn clock); give the "
                "node's time in milliseconds since 1970 (now %" PRId64 ")",
                text, cairn_moment_text((uint64_t)now, moment), (double)llabs(now - wall) / 1e3,
                now < wall ? "behind" : "ahead of", now);
    }
    cairn_answer_done(&answer);
    return status;
}

static int ask(const struct cairn_command *command, const char *method, const char *target, int argc, char **argv)
{
    struct options options = {0};
    struct cairn_ask ask = {.method = method};
    struct cairn_answer answer;
    int status = CAIRN_EXIT_OK, left;

    if (!cairn_flags_parse(command, argc, argv, &options, &left, &status))
        return status;
    ask.json = options.json;
    cairn_buf_str(&ask.target, target);
    if (cairn_ask(&ask, &answer, &status))
        print_clock(cairn_buf_bytes(&answer.value));
    cairn_answer_done(&answer);
    return status;
}

static int run_show(int argc, char **argv)
{
    return ask(&cairn_command_clock_show, "GET", "/v1/clock", argc, argv);
}

static int run_accept(int argc, char **argv)
{
    return ask(&cairn_command_clock_accept, "POST", "/v1/clock/accept", argc, argv);
}

const struct cairn_command cairn_command_clock_show = {
    .name = "clock show",
    .arguments = "",
    .summary = "Shows the node's time beside its machine's wall clock",
    .flags = flags,
    .run = run_show,
};

const struct cairn_command cairn_command_clock_accept = {
    .name = "clock accept",
    .arguments = "",
    .summary = "Has the node's time follow a wall clock that has jumped",
    .more = "Forward, the node's time moves there at once: idempotency keys age by as much.  Back, it never goes:\n"
            "it runs 10 % slower until the wall clock has caught up.",
    .flags = flags,
    .run = run_accept,
};

static const struct cairn_command *const subcommands[] = {
    &cairn_command_clock_show,
    &cairn_command_clock_accept,
    NULL,
};

const struct cairn_command cairn_command_clock = {
    .name = "clock",
    .arguments = "[show]|accept",
    .summary = "Shows the node's time, and accepts a jump of the wall clock",
    .subcommands = subcommands,
};
