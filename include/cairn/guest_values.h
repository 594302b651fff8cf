/* guest_values.h - the inside of guest.h for encoded values (docs/formats/value.md); nothing here is for function
 * authors. */
#ifndef CAIRN_GUEST_VALUES_H
#define CAIRN_GUEST_VALUES_H

#pragma clang diagnostic push
#pragma clang diagnostic ignored "-Wmissing-prototypes"

/* Room for `more` bytes.  At the heap's top it grows in place. */
CAIRN_SHARED_ uint8_t *cairn_pack_reserve_(struct cairn_pack *pack, uint32_t more)
{
    if (more > pack->capacity - pack->size) {
        uint32_t capacity = pack->size + more + (pack->size < 64 ? 64 : pack->size);
        uint8_t *data;

        if (pack->size > 0x3fff0000 || more > 0x3fff0000)
            cairn_host_out_of_memory(more);
        if (pack->data && pack->data + ((pack->capacity + 7) & ~7u) == cairn_heap_) {
            cairn_heap_ = pack->data;
            data = (uint8_t *)cairn_alloc(capacity);
        } else {
            data = (uint8_t *)cairn_alloc(capacity);
            memcpy(data, pack->data, pack->size);
        }
        pack->data = data;
        pack->capacity = capacity;
    }
    return pack->data + pack->size;
}

static inline struct cairn_bytes cairn_packed(const struct cairn_pack *pack)
{
    return cairn_bytes(pack->data, pack->size);
}

CAIRN_SHARED_ void cairn_pack_value(struct cairn_pack *pack, struct cairn_bytes value)
{
    memcpy(cairn_pack_reserve_(pack, value.size), value.data, value.size);
    pack->size += value.size;
}

CAIRN_SHARED_ void cairn_pack_size_(struct cairn_pack *pack, uint32_t size)
{
    uint8_t *at = cairn_pack_reserve_(pack, 5), *to = at;

    for (; size >= 128; size >>= 7)
        *to++ = (uint8_t)(size | 128);
    *to++ = (uint8_t)size;
    pack->size += (uint32_t)(to - at);
}

CAIRN_SHARED_ void cairn_pack_kind_(struct cairn_pack *pack, enum cairn_kind kind)
{
    *cairn_pack_reserve_(pack, 1) = (uint8_t)kind;
    pack->size++;
}

CAIRN_SHARED_ void cairn_pack_nil(struct cairn_pack *pack)
{
    cairn_pack_kind_(pack, CAIRN_NIL);
}

CAIRN_SHARED_ void cairn_pack_int(struct cairn_pack *pack, int64_t integer)
{
    uint8_t *at = cairn_pack_reserve_(pack, 9);

    at[0] = CAIRN_INT;
    ((struct cairn_word_ *)(at + 1))->v = (uint64_t)integer;
    pack->size += 9;
}

CAIRN_SHARED_ void cairn_pack_bytes(struct cairn_pack *pack, struct cairn_bytes bytes)
{
    cairn_pack_kind_(pack, CAIRN_BYTES);
    cairn_pack_size_(pack, bytes.size);
    cairn_pack_value(pack, bytes);
}

static inline void cairn_pack_str(struct cairn_pack *pack, const char *text)
{
    cairn_pack_bytes(pack, cairn_str(text));
}

CAIRN_SHARED_ void cairn_pack_list(struct cairn_pack *pack, uint32_t count)
{
    cairn_pack_kind_(pack, CAIRN_LIST_OF);
    cairn_pack_size_(pack, count);
}

CAIRN_SHARED_ void cairn_pack_error(struct cairn_pack *pack, struct cairn_bytes code, struct cairn_bytes message)
{
    cairn_pack_kind_(pack, CAIRN_ERROR_VALUE);
    cairn_pack_size_(pack, code.size);
    cairn_pack_value(pack, code);
    cairn_pack_size_(pack, message.size);
    cairn_pack_value(pack, message);
}

CAIRN_SHARED_ void cairn_pack_object(struct cairn_pack *pack, struct cairn_bytes type, struct cairn_bytes id)
{
    cairn_pack_list(pack, 2);
    cairn_pack_bytes(pack, type);
    cairn_pack_bytes(pack, id);
}

static inline struct cairn_unpack cairn_unpack(struct cairn_bytes value)
{
    struct cairn_unpack unpack = {value.data, value.data + value.size, false};
    return unpack;
}

static inline enum cairn_kind cairn_unpack_kind(const struct cairn_unpack *unpack)
{
    return unpack->at < unpack->end ? (enum cairn_kind)unpack->at[0] : CAIRN_NIL;
}

