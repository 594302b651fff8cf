/* acl.c - who may do what: ACLs are well-formed before the Tree sees them, and compared with identities there.
 *
 * Schemes are world, auth, digest and ip; an identity of the scheme `super` may all. */
#include "keeper.h"

const uint8_t acl_open[27] = "\0\0\0\1\0\0\0\37\0\0\0\5world\0\0\0\6anyone";

static bool digits(const uint8_t **at, const uint8_t *end, uint32_t most, uint32_t *ret)
{
    const uint8_t *from = *at;

    for (*ret = 0; *at < end && **at >= '0' && **at <= '9' && *ret <= most; (*at)++)
        *ret = *ret * 10 + (uint32_t)(**at - '0');
    return *at > from && *ret <= most;
}

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

/* Two parts, as Java splits at ':': empty ones at the end do not count. */
static bool is_digest(struct cairn_bytes id)
{
    uint32_t colons = 0;

    while (id.size > 0 && id.data[id.size - 1] == ':')
        id.size--;
    for (uint32_t i = 0; i < id.size; i++)
        colons += id.data[i] == ':';
    return colons == 1;
}

static bool is_valid(struct cairn_bytes scheme, struct cairn_bytes id)
{
    uint32_t address, bits;

    if (cairn_equal(scheme, cairn_str("world")))
        return cairn_equal(id, cairn_str("anyone"));
    if (cairn_equal(scheme, cairn_str("digest")))
        return is_digest(id);
    return cairn_equal(scheme, cairn_str("ip")) && ip_range(id, &address, &bits);
}

/* The same ACL stands before it. */
static bool is_repeated(struct cairn_bytes acls, struct cairn_bytes acl)
{
    struct jute j = jute(acls);

    for (jute_int(&j); j.at < acl.data;) {
        const uint8_t *from = j.at;

        jute_int(&j);
        jute_string(&j);
        jute_string(&j);
        if (cairn_equal(cairn_bytes(from, (uint32_t)(j.at - from)), acl))
            return true;
    }
    return false;
}

/* One for each identity that was proved; returns how many. */
static uint32_t add_proved(struct cairn_pack *to, struct cairn_bytes perms, struct cairn_bytes identities)
{
    struct jute j = jute(identities);
    uint32_t added = 0;

    for (int32_t left = jute_int(&j); left > 0 && !j.bad; left--) {
        const uint8_t *from = j.at;
        bool proved = cairn_equal(jute_string(&j), cairn_str("digest"));

        jute_string(&j);
        if (proved && !j.bad) {
            cairn_pack_value(to, perms);
            cairn_pack_value(to, cairn_bytes(from, (uint32_t)(j.at - from)));
            added++;
        }
    }
    return added;
}

struct cairn_bytes acl_fixed(struct cairn_bytes acls, struct cairn_bytes identities)
{
    static const struct cairn_bytes none;
    struct cairn_pack fixed = {0};
    struct jute j = jute(acls);
    int32_t left = jute_int(&j);
    uint32_t count = 0;

    if (cairn_equal(acls, cairn_bytes(acl_open, sizeof acl_open)))
        return acls;
    cairn_pack_value(&fixed, cairn_bytes(&count, 4));
    for (; left > 0; left--) {
        const uint8_t *from = j.at;
        struct cairn_bytes perms = cairn_bytes(from, 4), scheme, id, acl;

        jute_int(&j);
        scheme = jute_string(&j);
        id = jute_string(&j);
        acl = cairn_bytes(from, (uint32_t)(j.at - from));
        if (j.bad)
            return none;
        if (is_repeated(acls, acl))
            continue;
        if (cairn_equal(scheme, cairn_str("auth"))) {
            uint32_t added = add_proved(&fixed, perms, identities);

            if (added == 0)
                return none;
            count += added;
        } else if (is_valid(scheme, id)) {
            cairn_pack_value(&fixed, acl);
            count++;
        } else {
            return none;
        }
    }
    if (count == 0)
        return none;
    count = __builtin_bswap32(count);
    memcpy(fixed.data, &count, 4);
    return cairn_packed(&fixed);
}

static bool matches(struct cairn_bytes scheme, struct cairn_bytes id, struct cairn_bytes user)
{
    uint32_t from, bits, address, all;

    if (!cairn_equal(scheme, cairn_str("ip")))
        return cairn_equal(id, user);
    return ip_range(id, &from, &bits) && ip_range(user, &address, &all) &&
           (bits == 0 || (from ^ address) >> (32 - bits) == 0);
}

bool acl_allows(struct cairn_bytes acls, struct cairn_bytes identities, enum perm perm)
{
    struct jute j = jute(acls), i = jute(identities);

    if (acls.size == 0)
        return true;
    for (int32_t left = jute_int(&i); left > 0 && !i.bad; left--, jute_string(&i))
        if (cairn_equal(jute_string(&i), cairn_str("super")))
            return true;
    for (int32_t left = jute_int(&j); left > 0 && !j.bad; left--) {
        bool has = (jute_int(&j) & perm) != 0;
        struct cairn_bytes scheme = jute_string(&j), id = jute_string(&j);

        if (has && cairn_equal(scheme, cairn_str("world")))
            return true;
        i = jute(identities);
        for (int32_t more = has ? jute_int(&i) : 0; more > 0 && !i.bad; more--) {
            bool same = cairn_equal(jute_string(&i), scheme);

            if (matches(scheme, id, jute_string(&i)) && same)
                return true;
        }
    }
    return false;
}
