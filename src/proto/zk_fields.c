/* The fields of requests and replies.  One table says which an operation has, and both directions of both ends follow
 * from it. */
#include <assert.h>

#include "proto/zk_internal.h"

enum kind { END, INT, LONG, BOOL, BYTES, STRINGS, ACLS, IDS, STAT, OPS, RESULTS };

/* A field of a request or of a reply: how it is written, and where it is. */
struct field {
    uint8_t kind;
    uint16_t offset;
};

#define IN(kind, member)                                          \
    {                                                             \
        kind, (uint16_t)offsetof(struct cairn_zk_request, member) \
    }
#define OUT(kind, member)                                       \
    {                                                           \
        kind, (uint16_t)offsetof(struct cairn_zk_reply, member) \
    }
#define PATH       IN(BYTES, path)
#define DATA       IN(BYTES, data)
#define CREATE     PATH, DATA, IN(ACLS, acl), IN(INT, flags)
#define WATCHES(n) IN(STRINGS, watches[n])

enum { FIELDS_MAX = 7 };

/* Where an operation may stand but by itself. */
enum part { ALONE = 0, OF_MULTI = 1, OF_MULTI_READ = 2, RESULT_ONLY = 4 };

static const struct op {
    int32_t op;
    enum part part;
    struct field request[FIELDS_MAX], reply[FIELDS_MAX];
} ops[] = {
    {CAIRN_ZK_OP_CREATE, OF_MULTI, {CREATE}, {OUT(BYTES, path)}},
    {CAIRN_ZK_OP_DELETE, OF_MULTI, {PATH, IN(INT, version)}, {{0}}},
    {CAIRN_ZK_OP_EXISTS, ALONE, {PATH, IN(BOOL, watch)}, {OUT(STAT, stat)}},
    {CAIRN_ZK_OP_GET_DATA, OF_MULTI_READ, {PATH, IN(BOOL, watch)}, {OUT(BYTES, data), OUT(STAT, stat)}},
    {CAIRN_ZK_OP_SET_DATA, OF_MULTI, {PATH, DATA, IN(INT, version)}, {OUT(STAT, stat)}},
    {CAIRN_ZK_OP_GET_ACL, ALONE, {PATH}, {OUT(ACLS, acl), OUT(STAT, stat)}},
    {CAIRN_ZK_OP_SET_ACL, ALONE, {PATH, IN(ACLS, acl), IN(INT, version)}, {OUT(STAT, stat)}},
    {CAIRN_ZK_OP_GET_CHILDREN, OF_MULTI_READ, {PATH, IN(BOOL, watch)}, {OUT(STRINGS, names)}},
    {CAIRN_ZK_OP_GET_CHILDREN2, ALONE, {PATH, IN(BOOL, watch)}, {OUT(STRINGS, names), OUT(STAT, stat)}},
    {CAIRN_ZK_OP_SYNC, ALONE, {PATH}, {OUT(BYTES, path)}},
    {CAIRN_ZK_OP_PING, ALONE, {{0}}, {{0}}},
    {CAIRN_ZK_OP_CHECK, OF_MULTI, {PATH, IN(INT, version)}, {{0}}},
    {CAIRN_ZK_OP_MULTI, ALONE, {IN(OPS, multi)}, {OUT(RESULTS, multi)}},
    {CAIRN_ZK_OP_MULTI_READ, ALONE, {IN(OPS, multi)}, {OUT(RESULTS, multi)}},
    {CAIRN_ZK_OP_CREATE2, OF_MULTI, {CREATE}, {OUT(BYTES, path), OUT(STAT, stat)}},
    {CAIRN_ZK_OP_CREATE_CONTAINER, OF_MULTI, {CREATE}, {OUT(BYTES, path), OUT(STAT, stat)}},
    {CAIRN_ZK_OP_CREATE_TTL, OF_MULTI, {CREATE, IN(LONG, ttl_ms)}, {OUT(BYTES, path), OUT(STAT, stat)}},
    {CAIRN_ZK_OP_RECONFIG,
     ALONE,
     {IN(BYTES, joining), IN(BYTES, leaving), IN(BYTES, members), IN(LONG, zxid)},
     {OUT(BYTES, data), OUT(STAT, stat)}},
    {CAIRN_ZK_OP_CHECK_WATCHES, ALONE, {PATH, IN(INT, kind)}, {{0}}},
    {CAIRN_ZK_OP_REMOVE_WATCHES, ALONE, {PATH, IN(INT, kind)}, {{0}}},
    {CAIRN_ZK_OP_ADD_WATCH, ALONE, {PATH, IN(INT, kind)}, {OUT(INT, number)}},
    {CAIRN_ZK_OP_AUTH, ALONE, {IN(INT, kind), IN(BYTES, scheme), DATA}, {{0}}},
    {CAIRN_ZK_OP_SET_WATCHES, ALONE, {IN(LONG, zxid), WATCHES(0), WATCHES(1), WATCHES(2)}, {{0}}},
    {CAIRN_ZK_OP_SET_WATCHES2,
     ALONE,
     {IN(LONG, zxid), WATCHES(0), WATCHES(1), WATCHES(2), WATCHES(3), WATCHES(4)},
     {{0}}},
    {CAIRN_ZK_OP_SASL, ALONE, {DATA}, {OUT(BYTES, data)}},
    {CAIRN_ZK_OP_GET_EPHEMERALS, ALONE, {PATH}, {OUT(STRINGS, names)}},
    {CAIRN_ZK_OP_GET_ALL_CHILDREN_NUMBER, ALONE, {PATH}, {OUT(INT, number)}},
    {CAIRN_ZK_OP_WHO_AM_I, ALONE, {{0}}, {OUT(IDS, ids)}},
    {CAIRN_ZK_OP_CLOSE_SESSION, ALONE, {{0}}, {{0}}},
    {CAIRN_ZK_OP_ERROR, RESULT_ONLY, {{0}}, {OUT(INT, number)}},
};

