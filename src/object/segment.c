#include "object/segment.h"

#include <stdlib.h>

#include "object/branch.h"
#include "object/invocation.h"
#include "object/table.h"
#include "object/worker.h"

enum { SENDS_KEPT_BYTES = 64 << 10 };

static inline struct segment *begin(struct cairn_worker *worker, struct object *object, struct cairn_view *view,
                                    const struct header *header)
{
    struct segment *segment = worker->free_segments;

    if (segment) {
        worker->free_segments = segment->next_free;
    } else {
        segment = cairn_alloc_zeroed(1, sizeof *segment);
        cairn_list_init(&segment->calls);
    }
    if (!object->loaded)
        object_load(object);
    overlay_reset(&segment->overlay, view);
    segment->header = *header;
    segment->header.room = 0; /* borrowed until it is changed */
    segment->header_dirty = segment->deleted = false;
    segment->call_count = 0;
    segment->sends.size = segment->send_count = 0;
    segment->timers_changed = segment->timers_set = 0;
    segment->need = (struct claim){0};
    return segment;
}

/* What a segment of the invocation is over. */
static struct cairn_view *view_of(const struct invocation *inv)
{
    return __builtin_expect(inv->branch != NULL, 0) ? branch_view(inv->branch) : inv->object->shard->engine;
}

static const struct header *header_of(const struct invocation *inv)
{
    return __builtin_expect(inv->branch != NULL, 0) ? branch_header(inv->branch) : &inv->object->header;
}

struct segment *segment_begin_on(struct cairn_worker *worker, struct object *object, struct cairn_view *view,
                                 const struct header *header)
{
    return begin(worker, object, view, header);
}

struct segment *segment_begin(struct cairn_worker *worker, struct invocation *inv)
{
    return begin(worker, inv->object, view_of(inv), header_of(inv));
}

static void drop_calls(struct cairn_worker *worker, struct segment *segment)
{
    struct cairn_link *l;

    while ((l = cairn_list_pop_front(&segment->calls)))
        invocation_free(worker, cairn_container(l, struct invocation, link));
    segment->call_count = 0;
}

struct segment *segment_end(struct cairn_worker *worker, struct segment *segment)
{
    if (!segment)
        return NULL;
    drop_calls(worker, segment);
    if (segment->sends.capacity > SENDS_KEPT_BYTES)
        cairn_buf_done(&segment->sends);
    segment->next_free = worker->free_segments;
    worker->free_segments = segment;
    return NULL;
}

void segment_free(struct cairn_worker *worker, struct segment *segment)
{
    drop_calls(worker, segment);
    overlay_done(&segment->overlay);
    free(segment);
}

/* Forgets what the segment did. */
void segment_restart(struct cairn_worker *worker, struct invocation *inv)
{
    struct segment *segment = inv->segment;

    for (struct cairn_link *l = segment->calls.next; l != &segment->calls; l = l->next)
        inv->call_count--;
    drop_calls(worker, segment);
    overlay_reset(&segment->overlay, view_of(inv));
    segment->header = *header_of(inv);
    segment->header.room = 0;
    segment->header_dirty = segment->deleted = false;
    segment->sends.size = segment->send_count = 0;
    segment->timers_changed = segment->timers_set = 0;
    segment->need = (struct claim){0};
}

void segment_delete(struct invocation *inv)
{
    struct segment *segment = inv->segment;

    overlay_reset(&segment->overlay, view_of(inv));
    segment->deleted = inv->object->header.incarnation != 0;
    segment->header = (struct header){0};
    segment->header_dirty = header_of(inv)->incarnation != 0;
}
