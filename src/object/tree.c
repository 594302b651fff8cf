#include "object/tree.h"

#include <assert.h>

/* A page: u8 level (0: leaf) | varint count | entries in order.
 *   leaf entry   sized key
 *   inner entry  sized least key below it (empty for the first), varint child page
 * The page PAGE_NEXT is none: it holds the next page's number as a varint. */
enum { PAGE_ENTRIES_MIN = 4, PAGE_KEY_MAX = TREE_PREFIX_BYTES_MAX + CAIRN_VARINT_BYTES_MAX };
#define PAGE_NEXT UINT64_MAX

/* --- pages --- */

static struct cairn_bytes page_key(uint8_t *to, const struct tree *tree, uint64_t page)
{
    memcpy(to, tree->prefix.data, tree->prefix.size);
    return cairn_bytes(to, tree->prefix.size + cairn_put_varint(to + tree->prefix.size, page));
}

/* The page keeps a copy: its keys are used when other pages have been read and changed. */
static struct cairn_bytes page_copy(const struct tree *tree, struct tree_page *page, struct cairn_bytes bytes)
{
    if (page->memory_bytes < bytes.size) {
        page->memory_bytes = bytes.size + bytes.size / 2;
        page->memory = cairn_arena_alloc(&tree->overlay->arena, page->memory_bytes);
    }
    memcpy(page->memory, bytes.data, bytes.size);
    return cairn_bytes(page->memory, bytes.size);
}

/* False when there is no such page.  `page` is zeroed, or one whose memory is used again. */
static bool page_load(const struct tree *tree, uint64_t number, struct tree_page *page)
{
    uint8_t key[PAGE_KEY_MAX];
    struct cairn_bytes bytes;
    struct cairn_reader r;

    if (!overlay_get(tree->overlay, page_key(key, tree, number), &bytes))
        return false;
    bytes = page_copy(tree, page, bytes);
    r = cairn_reader(bytes);
    page->number = number;
    page->level = cairn_read_u8(&r);
    page->count = (uint32_t)cairn_read_varint(&r);
    page->bytes = bytes.size;
    if (page->entries_room < page->count + 2) {
        page->entries_room = page->count + 2 + page->count / 2;
        page->entries = cairn_arena_alloc(&tree->overlay->arena, page->entries_room * sizeof *page->entries);
    }
    for (uint32_t i = 0; i < page->count; i++) {
        page->entries[i].key = cairn_read_sized(&r);
        page->entries[i].child = page->level ? cairn_read_varint(&r) : 0;
    }
    assert(!r.bad); /* written by this file, and checked by the log and the checkpoint */
    return true;
}

static void page_store(const struct tree *tree, struct tree_page *page)
{
    uint8_t key[PAGE_KEY_MAX], *to, *at;
    size_t most = 16;

    for (uint32_t i = 0; i < page->count; i++)
        most += page->entries[i].key.size + 2 * CAIRN_VARINT_BYTES_MAX;
    at = to = cairn_arena_alloc(&tree->overlay->arena, most);
    *at++ = page->level;
    at += cairn_put_varint(at, page->count);
    for (uint32_t i = 0; i < page->count; i++) {
        struct tree_entry *e = &page->entries[i];
        at += cairn_put_varint(at, e->key.size);
        if (e->key.size)
            memcpy(at, e->key.data, e->key.size);
        at += e->key.size;
        if (page->level)
            at += cairn_put_varint(at, e->child);
    }
    page->bytes = (size_t)(at - to);
    overlay_put(tree->overlay, page_key(key, tree, page->number), cairn_bytes(to, page->bytes));
}

static uint64_t page_allocate(const struct tree *tree)
{
    uint8_t key[PAGE_KEY_MAX], next[CAIRN_VARINT_BYTES_MAX];
    struct cairn_bytes bytes;
    uint64_t number = 1;

    if (overlay_get(tree->overlay, page_key(key, tree, PAGE_NEXT), &bytes)) {
        struct cairn_reader r = cairn_reader(bytes);
        number = cairn_read_varint(&r);
    }
    overlay_put(tree->overlay, page_key(key, tree, PAGE_NEXT), cairn_bytes(next, cairn_put_varint(next, number + 1)));
    return number;
}

/* --- the way from the root to a leaf --- */

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
 * or along the first or last children.  False: there is no root, or a page could not be read. */
enum way { WAY_KEY, WAY_FIRST, WAY_LAST };

static bool descend(struct tree_cursor *cursor, int from, enum way way, struct cairn_bytes key)
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
            cursor->slots[at] = way == WAY_FIRST  ? 0
                                : way == WAY_LAST ? page->count - 1
                                : page->level     ? child_for(page, key)
                                                  : 0;
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
    if (!descend(cursor, -1, WAY_KEY, key))
        return false;
    cursor->slots[cursor->depth - 1] = lower_bound(&cursor->path[cursor->depth - 1], key, ret_found);
    return true;
}

