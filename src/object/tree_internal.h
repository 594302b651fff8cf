/* tree_internal.h - pages of a tree: what tree.c, which changes them, and tree_walk.c share.
 *
 * A page that is only passed is searched where it lies; one that is split or dropped is decoded (page_load), and so is
 * a leaf that is walked through.  Bytes: "Trees" in docs/formats/state.md. */
#ifndef CAIRN_OBJECT_TREE_INTERNAL_H
#define CAIRN_OBJECT_TREE_INTERNAL_H

#include "object/tree.h"

enum { PAGE_ENTRIES_MIN = 4, PAGE_KEY_MAX = TREE_PREFIX_BYTES_MAX + CAIRN_VARINT_BYTES_MAX + 1 };

struct cairn_bytes page_key(uint8_t *to, const struct tree *tree, uint64_t page);

/* --- where it lies --- */

/* Where a key belongs in a page. */
struct page_spot {
    uint8_t level;
    bool found;               /* of a leaf: the key is there */
    uint32_t count;           /* the page's entries */
    uint32_t slot;            /* of a leaf: the first entry not below the key; else the child that the key belongs to */
    size_t at, bytes;         /* of a leaf: where that entry begins in the page, and its size */
    struct cairn_bytes value; /* of a map's leaf: the entry's */
    uint64_t child;
};
struct page_spot page_search(const struct tree *tree, struct cairn_bytes page, struct cairn_bytes key);
uint8_t page_level(struct cairn_bytes page);
uint32_t page_count(struct cairn_bytes page);
/* Of an inner page. */
uint64_t page_child(struct cairn_bytes page, uint32_t slot);

/* An entry of a map's leaf behind its key: none, if the value is apart. */
enum { PAGE_VALUE_MAX = 1 + TREE_VALUE_BYTES_MAX };
size_t page_put_value(uint8_t *to, struct cairn_bytes value);

/* --- decoded --- */

struct tree_entry {
    struct cairn_bytes key;
    struct cairn_bytes value; /* of a map's leaf; no data: it is apart */
    uint64_t child;           /* of an inner page */
    uint64_t below;           /* of a map: keys below that child */
    bool marked;              /* of a map: the child is a leaf, of which values may be apart that it has */
};

struct tree_page {
    uint64_t number;
    uint8_t level;              /* 0: a leaf */
    bool marked;                /* the entry for it is, or it is a root without one */
    struct tree_entry *entries; /* with room for two more */
    uint32_t count;
    size_t bytes; /* encoded, about */
};

/* False when there is no such page.  With the counts, if it has any. */
bool page_load(const struct tree *tree, uint64_t number, struct tree_page *page);
/* With the counts, if it has any. */
void page_store(const struct tree *tree, struct tree_page *page);
void page_store_counts(const struct tree *tree, const struct tree_page *page);
void page_drop(const struct tree *tree, const struct tree_page *page);
/* A leaf's entries, from a copy of it; all into memory of the cursor. */
void page_walk(const struct tree *tree, struct cairn_bytes page, struct tree_cursor *cursor);
/* A number for a new page. */
uint64_t page_allocate(const struct tree *tree);
/* The tree has no pages any more: numbers begin anew. */
void page_forget_numbers(const struct tree *tree);

/* --- counts and marks where they lie --- */

/* Of the key of a page's counts. */
uint64_t page_counts_hash(const struct tree *tree, uint64_t number);
/* Keys below the children before that slot. */
uint64_t page_count_before(const struct tree *tree, uint64_t number, uint32_t slot);
/* Adds one to what is below the child in that slot, or takes one away. */
void page_count_change(const struct tree *tree, uint64_t number, uint32_t slot, bool more);
/* The child with the key that has `place` keys of the page before it; *ret_place: how many of the child's own. */
uint32_t page_count_find(const struct tree *tree, uint64_t number, uint64_t place, uint64_t *ret_place);
/* Marks of leaves stand with what is below them in the page above; PAGE_NONE: the leaf is the root. */
#define PAGE_NONE UINT64_MAX
void page_mark(const struct tree *tree, uint64_t above, uint32_t slot);
bool page_is_marked(const struct tree *tree, uint64_t above, uint32_t slot);
bool page_has_marks(const struct tree *tree, uint64_t above);

#endif
