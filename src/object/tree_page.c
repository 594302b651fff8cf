#include <assert.h>

#include "base/hash.h"
#include "object/tree_internal.h"

/* A page: u8 level (0: leaf), with PAGE_OFFSETS of an inner page | varint count | of an inner page: u16 offset in
 * the page, per entry | entries in order.
 *   leaf entry   sized key, of a map: varint 0 (the value is apart) or 1 + its size, and the value
 *   inner entry  sized least key below it (empty for the first), varint child page
 * Folders of the format before this one have inner pages without PAGE_OFFSETS and offsets; these are read only.
 * The page PAGE_NEXT is none: it holds the next page's number as a varint.
 * Counts: per child, a varint: twice the keys below it, plus 1 if it is marked.  Of a root that is a leaf: 1, if that
 * is marked. */
#define PAGE_NEXT UINT64_MAX

enum { COUNTS_MARK = 'n', PAGE_OFFSETS = 0x80 };

struct cairn_bytes page_key(uint8_t *to, const struct tree *tree, uint64_t page)
{
    memcpy(to, tree->prefix.data, tree->prefix.size);
    return cairn_bytes(to, tree->prefix.size + cairn_put_varint(to + tree->prefix.size, page));
}

static struct cairn_bytes counts_key(uint8_t *to, const struct tree *tree, uint64_t page)
{
    struct cairn_bytes key = page_key(to, tree, page);

    to[key.size++] = COUNTS_MARK;
    return key;
}

/* --- where it lies --- */

static inline uint64_t read_number(struct cairn_reader *r)
{
    if (r->at < r->end && *r->at < 0x80)
        return *r->at++;
    return cairn_read_varint(r);
}

static inline struct cairn_bytes read_bytes(struct cairn_reader *r, uint64_t size)
{
    struct cairn_bytes bytes;

    if (size > cairn_reader_left(r))
        return cairn_read_bytes(r, (size_t)size); /* which says that it is bad */
    bytes = cairn_bytes(r->at, (size_t)size);
    r->at += size;
    return bytes;
}

static inline struct cairn_bytes read_key(struct cairn_reader *r)
{
    return read_bytes(r, read_number(r));
}

