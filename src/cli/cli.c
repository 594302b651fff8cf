/* The command line: finds the command and runs it. */
#include <stdlib.h>
#include <string.h>

#include "cli/commands.h"
#include "server/version.h"

const struct cairn_command *const cairn_commands[] = {
    &cairn_command_serve,
    NULL,
};

static void print_overview(FILE *to)
{
    fprintf(to, "cairn %s - functions next to their data\n\nusage: cairn COMMAND [arguments] [flags]\n\n",
            CAIRN_VERSION);
    for (size_t i = 0; cairn_commands[i]; i++)
        fprintf(to, "  %-10s %s\n", cairn_commands[i]->name, cairn_commands[i]->summary);
    fputs("\n'cairn COMMAND --help' tells more.  CAIRN_URL names the node (http://127.0.0.1:7070).\n", to);
}

int cairn_cli(int argc, char **argv)
{
    if (argc < 2) {
        print_overview(stderr);
        return CAIRN_EXIT_USAGE;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) {
        print_overview(stdout);
        return CAIRN_EXIT_OK;
    }
    for (size_t i = 0; cairn_commands[i]; i++)
        if (strcmp(argv[1], cairn_commands[i]->name) == 0)
            return cairn_commands[i]->run(argc - 2, argv + 2);
    cairn_complain(0, "there is no command '%s'; these there are:", argv[1]);
    for (size_t i = 0; cairn_commands[i]; i++)
        fprintf(stderr, "  %-10s %s\n", cairn_commands[i]->name, cairn_commands[i]->summary);
    return CAIRN_EXIT_USAGE;
}