static const struct op *find(int32_t op)
{
    for (size_t i = 0; i < sizeof ops / sizeof ops[0]; i++)
        if (ops[i].op == op)
            return &ops[i];
    return NULL;
}

/* --- byte strings, and vectors of what has a length of its own --- */

struct cairn_bytes cairn_zk_read_bytes(struct cairn_reader *r)
{
    int32_t size = cairn_zk_read_int(r);

    if (size < 0) {
        r->bad |= size != -1;
        return cairn_bytes(NULL, 0);
    }
    return cairn_read_bytes(r, (size_t)size);
}

void cairn_zk_bytes_add(struct cairn_buf *to, struct cairn_bytes bytes)
{
    assert(bytes.size <= INT32_MAX);
    cairn_zk_int_add(to, bytes.data ? (int32_t)bytes.size : -1);
    cairn_buf_add(to, bytes.data, bytes.size);
}

static struct cairn_zk_acl read_acl(struct cairn_reader *r)
{
    struct cairn_zk_acl acl;

    acl.perms = cairn_zk_read_int(r);
    acl.scheme = cairn_zk_read_bytes(r);
    acl.id = cairn_zk_read_bytes(r);
    return acl;
}

static struct cairn_zk_id read_id(struct cairn_reader *r)
{
    struct cairn_zk_id id;

    id.scheme = cairn_zk_read_bytes(r);
    id.user = cairn_zk_read_bytes(r);
    return id;
}

/* What an element takes at least: a count that cannot fit is refused before anything is looked at. */
static size_t element_bytes_min(enum kind kind)
{
    return kind == ACLS ? 12 : kind == IDS ? 8 : 4;
}

static struct cairn_zk_vector read_vector(struct cairn_reader *r, enum kind kind)
{
    struct cairn_zk_vector vector = {.count = cairn_zk_read_int(r), .items = {r->at, 0}};

    if (vector.count < -1 ||
        (vector.count > 0 && (size_t)vector.count > cairn_reader_left(r) / element_bytes_min(kind)))
        r->bad = true;
    for (int32_t i = 0; i < vector.count && !r->bad; i++) {
        if (kind == ACLS)
            read_acl(r);
        else if (kind == IDS)
            read_id(r);
        else
            cairn_zk_read_bytes(r);
    }
    if (r->bad || vector.count <= 0)
        vector.items = cairn_bytes(NULL, 0);
    else
        vector.items.size = (size_t)(r->at - vector.items.data);
    return vector;
}

/* Moves *items behind what the reader took; the vector was checked when it was read. */
static bool took(struct cairn_bytes *items, const struct cairn_reader *r)
{
    assert(!r->bad);
    items->size = cairn_reader_left(r);
    items->data = r->at;
    return true;
}

bool cairn_zk_string_next(struct cairn_bytes *items, struct cairn_bytes *ret)
{
    struct cairn_reader r = cairn_reader(*items);

    if (items->size == 0)
        return false;
    *ret = cairn_zk_read_bytes(&r);
    return took(items, &r);
}

bool cairn_zk_acl_next(struct cairn_bytes *items, struct cairn_zk_acl *ret)
{
    struct cairn_reader r = cairn_reader(*items);

    if (items->size == 0)
        return false;
    *ret = read_acl(&r);
    return took(items, &r);
}

