#include "fn/builtin.h"

#include <string.h>

struct cairn_bytes cairn_builtin_wasm(const char *name)
{
    for (const struct cairn_builtin *builtin = cairn_builtins; builtin->name; builtin++)
        if (strcmp(builtin->name, name) == 0)
            return builtin->wasm;
    return cairn_bytes(NULL, 0);
}
