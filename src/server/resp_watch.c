/* WATCH TYPE/ID: EXEC does nothing if one of these objects has changed since.  With a cache, a name whose part before
 * its first slash is no deployed type is a key of that (resp_exec.c).
 *
 * What is kept of an object is its newest change as the node tells it (CAIRN_OP_WATCH).  WATCH waits for what came
 * before it on its connection, and what comes behind it waits for WATCH. */
#include <stdlib.h>

#include "server/resp_keys.h"

struct cairn_resp_watch {
    struct cairn_multi_watch watch; /* of `text`; `change`, once it is known, has memory of its own */
    struct cairn_resp_watch *next;
    uint8_t text[];
};

/* Of one connection: they are asked for at once, and locked by one EXEC. */
enum { WATCHES_MAX = 1024 };

void cairn_resp_watches_drop(struct cairn_resp_session *resp)
{
    struct cairn_resp_watch *w;

    while ((w = resp->watches.first)) {
        resp->watches.first = w->next;
        free((void *)(uintptr_t)w->watch.change.data);
        free(w);
    }
    resp->watches = (struct cairn_resp_watches){0};
    cairn_resp_key_watches_drop(resp);
    cairn_resp_count_aside(resp);
}

size_t cairn_resp_watches_bytes(const struct cairn_resp_session *resp)
{
    return resp->watches.count * sizeof(struct cairn_multi_watch);
}

void cairn_resp_watches_add(const struct cairn_resp_session *resp, struct cairn_multi_watch *to,
                            struct cairn_request *request)
{
    request->watches = to;
    request->watch_count = resp->watches.count;
    for (const struct cairn_resp_watch *w = resp->watches.first; w; w = w->next)
        *to++ = w->watch;
}

void cairn_resp_count_aside(struct cairn_resp_session *resp)
{
    cairn_session_set_aside(&resp->session, resp->multi_bytes + resp->watches.bytes + resp->key_watches.bytes);
}

/* The client wants nothing to be done if something has changed. */
static void refuse(struct cairn_resp_session *resp)
{
    enum cairn_resp_watches_state state = resp->watches.state;

    cairn_resp_watches_drop(resp);
    resp->watches.state = state;
    resp->watches.refused = true;
}

/* --- asking --- */

static const struct cairn_resp_watch *newest(const struct cairn_resp_session *resp)
{
    const struct cairn_resp_watch *w = resp->watches.first;

    while (w->next)
        w = w->next;
    return w;
}

static bool is_known(const struct cairn_resp_session *resp, struct cairn_bytes type, struct cairn_bytes id)
{
    for (const struct cairn_resp_watch *w = resp->watches.first; w; w = w->next)
        if (cairn_bytes_equal(w->watch.type, type) && cairn_bytes_equal(w->watch.id, id))
            return true;
    return false;
}

static bool has_room(struct cairn_resp_session *resp)
{
    if (resp->watches.count + resp->key_watches.count < WATCHES_MAX)
        return true;
    cairn_resp_reply_error(resp, "LIMIT", "a connection watches at most %d objects; UNWATCH forgets them", WATCHES_MAX);
    return false;
}

static bool is_key(const struct cairn_resp_session *resp, struct cairn_bytes name, const uint8_t *slash)
{
    const struct cairn_front *front = resp->session.front;
    const struct cairn_backend *backend = front->backend;

    return backend->cache && !(slash && backend->has_type(front->worker, resp->session.space,
                                                          cairn_bytes(name.data, (size_t)(slash - name.data))));
}

