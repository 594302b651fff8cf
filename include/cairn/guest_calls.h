/* guest_calls.h - the inside of guest.h for calls of other objects; nothing here is for function authors. */
#ifndef CAIRN_GUEST_CALLS_H
#define CAIRN_GUEST_CALLS_H

#pragma clang diagnostic push
#pragma clang diagnostic ignored "-Wmissing-prototypes"

CAIRN_SHARED_ void cairn_args_add(struct cairn_args *args, struct cairn_bytes arg)
{
    uint8_t *at = cairn_pack_reserve_(&args->packed, arg.size + 4);

    at[0] = (uint8_t)arg.size;
    at[1] = (uint8_t)(arg.size >> 8);
    at[2] = (uint8_t)(arg.size >> 16);
    at[3] = (uint8_t)(arg.size >> 24);
    memcpy(at + 4, arg.data, arg.size);
    args->packed.size += arg.size + 4;
}

CAIRN_SHARED_ void cairn_args_add_int(struct cairn_args *args, int64_t integer)
{
    uint8_t digits[24], *end = digits + sizeof digits;
    uint8_t *start = cairn_digits_(integer < 0 ? 0 - (uint64_t)integer : (uint64_t)integer, 10, end);

    if (integer < 0)
        *--start = '-';
    cairn_args_add(args, cairn_bytes(start, (uint32_t)(end - start)));
}

CAIRN_SHARED_ uint32_t cairn_call(const char *type, struct cairn_bytes id, const char *method,
                                  const struct cairn_args *args)
{
    return cairn_host_call(type, (uint32_t)strlen(type), id.data, id.size, method, (uint32_t)strlen(method),
                           args ? args->packed.data : 0, args ? args->packed.size : 0);
}

CAIRN_SHARED_ bool cairn_fetch_result_(uint32_t call, struct cairn_bytes *ret_value)
{
    CAIRN_FETCH_(ret_value, cairn_host_call_result(call, cairn_heap_, cairn_heap_room_()));
}

CAIRN_SHARED_ struct cairn_outcome cairn_outcome(uint32_t call)
{
    struct cairn_outcome outcome = {true, {0, 0}, {0, 0}, {0, 0}};
    struct cairn_unpack unpack;

    cairn_fetch_result_(call, &outcome.value);
    unpack = cairn_unpack(outcome.value);
    if (cairn_unpack_kind(&unpack) == CAIRN_ERROR_VALUE) {
        outcome.ok = false;
        cairn_unpack_error(&unpack, &outcome.code, &outcome.message);
    }
    return outcome;
}

CAIRN_SHARED_ struct cairn_outcome cairn_wait(uint32_t call)
{
    cairn_host_wait(call);
    return cairn_outcome(call);
}

static inline void cairn_wait_all(void)
{
    cairn_host_wait(UINT32_MAX);
}

static inline bool cairn_ready(uint32_t call)
{
    return cairn_host_ready(call) != 0;
}

#pragma clang diagnostic pop

#endif
