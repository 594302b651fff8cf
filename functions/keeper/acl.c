/* acl.c - ACLs: well-formed before the Tree sees them, and compared with a connection's identities there.  Schemes are
 * world, auth, digest and ip; an identity of the scheme `super` may all. */
#include "keeper.h"

const uint8_t acl_open[27] = "\0\0\0\1\0\0\0\37\0\0\0\5world\0\0\0\6anyone";

/* ACL[] or Id[] as on ZooKeeper's wire: big-endian; a string is its size and its bytes. */
struct vector {
    const uint8_t *at, *end;
    int32_t left; /* -1: it is null, malformed or too long */
    bool has_perms;
};

struct entry {
    int32_t perms;
    struct cairn_bytes scheme, id, whole;
};

static int32_t take_int(struct vector *v)
{
    uint32_t integer = 0;

    if (v->end - v->at < 4)
        v->left = -1;
    else
        memcpy(&integer, (v->at += 4) - 4, 4);
    return (int32_t)__builtin_bswap32(integer);
}

static struct cairn_bytes take_string(struct vector *v)
{
    int32_t size = take_int(v);

    if (size < 0 || v->end - v->at < size) {
        v->left = -1;
        return none;
    }
    return cairn_bytes((v->at += size) - size, (uint32_t)size);
}

static struct vector vector(struct cairn_bytes bytes, bool has_perms)
{
    struct vector v = {bytes.data, bytes.data + bytes.size, 0, has_perms};
    int32_t left = take_int(&v);

    v.left = v.left < 0 || bytes.size > CAIRN_KEEPER_ACL_BYTES_MAX ? -1 : left;
    return v;
}

static bool next(struct vector *v, struct entry *ret)
{
    const uint8_t *from = v->at;

    if (v->left <= 0)
        return false;
    v->left--;
    ret->perms = v->has_perms ? take_int(v) : 0;
    ret->scheme = take_string(v);
    ret->id = take_string(v);
    ret->whole = cairn_bytes(from, (uint32_t)(v->at - from));
    return v->left >= 0;
}

static bool digits(const uint8_t **at, const uint8_t *end, uint32_t most, uint32_t *ret)
{
    const uint8_t *from = *at;

    for (*ret = 0; *at < end && **at >= '0' && **at <= '9' && *ret <= most; (*at)++)
        *ret = *ret * 10 + (uint32_t)(**at - '0');
    return *at > from && *ret <= most;
}

/* "10.1.2.0/24", or without bits, which are 32 then. */
static bool ip_range(struct cairn_bytes text, uint32_t *ret_address, uint32_t *ret_bits)
{
    const uint8_t *at = text.data, *end = at + text.size;
    uint32_t part;

    *ret_address = 0;
    *ret_bits = 32;
    for (int i = 0; i < 4; i++) {
        if ((i > 0 && (at == end || *at++ != '.')) || !digits(&at, end, 255, &part))
            return false;
        *ret_address = *ret_address << 8 | part;
    }
    return at == end || (*at++ == '/' && digits(&at, end, 32, ret_bits) && at == end);
}

/* Of a digest: two parts, as Java splits at ':'; empty ones at the end do not count. */
static bool is_valid(const struct entry *acl)
{
    struct cairn_bytes id = acl->id;
    uint32_t address, bits, colons = 0;

    if (cairn_equal(acl->scheme, cairn_str("world")))
        return cairn_equal(id, cairn_str("anyone"));
    if (!cairn_equal(acl->scheme, cairn_str("digest")))
        return cairn_equal(acl->scheme, cairn_str("ip")) && ip_range(id, &address, &bits);
    while (id.size > 0 && id.data[id.size - 1] == ':')
        id.size--;
    for (uint32_t i = 0; i < id.size; i++)
        colons += id.data[i] == ':';
    return colons == 1;
}

static bool is_repeated(struct cairn_bytes acls, const struct entry *acl)
{
    struct vector v = vector(acls, true);
    struct entry before;

    while (next(&v, &before) && before.whole.data < acl->whole.data)
        if (cairn_equal(before.whole, acl->whole))
            return true;
    return false;
}

/* One for each identity that was proved; returns how many. */
static uint32_t add_proved(struct cairn_pack *to, const struct entry *acl, struct cairn_bytes identities)
{
    struct vector v = vector(identities, false);
    struct entry identity;
    uint32_t added = 0;

    while (next(&v, &identity))
        if (cairn_equal(identity.scheme, cairn_str("digest"))) {
            cairn_pack_value(to, cairn_bytes(acl->whole.data, 4));
            cairn_pack_value(to, identity.whole);
            added++;
        }
    return added;
}

struct cairn_bytes acl_fixed(struct cairn_bytes acls, struct cairn_bytes identities)
{
    struct vector v = vector(acls, true);
    struct cairn_pack fixed = {0};
    struct entry acl;
    uint32_t count = 0;

    cairn_pack_value(&fixed, cairn_bytes(&count, 4));
    while (next(&v, &acl)) {
        uint32_t added = 1;

        if (is_repeated(acls, &acl))
            continue;
        if (cairn_equal(acl.scheme, cairn_str("auth")))
            added = add_proved(&fixed, &acl, identities);
        else if (is_valid(&acl))
            cairn_pack_value(&fixed, acl.whole);
        else
            added = 0;
        if (added == 0)
            return none;
        count += added;
    }
    count = __builtin_bswap32(count);
    memcpy(fixed.data, &count, 4);
    return count == 0 || v.left < 0 || fixed.size > CAIRN_KEEPER_ACL_BYTES_MAX ? none : cairn_packed(&fixed);
}

static bool matches(const struct entry *acl, const struct entry *identity)
{
    uint32_t from, bits, address, all;

    if (!cairn_equal(acl->scheme, identity->scheme))
        return false;
    if (!cairn_equal(acl->scheme, cairn_str("ip")))
        return cairn_equal(acl->id, identity->id);
    return ip_range(acl->id, &from, &bits) && ip_range(identity->id, &address, &all) &&
           (bits == 0 || (from ^ address) >> (32 - bits) == 0);
}

bool acl_allows(struct cairn_bytes acls, struct cairn_bytes identities, int32_t perm)
{
    struct vector v = vector(acls, true), i = vector(identities, false);
    struct entry acl, identity;

    if (acls.size == 0)
        return true;
    while (next(&i, &identity))
        if (cairn_equal(identity.scheme, cairn_str("super")))
            return true;
    while (next(&v, &acl)) {
        if (!(acl.perms & perm))
            continue;
        if (cairn_equal(acl.scheme, cairn_str("world")))
            return true;
        for (i = vector(identities, false); next(&i, &identity);)
            if (matches(&acl, &identity))
                return true;
    }
    return false;
}
