#include "object/directory.h"

#include <assert.h>

#include "object/layout.h"

/* A page: u8 level (0: leaf) | varint count | entries in order.
 *   leaf entry   sized id
 *   inner entry  sized least id below it (empty for the first), varint child page
 * The key 03 type ff.. (PAGE_NEXT) holds the next page number as a varint. */
enum { PAGE_BYTES = 1024, PAGE_ENTRIES_MIN = 4, DEPTH_MAX = 24 };
#define PAGE_NEXT UINT64_MAX

struct entry {
    struct cairn_bytes id;
    uint64_t child;
};

struct page {
    uint64_t number;
    uint8_t level;
    struct entry *entries; /* in the overlay's arena, with room for two more */
    uint32_t count;
    size_t bytes; /* encoded, about */
};

static struct cairn_bytes page_key(uint8_t *to, uint32_t type, uint64_t page)
{
    size_t n = 1;

    to[0] = KEY_DIRECTORY;
    n += cairn_put_varint(to + n, type);
    n += cairn_put_varint(to + n, page);
    return cairn_bytes(to, n);
}

/* False when there is no such page. */
static bool page_load(struct overlay *overlay, uint32_t type, uint64_t number, struct page *ret_page)
{
    uint8_t key[1 + 2 * CAIRN_VARINT_BYTES_MAX];
    struct cairn_bytes bytes;
    struct cairn_reader r;
    struct page page = {.number = number};

    if (!overlay_get(overlay, page_key(key, type, number), &bytes))
        return false;
    bytes = cairn_arena_copy(&overlay->arena, bytes); /* ids are used when other pages have been read and changed */
    r = cairn_reader(bytes);
    page.level = cairn_read_u8(&r);
    page.count = (uint32_t)cairn_read_varint(&r);
    page.bytes = bytes.size;
    page.entries = cairn_arena_alloc(&overlay->arena, (page.count + 2) * sizeof *page.entries);
    for (uint32_t i = 0; i < page.count; i++) {
        page.entries[i].id = cairn_read_sized(&r);
        page.entries[i].child = page.level ? cairn_read_varint(&r) : 0;
    }
    assert(!r.bad); /* written by this file and checked by the log and the checkpoint */
    *ret_page = page;
    return true;
}

static void page_store(struct overlay *overlay, uint32_t type, struct page *page)
{
    uint8_t key[1 + 2 * CAIRN_VARINT_BYTES_MAX], *to, *at;
    size_t most = 16;

    for (uint32_t i = 0; i < page->count; i++)
        most += page->entries[i].id.size + 2 * CAIRN_VARINT_BYTES_MAX;
    at = to = cairn_arena_alloc(&overlay->arena, most);
    *at++ = page->level;
    at += cairn_put_varint(at, page->count);
    for (uint32_t i = 0; i < page->count; i++) {
        struct entry *e = &page->entries[i];
        at += cairn_put_varint(at, e->id.size);
        if (e->id.size)
            memcpy(at, e->id.data, e->id.size);
        at += e->id.size;
        if (page->level)
            at += cairn_put_varint(at, e->child);
    }
    page->bytes = (size_t)(at - to);
    overlay_put(overlay, page_key(key, type, page->number), cairn_bytes(to, page->bytes));
}

static uint64_t page_allocate(struct overlay *overlay, uint32_t type)
{
    uint8_t key[1 + 2 * CAIRN_VARINT_BYTES_MAX], next[CAIRN_VARINT_BYTES_MAX];
    struct cairn_bytes bytes;
    uint64_t number = 1;

    if (overlay_get(overlay, page_key(key, type, PAGE_NEXT), &bytes)) {
        struct cairn_reader r = cairn_reader(bytes);
        number = cairn_read_varint(&r);
    }
    overlay_put(overlay, page_key(key, type, PAGE_NEXT), cairn_bytes(next, cairn_put_varint(next, number + 1)));
    return number;
}

