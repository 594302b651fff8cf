/* A connection of a ZooKeeper client: frames, its session, events, its end. */
#include <assert.h>
#include <stdlib.h>

#include "server/server.h"
#include "server/zk_internal.h"

/* A client that is silent for so long has lost its session already, whatever it had asked for. */
enum { IDLE_MS = 120000 };

static struct cairn_zk_session *zk_of_link(struct keeper_link *link)
{
    return cairn_container(link, struct cairn_zk_session, link);
}

/* --- what the keeper says --- */

static void on_event(struct keeper_link *link, const struct keeper_event *event)
{
    struct cairn_zk_session *zk = zk_of_link(link);
    struct cairn_session *session = &zk->session;
    struct cairn_buf *frame = &session->front->scratch;
    struct cairn_slot *behind = session->first ? cairn_session_last_done(session, CAIRN_ZK_SLOT_READ) : NULL;

    frame->size = 0;
    cairn_zk_write_event(frame, event);
    cairn_zk_client_sent(zk->client);
    if (behind)
        cairn_session_push_behind(session, behind, cairn_buf_bytes(frame));
    else
        cairn_session_push(session, cairn_buf_bytes(frame));
    cairn_buf_trim(frame, 16 << 10);
}

static void on_over(struct keeper_link *link, enum keeper_end why)
{
    (void)why; /* the client asks again for its session, and hears */
    cairn_zk_end(zk_of_link(link));
}

static const struct keeper_front keeper_front = {.event = on_event, .over = on_over};

/* --- connecting --- */

/* Its requests are in the namespace that the port serves.  False: there is none of the name, or it has as many
 * connections as it may have. */
static bool enter_space(struct cairn_zk_session *zk)
{
    const struct cairn_backend *backend = zk->session.front->backend;
    const struct cairn_zk_settings *settings = zk->session.front->about->zk;
    struct space *space;

    if (!settings || !settings->space)
        return true;
    space = backend->space ? backend->space(backend->context, cairn_str(settings->space)) : NULL;
    if (!space || !cairn_session_enter(&zk->session, space, NULL))
        return false;
    zk->link.space = space;
    return true;
}

static void ask_for_session(struct cairn_zk_session *zk, struct cairn_bytes body)
{
    struct cairn_zk_connect wish;
    struct cairn_slot *slot;
    struct keeper_ask *ask;

    if (!cairn_zk_keeper(zk) || !cairn_zk_connect_read(body, &wish)) {
        cairn_zk_end(zk);
        return;
    }
    zk->has_read_only = wish.has_read_only;
    cairn_zk_identify(zk);
    slot = cairn_zk_slot(zk, CAIRN_ZK_FORM_CONNECT, 0);
    slot->data.size = 0;
    cairn_buf_add(&slot->data, wish.password.data, wish.password.size);
    ask = &cairn_zk_ask_of(slot)->ask;
    ask->session = (uint64_t)wish.session;
    ask->password = cairn_buf_bytes(&slot->data);
    ask->timeout_ms = wish.timeout_ms < 0 ? 0 : (uint32_t)wish.timeout_ms;
    ask->zxid_seen = wish.last_zxid_seen < 0 ? 0 : (uint64_t)wish.last_zxid_seen;
    zk->stage = CAIRN_ZK_CONNECTING;
    zk->session.working = true; /* until `step` sees the answer */
    cairn_zk_submit(zk, slot);
}

/* The keeper has answered. */
static void step(struct cairn_session *session)
{
    struct cairn_zk_session *zk = cairn_zk_of(session);

    if (zk->stage == CAIRN_ZK_CONNECTING) {
        zk->stage = zk->link.session ? CAIRN_ZK_CONNECTED : CAIRN_ZK_ENDED;
        atomic_store_explicit(&zk->client->session, zk->link.session, memory_order_relaxed);
        atomic_store_explicit(&zk->client->timeout_ms, zk->link.timeout_ms, memory_order_relaxed);
        if (zk->stage == CAIRN_ZK_ENDED && session->state == CAIRN_SESSION_OPEN)
            cairn_session_end(session);
    }
    cairn_session_work_end(session);
}

