/* guest_ordered.h - the inside of guest.h for ordered maps and their keys; nothing here is for function authors. */
#ifndef CAIRN_GUEST_ORDERED_H
#define CAIRN_GUEST_ORDERED_H

#pragma clang diagnostic push
#pragma clang diagnostic ignored "-Wmissing-prototypes"

enum {
    CAIRN_ORDERED_BACKWARD_ = 1,
    CAIRN_ORDERED_ABOVE_LOW_ = 2,
    CAIRN_ORDERED_WITH_HIGH_ = 4,
    CAIRN_ORDERED_NO_HIGH_ = 8,
    CAIRN_ORDERED_BY_PLACE_ = 256, /* the first fetch goes by the place; no flag of the host's */
};

static inline uint64_t cairn_ordered_count(struct cairn_ordered_field field)
{
    return (uint64_t)cairn_host_ordered_count(field.number);
}

CAIRN_SHARED_ bool cairn_ordered_get(struct cairn_ordered_field field, struct cairn_bytes key,
                                     struct cairn_bytes *ret_value)
{
    CAIRN_FETCH_(ret_value, cairn_host_ordered_get(field.number, key.data, key.size, cairn_heap_, cairn_heap_room_()));
}

static inline bool cairn_ordered_has(struct cairn_ordered_field field, struct cairn_bytes key)
{
    return cairn_host_ordered_get(field.number, key.data, key.size, 0, 0) >= 0;
}

static inline void cairn_ordered_set(struct cairn_ordered_field field, struct cairn_bytes key, struct cairn_bytes value)
{
    cairn_host_ordered_set(field.number, key.data, key.size, value.data, value.size);
}

CAIRN_SHARED_ int64_t cairn_ordered_get_int(struct cairn_ordered_field field, struct cairn_bytes key, int64_t otherwise)
{
    struct cairn_int_ value;

    return cairn_int_of_(
        &value, cairn_host_ordered_get(field.number, key.data, key.size, value.bytes, sizeof value.bytes), otherwise);
}

CAIRN_SHARED_ void cairn_ordered_set_int(struct cairn_ordered_field field, struct cairn_bytes key, int64_t integer)
{
    struct cairn_int_ value = cairn_int_(integer);

    cairn_host_ordered_set(field.number, key.data, key.size, value.bytes, sizeof value.bytes);
}

static inline bool cairn_ordered_remove(struct cairn_ordered_field field, struct cairn_bytes key)
{
    return cairn_host_ordered_remove(field.number, key.data, key.size) != 0;
}

static inline uint64_t cairn_ordered_rank(struct cairn_ordered_field field, struct cairn_bytes key)
{
    return (uint64_t)cairn_host_ordered_rank(field.number, key.data, key.size, 0);
}

static inline uint64_t cairn_ordered_count_range(struct cairn_ordered_field field, struct cairn_bytes low,
                                                 struct cairn_bytes high)
{
    uint64_t below_low = cairn_ordered_rank(field, low), below_high = cairn_ordered_rank(field, high);

    return below_high > below_low ? below_high - below_low : 0;
}

/* --- going through --- */

static inline struct cairn_ordered_iter cairn_ordered_iter_(struct cairn_ordered_field field, uint32_t flags,
                                                            struct cairn_bytes low, struct cairn_bytes high,
                                                            uint64_t count)
{
    struct cairn_ordered_iter iter = {{0, 0}, {0, 0}, low, high, field.number, flags, count, 0, 0, 0};
    return iter;
}

static inline struct cairn_ordered_iter cairn_ordered_range(struct cairn_ordered_field field, struct cairn_bytes low,
                                                            struct cairn_bytes high, uint64_t count)
{
    return cairn_ordered_iter_(field, 0, low, high, count);
}

static inline struct cairn_ordered_iter cairn_ordered_range_down(struct cairn_ordered_field field,
                                                                 struct cairn_bytes low, struct cairn_bytes high,
                                                                 uint64_t count)
{
    return cairn_ordered_iter_(field, CAIRN_ORDERED_BACKWARD_, low, high, count);
}

