#include "object/promise.h"

#include "object/layout.h"

enum { KEY_BYTES = 1 + 8 + 4, ID_RAW_BYTES = PROMISE_ID_BYTES / 2 };

/* --- ids ------------------------------------------------------------------------------------------------- */

static void put_be32(uint8_t *to, uint32_t v)
{
    v = __builtin_bswap32(v);
    memcpy(to, &v, sizeof v);
}

void promise_id_text(const struct promise_id *id, uint8_t to[PROMISE_ID_BYTES])
{
    static const char digits[] = "0123456789abcdef";
    uint8_t raw[ID_RAW_BYTES];

    memcpy(raw, id->secret, sizeof id->secret);
    put_be32(raw + 16, id->shard);
    cairn_put_be64(raw + 20, id->number);
    put_be32(raw + 28, id->call);
    for (int i = 0; i < ID_RAW_BYTES; i++) {
        to[2 * i] = (uint8_t)digits[raw[i] >> 4];
        to[2 * i + 1] = (uint8_t)digits[raw[i] & 15];
    }
}

static int digit(uint8_t c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool promise_id_read(struct cairn_bytes text, struct promise_id *ret_id)
{
    uint8_t raw[ID_RAW_BYTES];

    if (text.size != PROMISE_ID_BYTES)
        return false;
    for (int i = 0; i < ID_RAW_BYTES; i++) {
        int high = digit(text.data[2 * i]), low = digit(text.data[2 * i + 1]);

        if (high < 0 || low < 0)
            return false;
        raw[i] = (uint8_t)(high << 4 | low);
    }
    memcpy(ret_id->secret, raw, sizeof ret_id->secret);
    ret_id->shard = __builtin_bswap32(cairn_get_u32(raw + 16));
    ret_id->number = cairn_get_be64(raw + 20);
    ret_id->call = __builtin_bswap32(cairn_get_u32(raw + 28));
    return true;
}

static bool is_same_secret(const uint8_t *a, const uint8_t *b)
{
    uint8_t differs = 0;

    for (size_t i = 0; i < DURABLE_SECRET_BYTES; i++)
        differs |= a[i] ^ b[i];
    return !differs;
}

bool promise_id_same(const struct promise_id *a, const struct promise_id *b)
{
    return is_same_secret(a->secret, b->secret) && a->shard == b->shard && a->number == b->number && a->call == b->call;
}

/* --- in the shard ---------------------------------------------------------------------------------------- */

static struct cairn_bytes key_of(uint8_t to[KEY_BYTES], uint64_t number, uint32_t call)
{
    put_be32(to + key_numbered(to, KEY_PROMISE, number), call);
    return cairn_bytes(to, KEY_BYTES);
}

void promise_put(struct overlay *overlay, const struct promise_id *id, uint64_t due_ms, uint8_t state)
{
    uint8_t key[KEY_BYTES];
    struct cairn_buf value = {0};

    cairn_buf_u8(&value, state);
    cairn_buf_add(&value, id->secret, sizeof id->secret);
    cairn_buf_varint(&value, due_ms == UINT64_MAX ? 0 : due_ms);
    overlay_put(overlay, key_of(key, id->number, id->call), cairn_buf_bytes(&value));
    cairn_buf_done(&value);
}

void promise_remove(struct overlay *overlay, uint64_t number, uint32_t call)
{
    uint8_t key[KEY_BYTES];

    overlay_remove(overlay, key_of(key, number, call));
}

bool promise_get(struct cairn_view *engine, const struct promise_id *id, uint8_t *ret_state, uint64_t *ret_due_ms)
{
    uint8_t key[KEY_BYTES];
    struct cairn_bytes k = key_of(key, id->number, id->call), value, secret;
    struct cairn_reader r;

    if (!engine->ops->get(engine, k, cairn_hash(k), &value))
        return false;
    r = cairn_reader(value);
    *ret_state = cairn_read_u8(&r);
    secret = cairn_read_bytes(&r, sizeof id->secret);
    *ret_due_ms = cairn_read_varint(&r);
    if (!*ret_due_ms)
        *ret_due_ms = UINT64_MAX;
    return !r.bad && is_same_secret(secret.data, id->secret);
}
