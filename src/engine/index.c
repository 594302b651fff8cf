#include "engine/index.h"

#include <assert.h>
#include <stdlib.h>

enum {
    CAPACITY_LEAST = 16,
    CAPACITY_MAX = 8192, /* a page with more is split */
    SPARE = 64,          /* slots behind the last home; the last of them is always empty */
};

static uint32_t slot_count(uint32_t capacity)
{
    return capacity + SPARE;
}

static size_t page_bytes(uint32_t capacity)
{
    return sizeof(struct index_page) + slot_count(capacity) * sizeof(uint64_t);
}

static struct index_page *create_page(struct index *index, uint32_t capacity, uint32_t depth)
{
    struct index_page *page = cairn_alloc_zeroed(1, page_bytes(capacity));

    page->capacity = capacity;
    page->depth = depth;
    index->bytes += page_bytes(capacity);
    return page;
}

static void free_page(struct index *index, struct index_page *page)
{
    index->bytes -= page_bytes(page->capacity);
    free(page);
}

void index_init(struct index *index, uint64_t (*hash_of)(void *context, uint64_t place), void *context)
{
    *index = (struct index){.hash_of = hash_of, .context = context, .bytes = sizeof(struct index_page *)};
    index->pages = cairn_alloc(sizeof *index->pages);
    index->pages[0] = create_page(index, CAPACITY_LEAST, 0);
}

/* Several places of the directory share a page of less depth: the first of them stands for it. */
static bool is_first(const struct index *index, uint64_t at)
{
    return (at & ((UINT64_C(1) << (index->depth - index->pages[at]->depth)) - 1)) == 0;
}

void index_done(struct index *index)
{
    if (!index->pages)
        return;
    for (uint64_t at = UINT64_C(1) << index->depth; at-- > 0;)
        if (is_first(index, at))
            free(index->pages[at]);
    free(index->pages);
    *index = (struct index){0};
}

/* False: it is too crowded for that. */
static bool insert(struct index_page *page, uint64_t entry)
{
    uint32_t slot = index_home((uint32_t)(entry >> 40), page->capacity);

    while (page->slots[slot])
        slot++;
    if (slot == slot_count(page->capacity) - 1)
        return false;
    page->slots[slot] = entry;
    page->count++;
    return true;
}

/* Puts the page where the directory has the one that it takes the place of. */
static void enter(struct index *index, uint64_t hash, struct index_page *page)
{
    uint32_t shared = index->depth - page->depth;
    uint64_t first = page->depth ? hash >> (64 - page->depth) << shared : 0;

    for (uint64_t at = first; at < first + (UINT64_C(1) << shared); at++)
        index->pages[at] = page;
}

/* For `count` entries with some room. */
static uint32_t capacity_for(uint32_t count)
{
    uint32_t capacity = count + count / 3; /* three quarters full */

    return capacity < CAPACITY_LEAST ? CAPACITY_LEAST : capacity;
}

static void grow_page(struct index *index, uint64_t hash, struct index_page *page)
{
    struct index_page *larger;
    uint32_t capacity = capacity_for(page->count);
    bool all;

    if (capacity <= page->capacity)
        capacity = page->capacity + page->capacity / 8; /* crowded in one place */
    do {
        larger = create_page(index, capacity, page->depth);
        all = true;
        for (uint32_t slot = 0; all && slot < slot_count(page->capacity); slot++)
            if (page->slots[slot])
                all = insert(larger, page->slots[slot]);
        if (!all)
            free_page(index, larger);
        capacity += capacity / 8;
    } while (!all);
    enter(index, hash, larger);
    free_page(index, page);
}

static void split_page(struct index *index, uint64_t hash, struct index_page *page)
{
    struct index_page *halves[2];
    uint32_t depth = page->depth + 1, capacity = capacity_for(page->count / 2 + page->count / 32);
    uint64_t bit = UINT64_C(1) << (64 - depth);

    if (page->depth == index->depth) {
        uint64_t count = UINT64_C(1) << index->depth;

        index->pages = cairn_realloc(index->pages, 2 * count * sizeof *index->pages);
        for (uint64_t at = count; at-- > 0;)
            index->pages[2 * at] = index->pages[2 * at + 1] = index->pages[at];
        index->depth++;
        index->bytes += count * sizeof *index->pages;
    }
    for (int side = 0; side < 2; side++) {
        halves[side] = create_page(index, capacity, depth);
        enter(index, side ? hash | bit : hash & ~bit, halves[side]);
    }
    for (uint32_t slot = 0; slot < slot_count(page->capacity); slot++) {
        uint64_t entry = page->slots[slot], whole;
        int side;

        if (!entry)
            continue;
        whole = index->hash_of(index->context, entry & INDEX_PLACE_MAX);
        side = (whole & bit) != 0;
        while (!insert(halves[side], entry)) {
            grow_page(index, whole, halves[side]);
            halves[side] = index_page_of(index, whole);
        }
    }
    free_page(index, page);
}

void index_add(struct index *index, uint64_t hash, uint64_t place)
{
    uint64_t entry = (uint64_t)index_tag(hash) << 40 | place;
    struct index_page *page = index_page_of(index, hash);

    assert(place > 0 && place <= INDEX_PLACE_MAX);
    while (page->count >= page->capacity - page->capacity / 8 || !insert(page, entry)) {
        /* Nothing separates equal hashes: below some depth a page only grows. */
        if (page->capacity >= CAPACITY_MAX && page->depth < 32)
            split_page(index, hash, page);
        else
            grow_page(index, hash, page);
        page = index_page_of(index, hash);
    }
    index->count++;
}

void index_remove(struct index *index, struct index_walk *walk)
{
    struct index_page *page = walk->page;
    uint32_t gap = walk->slot - 1;

    /* What was pushed away from its home by the entry goes back. */
    for (uint32_t slot = gap + 1; page->slots[slot]; slot++)
        if (index_home((uint32_t)(page->slots[slot] >> 40), page->capacity) <= gap) {
            page->slots[gap] = page->slots[slot];
            gap = slot;
        }
    page->slots[gap] = 0;
    page->count--;
    index->count--;
}
