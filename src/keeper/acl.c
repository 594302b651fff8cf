#include "keeper/acl.h"

static uint32_t read_be32(struct cairn_reader *r)
{
    return __builtin_bswap32(cairn_read_u32(r));
}

static struct cairn_bytes read_string(struct cairn_reader *r)
{
    int32_t size = (int32_t)read_be32(r);

    return cairn_read_bytes(r, size > 0 ? (size_t)size : 0);
}

static bool is(struct cairn_bytes text, const char *what)
{
    return cairn_bytes_equal(text, cairn_str(what));
}

/* Of "10.1.2.3" or "10.1.0.0/16"; false: it is none. */
static bool read_range(struct cairn_bytes text, uint32_t *ret_address, uint32_t *ret_bits)
{
    uint32_t parts[5] = {0, 0, 0, 0, 32}, part = 0, digits = 0;

    for (size_t i = 0; i <= text.size; i++) {
        uint8_t c = i < text.size ? text.data[i] : 0;

        if (c >= '0' && c <= '9' && digits++ < 3) {
            parts[part] = (digits == 1 ? 0 : parts[part] * 10) + c - '0';
            continue;
        }
        if (!digits || parts[part] > (part == 4 ? 32 : 255) || (c && c != (part == 3 ? '/' : '.')) ||
            (c && part == 4) || (!c && (part < 3 || i < text.size)))
            return false;
        part++;
        digits = 0;
    }
    *ret_address = parts[0] << 24 | parts[1] << 16 | parts[2] << 8 | parts[3];
    *ret_bits = parts[4];
    return true;
}

static bool in_range(struct cairn_bytes range, struct cairn_bytes address)
{
    uint32_t of, bits, is_at, whole;

    if (!read_range(range, &of, &bits) || !read_range(address, &is_at, &whole))
        return false;
    return bits == 0 || (of ^ is_at) >> (32 - bits) == 0;
}

static bool matches(struct cairn_bytes scheme, struct cairn_bytes id, struct cairn_bytes identities)
{
    struct cairn_reader r = cairn_reader(identities);

    if (is(scheme, "world") && is(id, "anyone"))
        return true;
    while (cairn_reader_left(&r) && !r.bad) {
        struct cairn_bytes own = read_string(&r), user = read_string(&r);

        if (!r.bad && cairn_bytes_equal(own, scheme) &&
            (is(scheme, "ip") ? in_range(id, user) : cairn_bytes_equal(id, user)))
            return true;
    }
    return false;
}

static bool is_super(struct cairn_bytes identities)
{
    struct cairn_reader r = cairn_reader(identities);

    while (cairn_reader_left(&r) && !r.bad) {
        bool found = is(read_string(&r), "super");

        read_string(&r);
        if (found && !r.bad)
            return true;
    }
    return false;
}

bool keeper_acl_allows(struct cairn_bytes acl, uint32_t permissions, struct cairn_bytes identities)
{
    struct cairn_reader r = cairn_reader(acl);
    uint32_t count;

    if (!acl.size || is_super(identities))
        return true;
    count = read_be32(&r);
    for (uint32_t i = 0; i < count && !r.bad; i++) {
        uint32_t perms = read_be32(&r);
        struct cairn_bytes scheme = read_string(&r), id = read_string(&r);

        if (!r.bad && perms & permissions && matches(scheme, id, identities))
            return true;
    }
    return false;
}

/* --- showing -------------------------------------------------------------------------------------- */

static void add_be32(struct cairn_buf *to, uint32_t value)
{
    value = __builtin_bswap32(value);
    cairn_buf_add(to, &value, sizeof value);
}

static void add_string(struct cairn_buf *to, struct cairn_bytes text)
{
    add_be32(to, (uint32_t)text.size);
    cairn_buf_add(to, text.data, text.size);
}

static void add_masked(struct cairn_buf *to, struct cairn_bytes id)
{
    size_t user = 0;

    while (user < id.size && id.data[user] != ':')
        user++;
    add_be32(to, (uint32_t)(user + 2));
    cairn_buf_add(to, id.data, user);
    cairn_buf_str(to, ":x");
}

void keeper_acl_show(struct cairn_bytes acl, bool mask, struct cairn_buf *to)
{
    struct cairn_reader r = cairn_reader(acl);
    uint32_t count;

    if (!acl.size) {
        add_be32(to, 1);
        add_be32(to, 31);
        add_string(to, cairn_str("world"));
        add_string(to, cairn_str("anyone"));
        return;
    }
    count = read_be32(&r);
    add_be32(to, count);
    for (uint32_t i = 0; i < count && !r.bad; i++) {
        uint32_t perms = read_be32(&r);
        struct cairn_bytes scheme = read_string(&r), id = read_string(&r);

        add_be32(to, perms);
        add_string(to, scheme);
        if (mask && is(scheme, "digest"))
            add_masked(to, id);
        else
            add_string(to, id);
    }
}
