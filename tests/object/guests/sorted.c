/* sorted.c - all that can be done with an ordered map, for tests/object/ordered_test.c and the simulator. */
#include <cairn/guest.h>

CAIRN_MODULE(sorted);
CAIRN_TYPE(Sorted);
CAIRN_ORDERED(Sorted, map);
CAIRN_ORDERED(Sorted, other);
CAIRN_VALUE(Sorted, value);

/* set KEY VALUE ...: entries that there are. */
CAIRN_METHOD(Sorted, set, CAIRN_PUBLIC)
{
    for (uint32_t i = 0; i + 1 < cairn_arg_count(); i += 2)
        cairn_ordered_set(Sorted_map, cairn_arg(i), cairn_arg(i + 1));
    cairn_result_int((int64_t)cairn_ordered_count(Sorted_map));
}

CAIRN_METHOD(Sorted, get, CAIRN_PUBLIC, CAIRN_READ_ONLY)
{
    struct cairn_bytes value;

    if (cairn_ordered_get(Sorted_map, cairn_arg(0), &value))
        cairn_result_bytes(value);
}

CAIRN_METHOD(Sorted, remove, CAIRN_PUBLIC)
{
    int64_t removed = 0;

    for (uint32_t i = 0; i < cairn_arg_count(); i++)
        removed += cairn_ordered_remove(Sorted_map, cairn_arg(i));
    cairn_result_int(removed);
}

CAIRN_METHOD(Sorted, count, CAIRN_PUBLIC, CAIRN_READ_ONLY)
{
    cairn_result_int((int64_t)cairn_ordered_count(Sorted_map));
}

CAIRN_METHOD(Sorted, rank, CAIRN_PUBLIC, CAIRN_READ_ONLY)
{
    cairn_result_int((int64_t)cairn_ordered_rank(Sorted_map, cairn_arg(0)));
}

CAIRN_METHOD(Sorted, count_range, CAIRN_PUBLIC, CAIRN_READ_ONLY)
{
    cairn_result_int((int64_t)cairn_ordered_count_range(Sorted_map, cairn_arg(0), cairn_arg(1)));
}

static void result_entries(struct cairn_ordered_iter it)
{
    struct cairn_pack members = {0}, list = {0};
    uint32_t count = 0;

    for (; cairn_ordered_next(&it); count++) {
        cairn_pack_bytes(&members, it.key);
        cairn_pack_bytes(&members, it.value);
    }
    cairn_pack_list(&list, 2 * count);
    cairn_pack_value(&list, cairn_packed(&members));
    cairn_result_packed(cairn_packed(&list));
}

/* walk HOW COUNT [KEY [KEY]]: keys and values. */
CAIRN_METHOD(Sorted, walk, CAIRN_PUBLIC, CAIRN_READ_ONLY)
{
    struct cairn_bytes how = cairn_arg(0);
    uint64_t count = (uint64_t)cairn_arg_int(1);

    if (cairn_equal(how, cairn_str("up")))
        result_entries(cairn_ordered_upward(Sorted_map, count));
    else if (cairn_equal(how, cairn_str("down")))
        result_entries(cairn_ordered_downward(Sorted_map, count));
    else if (cairn_equal(how, cairn_str("range")))
        result_entries(cairn_ordered_range(Sorted_map, cairn_arg(2), cairn_arg(3), count));
    else if (cairn_equal(how, cairn_str("range_down")))
        result_entries(cairn_ordered_range_down(Sorted_map, cairn_arg(2), cairn_arg(3), count));
    else if (cairn_equal(how, cairn_str("from")))
        result_entries(cairn_ordered_from(Sorted_map, cairn_arg(2), count));
    else if (cairn_equal(how, cairn_str("behind")))
        result_entries(cairn_ordered_behind(Sorted_map, cairn_arg(2), count));
    else if (cairn_equal(how, cairn_str("down_from")))
        result_entries(cairn_ordered_down_from(Sorted_map, cairn_arg(2), count));
    else if (cairn_equal(how, cairn_str("before")))
        result_entries(cairn_ordered_before(Sorted_map, cairn_arg(2), count));
    else if (cairn_equal(how, cairn_str("prefix")))
        result_entries(cairn_ordered_prefix(Sorted_map, cairn_arg(2), count));
    else if (cairn_equal(how, cairn_str("place")))
        result_entries(cairn_ordered_from_place(Sorted_map, (uint64_t)cairn_arg_int(2), count));
    else if (cairn_equal(how, cairn_str("down_place")))
        result_entries(cairn_ordered_down_from_place(Sorted_map, (uint64_t)cairn_arg_int(2), count));
}

/* ends: the first and the last key. */
CAIRN_METHOD(Sorted, ends, CAIRN_PUBLIC, CAIRN_READ_ONLY)
{
    struct cairn_bytes key = {0}, value;
    struct cairn_pack pack = {0};

    cairn_pack_list(&pack, 2);
    for (int i = 0; i < 2; i++)
        if (i ? cairn_ordered_last(Sorted_map, &key, &value) : cairn_ordered_first(Sorted_map, &key, &value))
            cairn_pack_bytes(&pack, key);
        else
            cairn_pack_nil(&pack);
    cairn_result_packed(cairn_packed(&pack));
}

