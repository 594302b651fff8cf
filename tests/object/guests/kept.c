/* kept.c - methods whose results may be kept, and some whose may not, for tests/object/cache_test.c. */
#include <cairn/guest.h>

CAIRN_MODULE(kept);
CAIRN_TYPE(Kept);
CAIRN_VALUE(Kept, n);
CAIRN_LIST(Kept, entries);

static volatile const char edition[] = "edition-1"; /* the test makes another of it */

CAIRN_METHOD(Kept, set, CAIRN_PUBLIC)
{
    cairn_set_int(Kept_n, cairn_arg_int(0));
    cairn_list_push_int(Kept_entries, cairn_arg_int(0));
    cairn_result_int(cairn_arg_int(0));
}

CAIRN_METHOD(Kept, set_and_fail, CAIRN_PUBLIC)
{
    cairn_set_int(Kept_n, cairn_arg_int(0));
    cairn_fail("no", "on purpose");
}

/* get [TEXT]: the number and the arguments. */
CAIRN_METHOD(Kept, get, CAIRN_PUBLIC, CAIRN_READ_ONLY, CAIRN_DETERMINISTIC)
{
    cairn_result_str(cairn_text("%lld %u %b", (long long)cairn_get_int(Kept_n, -1), cairn_arg_count(),
                                cairn_arg_count() ? cairn_arg(0) : cairn_str("")));
}

/* The same as get without an argument, by another name. */
CAIRN_METHOD(Kept, twice, CAIRN_PUBLIC, CAIRN_READ_ONLY, CAIRN_DETERMINISTIC)
{
    cairn_result_int(2 * cairn_get_int(Kept_n, -1));
}

CAIRN_METHOD(Kept, never, CAIRN_PUBLIC, CAIRN_READ_ONLY, CAIRN_DETERMINISTIC, CAIRN_UNCACHED)
{
    cairn_result_int(cairn_get_int(Kept_n, -1));
}

CAIRN_METHOD(Kept, reads_only, CAIRN_PUBLIC, CAIRN_READ_ONLY)
{
    cairn_result_int(cairn_get_int(Kept_n, -1));
}

CAIRN_METHOD(Kept, edition, CAIRN_PUBLIC, CAIRN_READ_ONLY, CAIRN_DETERMINISTIC)
{
    cairn_result_int(edition[8] - '0');
}

CAIRN_METHOD(Kept, fails, CAIRN_PUBLIC, CAIRN_READ_ONLY, CAIRN_DETERMINISTIC)
{
    cairn_fail("no", "on purpose");
}

CAIRN_METHOD(Kept, logs, CAIRN_PUBLIC, CAIRN_READ_ONLY, CAIRN_DETERMINISTIC)
{
    cairn_log(CAIRN_INFO, "asked");
    cairn_result_int(1);
}

/* Who calls. */
CAIRN_METHOD(Kept, who, CAIRN_PUBLIC, CAIRN_READ_ONLY, CAIRN_DETERMINISTIC)
{
    struct cairn_bytes type, id;

    cairn_result_bytes(cairn_caller(&type, &id) ? id : cairn_str("a client"));
}

/* ask ID METHOD: what the other's method gives; this object has not changed when the other has. */
CAIRN_METHOD(Kept, ask, CAIRN_PUBLIC, CAIRN_READ_ONLY, CAIRN_DETERMINISTIC)
{
    struct cairn_bytes method = cairn_arg(1);
    struct cairn_outcome outcome = cairn_wait(cairn_call("Kept", cairn_arg(0), cairn_text("%b", method), 0));

    if (outcome.ok)
        cairn_result_packed(outcome.value);
}

/* sum ID: this one's number, read first, and the other's, which takes its time. */
CAIRN_METHOD(Kept, slow, CAIRN_PUBLIC, CAIRN_READ_ONLY, CAIRN_DETERMINISTIC)
{
    for (volatile uint32_t n = 400000; n; n--)
        ;
    cairn_result_int(cairn_get_int(Kept_n, -1));
}

CAIRN_METHOD(Kept, sum, CAIRN_PUBLIC, CAIRN_READ_ONLY, CAIRN_DETERMINISTIC)
{
    int64_t own = cairn_get_int(Kept_n, -1);
    struct cairn_outcome outcome = cairn_wait(cairn_call("Kept", cairn_arg(0), "slow", 0));
    struct cairn_unpack result = cairn_unpack(outcome.value);

    cairn_result_int(own + cairn_unpack_int(&result));
}

CAIRN_METHOD(Kept, large, CAIRN_PUBLIC, CAIRN_READ_ONLY, CAIRN_DETERMINISTIC)
{
    uint32_t size = (uint32_t)cairn_arg_int(0);

    cairn_result_bytes(cairn_bytes(cairn_alloc(size), size));
}
