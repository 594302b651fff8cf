#include <assert.h>

#include "object/tree_internal.h"

/* A page: u8 level (0: leaf) | varint count | entries in order.
 *   leaf entry   sized key
 *   inner entry  sized least key below it (empty for the first), varint child page
 * The page PAGE_NEXT is none: it holds the next page's number as a varint.  Counts: a varint for each child. */
#define PAGE_NEXT UINT64_MAX

enum { COUNTS_MARK = 'n' };

struct cairn_bytes page_key(uint8_t *to, const struct tree *tree, uint64_t page)
{
    memcpy(to, tree->prefix.data, tree->prefix.size);
    return cairn_bytes(to, tree->prefix.size + cairn_put_varint(to + tree->prefix.size, page));
}

struct cairn_bytes page_counts_key(uint8_t *to, const struct tree *tree, uint64_t page)
{
    struct cairn_bytes key = page_key(to, tree, page);

    to[key.size++] = COUNTS_MARK;
    return key;
}

/* --- searching where it lies --- */

static inline uint64_t read_number(struct cairn_reader *r)
{
    if (r->at < r->end && *r->at < 0x80)
        return *r->at++;
    return cairn_read_varint(r);
}

static inline struct cairn_bytes read_key(struct cairn_reader *r)
{
    uint64_t size = read_number(r);
    struct cairn_bytes key;

    if (size > cairn_reader_left(r))
        return cairn_read_bytes(r, (size_t)size); /* which says that it is bad */
    key = cairn_bytes(r->at, (size_t)size);
    r->at += size;
    return key;
}

/* As cairn_bytes_compare; most keys differ in their first eight bytes. */
static inline int compare(struct cairn_bytes a, struct cairn_bytes b)
{
    if (a.size >= 8 && b.size >= 8) {
        uint64_t first = cairn_get_be64(a.data), second = cairn_get_be64(b.data);
        if (first != second)
            return first < second ? -1 : 1;
    }
    return cairn_bytes_compare(a, b);
}

struct page_spot page_search(struct cairn_bytes page, struct cairn_bytes key)
{
    struct cairn_reader r = cairn_reader(page);
    struct page_spot spot = {.level = cairn_read_u8(&r)};

    spot.count = (uint32_t)read_number(&r);
    for (; spot.slot < spot.count && !r.bad; spot.slot++) {
        const uint8_t *begin = r.at;
        int order = compare(read_key(&r), key);

        spot.at = (size_t)(begin - page.data);
        if (spot.level == 0 && order >= 0) {
            spot.found = order == 0;
            return spot;
        }
        if (spot.level && order > 0)
            break;
        if (spot.level)
            spot.child = read_number(&r);
    }
    assert(!r.bad); /* written by this room, and checked by the log and the checkpoint */
    if (spot.level)
        spot.slot -= spot.slot > 0;
    else
        spot.at = page.size;
    return spot;
}

/* --- decoded --- */

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

bool page_load(const struct tree *tree, uint64_t number, struct tree_page *page)
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
    page->count = (uint32_t)read_number(&r);
    page->bytes = bytes.size;
    if (page->entries_room < page->count + 2) {
        page->entries_room = page->count + 2 + page->count / 2;
        page->entries = cairn_arena_alloc(&tree->overlay->arena, page->entries_room * sizeof *page->entries);
    }
    for (uint32_t i = 0; i < page->count; i++) {
        page->entries[i].key = read_key(&r);
        page->entries[i].child = page->level ? read_number(&r) : 0;
    }
    assert(!r.bad); /* written by this room, and checked by the log and the checkpoint */
    return true;
}

