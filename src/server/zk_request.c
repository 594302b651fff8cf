/* What a connected client asks for: decoded, checked as far as that needs no state, and handed to the keeper, or
 * answered here. */
#include <stdlib.h>

#include "base/hash.h"
#include "proto/json.h"
#include "proto/zk_path.h"
#include "server/zk_internal.h"

#define TTL_MS_MAX INT64_C(0xffffffffff) /* what fits into an ephemeralOwner */

/* --- what the front answers by itself --- */

static void answer_own(struct cairn_slot *slot, int32_t error)
{
    slot->form = CAIRN_ZK_FORM_OWN;
    cairn_zk_ask_of(slot)->error = error;
    cairn_slot_answer(slot);
}

/* And takes nothing more. */
static void refuse(struct cairn_zk_session *zk, struct cairn_slot *slot, int32_t error)
{
    answer_own(slot, error);
    cairn_zk_end(zk);
}

/* --- identities --- */

static struct cairn_bytes items_of(const struct cairn_zk_identities *identities)
{
    return identities ? cairn_bytes(identities->bytes, identities->size) : cairn_bytes(NULL, 0);
}

static bool is_known(const struct cairn_zk_session *zk, const struct cairn_zk_id *id)
{
    struct cairn_bytes items = items_of(zk->identities);
    struct cairn_zk_id known;

    while (cairn_zk_id_next(&items, &known))
        if (cairn_bytes_equal(known.scheme, id->scheme) && cairn_bytes_equal(known.user, id->user))
            return true;
    return false;
}

/* False: there is no room for more. */
static bool add_identity(struct cairn_zk_session *zk, struct cairn_bytes scheme, struct cairn_bytes user)
{
    struct cairn_zk_identities *older = zk->identities, *newer;
    struct cairn_zk_vector ids = {.count = older ? (int32_t)older->count : 0};
    struct cairn_bytes before = items_of(older);
    struct cairn_zk_id id = {scheme, user};
    struct cairn_buf items = {0};

    if (is_known(zk, &id))
        return true;
    cairn_buf_add(&items, before.data, before.size);
    cairn_zk_id_add(&items, &ids, &id);
    if (ids.count > CAIRN_ZK_IDENTITIES_MAX || items.size > CAIRN_ZK_IDENTITY_BYTES) {
        cairn_buf_done(&items);
        return false;
    }
    newer = cairn_alloc(sizeof *newer + items.size);
    newer->older = older;
    newer->count = (uint32_t)ids.count;
    newer->size = items.size;
    memcpy(newer->bytes, items.data, items.size);
    zk->identities = newer;
    zk->link.identities = items_of(newer);
    cairn_buf_done(&items);
    return true;
}

/* "127.0.0.1" of "127.0.0.1:2181", "::1" of "[::1]:2181". */
static struct cairn_bytes host_of(const char *peer)
{
    const char *colon = peer ? strrchr(peer, ':') : NULL;
    size_t size = colon ? (size_t)(colon - peer) : 0;

    if (size >= 2 && peer[0] == '[')
        return cairn_bytes(peer + 1, size - 2);
    return cairn_bytes(peer, size);
}

void cairn_zk_identify(struct cairn_zk_session *zk)
{
    add_identity(zk, cairn_str("ip"), host_of(zk->session.peer ? zk->session.peer : ""));
}

void cairn_zk_forget_identities(struct cairn_zk_session *zk)
{
    while (zk->identities) {
        struct cairn_zk_identities *older = zk->identities->older;

        free(zk->identities);
        zk->identities = older;
    }
}

/* "user:password" becomes "user:" and the digest of the whole. */
static bool add_digest(struct cairn_zk_session *zk, struct cairn_bytes credentials)
{
    const struct cairn_zk_settings *settings = zk->session.front->about->zk;
    const uint8_t *colon = credentials.size ? memchr(credentials.data, ':', credentials.size) : NULL;
    size_t user = colon ? (size_t)(colon - credentials.data) : credentials.size;
    uint8_t digest[CAIRN_SHA1_BYTES];
    struct cairn_buf id = {0};
    bool added = true;

    cairn_sha1(credentials, digest);
    cairn_buf_add(&id, credentials.data, user);
    cairn_buf_str(&id, ":");
    cairn_base64_add(&id, cairn_bytes(digest, sizeof digest), false);
    if (settings && settings->super && cairn_bytes_equal(cairn_buf_bytes(&id), cairn_str(settings->super))) {
        zk->super = true;
        added = add_identity(zk, cairn_str("super"), cairn_str(""));
    }
    added = added && add_identity(zk, cairn_str("digest"), cairn_buf_bytes(&id));
    cairn_buf_done(&id);
    return added;
}

