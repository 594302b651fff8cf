#include "object/purge.h"

#include <stdlib.h>

#include "object/commit.h"
#include "object/kept.h"
#include "object/layout.h"
#include "object/ordered.h"
#include "object/table.h"
#include "object/timers.h"
#include "object/type.h"
#include "object/worker.h"

/* A 06 value: be64 incarnation | varint values, that many varint fields
 *           | varint containers, per container: varint field, varint first, varint count
 *           | the name of the namespace for which it counts, if it does
 * A map's container has first 0.  A container whose keys are gone is left out. */
enum {
    KEYS_PER_STEP = 64,
    PAUSE_NS = 1000000,   /* between steps while requests are served */
    RETRY_NS = 100000000, /* what is left when a step is over had no room in the log, and nothing waits for it */
};

struct remains {
    uint64_t incarnation;
    uint32_t values, containers;
    uint32_t value_fields[CAIRN_FIELD_NUMBER_MAX + 1];
    struct container container[CAIRN_FIELD_NUMBER_MAX + 1];
    uint8_t space[SPACE_NAME_BYTES_MAX];
    size_t space_bytes;
};

static struct cairn_bytes space_of(const struct remains *remains)
{
    return cairn_bytes(remains->space, remains->space_bytes);
}

static void encode(struct cairn_buf *to, const struct remains *remains)
{
    uint8_t incarnation[8];

    cairn_put_be64(incarnation, remains->incarnation);
    cairn_buf_add(to, incarnation, sizeof incarnation);
    cairn_buf_varint(to, remains->values);
    for (uint32_t i = 0; i < remains->values; i++)
        cairn_buf_varint(to, remains->value_fields[i]);
    cairn_buf_varint(to, remains->containers);
    for (uint32_t i = 0; i < remains->containers; i++) {
        cairn_buf_varint(to, remains->container[i].field);
        cairn_buf_varint(to, remains->container[i].first);
        cairn_buf_varint(to, remains->container[i].count);
    }
    cairn_buf_add(to, remains->space, remains->space_bytes);
}

static bool decode(struct cairn_bytes bytes, struct remains *remains)
{
    struct cairn_reader r = cairn_reader(bytes);
    struct cairn_bytes incarnation = cairn_read_bytes(&r, 8);

    if (r.bad)
        return false;
    remains->incarnation = cairn_get_be64(incarnation.data);
    remains->values = (uint32_t)cairn_read_varint(&r);
    if (remains->values > CAIRN_FIELD_NUMBER_MAX + 1)
        return false;
    for (uint32_t i = 0; i < remains->values; i++)
        remains->value_fields[i] = (uint32_t)cairn_read_varint(&r);
    remains->containers = (uint32_t)cairn_read_varint(&r);
    if (remains->containers > CAIRN_FIELD_NUMBER_MAX + 1)
        return false;
    for (uint32_t i = 0; i < remains->containers; i++) {
        remains->container[i].field = (uint32_t)cairn_read_varint(&r);
        remains->container[i].first = cairn_read_varint(&r);
        remains->container[i].count = cairn_read_varint(&r);
    }
    remains->space_bytes = cairn_reader_left(&r);
    if (remains->space_bytes > SPACE_NAME_BYTES_MAX)
        return false;
    if (remains->space_bytes)
        memcpy(remains->space, cairn_read_bytes(&r, remains->space_bytes).data, remains->space_bytes);
    return !r.bad;
}

void purge_queue(struct shard *shard, struct overlay *overlay, const struct header *header, const uint32_t *values,
                 uint32_t value_count, struct cairn_bytes space)
{
    struct remains *remains = cairn_alloc(sizeof *remains);
    struct cairn_buf bytes = {0};
    uint8_t key[9];

    remains->incarnation = header->incarnation;
    remains->values = value_count;
    memcpy(remains->value_fields, values, value_count * sizeof *values);
    remains->containers = header->count;
    memcpy(remains->container, header->containers, header->count * sizeof *header->containers);
    remains->space_bytes = space.size;
    if (space.size)
        memcpy(remains->space, space.data, space.size);
    encode(&bytes, remains);
    overlay_put(overlay, cairn_bytes(key, key_numbered(key, KEY_PURGE, shard->meta.purge_end++)),
                cairn_buf_bytes(&bytes));
    shard_meta_store(shard, overlay);
    cairn_buf_done(&bytes);
    free(remains);
}

static enum cairn_code prepare(struct commit *commit, struct cairn_err *err)
{
    struct invocation *inv = commit->inv;
    const struct space *space = space_payer(inv->type->space);
    uint32_t fields[CAIRN_FIELD_NUMBER_MAX + 1];

    (void)err;
    if (inv->segment->deleted && commit->existed)
        purge_queue(inv->object->shard, commit->overlay, &inv->object->header, fields,
                    type_value_fields(inv->type, fields), space->counts ? space->name : cairn_bytes(NULL, 0));
    return CAIRN_OK;
}

static void undo(struct commit *commit)
{
    commit->inv->object->shard->meta.purge_end = commit->before.purge_end;
}

const struct participant purge_participant = {.concern = CONCERNS_OBJECT, .prepare = prepare, .undo = undo};