/* --- changing --- */

static void insert_entry(struct tree_page *page, uint32_t at, struct tree_entry entry)
{
    memmove(page->entries + at + 1, page->entries + at, (page->count - at) * sizeof *page->entries);
    page->entries[at] = entry;
    page->count++;
    page->bytes += entry.key.size + 4;
}

/* Moves the upper part of `page` to a new page and returns the entry for its parent. */
static struct tree_entry split(const struct tree *tree, struct tree_page *page, uint32_t inserted_at)
{
    /* Keys that come in ascending order leave full pages behind. */
    uint32_t keep = inserted_at + 1 == page->count ? page->count - 1 : page->count / 2;
    struct tree_page upper = {.number = page_allocate(tree),
                              .level = page->level,
                              .entries = page->entries + keep,
                              .count = page->count - keep};
    struct tree_entry up = {.key = upper.entries[0].key, .child = upper.number};

    if (upper.level)
        upper.entries[0].key = cairn_bytes(NULL, 0);
    page_store(tree, &upper);
    page->count = keep;
    return up;
}

bool tree_add(const struct tree *tree, struct cairn_bytes key)
{
    struct tree_cursor cursor;
    struct tree_entry entry = {.key = key};
    bool found, there = find(&cursor, tree, key, &found);

    assert(key.size <= TREE_KEY_BYTES_MAX && tree->prefix.size <= TREE_PREFIX_BYTES_MAX);
    if (tree->overlay->code != CAIRN_OK || found)
        return !found;
    if (!there) {
        struct tree_page root = {.entries = &entry, .count = 1};
        page_store(tree, &root);
        return true;
    }
    for (int i = cursor.depth - 1; i >= 0; i--) {
        struct tree_page *page = &cursor.path[i];
        uint32_t at = i == cursor.depth - 1 ? cursor.slots[i] : cursor.slots[i] + 1;

        insert_entry(page, at, entry);
        if (page->bytes <= TREE_PAGE_BYTES || page->count <= PAGE_ENTRIES_MIN) {
            page_store(tree, page);
            return true;
        }
        entry = split(tree, page, at);
        if (i > 0) {
            page_store(tree, page);
            continue;
        }
        /* The root stays page 0: what it held moves to a new page below it. */
        struct tree_page left = *page;
        struct tree_entry both[2] = {{.child = page_allocate(tree)}, entry};
        struct tree_page root = {.level = (uint8_t)(page->level + 1), .entries = both, .count = 2};
        left.number = both[0].child;
        page_store(tree, &left);
        page_store(tree, &root);
    }
    return true;
}

bool tree_remove(const struct tree *tree, struct cairn_bytes key)
{
    struct tree_cursor cursor;
    bool found;

    if (!find(&cursor, tree, key, &found) || !found || tree->overlay->code != CAIRN_OK)
        return found;
    for (int i = cursor.depth - 1; i >= 0; i--) {
        struct tree_page *page = &cursor.path[i];
        uint32_t slot = cursor.slots[i];
        uint8_t to[PAGE_KEY_MAX];

        page->count--;
        memmove(page->entries + slot, page->entries + slot + 1, (page->count - slot) * sizeof *page->entries);
        if (page->count) {
            if (page->level && slot == 0)
                page->entries[0].key = cairn_bytes(NULL, 0);
            page_store(tree, page);
            return true;
        }
        overlay_remove(tree->overlay, page_key(to, tree, page->number));
    }
    return true;
}

bool tree_has(const struct tree *tree, struct cairn_bytes key)
{
    struct tree_cursor cursor;
    bool found;

    return find(&cursor, tree, key, &found) && found;
}

bool tree_empty(const struct tree *tree)
{
    uint8_t key[PAGE_KEY_MAX];
    struct cairn_bytes bytes;

    return !overlay_get(tree->overlay, page_key(key, tree, 0), &bytes);
}

/* --- walking --- */

/* The leaf's neighbour: up to a page that has a next child, or one before, then down along the nearest children. */
static bool step_leaf(struct tree_cursor *cursor, bool forward)
{
    for (int up = cursor->depth - 2; up >= 0; up--) {
        if (forward ? cursor->slots[up] + 1 >= cursor->path[up].count : cursor->slots[up] == 0)
            continue;
        cursor->slots[up] += forward ? 1 : (uint32_t)-1;
        if (descend(cursor, up, forward ? WAY_FIRST : WAY_LAST, cairn_bytes(NULL, 0)))
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
        return descend(cursor, -1, WAY_LAST, key);
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

struct cairn_bytes tree_key(const struct tree_cursor *cursor)
{
    return cursor->path[cursor->depth - 1].entries[cursor->slots[cursor->depth - 1]].key;
}
