/* cairn cache: the cache of values. */
#include "cli/commands.h"

static const struct cairn_command *const subcommands[] = {
    &cairn_command_cache_trace,
    &cairn_command_cache_simulate,
    NULL,
};

const struct cairn_command cairn_command_cache = {
    .name = "cache",
    .arguments = "[trace|simulate]",
    .summary = "Tells what a cache in instances' memory would do",
    .subcommands = subcommands,
};
