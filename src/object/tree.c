#include <assert.h>

#include "object/tree_internal.h"

/* --- the way from the root to a leaf, of pages that are only passed --- */

struct trail {
    int depth; /* pages, the leaf among them */
    uint64_t numbers[TREE_DEPTH_MAX];
    uint32_t slots[TREE_DEPTH_MAX];
    struct cairn_bytes leaf; /* borrowed */
    struct page_spot spot;   /* in it */
};

/* A key that will be read or changed on the way back. */
static void expect(const struct tree *tree, uint64_t number)
{
    struct cairn_view *engine = tree->overlay->engine;

    engine->ops->prefetch(engine, page_counts_hash(tree, number), 0);
}

/* To the leaf where the key belongs.  False: there is no root, or a page could not be read.  `counts`: those of the
 * pages on the way will be asked for. */
static bool follow(const struct tree *tree, struct cairn_bytes key, struct trail *trail, bool counts)
{
    uint64_t number = 0;

    for (int at = 0;; at++) {
        uint8_t to[PAGE_KEY_MAX];

        assert(at < TREE_DEPTH_MAX);
        if (!overlay_get(tree->overlay, page_key(to, tree, number), &trail->leaf)) {
            assert(at == 0 || tree->overlay->code != CAIRN_OK);
            return false;
        }
        trail->spot = page_search(tree, trail->leaf, key);
        trail->numbers[at] = number;
        trail->slots[at] = trail->spot.slot;
        trail->depth = at + 1;
        if (trail->spot.level == 0)
            return true;
        if (counts && at > 0)
            expect(tree, number);
        number = trail->spot.child;
    }
}

static void count_above(const struct tree *tree, const struct trail *trail, bool more)
{
    if (tree->is_map)
        for (int i = trail->depth - 2; i >= 0; i--)
            page_count_change(tree, trail->numbers[i], trail->slots[i], more);
}

/* The page above the leaf, where its mark stands. */
static uint64_t above(const struct trail *trail)
{
    return trail->depth > 1 ? trail->numbers[trail->depth - 2] : PAGE_NONE;
}

static uint32_t slot_above(const struct trail *trail)
{
    return trail->depth > 1 ? trail->slots[trail->depth - 2] : 0;
}

/* The leaf with `cut` bytes behind `at` replaced by `entry`; the level is 0. */
static void splice(const struct tree *tree, const struct trail *trail, size_t cut, const uint8_t *entry,
                   size_t entry_bytes, uint32_t count)
{
    struct cairn_bytes leaf = trail->leaf;
    struct cairn_reader r = cairn_reader(cairn_bytes(leaf.data + 1, leaf.size - 1));
    size_t at = trail->spot.at, head, n;
    size_t most = leaf.size + entry_bytes + CAIRN_VARINT_BYTES_MAX;
    uint8_t key[PAGE_KEY_MAX], small[2 * TREE_LEAF_BYTES], *to = small;

    cairn_read_varint(&r);
    head = (size_t)(r.at - leaf.data);
    if (most > sizeof small)
        to = cairn_arena_alloc(&tree->overlay->arena, most);
    to[0] = 0;
    n = 1 + cairn_put_varint(to + 1, count);
    memcpy(to + n, leaf.data + head, at - head);
    n += at - head;
    if (entry_bytes)
        memcpy(to + n, entry, entry_bytes);
    n += entry_bytes;
    memcpy(to + n, leaf.data + at + cut, leaf.size - at - cut);
    n += leaf.size - at - cut;
    overlay_put(tree->overlay, page_key(key, tree, trail->numbers[trail->depth - 1]), cairn_bytes(to, n));
}

/* --- pages that are split or dropped: decoded, with their counts --- */

static bool load(const struct tree *tree, const struct trail *trail, struct tree_page *path)
{
    for (int i = 0; i < trail->depth; i++) {
        if (!page_load(tree, trail->numbers[i], &path[i]))
            return false;
        if (i > 0 && path[i].level == 0 && tree->is_map)
            path[i].marked = path[i - 1].entries[trail->slots[i - 1]].marked;
    }
    return tree->overlay->code == CAIRN_OK;
}

static uint64_t keys_below(const struct tree_page *page)
{
    uint64_t sum = 0;

    if (page->level == 0)
        return page->count;
    for (uint32_t i = 0; i < page->count; i++)
        sum += page->entries[i].below;
    return sum;
}

