#include "fn/check.h"

#include <stdio.h>
#include <stdlib.h>

#include "fn/fn_internal.h"

/* Exports by name: index + 1, open addressing.  A module may have tens of thousands. */
static uint32_t *index_exports(const struct cairn_wasm *wasm, uint32_t *ret_mask)
{
    uint32_t size = 16, *slots;

    while (size < 2 * wasm->export_count)
        size *= 2;
    slots = cairn_alloc_zeroed(size, sizeof *slots);
    for (uint32_t i = 0; i < wasm->export_count; i++) {
        uint32_t slot = (uint32_t)cairn_hash(wasm->exports[i].name) & (size - 1);
        while (slots[slot])
            slot = (slot + 1) & (size - 1);
        slots[slot] = i + 1;
    }
    *ret_mask = size - 1;
    return slots;
}

static const struct cairn_wasm_export *find_export(const struct cairn_wasm *wasm, const uint32_t *slots, uint32_t mask,
                                                   struct cairn_bytes name)
{
    for (uint32_t slot = (uint32_t)cairn_hash(name) & mask; slots[slot]; slot = (slot + 1) & mask)
        if (cairn_bytes_equal(wasm->exports[slots[slot] - 1].name, name))
            return &wasm->exports[slots[slot] - 1];
    return NULL;
}

static enum cairn_code check_exports(const struct cairn_wasm *wasm, const struct cairn_types *types,
                                     struct cairn_err *err)
{
    uint32_t mask, *slots = index_exports(wasm, &mask);
    enum cairn_code code = CAIRN_OK;

    for (size_t i = 0; i < types->type_count; i++)
        for (size_t k = 0; code == CAIRN_OK && k < types->types[i].method_count; k++) {
            const struct cairn_wasm_export *export;
            char name[FN_EXPORT_BYTES];

            fn_export_name(&types->types[i], &types->types[i].methods[k], name);
            export = find_export(wasm, slots, mask, cairn_str(name));
            if (!export || export->kind != 0)
                code = cairn_fail(err, CAIRN_EMODULE, "method %s is declared and not exported", name);
            else if (!export->is_method)
                code = cairn_fail(err, CAIRN_EMODULE,
                                  "method %s is exported with parameters or results; it must have none", name);
        }
    free(slots);
    return code;
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
