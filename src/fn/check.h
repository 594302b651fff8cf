/* check.h - whether a binary is a module that a node would take, as far as that can be told without compiling it.
 *
 * Threads: any; nothing is shared.  Layer: fn; uses base. */
#ifndef CAIRN_FN_CHECK_H
#define CAIRN_FN_CHECK_H

#include "fn/types.h"
#include "fn/wasm.h"

/* Checks what docs/formats/guest-abi.md asks of a module, but for the validity of its code: its imports, memory,
 * section cairn.types, and that every declared method is exported.  CAIRN_EMODULE or CAIRN_EVERSION with the reason.
 * On success the caller ends both results with their _done functions; *ret_wasm borrows from the binary. */
enum cairn_code cairn_module_check(struct cairn_bytes binary, struct cairn_wasm *ret_wasm,
                                   struct cairn_types *ret_types, struct cairn_err *err);

#endif