static struct cairn_bytes numbered(int64_t n)
{
    struct cairn_key key = {0};

    cairn_key_int(&key, n);
    return cairn_key(&key);
}

/* fill FIRST END STEP: keys that are numbers; the value is the number's text. */
CAIRN_METHOD(Sorted, fill, CAIRN_PUBLIC)
{
    for (int64_t n = cairn_arg_int(0); n < cairn_arg_int(1); n += cairn_arg_int(2))
        cairn_ordered_set(Sorted_map, numbered(n), cairn_str(cairn_text("%lld", (long long)n)));
    cairn_result_int((int64_t)cairn_ordered_count(Sorted_map));
}

/* drain COUNT: so many of the last. */
CAIRN_METHOD(Sorted, drain, CAIRN_PUBLIC)
{
    struct cairn_ordered_iter it = cairn_ordered_downward(Sorted_map, (uint64_t)cairn_arg_int(0));

    while (cairn_ordered_next(&it))
        cairn_ordered_remove(Sorted_map, it.key);
    cairn_result_int((int64_t)cairn_ordered_count(Sorted_map));
}

/* Behind fill: how many there are, the sum of their numbers, and how many stand at their place and have their value. */
CAIRN_METHOD(Sorted, sum, CAIRN_PUBLIC, CAIRN_READ_ONLY)
{
    struct cairn_ordered_iter it = cairn_ordered_upward(Sorted_map, UINT64_MAX);
    struct cairn_pack pack = {0};
    int64_t count = 0, sum = 0, right = 0;

    for (; cairn_ordered_next(&it); count++) {
        struct cairn_unkey key = cairn_unkey(it.key);
        int64_t number = cairn_unkey_int(&key), value = -1;

        cairn_parse_int(it.value, &value);
        sum += number;
        right += value == number && cairn_ordered_rank(Sorted_map, it.key) == (uint64_t)count;
    }
    cairn_pack_list(&pack, 3);
    cairn_pack_int(&pack, count);
    cairn_pack_int(&pack, sum);
    cairn_pack_int(&pack, right);
    cairn_result_packed(cairn_packed(&pack));
}

/* Behind fill: at the first entry it removes what is at `gone` and sets `fresh`; how many came, and their sum. */
CAIRN_METHOD(Sorted, sweep, CAIRN_PUBLIC)
{
    bool down = cairn_arg_int(0) != 0;
    struct cairn_ordered_iter it =
        down ? cairn_ordered_downward(Sorted_map, UINT64_MAX) : cairn_ordered_upward(Sorted_map, UINT64_MAX);
    int64_t count = 0, sum = 0;
    struct cairn_pack pack = {0};

    for (; cairn_ordered_next(&it); count++) {
        struct cairn_unkey key = cairn_unkey(it.key);

        sum += cairn_unkey_int(&key);
        if (count == 0) {
            cairn_ordered_remove(Sorted_map, numbered(cairn_arg_int(1)));
            cairn_ordered_set(Sorted_map, numbered(cairn_arg_int(2)), cairn_str("new"));
        }
        cairn_ordered_remove(Sorted_map, it.key); /* what has been passed */
    }
    cairn_pack_list(&pack, 3);
    cairn_pack_int(&pack, count);
    cairn_pack_int(&pack, sum);
    cairn_pack_int(&pack, (int64_t)cairn_ordered_count(Sorted_map));
    cairn_result_packed(cairn_packed(&pack));
}

static double double_arg(uint32_t i)
{
    double number;
    uint64_t bits = (uint64_t)cairn_arg_int(i);

    memcpy(&number, &bits, sizeof number);
    return number;
}

/* An argument of "0" and other characters, with 00 for each "0". */
static struct cairn_bytes zeros_arg(uint32_t i)
{
    struct cairn_bytes text = cairn_arg(i);
    uint8_t *to = cairn_alloc(text.size);

    for (uint32_t n = 0; n < text.size; n++)
        to[n] = text.data[n] == '0' ? 0 : text.data[n];
    return cairn_bytes(to, text.size);
}

static bool same_number(double a, double b)
{
    return a == b || (a != a && b != b);
}

