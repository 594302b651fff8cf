/* gather.c - a page of what lies on all workers: ids of a type, log lines, spans of traced jobs.
 *
 * Each worker gives a part: what it has from the cursor on, ascending, no more than a page holds and than it can read
 * in PAGE_NS.  A part that stops before its end is `cut`.  The parts are merged where the request came in, up to the
 * first one that is cut and used up, as what comes next is not known; from there the next page goes on.
 * Parts wait on their worker for a turn (worker_await_turn): however many pages are asked for at once, others wait for
 * one, and few pages lie in memory. */
#include "admin/gather.h"

#include <stdlib.h>

#include "admin/page.h"
#include "admin/ring.h"
#include "object/account.h"
#include "object/directory.h"
#include "object/hold.h"
#include "object/invocation.h"
#include "object/type.h"
#include "object/worker.h"

/* One worker's part: it travels there and back. */
struct part {
    struct message message; /* first */
    struct gather *gather;
    struct cairn_buf items; /* sized key, sized content each; the keys ascend */
    uint32_t count;
    size_t charged;
    bool cut; /* there may be more behind its last item */
    struct dependency depends;
    enum cairn_code code; /* unless CAIRN_OK not all could be read */
    struct cairn_err err;
};

struct gather {
    struct invocation *inv;
    uint32_t origin, left, limit;
    struct part parts[];
};

/* --- ids ------------------------------------------------------------------------------------------- */

/* A shard's ids, read some at a time. */
struct source {
    struct shard *shard;
    struct cairn_buf ids; /* sized each */
    struct cairn_reader at;
    struct cairn_bytes head; /* the next; size 0: none is read */
    uint32_t left, wanted;   /* while it is read */
    bool over;               /* there are no others in the shard */
};

static bool read_one(void *context, struct cairn_bytes id)
{
    struct source *source = context;

    cairn_buf_varint(&source->ids, id.size);
    cairn_buf_add(&source->ids, id.data, id.size);
    return --source->left > 0;
}

static void read_more(struct part *part, struct type *type, struct source *source)
{
    const struct cairn_request *request = part->gather->inv->request;
    struct cairn_buf before = source->ids; /* its last id is where to go on */
    struct cairn_bytes after = source->head.size ? source->head : request->cursor;
    struct overlay overlay = {0};

    source->ids = (struct cairn_buf){0};
    source->left = source->wanted;
    overlay_reset(&overlay, source->shard->engine);
    directory_scan(&overlay, type->number, request->prefix, after, read_one, source);
    source->over = source->left > 0;
    if (overlay.code != CAIRN_OK) {
        part->code = overlay.code;
        part->err = overlay.err;
        source->over = true;
    }
    overlay_done(&overlay);
    cairn_buf_done(&before);
    source->at = cairn_reader(cairn_buf_bytes(&source->ids));
}

/* The next id of the source is in its head, if there is one. */
static void advance(struct part *part, struct type *type, struct source *source)
{
    if (!cairn_reader_left(&source->at) && !source->over)
        read_more(part, type, source);
    source->head = cairn_reader_left(&source->at) ? cairn_read_sized(&source->at) : cairn_bytes(NULL, 0);
}

static struct source *smallest(struct source *sources, uint32_t count)
{
    struct source *best = NULL;

    for (uint32_t i = 0; i < count; i++)
        if (sources[i].head.size && (!best || cairn_bytes_compare(sources[i].head, best->head) < 0))
            best = &sources[i];
    return best;
}

static void part_add(struct part *part, struct cairn_bytes key, struct cairn_bytes content)
{
    cairn_buf_varint(&part->items, key.size);
    cairn_buf_add(&part->items, key.data, key.size);
    cairn_buf_varint(&part->items, content.size);
    cairn_buf_add(&part->items, content.data, content.size);
    part->count++;
}

