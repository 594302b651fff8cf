/* Replies and events, as bytes. */
#include <stdlib.h>

#include "server/zk_internal.h"

static struct cairn_zk_vector names_of(const struct keeper_names *names)
{
    return (struct cairn_zk_vector){(int32_t)names->count, names->items};
}

/* As on the wire, its count in front; nothing is an empty one. */
static struct cairn_zk_vector acl_of(struct cairn_bytes acl)
{
    if (acl.size < 4)
        return (struct cairn_zk_vector){0};
    return (struct cairn_zk_vector){(int32_t)__builtin_bswap32(cairn_get_u32(acl.data)), {acl.data + 4, acl.size - 4}};
}

static void fill(struct cairn_zk_reply *reply, const struct keeper_slot *slot)
{
    reply->path = slot->path;
    reply->data = slot->data;
    reply->acl = acl_of(slot->acl);
    reply->names = names_of(&slot->names);
    reply->number = slot->number;
    cairn_zk_stat_read(slot->stat, &reply->stat);
}

/* What stands in a multi's reply for each part: what the keeper has answered, or 0, the error, -2. */
static void fill_multi(struct cairn_zk_reply *reply, const struct cairn_zk_ask *ask, const int32_t *ops,
                       struct cairn_buf *items)
{
    const struct keeper_ask *a = &ask->ask;

    for (uint32_t i = 0; i < ask->part_count; i++) {
        struct cairn_zk_reply part = {0};
        int32_t error = a->error            ? (i < a->failed_part    ? 0
                                               : i == a->failed_part ? a->error
                                                                     : CAIRN_ZK_EINCONSISTENT)
                        : i < a->slot_count ? a->slots[i].error
                                            : CAIRN_ZK_ESYSTEM;

        if (a->error || error) {
            part.number = error;
            cairn_zk_result_add(items, &reply->multi, CAIRN_ZK_OP_ERROR, &part);
        } else {
            fill(&part, &a->slots[i]);
            cairn_zk_result_add(items, &reply->multi, ops[i], &part);
        }
    }
}

static bool is_multi(int32_t op)
{
    return op == CAIRN_ZK_OP_MULTI || op == CAIRN_ZK_OP_MULTI_READ;
}

/* Types of the parts as the client has sent them: the keeper's may be others. */
static int32_t *part_ops(const struct cairn_slot *slot, uint32_t count)
{
    int32_t *ops = cairn_alloc((count + 1) * sizeof *ops);
    struct cairn_zk_request request, part;
    struct cairn_bytes items;

    cairn_zk_request_read(cairn_buf_bytes(&slot->data), &request);
    items = request.multi.items;
    for (uint32_t i = 0; i < count && cairn_zk_multi_next(&items, &part); i++)
        ops[i] = part.op;
    return ops;
}

static void write_multi(struct cairn_slot *slot, struct cairn_zk_reply *reply, struct cairn_buf *to)
{
    struct cairn_zk_ask *ask = cairn_zk_ask_of(slot);
    int32_t *ops = part_ops(slot, ask->part_count);
    struct cairn_buf items = {0};

    reply->error = 0;
    fill_multi(reply, ask, ops, &items);
    cairn_zk_reply_add(to, ask->op, reply);
    cairn_buf_done(&items);
    free(ops);
}

/* Of "digest" the user alone; of "super" nothing, as in ZooKeeper. */
static struct cairn_bytes user_of(const struct cairn_zk_id *id)
{
    const uint8_t *colon = id->user.size ? memchr(id->user.data, ':', id->user.size) : NULL;

    if (cairn_bytes_equal(id->scheme, cairn_str("super")))
        return cairn_str(""); /* which is not null */
    if (cairn_bytes_equal(id->scheme, cairn_str("digest")) && colon)
        return cairn_bytes(id->user.data, (size_t)(colon - id->user.data));
    return id->user;
}

static void write_who(const struct cairn_zk_session *zk, struct cairn_zk_reply *reply, struct cairn_buf *to)
{
    struct cairn_bytes items = {zk->identities->bytes, zk->identities->size};
    struct cairn_buf ids = {0};
    struct cairn_zk_id id;

    while (cairn_zk_id_next(&items, &id))
        cairn_zk_id_add(&ids, &reply->ids, &(struct cairn_zk_id){id.scheme, user_of(&id)});
    cairn_zk_reply_add(to, CAIRN_ZK_OP_WHO_AM_I, reply);
    cairn_buf_done(&ids);
}

/* What no operation has: a header alone. */
static void write_error(struct cairn_buf *to, const struct cairn_zk_reply *reply)
{
    cairn_zk_reply_add(to, CAIRN_ZK_OP_PING, reply);
}