static inline struct cairn_ordered_iter cairn_ordered_from(struct cairn_ordered_field field, struct cairn_bytes key,
                                                           uint64_t count)
{
    return cairn_ordered_iter_(field, CAIRN_ORDERED_NO_HIGH_, key, cairn_bytes(0, 0), count);
}

static inline struct cairn_ordered_iter cairn_ordered_behind(struct cairn_ordered_field field, struct cairn_bytes key,
                                                             uint64_t count)
{
    return cairn_ordered_iter_(field, CAIRN_ORDERED_NO_HIGH_ | CAIRN_ORDERED_ABOVE_LOW_, key, cairn_bytes(0, 0), count);
}

static inline struct cairn_ordered_iter cairn_ordered_down_from(struct cairn_ordered_field field,
                                                                struct cairn_bytes key, uint64_t count)
{
    return cairn_ordered_iter_(field, CAIRN_ORDERED_BACKWARD_ | CAIRN_ORDERED_WITH_HIGH_, cairn_bytes(0, 0), key,
                               count);
}

static inline struct cairn_ordered_iter cairn_ordered_before(struct cairn_ordered_field field, struct cairn_bytes key,
                                                             uint64_t count)
{
    return cairn_ordered_iter_(field, CAIRN_ORDERED_BACKWARD_, cairn_bytes(0, 0), key, count);
}

static inline struct cairn_ordered_iter cairn_ordered_upward(struct cairn_ordered_field field, uint64_t count)
{
    return cairn_ordered_from(field, cairn_bytes(0, 0), count);
}

static inline struct cairn_ordered_iter cairn_ordered_downward(struct cairn_ordered_field field, uint64_t count)
{
    return cairn_ordered_iter_(field, CAIRN_ORDERED_BACKWARD_ | CAIRN_ORDERED_NO_HIGH_, cairn_bytes(0, 0),
                               cairn_bytes(0, 0), count);
}

static inline struct cairn_ordered_iter cairn_ordered_from_place(struct cairn_ordered_field field, uint64_t place,
                                                                 uint64_t count)
{
    struct cairn_ordered_iter iter = cairn_ordered_upward(field, count);

    iter.flags |= CAIRN_ORDERED_BY_PLACE_;
    iter.place = place;
    return iter;
}

static inline struct cairn_ordered_iter cairn_ordered_down_from_place(struct cairn_ordered_field field, uint64_t place,
                                                                      uint64_t count)
{
    struct cairn_ordered_iter iter = cairn_ordered_downward(field, count);

    iter.flags |= CAIRN_ORDERED_BY_PLACE_;
    iter.place = place;
    return iter;
}

CAIRN_SHARED_ bool cairn_key_above_prefix(struct cairn_bytes prefix, struct cairn_bytes *ret_above)
{
    uint32_t size = prefix.size;
    uint8_t *above;

    while (size > 0 && prefix.data[size - 1] == 0xff)
        size--;
    if (size == 0)
        return false;
    above = (uint8_t *)cairn_alloc(size);
    memcpy(above, prefix.data, size);
    above[size - 1]++;
    *ret_above = cairn_bytes(above, size);
    return true;
}

static inline struct cairn_ordered_iter cairn_ordered_prefix(struct cairn_ordered_field field,
                                                             struct cairn_bytes prefix, uint64_t count)
{
    struct cairn_bytes above;

    return cairn_key_above_prefix(prefix, &above) ? cairn_ordered_range(field, prefix, above, count)
                                                  : cairn_ordered_from(field, prefix, count);
}

static inline int64_t cairn_ordered_fetch_(const struct cairn_ordered_iter *iter, uint32_t want)
{
    if (iter->flags & CAIRN_ORDERED_BY_PLACE_)
        return cairn_host_ordered_read_at(iter->field, iter->place, iter->flags & CAIRN_ORDERED_BACKWARD_, want,
                                          cairn_heap_, cairn_heap_room_());
    return cairn_host_ordered_read(iter->field, iter->low.data, iter->low.size, iter->high.data, iter->high.size,
                                   iter->flags, want, cairn_heap_, cairn_heap_room_());
}

