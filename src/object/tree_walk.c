#include <assert.h>

#include "object/tree_internal.h"

/* The first entry whose key is not below `key`; *ret_found if it is equal. */
static uint32_t lower_bound(const struct tree_page *page, struct cairn_bytes key, bool *ret_found)
{
    uint32_t low = 0, high = page->count;

    *ret_found = false;
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        int order = cairn_bytes_compare(page->entries[middle].key, key);
        if (order == 0) {
            *ret_found = true;
            return middle;
        }
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static uint32_t child_for(const struct tree_page *page, struct cairn_bytes key)
{
    bool found;
    uint32_t at = lower_bound(page, key, &found);

    return found ? at : at ? at - 1 : 0;
}

/* From the page at cursor->path[from], which is loaded, or from the root with from < 0, down to a leaf: towards `key`,
 * or along the first or last children, or to the one with `place` keys before it.  False: there is no root, or a page
 * could not be read. */
enum way { WAY_KEY, WAY_FIRST, WAY_LAST, WAY_PLACE };

static uint32_t choose(const struct tree *tree, const struct tree_page *page, enum way way, struct cairn_bytes key,
                       uint64_t *place)
{
    switch (way) {
    case WAY_FIRST:
        return 0;
    case WAY_LAST:
        return page->count - 1;
    case WAY_KEY:
        return page->level ? child_for(page, key) : 0;
    case WAY_PLACE:
        if (page->level)
            return page_count_find(tree, page->number, *place, place);
        return *place < page->count ? (uint32_t)*place : page->count;
    }
    return 0;
}

static bool descend(struct tree_cursor *cursor, int from, enum way way, struct cairn_bytes key, uint64_t place)
{
    const struct tree *tree = cursor->tree;
    int at = from;

    if (at < 0) {
        if (!page_load(tree, 0, &cursor->path[0]))
            return false;
        at = 0;
    }
    for (;; at++) {
        struct tree_page *page = &cursor->path[at];

        if (at > from) /* else the caller has said which child */
            cursor->slots[at] = choose(tree, page, way, key, &place);
        if (cursor->slots[at] >= page->count)
            return false; /* so many keys there are not, or counts could not be read */
        if (page->level == 0)
            break;
        assert(at + 1 < TREE_DEPTH_MAX);
        if (!page_load(tree, page->entries[cursor->slots[at]].child, &cursor->path[at + 1])) {
            assert(tree->overlay->code != CAIRN_OK);
            return false;
        }
    }
    cursor->depth = at + 1;
    return true;
}

/* To the leaf where the key belongs; its place there in the last of the slots.  False: there is no leaf. */
static bool find(struct tree_cursor *cursor, const struct tree *tree, struct cairn_bytes key, bool *ret_found)
{
    cursor->tree = tree;
    cursor->depth = 0;
    memset(cursor->path, 0, sizeof cursor->path);
    *ret_found = false;
    if (!descend(cursor, -1, WAY_KEY, key, 0))
        return false;
    cursor->slots[cursor->depth - 1] = lower_bound(&cursor->path[cursor->depth - 1], key, ret_found);
    return true;
}

/* The leaf's neighbour: up to a page that has a next child, or one before, then down along the nearest children. */
static bool step_leaf(struct tree_cursor *cursor, bool forward)
{
    for (int up = cursor->depth - 2; up >= 0; up--) {
        if (forward ? cursor->slots[up] + 1 >= cursor->path[up].count : cursor->slots[up] == 0)
            continue;
        cursor->slots[up] += forward ? 1 : (uint32_t)-1;
        if (descend(cursor, up, forward ? WAY_FIRST : WAY_LAST, cairn_bytes(NULL, 0), 0))
            return true;
        break;
    }
    cursor->depth = 0;
    return false;
}

bool tree_next(struct tree_cursor *cursor)
{
    if (cursor->depth == 0)
        return false;
    if (++cursor->slots[cursor->depth - 1] < cursor->path[cursor->depth - 1].count)
        return true;
    return step_leaf(cursor, true);
}

bool tree_previous(struct tree_cursor *cursor)
{
    if (cursor->depth == 0)
        return false;
    if (cursor->slots[cursor->depth - 1] > 0) {
        cursor->slots[cursor->depth - 1]--;
        return true;
    }
    return step_leaf(cursor, false);
}

bool tree_seek(struct tree_cursor *cursor, const struct tree *tree, enum tree_seek how, struct cairn_bytes key)
{
    bool found;

    if (how == TREE_LAST) {
        cursor->tree = tree;
        cursor->depth = 0;
        memset(cursor->path, 0, sizeof cursor->path);
        return descend(cursor, -1, WAY_LAST, key, 0);
    }
    if (!find(cursor, tree, key, &found))
        return false;
    switch (how) {
    case TREE_AT_OR_BEFORE:
        if (found)
            return true;
        return tree_previous(cursor);
    case TREE_BEFORE:
        return tree_previous(cursor);
    case TREE_AFTER:
        if (found)
            return tree_next(cursor);
        break;
    case TREE_AT_OR_AFTER:
    case TREE_LAST:
        break;
    }
    return cursor->slots[cursor->depth - 1] < cursor->path[cursor->depth - 1].count || step_leaf(cursor, true);
}

uint32_t tree_left_in_leaf(const struct tree_cursor *cursor, bool backward)
{
    uint32_t slot = cursor->slots[cursor->depth - 1];

    return backward ? slot + 1 : cursor->path[cursor->depth - 1].count - slot;
}

struct cairn_bytes tree_key(const struct tree_cursor *cursor)
{
    return cursor->path[cursor->depth - 1].entries[cursor->slots[cursor->depth - 1]].key;
}

bool tree_seek_at(struct tree_cursor *cursor, const struct tree *tree, uint64_t place)
{
    assert(tree->counted);
    cursor->tree = tree;
    cursor->depth = 0;
    memset(cursor->path, 0, sizeof cursor->path);
    return descend(cursor, -1, WAY_PLACE, cairn_bytes(NULL, 0), place);
}
