/* A module that is deployed after messages were sent to it. */
#include <cairn/guest.h>

CAIRN_MODULE(late);
CAIRN_TYPE(Late);
CAIRN_LIST(Late, got);

CAIRN_METHOD(Late, take, CAIRN_PUBLIC)
{
    cairn_list_push(Late_got, cairn_arg(0));
}

/* How many have come; fails if they did not come in the order 1, 2, 3, ... */
CAIRN_METHOD(Late, in_order, CAIRN_PUBLIC, CAIRN_READ_ONLY)
{
    struct cairn_list_iter it = cairn_list_oldest(Late_got, 0, UINT64_MAX);
    int64_t n = 0;

    while (cairn_list_next(&it))
        if (!cairn_equal(it.entry, cairn_str(cairn_text("%lld", (long long)++n)))) {
            cairn_fail("disorder", "another one came before it");
            return;
        }
    cairn_result_int(n);
}
