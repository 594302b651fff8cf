/* cache.h - what the commands of `cairn cache` share.  Layer: cli. */
#ifndef CAIRN_CLI_CACHE_H
#define CAIRN_CLI_CACHE_H

#include "fleet/trace.h"

/* The trace in that file, "-": the standard input.  CAIRN_EXIT_OK, or told. */
int cairn_cache_trace_read(const char *path, struct cairn_trace *ret);

#endif
