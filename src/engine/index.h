/* index.h - a hash index: from the hash of a key to the place of its newest record, in at most 12 bytes a key.
 *
 * An entry is 24 bits of the hash, the tag, and 40 bits of place; the key itself lies in the record, so the caller
 * compares it there.  Entries live in pages of open addressing, found through a directory by the first bits of the
 * hash (extendible hashing, Fagin et al. 1979).  A page keeps its entries about in the order of their tags, so that
 * it grows by an eighth in one short pass; when it is as large as a page gets it is split in two.  So no call takes
 * longer than one page's copy. Threads: one owner.  Layer: engine; uses base. */
#ifndef CAIRN_ENGINE_INDEX_H
#define CAIRN_ENGINE_INDEX_H

#include "base/bytes.h"

#define INDEX_PLACE_MAX ((UINT64_C(1) << 40) - 1)

struct index_page {
    uint32_t capacity, count; /* capacity: homes; some slots more follow, so that nothing wraps around */
    uint32_t depth;           /* leading bits of the hash that all entries here share */
    uint64_t slots[];         /* tag above place; 0: empty */
};

struct index {
    struct index_page **pages; /* 1 << depth */
    uint32_t depth;
    uint64_t count, bytes; /* bytes: all memory that it takes */
    uint64_t (*hash_of)(void *context, uint64_t place);
    void *context;
};

/* hash_of(context, place) tells the whole hash of what lies there, when a page is split. */
void index_init(struct index *index, uint64_t (*hash_of)(void *context, uint64_t place), void *context);
void index_done(struct index *index);

/* A walk over the entries whose key may be the one with this hash; the index must not change meanwhile but by
 * index_set. */
struct index_walk {
    struct index_page *page;
    uint32_t slot; /* behind the entry that was found last */
    uint32_t tag;
};

static inline struct index_page *index_page_of(const struct index *index, uint64_t hash)
{
    return index->pages[hash >> 1 >> (63 - index->depth)];
}

/* From the middle: the first bits choose the page, the last ones a shard, so that all keys here may agree in them. */
static inline uint32_t index_tag(uint64_t hash)
{
    return (uint32_t)(hash >> 16) & 0xffffff;
}

static inline uint32_t index_home(uint32_t tag, uint32_t capacity)
{
    return (uint32_t)((uint64_t)tag * capacity >> 24);
}

static inline struct index_walk index_walk(const struct index *index, uint64_t hash)
{
    struct index_walk walk = {.page = index_page_of(index, hash), .tag = index_tag(hash)};

    walk.slot = index_home(walk.tag, walk.page->capacity);
    return walk;
}

static inline bool index_next(struct index_walk *walk, uint64_t *ret_place)
{
    uint64_t entry;

    while ((entry = walk->page->slots[walk->slot])) {
        walk->slot++;
        if (entry >> 40 == walk->tag) {
            *ret_place = entry & INDEX_PLACE_MAX;
            return true;
        }
    }
    return false;
}

/* Moves the entry that was found last to another place. */
static inline void index_set(struct index_walk *walk, uint64_t place)
{
    walk->page->slots[walk->slot - 1] = (uint64_t)walk->tag << 40 | place;
}

/* A hint that this hash is about to be asked for. */
static inline void index_prefetch(const struct index *index, uint64_t hash)
{
    const struct index_page *page = index_page_of(index, hash);

    __builtin_prefetch(&page->slots[index_home(index_tag(hash), page->capacity)]);
}

/* `place` from 1 to INDEX_PLACE_MAX. */
void index_add(struct index *index, uint64_t hash, uint64_t place);
/* Removes the entry that was found last; the walk is over. */
void index_remove(struct index *index, struct index_walk *walk);

#endif