/* Lists have entries first .. first + count; maps have places 0 .. count, and `place` keys that lead
 * to the entries; ordered maps have a tree.  No kind has keys of another one's form, so all are tried.  The entries of
 * an incarnation that was never finished (past.c) are fewer than its header says. */
static uint32_t remove_last(struct overlay *overlay, uint64_t incarnation, struct container *c, uint32_t most)
{
    uint32_t removed = 0;
    struct ordered map;

    ordered_init(&map, overlay, incarnation, c->field);
    if (c->count && !tree_empty(&map.tree)) {
        removed = ordered_remove_some(&map, most);
        if (tree_empty(&map.tree))
            c->count = 0;
        return removed;
    }
    for (; c->count && removed < most; c->count--) {
        uint8_t key[FIELD_KEY_FIXED_MAX], entry[FIELD_KEY_FIXED_MAX + MAP_KEY_BYTES_MAX];
        struct cairn_bytes place, k;

        place = cairn_bytes(key, key_map_place(key, incarnation, c->field, c->count - 1));
        if (overlay_get(overlay, place, &k)) {
            overlay_remove(overlay, cairn_bytes(entry, key_map_entry(entry, incarnation, c->field, k)));
            overlay_remove(overlay, place);
            removed += 2;
        } else {
            overlay_remove(overlay,
                           cairn_bytes(key, key_list_entry(key, incarnation, c->field, c->first + c->count - 1)));
            removed++;
        }
    }
    return removed;
}

static bool purge_shard(struct cairn_worker *worker, struct shard *shard)
{
    struct overlay overlay = {0};
    struct remains *remains = cairn_alloc(sizeof *remains);
    uint8_t key[9];
    struct cairn_bytes item = cairn_bytes(key, key_numbered(key, KEY_PURGE, shard->meta.purge_first)), bytes;
    struct shard_meta before = shard->meta;
    uint32_t left = KEYS_PER_STEP;
    struct space *space = NULL;
    struct dependency record;
    struct space_kept less = {0};
    bool done, more = false;

    overlay_reset(&overlay, shard->engine);
    if (overlay_get(&overlay, item, &bytes) && decode(bytes, remains)) {
        for (; remains->values && left; remains->values--, left--) {
            uint8_t field[FIELD_KEY_FIXED_MAX];
            overlay_remove(&overlay, cairn_bytes(field, key_field(field, remains->incarnation,
                                                                  remains->value_fields[remains->values - 1])));
        }
        while (remains->containers && left) {
            struct container *last = &remains->container[remains->containers - 1];
            uint32_t removed = remove_last(&overlay, remains->incarnation, last, left);
            left -= removed < left ? removed : left;
            if (last->count == 0)
                remains->containers--;
        }
        if (left)
            left -= timers_purge(shard, &overlay, remains->incarnation, left);
        more = left == 0; /* there may be timers left */
        if (remains->space_bytes)
            space = spaces_find(&worker->node->spaces, space_of(remains));
        kept_count(space, &overlay, &less, NULL);
    } else {
        remains->values = remains->containers = 0;
    }
    if (remains->values || remains->containers || more) {
        struct cairn_buf rest = {0};
        encode(&rest, remains);
        overlay_put(&overlay, item, cairn_buf_bytes(&rest));
        cairn_buf_done(&rest);
    } else {
        overlay_remove(&overlay, item);
        shard->meta.purge_first++;
        shard_meta_store(shard, &overlay);
    }
    done = shard_commit_own(worker, shard, &overlay, "purge", &record, NULL) == CAIRN_OK;
    if (done) {
        stat_add(&worker->counts.purged_keys, KEYS_PER_STEP - left);
        timers_count(shard);
    } else {
        shard->meta = before; /* the log has no room now; again later */
        kept_undo(space, less);
    }
    overlay_done(&overlay);
    free(remains);
    return done;
}

/* Some keys of one of the worker's shards, if there are any and the log has room. */
static bool purge_any(struct cairn_worker *worker)
{
    uint32_t shards = worker->node->shard_count;

    for (uint32_t i = 0; i < shards; i++) {
        uint32_t at = (worker->purge_cursor + i) % shards;
        struct shard *shard = &worker->shards[at];

        if (!shard->shard || shard->meta.purge_first == shard->meta.purge_end ||
            shard->meta.purge_first == shard->purge_stop)
            continue;
        worker->purge_cursor = (at + 1) % shards;
        return purge_shard(worker, shard);
    }
    return false;
}

static bool step(struct cairn_worker *worker)
{
    uint64_t now = worker_recent_ns(worker);

    if (worker->failed)
        return false;
    if (!worker->served || now >= worker->purge_ns) {
        worker->purging = purge_any(worker);
        worker->purge_ns = now + PAUSE_NS;
    }
    return worker->purging;
}

static uint64_t next_ns(struct cairn_worker *worker)
{
    for (uint32_t i = 0; i < worker->node->shard_count; i++)
        if (worker->shards[i].shard && worker->shards[i].meta.purge_first != worker->shards[i].meta.purge_end)
            return RETRY_NS;
    return UINT64_MAX;
}

const struct housekeeper purge_housekeeper = {.name = "purge", .step = step, .next_ns = next_ns};