/* The first entry whose id is not below `id`; *ret_found if it is equal. */
static uint32_t lower_bound(const struct page *page, struct cairn_bytes id, bool *ret_found)
{
    uint32_t low = 0, high = page->count;

    *ret_found = false;
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        int order = cairn_bytes_compare(page->entries[middle].id, id);
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

static uint32_t child_for(const struct page *page, struct cairn_bytes id)
{
    bool found;
    uint32_t at = lower_bound(page, id, &found);

    return found ? at : at ? at - 1 : 0;
}

/* Loads the pages from the root to the leaf where id belongs; returns how many, 0 without a root. */
static int descend(struct overlay *overlay, uint32_t type, struct cairn_bytes id, struct page *path, uint32_t *slots)
{
    uint64_t number = 0;

    for (int depth = 0; depth < DEPTH_MAX; depth++) {
        if (!page_load(overlay, type, number, &path[depth])) {
            assert(depth == 0 || overlay->code != CAIRN_OK);
            return 0;
        }
        if (path[depth].level == 0)
            return depth + 1;
        slots[depth] = child_for(&path[depth], id);
        number = path[depth].entries[slots[depth]].child;
    }
    assert(!"directory deeper than its bound");
    return 0;
}

static void insert_entry(struct page *page, uint32_t at, struct entry entry)
{
    memmove(page->entries + at + 1, page->entries + at, (page->count - at) * sizeof *page->entries);
    page->entries[at] = entry;
    page->count++;
    page->bytes += entry.id.size + 4;
}

/* Moves the upper part of `page` to a new page and returns the entry for its parent. */
static struct entry split(struct overlay *overlay, uint32_t type, struct page *page, uint32_t inserted_at)
{
    /* Ids that come in ascending order leave full pages behind. */
    uint32_t keep = inserted_at + 1 == page->count ? page->count - 1 : page->count / 2;
    struct page upper = {.number = page_allocate(overlay, type),
                         .level = page->level,
                         .entries = page->entries + keep,
                         .count = page->count - keep};
    struct entry up = {.id = upper.entries[0].id, .child = upper.number};

    if (upper.level)
        upper.entries[0].id = cairn_bytes(NULL, 0);
    page_store(overlay, type, &upper);
    page->count = keep;
    return up;
}

bool directory_add(struct overlay *overlay, uint32_t type, struct cairn_bytes id)
{
    struct page path[DEPTH_MAX];
    uint32_t slots[DEPTH_MAX];
    int depth = descend(overlay, type, id, path, slots);
    struct entry entry = {.id = id};
    bool found;

    if (depth == 0) {
        struct page root = {.entries = &entry, .count = 1};
        page_store(overlay, type, &root);
        return true;
    }
    slots[depth - 1] = lower_bound(&path[depth - 1], id, &found);
    if (found)
        return false;
    for (int i = depth - 1; i >= 0; i--) {
        struct page *page = &path[i];
        uint32_t at = i == depth - 1 ? slots[i] : slots[i] + 1;

        insert_entry(page, at, entry);
        if (page->bytes <= PAGE_BYTES || page->count <= PAGE_ENTRIES_MIN) {
            page_store(overlay, type, page);
            return true;
        }
        entry = split(overlay, type, page, at);
        if (i > 0) {
            page_store(overlay, type, page);
            continue;
        }
        /* The root stays page 0: what it held moves to a new page below it. */
        struct page left = *page;
        struct entry both[2] = {{.child = page_allocate(overlay, type)}, entry};
        struct page root = {.level = (uint8_t)(page->level + 1), .entries = both, .count = 2};
        left.number = both[0].child;
        page_store(overlay, type, &left);
        page_store(overlay, type, &root);
    }
    return true;
}

bool directory_remove(struct overlay *overlay, uint32_t type, struct cairn_bytes id)
{
    struct page path[DEPTH_MAX];
    uint32_t slots[DEPTH_MAX];
    int depth = descend(overlay, type, id, path, slots);
    bool found;

    if (depth == 0)
        return false;
    slots[depth - 1] = lower_bound(&path[depth - 1], id, &found);
    if (!found)
        return false;
    for (int i = depth - 1; i >= 0; i--) {
        struct page *page = &path[i];
        uint8_t key[1 + 2 * CAIRN_VARINT_BYTES_MAX];

        page->count--;
        memmove(page->entries + slots[i], page->entries + slots[i] + 1,
                (page->count - slots[i]) * sizeof *page->entries);
        if (page->count) {
            if (page->level && slots[i] == 0)
                page->entries[0].id = cairn_bytes(NULL, 0);
            page_store(overlay, type, page);
            return true;
        }
        overlay_remove(overlay, page_key(key, type, page->number));
    }
    return true;
}

bool directory_empty(struct overlay *overlay, uint32_t type)
{
    uint8_t key[1 + 2 * CAIRN_VARINT_BYTES_MAX];
    struct cairn_bytes bytes;

    return !overlay_get(overlay, page_key(key, type, 0), &bytes);
}

void directory_scan(struct overlay *overlay, uint32_t type, struct cairn_bytes prefix, struct cairn_bytes after,
                    bool (*visit)(void *context, struct cairn_bytes id), void *context)
{
    struct cairn_bytes from = cairn_bytes_compare(prefix, after) > 0 ? prefix : after;
    struct page path[DEPTH_MAX];
    uint32_t slots[DEPTH_MAX];
    int depth = descend(overlay, type, from, path, slots);
    bool found;

    if (depth == 0)
        return;
    slots[depth - 1] = lower_bound(&path[depth - 1], from, &found);
    if (found && cairn_bytes_equal(from, after))
        slots[depth - 1]++;
    for (;;) {
        struct page *leaf = &path[depth - 1];
        int up = depth - 1;

        for (; slots[depth - 1] < leaf->count; slots[depth - 1]++) {
            struct cairn_bytes id = leaf->entries[slots[depth - 1]].id;
            if (id.size < prefix.size || (prefix.size && memcmp(id.data, prefix.data, prefix.size) != 0))
                return; /* ids with the prefix stand together, and this is behind them */
            if (!visit(context, id))
                return;
        }
        do { /* up to a page with a next child, then down along the first children */
            if (--up < 0)
                return;
        } while (++slots[up] >= path[up].count);
        for (; up < depth - 1; up++) {
            bool there = page_load(overlay, type, path[up].entries[slots[up]].child, &path[up + 1]);
            assert(there || overlay->code != CAIRN_OK);
            if (!there)
                return;
            slots[up + 1] = 0;
        }
    }
}