bool cairn_zk_id_next(struct cairn_bytes *items, struct cairn_zk_id *ret)
{
    struct cairn_reader r = cairn_reader(*items);

    if (items->size == 0)
        return false;
    *ret = read_id(&r);
    return took(items, &r);
}

static void added(const struct cairn_buf *items, struct cairn_zk_vector *vector)
{
    assert(vector->count >= 0 && vector->count < INT32_MAX);
    vector->count++;
    vector->items = cairn_buf_bytes(items);
}

void cairn_zk_string_add(struct cairn_buf *items, struct cairn_zk_vector *vector, struct cairn_bytes string)
{
    cairn_zk_bytes_add(items, string);
    added(items, vector);
}

void cairn_zk_acl_add(struct cairn_buf *items, struct cairn_zk_vector *vector, const struct cairn_zk_acl *acl)
{
    cairn_zk_int_add(items, acl->perms);
    cairn_zk_bytes_add(items, acl->scheme);
    cairn_zk_bytes_add(items, acl->id);
    added(items, vector);
}

void cairn_zk_id_add(struct cairn_buf *items, struct cairn_zk_vector *vector, const struct cairn_zk_id *id)
{
    cairn_zk_bytes_add(items, id->scheme);
    cairn_zk_bytes_add(items, id->user);
    added(items, vector);
}

static struct cairn_zk_stat read_stat(struct cairn_reader *r)
{
    struct cairn_zk_stat stat;

    stat.czxid = cairn_zk_read_long(r);
    stat.mzxid = cairn_zk_read_long(r);
    stat.ctime = cairn_zk_read_long(r);
    stat.mtime = cairn_zk_read_long(r);
    stat.version = cairn_zk_read_int(r);
    stat.cversion = cairn_zk_read_int(r);
    stat.aversion = cairn_zk_read_int(r);
    stat.ephemeral_owner = cairn_zk_read_long(r);
    stat.data_length = cairn_zk_read_int(r);
    stat.num_children = cairn_zk_read_int(r);
    stat.pzxid = cairn_zk_read_long(r);
    return stat;
}

bool cairn_zk_stat_read(struct cairn_bytes bytes, struct cairn_zk_stat *ret)
{
    struct cairn_reader r = cairn_reader(bytes);

    *ret = read_stat(&r);
    return !r.bad && cairn_reader_left(&r) == 0;
}

void cairn_zk_stat_add(struct cairn_buf *to, const struct cairn_zk_stat *stat)
{
    cairn_zk_long_add(to, stat->czxid);
    cairn_zk_long_add(to, stat->mzxid);
    cairn_zk_long_add(to, stat->ctime);
    cairn_zk_long_add(to, stat->mtime);
    cairn_zk_int_add(to, stat->version);
    cairn_zk_int_add(to, stat->cversion);
    cairn_zk_int_add(to, stat->aversion);
    cairn_zk_long_add(to, stat->ephemeral_owner);
    cairn_zk_int_add(to, stat->data_length);
    cairn_zk_int_add(to, stat->num_children);
    cairn_zk_long_add(to, stat->pzxid);
}

/* --- fields, all but the multis' --- */

/* False: it is a multi's list. */
static bool read_field(struct cairn_reader *r, enum kind kind, void *to)
{
    switch (kind) {
    case INT:
        *(int32_t *)to = cairn_zk_read_int(r);
        return true;
    case LONG:
        *(int64_t *)to = cairn_zk_read_long(r);
        return true;
    case BOOL:
        *(bool *)to = cairn_zk_read_bool(r);
        return true;
    case BYTES:
        *(struct cairn_bytes *)to = cairn_zk_read_bytes(r);
        return true;
    case STAT:
        *(struct cairn_zk_stat *)to = read_stat(r);
        return true;
    case STRINGS:
    case ACLS:
    case IDS:
        *(struct cairn_zk_vector *)to = read_vector(r, kind);
        return true;
    default:
        return false;
    }
}

static bool add_field(struct cairn_buf *to, enum kind kind, const void *from)
{
    const struct cairn_zk_vector *vector = from;

    switch (kind) {
    case INT:
        cairn_zk_int_add(to, *(const int32_t *)from);
        return true;
    case LONG:
        cairn_zk_long_add(to, *(const int64_t *)from);
        return true;
    case BOOL:
        cairn_buf_u8(to, *(const bool *)from);
        return true;
    case BYTES:
        cairn_zk_bytes_add(to, *(const struct cairn_bytes *)from);
        return true;
    case STAT:
        cairn_zk_stat_add(to, from);
        return true;
    case STRINGS:
    case ACLS:
    case IDS:
        cairn_zk_int_add(to, vector->count);
        cairn_buf_add(to, vector->items.data, vector->items.size);
        return true;
    default:
        return false;
    }
}

