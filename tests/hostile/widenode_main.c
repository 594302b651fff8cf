/* `cairn` with time slices of WIDENODE_SLICE_MS milliseconds: a node on which beside_slow_test.py must fail.
 *
 * The program has no such setting, so the file that opens the sandbox is compiled once more, with its options changed
 * on the way. */
#include <stdlib.h>

#include "cli/commands.h"
#include "fn/fn.h"

static enum cairn_code create_wide(const struct cairn_fn_options *options, struct cairn_fn **ret_fn,
                                   struct cairn_err *err)
{
    struct cairn_fn_options wide = *options;
    const char *ms = getenv("WIDENODE_SLICE_MS");

    if (ms)
        wide.slice_ns = strtoull(ms, NULL, 10) * 1000000;
    return cairn_fn_create(&wide, ret_fn, err);
}

#define cairn_fn_create create_wide
#include "server/house.c"

int main(int argc, char **argv)
{
    return cairn_cli(argc, argv);
}