static void write_reply(struct cairn_zk_session *zk, struct cairn_slot *slot, struct cairn_buf *to)
{
    struct cairn_zk_ask *ask = cairn_zk_ask_of(slot);
    bool own = slot->form == CAIRN_ZK_FORM_OWN;
    struct cairn_zk_reply reply = {
        .xid = ask->xid,
        .error = own ? ask->error : ask->ask.error,
        .zxid = (int64_t)(own ? zk->link.zxid : ask->ask.zxid),
    };

    if (is_multi(ask->op) && (!reply.error || (!own && ask->ask.failed_part < ask->part_count))) {
        write_multi(slot, &reply, to);
    } else if (reply.error) {
        cairn_session_count_error(&zk->session);
        write_error(to, &reply);
    } else if (ask->op == CAIRN_ZK_OP_WHO_AM_I) {
        write_who(zk, &reply, to);
    } else {
        if (!own && ask->ask.slot_count)
            fill(&reply, &ask->ask.slots[0]);
        cairn_zk_reply_add(to, ask->op, &reply);
    }
}

/* The answer is longer than it may be, or than a frame can say: an error instead. */
static void write_too_long(struct cairn_zk_session *zk, struct cairn_slot *slot, struct cairn_buf *to)
{
    size_t begun = cairn_zk_frame_begin(to);

    cairn_session_count_error(&zk->session);
    write_error(to, &(struct cairn_zk_reply){.xid = cairn_zk_ask_of(slot)->xid,
                                             .error = CAIRN_ZK_EMARSHALLING,
                                             .zxid = (int64_t)zk->link.zxid});
    cairn_zk_frame_end(to, begun);
}

static void write_frame(struct cairn_zk_session *zk, struct cairn_slot *slot, struct cairn_buf *to)
{
    uint64_t bytes_max = zk->session.front->about->zk ? zk->session.front->about->zk->reply_bytes_max : 0;
    size_t begun = cairn_zk_frame_begin(to);

    write_reply(zk, slot, to);
    if (bytes_max && to->size - begun > bytes_max)
        to->size = begun - 4;
    else if (cairn_zk_frame_end(to, begun))
        return;
    write_too_long(zk, slot, to);
}

/* Nothing, if the node cannot tell whether there is such a session: the client tries again. */
static void write_connected(struct cairn_zk_session *zk, struct cairn_slot *slot, struct cairn_buf *to)
{
    static const uint8_t none[CAIRN_ZK_PASSWORD_BYTES];
    const struct keeper_ask *ask = &cairn_zk_ask_of(slot)->ask;
    struct cairn_zk_connected answer = {.password = {none, sizeof none}, .has_read_only = zk->has_read_only};
    size_t begun;

    if (ask->error && ask->error != CAIRN_ZK_EEXPIRED)
        return;
    if (!ask->error) {
        answer.timeout_ms = (int32_t)zk->link.timeout_ms;
        answer.session = (int64_t)zk->link.session;
        answer.password = cairn_bytes(zk->link.password, sizeof zk->link.password);
    }
    begun = cairn_zk_frame_begin(to);
    cairn_zk_connected_add(to, &answer);
    cairn_zk_frame_end(to, begun);
}

void cairn_zk_write(struct cairn_session *session, struct cairn_slot *slot, struct cairn_bytes value,
                    struct cairn_buf *to)
{
    struct cairn_zk_session *zk = cairn_zk_of(session);
    struct cairn_clock *clock = session->front->clock;
    const struct cairn_zk_ask *ask = cairn_zk_ask_of(slot);

    (void)value; /* the ask has it */
    switch ((enum cairn_zk_form)slot->form) {
    case CAIRN_ZK_FORM_CONNECT:
        write_connected(zk, slot, to);
        break;
    case CAIRN_ZK_FORM_ASKED:
    case CAIRN_ZK_FORM_OWN:
        write_frame(zk, slot, to);
        break;
    case CAIRN_ZK_FORM_WORD:
        cairn_zk_write_word(session, slot, to);
        return; /* words count for nothing */
    }
    atomic_store_explicit(&zk->client->last_zxid, zk->link.zxid, memory_order_relaxed);
    atomic_store_explicit(&zk->client->last_ms, clock->wall_ms(clock), memory_order_relaxed);
    cairn_zk_client_answered(zk->client, slot->form == CAIRN_ZK_FORM_CONNECT ? CAIRN_ZK_OP_CREATE_SESSION : ask->op,
                             (clock->monotonic_ns(clock) - ask->started_ns) / 1000);
}

void cairn_zk_write_event(struct cairn_buf *to, const struct keeper_event *event)
{
    size_t begun = cairn_zk_frame_begin(to);

    cairn_zk_event_add(
        to, &(struct cairn_zk_event){
                .zxid = -1, .type = (int32_t)event->type, .state = CAIRN_ZK_STATE_CONNECTED, .path = event->path});
    cairn_zk_frame_end(to, begun);
}
