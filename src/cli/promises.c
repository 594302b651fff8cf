/* cairn promises resolve|reject: what a durable method waits for is said. */
#include <stdio.h>

#include "cli/client.h"
#include "cli/commands.h"

struct options {
    bool json;
};

static const struct cairn_flag flags[] = {CAIRN_FLAG_JSON(struct options), CAIRN_FLAG_NAMESPACE, {0}};

/* NULL: nothing. */
static int settle(const char *id, bool rejects, const char *code, const char *text, bool json)
{
    struct cairn_ask ask = {.method = "POST", .json = json};
    struct cairn_answer answer;
    int status = CAIRN_EXIT_OK;

    cairn_ask_page(&ask, "promises");
    cairn_ask_path(&ask, cairn_str(id));
    if (rejects)
        cairn_ask_path(&ask, cairn_str("reject"));
    if (code)
        cairn_ask_query(&ask, "code", cairn_str(code));
    if (text) {
        ask.body_type = "text/plain";
        ask.body = cairn_str(text);
    }
    if (cairn_ask(&ask, &answer, &status))
        printf("%s\n", rejects ? "rejected" : "resolved");
    cairn_answer_done(&answer);
    return status;
}

static int run_resolve(int argc, char **argv)
{
    struct options options = {0};
    int status = CAIRN_EXIT_OK, left;

    if (!cairn_flags_parse(&cairn_command_promises_resolve, argc, argv, &options, &left, &status))
        return status;
    return settle(argv[0], false, NULL, left > 1 ? argv[1] : NULL, options.json);
}

static int run_reject(int argc, char **argv)
{
    struct options options = {0};
    int status = CAIRN_EXIT_OK, left;

    if (!cairn_flags_parse(&cairn_command_promises_reject, argc, argv, &options, &left, &status))
        return status;
    return settle(argv[0], true, left > 1 ? argv[1] : NULL, left > 2 ? argv[2] : NULL, options.json);
}

const struct cairn_command cairn_command_promises_resolve = {
    .name = "promises resolve",
    .arguments = "ID [VALUE]",
    .summary = "Gives a promise its outcome: the method that waits for it goes on",
    .flags = flags,
    .arguments_min = 1,
    .arguments_max = 2,
    .run = run_resolve,
};

const struct cairn_command cairn_command_promises_reject = {
    .name = "promises reject",
    .arguments = "ID [CODE [MESSAGE]]",
    .summary = "Gives a promise an error for its outcome; without a code 'rejected'",
    .flags = flags,
    .arguments_min = 1,
    .arguments_max = 3,
    .run = run_reject,
};

static const struct cairn_command *const subcommands[] = {
    &cairn_command_promises_resolve,
    &cairn_command_promises_reject,
    NULL,
};

const struct cairn_command cairn_command_promises = {
    .name = "promises",
    .arguments = "resolve|reject ...",
    .summary = "Says the outcome that a durable method waits for",
    .subcommands = subcommands,
};
