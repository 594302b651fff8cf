/* An object that writes the same number in every kind of field in one segment: after a crash all of them have it, or
 * none.  The padding makes a record as large as wanted. */
#include <cairn/guest.h>

CAIRN_MODULE(pair);
CAIRN_TYPE(Pair);
CAIRN_VALUE(Pair, first);
CAIRN_VALUE(Pair, padding);
CAIRN_LIST(Pair, numbers);
CAIRN_MAP(Pair, by_name);
CAIRN_VALUE(Pair, last);

/* set(number, padding): returns the number before. */
CAIRN_METHOD(Pair, set, CAIRN_PUBLIC)
{
    struct cairn_bytes number = cairn_arg(0);

    cairn_result_int(cairn_get_int(Pair_first, 0));
    cairn_set_int(Pair_first, cairn_arg_int(0));
    cairn_set(Pair_padding, cairn_arg(1));
    if (cairn_list_count(Pair_numbers) == 3)
        cairn_list_drop_oldest(Pair_numbers, 1);
    cairn_list_push(Pair_numbers, number);
    cairn_map_set(Pair_by_name, cairn_str("number"), number);
    cairn_set_int(Pair_last, cairn_arg_int(0));
}

/* [first, size of the padding, newest of the list, the map's, last] */
CAIRN_METHOD(Pair, get, CAIRN_PUBLIC, CAIRN_READ_ONLY, CAIRN_DETERMINISTIC)
{
    struct cairn_bytes padding = {0}, newest = {0}, named = {0};
    uint64_t count = cairn_list_count(Pair_numbers);
    struct cairn_pack pack = {0};

    cairn_get(Pair_padding, &padding);
    if (count > 0)
        cairn_list_get(Pair_numbers, count - 1, &newest);
    cairn_map_get(Pair_by_name, cairn_str("number"), &named);
    cairn_pack_list(&pack, 5);
    cairn_pack_int(&pack, cairn_get_int(Pair_first, 0));
    cairn_pack_int(&pack, padding.size);
    cairn_pack_bytes(&pack, newest);
    cairn_pack_bytes(&pack, named);
    cairn_pack_int(&pack, cairn_get_int(Pair_last, 0));
    cairn_result_packed(cairn_packed(&pack));
}
