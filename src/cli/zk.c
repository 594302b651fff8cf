#include "cli/zk.h"

#include <stdlib.h>
#include <string.h>

#include "io/dial.h"

enum { TIMEOUT_MS = 10000, SILENCE_MS = TIMEOUT_MS / 3, SILENCES_MAX = 3, ANSWER_BYTES_MAX = 1 << 30 };

static bool fails(const struct cairn_zk *zk, const char *why, int *ret_exit)
{
    *ret_exit =
        cairn_complain(CAIRN_EXIT_UNREACHABLE,
                       "%s did not answer as a ZooKeeper does (%s); is that the address of 'cairn serve --zk'?  "
                       "CAIRN_ZK names it",
                       zk->name, why);
    return false;
}

static bool send_frame(struct cairn_zk *zk, size_t begun, int *ret_exit)
{
    struct cairn_err err;
    enum cairn_code code;

    cairn_zk_frame_end(&zk->out, begun);
    code = cairn_dial_send(zk->fd, cairn_buf_bytes(&zk->out), &err);
    zk->out.size = 0;
    return code == CAIRN_OK || fails(zk, err.text, ret_exit);
}

static bool send_request(struct cairn_zk *zk, const struct cairn_zk_request *request, int *ret_exit)
{
    size_t begun = cairn_zk_frame_begin(&zk->out);

    cairn_zk_request_add(&zk->out, request);
    return send_frame(zk, begun, ret_exit);
}

/* The next frame's body.  While the node says nothing, it is shown that this client is there. */
static bool receive(struct cairn_zk *zk, struct cairn_bytes *ret, int *ret_exit)
{
    static const struct cairn_zk_request ping = {.xid = CAIRN_ZK_XID_PING, .op = CAIRN_ZK_OP_PING};
    uint8_t input[16 << 10];
    int silences = 0;

    cairn_buf_consume(&zk->in, zk->used);
    zk->used = 0;
    for (;;) {
        enum cairn_zk_frame frame =
            cairn_zk_frame_read(cairn_buf_bytes(&zk->in), ANSWER_BYTES_MAX, false, ret, &zk->used);
        struct cairn_err err;
        size_t size;

        if (frame == CAIRN_ZK_FRAME)
            return true;
        zk->used = 0;
        if (frame == CAIRN_ZK_BAD)
            return fails(zk, "its answer has no end", ret_exit);
        if (cairn_dial_receive(zk->fd, input, sizeof input, &size, &err) == CAIRN_OK) {
            if (size == 0)
                return fails(zk, "it has closed the connection", ret_exit);
            cairn_buf_add(&zk->in, input, size);
            silences = 0;
            continue;
        }
        if (++silences == SILENCES_MAX)
            return fails(zk, err.text, ret_exit);
        if (!send_request(zk, &ping, ret_exit))
            return false;
    }
}

static bool connect_session(struct cairn_zk *zk, int *ret_exit)
{
    static const uint8_t none[CAIRN_ZK_PASSWORD_BYTES];
    const struct cairn_zk_connect wish = {
        .timeout_ms = TIMEOUT_MS, .password = {none, sizeof none}, .has_read_only = true};
    struct cairn_zk_connected connected;
    size_t begun = cairn_zk_frame_begin(&zk->out);
    struct cairn_bytes body;

    cairn_zk_connect_add(&zk->out, &wish);
    if (!send_frame(zk, begun, ret_exit) || !receive(zk, &body, ret_exit))
        return false;
    if (!cairn_zk_connected_read(body, &connected) || connected.timeout_ms <= 0)
        return fails(zk, "it gives no session", ret_exit);
    return true;
}

bool cairn_zk_open(struct cairn_zk *zk, const char *auth, int *ret_exit)
{
    const char *name = getenv("CAIRN_ZK");
    struct cairn_address address;
    struct cairn_zk_reply reply;
    struct cairn_err err;

    *zk = (struct cairn_zk){.fd = -1, .name = name && *name ? name : CAIRN_ZK_DEFAULT};
    if (cairn_address_parse(zk->name, 2181, &address, &err) != CAIRN_OK) {
        *ret_exit = cairn_complain(CAIRN_EXIT_USAGE, "CAIRN_ZK is '%s': write HOST:PORT (%s)", zk->name, err.text);
        return false;
    }
    if (cairn_dial(&address, SILENCE_MS, &zk->fd, &err) != CAIRN_OK) {
        zk->fd = -1;
        *ret_exit = cairn_complain(CAIRN_EXIT_UNREACHABLE,
                                   "nothing answers at %s (%s); start a node with 'cairn serve', or set CAIRN_ZK",
                                   zk->name, err.text);
        return false;
    }
    if (!connect_session(zk, ret_exit))
        return false;
    return !auth || cairn_zk_ask(zk,
                                 &(struct cairn_zk_request){
                                     .op = CAIRN_ZK_OP_AUTH, .scheme = cairn_str("digest"), .data = cairn_str(auth)},
                                 &reply, ret_exit);
}

bool cairn_zk_ask(struct cairn_zk *zk, const struct cairn_zk_request *request, struct cairn_zk_reply *ret,
                  int *ret_exit)
{
    struct cairn_zk_request numbered = *request;
    struct cairn_bytes body;
    const char *error;

    numbered.xid = request->op == CAIRN_ZK_OP_AUTH ? CAIRN_ZK_XID_AUTH : ++zk->xid;
    if (!send_request(zk, &numbered, ret_exit))
        return false;
    do /* no event was asked for, and pings answer nothing */
        if (!receive(zk, &body, ret_exit))
            return false;
    while (cairn_zk_xid(body) != numbered.xid);
    if (!cairn_zk_reply_read(body, request->op, ret))
        return fails(zk, "its answer cannot be read", ret_exit);
    if (!ret->error)
        return true;
    error = cairn_zk_error_name(ret->error);
    *ret_exit =
        cairn_complain(CAIRN_EXIT_FAILED, "%.*s: %s (%d)", (int)request->path.size,
                       request->path.size ? (const char *)request->path.data : "", error ? error : "error", ret->error);
    return false;
}

bool cairn_zk_event(struct cairn_zk *zk, struct cairn_zk_event *ret, int *ret_exit)
{
    struct cairn_bytes body;

    do
        if (!receive(zk, &body, ret_exit))
            return false;
    while (cairn_zk_xid(body) != CAIRN_ZK_XID_EVENT || !cairn_zk_event_read(body, ret));
    return true;
}

void cairn_zk_close(struct cairn_zk *zk)
{
    if (zk->fd >= 0) {
        size_t begun = cairn_zk_frame_begin(&zk->out);
        struct cairn_err err;

        cairn_zk_request_add(&zk->out, &(struct cairn_zk_request){.xid = ++zk->xid, .op = CAIRN_ZK_OP_CLOSE_SESSION});
        cairn_zk_frame_end(&zk->out, begun);
        cairn_dial_send(zk->fd, cairn_buf_bytes(&zk->out), &err); /* its timeout ends it otherwise */
    }
    if (zk->fd >= 0)
        cairn_dial_close(zk->fd);
    cairn_buf_done(&zk->in);
    cairn_buf_done(&zk->out);
}
