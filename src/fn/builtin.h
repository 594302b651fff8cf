/* builtin.h - modules that are in the binary, so that nothing has to be deployed by hand.
 *
 * They are made of functions/ by the build (meson.build); where there was no clang, there is none.
 * Threads: any.  Layer: fn; uses base. */
#ifndef CAIRN_FN_BUILTIN_H
#define CAIRN_FN_BUILTIN_H

#include "base/bytes.h"

struct cairn_builtin {
    const char *name;
    struct cairn_bytes wasm;
};

/* Ends with a name that is NULL. */
extern const struct cairn_builtin cairn_builtins[];

/* No data: there is none of that name. */
struct cairn_bytes cairn_builtin_wasm(const char *name);

#endif