static void read_fields(struct cairn_reader *r, const struct field *fields, void *to)
{
    for (int i = 0; i < FIELDS_MAX && fields[i].kind != END; i++)
        if (!read_field(r, fields[i].kind, (char *)to + fields[i].offset))
            r->bad = true; /* a multi in a multi */
}

static void add_fields(struct cairn_buf *to, const struct field *fields, const void *from)
{
    for (int i = 0; i < FIELDS_MAX && fields[i].kind != END; i++) {
        bool plain = add_field(to, fields[i].kind, (const char *)from + fields[i].offset);

        assert(plain);
    }
}

/* --- multis: parts, each behind a header, and a header that ends them --- */

static void header_add(struct cairn_buf *to, int32_t op, bool done, int32_t error)
{
    cairn_zk_int_add(to, op);
    cairn_buf_u8(to, done);
    cairn_zk_int_add(to, error);
}

/* What a slot of the reply has, for an operation of the request. */
static int32_t result_op(int32_t op)
{
    return op == CAIRN_ZK_OP_CREATE_TTL || op == CAIRN_ZK_OP_CREATE_CONTAINER ? CAIRN_ZK_OP_CREATE2 : op;
}

/* The operation of the next part, NULL behind the last one or if it is none of `parts`; the reader is at its fields.
 * With RESULT_ONLY among them it is a reply. */
static const struct op *next_part(struct cairn_reader *r, unsigned parts)
{
    int32_t number = cairn_zk_read_int(r);
    bool done = cairn_zk_read_bool(r);
    const struct op *op;

    cairn_zk_read_int(r); /* an error: in a request it means nothing, in a reply its part has it too */
    if (r->bad || done)
        return NULL;
    op = find(number);
    if (!op || !(op->part & parts) || (parts & RESULT_ONLY && result_op(number) != number)) {
        r->bad = true;
        return NULL;
    }
    return op;
}

static struct cairn_zk_vector read_multi(struct cairn_reader *r, unsigned parts)
{
    struct cairn_zk_vector vector = {0, {r->at, 0}};

    for (;;) {
        const uint8_t *from = r->at;
        union {
            struct cairn_zk_request request;
            struct cairn_zk_reply reply;
        } part;
        const struct op *op = next_part(r, parts);

        if (!op) {
            vector.items.size = vector.count ? (size_t)(from - vector.items.data) : 0;
            return vector;
        }
        read_fields(r, parts & RESULT_ONLY ? op->reply : op->request, &part);
        vector.count++;
    }
}

bool cairn_zk_multi_next(struct cairn_bytes *items, struct cairn_zk_request *ret)
{
    struct cairn_reader r = cairn_reader(*items);
    const struct op *op;

    if (items->size == 0)
        return false;
    op = next_part(&r, OF_MULTI | OF_MULTI_READ);
    assert(op);
    *ret = (struct cairn_zk_request){.op = op->op};
    read_fields(&r, op->request, ret);
    return took(items, &r);
}

bool cairn_zk_result_next(struct cairn_bytes *items, int32_t *ret_op, struct cairn_zk_reply *ret)
{
    struct cairn_reader r = cairn_reader(*items);
    const struct op *op;

    if (items->size == 0)
        return false;
    op = next_part(&r, OF_MULTI | OF_MULTI_READ | RESULT_ONLY);
    assert(op);
    *ret_op = op->op;
    *ret = (struct cairn_zk_reply){0};
    read_fields(&r, op->reply, ret);
    return took(items, &r);
}

void cairn_zk_multi_add(struct cairn_buf *items, struct cairn_zk_vector *vector, const struct cairn_zk_request *request)
{
    const struct op *op = find(request->op);

    assert(op && (op->part & (OF_MULTI | OF_MULTI_READ)));
    header_add(items, request->op, false, -1);
    add_fields(items, op->request, request);
    added(items, vector);
}

void cairn_zk_result_add(struct cairn_buf *items, struct cairn_zk_vector *vector, int32_t op,
                         const struct cairn_zk_reply *reply)
{
    const struct op *found = find(result_op(op));

    assert(found && found->part != ALONE);
    header_add(items, found->op, false, op == CAIRN_ZK_OP_ERROR ? reply->number : 0);
    add_fields(items, found->reply, reply);
    added(items, vector);
}