static void authenticate(struct cairn_zk_session *zk, struct cairn_slot *slot, const struct cairn_zk_request *request)
{
    bool known = false;

    if (cairn_bytes_equal(request->scheme, cairn_str("digest")))
        known = add_digest(zk, request->data);
    else if (cairn_bytes_equal(request->scheme, cairn_str("ip")))
        known = true; /* the address is an identity from the beginning */
    if (known)
        answer_own(slot, CAIRN_ZK_OK);
    else
        refuse(zk, slot, CAIRN_ZK_EAUTH);
}

/* --- what the keeper answers --- */

/* As on the wire, its count included: that stands right before the items. */
static struct cairn_bytes whole_acl(const struct cairn_zk_vector *acl)
{
    if (acl->count <= 0 || acl->items.size + 4 > KEEPER_ACL_BYTES_MAX)
        return cairn_bytes(NULL, 0);
    return cairn_bytes(acl->items.data - 4, acl->items.size + 4);
}

static bool is_ttl(int32_t flags)
{
    return flags == CAIRN_ZK_TTL || flags == CAIRN_ZK_TTL_SEQUENTIAL;
}

/* The operation follows from the flags, as in ZooKeeper; which reply there is, from the request's type. */
static int32_t read_create(const struct cairn_zk_request *request, struct keeper_part *ret)
{
    int32_t flags = request->flags;

    if (flags < CAIRN_ZK_PERSISTENT || flags > CAIRN_ZK_TTL_SEQUENTIAL)
        return CAIRN_ZK_EARGUMENTS;
    if (is_ttl(flags)) {
        if (request->op != CAIRN_ZK_OP_CREATE_TTL || request->ttl_ms < 1 || request->ttl_ms > TTL_MS_MAX)
            return CAIRN_ZK_EARGUMENTS;
        ret->op = KEEPER_CREATE_TTL;
    } else if (request->op == CAIRN_ZK_OP_CREATE_TTL && request->ttl_ms >= 0) {
        return CAIRN_ZK_EARGUMENTS;
    } else {
        ret->op = flags == CAIRN_ZK_CONTAINER         ? KEEPER_CREATE_CONTAINER
                  : request->op == CAIRN_ZK_OP_CREATE ? KEEPER_CREATE
                                                      : KEEPER_CREATE2;
    }
    return CAIRN_ZK_OK;
}

static bool is_sequential(int32_t flags)
{
    return flags == CAIRN_ZK_SEQUENTIAL || flags == CAIRN_ZK_EPHEMERAL_SEQUENTIAL || flags == CAIRN_ZK_TTL_SEQUENTIAL;
}

/* One operation on one node. */
static int32_t read_part(const struct cairn_zk_request *request, struct keeper_part *ret)
{
    bool creates = request->op == CAIRN_ZK_OP_CREATE || request->op == CAIRN_ZK_OP_CREATE2 ||
                   request->op == CAIRN_ZK_OP_CREATE_CONTAINER || request->op == CAIRN_ZK_OP_CREATE_TTL;
    int32_t error = CAIRN_ZK_OK;

    *ret = (struct keeper_part){
        .op = (enum keeper_op)request->op,
        .path = request->path,
        .data = request->data,
        .acl = whole_acl(&request->acl),
        .flags = request->flags,
        .version = request->version,
        .ttl_ms = request->ttl_ms,
        .watch = request->watch,
    };
    if (creates)
        error = read_create(request, ret);
    if (request->op == CAIRN_ZK_OP_GET_EPHEMERALS) /* a prefix, which need not be a path */
        return request->path.size > KEEPER_PATH_BYTES_MAX ? CAIRN_ZK_EARGUMENTS : CAIRN_ZK_OK;
    if (cairn_zk_path_fault(request->path, creates && is_sequential(request->flags)) ||
        request->path.size > KEEPER_PATH_BYTES_MAX)
        error = CAIRN_ZK_EARGUMENTS;
    return error;
}

static void submit_read(struct cairn_zk_session *zk, struct cairn_slot *slot)
{
    slot->flags = CAIRN_ZK_SLOT_READ;
    cairn_zk_submit(zk, slot);
}

static void submit_part(struct cairn_zk_session *zk, struct cairn_slot *slot, const struct cairn_zk_request *request)
{
    struct cairn_zk_ask *ask = cairn_zk_ask_of(slot);
    int32_t error = read_part(request, &ask->parts[0]);

    ask->ask.op = ask->parts[0].op;
    ask->ask.kind = request->kind;
    if (error)
        answer_own(slot, error);
    else if (keeper_op_writes(ask->ask.op))
        cairn_zk_submit(zk, slot);
    else
        submit_read(zk, slot);
}

