#include "object/durable_restored.h"

#include <stdlib.h>

#include "object/clock.h"
#include "object/durable_cancel.h"
#include "object/durable_internal.h"
#include "object/layout.h"
#include "object/segment.h"
#include "object/table.h"
#include "object/worker.h"

enum { LOOKS_PER_STEP = 64, RETRY_NS = 100000000, MARK_BYTES_MAX = 8 + CAIRN_VARINT_BYTES_MAX + CAIRN_ID_BYTES_MAX };

struct restored {
    uint32_t shard;    /* whose marks are looked at; shard_count: there are none */
    uint64_t after;    /* number of the last invocation that was looked at for the first of them */
    uint64_t retry_ns; /* the log had no room; 0: it has */
};

/* A mark: be64 number | varint type's number | id. */
struct mark {
    uint64_t number;
    uint64_t type;
    struct cairn_bytes id;
};

static struct tree tree_of(struct overlay *overlay)
{
    static const uint8_t prefix[] = {KEY_RESTORED};

    return (struct tree){.overlay = overlay, .prefix = cairn_bytes(prefix, sizeof prefix)};
}

static bool mark_read(struct cairn_bytes key, struct mark *ret_mark)
{
    struct cairn_reader r = cairn_reader(key);
    struct cairn_bytes number = cairn_read_bytes(&r, 8);

    ret_mark->type = cairn_read_varint(&r);
    if (r.bad)
        return false;
    ret_mark->number = cairn_get_be64(number.data);
    ret_mark->id = cairn_bytes(r.at, cairn_reader_left(&r));
    return true;
}

/* --- within records of segments --- */

void durable_restored(struct invocation *inv)
{
    struct overlay *overlay = &inv->segment->overlay;
    struct object *object = inv->object;
    struct tree tree = tree_of(overlay);
    uint8_t key[MARK_BYTES_MAX];
    size_t size = 8;

    if (!durable_any(overlay))
        return;
    cairn_put_be64(key, shard_incarnation(object->shard));
    size += cairn_put_varint(key + size, object->type);
    memcpy(key + size, object_id(object).data, object_id(object).size);
    tree_add(&tree, cairn_bytes(key, size + object_id(object).size));
    inv->worker->restored->shard = 0;
    inv->worker->restored->after = 0;
}

bool durable_is_restored(const struct invocation *inv)
{
    const struct object *object = inv->object;
    struct overlay overlay = {0};
    struct tree tree = tree_of(&overlay);
    struct tree_cursor cursor;
    struct mark mark;
    uint8_t key[8];
    bool found = false;

    if (inv->worker->restored->shard == inv->worker->node->shard_count)
        return false;
    cairn_put_be64(key, inv->durable->number);
    overlay_reset(&overlay, object->shard->engine);
    for (bool there = tree_seek(&cursor, &tree, TREE_AFTER, cairn_bytes(key, sizeof key)); there && !found;
         there = tree_next(&cursor))
        found = mark_read(tree_key(&cursor), &mark) && mark.type == object->type &&
                cairn_bytes_equal(mark.id, object_id(object));
    found |= overlay.code != CAIRN_OK; /* to be tried again */
    overlay_done(&overlay);
    return found;
}

/* --- housekeeping --- */

static bool is_meant(struct cairn_worker *worker, struct shard *shard, uint64_t number, const struct mark *mark)
{
    struct durable_item item;
    const struct type *type;

    if (!durable_item_get(worker, shard, number, &item) || !item.head.type.data)
        return false;
    type = durable_version(worker, spaces_intern(&worker->node->spaces, item.head.space), item.head.type,
                           item.head.module.data);
    return type && type->number == mark->type && cairn_bytes_equal(item.head.id, mark->id);
}

/* False: the log has no room, or the shard cannot be read now. */
static bool remove_mark(struct cairn_worker *worker, struct shard *shard, struct cairn_bytes key)
{
    struct overlay overlay = {0};
    struct tree tree = tree_of(&overlay);
    struct dependency record;
    bool done;

    overlay_reset(&overlay, shard->engine);
    tree_remove(&tree, key);
    done = shard_commit_own(worker, shard, &overlay, "cancel", &record, NULL) == CAIRN_OK;
    overlay_done(&overlay);
    return done;
}

/* Some of what is open, for the first mark.  *ret_over: all of it. */
static bool cancel_some(struct cairn_worker *worker, struct shard *shard, const struct mark *mark, bool *ret_over)
{
    struct restored *restored = worker->restored;
    struct overlay overlay = {0};
    struct dependency record;
    bool good = true;

    *ret_over = false;
    for (int looks = 0; looks < LOOKS_PER_STEP && good && !*ret_over; looks++) {
        uint64_t number;

        overlay_reset(&overlay, shard->engine);
        number = durable_next(&overlay, restored->after);
        good = overlay.code == CAIRN_OK;
        *ret_over = good && (!number || number > mark->number);
        if (!good || *ret_over)
            break;
        (void)cairn_engine_take_failure(shard->engine, NULL);
        if (is_meant(worker, shard, number, mark)) {
            enum cairn_code code = durable_cancel_now(worker, shard, number, &record, NULL);

            good = code == CAIRN_OK || code == CAIRN_ENOTFOUND;
        } else {
            good = cairn_engine_take_failure(shard->engine, NULL) == CAIRN_OK;
        }
        if (good)
            restored->after = number;
    }
    overlay_done(&overlay);
    return good;
}

static bool step(struct cairn_worker *worker)
{
    struct restored *restored = worker->restored;
    struct shard *shard = worker_shard(worker, restored->shard);
    struct overlay overlay = {0};
    struct tree tree = tree_of(&overlay);
    uint8_t key[TREE_KEY_BYTES_MAX];
    struct tree_cursor cursor;
    struct cairn_bytes found = {0};
    struct mark mark;
    bool over = true, good = true;

    if (restored->shard == worker->node->shard_count || worker->failed ||
        (restored->retry_ns && worker_clock_ns(worker) < restored->retry_ns))
        return false;
    restored->retry_ns = 0;
    if (shard->shard) {
        overlay_reset(&overlay, shard->engine);
        if (tree_seek(&cursor, &tree, TREE_AT_OR_AFTER, cairn_bytes(NULL, 0)))
            found = tree_key(&cursor);
        good = overlay.code == CAIRN_OK;
        if (found.size)
            memcpy(key, found.data, found.size);
        overlay_done(&overlay);
    }
    if (good && !found.size) {
        restored->shard++;
        restored->after = 0;
        return restored->shard < worker->node->shard_count;
    }
    found.data = key;
    if (good && mark_read(found, &mark))
        good = cancel_some(worker, shard, &mark, &over);
    if (good && over) {
        good = remove_mark(worker, shard, found);
        restored->after = good ? 0 : restored->after;
    }
    if (!good)
        restored->retry_ns = worker_clock_ns(worker) + RETRY_NS;
    return good;
}

static uint64_t next_ns(struct cairn_worker *worker)
{
    return worker->restored->retry_ns ? RETRY_NS : UINT64_MAX;
}

const struct housekeeper restored_housekeeper = {.name = "restored objects", .step = step, .next_ns = next_ns};

void restored_open(struct cairn_worker *worker)
{
    worker->restored = cairn_alloc_zeroed(1, sizeof *worker->restored);
}

void restored_close(struct cairn_worker *worker)
{
    free(worker->restored);
    worker->restored = NULL;
}
