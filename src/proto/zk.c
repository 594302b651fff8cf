/* Frames, the exchange that begins a connection, and names. */
#include "proto/zk.h"

#include <assert.h>

#include "proto/zk_internal.h"

static const struct {
    int32_t number;
    const char *name;
} ops[] =
    {
        {CAIRN_ZK_OP_CLOSE_SESSION, "closeSession"},
        {CAIRN_ZK_OP_CREATE_SESSION, "createSession"},
        {CAIRN_ZK_OP_ERROR, "error"},
        {CAIRN_ZK_OP_CREATE, "create"},
        {CAIRN_ZK_OP_DELETE, "delete"},
        {CAIRN_ZK_OP_EXISTS, "exists"},
        {CAIRN_ZK_OP_GET_DATA, "getData"},
        {CAIRN_ZK_OP_SET_DATA, "setData"},
        {CAIRN_ZK_OP_GET_ACL, "getACL"},
        {CAIRN_ZK_OP_SET_ACL, "setACL"},
        {CAIRN_ZK_OP_GET_CHILDREN, "getChildren"},
        {CAIRN_ZK_OP_SYNC, "sync"},
        {CAIRN_ZK_OP_PING, "ping"},
        {CAIRN_ZK_OP_GET_CHILDREN2, "getChildren2"},
        {CAIRN_ZK_OP_CHECK, "check"},
        {CAIRN_ZK_OP_MULTI, "multi"},
        {CAIRN_ZK_OP_CREATE2, "create2"},
        {CAIRN_ZK_OP_RECONFIG, "reconfig"},
        {CAIRN_ZK_OP_CHECK_WATCHES, "checkWatches"},
        {CAIRN_ZK_OP_REMOVE_WATCHES, "removeWatches"},
        {CAIRN_ZK_OP_CREATE_CONTAINER, "createContainer"},
        {CAIRN_ZK_OP_CREATE_TTL, "createTTL"},
        {CAIRN_ZK_OP_MULTI_READ, "multiRead"},
        {CAIRN_ZK_OP_AUTH, "auth"},
        {CAIRN_ZK_OP_SET_WATCHES, "setWatches"},
        {CAIRN_ZK_OP_SASL, "sasl"},
        {CAIRN_ZK_OP_GET_EPHEMERALS, "getEphemerals"},
        {CAIRN_ZK_OP_GET_ALL_CHILDREN_NUMBER, "getAllChildrenNumber"},
        {CAIRN_ZK_OP_SET_WATCHES2, "setWatches2"},
        {CAIRN_ZK_OP_ADD_WATCH, "addWatch"},
        {CAIRN_ZK_OP_WHO_AM_I, "whoAmI"},
},
  errors[] = {
      {CAIRN_ZK_OK, "Ok"},
      {CAIRN_ZK_ESYSTEM, "SystemError"},
      {CAIRN_ZK_EINCONSISTENT, "RuntimeInconsistency"},
      {CAIRN_ZK_ECONNECTION, "ConnectionLoss"},
      {CAIRN_ZK_EMARSHALLING, "MarshallingError"},
      {CAIRN_ZK_EUNIMPLEMENTED, "Unimplemented"},
      {CAIRN_ZK_ETIMEOUT, "OperationTimeout"},
      {CAIRN_ZK_EARGUMENTS, "BadArguments"},
      {CAIRN_ZK_ENONODE, "NoNode"},
      {CAIRN_ZK_ENOAUTH, "NoAuth"},
      {CAIRN_ZK_EVERSION, "BadVersion"},
      {CAIRN_ZK_EEPHEMERALPARENT, "NoChildrenForEphemerals"},
      {CAIRN_ZK_EEXISTS, "NodeExists"},
      {CAIRN_ZK_ENOTEMPTY, "NotEmpty"},
      {CAIRN_ZK_EEXPIRED, "SessionExpired"},
      {CAIRN_ZK_EACL, "InvalidACL"},
      {CAIRN_ZK_EAUTH, "AuthFailed"},
      {CAIRN_ZK_EMOVED, "SessionMoved"},
      {CAIRN_ZK_ENOTREADONLY, "NotReadOnly"},
      {CAIRN_ZK_ENOWATCHER, "NoWatcher"},
      {CAIRN_ZK_EREQUESTTIMEOUT, "RequestTimeout"},
      {CAIRN_ZK_ERECONFIG, "ReconfigDisabled"},
      {CAIRN_ZK_EQUOTA, "QuotaExceeded"},
      {CAIRN_ZK_ETHROTTLED, "ThrottledOp"},
};

