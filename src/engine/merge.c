#include "engine/merge.h"

#include <stdlib.h>

/* --- in memory --- */

static int by_key(const void *a, const void *b)
{
    return run_compare(RUN_BY_KEY, a, b);
}

static int by_hash(const void *a, const void *b)
{
    return run_compare(RUN_BY_HASH, a, b);
}

/* One pass of merge sort, from runs of `width` to runs of twice that.  It is stable, and needs no memory but one
 * copy. */
static void merge_pass(int (*compare)(const void *a, const void *b), const struct run_record *from,
                       struct run_record *to, size_t count, size_t width)
{
    for (size_t begin = 0; begin < count; begin += 2 * width) {
        size_t left = begin, middle = begin + width < count ? begin + width : count;
        size_t right = middle, end = middle + width < count ? middle + width : count;

        for (size_t at = begin; at < end; at++)
            to[at] = left < middle && (right == end || compare(&from[left], &from[right]) <= 0) ? from[left++]
                                                                                                : from[right++];
    }
}

size_t merge_sort(enum run_order order, struct run_record *records, size_t count)
{
    int (*compare)(const void *a, const void *b) = order == RUN_BY_HASH ? by_hash : by_key;
    size_t kept = 0, bytes = (count + 1) * sizeof(struct run_record);
    struct run_record *copy = cairn_alloc_pages(bytes), *from = records, *to = copy;

    for (size_t width = 1; width < count; width *= 2) {
        struct run_record *other = from;

        merge_pass(compare, from, to, count, width);
        from = to;
        to = other;
    }
    for (size_t i = 0; i < count; i++) /* of equal keys the last is the newest */
        if (i + 1 == count || run_compare(order, &from[i], &from[i + 1]) != 0)
            records[kept++] = from[i];
    cairn_free_pages(copy, bytes);
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
