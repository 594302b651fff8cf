/* wasm.h - what a WebAssembly binary tells before it is compiled: its imports, exports, the
 * section cairn.types, and whether its instances may be used again after a reset.
 *
 * Reads bytes of any client, and refuses what the guest ABI refuses
 * (docs/formats/guest-abi.md) with a reason.  It does not validate code: Wasmtime does, afterwards,
 * and `reusable` is meant for modules that Wasmtime has accepted.
 * Threads: any; nothing is shared.  Layer: fn; uses base. */
#ifndef CAIRN_FN_WASM_H
#define CAIRN_FN_WASM_H

#include "base/bytes.h"
#include "base/err.h"

enum { CAIRN_WASM_GLOBALS_MAX = 64 }; /* mutable and exported ones */

struct cairn_wasm_export {
    struct cairn_bytes name;
    uint8_t kind;   /* 0 function, 1 table, 2 memory, 3 global */
    bool is_method; /* a function without parameters and results */
};

/* Borrows from the binary, but for the array of exports. */
struct cairn_wasm {
    struct cairn_bytes types; /* contents of cairn.types; data NULL: there is none */
    struct cairn_wasm_export *exports;
    size_t export_count;
    uint64_t memory_pages_min;
    uint32_t mutable_globals;
    struct cairn_bytes globals[CAIRN_WASM_GLOBALS_MAX]; /* names of exported mutable ones */
    uint32_t global_count;
    /* True if every byte of the module that could matter is known (wasm_code.h) and says: no instruction can change a
     * table or drop a segment, all segments are active, and every mutable global is a number and exported.  Then memory
     * and globals are all that a call can change.  It fails closed: what is not known is not reusable. */
    bool reusable;
    const char *why_not;
};

/* CAIRN_EMODULE with the reason.  `known_import` says whether module `cairn` has that function. */
enum cairn_code cairn_wasm_scan(struct cairn_bytes binary, bool (*known_import)(struct cairn_bytes name),
                                struct cairn_wasm *ret_wasm, struct cairn_err *err);
void cairn_wasm_done(struct cairn_wasm *wasm);

#endif