void page_load_counts(const struct tree *tree, struct tree_page *page)
{
    uint8_t key[PAGE_KEY_MAX];
    struct cairn_reader r = {0};
    struct cairn_bytes bytes;

    if (!tree->counted || page->level == 0)
        return;
    if (overlay_get(tree->overlay, page_counts_key(key, tree, page->number), &bytes))
        r = cairn_reader(bytes);
    for (uint32_t i = 0; i < page->count; i++)
        page->entries[i].below = read_number(&r);
    assert(!r.bad || tree->overlay->code != CAIRN_OK);
}

void page_store_counts(const struct tree *tree, const struct tree_page *page)
{
    uint8_t key[PAGE_KEY_MAX], *to;
    size_t n = 0;

    if (!tree->counted || page->level == 0)
        return;
    to = cairn_arena_alloc(&tree->overlay->arena, page->count * (size_t)CAIRN_VARINT_BYTES_MAX);
    for (uint32_t i = 0; i < page->count; i++)
        n += cairn_put_varint(to + n, page->entries[i].below);
    overlay_put(tree->overlay, page_counts_key(key, tree, page->number), cairn_bytes(to, n));
}

void page_store(const struct tree *tree, struct tree_page *page)
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
    page_store_counts(tree, page);
}

void page_drop(const struct tree *tree, const struct tree_page *page)
{
    uint8_t key[PAGE_KEY_MAX];

    overlay_remove(tree->overlay, page_key(key, tree, page->number));
    if (tree->counted && page->level)
        overlay_remove(tree->overlay, page_counts_key(key, tree, page->number));
}

uint64_t page_allocate(const struct tree *tree)
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

void page_forget_numbers(const struct tree *tree)
{
    uint8_t key[PAGE_KEY_MAX];
    struct cairn_bytes bytes, k = page_key(key, tree, PAGE_NEXT);

    if (overlay_get(tree->overlay, k, &bytes))
        overlay_remove(tree->overlay, k);
}

/* --- counts where they lie --- */

static struct cairn_reader counts_of(const struct tree *tree, uint64_t number)
{
    uint8_t key[PAGE_KEY_MAX];
    struct cairn_bytes bytes;
    bool there = overlay_get(tree->overlay, page_counts_key(key, tree, number), &bytes);

    assert(there || tree->overlay->code != CAIRN_OK);
    return there ? cairn_reader(bytes) : (struct cairn_reader){0};
}

uint64_t page_count_before(const struct tree *tree, uint64_t number, uint32_t slot)
{
    struct cairn_reader r = counts_of(tree, number);
    uint64_t sum = 0;

    for (uint32_t i = 0; i < slot && !r.bad; i++)
        sum += read_number(&r);
    return sum;
}

uint32_t page_count_find(const struct tree *tree, uint64_t number, uint64_t place, uint64_t *ret_place)
{
    struct cairn_reader r = counts_of(tree, number);
    uint32_t slot = 0;

    for (;; slot++) {
        uint64_t below = read_number(&r);
        if (r.bad || place < below)
            break;
        place -= below;
    }
    *ret_place = place;
    return slot;
}

void page_count_change(const struct tree *tree, uint64_t number, uint32_t slot, bool more)
{
    struct cairn_reader r = counts_of(tree, number);
    const uint8_t *begin = r.at, *from;
    uint8_t key[PAGE_KEY_MAX], small[256], *to = small;
    uint64_t below;
    size_t n;

    for (uint32_t i = 0; i < slot; i++)
        read_number(&r);
    from = r.at;
    below = read_number(&r);
    if (r.bad)
        return; /* it could not be read */
    if ((size_t)(r.end - begin) >= sizeof small)
        to = cairn_arena_alloc(&tree->overlay->arena, (size_t)(r.end - begin) + 1);
    n = (size_t)(from - begin);
    memcpy(to, begin, n);
    n += cairn_put_varint(to + n, more ? below + 1 : below - 1);
    memcpy(to + n, r.at, cairn_reader_left(&r));
    n += cairn_reader_left(&r);
    overlay_put(tree->overlay, page_counts_key(key, tree, number), cairn_bytes(to, n));
}
