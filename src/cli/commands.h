/* commands.h - the commands of `cairn`.  Layer: cli. */
#ifndef CAIRN_CLI_COMMANDS_H
#define CAIRN_CLI_COMMANDS_H

#include "cli/flags.h"

extern const struct cairn_command cairn_command_serve;
extern const struct cairn_command cairn_command_build;
extern const struct cairn_command cairn_command_deploy;
extern const struct cairn_command cairn_command_call;
extern const struct cairn_command cairn_command_types;
extern const struct cairn_command cairn_command_objects;
extern const struct cairn_command cairn_command_objects_ls;
extern const struct cairn_command cairn_command_objects_show;
extern const struct cairn_command cairn_command_objects_rm;
extern const struct cairn_command cairn_command_objects_restore;
extern const struct cairn_command cairn_command_modules;
extern const struct cairn_command cairn_command_modules_ls;
extern const struct cairn_command cairn_command_modules_rollback;
extern const struct cairn_command cairn_command_modules_rm;
extern const struct cairn_command cairn_command_namespaces;
extern const struct cairn_command cairn_command_namespaces_ls;
extern const struct cairn_command cairn_command_namespaces_create;
extern const struct cairn_command cairn_command_namespaces_show;
extern const struct cairn_command cairn_command_namespaces_set;
extern const struct cairn_command cairn_command_namespaces_rm;
extern const struct cairn_command cairn_command_messages;
extern const struct cairn_command cairn_command_messages_ls;
extern const struct cairn_command cairn_command_messages_show;
extern const struct cairn_command cairn_command_messages_retry;
extern const struct cairn_command cairn_command_messages_drop;
extern const struct cairn_command cairn_command_snapshot;
extern const struct cairn_command cairn_command_versions;
extern const struct cairn_command cairn_command_versions_ls;
extern const struct cairn_command cairn_command_versions_rm;
extern const struct cairn_command cairn_command_restore;
extern const struct cairn_command cairn_command_export;
extern const struct cairn_command cairn_command_import;
extern const struct cairn_command cairn_command_invocations;
extern const struct cairn_command cairn_command_invocations_ls;
extern const struct cairn_command cairn_command_invocations_show;
extern const struct cairn_command cairn_command_invocations_cancel;
extern const struct cairn_command cairn_command_promises;
extern const struct cairn_command cairn_command_promises_resolve;
extern const struct cairn_command cairn_command_promises_reject;
extern const struct cairn_command cairn_command_timers;
extern const struct cairn_command cairn_command_timers_ls;
extern const struct cairn_command cairn_command_keeper;
extern const struct cairn_command cairn_command_keeper_ls;
extern const struct cairn_command cairn_command_keeper_stat;
extern const struct cairn_command cairn_command_keeper_get;
extern const struct cairn_command cairn_command_keeper_watch;
extern const struct cairn_command cairn_command_keeper_sessions;
extern const struct cairn_command cairn_command_keeper_dump;
extern const struct cairn_command cairn_command_keeper_load;
extern const struct cairn_command cairn_command_logs;
extern const struct cairn_command cairn_command_trace;
extern const struct cairn_command cairn_command_clock;
extern const struct cairn_command cairn_command_clock_show;
extern const struct cairn_command cairn_command_clock_accept;
extern const struct cairn_command cairn_command_cost;
extern const struct cairn_command cairn_command_cost_run;
extern const struct cairn_command cairn_command_cost_keeper;
extern const struct cairn_command cairn_command_cost_cache;
extern const struct cairn_command cairn_command_cache;
extern const struct cairn_command cairn_command_cache_ls;
extern const struct cairn_command cairn_command_cache_instances;
extern const struct cairn_command cairn_command_cache_why;
extern const struct cairn_command cairn_command_cache_reclaim;
extern const struct cairn_command cairn_command_cache_trace;
extern const struct cairn_command cairn_command_cache_simulate;
extern const struct cairn_command cairn_command_completion;

/* The whole program but its main function: argv[0] is the program's name. */
int cairn_cli(int argc, char **argv);

#endif
