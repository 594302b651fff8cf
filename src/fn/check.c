#include "fn/check.h"

#include <stdio.h>

#include "fn/fn_internal.h"

static enum cairn_code check_exports(const struct cairn_wasm *wasm, const struct cairn_types *types,
                                     struct cairn_err *err)
{
    for (size_t i = 0; i < types->type_count; i++)
        for (size_t k = 0; k < types->types[i].method_count; k++) {
            char name[FN_EXPORT_BYTES];
            bool is_function;

            fn_export_name(&types->types[i], &types->types[i].methods[k], name);
            if (!cairn_wasm_exports(wasm, cairn_str(name), &is_function))
                return cairn_fail(err, CAIRN_EMODULE,
                                  is_function ? "method %s is exported with parameters or results; it must have none"
                                              : "method %s is declared and not exported",
                                  name);
        }
    return CAIRN_OK;
}

enum cairn_code cairn_module_check(struct cairn_bytes binary, struct cairn_wasm *ret_wasm,
                                   struct cairn_types *ret_types, struct cairn_err *err)
{
    struct cairn_wasm wasm;
    struct cairn_types types = {0};
    enum cairn_code code = cairn_wasm_scan(binary, fn_host_knows, &wasm, err);

    if (code != CAIRN_OK)
        return code;
    code = cairn_types_parse(wasm.types, &types, err);
    if (code == CAIRN_OK)
        code = check_exports(&wasm, &types, err);
    if (code != CAIRN_OK) {
        cairn_types_done(&types);
        cairn_wasm_done(&wasm);
        return code;
    }
    *ret_wasm = wasm;
    *ret_types = types;
    return CAIRN_OK;
}

void fn_export_name(const struct cairn_type_decl *type, const struct cairn_method_decl *method,
                    char name[FN_EXPORT_BYTES])
{
    snprintf(name, FN_EXPORT_BYTES, "%s.%s", type->name, method->name);
}
