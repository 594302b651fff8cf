/* tree_internal.h - pages of a tree: what tree.c, which changes them, and tree_walk.c share.
 *
 * A page that is only passed is searched where it lies (page_search); one that is walked through, split or dropped is
 * decoded (page_load).  Bytes: "Trees" in docs/formats/state.md. */
#ifndef CAIRN_OBJECT_TREE_INTERNAL_H
#define CAIRN_OBJECT_TREE_INTERNAL_H

#include "object/tree.h"

enum { PAGE_ENTRIES_MIN = 4, PAGE_KEY_MAX = TREE_PREFIX_BYTES_MAX + CAIRN_VARINT_BYTES_MAX + 1 };

struct cairn_bytes page_key(uint8_t *to, const struct tree *tree, uint64_t page);
/* The key of an inner page's counts. */
struct cairn_bytes page_counts_key(uint8_t *to, const struct tree *tree, uint64_t page);

/* Where a key belongs in a page. */
struct page_spot {
    uint8_t level;
    bool found;     /* of a leaf: the key is there */
    uint32_t count; /* the page's entries */
    uint32_t slot;  /* of a leaf: the first entry not below the key; else the child that the key belongs to */
    size_t at;      /* of a leaf: where that entry begins in the page */
    uint64_t child;
};
struct page_spot page_search(struct cairn_bytes page, struct cairn_bytes key);

/* False when there is no such page.  `page` is zeroed, or one whose memory is used again. */
bool page_load(const struct tree *tree, uint64_t number, struct tree_page *page);
/* Of an inner page of a counted tree: fills in what its entries have below them. */
void page_load_counts(const struct tree *tree, struct tree_page *page);
/* With the counts, if it has any. */
void page_store(const struct tree *tree, struct tree_page *page);
void page_store_counts(const struct tree *tree, const struct tree_page *page);
void page_drop(const struct tree *tree, const struct tree_page *page);
/* A number for a new page. */
uint64_t page_allocate(const struct tree *tree);
/* The tree has no pages any more: numbers begin anew. */
void page_forget_numbers(const struct tree *tree);

/* Keys below the children before that slot. */
uint64_t page_count_before(const struct tree *tree, uint64_t number, uint32_t slot);
/* Adds one to what is below the child in that slot, or takes one away. */
void page_count_change(const struct tree *tree, uint64_t number, uint32_t slot, bool more);
/* The child with the key that has `place` keys of the page before it; *ret_place: how many of the child's own. */
uint32_t page_count_find(const struct tree *tree, uint64_t number, uint64_t place, uint64_t *ret_place);

#endif