static void submit_multi(struct cairn_zk_session *zk, struct cairn_slot *slot, const struct cairn_zk_request *request)
{
    struct cairn_zk_ask *ask = cairn_zk_ask_of(slot);
    struct cairn_bytes items = request->multi.items;
    struct cairn_zk_request part;
    int32_t error = CAIRN_ZK_OK;

    ask->ask.op = (enum keeper_op)request->op;
    for (uint32_t i = 0; cairn_zk_multi_next(&items, &part); i++) {
        int32_t fault = read_part(&part, &ask->parts[i]);

        if (fault && request->op == CAIRN_ZK_OP_MULTI) {
            ask->parts[i].op =
                (enum keeper_op)part.op; /* the keeper refuses it in its place, if none before it fails */
            ask->parts[i].path = cairn_bytes(NULL, 0);
        }
        error = error ? error : fault;
    }
    if (ask->part_count == 0)
        answer_own(slot, CAIRN_ZK_OK);
    else if (request->op == CAIRN_ZK_OP_MULTI)
        cairn_zk_submit(zk, slot);
    else if (error)
        answer_own(slot, error);
    else
        submit_read(zk, slot);
}

static void submit_watches(struct cairn_zk_session *zk, struct cairn_slot *slot, const struct cairn_zk_request *request)
{
    struct keeper_ask *ask = &cairn_zk_ask_of(slot)->ask;

    ask->op = KEEPER_SET_WATCHES;
    ask->zxid_seen = request->zxid < 0 ? 0 : (uint64_t)request->zxid;
    for (int i = 0; i < CAIRN_ZK_SET_COUNT; i++) {
        struct cairn_bytes items = request->watches[i].items, path;

        while (cairn_zk_string_next(&items, &path))
            if (cairn_zk_path_fault(path, false) || path.size > KEEPER_PATH_BYTES_MAX) {
                answer_own(slot, CAIRN_ZK_EARGUMENTS);
                return;
            }
        if (request->watches[i].count > 0)
            ask->watches[i] = (struct keeper_names){(uint32_t)request->watches[i].count, request->watches[i].items};
    }
    submit_read(zk, slot);
}

static void submit_close(struct cairn_zk_session *zk, struct cairn_slot *slot)
{
    cairn_zk_ask_of(slot)->ask.op = KEEPER_CLOSE;
    cairn_zk_submit(zk, slot);
    cairn_zk_end(zk);
}

/* --- all of them --- */

static uint32_t parts_of(const struct cairn_zk_request *request)
{
    switch (request->op) {
    case CAIRN_ZK_OP_MULTI:
    case CAIRN_ZK_OP_MULTI_READ:
        return (uint32_t)request->multi.count;
    default:
        return request->path.data ? 1 : 0;
    }
}

void cairn_zk_request(struct cairn_zk_session *zk, struct cairn_bytes body)
{
    struct cairn_zk_request request;
    enum cairn_zk_error fault = cairn_zk_request_read(body, &request);
    uint32_t parts = fault ? 0 : parts_of(&request);
    struct cairn_slot *slot = cairn_zk_slot(zk, CAIRN_ZK_FORM_ASKED, parts > KEEPER_PARTS_MAX ? 0 : parts);
    struct cairn_zk_ask *ask = cairn_zk_ask_of(slot);

    ask->xid = request.xid;
    ask->op = request.op;
    atomic_store_explicit(&zk->client->last_op, request.op, memory_order_relaxed);
    atomic_store_explicit(&zk->client->last_xid, request.xid, memory_order_relaxed);
    if (fault) {
        refuse(zk, slot, fault);
        return;
    }
    slot->data.size = 0;
    cairn_buf_add(&slot->data, body.data, body.size);
    cairn_zk_request_read(cairn_buf_bytes(&slot->data), &request); /* views of what stays */
    switch (request.op) {
    case CAIRN_ZK_OP_PING:
    case CAIRN_ZK_OP_WHO_AM_I:
        answer_own(slot, CAIRN_ZK_OK);
        break;
    case CAIRN_ZK_OP_AUTH:
        authenticate(zk, slot, &request);
        break;
    case CAIRN_ZK_OP_SASL:
        refuse(zk, slot, CAIRN_ZK_EAUTH);
        break;
    case CAIRN_ZK_OP_RECONFIG:
        answer_own(slot, zk->super ? CAIRN_ZK_EUNIMPLEMENTED : CAIRN_ZK_ERECONFIG);
        break;
    case CAIRN_ZK_OP_CLOSE_SESSION:
        submit_close(zk, slot);
        break;
    case CAIRN_ZK_OP_SET_WATCHES:
    case CAIRN_ZK_OP_SET_WATCHES2:
        submit_watches(zk, slot, &request);
        break;
    case CAIRN_ZK_OP_MULTI:
    case CAIRN_ZK_OP_MULTI_READ:
        if (parts > KEEPER_PARTS_MAX)
            answer_own(slot, CAIRN_ZK_EARGUMENTS);
        else
            submit_multi(zk, slot, &request);
        break;
    default: /* an operation on one node; a null path is none */
        if (parts)
            submit_part(zk, slot, &request);
        else
            answer_own(slot, CAIRN_ZK_EARGUMENTS);
        break;
    }
}