/* One id more than the page has room for shows that there are more. */
static void list_part(struct cairn_worker *worker, struct part *part)
{
    enum { READ_MIN = 8, READ_MAX = 64 };
    struct type *type = type_find(worker, part->gather->inv->space, part->gather->inv->request->type);
    uint32_t shards = worker->node->shard_count, count = 0, wanted;
    struct source *sources, *next;
    struct page page;

    if (!type)
        return;
    page_begin(&page, worker);
    sources = cairn_alloc_zeroed(shards, sizeof *sources);
    for (uint32_t i = 0; i < shards; i++)
        if (worker->shards[i].shard)
            sources[count++].shard = &worker->shards[i];
    wanted = count ? part->gather->limit / count + 2 : 0;
    wanted = wanted < READ_MIN ? READ_MIN : wanted > READ_MAX ? READ_MAX : wanted;
    for (uint32_t i = 0; i < count; i++) {
        /* The first id of every shard is needed, however long that takes; no more of those that come late. */
        sources[i].wanted = worker_clock_ns(worker) < page.until_ns ? wanted : READ_MIN;
        dependency_join(&part->depends, sources[i].shard->directory);
        advance(part, type, &sources[i]);
    }
    while ((next = smallest(sources, count)) && part->count <= part->gather->limit &&
           !page_full(&page, part->count, part->items.size)) {
        part_add(part, next->head, cairn_bytes(NULL, 0));
        advance(part, type, next);
    }
    part->cut = next != NULL;
    for (uint32_t i = 0; i < count; i++)
        cairn_buf_done(&sources[i].ids);
    free(sources);
}

/* --- log lines, spans ---------------------------------------------------------------------------------- */

static const struct ring *ring_of(const struct invocation *inv)
{
    return inv->operation == &traces_operation ? &spans_ring : &lines_ring;
}

/* An entry's place among those of all workers: be64 ms, be64 worker, be64 number.  A cursor is the place from which a
 * page goes on, and be64 entries that are still wanted. */
enum { PLACE_BYTES = 24, RING_CURSOR_BYTES = PLACE_BYTES + 8 };

static struct cairn_bytes place_of(uint8_t to[PLACE_BYTES], const struct ring *ring, struct cairn_worker *worker,
                                   uint64_t number, const struct invocation *inv)
{
    cairn_put_be64(to, (uint64_t)ring->ms(worker, number, inv));
    cairn_put_be64(to + 8, worker->index);
    cairn_put_be64(to + 16, number);
    return cairn_bytes(to, PLACE_BYTES);
}

/* Where the newest `most` of those that are asked for begin. */
static uint64_t newest_from(const struct ring *ring, struct cairn_worker *worker, const struct invocation *inv,
                            uint64_t most)
{
    uint64_t first = ring->first(worker, inv), n = ring->end(worker, inv);

    for (uint64_t found = 0; n > first && found < most; n--)
        found += ring->is_of(worker, n - 1, inv);
    return n;
}

/* Without a cursor only the places of the newest: from them follows where the first page begins. */
static void ring_part(struct cairn_worker *worker, struct part *part)
{
    const struct invocation *inv = part->gather->inv;
    const struct ring *ring = ring_of(inv);
    struct cairn_bytes cursor = inv->request->cursor;
    uint64_t end = ring->end(worker, inv);
    struct cairn_buf item = {0};
    struct page page;

    page_begin(&page, worker);
    for (uint64_t n = newest_from(ring, worker, inv, cursor.size ? UINT64_MAX : part->gather->limit);
         n < end && !part->cut; n++) {
        uint8_t key[PLACE_BYTES];
        struct cairn_bytes place;

        item.size = 0;
        if (!ring->is_of(worker, n, inv))
            continue;
        place = place_of(key, ring, worker, n, inv);
        if (cursor.size && cairn_bytes_compare(place, cairn_bytes(cursor.data, PLACE_BYTES)) < 0)
            continue;
        if (cursor.size && (part->count > part->gather->limit || page_full(&page, part->count, part->items.size))) {
            part->cut = true;
            break;
        }
        if (cursor.size)
            ring->add(&item, worker, n, inv);
        part_add(part, place, cairn_buf_bytes(&item));
    }
    cairn_buf_done(&item);
}

/* --- the page ---------------------------------------------------------------------------------------- */

/* The parts' items in one order, as far as it is known. */
struct merge {
    struct cairn_reader *parts;
    struct cairn_bytes *heads; /* data NULL: the part is used up */
    uint32_t count;
    const struct gather *gather;
    struct cairn_bytes key, content; /* the one taken last */
};

static void merge_advance(struct merge *merge, uint32_t i)
{
    merge->heads[i] = cairn_bytes(NULL, 0);
    if (cairn_reader_left(&merge->parts[i]))
        merge->heads[i] = cairn_read_sized(&merge->parts[i]);
}

static void merge_begin(struct merge *merge, const struct gather *gather, uint32_t workers)
{
    *merge = (struct merge){.gather = gather, .count = workers};
    merge->parts = cairn_alloc(workers * sizeof *merge->parts);
    merge->heads = cairn_alloc(workers * sizeof *merge->heads);
    for (uint32_t i = 0; i < workers; i++) {
        merge->parts[i] = cairn_reader(cairn_buf_bytes(&gather->parts[i].items));
        merge_advance(merge, i);
    }
}

