#include "engine/merge.h"

#include <stdlib.h>

/* --- in memory --- */

struct aged {
    struct run_record record;
    size_t age; /* the newer, the greater: sorting need not be stable */
};

static int by_age(const struct aged *a, const struct aged *b)
{
    return a->age > b->age ? -1 : 1;
}

static int by_key(const void *a, const void *b)
{
    const struct aged *x = a, *y = b;
    int order = run_compare(RUN_BY_KEY, &x->record, &y->record);

    return order ? order : by_age(x, y);
}

static int by_hash(const void *a, const void *b)
{
    const struct aged *x = a, *y = b;
    int order = run_compare(RUN_BY_HASH, &x->record, &y->record);

    return order ? order : by_age(x, y);
}

size_t merge_sort(enum run_order order, struct run_record *records, size_t count)
{
    struct aged *sorted = cairn_alloc((count + 1) * sizeof *sorted);
    size_t kept = 0;

    for (size_t i = 0; i < count; i++)
        sorted[i] = (struct aged){records[i], i};
    qsort(sorted, count, sizeof *sorted, order == RUN_BY_HASH ? by_hash : by_key);
    for (size_t i = 0; i < count; i++)
        if (!i || run_compare(order, &sorted[i - 1].record, &sorted[i].record) != 0)
            records[kept++] = sorted[i].record;
    free(sorted);
    return kept;
}

/* --- merging --- */

void merge_init(struct merge *merge, enum run_order order, size_t count)
{
    *merge = (struct merge){
        .order = order, .sources = cairn_alloc_zeroed(count + 1, sizeof *merge->sources), .count = count};
    merge->last = count; /* none yet: the first step moves all */
}

void merge_set_run(struct merge *merge, size_t index, struct run *run)
{
    run_cursor_init(&merge->sources[index].cursor, run);
}

void merge_set_records(struct merge *merge, size_t index, const struct run_record *records, size_t record_count)
{
    merge->sources[index].records = records;
    merge->sources[index].record_count = record_count;
}

void merge_done(struct merge *merge)
{
    for (size_t i = 0; i < merge->count; i++)
        if (!merge->sources[i].records)
            run_cursor_done(&merge->sources[i].cursor);
    free(merge->sources);
}

static enum cairn_code step(struct merge_source *source, struct cairn_err *err)
{
    enum cairn_code code;
    bool more;

    if (source->records) {
        source->ended = source->next == source->record_count;
        if (!source->ended)
            source->at = source->records[source->next++];
        return CAIRN_OK;
    }
    code = run_cursor_next(&source->cursor, &more, err);
    if (code != CAIRN_OK)
        return code;
    source->ended = !more;
    source->at = source->cursor.record;
    return CAIRN_OK;
}

/* Few sources: looking at each is as fast as a heap. */
enum cairn_code merge_next(struct merge *merge, const struct run_record **ret_record, struct cairn_err *err)
{
    struct merge_source *least = NULL;
    enum cairn_code code = CAIRN_OK;

    if (merge->last == merge->count) {
        for (size_t i = 0; code == CAIRN_OK && i < merge->count; i++)
            code = step(&merge->sources[i], err);
    } else { /* the last answer, and what older sources said of its key */
        struct merge_source *last = &merge->sources[merge->last];

        for (size_t i = merge->count; code == CAIRN_OK && i-- > merge->last;)
            if (!merge->sources[i].ended &&
                (i == merge->last || run_compare(merge->order, &merge->sources[i].at, &last->at) == 0))
                code = step(&merge->sources[i], err);
    }
    if (code != CAIRN_OK)
        return code;
    for (size_t i = 0; i < merge->count; i++) {
        struct merge_source *source = &merge->sources[i];

        if (!source->ended && (!least || run_compare(merge->order, &source->at, &least->at) < 0))
            least = source;
    }
    *ret_record = NULL;
    if (least) {
        merge->last = (size_t)(least - merge->sources);
        *ret_record = &least->at;
    }
    return CAIRN_OK;
}
