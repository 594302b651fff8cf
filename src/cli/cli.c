/* The command line: finds the command and runs it. */
#include <stdlib.h>
#include <string.h>

#include "base/suggest.h"
#include "cli/commands.h"
#include "fn/fn.h"
#include "server/version.h"

/* --- the commands that need no file of their own --- */

static const struct cairn_command command_version, command_help;

/* clang-format off: one a line, so that a new one is one line */
const struct cairn_command *const cairn_commands[] = {
    &cairn_command_serve,
    &cairn_command_build,
    &cairn_command_deploy,
    &cairn_command_call,
    &cairn_command_types,
    &cairn_command_objects,
    &cairn_command_modules,
    &cairn_command_namespaces,
    &cairn_command_invocations,
    &cairn_command_promises,
    &cairn_command_timers,
    &cairn_command_messages,
    &cairn_command_logs,
    &cairn_command_keeper,
    &cairn_command_trace,
    &cairn_command_snapshot,
    &cairn_command_versions,
    &cairn_command_restore,
    &cairn_command_export,
    &cairn_command_import,
    &cairn_command_clock,
    &cairn_command_cache,
    &cairn_command_cost,
    &cairn_command_completion,
    &command_version,
    &command_help,
    NULL,
};
/* clang-format on */

static void print_overview(FILE *to)
{
    fprintf(to, "cairn %s: functions next to their data\n\nusage: cairn COMMAND [arguments] [flags]\n\n",
            CAIRN_VERSION);
    for (size_t i = 0; cairn_commands[i]; i++)
        fprintf(to, "  %-10s  %s\n", cairn_commands[i]->name, cairn_commands[i]->summary);
    fputs("\n'cairn COMMAND --help' tells more.  CAIRN_URL names the node (http://127.0.0.1:7070).\n", to);
}

static const struct cairn_command *find(const struct cairn_command *const *commands, const char *name)
{
    for (size_t i = 0; commands[i]; i++) {
        if (strcmp(name, cairn_command_word(commands[i])) == 0)
            return commands[i];
    }
    return NULL;
}

static void offer(struct cairn_suggest *suggest, const struct cairn_command *const *commands)
{
    for (size_t i = 0; commands && commands[i]; i++)
        cairn_suggest_offer(suggest, cairn_str(cairn_command_word(commands[i])), cairn_str(commands[i]->name));
}

/* Of a group, or of all.  `cairn show` may have meant `cairn objects show`. */
static int complain_unknown(const struct cairn_command *group, const char *word)
{
    struct cairn_suggest suggest = {.typed = cairn_str(word)};
    char list[64] = "cairn help";

    if (word[0] == '-' && !group)
        return cairn_complain(CAIRN_EXIT_USAGE,
                              "there is no flag '%s' here: flags come behind a command ('cairn help' lists them)",
                              word);
    offer(&suggest, group ? group->subcommands : cairn_commands);
    for (size_t i = 0; !group && cairn_commands[i]; i++)
        offer(&suggest, cairn_commands[i]->subcommands);
    if (group)
        snprintf(list, sizeof list, "cairn %s --help", group->name);
    if (!suggest.name.data)
        return cairn_complain(CAIRN_EXIT_USAGE, "there is no command '%s%s%s'; '%s' lists all",
                              group ? group->name : "", group ? " " : "", word, list);
    return cairn_complain(CAIRN_EXIT_USAGE, "there is no command '%s%s%s'; did you mean 'cairn %.*s'? ('%s' lists all)",
                          group ? group->name : "", group ? " " : "", word, (int)suggest.name.size,
                          (const char *)suggest.name.data, list);
}

static void print_group(const struct cairn_command *group, FILE *to)
{
    fprintf(to, "cairn %s %s\n\n%s.\n\n", group->name, group->arguments, group->summary);
    for (size_t i = 0; group->subcommands[i]; i++) {
        char text[64];

        snprintf(text, sizeof text, "%s %s", group->subcommands[i]->name, group->subcommands[i]->arguments);
        fprintf(to, "  cairn %-24s %s\n", text, group->subcommands[i]->summary);
    }
    fprintf(to, "\n'cairn %s COMMAND --help' tells more.\n", group->name);
}

static bool asks_for_help(const char *word)
{
    return strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0;
}

static int run_group(const struct cairn_command *group, int argc, char **argv)
{
    const struct cairn_command *command;

    if (argc > 0 && asks_for_help(argv[0])) {
        print_group(group, stdout);
        return CAIRN_EXIT_OK;
    }
    /* `cairn modules` alone lists them. */
    if ((argc == 0 || argv[0][0] == '-') && group->subcommands[0]->arguments_min == 0)
        return group->subcommands[0]->run(argc, argv);
    command = argc > 0 ? find(group->subcommands, argv[0]) : NULL;
    if (command)
        return command->run(argc - 1, argv + 1);
    if (argc > 0)
        return complain_unknown(group, argv[0]);
    print_group(group, stderr);
    return CAIRN_EXIT_USAGE;
}

static int run_version(int argc, char **argv)
{
    int status = CAIRN_EXIT_OK, left;

    if (!cairn_flags_parse(&command_version, argc, argv, NULL, &left, &status))
        return status;
    printf("cairn %s\n", CAIRN_VERSION);
    return CAIRN_EXIT_OK;
}

static const struct cairn_command command_version = {
    .name = "version",
    .arguments = "",
    .summary = "Prints this program's version",
    .run = run_version,
};

static int run_help(int argc, char **argv)
{
    const struct cairn_command *command = argc > 0 ? find(cairn_commands, argv[0]) : NULL, *group = NULL;

    if (argc == 0 || asks_for_help(argv[0])) {
        print_overview(stdout);
        return CAIRN_EXIT_OK;
    }
    if (command && command->subcommands && argc > 1) {
        group = command;
        command = find(group->subcommands, argv[1]);
    }
    if (!command)
        return complain_unknown(group, argv[group ? 1 : 0]);
    if (command->subcommands) {
        print_group(command, stdout);
    } else {
        cairn_flags_help(command, stdout);
    }
    return CAIRN_EXIT_OK;
}

static const struct cairn_command command_help = {
    .name = "help",
    .arguments = "[COMMAND]",
    .summary = "Tells about a command",
    .arguments_max = 2,
    .run = run_help,
};

int cairn_cli(int argc, char **argv)
{
    const struct cairn_command *command;
    int status;

    if (argc < 2) {
        print_overview(stderr);
        return CAIRN_EXIT_USAGE;
    }
    if (strcmp(argv[1], "compile-module") == 0) /* what a node starts, no command for people */
        return cairn_fn_compile_child();
    if (asks_for_help(argv[1]))
        command = &command_help;
    else if (strcmp(argv[1], "--version") == 0 || strcmp(argv[1], "-v") == 0)
        command = &command_version;
    else
        command = find(cairn_commands, argv[1]);
    if (!command)
        return complain_unknown(NULL, argv[1]);
    status = command->subcommands ? run_group(command, argc - 2, argv + 2) : command->run(argc - 2, argv + 2);
    if (fflush(stdout) != 0 && status == CAIRN_EXIT_OK)
        status = cairn_complain(CAIRN_EXIT_FAILED, "writing the output failed");
    return status;
}