/* --- input --- */

static size_t parse(struct cairn_session *session, struct cairn_bytes input)
{
    struct cairn_zk_session *zk = cairn_zk_of(session);
    size_t used = 0;

    zk->link.heard = true;
    while (used < input.size && session->state == CAIRN_SESSION_OPEN && !cairn_session_full(session)) {
        struct cairn_bytes rest = {input.data + used, input.size - used}, body;
        bool first = zk->stage == CAIRN_ZK_FIRST;
        size_t frame_bytes;
        enum cairn_zk_frame frame = cairn_zk_frame_read(
            rest, first ? CAIRN_ZK_FIRST_BYTES_MAX : CAIRN_ZK_FRAME_BYTES_MAX, first, &body, &frame_bytes);

        if (frame == CAIRN_ZK_MORE)
            break;
        if (frame == CAIRN_ZK_BAD) {
            cairn_zk_end(zk);
            break;
        }
        used += frame_bytes;
        if (first && session->peer)
            cairn_zk_client_name(session->front->about->zk_clients, zk->client, session->peer);
        cairn_session_count_request(session);
        cairn_zk_client_received(zk->client);
        if (first && !enter_space(zk))
            cairn_zk_end(zk);
        else if (frame == CAIRN_ZK_WORD)
            cairn_zk_word(zk, body);
        else if (first)
            ask_for_session(zk, body);
        else
            cairn_zk_request(zk, body);
    }
    if (zk->linked)
        cairn_zk_keeper(zk)->flush(session->front->worker, &zk->link);
    return used;
}

static size_t partial_bytes(const struct cairn_session *session)
{
    (void)session; /* a half received frame is in the session's own buffer */
    return 0;
}

/* There is no way to tell the client. */
static void timed_out(struct cairn_session *session)
{
    cairn_zk_end(cairn_zk_of(session));
}

/* --- the ends of it --- */

static void closing(struct cairn_session *session)
{
    struct cairn_zk_session *zk = cairn_zk_of(session);

    if (zk->linked)
        cairn_zk_keeper(zk)->leave(session->front->worker, &zk->link);
    zk->stage = CAIRN_ZK_ENDED;
    cairn_zk_client_close(session->front->about->zk_clients, zk->client);
    zk->client = NULL;
}

static void free_session(struct cairn_session *session)
{
    struct cairn_zk_session *zk = cairn_zk_of(session);

    cairn_session_done(session);
    cairn_zk_forget_identities(zk);
    free(zk);
}

static void turn_away(struct cairn_buf *to)
{
    (void)to; /* ZooKeeper closes such connections without a word, and clients try another server */
}

const struct cairn_protocol cairn_zk_protocol = {
    .index = CAIRN_PROTOCOL_ZK,
    .name = "zk",
    .default_port = CAIRN_ZK_PORT,
    .address_offset = offsetof(struct cairn_server_options, zk),
    .idle_ms_offset = offsetof(struct cairn_server_options, zk_idle_ms),
    .idle_ms = IDLE_MS,
    .shows_client = true,
    .dispensable = true,
    .open = cairn_zk_session_open,
    .turn_away = turn_away,
    .parse = parse,
    .step = step,
    .write = cairn_zk_write,
    .partial_bytes = partial_bytes,
    .timed_out = timed_out,
    .too_big = timed_out,
    .closing = closing,
    .free = free_session,
};

struct cairn_session *cairn_zk_session_open(struct cairn_front *front, void *owner)
{
    struct cairn_zk_session *zk = cairn_alloc_zeroed(1, sizeof *zk);

    cairn_session_init(&zk->session, &cairn_zk_protocol, front, owner);
    zk->link.space = zk->session.space;
    zk->link.front = &keeper_front;
    zk->link.owner = zk;
    zk->client = cairn_zk_client_open(front->about->zk_clients, front->index, zk->session.opened_ms);
    return &zk->session;
}
