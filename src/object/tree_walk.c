#include <assert.h>

#include "base/hash.h"
#include "object/tree_internal.h"

/* From the page at numbers[from] down to a leaf: towards `key`, or along the first or last children, or to the one with
 * `place` keys before it.  False: there is no such page, or one could not be read. */
enum way { WAY_KEY, WAY_FIRST, WAY_LAST, WAY_PLACE };

struct aim {
    enum way way;
    struct cairn_bytes key;
    uint64_t place;
};

/* The entry of an inner page to go down from; its count, if there is none. */
static uint32_t choose(const struct tree *tree, uint64_t number, uint32_t count, struct aim *aim)
{
    switch (aim->way) {
    case WAY_LAST:
        return count - 1;
    case WAY_PLACE:
        return page_count_find(tree, number, aim->place, &aim->place);
    case WAY_FIRST:
    case WAY_KEY:
        break;
    }
    return 0;
}

/* Where in the leaf; its count, if there is none. */
static uint32_t choose_in_leaf(const struct tree_cursor *cursor, uint32_t count, const struct aim *aim)
{
    uint32_t low = 0, high = count;

    switch (aim->way) {
    case WAY_FIRST:
        return 0;
    case WAY_LAST:
        return count - 1;
    case WAY_PLACE:
        return aim->place < count ? (uint32_t)aim->place : count;
    case WAY_KEY:
        break;
    }
    while (low < high) { /* the first that is not below the key */
        uint32_t middle = (low + high) / 2;

        if (cairn_bytes_compare(cursor->entries[middle].key, aim->key) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static bool descend(struct tree_cursor *cursor, int at, uint64_t number, struct aim aim)
{
    const struct tree *tree = cursor->tree;

    for (;; at++) {
        uint8_t to[PAGE_KEY_MAX];
        struct cairn_bytes page;
        uint32_t count;

        assert(at < TREE_DEPTH_MAX);
        if (!overlay_get(tree->overlay, page_key(to, tree, number), &page)) {
            assert(number == 0 || tree->overlay->code != CAIRN_OK);
            return false;
        }
        cursor->numbers[at] = number;
        count = cursor->counts[at] = page_count(page);
        if (page_level(page) == 0) {
            page_walk(tree, page, cursor);
            cursor->depth = at + 1;
            cursor->slots[at] = choose_in_leaf(cursor, count, &aim);
            return true;
        }
        if (aim.way == WAY_KEY) {
            struct page_spot spot = page_search(tree, page, aim.key);

            cursor->slots[at] = spot.slot;
            number = spot.child;
            continue;
        }
        cursor->slots[at] = choose(tree, number, count, &aim); /* which reads one more: the page stays valid */
        if (cursor->slots[at] >= count)
            return false; /* there are not so many keys, or counts could not be read */
        number = page_child(page, cursor->slots[at]);
    }
}

static bool start(struct tree_cursor *cursor, const struct tree *tree, struct aim aim)
{
    cursor->tree = tree;
    cursor->depth = 0;
    cursor->memory_bytes = cursor->entries_room = 0;
    cursor->marks_page = cursor->ahead_hash = 0;
    if (descend(cursor, 0, 0, aim))
        return true;
    cursor->depth = 0;
    return false;
}

static struct cairn_bytes get(struct tree_cursor *cursor, int at)
{
    const struct tree *tree = cursor->tree;
    uint8_t to[PAGE_KEY_MAX];
    struct cairn_bytes page;

    if (overlay_get(tree->overlay, page_key(to, tree, cursor->numbers[at]), &page))
        return page;
    assert(tree->overlay->code != CAIRN_OK);
    return cairn_bytes(NULL, 0);
}

/* The leaf's neighbour: up to a page that has a next child, or one before, then down along the nearest children. */
static bool step_leaf(struct tree_cursor *cursor, bool forward)
{
    for (int up = cursor->depth - 2; up >= 0; up--) {
        struct cairn_bytes page;
        uint64_t number;

        if (forward ? cursor->slots[up] + 1 >= cursor->counts[up] : cursor->slots[up] == 0)
            continue;
        cursor->slots[up] += forward ? 1 : (uint32_t)-1;
        if (cursor->ahead_hash && cursor->ahead_forward == forward) {
            number = cursor->ahead; /* it is the leaf's neighbour below the same page */
        } else {
            page = get(cursor, up);
            if (!page.data)
                break;
            number = page_child(page, cursor->slots[up]);
        }
        cursor->ahead_hash = 0;
        if (descend(cursor, up + 1, number, (struct aim){.way = forward ? WAY_FIRST : WAY_LAST}))
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
    if (++cursor->slots[cursor->depth - 1] < cursor->counts[cursor->depth - 1])
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

    if (how == TREE_LAST)
        return start(cursor, tree, (struct aim){.way = WAY_LAST});
    if (!start(cursor, tree, (struct aim){.way = WAY_KEY, .key = key}))
        return false;
    found = cursor->slots[cursor->depth - 1] < cursor->counts[cursor->depth - 1] &&
            cairn_bytes_equal(tree_key(cursor), key);
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
    return cursor->slots[cursor->depth - 1] < cursor->counts[cursor->depth - 1] || step_leaf(cursor, true);
}

bool tree_seek_at(struct tree_cursor *cursor, const struct tree *tree, uint64_t place)
{
    assert(tree->is_map);
    if (!start(cursor, tree, (struct aim){.way = WAY_PLACE, .place = place}))
        return false;
    if (cursor->slots[cursor->depth - 1] < cursor->counts[cursor->depth - 1])
        return true;
    cursor->depth = 0; /* a root that is a leaf has not so many */
    return false;
}

uint32_t tree_left_in_leaf(const struct tree_cursor *cursor, bool backward)
{
    uint32_t slot = cursor->slots[cursor->depth - 1];

    return backward ? slot + 1 : cursor->counts[cursor->depth - 1] - slot;
}

const struct tree_leaf_entry *tree_entry(const struct tree_cursor *cursor)
{
    return &cursor->entries[cursor->slots[cursor->depth - 1]];
}

struct cairn_bytes tree_key(const struct tree_cursor *cursor)
{
    return tree_entry(cursor)->key;
}

void tree_skip(struct tree_cursor *cursor, bool backward, uint32_t count)
{
    assert(count >= 1 && count <= tree_left_in_leaf(cursor, backward));
    cursor->slots[cursor->depth - 1] += backward ? 1 - count : count - 1;
}

bool tree_leaf_is_marked(struct tree_cursor *cursor)
{
    int up = cursor->depth - 2;
    uint64_t above = up < 0 ? PAGE_NONE : cursor->numbers[up];

    if (cursor->marks_page != above + 1 || up < 0) {
        cursor->marks_page = above + 1;
        cursor->marks_any = page_has_marks(cursor->tree, above);
    }
    return cursor->marks_any && page_is_marked(cursor->tree, above, up < 0 ? 0 : cursor->slots[up]);
}

void tree_prefetch(struct tree_cursor *cursor, bool backward, int step)
{
    struct cairn_view *engine = cursor->tree->overlay->engine;
    int up = cursor->depth - 2;

    if (step == 0) {
        uint8_t to[PAGE_KEY_MAX];
        struct cairn_bytes page;

        cursor->ahead_hash = 0;
        if (up < 0 || (backward ? cursor->slots[up] == 0 : cursor->slots[up] + 1 >= cursor->counts[up]))
            return;
        page = get(cursor, up);
        if (page.data) {
            cursor->ahead = page_child(page, backward ? cursor->slots[up] - 1 : cursor->slots[up] + 1);
            cursor->ahead_hash = cairn_hash(page_key(to, cursor->tree, cursor->ahead));
            cursor->ahead_forward = !backward;
        }
    }
    if (cursor->ahead_hash)
        engine->ops->prefetch(engine, cursor->ahead_hash, step);
}
