/* The section cairn.types, and whole binaries as a node looks at them before compiling.  Catches: reads beyond the
 * bytes at hand, endless loops and failed assertions on any bytes; declarations that break the format's own rules; and
 * ones that are not the same when they are written down and read again.
 *
 * Input: a byte that says what follows (odd: a binary), then that. */
#include <stdio.h>
#include <stdlib.h>

#include "fn/check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool condition)
{
    if (!condition)
        abort();
}

static void write_down(const struct cairn_types *types, struct cairn_buf *to)
{
    static const char *const kinds[] = {"", "value", "list", "map", "ordered"};

    cairn_buf_printf(to, "abi %d\nmodule %s\n", CAIRN_ABI, types->module);
    for (size_t i = 0; i < types->type_count; i++) {
        const struct cairn_type_decl *type = &types->types[i];

        cairn_buf_printf(to, "type %s\n", type->name);
        for (size_t k = 0; k < type->field_count; k++)
            cairn_buf_printf(to, "field %s %u %s %s\n", type->name, type->fields[k].number, type->fields[k].name,
                             kinds[type->fields[k].kind]);
        for (size_t k = 0; k < type->method_count; k++)
            cairn_buf_printf(to, "method %s %s %s%s%s\n", type->name, type->methods[k].name,
                             type->methods[k].is_public ? "public" : "internal",
                             type->methods[k].read_only ? " read-only" : "",
                             type->methods[k].deterministic ? " deterministic" : "");
    }
}

static void check_rules(const struct cairn_types *types)
{
    must(types->module && cairn_name_valid(cairn_str(types->module)));
    must(types->type_count > 0 && types->type_count <= CAIRN_MODULE_TYPES_MAX);
    for (size_t i = 0; i < types->type_count; i++) {
        const struct cairn_type_decl *type = &types->types[i];

        must(cairn_name_valid(cairn_str(type->name)));
        must(cairn_types_type(types, cairn_str(type->name)) == type); /* the only one of that name */
        must(type->method_count <= CAIRN_TYPE_METHODS_MAX);
        for (size_t k = 0; k < type->field_count; k++) {
            must(cairn_name_valid(cairn_str(type->fields[k].name)));
            must(type->fields[k].number <= CAIRN_FIELD_NUMBER_MAX);
            for (size_t j = 0; j < k; j++)
                must(type->fields[j].number != type->fields[k].number &&
                     strcmp(type->fields[j].name, type->fields[k].name) != 0);
        }
        for (size_t k = 0; k < type->method_count; k++)
            must(cairn_types_method(type, cairn_str(type->methods[k].name)) == &type->methods[k]);
    }
}

static void try_section(struct cairn_bytes section)
{
    struct cairn_types types, again;
    struct cairn_buf first = {0}, second = {0};
    struct cairn_err err = {0};
    enum cairn_code code = cairn_types_parse(section, &types, &err);

    if (code != CAIRN_OK) {
        must((code == CAIRN_EMODULE || code == CAIRN_EVERSION) && err.code == code && err.text[0]);
        return;
    }
    check_rules(&types);
    write_down(&types, &first);
    must(cairn_types_parse(cairn_buf_bytes(&first), &again, &err) == CAIRN_OK);
    write_down(&again, &second);
    must(cairn_bytes_equal(cairn_buf_bytes(&first), cairn_buf_bytes(&second)));
    cairn_buf_done(&first);
    cairn_buf_done(&second);
    cairn_types_done(&types);
    cairn_types_done(&again);
}

static bool within(struct cairn_bytes part, struct cairn_bytes whole)
{
    return part.data >= whole.data && part.data + part.size <= whole.data + whole.size;
}

static void try_binary(struct cairn_bytes binary)
{
    struct cairn_wasm wasm;
    struct cairn_types types;
    struct cairn_err err = {0};
    enum cairn_code code = cairn_module_check(binary, &wasm, &types, &err);

    if (code != CAIRN_OK) {
        must((code == CAIRN_EMODULE || code == CAIRN_EVERSION) && err.code == code && err.text[0]);
        return;
    }
    check_rules(&types);
    must(within(wasm.types, binary));
    for (size_t i = 0; i < wasm.export_count; i++)
        must(within(wasm.exports[i].name, binary));
    for (uint32_t i = 0; i < wasm.global_count; i++)
        must(within(wasm.globals[i], binary));
    must(wasm.reusable == !wasm.why_not);
    cairn_types_done(&types);
    cairn_wasm_done(&wasm);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    if (data[0] & 1)
        try_binary(cairn_bytes(data + 1, size - 1));
    else
        try_section(cairn_bytes(data + 1, size - 1));
    return 0;
}
