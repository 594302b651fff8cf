/* suggest.h - the nearest of the names that exist, for a message about a name that does not.
 *
 * The distance counts letters that are added, left out, replaced, or swapped with their neighbour.  A name is near
 * enough at a distance of 1, and 1 more for every 5 of its letters; a beginning of a name is always near enough.
 * Names longer than 32 bytes, and what is typed with fewer than 2, are not compared, so that one offer costs at most
 * 1,024 steps.  A caller that offers names whose number a client chooses bounds how many.
 * Threads: none of its own.  Layer: base, uses bytes. */
#ifndef CAIRN_BASE_SUGGEST_H
#define CAIRN_BASE_SUGGEST_H

#include "base/bytes.h"

struct cairn_suggest {
    struct cairn_bytes typed; /* set first; the rest is zero */
    bool fold;                /* 'A' is 'a' */
    struct cairn_bytes name;  /* the nearest one so far; data NULL: none */
    unsigned distance;
};

/* `word` is compared with what was typed; `name` is what is then suggested.  Both are borrowed as long as
 * `suggest` is used. */
void cairn_suggest_offer(struct cairn_suggest *suggest, struct cairn_bytes word, struct cairn_bytes name);

enum { CAIRN_SUGGEST_TEXT_BYTES = 192 };

/* " (did you mean 'NAME'?)", or "" when no name is near.  Returns `to`. */
const char *cairn_suggest_text(const struct cairn_suggest *suggest, char to[CAIRN_SUGGEST_TEXT_BYTES]);

#endif