CAIRN_SHARED_ bool cairn_ordered_next(struct cairn_ordered_iter *iter)
{
    if (iter->batch_left == 0) {
        uint32_t want = iter->left < CAIRN_BATCH_MAX_ ? (uint32_t)iter->left : CAIRN_BATCH_MAX_;
        bool again = want > 0;

        while (again) {
            iter->batch = cairn_heap_;
            iter->batch_left = cairn_batch_take_(cairn_ordered_fetch_(iter, want), &again);
        }
        iter->left -= iter->batch_left;
        if (iter->batch_left == 0) {
            iter->left = 0;
            return false;
        }
    }
    iter->batch_left--;
    iter->key = cairn_batch_next_(&iter->batch);
    iter->value = cairn_batch_next_(&iter->batch);
    if (iter->batch_left == 0) { /* the next fetch goes on behind it */
        if (iter->flags & CAIRN_ORDERED_BACKWARD_) {
            iter->high = iter->key;
            iter->flags = CAIRN_ORDERED_BACKWARD_ | (iter->flags & CAIRN_ORDERED_ABOVE_LOW_);
        } else {
            iter->low = iter->key;
            iter->flags = (iter->flags | CAIRN_ORDERED_ABOVE_LOW_) & ~(uint32_t)CAIRN_ORDERED_BY_PLACE_;
        }
    }
    return true;
}

static inline bool cairn_ordered_one_(struct cairn_ordered_iter iter, struct cairn_bytes *ret_key,
                                      struct cairn_bytes *ret_value)
{
    if (!cairn_ordered_next(&iter))
        return false;
    *ret_key = iter.key;
    *ret_value = iter.value;
    return true;
}

CAIRN_SHARED_ bool cairn_ordered_at(struct cairn_ordered_field field, uint64_t place, struct cairn_bytes *ret_key,
                                    struct cairn_bytes *ret_value)
{
    return cairn_ordered_one_(cairn_ordered_from_place(field, place, 1), ret_key, ret_value);
}

CAIRN_SHARED_ bool cairn_ordered_first(struct cairn_ordered_field field, struct cairn_bytes *ret_key,
                                       struct cairn_bytes *ret_value)
{
    return cairn_ordered_one_(cairn_ordered_upward(field, 1), ret_key, ret_value);
}

CAIRN_SHARED_ bool cairn_ordered_last(struct cairn_ordered_field field, struct cairn_bytes *ret_key,
                                      struct cairn_bytes *ret_value)
{
    return cairn_ordered_one_(cairn_ordered_downward(field, 1), ret_key, ret_value);
}

/* --- keys ---
 *
 * Integers are 8 bytes, the highest first; signed ones and doubles with their sign turned so that they ascend.  Bytes
 * have 00 01 for each 00 and end with 00 00, so that a string is before those that begin with it.  A part in descending
 * order has all its bits turned. */

static inline struct cairn_bytes cairn_key(const struct cairn_key *key)
{
    return cairn_packed(&key->bytes);
}

static inline void cairn_key_down(struct cairn_key *key)
{
    key->down = true;
}

static inline uint8_t cairn_key_mask_(bool *down)
{
    uint8_t mask = *down ? 0xff : 0;

    *down = false;
    return mask;
}

CAIRN_SHARED_ void cairn_key_uint(struct cairn_key *key, uint64_t integer)
{
    uint8_t *to = cairn_pack_reserve_(&key->bytes, 8), mask = cairn_key_mask_(&key->down);

    for (int i = 0; i < 8; i++)
        to[i] = (uint8_t)(integer >> (56 - 8 * i)) ^ mask;
    key->bytes.size += 8;
}

CAIRN_SHARED_ void cairn_key_int(struct cairn_key *key, int64_t integer)
{
    cairn_key_uint(key, (uint64_t)integer ^ (uint64_t)1 << 63);
}

static inline void cairn_key_time(struct cairn_key *key, int64_t ms)
{
    cairn_key_int(key, ms);
}

