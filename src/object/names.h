/* names.h - an index of names: numbers that the caller gave to names, found by these in constant time.
 *
 * The index keeps hashes and numbers; the names stay where the caller has them, and the caller compares them: for each
 * number that names_next gives, which is mostly the right one or none.
 * Threads: the caller's; one that does not change may be read by any.  Layer: object (private). */
#ifndef CAIRN_OBJECT_NAMES_H
#define CAIRN_OBJECT_NAMES_H

#include "base/hash.h"

/* Zero-initialized is empty. */
struct names {
    struct name_slot {
        uint64_t hash;
        uint32_t number; /* + 1; 0: none */
    } * slots;
    uint32_t size, count; /* size: a power of two, or 0 */
};

enum { NAMES_END = 0xffffffff };

void names_add(struct names *names, uint64_t hash, uint32_t number);
/* Begins with *at = 0; NAMES_END after the last number with that hash. */
uint32_t names_next(const struct names *names, uint64_t hash, uint32_t *at);
void names_done(struct names *names);

#endif
