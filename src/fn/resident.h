/* resident.h - instances that are kept: never reset, with memory that the host reads and writes between their calls.
 *
 * What a function keeps in its linear memory is gone with its instance, so methods keep nothing there.  A resident is
 * for what may be lost at any time: its code manages the memory, the host moves bytes in and out of it without passing
 * them as arguments, and what needs the memory back ends it.
 *
 *   kind (one module) -> resident -> { call | borrow .. give back }* -> end
 *
 * A module of residents imports nothing, and exports `memory` and functions of numbers (i32, i64); it need have no
 * section cairn.types.  A call is bounded by fuel, so that it ends after the same work on every machine.
 *
 * Memory: at most memory_bytes, up to 4 GiB - 64 KiB.  It never moves.  What was never touched takes nothing but
 * address space.  Threads: any; calls of one resident wait for each other.  A borrower may read and write the memory
 * while calls run, of those bytes that it and the guest have agreed on.  The memory of a resident that was ended stays
 * until its last borrower has given it back.  Layer: fn; uses base. */
#ifndef CAIRN_FN_RESIDENT_H
#define CAIRN_FN_RESIDENT_H

#include "base/bytes.h"
#include "base/err.h"

struct cairn_resident_kind;

/* Compiles; blocks for as long as that takes.  For modules that are in the binary: nothing bounds the compiler.
 * CAIRN_EMODULE: it is no module, or imports something; CAIRN_ENOMEM: no address space for its engine. */
enum cairn_code cairn_resident_kind_create(struct cairn_bytes wasm, struct cairn_resident_kind **ret_kind,
                                           struct cairn_err *err);
/* All residents are ended and given back.  NULL; accepts NULL. */
struct cairn_resident_kind *cairn_resident_kind_destroy(struct cairn_resident_kind *kind);

struct cairn_resident;

/* It has one reference.  CAIRN_ELIMIT: no room for another one, or for its first memory within memory_bytes. */
enum cairn_code cairn_resident_create(struct cairn_resident_kind *kind, uint64_t memory_bytes,
                                      struct cairn_resident **ret_resident, struct cairn_err *err);

/* As many numbers as the function takes, at most CAIRN_RESIDENT_ARGS_MAX, which becomes *ret_result if it gives one.
 * CAIRN_EUNAVAILABLE: the resident was ended.  CAIRN_ENOTFOUND: no such function, or another signature.  CAIRN_ETRAP,
 * CAIRN_ECPU (fuel): the guest stopped in the middle; its memory is as it left it, so the caller ends it. */
enum { CAIRN_RESIDENT_ARGS_MAX = 8 };
enum cairn_code cairn_resident_call(struct cairn_resident *resident, const char *function, const uint64_t *args,
                                    size_t count, uint64_t fuel, uint64_t *ret_result, struct cairn_err *err);

/* One reference more, with which the memory may be touched;  NULL: it was ended.  *ret_bytes may have grown since the
 * last call; where it lies does not change. */
uint8_t *cairn_resident_borrow(struct cairn_resident *resident, size_t *ret_bytes);
void cairn_resident_give_back(struct cairn_resident *resident);

/* Of a borrowed memory: these bytes, whole pages of the operating system's, become zero and take no memory until they
 * are written again. */
void cairn_resident_forget(uint8_t *memory, size_t offset, size_t bytes);

/* From now on calls and borrowers are refused.  Again does nothing. */
void cairn_resident_end(struct cairn_resident *resident);
/* Ends it, and gives the reference of its creation up.  NULL; accepts NULL. */
struct cairn_resident *cairn_resident_drop(struct cairn_resident *resident);

/* What it has cost since it was made. */
struct cairn_resident_usage {
    uint64_t calls, fuel; /* fuel: about one for each instruction */
    uint64_t memory_bytes;
};
struct cairn_resident_usage cairn_resident_usage(struct cairn_resident *resident);

#endif