CAIRN_SHARED_ void cairn_key_double(struct cairn_key *key, double number)
{
    uint64_t bits;

    if (number == 0)
        number = 0;
    memcpy(&bits, &number, sizeof bits);
    if (number != number)
        bits = (uint64_t)0x7ff8 << 48;
    cairn_key_uint(key, bits >> 63 ? ~bits : bits | (uint64_t)1 << 63);
}

CAIRN_SHARED_ void cairn_key_bytes(struct cairn_key *key, struct cairn_bytes bytes)
{
    uint8_t *to = cairn_pack_reserve_(&key->bytes, 2 * bytes.size + 2), *at = to, mask = cairn_key_mask_(&key->down);

    for (uint32_t i = 0; i < bytes.size; i++) {
        *at++ = bytes.data[i] ^ mask;
        if (bytes.data[i] == 0)
            *at++ = 1 ^ mask;
    }
    *at++ = mask;
    *at++ = mask;
    key->bytes.size += (uint32_t)(at - to);
}

CAIRN_SHARED_ void cairn_key_rest(struct cairn_key *key, struct cairn_bytes bytes)
{
    cairn_pack_value(&key->bytes, bytes);
}

static inline struct cairn_unkey cairn_unkey(struct cairn_bytes key)
{
    struct cairn_unkey unkey = {key.data, key.data + key.size, false, false};
    return unkey;
}

static inline void cairn_unkey_down(struct cairn_unkey *unkey)
{
    unkey->down = true;
}

CAIRN_SHARED_ uint64_t cairn_unkey_uint(struct cairn_unkey *unkey)
{
    uint8_t mask = cairn_key_mask_(&unkey->down);
    uint64_t integer = 0;

    if (unkey->bad || unkey->end - unkey->at < 8) {
        unkey->bad = true;
        return 0;
    }
    for (int i = 0; i < 8; i++)
        integer = integer << 8 | (uint8_t)(*unkey->at++ ^ mask);
    return integer;
}

CAIRN_SHARED_ int64_t cairn_unkey_int(struct cairn_unkey *unkey)
{
    uint64_t integer = cairn_unkey_uint(unkey);

    return unkey->bad ? 0 : (int64_t)(integer ^ (uint64_t)1 << 63);
}

static inline int64_t cairn_unkey_time(struct cairn_unkey *unkey)
{
    return cairn_unkey_int(unkey);
}

CAIRN_SHARED_ double cairn_unkey_double(struct cairn_unkey *unkey)
{
    uint64_t bits = cairn_unkey_uint(unkey);
    double number = 0;

    if (unkey->bad)
        return 0;
    bits = bits >> 63 ? bits & ~((uint64_t)1 << 63) : ~bits;
    memcpy(&number, &bits, sizeof number);
    return number;
}

CAIRN_SHARED_ struct cairn_bytes cairn_unkey_bytes(struct cairn_unkey *unkey)
{
    uint8_t mask = cairn_key_mask_(&unkey->down);
    uint8_t *to = (uint8_t *)cairn_alloc((uint32_t)(unkey->end - unkey->at));
    uint32_t size = 0;

    while (!unkey->bad) {
        uint8_t byte, next;

        if (unkey->at == unkey->end)
            break;
        byte = *unkey->at++ ^ mask;
        if (byte) {
            to[size++] = byte;
            continue;
        }
        if (unkey->at == unkey->end)
            break;
        next = *unkey->at++ ^ mask;
        if (next == 0)
            return cairn_bytes(to, size);
        if (next != 1)
            break;
        to[size++] = 0;
    }
    unkey->bad = true;
    return cairn_bytes(to, 0);
}

CAIRN_SHARED_ struct cairn_bytes cairn_unkey_rest(struct cairn_unkey *unkey)
{
    struct cairn_bytes rest = cairn_bytes(unkey->at, (uint32_t)(unkey->end - unkey->at));

    if (unkey->bad)
        return cairn_bytes(0, 0);
    unkey->at = unkey->end;
    return rest;
}

#pragma clang diagnostic pop

#endif
