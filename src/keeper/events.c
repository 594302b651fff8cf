#include "keeper/events.h"

#include <stdlib.h>

#include "keeper/acl.h"
#include "keeper/watch.h"
#include "object/hold.h"
#include "object/operation.h"

enum { BATCH_KEPT_BYTES = 16 << 10 };

/* --- gathering ------------------------------------------------------------------------------------ */

struct event {
    struct keeper_tree *tree;
    enum keeper_event_type type;
    uint64_t zxid;
    struct cairn_bytes path, acl;
};

static void add_sized(struct cairn_buf *to, struct cairn_bytes bytes)
{
    uint8_t size[2];

    cairn_put_u16(size, (uint16_t)bytes.size);
    cairn_buf_add(to, size, sizeof size);
    cairn_buf_add(to, bytes.data, bytes.size);
}

static void begin(struct keeper_batch *batch, const struct event *event)
{
    uint8_t head[9];

    head[0] = (uint8_t)event->type;
    cairn_put_u64(head + 1, event->zxid);
    cairn_buf_add(&batch->bytes, head, sizeof head);
    add_sized(&batch->bytes, event->path);
    add_sized(&batch->bytes, event->acl);
    batch->stamp = event->tree->stamp;
    batch->count_at = batch->bytes.size;
    cairn_buf_add(&batch->bytes, "\0\0\0", 4);
}

static void tell(void *context, struct keeper_session *session)
{
    const struct event *event = context;
    struct keeper_batch *batch;
    uint8_t to[12];

    if (!session->linked)
        return;
    batch = &event->tree->kw->batches[session->worker];
    if (batch->bytes.size == 0 || batch->stamp != event->tree->stamp)
        begin(batch, event);
    cairn_put_u64(to, session->item.key);
    cairn_put_u32(to + 8, session->generation);
    cairn_buf_add(&batch->bytes, to, sizeof to);
    cairn_put_u32(batch->bytes.data + batch->count_at, cairn_get_u32(batch->bytes.data + batch->count_at) + 1);
}

void keeper_event_one(struct keeper_session *session, enum keeper_event_type type, uint64_t zxid,
                      struct cairn_bytes path, struct cairn_bytes acl)
{
    struct event event = {session->tree, type, zxid, path, acl};

    session->stamp = ++session->tree->stamp;
    tell(&event, session);
}

void keeper_event_fire(struct keeper_tree *tree, enum keeper_event_type type, uint64_t zxid, struct cairn_bytes path,
                       struct cairn_bytes acl, unsigned tables)
{
    struct event event = {tree, type, zxid, path, acl};

    keeper_watch_fire(tree, path, tables, tell, &event);
}

/* --- their way ------------------------------------------------------------------------------------ */

static void charge(struct cairn_worker *worker, int64_t bytes)
{
    cairn_purse_add(&keeper_worker_of(worker)->purse, bytes);
}

static void deliver(struct keeper_home *home, struct cairn_reader *r)
{
    struct keeper_event event;
    struct cairn_bytes acl;
    uint32_t count;

    event.type = cairn_read_u8(r);
    event.zxid = cairn_read_u64(r);
    event.path = cairn_read_bytes(r, cairn_read_u16(r));
    acl = cairn_read_bytes(r, cairn_read_u16(r));
    count = cairn_read_u32(r);
    for (uint32_t i = 0; i < count && !r->bad; i++) {
        uint64_t session = cairn_read_u64(r);
        struct keeper_link *link = keeper_link_find(home, session, cairn_read_u32(r));

        if (!link || !keeper_acl_allows(acl, KEEPER_PERM_READ, link->identities))
            continue;
        if (event.zxid > link->zxid)
            link->zxid = event.zxid;
        link->front->event(link, &event);
    }
}

/* At the links' worker, once the record is durable. */
static void told(struct cairn_worker *worker, const struct invocation *inv)
{
    struct cairn_reader r = cairn_reader(cairn_buf_bytes(&inv->result));
    struct keeper_home *home = keeper_home_find(worker, inv->space->parent);

    charge(worker, -(int64_t)inv->result.size);
    while (!inv->failed && home && cairn_reader_left(&r) && !r.bad)
        deliver(home, &r);
}

static const struct operation events_operation = {.name = "events", .receive = hold_answer, .told = told};

void keeper_events_send(struct keeper_tree *tree)
{
    struct cairn_worker *worker = tree->kw->worker;
    struct object *object = keeper_tree_object(tree);

    for (uint32_t i = 0; i < worker->node->options.workers; i++) {
        struct keeper_batch *batch = &tree->kw->batches[i];
        struct invocation *inv;

        if (!batch->bytes.size)
            continue;
        inv = invocation_new(worker, &events_operation);
        inv->space = tree->space;
        inv->origin = i;
        dependency_join(&inv->depends, object->last);
        cairn_buf_add(&inv->result, batch->bytes.data, batch->bytes.size);
        cairn_buf_trim(&batch->bytes, BATCH_KEPT_BYTES);
        charge(worker, (int64_t)inv->result.size);
        if (i == worker->index)
            inv->message.receive(worker, &inv->message);
        else
            worker_send(worker, i, &inv->message);
    }
}

void keeper_events_free(struct keeper_worker *kw)
{
    for (uint32_t i = 0; kw->batches && i < kw->worker->node->options.workers; i++)
        cairn_buf_done(&kw->batches[i].bytes);
    free(kw->batches);
}
