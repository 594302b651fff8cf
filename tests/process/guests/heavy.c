/* An object whose methods take, keep and give large things. */
#include <cairn/guest.h>

CAIRN_MODULE(heavy);
CAIRN_TYPE(Heavy);
CAIRN_VALUE(Heavy, value);
CAIRN_LIST(Heavy, entries);

/* fill(size) */
CAIRN_METHOD(Heavy, fill, CAIRN_PUBLIC)
{
    uint32_t size = (uint32_t)cairn_arg_int(0);
    uint8_t *bytes = cairn_alloc(size);

    memset(bytes, 1, size);
    cairn_set(Heavy_value, cairn_bytes(bytes, size));
}

CAIRN_METHOD(Heavy, get, CAIRN_PUBLIC, CAIRN_READ_ONLY)
{
    struct cairn_bytes value;

    if (cairn_get(Heavy_value, &value))
        cairn_result_bytes(value);
}

CAIRN_METHOD(Heavy, fine, CAIRN_PUBLIC)
{
    cairn_result_str("well");
}

/* Takes what it is given, and about 50 ms. */
CAIRN_METHOD(Heavy, slow, CAIRN_PUBLIC)
{
    for (volatile uint32_t i = 0; i < 10000000; i++)
        ;
}

/* hoard(n, id): n calls for a large result, and how many of them failed with `limit`. */
CAIRN_METHOD(Heavy, hoard, CAIRN_PUBLIC)
{
    uint32_t count = (uint32_t)cairn_arg_int(0), limit = 0;

    for (uint32_t i = 0; i < count; i++)
        cairn_call("Heavy", cairn_arg(1), "get", 0);
    cairn_wait_all();
    for (uint32_t i = 0; i < count; i++) {
        void *mark = cairn_heap_mark();
        struct cairn_outcome outcome = cairn_outcome(i);

        if (!outcome.ok && cairn_equal(outcome.code, cairn_str("limit")))
            limit++;
        cairn_heap_release(mark);
    }
    cairn_result_int(limit);
}

/* scatter(n, size): n calls with as large an argument each, in one segment. */
CAIRN_METHOD(Heavy, scatter, CAIRN_PUBLIC)
{
    uint32_t count = (uint32_t)cairn_arg_int(0), size = (uint32_t)cairn_arg_int(1);
    struct cairn_args args = {0};
    uint8_t *bytes = cairn_alloc(size);

    memset(bytes, 1, size);
    cairn_args_add(&args, cairn_bytes(bytes, size));
    for (uint32_t i = 0; i < count; i++)
        cairn_call("Heavy", cairn_str("sink"), "fine", &args);
}

/* push(n, size) */
CAIRN_METHOD(Heavy, push, CAIRN_PUBLIC)
{
    uint32_t count = (uint32_t)cairn_arg_int(0), size = (uint32_t)cairn_arg_int(1);
    uint8_t *bytes = cairn_alloc(size);

    memset(bytes, 1, size);
    for (uint32_t i = 0; i < count; i++)
        cairn_list_push(Heavy_entries, cairn_bytes(bytes, size));
    cairn_result_int((int64_t)cairn_list_count(Heavy_entries));
}
