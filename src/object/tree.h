/* tree.h - an ordered set of byte strings, kept in pages under point keys.
 *
 * A B+-tree (Comer 1979) over an engine that knows point operations only.  A page's key is the tree's prefix and the
 * page's number; the root is page 0, and an empty tree has no key at all.  A page splits when it has more than
 * TREE_LEAF_BYTES or TREE_INNER_BYTES and more than four entries, and is dropped when it is empty; pages are not
 * merged.  Each change is made in the overlay of the segment that asks for it, so that it is in that segment's record:
 * one leaf, and a few pages more when the leaf splits or goes.
 *
 * A map is a tree that knows the place of each key besides, and keeps small values.  How many keys are below each child
 * of an inner page stands under a key of its own, apart from the page, so that a change logs these small counts and not
 * the pages above its leaf.  A value of at most TREE_VALUE_BYTES_MAX bytes comes into the leaf together with its key:
 * the leaf is logged then anyway.  A larger one, and each value that is set later, is kept *apart* by the map's user,
 * so that changing a value touches no page: the counts mark the leaves that have values which were changed, and a value
 * that is apart precedes the leaf's.  When such a leaf is split, small values come back into it.
 *
 * Reads may fail (overlay->code): what they told counts for nothing then, and neither do changes.  Bytes on disk:
 * "Trees" in docs/formats/state.md.  Threads: the shard's owner.  Layer: object (private). */
#ifndef CAIRN_OBJECT_TREE_H
#define CAIRN_OBJECT_TREE_H

#include "object/overlay.h"

enum {
    TREE_PREFIX_BYTES_MAX = 32,
    TREE_KEY_BYTES_MAX = 2048,
    TREE_LEAF_BYTES = 512,     /* each change logs a leaf */
    TREE_INNER_BYTES = 2048,   /* and few an inner page */
    TREE_VALUE_BYTES_MAX = 32, /* in a leaf */
    TREE_DEPTH_MAX = 24,       /* a page has at least four entries when it splits: more than there is memory for */
};

struct tree {
    struct overlay *overlay;
    struct cairn_bytes prefix; /* 1 to TREE_PREFIX_BYTES_MAX bytes that no other tree's keys begin with; borrowed */
    bool is_map;               /* for good */
    /* Of a map: true if the key's value is apart; a small one is taken from there.  *ret_value is borrowed as
     * overlay_get's. */
    bool (*take_apart)(const struct tree *tree, struct cairn_bytes key, struct cairn_bytes *ret_value);
};

/* True if it was not there.  Not of a map. */
bool tree_add(const struct tree *tree, struct cairn_bytes key);
/* True if it was there.  Not of a map. */
bool tree_remove(const struct tree *tree, struct cairn_bytes key);
bool tree_has(const struct tree *tree, struct cairn_bytes key);
bool tree_empty(const struct tree *tree);

/* --- maps --- */

/* True if the key was not there.  *ret_apart: the value is to be kept apart, as always when the key was there. */
bool tree_put(const struct tree *tree, struct cairn_bytes key, struct cairn_bytes value, bool *ret_apart);
/* True if the key was there.  *ret_apart: its value may be apart. */
bool tree_take(const struct tree *tree, struct cairn_bytes key, bool *ret_apart);
/* True if the key is there and has a value in its leaf, which is the key's if none is apart. */
bool tree_get(const struct tree *tree, struct cairn_bytes key, struct cairn_bytes *ret_value);
/* Keys below `key`, or with `with_it` at or below it. */
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

struct tree_leaf_entry {
    struct cairn_bytes key;
    struct cairn_bytes value; /* of a map; no data: it is apart */
};

/* Lies in the caller's memory and needs no end.  The tree must not be changed while a cursor is used. */
struct tree_cursor {
    const struct tree *tree;
    int depth; /* pages from the root to the leaf; 0: behind the end */
    uint64_t numbers[TREE_DEPTH_MAX];
    uint32_t slots[TREE_DEPTH_MAX],
        counts[TREE_DEPTH_MAX]; /* of each page: the entry on the way, and how many there are */
    /* The leaf, decoded, in memory of the overlay's arena that the next leaf is given again. */
    struct tree_leaf_entry *entries;
    uint8_t *memory;
    size_t memory_bytes;
    uint32_t entries_room;
    bool has_apart;      /* some entry of the leaf has no value */
    uint64_t ahead_hash; /* of the next leaf's key, between the two steps of tree_prefetch; 0: none */
    uint64_t ahead;      /* its number, until the leaf is left; */
    bool ahead_forward;  /* and which of the two neighbours it is */
    uint64_t marks_page; /* whose children's marks are known, plus 1 */
    bool marks_any;      /* and whether there are any */
};

/* True when the cursor stands at a key. */
bool tree_seek(struct tree_cursor *cursor, const struct tree *tree, enum tree_seek how, struct cairn_bytes key);
/* The key with `place` keys below it.  The tree is a map. */
bool tree_seek_at(struct tree_cursor *cursor, const struct tree *tree, uint64_t place);
bool tree_next(struct tree_cursor *cursor);
bool tree_previous(struct tree_cursor *cursor);
/* The keys of its leaf from there on, itself among them, in the order of the walk: valid until another leaf is reached,
 * or the overlay changes.  Backward: the entry before is the one before it in memory. */
uint32_t tree_left_in_leaf(const struct tree_cursor *cursor, bool backward);
const struct tree_leaf_entry *tree_entry(const struct tree_cursor *cursor);
/* The key at which the cursor stands; valid as its entry. */
struct cairn_bytes tree_key(const struct tree_cursor *cursor);
/* To the last of the next `count` entries of the leaf, which has so many. */
void tree_skip(struct tree_cursor *cursor, bool backward, uint32_t count);
/* Of a map: values of the leaf's keys may be apart, also where an entry has one. */
bool tree_leaf_is_marked(struct tree_cursor *cursor);
/* A hint that the walk will reach the next leaf.  To be called twice, with steps 0 and 1, and other work between. */
void tree_prefetch(struct tree_cursor *cursor, bool backward, int step);

#endif
