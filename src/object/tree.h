/* tree.h - an ordered set of byte strings, kept in pages under point keys.
 *
 * A B+-tree (Comer 1979) over an engine that knows point operations only.  A page's key is the tree's prefix and the
 * page's number; the root is page 0, and an empty tree has no key at all.  A page splits when it has more than
 * TREE_LEAF_BYTES or TREE_INNER_BYTES and more than four entries, and is dropped when it is empty; pages are not
 * merged.  Each change is made in the overlay of the segment that asks for it, so that it is in that segment's record:
 * one leaf, and a few pages more when the leaf splits or goes.
 *
 * A counted tree knows the place of each key besides.  How many keys are below each child of an inner page stands under
 * a key of its own, apart from the page, so that a change logs these small counts and not the pages above its leaf.
 *
 * A set is all that is kept here.  A map over it keeps its values under point keys of their own, so that changing a
 * value touches no page.
 *
 * Reads may fail (overlay->code): what they told counts for nothing then, and neither do changes.  Bytes on disk:
 * "Trees" in docs/formats/state.md.  Threads: the shard's owner.  Layer: object (private). */
#ifndef CAIRN_OBJECT_TREE_H
#define CAIRN_OBJECT_TREE_H

#include "object/overlay.h"

enum {
    TREE_PREFIX_BYTES_MAX = 32,
    TREE_KEY_BYTES_MAX = 2048,
    TREE_LEAF_BYTES = 512,   /* each change logs a leaf */
    TREE_INNER_BYTES = 2048, /* and few an inner page */
    TREE_DEPTH_MAX = 24,     /* a page has at least four entries when it splits: more than there is memory for */
};

struct tree {
    struct overlay *overlay;
    struct cairn_bytes prefix; /* 1 to TREE_PREFIX_BYTES_MAX bytes that no other tree's keys begin with; borrowed */
    bool counted;              /* for good: what tree_rank and tree_seek_at need */
};

/* True if it was not there. */
bool tree_add(const struct tree *tree, struct cairn_bytes key);
/* True if it was there. */
bool tree_remove(const struct tree *tree, struct cairn_bytes key);
bool tree_has(const struct tree *tree, struct cairn_bytes key);
bool tree_empty(const struct tree *tree);
/* Keys below `key`, or with `with_it` at or below it.  The tree is counted. */
uint64_t tree_rank(const struct tree *tree, struct cairn_bytes key, bool with_it);

/* --- walking --- */

/* Where a cursor begins.  With an empty key: AFTER is behind nothing and AT_OR_AFTER is the first key; TREE_LAST takes
 * no key. */
enum tree_seek {
    TREE_AT_OR_AFTER,
    TREE_AFTER,
    TREE_AT_OR_BEFORE,
    TREE_BEFORE,
    TREE_LAST,
};

struct tree_entry {
    struct cairn_bytes key;
    uint64_t child; /* of an inner page */
    uint64_t below; /* keys below that child; only where pages of a counted tree are split or dropped */
};

struct tree_page {
    uint64_t number;
    uint8_t level;              /* 0: a leaf */
    struct tree_entry *entries; /* with room for two more */
    uint32_t count;
    size_t bytes; /* encoded, about */
    /* The memory of both, in the overlay's arena; used again by a cursor that goes on to the next page. */
    uint8_t *memory;
    size_t memory_bytes;
    uint32_t entries_room;
};

/* Lies in the caller's memory and needs no end.  The tree must not be changed while a cursor is used. */
struct tree_cursor {
    const struct tree *tree;
    int depth; /* pages from the root to the leaf; 0: behind the end */
    struct tree_page path[TREE_DEPTH_MAX];
    uint32_t slots[TREE_DEPTH_MAX];
};

/* True when the cursor stands at a key. */
bool tree_seek(struct tree_cursor *cursor, const struct tree *tree, enum tree_seek how, struct cairn_bytes key);
/* The key with `place` keys below it.  The tree is counted. */
bool tree_seek_at(struct tree_cursor *cursor, const struct tree *tree, uint64_t place);
bool tree_next(struct tree_cursor *cursor);
bool tree_previous(struct tree_cursor *cursor);
/* Keys of its leaf from there on, itself among them: as long as no other leaf is reached, keys stay valid. */
uint32_t tree_left_in_leaf(const struct tree_cursor *cursor, bool backward);
/* The key at which the cursor stands; valid until it moves, or the overlay changes. */
struct cairn_bytes tree_key(const struct tree_cursor *cursor);

#endif
