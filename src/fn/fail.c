#include "fn/fn_internal.h"

enum cairn_code fn_fail_error(struct cairn_err *err, enum cairn_code code, const char *what, wasmtime_error_t *error)
{
    wasm_byte_vec_t text;

    wasmtime_error_message(error, &text);
    cairn_fail(err, code, "%s: %.*s", what, (int)(text.size < 300 ? text.size : 300), text.data);
    wasm_byte_vec_delete(&text);
    wasmtime_error_delete(error);
    if (err)
        for (char *c = err->text; *c; c++) /* its causes stand on lines of their own */
            if (*c == '\n')
                *c = ' ';
    return code;
}