static void insert_entry(struct tree_page *page, uint32_t at, struct tree_entry entry)
{
    memmove(page->entries + at + 1, page->entries + at, (page->count - at) * sizeof *page->entries);
    page->entries[at] = entry;
    page->count++;
    page->bytes += entry.key.size + entry.value.size + (page->level ? 6 : 2);
}

/* Values of a leaf that were changed since come back into it, if they are small. */
static void gather(const struct tree *tree, struct tree_page *leaf)
{
    for (uint32_t i = 0; i < leaf->count; i++) {
        struct tree_entry *e = &leaf->entries[i];
        struct cairn_bytes value;

        if (!e->value.data || !tree->take_apart(tree, e->key, &value))
            continue;
        e->value = cairn_bytes(NULL, 0);
        if (value.size <= TREE_VALUE_BYTES_MAX) {
            uint8_t *to = cairn_arena_alloc(&tree->overlay->arena, TREE_VALUE_BYTES_MAX);
            if (value.size)
                memcpy(to, value.data, value.size);
            e->value = cairn_bytes(to, value.size);
        }
    }
    leaf->marked = false;
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
    struct tree_entry up = {.key = upper.entries[0].key, .child = upper.number, .below = keys_below(&upper)};

    if (upper.level)
        upper.entries[0].key = cairn_bytes(NULL, 0);
    page_store(tree, &upper);
    page->count = keep;
    return up;
}

/* The root stays page 0: what it held moves to a new page below it. */
static void grow(const struct tree *tree, struct tree_page *root, struct tree_entry entry)
{
    struct tree_page left = *root;
    struct tree_entry both[2] = {{.child = page_allocate(tree), .below = keys_below(root)}, entry};
    struct tree_page top = {.level = (uint8_t)(root->level + 1), .entries = both, .count = 2};

    left.number = both[0].child;
    page_store(tree, &left);
    page_store(tree, &top);
}

static void add_and_split(const struct tree *tree, const struct trail *trail, struct tree_entry entry)
{
    struct tree_page path[TREE_DEPTH_MAX];
    bool adds = true; /* an entry goes into the page, not just one to a count */

    if (!load(tree, trail, path))
        return;
    for (int i = trail->depth - 1; i >= 0; i--) {
        struct tree_page *page = &path[i];
        uint32_t at = trail->slots[i];

        if (page->level && !adds) {
            page->entries[at].below++;
            page_store_counts(tree, page);
            continue;
        }
        if (page->level) {
            page->entries[at].marked = path[i + 1].marked;
            page->entries[at++].below = keys_below(&path[i + 1]);
        }
        insert_entry(page, at, entry);
        adds = page->bytes > (page->level ? TREE_INNER_BYTES : TREE_LEAF_BYTES) && page->count > PAGE_ENTRIES_MIN;
        if (adds && page->marked)
            gather(tree, page);
        if (adds)
            entry = split(tree, page, at);
        if (adds && i == 0)
            grow(tree, page, entry);
        else
            page_store(tree, page);
    }
}

static void remove_last_of_leaf(const struct tree *tree, const struct trail *trail)
{
    struct tree_page path[TREE_DEPTH_MAX];
    bool drops = true;

    if (!load(tree, trail, path))
        return;
    for (int i = trail->depth - 1; i >= 0; i--) {
        struct tree_page *page = &path[i];
        uint32_t slot = trail->slots[i];

        if (!drops) {
            page->entries[slot].below--;
            page_store_counts(tree, page);
            continue;
        }
        page->count--;
        memmove(page->entries + slot, page->entries + slot + 1, (page->count - slot) * sizeof *page->entries);
        drops = page->count == 0;
        if (drops) {
            page_drop(tree, page);
            continue;
        }
        if (page->level && slot == 0)
            page->entries[0].key = cairn_bytes(NULL, 0);
        page_store(tree, page);
    }
    if (drops)
        page_forget_numbers(tree);
}

/* --- what is offered --- */

/* The key is new, and belongs where the trail leads; `there`: to a leaf. */
static void add(const struct tree *tree, const struct trail *trail, bool there, struct cairn_bytes key,
                struct cairn_bytes value)
{
    uint8_t entry[CAIRN_VARINT_BYTES_MAX + TREE_KEY_BYTES_MAX + PAGE_VALUE_MAX];
    size_t n;

