/* Objects with many timers, which keep how late each fired. */
#include <cairn/guest.h>

CAIRN_MODULE(alarms);
CAIRN_TYPE(Alarms);
CAIRN_MAP(Alarms, late); /* ms: how many */

/* name, n, first ms, step us: timers NAME0 .. */
CAIRN_METHOD(Alarms, plan, CAIRN_PUBLIC)
{
    for (int64_t i = 0; i < cairn_arg_int(1); i++)
        cairn_timer_set(cairn_text("%b%lld", cairn_arg(0), i), cairn_arg_int(2) + i * cairn_arg_int(3) / 1000, "fire",
                        NULL);
}

CAIRN_METHOD(Alarms, fire, CAIRN_INTERNAL)
{
    struct cairn_bytes key = cairn_str(cairn_text("%lld", cairn_now() - cairn_timer_due())), value;
    int64_t count = 0;

    if (cairn_map_get(Alarms_late, key, &value)) {
        struct cairn_unpack unpack = cairn_unpack(value);
        count = cairn_unpack_int(&unpack);
    }
    cairn_map_set_int(Alarms_late, key, count + 1);
}

/* [ms, how many, ms, how many, ...] */
CAIRN_METHOD(Alarms, late, CAIRN_PUBLIC, CAIRN_READ_ONLY)
{
    struct cairn_map_iter it = cairn_map_entries(Alarms_late, 0, UINT64_MAX);
    struct cairn_pack pack = {0};

    cairn_pack_list(&pack, 2 * (uint32_t)cairn_map_count(Alarms_late));
    while (cairn_map_next(&it)) {
        cairn_pack_bytes(&pack, it.key);
        cairn_pack_value(&pack, it.value);
    }
    cairn_result_packed(cairn_packed(&pack));
}
