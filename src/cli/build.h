/* build.h - `cairn build`: C sources to a module, by clang.  Layer: cli. */
#ifndef CAIRN_CLI_BUILD_H
#define CAIRN_CLI_BUILD_H

#include "cli/flags.h"

/* With flags, for --help and shell completion. */
extern const struct cairn_command cairn_command_build;

/* The command's arguments without its name; returns the exit status. */
int cairn_build(int argc, char **argv);

#endif
