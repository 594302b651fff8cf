/* An object of any size, with every kind of field, and a sum over all that is in it. */
#include <cairn/guest.h>

CAIRN_MODULE(shelf);
CAIRN_TYPE(Shelf);
CAIRN_VALUE(Shelf, label);
CAIRN_LIST(Shelf, items);
CAIRN_MAP(Shelf, index);

/* fill(n, tag): n more items and n entries of the index, some of which were there. */
CAIRN_METHOD(Shelf, fill, CAIRN_PUBLIC)
{
    int64_t count = cairn_arg_int(0), tag = cairn_arg_int(1);

    for (int64_t i = 0; i < count; i++) {
        int64_t place = (i * 7 + tag) % 50000;
        struct cairn_bytes text = cairn_str(cairn_text("item %lld of %lld", (long long)i, (long long)tag));

        cairn_list_push(Shelf_items, text);
        cairn_map_set(Shelf_index, cairn_bytes(&place, sizeof place), text);
    }
    cairn_set_int(Shelf_label, tag);
    cairn_result_int((int64_t)cairn_list_count(Shelf_items));
}

/* drop(n): the oldest items. */
CAIRN_METHOD(Shelf, drop, CAIRN_PUBLIC)
{
    cairn_result_int((int64_t)cairn_list_drop_oldest(Shelf_items, (uint64_t)cairn_arg_int(0)));
}

static uint64_t mix(uint64_t sum, struct cairn_bytes bytes)
{
    for (size_t i = 0; i < bytes.size; i++)
        sum = (sum ^ bytes.data[i]) * 1099511628211u;
    return sum;
}

/* sum(part): over the label, and a part in ten of items and index. */
CAIRN_METHOD(Shelf, sum, CAIRN_PUBLIC, CAIRN_READ_ONLY)
{
    uint64_t part = (uint64_t)cairn_arg_int(0), items = cairn_list_count(Shelf_items);
    uint64_t entries = cairn_map_count(Shelf_index), seen = 0;
    uint64_t sum = mix(14695981039346656037u, cairn_str(cairn_text("%lld", (long long)cairn_get_int(Shelf_label, 0))));
    struct cairn_list_iter item =
        cairn_list_oldest(Shelf_items, part * items / 10, (part + 1) * items / 10 - part * items / 10);
    struct cairn_map_iter entry =
        cairn_map_entries(Shelf_index, part * entries / 10, (part + 1) * entries / 10 - part * entries / 10);

    for (; cairn_list_next(&item); seen++)
        sum = mix(sum, item.entry);
    for (; cairn_map_next(&entry); seen++)
        sum = mix(mix(sum, entry.key), entry.value);
    cairn_result_int((int64_t)((sum ^ seen ^ items << 20 ^ entries << 40) >> 8));
}