/* False: it is refused. */
static bool add(struct cairn_resp_session *resp, struct cairn_bytes name)
{
    const uint8_t *slash = name.size ? memchr(name.data, '/', name.size) : NULL;
    struct cairn_resp_watch *w, **at;
    struct cairn_bytes type, id;
    size_t bytes;

    if (is_key(resp, name, slash))
        return has_room(resp) && cairn_resp_watch_key(resp, name);
    if (!slash || slash == name.data || slash + 1 == name.data + name.size) {
        cairn_resp_reply_error(resp, "BAD_REQUEST",
                               "an object is watched by its type and id: WATCH TYPE/ID, as in "
                               "WATCH User/bob");
        return false;
    }
    type = cairn_bytes(name.data, (size_t)(slash - name.data));
    id = cairn_bytes(slash + 1, name.size - type.size - 1);
    if (is_known(resp, type, id))
        return true;
    if (!has_room(resp))
        return false;
    bytes = sizeof *w + name.size;
    w = cairn_alloc_zeroed(1, bytes);
    memcpy(w->text, name.data, name.size);
    w->watch.type = cairn_bytes(w->text, type.size);
    w->watch.id = cairn_bytes(w->text + type.size + 1, id.size);
    for (at = &resp->watches.first; *at;)
        at = &(*at)->next;
    *at = w;
    resp->watches.count++;
    resp->watches.bytes += bytes;
    return true;
}

void cairn_resp_watch(struct cairn_resp_session *resp, const struct cairn_resp_words *words)
{
    uint32_t before = resp->watches.count;

    if (resp->multi) {
        cairn_resp_reply_error(resp, "ERR", "WATCH inside MULTI is not allowed");
        return;
    }
    for (uint32_t i = 1; i < words->count; i++)
        if (!add(resp, cairn_resp_words_at(words, i))) {
            refuse(resp);
            return;
        }
    cairn_resp_count_aside(resp);
    if (resp->watches.count == before && resp->session.front->backend->cache) {
        cairn_resp_reply_ok(resp);
        return;
    }
    resp->watches.state = CAIRN_RESP_WATCHES_TO_ASK;
    cairn_session_work_begin(&resp->session);
}

/* Asks for those that are new. */
static void submit(struct cairn_resp_session *resp)
{
    struct cairn_slot *slot = cairn_slot_take(&resp->session);
    struct cairn_multi_watch *at = (void *)cairn_buf_reserve(&slot->more, cairn_resp_watches_bytes(resp));

    slot->request.op = CAIRN_OP_WATCH;
    slot->request.watches = at;
    for (const struct cairn_resp_watch *w = resp->watches.first; w; w = w->next)
        if (!w->watch.change.size)
            *at++ = w->watch;
    slot->request.watch_count = (uint32_t)(at - slot->request.watches);
    slot->form = CAIRN_RESP_FORM_WATCHED;
    cairn_slot_submit(slot);
}

/* Nothing of what the session has asked for is under way. */
void cairn_resp_watch_step(struct cairn_resp_session *resp)
{
    struct cairn_session *session = &resp->session;

    if (resp->watches.state == CAIRN_RESP_WATCHES_TO_ASK) {
        resp->watches.state = CAIRN_RESP_WATCHES_ASKED;
        if (resp->watches.first && !newest(resp)->watch.change.size)
            submit(resp);
        else /* all were watched already */
            cairn_resp_reply_ok(resp);
    }
    if (session->under_way > 0 || session->queued > 0)
        return; /* the answer is taken as its reply is written */
    resp->watches.state = CAIRN_RESP_WATCHES_NONE;
    cairn_session_work_end(session);
}

void cairn_resp_watched(struct cairn_resp_session *resp, struct cairn_bytes value)
{
    struct cairn_reader r = cairn_reader(value);

    if (cairn_value_read(&r).kind != CAIRN_VALUE_LIST) {
        refuse(resp);
        return;
    }
    for (struct cairn_resp_watch *w = resp->watches.first; w; w = w->next)
        if (!w->watch.change.size) {
            struct cairn_bytes change = cairn_value_read(&r).bytes;

            w->watch.change = cairn_bytes(cairn_bytes_dup(change), change.size);
        }
}

void cairn_resp_unwatch(struct cairn_resp_session *resp, const struct cairn_resp_words *words)
{
    (void)words;
    cairn_resp_watches_drop(resp);
    cairn_resp_reply_ok(resp);
}
