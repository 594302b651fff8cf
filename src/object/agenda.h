/* agenda.h - what a shard has to do later: a tree (tree.h) of {due time, what}, in the order of the times.
 *
 *   be48 due ms | u8 kind | ...     'm': be64 number of a 09 key
 *
 * Threads: the shard's owner.  Layer: object (private). */
#ifndef CAIRN_OBJECT_AGENDA_H
#define CAIRN_OBJECT_AGENDA_H

#include "object/tree.h"

enum { AGENDA_KEY_BYTES_MAX = 6 + 1 + 8 + 64, AGENDA_DUE_BYTES = 6 };
enum agenda_kind { AGENDA_MESSAGE = 'm' };

struct agenda {
    struct tree tree;
    uint8_t prefix;
};

const struct tree *agenda_tree(struct agenda *agenda, struct overlay *overlay);
/* What comes behind the kind is the entry's own. */
size_t agenda_key(uint8_t to[AGENDA_KEY_BYTES_MAX], uint64_t due_ms, enum agenda_kind kind, struct cairn_bytes own);
uint64_t agenda_due_ms(struct cairn_bytes key);

/* When the first is due; UINT64_MAX: there is none. */
uint64_t agenda_first_ms(struct overlay *overlay);

#endif