    assert(key.size <= TREE_KEY_BYTES_MAX && value.size <= TREE_VALUE_BYTES_MAX &&
           tree->prefix.size <= TREE_PREFIX_BYTES_MAX);
    if (!there) {
        struct tree_page root = {.entries = &(struct tree_entry){.key = key, .value = value}, .count = 1};
        page_store(tree, &root);
        return;
    }
    n = cairn_put_varint(entry, key.size);
    if (key.size)
        memcpy(entry + n, key.data, key.size);
    n += key.size;
    if (tree->is_map)
        n += page_put_value(entry + n, value);
    if (trail->leaf.size + n > TREE_LEAF_BYTES && trail->spot.count >= PAGE_ENTRIES_MIN) {
        add_and_split(tree, trail, (struct tree_entry){.key = key, .value = value});
        return;
    }
    splice(tree, trail, 0, entry, n, trail->spot.count + 1);
    count_above(tree, trail, true);
}

static void take(const struct tree *tree, const struct trail *trail)
{
    if (trail->spot.count == 1) {
        remove_last_of_leaf(tree, trail);
        return;
    }
    splice(tree, trail, trail->spot.bytes, NULL, 0, trail->spot.count - 1);
    count_above(tree, trail, false);
}

bool tree_add(const struct tree *tree, struct cairn_bytes key)
{
    struct trail trail;
    bool there = follow(tree, key, &trail, false);

    assert(!tree->is_map);
    if (tree->overlay->code != CAIRN_OK)
        return true;
    if (there && trail.spot.found)
        return false;
    add(tree, &trail, there, key, cairn_bytes(NULL, 0));
    return true;
}

bool tree_remove(const struct tree *tree, struct cairn_bytes key)
{
    struct trail trail;

    assert(!tree->is_map);
    if (!follow(tree, key, &trail, false) || !trail.spot.found || tree->overlay->code != CAIRN_OK)
        return false;
    take(tree, &trail);
    return true;
}

bool tree_has(const struct tree *tree, struct cairn_bytes key)
{
    struct trail trail;

    return follow(tree, key, &trail, false) && trail.spot.found;
}

bool tree_empty(const struct tree *tree)
{
    uint8_t key[PAGE_KEY_MAX];
    struct cairn_bytes bytes;

    return !overlay_get(tree->overlay, page_key(key, tree, 0), &bytes);
}

/* --- maps --- */

bool tree_put(const struct tree *tree, struct cairn_bytes key, struct cairn_bytes value, bool *ret_apart)
{
    struct trail trail;
    bool there = follow(tree, key, &trail, true);

    assert(tree->is_map);
    *ret_apart = true;
    if (tree->overlay->code != CAIRN_OK)
        return true;
    if (there && trail.spot.found) {
        if (trail.spot.value.data)
            page_mark(tree, above(&trail), slot_above(&trail));
        return false;
    }
    *ret_apart = value.size > TREE_VALUE_BYTES_MAX;
    if (*ret_apart)
        value = cairn_bytes(NULL, 0);
    else if (!value.data)
        value = cairn_str("");
    add(tree, &trail, there, key, value);
    return true;
}

bool tree_take(const struct tree *tree, struct cairn_bytes key, bool *ret_apart)
{
    struct trail trail;

    assert(tree->is_map);
    if (!follow(tree, key, &trail, true) || !trail.spot.found || tree->overlay->code != CAIRN_OK)
        return false;
    *ret_apart = !trail.spot.value.data || page_is_marked(tree, above(&trail), slot_above(&trail));
    if (tree->overlay->code != CAIRN_OK)
        return false;
    take(tree, &trail);
    return true;
}

bool tree_get(const struct tree *tree, struct cairn_bytes key, struct cairn_bytes *ret_value)
{
    struct trail trail;

    if (!follow(tree, key, &trail, false) || !trail.spot.found || !trail.spot.value.data)
        return false;
    *ret_value = trail.spot.value;
    return true;
}

uint64_t tree_rank(const struct tree *tree, struct cairn_bytes key, bool with_it)
{
    struct trail trail;
    uint64_t rank;

    assert(tree->is_map);
    if (!follow(tree, key, &trail, true))
        return 0;
    rank = trail.spot.slot + (with_it && trail.spot.found);
    for (int i = 0; i < trail.depth - 1; i++)
        rank += page_count_before(tree, trail.numbers[i], trail.slots[i]);
    return rank;
}
