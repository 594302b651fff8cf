/* commands.h - the commands of `cairn`, one file each.  Layer: cli. */
#ifndef CAIRN_CLI_COMMANDS_H
#define CAIRN_CLI_COMMANDS_H

#include "cli/flags.h"

extern const struct cairn_command cairn_command_serve;

/* The whole program but its main function: argv[0] is the program's name. */
int cairn_cli(int argc, char **argv);

#endif
