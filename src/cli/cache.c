/* cairn cache: the cache of values. */
#include "cli/commands.h"

static const struct cairn_command *const subcommands[] = {
    &cairn_command_cache_ls,
    &cairn_command_cache_instances,
    &cairn_command_cache_why,
    &cairn_command_cache_reclaim,
    &cairn_command_cache_trace,
    &cairn_command_cache_simulate,
    NULL,
};

const struct cairn_command cairn_command_cache = {
    .name = "cache",
    .arguments = "[ls|instances|why|reclaim|trace|simulate]",
    .summary = "Shows the cache's large values, and what such a cache would do",
    .subcommands = subcommands,
};
