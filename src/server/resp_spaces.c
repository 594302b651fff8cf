/* CAIRN.NAMESPACE: which namespace a connection's commands are in. */
#include "object/space.h"
#include "server/resp_internal.h"

void cairn_resp_default_space(struct cairn_resp_session *resp)
{
    cairn_session_enter(&resp->session, resp->session.front->space, NULL);
}

void cairn_resp_namespace(struct cairn_resp_session *resp, const struct cairn_resp_words *words)
{
    const struct cairn_backend *backend = resp->session.front->backend;
    struct cairn_bytes name;
    struct cairn_err err;
    struct space *space;
    uint64_t most;

    if (words->count > 2) {
        cairn_resp_reply_error(resp, "ERR", "write CAIRN.NAMESPACE NAME, or CAIRN.NAMESPACE alone to hear which it is");
        return;
    }
    if (words->count == 1) {
        name = resp->session.space ? resp->session.space->name : cairn_str(SPACE_DEFAULT);
        cairn_resp_bulk(cairn_session_reply_begin(&resp->session), name);
        cairn_session_reply_end(&resp->session);
        return;
    }
    if (resp->watches.count || resp->key_watches.count) {
        cairn_resp_reply_error(resp, "BAD_REQUEST", "objects of this namespace are watched: UNWATCH first");
        return;
    }
    name = cairn_resp_words_at(words, 1);
    space = backend->space ? backend->space(backend->context, name) : NULL;
    if (!space) {
        space_missing(name, &err);
        cairn_resp_reply_error(resp, "NOT_FOUND", "%s", err.text);
        return;
    }
    if (!cairn_session_enter(&resp->session, space, &most)) {
        cairn_resp_reply_error(resp, "QUOTA",
                               "the namespace %.*s has the %llu connections that it may have (connections); close one "
                               "of them and try again",
                               (int)name.size, (const char *)name.data, (unsigned long long)most);
        return;
    }
    cairn_resp_reply_ok(resp);
}