const char *cairn_zk_op_name(int32_t op)
{
    for (size_t i = 0; i < sizeof ops / sizeof ops[0]; i++)
        if (ops[i].number == op)
            return ops[i].name;
    return NULL;
}

const char *cairn_zk_error_name(int32_t error)
{
    for (size_t i = 0; i < sizeof errors / sizeof errors[0]; i++)
        if (errors[i].number == error)
            return errors[i].name;
    return NULL;
}

/* --- frames --- */

static bool is_word(const uint8_t *at)
{
    static const char words[] = "ruokisrosrvrstatconfconsenvidumpwchswchcwchpdirsmntrcrstsrsthash";

    for (const char *word = words; *word; word += 4)
        if (memcmp(at, word, 4) == 0)
            return true;
    return false;
}

enum cairn_zk_frame cairn_zk_frame_read(struct cairn_bytes input, uint32_t bytes_max, bool first,
                                        struct cairn_bytes *ret, size_t *ret_used)
{
    uint32_t size;

    assert(bytes_max < 0x61000000);
    if (input.size < 4)
        return CAIRN_ZK_MORE;
    if (first && is_word(input.data)) {
        *ret = cairn_bytes(input.data, 4);
        *ret_used = 4;
        return CAIRN_ZK_WORD;
    }
    size = __builtin_bswap32(cairn_get_u32(input.data));
    if (size > bytes_max)
        return CAIRN_ZK_BAD;
    if (input.size - 4 < size)
        return CAIRN_ZK_MORE;
    *ret = cairn_bytes(input.data + 4, size);
    *ret_used = 4 + (size_t)size;
    return CAIRN_ZK_FRAME;
}

size_t cairn_zk_frame_begin(struct cairn_buf *to)
{
    cairn_zk_int_add(to, 0);
    return to->size;
}

bool cairn_zk_frame_end(struct cairn_buf *to, size_t begun)
{
    size_t size = to->size - begun;

    if (size > INT32_MAX) {
        to->size = begun - 4;
        return false;
    }
    cairn_put_u32(to->data + begun - 4, __builtin_bswap32((uint32_t)size));
    return true;
}

/* --- connecting --- */

/* The byte that not every client and server has. */
static bool read_read_only(struct cairn_reader *r, bool *ret_has, bool *ret_value)
{
    *ret_has = cairn_reader_left(r) > 0;
    *ret_value = *ret_has && cairn_zk_read_bool(r);
    return !r->bad && cairn_reader_left(r) == 0;
}

bool cairn_zk_connect_read(struct cairn_bytes body, struct cairn_zk_connect *ret)
{
    struct cairn_reader r = cairn_reader(body);

    ret->protocol = cairn_zk_read_int(&r);
    ret->last_zxid_seen = cairn_zk_read_long(&r);
    ret->timeout_ms = cairn_zk_read_int(&r);
    ret->session = cairn_zk_read_long(&r);
    ret->password = cairn_zk_read_bytes(&r);
    return read_read_only(&r, &ret->has_read_only, &ret->read_only);
}

void cairn_zk_connect_add(struct cairn_buf *to, const struct cairn_zk_connect *connect)
{
    cairn_zk_int_add(to, connect->protocol);
    cairn_zk_long_add(to, connect->last_zxid_seen);
    cairn_zk_int_add(to, connect->timeout_ms);
    cairn_zk_long_add(to, connect->session);
    cairn_zk_bytes_add(to, connect->password);
    if (connect->has_read_only)
        cairn_buf_u8(to, connect->read_only);
}

bool cairn_zk_connected_read(struct cairn_bytes body, struct cairn_zk_connected *ret)
{
    struct cairn_reader r = cairn_reader(body);

    ret->protocol = cairn_zk_read_int(&r);
    ret->timeout_ms = cairn_zk_read_int(&r);
    ret->session = cairn_zk_read_long(&r);
    ret->password = cairn_zk_read_bytes(&r);
    return read_read_only(&r, &ret->has_read_only, &ret->read_only);
}

void cairn_zk_connected_add(struct cairn_buf *to, const struct cairn_zk_connected *connected)
{
    cairn_zk_int_add(to, connected->protocol);
    cairn_zk_int_add(to, connected->timeout_ms);
    cairn_zk_long_add(to, connected->session);
    cairn_zk_bytes_add(to, connected->password);
    if (connected->has_read_only)
        cairn_buf_u8(to, connected->read_only);
}