static inline struct cairn_bytes read_value(struct cairn_reader *r)
{
    uint64_t size = read_number(r);

    return size ? read_bytes(r, size - 1) : cairn_bytes(NULL, 0);
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

uint8_t page_level(struct cairn_bytes page)
{
    return page.data[0] & ~PAGE_OFFSETS;
}

/* What is read of a page was written by this room, and is checked by the log and the checkpoint. */
static inline struct cairn_reader begin(struct cairn_bytes page, uint32_t *ret_count)
{
    struct cairn_reader r = cairn_reader(page);

    r.at++;
    *ret_count = (uint32_t)read_number(&r);
    return r;
}

uint32_t page_count(struct cairn_bytes page)
{
    uint32_t count;

    begin(page, &count);
    return count;
}

/* At an inner page's entry; `first` is behind the count. */
static inline struct cairn_reader entry_at(struct cairn_bytes page, struct cairn_reader first, uint32_t slot)
{
    uint16_t offset;

    if (!(page.data[0] & PAGE_OFFSETS)) {
        while (slot-- > 0) {
            read_key(&first);
            read_number(&first);
        }
        return first;
    }
    offset = cairn_get_u16(first.at + 2 * (size_t)slot);
    assert(offset < page.size);
    return (struct cairn_reader){.at = page.data + offset, .end = page.data + page.size};
}

uint64_t page_child(struct cairn_bytes page, uint32_t slot)
{
    uint32_t count;
    struct cairn_reader r = begin(page, &count);

    assert(slot < count);
    r = entry_at(page, r, slot);
    read_key(&r);
    return read_number(&r);
}

static struct page_spot search_inner(struct cairn_bytes page, struct cairn_bytes key)
{
    struct page_spot spot = {.level = page_level(page)};
    struct cairn_reader first = begin(page, &spot.count), r;
    uint32_t low = 0, high = spot.count; /* the last entry that is not above the key; the first is below all */

    while (high - low > 1) {
        uint32_t middle = (low + high) / 2;

        r = entry_at(page, first, middle);
        if (compare(read_key(&r), key) > 0)
            high = middle;
        else
            low = middle;
    }
    r = entry_at(page, first, low);
    read_key(&r);
    spot.slot = low;
    spot.child = read_number(&r);
    assert(!r.bad);
    return spot;
}

struct page_spot page_search(const struct tree *tree, struct cairn_bytes page, struct cairn_bytes key)
{
    struct page_spot spot = {0};
    struct cairn_reader r;

    if (page.data[0])
        return search_inner(page, key);
    r = begin(page, &spot.count);
    for (; spot.slot < spot.count && !r.bad; spot.slot++) {
        const uint8_t *begin = r.at;
        int order = compare(read_key(&r), key);

        if (tree->is_map)
            spot.value = read_value(&r);
        if (order >= 0) {
            spot.at = (size_t)(begin - page.data);
            spot.bytes = (size_t)(r.at - begin);
            spot.found = order == 0;
            return spot;
        }
    }
    assert(!r.bad);
    spot.at = page.size;
    return spot;
}

size_t page_put_value(uint8_t *to, struct cairn_bytes value)
{
    size_t n = cairn_put_varint(to, value.data ? value.size + 1 : 0);

    if (value.size)
        memcpy(to + n, value.data, value.size);
    return n + value.size;
}

/* --- decoded --- */

static bool get_page(const struct tree *tree, uint64_t number, struct cairn_bytes *ret_page)
{
    uint8_t key[PAGE_KEY_MAX];

    return overlay_get(tree->overlay, page_key(key, tree, number), ret_page);
}

static bool get_counts(const struct tree *tree, uint64_t number, struct cairn_reader *ret_counts)
{
    uint8_t key[PAGE_KEY_MAX];
    struct cairn_bytes bytes;
    bool there = overlay_get(tree->overlay, counts_key(key, tree, number), &bytes);

    *ret_counts = there ? cairn_reader(bytes) : (struct cairn_reader){0};
    return there;
}

bool page_load(const struct tree *tree, uint64_t number, struct tree_page *page)
{
    struct cairn_arena *arena = &tree->overlay->arena;
    struct cairn_bytes bytes;
    struct cairn_reader r;

    if (!get_page(tree, number, &bytes))
        return false;
    bytes = cairn_arena_copy(arena, bytes); /* its keys are used when other pages have been read and changed */
    *page = (struct tree_page){.number = number, .level = page_level(bytes), .bytes = bytes.size};
    r = begin(bytes, &page->count);
    page->entries = cairn_arena_alloc(arena, (page->count + 2) * sizeof *page->entries);
    if (bytes.data[0] & PAGE_OFFSETS)
        r.at += 2 * (size_t)page->count;
    for (uint32_t i = 0; i < page->count; i++) {
        struct tree_entry *e = &page->entries[i];

        *e = (struct tree_entry){.key = read_key(&r)};
        if (page->level)
            e->child = read_number(&r);
        else if (tree->is_map)
            e->value = read_value(&r);
    }
    assert(!r.bad);
    if (!tree->is_map || (page->level == 0 && number != 0))
        return true;
    page->marked = get_counts(tree, number, &r) && page->level == 0;
    for (uint32_t i = 0; i < page->count && page->level; i++) {
        uint64_t n = read_number(&r);

        page->entries[i].below = n >> 1;
        page->entries[i].marked = n & 1;
    }
    assert(!r.bad || tree->overlay->code != CAIRN_OK);
    return true;
}

void page_store_counts(const struct tree *tree, const struct tree_page *page)
{
    uint8_t key[PAGE_KEY_MAX], *to;
    size_t n = 0;

    if (!tree->is_map || page->level == 0)
        return;
    to = cairn_arena_alloc(&tree->overlay->arena, page->count * (size_t)CAIRN_VARINT_BYTES_MAX);
    for (uint32_t i = 0; i < page->count; i++)
        n += cairn_put_varint(to + n, page->entries[i].below << 1 | page->entries[i].marked);
    overlay_put(tree->overlay, counts_key(key, tree, page->number), cairn_bytes(to, n));
}

void page_store(const struct tree *tree, struct tree_page *page)
{
    size_t most = 1 + CAIRN_VARINT_BYTES_MAX;
    uint8_t key[PAGE_KEY_MAX], *to, *at, *offsets;

    for (uint32_t i = 0; i < page->count; i++)
        most += page->entries[i].key.size + page->entries[i].value.size + 2 * CAIRN_VARINT_BYTES_MAX + 2;
    to = at = cairn_arena_alloc(&tree->overlay->arena, most);
    *at++ = page->level ? page->level | PAGE_OFFSETS : 0;
    at += cairn_put_varint(at, page->count);
    offsets = at;
    if (page->level)
        at += 2 * (size_t)page->count;
    for (uint32_t i = 0; i < page->count; i++) {
        struct tree_entry *e = &page->entries[i];

        if (page->level)
            cairn_put_u16(offsets + 2 * (size_t)i, (uint16_t)(at - to));
        at += cairn_put_varint(at, e->key.size);
        if (e->key.size)
            memcpy(at, e->key.data, e->key.size);
        at += e->key.size;
        if (page->level)
            at += cairn_put_varint(at, e->child);
        else if (tree->is_map)
            at += page_put_value(at, e->value);
    }
    page->bytes = (size_t)(at - to);
    assert(page->level == 0 || page->bytes <= UINT16_MAX);
    overlay_put(tree->overlay, page_key(key, tree, page->number), cairn_bytes(to, page->bytes));
    page_store_counts(tree, page);
}

void page_drop(const struct tree *tree, const struct tree_page *page)
{
    uint8_t key[PAGE_KEY_MAX];

    overlay_remove(tree->overlay, page_key(key, tree, page->number));
    if (tree->is_map && (page->level || (page->marked && page->number == 0)))
        overlay_remove(tree->overlay, counts_key(key, tree, page->number));
}

void page_walk(const struct tree *tree, struct cairn_bytes page, struct tree_cursor *cursor)
{
    struct cairn_arena *arena = &tree->overlay->arena;
    uint32_t count;
    struct cairn_reader r;

    if (cursor->memory_bytes < page.size) {
        cursor->memory_bytes = page.size + page.size / 2;
        cursor->memory = cairn_arena_alloc(arena, cursor->memory_bytes);
    }
    memcpy(cursor->memory, page.data, page.size);
    r = begin(cairn_bytes(cursor->memory, page.size), &count);
    if (cursor->entries_room < count) {
        cursor->entries_room = count + count / 2;
        cursor->entries = cairn_arena_alloc(arena, cursor->entries_room * sizeof *cursor->entries);
    }
    cursor->has_apart = false;
    for (uint32_t i = 0; i < count; i++) {
        struct tree_leaf_entry *entry = &cursor->entries[i];

        entry->key = read_key(&r);
        entry->value = tree->is_map ? read_value(&r) : cairn_bytes(NULL, 0);
        cursor->has_apart |= !entry->value.data;
    }
    assert(!r.bad);
}

uint64_t page_allocate(const struct tree *tree)
{
    uint8_t key[PAGE_KEY_MAX], next[CAIRN_VARINT_BYTES_MAX];
    struct cairn_bytes bytes;
    uint64_t number = 1;

    if (get_page(tree, PAGE_NEXT, &bytes)) {
        struct cairn_reader r = cairn_reader(bytes);
        number = cairn_read_varint(&r);
    }
    overlay_put(tree->overlay, page_key(key, tree, PAGE_NEXT), cairn_bytes(next, cairn_put_varint(next, number + 1)));
    return number;
}

void page_forget_numbers(const struct tree *tree)
{
    uint8_t key[PAGE_KEY_MAX];
    struct cairn_bytes bytes;

    if (get_page(tree, PAGE_NEXT, &bytes))
        overlay_remove(tree->overlay, page_key(key, tree, PAGE_NEXT));
}

/* --- counts and marks where they lie --- */

uint64_t page_counts_hash(const struct tree *tree, uint64_t number)
{
    uint8_t key[PAGE_KEY_MAX];

    return cairn_hash(counts_key(key, tree, number));
}

static struct cairn_reader counts_of(const struct tree *tree, uint64_t number)
{
    struct cairn_reader r;
    bool there = get_counts(tree, number, &r);

    assert(there || tree->overlay->code != CAIRN_OK);
    (void)there;
    return r;
}

uint64_t page_count_before(const struct tree *tree, uint64_t number, uint32_t slot)
{
    struct cairn_reader r = counts_of(tree, number);
    uint64_t sum = 0;

    for (uint32_t i = 0; i < slot && !r.bad; i++)
        sum += read_number(&r) >> 1;
    return sum;
}

uint32_t page_count_find(const struct tree *tree, uint64_t number, uint64_t place, uint64_t *ret_place)
{
    struct cairn_reader r = counts_of(tree, number);
    uint32_t slot = 0;

    for (;; slot++) {
        uint64_t below = read_number(&r) >> 1;
        if (r.bad || place < below)
            break;
        place -= below;
    }
    *ret_place = place;
    return slot;
}

/* The number in that slot is changed by adding to it. */
static void change(const struct tree *tree, uint64_t number, uint32_t slot, int add, bool unless_marked)
{
    struct cairn_reader r = counts_of(tree, number);
    const uint8_t *begin = r.at, *from;
    uint8_t key[PAGE_KEY_MAX], small[256], *to = small;
    uint64_t n_before;
    size_t n;

    for (uint32_t i = 0; i < slot; i++)
        read_number(&r);
    from = r.at;
    n_before = read_number(&r);
    if (r.bad || (unless_marked && n_before & 1))
        return; /* or it could not be read */
    if ((size_t)(r.end - begin) >= sizeof small)
        to = cairn_arena_alloc(&tree->overlay->arena, (size_t)(r.end - begin) + 1);
    n = (size_t)(from - begin);
    memcpy(to, begin, n);
    n += cairn_put_varint(to + n, n_before + (uint64_t)(int64_t)add);
    memcpy(to + n, r.at, cairn_reader_left(&r));
    n += cairn_reader_left(&r);
    overlay_put(tree->overlay, counts_key(key, tree, number), cairn_bytes(to, n));
}

void page_count_change(const struct tree *tree, uint64_t number, uint32_t slot, bool more)
{
    change(tree, number, slot, more ? 2 : -2, false);
}

void page_mark(const struct tree *tree, uint64_t above, uint32_t slot)
{
    struct cairn_reader r;
    uint8_t key[PAGE_KEY_MAX], one = 1;

    if (above != PAGE_NONE)
        change(tree, above, slot, 1, true);
    else if (!get_counts(tree, 0, &r))
        overlay_put(tree->overlay, counts_key(key, tree, 0), cairn_bytes(&one, 1));
}

bool page_is_marked(const struct tree *tree, uint64_t above, uint32_t slot)
{
    struct cairn_reader r;
    uint64_t n = 0;

    if (!get_counts(tree, above == PAGE_NONE ? 0 : above, &r))
        return false; /* of a root; or it could not be read */
    for (uint32_t i = 0; i <= slot && !r.bad; i++)
        n = read_number(&r);
    return n & 1;
}

bool page_has_marks(const struct tree *tree, uint64_t above)
{
    struct cairn_reader r;
    uint64_t any = 0;

    if (get_counts(tree, above == PAGE_NONE ? 0 : above, &r))
        while (cairn_reader_left(&r) && !r.bad)
            any |= read_number(&r);
    return any & 1;
}