static void multi_add(struct cairn_buf *to, const struct cairn_zk_vector *multi)
{
    cairn_buf_add(to, multi->items.data, multi->items.size);
    header_add(to, -1, true, -1);
}

/* --- whole messages --- */

/* What a multi may have in it; 0: it is none. */
static unsigned parts_of(int32_t op)
{
    return op == CAIRN_ZK_OP_MULTI ? OF_MULTI : op == CAIRN_ZK_OP_MULTI_READ ? OF_MULTI_READ : 0;
}

enum cairn_zk_error cairn_zk_request_read(struct cairn_bytes body, struct cairn_zk_request *ret)
{
    struct cairn_reader r = cairn_reader(body);
    const struct op *op;

    *ret = (struct cairn_zk_request){0};
    ret->xid = cairn_zk_read_int(&r);
    ret->op = cairn_zk_read_int(&r);
    if (r.bad) {
        ret->xid = 0;
        return CAIRN_ZK_EMARSHALLING;
    }
    op = find(ret->op);
    if (!op || op->part == RESULT_ONLY)
        return CAIRN_ZK_EUNIMPLEMENTED;
    if (parts_of(op->op))
        ret->multi = read_multi(&r, parts_of(op->op));
    else
        read_fields(&r, op->request, ret);
    return r.bad || cairn_reader_left(&r) ? CAIRN_ZK_EMARSHALLING : CAIRN_ZK_OK;
}

void cairn_zk_request_add(struct cairn_buf *to, const struct cairn_zk_request *request)
{
    const struct op *op = find(request->op);

    assert(op && op->part != RESULT_ONLY);
    cairn_zk_int_add(to, request->xid);
    cairn_zk_int_add(to, request->op);
    if (parts_of(op->op))
        multi_add(to, &request->multi);
    else
        add_fields(to, op->request, request);
}

int32_t cairn_zk_xid(struct cairn_bytes body)
{
    struct cairn_reader r = cairn_reader(body);

    return cairn_zk_read_int(&r);
}

static void read_reply_header(struct cairn_reader *r, struct cairn_zk_reply *to)
{
    to->xid = cairn_zk_read_int(r);
    to->zxid = cairn_zk_read_long(r);
    to->error = cairn_zk_read_int(r);
}

static void reply_header_add(struct cairn_buf *to, int32_t xid, int64_t zxid, int32_t error)
{
    cairn_zk_int_add(to, xid);
    cairn_zk_long_add(to, zxid);
    cairn_zk_int_add(to, error);
}

bool cairn_zk_reply_read(struct cairn_bytes body, int32_t op, struct cairn_zk_reply *ret)
{
    struct cairn_reader r = cairn_reader(body);
    const struct op *found = find(op);

    *ret = (struct cairn_zk_reply){0};
    read_reply_header(&r, ret);
    if (!found || found->part == RESULT_ONLY)
        return false;
    if (ret->error == 0 && parts_of(op))
        ret->multi = read_multi(&r, parts_of(op) | RESULT_ONLY);
    else if (ret->error == 0)
        read_fields(&r, found->reply, ret);
    return !r.bad && cairn_reader_left(&r) == 0;
}

void cairn_zk_reply_add(struct cairn_buf *to, int32_t op, const struct cairn_zk_reply *reply)
{
    const struct op *found = find(op);

    assert(found && found->part != RESULT_ONLY);
    reply_header_add(to, reply->xid, reply->zxid, reply->error);
    if (reply->error)
        return;
    if (parts_of(op))
        multi_add(to, &reply->multi);
    else
        add_fields(to, found->reply, reply);
}

bool cairn_zk_event_read(struct cairn_bytes body, struct cairn_zk_event *ret)
{
    struct cairn_reader r = cairn_reader(body);
    struct cairn_zk_reply header;

    read_reply_header(&r, &header);
    ret->zxid = header.zxid;
    ret->type = cairn_zk_read_int(&r);
    ret->state = cairn_zk_read_int(&r);
    ret->path = cairn_zk_read_bytes(&r);
    return !r.bad && cairn_reader_left(&r) == 0 && header.xid == CAIRN_ZK_XID_EVENT && header.error == 0;
}

void cairn_zk_event_add(struct cairn_buf *to, const struct cairn_zk_event *event)
{
    reply_header_add(to, CAIRN_ZK_XID_EVENT, event->zxid, 0);
    cairn_zk_int_add(to, event->type);
    cairn_zk_int_add(to, event->state);
    cairn_zk_bytes_add(to, event->path);
}