static inline const uint8_t *cairn_unpack_raw_(struct cairn_unpack *unpack, uint32_t size)
{
    const uint8_t *at = unpack->at;

    if (unpack->bad || size > (uint32_t)(unpack->end - at)) {
        unpack->bad = true;
        return 0;
    }
    unpack->at = at + size;
    return at;
}

static inline bool cairn_unpack_head_(struct cairn_unpack *unpack, enum cairn_kind kind)
{
    const uint8_t *at = cairn_unpack_raw_(unpack, 1);

    if (!at || *at != kind)
        unpack->bad = true;
    return !unpack->bad;
}

CAIRN_SHARED_ uint32_t cairn_unpack_size_(struct cairn_unpack *unpack)
{
    uint32_t size = 0;

    for (uint32_t shift = 0; shift < 35; shift += 7) {
        const uint8_t *at = cairn_unpack_raw_(unpack, 1);

        if (!at)
            return 0;
        size |= (uint32_t)(*at & 127) << shift;
        if (*at < 128 && (shift < 28 || *at < 16))
            return size;
    }
    unpack->bad = true;
    return 0;
}

static inline struct cairn_bytes cairn_unpack_sized_(struct cairn_unpack *unpack)
{
    uint32_t size = cairn_unpack_size_(unpack);
    const uint8_t *at = cairn_unpack_raw_(unpack, size);

    return cairn_bytes(at, at ? size : 0);
}

CAIRN_SHARED_ int64_t cairn_unpack_int(struct cairn_unpack *unpack)
{
    const uint8_t *at = cairn_unpack_head_(unpack, CAIRN_INT) ? cairn_unpack_raw_(unpack, 8) : 0;

    return at ? (int64_t)((const struct cairn_word_ *)at)->v : 0;
}

CAIRN_SHARED_ struct cairn_bytes cairn_unpack_bytes(struct cairn_unpack *unpack)
{
    return cairn_unpack_head_(unpack, CAIRN_BYTES) ? cairn_unpack_sized_(unpack) : cairn_bytes(0, 0);
}

CAIRN_SHARED_ uint32_t cairn_unpack_list(struct cairn_unpack *unpack)
{
    uint32_t count = cairn_unpack_head_(unpack, CAIRN_LIST_OF) ? cairn_unpack_size_(unpack) : 0;

    if (count > (uint32_t)(unpack->end - unpack->at)) /* each takes a byte at least */
        unpack->bad = true;
    return unpack->bad ? 0 : count;
}

CAIRN_SHARED_ void cairn_unpack_error(struct cairn_unpack *unpack, struct cairn_bytes *ret_code,
                                      struct cairn_bytes *ret_message)
{
    bool is = cairn_unpack_head_(unpack, CAIRN_ERROR_VALUE);

    *ret_code = is ? cairn_unpack_sized_(unpack) : cairn_bytes(0, 0);
    *ret_message = is ? cairn_unpack_sized_(unpack) : cairn_bytes(0, 0);
}

CAIRN_SHARED_ void cairn_unpack_object(struct cairn_unpack *unpack, struct cairn_bytes *ret_type,
                                       struct cairn_bytes *ret_id)
{
    if (cairn_unpack_list(unpack) != 2)
        unpack->bad = true;
    *ret_type = cairn_unpack_bytes(unpack);
    *ret_id = cairn_unpack_bytes(unpack);
}

CAIRN_SHARED_ struct cairn_bytes cairn_unpack_value(struct cairn_unpack *unpack)
{
    const uint8_t *start = unpack->at;

    for (uint64_t left = 1; left > 0 && !unpack->bad; left--)
        switch (cairn_unpack_kind(unpack)) {
        case CAIRN_NIL:
            cairn_unpack_raw_(unpack, 1);
            break;
        case CAIRN_INT:
            cairn_unpack_int(unpack);
            break;
        case CAIRN_BYTES:
            cairn_unpack_bytes(unpack);
            break;
        case CAIRN_LIST_OF:
            left += cairn_unpack_list(unpack);
            break;
        case CAIRN_ERROR_VALUE: {
            struct cairn_bytes code, message;

            cairn_unpack_error(unpack, &code, &message);
            break;
        }
        default:
            unpack->bad = true;
        }
    return unpack->bad ? cairn_bytes(0, 0) : cairn_bytes(start, (uint32_t)(unpack->at - start));
}

#pragma clang diagnostic pop

#endif
