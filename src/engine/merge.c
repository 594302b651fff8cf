#include "engine/merge.h"

#include <stdlib.h>

/* --- memtables --- */

enum { TOMBSTONE, VALUE }; /* the byte in front */

struct cairn_bytes memtable_value(struct cairn_bytes stored)
{
    return stored.data[0] == VALUE ? cairn_bytes(stored.data + 1, stored.size - 1) : run_tombstone();
}

bool memtable_get(struct cairn_engine *memtable, struct cairn_bytes key, uint64_t hash, struct cairn_bytes *ret_value)
{
    struct cairn_bytes stored;

    if (!memtable->ops->get(memtable, key, hash, &stored))
        return false;
    *ret_value = memtable_value(stored);
    return true;
}

void memtable_put(struct cairn_engine *memtable, struct cairn_bytes key, uint64_t hash, struct cairn_bytes value,
                  struct cairn_buf *scratch)
{
    scratch->size = 0;
    cairn_buf_u8(scratch, run_is_tombstone(value) ? TOMBSTONE : VALUE);
    if (!run_is_tombstone(value))
        cairn_buf_add(scratch, value.data, value.size);
    memtable->ops->put(memtable, key, hash, cairn_buf_bytes(scratch));
}

struct sorting {
    struct memtable_entry *entries;
    size_t count;
};

static void take_entry(void *context, struct cairn_bytes key, struct cairn_bytes stored)
{
    struct sorting *sorting = context;

    sorting->entries[sorting->count++] = (struct memtable_entry){key, memtable_value(stored)};
}

static int compare_entries(const void *a, const void *b)
{
    return cairn_bytes_compare(((const struct memtable_entry *)a)->key, ((const struct memtable_entry *)b)->key);
}

struct memtable_entry *memtable_sort(struct cairn_engine *memtable, size_t *ret_count)
{
    struct cairn_engine_stats stats;
    struct sorting sorting = {0};

    memtable->ops->stats(memtable, &stats);
    sorting.entries = cairn_alloc((size_t)(stats.keys + 1) * sizeof *sorting.entries);
    memtable->ops->visit(memtable, take_entry, &sorting);
    qsort(sorting.entries, sorting.count, sizeof *sorting.entries, compare_entries);
    *ret_count = sorting.count;
    return sorting.entries;
}

/* --- merging --- */

void merge_init(struct merge *merge, size_t count)
{
    *merge = (struct merge){.sources = cairn_alloc_zeroed(count + 1, sizeof *merge->sources), .count = count};
    merge->last = count; /* none yet: the first step moves all */
}

void merge_set_run(struct merge *merge, size_t index, struct run *run)
{
    run_cursor_init(&merge->sources[index].cursor, run);
}

void merge_set_memtable(struct merge *merge, size_t index, const struct memtable_entry *entries, size_t entry_count)
{
    merge->sources[index].entries = entries;
    merge->sources[index].entry_count = entry_count;
}

void merge_done(struct merge *merge)
{
    for (size_t i = 0; i < merge->count; i++)
        if (!merge->sources[i].entries)
            run_cursor_done(&merge->sources[i].cursor);
    free(merge->sources);
}

static enum cairn_code step(struct merge_source *source, struct cairn_err *err)
{
    enum cairn_code code;
    bool more;

    if (source->entries) {
        source->ended = source->next == source->entry_count;
        if (!source->ended) {
            source->key = source->entries[source->next].key;
            source->value = source->entries[source->next].value;
            source->next++;
        }
        return CAIRN_OK;
    }
    code = run_cursor_next(&source->cursor, &more, err);
    if (code != CAIRN_OK)
        return code;
    source->ended = !more;
    source->key = source->cursor.key;
    source->value = source->cursor.value;
    return CAIRN_OK;
}

/* Few sources: looking at each is as fast as a heap. */
enum cairn_code merge_next(struct merge *merge, bool *ret_more, struct cairn_bytes *ret_key,
                           struct cairn_bytes *ret_value, struct cairn_err *err)
{
    struct merge_source *least = NULL;
    enum cairn_code code = CAIRN_OK;

    if (merge->last == merge->count) {
        for (size_t i = 0; code == CAIRN_OK && i < merge->count; i++)
            code = step(&merge->sources[i], err);
    } else { /* the last answer, and what older sources said of its key */
        struct cairn_bytes key = merge->sources[merge->last].key;

        for (size_t i = merge->count; code == CAIRN_OK && i-- > merge->last;)
            if (!merge->sources[i].ended && (i == merge->last || cairn_bytes_equal(merge->sources[i].key, key)))
                code = step(&merge->sources[i], err);
    }
    if (code != CAIRN_OK)
        return code;
    for (size_t i = 0; i < merge->count; i++) {
        struct merge_source *source = &merge->sources[i];

        if (!source->ended && (!least || cairn_bytes_compare(source->key, least->key) < 0))
            least = source;
    }
    *ret_more = least;
    if (least) {
        merge->last = (size_t)(least - merge->sources);
        *ret_key = least->key;
        *ret_value = least->value;
    }
    return CAIRN_OK;
}