/* The part that has the next; `count`: there is none, or it is not known which. */
static uint32_t merge_smallest(const struct merge *merge)
{
    uint32_t best = merge->count;

    for (uint32_t i = 0; i < merge->count; i++) {
        if (!merge->heads[i].data && merge->gather->parts[i].cut)
            return merge->count;
        if (merge->heads[i].data &&
            (best == merge->count || cairn_bytes_compare(merge->heads[i], merge->heads[best]) < 0))
            best = i;
    }
    return best;
}

static bool merge_next(struct merge *merge)
{
    uint32_t i = merge_smallest(merge);

    if (i == merge->count)
        return false;
    merge->key = merge->heads[i];
    merge->content = cairn_read_sized(&merge->parts[i]);
    merge_advance(merge, i);
    return true;
}

static bool merge_has_more(const struct merge *merge)
{
    bool more = false;

    for (uint32_t i = 0; i < merge->count; i++)
        more |= merge->heads[i].data || merge->gather->parts[i].cut;
    return more;
}

static void merge_end(struct merge *merge)
{
    free(merge->parts);
    free(merge->heads);
}

static void add_page(struct cairn_buf *to, uint64_t count, const struct cairn_buf *items)
{
    cairn_value_add_list(to, 2);
    cairn_value_add_list(to, count);
    cairn_buf_add(to, items->data, items->size);
}

static void answer_list(const struct gather *gather, struct merge *merge, struct cairn_buf *to)
{
    struct cairn_buf ids = {0};
    uint32_t count = 0;

    while (count < gather->limit && ids.size < CAIRN_PAGE_BYTES && merge_next(merge)) {
        cairn_value_add_bytes(&ids, merge->key);
        count++;
    }
    add_page(to, count, &ids);
    if (merge_has_more(merge))
        cairn_value_add_bytes(to, count ? merge->key : gather->inv->request->cursor);
    else
        cairn_value_add_nil(to);
    cairn_buf_done(&ids);
}

/* Where the newest `limit` entries begin, and how many they are. */
static void answer_first_place(const struct gather *gather, struct merge *merge, struct cairn_buf *to)
{
    uint8_t cursor[RING_CURSOR_BYTES];
    uint64_t entries = 0, skipped;

    for (uint32_t i = 0; i < merge->count; i++)
        entries += gather->parts[i].count;
    skipped = entries > gather->limit ? entries - gather->limit : 0;
    for (uint64_t i = 0; i <= skipped && entries; i++)
        merge_next(merge);
    add_page(to, 0, &(struct cairn_buf){0});
    if (!entries) {
        cairn_value_add_nil(to);
        return;
    }
    memcpy(cursor, merge->key.data, PLACE_BYTES);
    cairn_put_be64(cursor + PLACE_BYTES, entries - skipped);
    cairn_value_add_bytes(to, cairn_bytes(cursor, sizeof cursor));
}

static void answer_ring(const struct gather *gather, struct merge *merge, struct cairn_buf *to)
{
    const uint8_t *from = gather->inv->request->cursor.data;
    uint64_t left = cairn_get_be64(from + PLACE_BYTES), count = 0;
    uint8_t cursor[RING_CURSOR_BYTES];
    struct cairn_buf entries = {0};

    memcpy(cursor, from, sizeof cursor);
    while (count < left && count < gather->limit && entries.size < CAIRN_PAGE_BYTES && merge_next(merge)) {
        cairn_buf_add(&entries, merge->content.data, merge->content.size);
        memcpy(cursor, merge->key.data, PLACE_BYTES);
        count++;
    }
    add_page(to, count, &entries);
    if (count < left && merge_has_more(merge)) {
        if (count)
            cairn_put_be64(cursor + 16, cairn_get_be64(cursor + 16) + 1);
        cairn_put_be64(cursor + PLACE_BYTES, left - count);
        cairn_value_add_bytes(to, cairn_bytes(cursor, sizeof cursor));
    } else {
        cairn_value_add_nil(to);
    }
    cairn_buf_done(&entries);
}

/* --- there and back ------------------------------------------------------------------------------------ */

static void gather_free(struct cairn_worker *worker, struct gather *gather)
{
    for (uint32_t i = 0; i < worker->node->options.workers; i++) {
        cairn_purse_add(&worker->purse, -(int64_t)gather->parts[i].charged);
        cairn_buf_done(&gather->parts[i].items);
    }
    free(gather);
}

static void gather_drop(struct cairn_worker *worker, struct message *message)
{
    struct gather *gather = ((struct part *)message)->gather;

    if (--gather->left)
        return;
    invocation_free(worker, gather->inv);
    gather_free(worker, gather);
}

