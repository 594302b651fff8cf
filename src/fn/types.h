/* types.h - the section `cairn.types`: what a module says it is (docs/formats/types-section.md).
 *
 * Pure parsing of bytes of any client; no engine is needed, so `cairn build`
 * uses it too.
 * Threads: any; nothing is shared.  Layer: fn; uses base. */
#ifndef CAIRN_FN_TYPES_H
#define CAIRN_FN_TYPES_H

#include "fn/fn.h"

enum { CAIRN_TYPES_BYTES_MAX = 1 << 20 };

/* What the section declares.  Zero-initialized is empty. */
struct cairn_types {
    char *module;
    struct cairn_type_decl *types;
    size_t type_count;
};

/* On success the caller owns *ret_types.  CAIRN_EVERSION for an ABI that is not ours,
 * CAIRN_EMODULE with the line for everything else. */
enum cairn_code cairn_types_parse(struct cairn_bytes section, struct cairn_types *ret_types, struct cairn_err *err);
/* Frees what parse made; accepts an empty one. */
void cairn_types_done(struct cairn_types *types);

/* The declared type or method of that name; NULL when there is none. */
struct cairn_type_decl *cairn_types_type(const struct cairn_types *types, struct cairn_bytes name);
struct cairn_method_decl *cairn_types_method(const struct cairn_type_decl *type, struct cairn_bytes name);

#endif