/* Adds part `i` of the kind to the key; the same is read from `unkey` if there is one: false if it is another. */
static bool part(struct cairn_bytes kind, bool down, uint32_t i, struct cairn_key *key, struct cairn_unkey *unkey)
{
    if (down && key)
        cairn_key_down(key);
    if (down && unkey)
        cairn_unkey_down(unkey);
    if (cairn_equal(kind, cairn_str("int"))) {
        if (key)
            cairn_key_int(key, cairn_arg_int(i));
        return !unkey || cairn_unkey_int(unkey) == cairn_arg_int(i);
    }
    if (cairn_equal(kind, cairn_str("uint"))) {
        if (key)
            cairn_key_uint(key, (uint64_t)cairn_arg_int(i));
        return !unkey || cairn_unkey_uint(unkey) == (uint64_t)cairn_arg_int(i);
    }
    if (cairn_equal(kind, cairn_str("double"))) {
        if (key)
            cairn_key_double(key, double_arg(i));
        return !unkey || same_number(cairn_unkey_double(unkey), double_arg(i));
    }
    if (cairn_equal(kind, cairn_str("bytes"))) {
        if (key)
            cairn_key_bytes(key, cairn_arg(i));
        return !unkey || cairn_equal(cairn_unkey_bytes(unkey), cairn_arg(i));
    }
    if (cairn_equal(kind, cairn_str("zeros"))) {
        if (key)
            cairn_key_bytes(key, zeros_arg(i));
        return !unkey || cairn_equal(cairn_unkey_bytes(unkey), zeros_arg(i));
    }
    return false;
}

/* order KIND DOWN A1 A2 B1 B2: how the key of A1, A2 compares to that of B1, B2, the first part in descending order if
 * DOWN; "broken" if one of the keys does not read back as it was made. */
CAIRN_METHOD(Sorted, order, CAIRN_PUBLIC, CAIRN_READ_ONLY)
{
    struct cairn_key keys[2] = {{{0, 0, 0}, false}, {{0, 0, 0}, false}};
    bool good = true;
    int order;

    for (uint32_t k = 0; k < 2; k++) {
        struct cairn_unkey unkey;

        for (uint32_t i = 0; i < 2; i++)
            good &= part(cairn_arg(0), cairn_arg_int(1) && i == 0, 2 + 2 * k + i, &keys[k], 0);
        unkey = cairn_unkey(cairn_key(&keys[k]));
        for (uint32_t i = 0; i < 2; i++)
            good &= part(cairn_arg(0), cairn_arg_int(1) && i == 0, 2 + 2 * k + i, 0, &unkey);
        good &= !unkey.bad && cairn_unkey_rest(&unkey).size == 0;
        cairn_unkey_int(&unkey);
        good &= unkey.bad;
    }
    order = cairn_compare(cairn_key(&keys[0]), cairn_key(&keys[1]));
    if (good)
        cairn_result_int(order < 0 ? -1 : order > 0);
    else
        cairn_result_str("broken");
}

/* --- what is not allowed --- */

CAIRN_METHOD(Sorted, wrong_kind, CAIRN_PUBLIC)
{
    cairn_host_ordered_count(Sorted_value.number);
}

CAIRN_METHOD(Sorted, wrong_flags, CAIRN_PUBLIC)
{
    cairn_host_ordered_read(Sorted_map.number, 0, 0, 0, 0, (uint32_t)cairn_arg_int(0), 1, 0, 0);
}

CAIRN_METHOD(Sorted, wrong_pointer, CAIRN_PUBLIC)
{
    cairn_host_ordered_read(Sorted_map.number, (void *)0x7fffffff, 5, 0, 0, 0, 1, 0, 0);
}

CAIRN_METHOD(Sorted, set_reading, CAIRN_PUBLIC, CAIRN_READ_ONLY)
{
    cairn_ordered_set(Sorted_map, cairn_arg(0), cairn_arg(1));
}

CAIRN_METHOD(Sorted, remove_reading, CAIRN_PUBLIC, CAIRN_READ_ONLY)
{
    cairn_ordered_remove(Sorted_map, cairn_arg(0));
}

/* long BYTES: a key of so many. */
CAIRN_METHOD(Sorted, long_key, CAIRN_PUBLIC)
{
    uint32_t size = (uint32_t)cairn_arg_int(0);
    uint8_t *key = cairn_alloc(size);

    memset(key, 'k', size);
    cairn_ordered_set(Sorted_map, cairn_bytes(key, size), cairn_str("long"));
    cairn_result_int((int64_t)cairn_ordered_rank(Sorted_map, cairn_bytes(key, size)));
}

/* Changes, and then fails: nothing of it may stay. */
CAIRN_METHOD(Sorted, fill_and_fail, CAIRN_PUBLIC)
{
    for (int64_t n = 0; n < 300; n++)
        cairn_ordered_set(Sorted_map, numbered(n), cairn_str(""));
    cairn_fail("no", "on purpose");
}

CAIRN_METHOD(Sorted, remove_self, CAIRN_PUBLIC)
{
    cairn_delete_self();
    cairn_ordered_set(Sorted_map, cairn_str("after"), cairn_str("1"));
}

CAIRN_METHOD(Sorted, set_other, CAIRN_PUBLIC)
{
    cairn_ordered_set(Sorted_other, cairn_arg(0), cairn_arg(1));
    cairn_result_int((int64_t)cairn_ordered_count(Sorted_other));
}