static void answer(struct gather *gather, uint32_t workers)
{
    struct invocation *inv = gather->inv;
    struct merge merge;

    merge_begin(&merge, gather, workers);
    if (inv->operation == &list_operation)
        answer_list(gather, &merge, &inv->result);
    else if (!inv->request->cursor.size)
        answer_first_place(gather, &merge, &inv->result);
    else
        answer_ring(gather, &merge, &inv->result);
    merge_end(&merge);
}

static void receive_part(struct cairn_worker *worker, struct message *message)
{
    struct gather *gather = ((struct part *)message)->gather;
    struct invocation *inv = gather->inv;
    uint32_t workers = worker->node->options.workers;
    const struct part *bad = NULL;

    if (--gather->left)
        return;
    for (uint32_t i = 0; i < workers; i++) {
        dependency_join(&inv->depends, gather->parts[i].depends);
        if (gather->parts[i].code != CAIRN_OK)
            bad = &gather->parts[i];
    }
    if (bad)
        set_error(inv, bad->code, bad->err.text);
    else
        answer(gather, workers);
    gather_free(worker, gather);
    invocation_move(inv, INV_OVER);
    worker_hold(worker, inv);
}

static void make_part(struct cairn_worker *worker, struct message *message)
{
    struct part *part = (struct part *)message;

    if (part->gather->inv->operation == &list_operation)
        list_part(worker, part);
    else
        ring_part(worker, part);
    part->charged = part->items.capacity;
    cairn_purse_add(&worker->purse, (int64_t)part->charged);
    message->receive = receive_part;
    worker_send(worker, part->gather->origin, message);
}

static void take_part(struct cairn_worker *worker, struct message *message)
{
    message->receive = make_part;
    worker_await_turn(worker, message);
}

/* Nothing is asked of the others.  True: it was refused, or is answered already. */
static bool answered_at_once(struct cairn_worker *worker, struct invocation *inv)
{
    const struct cairn_request *request = inv->request;
    char nearest[CAIRN_SUGGEST_TEXT_BYTES];
    enum cairn_code code;
    const char *text;

    if (!account_may_begin(worker, inv, &code, &text)) {
        stat_add(&worker->counts.refused_for_memory, 1);
        invocation_refuse(worker, inv, code, "%s", text);
    } else if (inv->operation == &list_operation && !type_find(worker, inv->space, request->type)) {
        invocation_refuse(worker, inv, CAIRN_ENOTYPE, "there is no type %.*s%s; see `cairn types`",
                          (int)request->type.size, (const char *)request->type.data,
                          type_suggest(worker, inv->space, request->type, nearest));
    } else if (inv->operation == &traces_operation && !worker->node->tracing) {
        invocation_refuse(worker, inv, CAIRN_EINVAL,
                          "this node keeps no traces: start it with --trace memory, or with where they are to go");
    } else if (inv->operation != &list_operation && request->cursor.size && request->cursor.size != RING_CURSOR_BYTES) {
        invocation_refuse(worker, inv, CAIRN_EINVAL, "that cursor is of no page of this list");
    } else if (request->peek) {
        cairn_value_add_nil(&inv->result);
        invocation_end(worker, inv);
    } else {
        return false;
    }
    return true;
}

static void gather_start(struct cairn_worker *worker, struct invocation *inv)
{
    uint32_t workers = worker->node->options.workers, limit = inv->request->limit;
    struct gather *gather;

    if (answered_at_once(worker, inv))
        return;
    gather = cairn_alloc_zeroed(1, sizeof *gather + workers * sizeof *gather->parts);
    gather->inv = inv;
    gather->origin = worker->index;
    gather->left = workers;
    gather->limit = limit ? limit : PAGE_LIMIT_DEFAULT;
    if (gather->limit > CAIRN_PAGE_ENTRIES && (inv->operation == &list_operation || inv->request->cursor.size))
        gather->limit = CAIRN_PAGE_ENTRIES;
    for (uint32_t i = 0; i < workers; i++) {
        struct part *part = &gather->parts[i];
        part->message.receive = take_part;
        part->message.drop = gather_drop;
        part->gather = gather;
        worker_send(worker, i, &part->message);
    }
}

const struct operation list_operation = {
    .name = "list", .aim = AIM_TYPE, .submit = gather_start, .answer = hold_answer};

const struct operation logs_operation = {.name = "logs", .submit = gather_start, .answer = hold_answer};

const struct operation traces_operation = {.name = "traces", .submit = gather_start, .answer = hold_answer};
