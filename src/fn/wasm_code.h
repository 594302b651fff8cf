/* wasm_code.h - reads over WebAssembly instructions that can change nothing in an instance but its memory and its
 * globals: those of WebAssembly 1.0, sign extension, saturating conversions, several results and SIMD.
 *
 * It fails closed.  Whatever it does not know byte for byte is "not known": an opcode, a block type, an index that is
 * too long, a byte that must be 0, bytes behind the end.  So it never takes the immediate of one instruction for
 * another instruction, whatever stands there; a wrong "known" would let one invocation see what another left (wasm.h).
 * It does not validate: types and indices other than a block's are Wasmtime's matter.
 * Threads: any; nothing is shared.  Layer: fn; uses base. */
#ifndef CAIRN_FN_WASM_CODE_H
#define CAIRN_FN_WASM_CODE_H

#include "base/bytes.h"

/* The bytes of the first instruction of `code`, immediates included; 0: it is not known, or is cut off.
 * type_count: of the module's types, which a block may name by number. */
size_t cairn_wasm_instruction_bytes(struct cairn_bytes code, uint32_t type_count);

/* True if and only if a body (locals, instructions, and the `end` that closes the function as its last byte) consists
 * of known ones only. */
bool cairn_wasm_body_known(struct cairn_bytes body, uint32_t type_count);

/* What the format calls u32: at most 5 bytes, of which the last has no bits beyond the 32nd. */
uint32_t cairn_wasm_read_u32(struct cairn_reader *r);

/* i32, i64, f32, f64 or v128: a type that is one byte and holds no reference. */
bool cairn_wasm_plain_type(uint8_t type);

#endif
