/* sorting.c - a map and an ordered map, for bench_inprocess ordered. */
#include <cairn/guest.h>

CAIRN_MODULE(sorting);
CAIRN_TYPE(Sorting);
CAIRN_MAP(Sorting, map);
CAIRN_ORDERED(Sorting, ordered);

CAIRN_METHOD(Sorting, map_set, CAIRN_PUBLIC)
{
    cairn_map_set(Sorting_map, cairn_arg(0), cairn_arg(1));
}

CAIRN_METHOD(Sorting, ordered_set, CAIRN_PUBLIC)
{
    cairn_ordered_set(Sorting_ordered, cairn_arg(0), cairn_arg(1));
}

CAIRN_METHOD(Sorting, rank, CAIRN_PUBLIC, CAIRN_READ_ONLY, CAIRN_DETERMINISTIC)
{
    cairn_result_int((int64_t)cairn_ordered_rank(Sorting_ordered, cairn_arg(0)));
}

/* Values of 100 entries from a key on. */
CAIRN_METHOD(Sorting, range, CAIRN_PUBLIC, CAIRN_READ_ONLY, CAIRN_DETERMINISTIC)
{
    struct cairn_ordered_iter it = cairn_ordered_from(Sorting_ordered, cairn_arg(0), 100);
    struct cairn_pack pack = {0};
    uint32_t count = 0;

    cairn_pack_list(&pack, 100);
    for (; cairn_ordered_next(&it); count++)
        cairn_pack_bytes(&pack, it.value);
    for (; count < 100; count++) /* the end of the map */
        cairn_pack_nil(&pack);
    cairn_result_packed(cairn_packed(&pack));
}
