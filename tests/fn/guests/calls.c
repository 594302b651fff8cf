/* Every host call, through guest.h; the results are compared by tests/fn/calls_test.c. */
#include <cairn/guest.h>

CAIRN_MODULE(calls);
CAIRN_TYPE(Calls);
CAIRN_VALUE(Calls, value);
CAIRN_LIST(Calls, list);
CAIRN_MAP(Calls, map);
CAIRN_VALUE(Calls, number);

static struct cairn_pack out;

/* All arguments, as a list. */
CAIRN_METHOD(Calls, args, CAIRN_PUBLIC)
{
    uint32_t count = cairn_arg_count();

    cairn_pack_list(&out, count);
    for (uint32_t i = 0; i < count; i++)
        cairn_pack_bytes(&out, cairn_arg(i));
    cairn_result_packed(cairn_packed(&out));
}

CAIRN_METHOD(Calls, ints, CAIRN_PUBLIC)
{
    cairn_pack_list(&out, 2);
    cairn_pack_int(&out, cairn_arg_int(0));
    cairn_pack_int(&out, cairn_arg_int_or(1, -7));
    cairn_result_packed(cairn_packed(&out));
}

CAIRN_METHOD(Calls, who, CAIRN_PUBLIC)
{
    struct cairn_bytes type, id, key;

    cairn_pack_list(&out, 2);
    cairn_pack_object(&out, cairn_self_type(), cairn_self_id());
    if (cairn_request_key(&key))
        cairn_pack_bytes(&out, key);
    else if (cairn_caller(&type, &id))
        cairn_pack_object(&out, type, id);
    else
        cairn_pack_nil(&out);
    cairn_result_packed(cairn_packed(&out));
}

CAIRN_METHOD(Calls, result, CAIRN_PUBLIC)
{
    switch (cairn_arg_int(0)) {
    case 0:
        break;
    case 1:
        cairn_result_int(1);
        cairn_result_nil();
        break;
    case 2:
        cairn_result_int(INT64_MIN);
        break;
    case 3:
        cairn_result_str("text");
        break;
    case 4:
        cairn_pack_list(&out, 3);
        cairn_pack_nil(&out);
        cairn_pack_list(&out, 0);
        cairn_pack_error(&out, cairn_str("code"), cairn_str("message"));
        cairn_result_packed(cairn_packed(&out));
        break;
    }
}

CAIRN_METHOD(Calls, fail, CAIRN_PUBLIC)
{
    cairn_set(Calls_value, cairn_arg(0));
    cairn_fail("refused", cairn_text("%b is not wanted", cairn_arg(0)));
}

static void __attribute__((noinline)) deep(int depth)
{
    if (depth > 0)
        deep(depth - 1);
    cairn_fail("deep", "ended below");
    cairn_exit();
}

CAIRN_METHOD(Calls, fail_below, CAIRN_PUBLIC)
{
    deep(20);
    cairn_fail("wrong", "went on after exit");
}

CAIRN_METHOD(Calls, values, CAIRN_PUBLIC)
{
    struct cairn_bytes value;
    bool found = cairn_get(Calls_value, &value);

    cairn_pack_list(&out, 5);
    cairn_pack_int(&out, found);
    cairn_set(Calls_value, cairn_arg(0));
    if (cairn_get(Calls_value, &value))
        cairn_pack_bytes(&out, value);
    cairn_clear(Calls_value);
    cairn_pack_int(&out, cairn_get(Calls_value, &value));
    cairn_pack_int(&out, cairn_get_int(Calls_number, 40));
    cairn_set_int(Calls_number, cairn_get_int(Calls_number, 40) + 2);
    cairn_pack_int(&out, cairn_get_int(Calls_number, 0));
    cairn_set(Calls_value, cairn_arg(0));
    cairn_result_packed(cairn_packed(&out));
}

CAIRN_METHOD(Calls, lists, CAIRN_PUBLIC)
{
    struct cairn_bytes entry;
    struct cairn_list_iter it;

    for (int64_t i = 0; i < 6; i++)
        cairn_list_push(Calls_list, cairn_str(cairn_text("e%lld", i)));
    cairn_pack_list(&out, 14);
    cairn_pack_int(&out, (int64_t)cairn_list_count(Calls_list));           /* 6 */
    cairn_pack_int(&out, cairn_list_get(Calls_list, 2, &entry));           /* 1 */
    cairn_pack_bytes(&out, entry);                                         /* e2 */
    cairn_pack_int(&out, cairn_list_get(Calls_list, 6, &entry));           /* 0 */
    cairn_pack_int(&out, cairn_list_set(Calls_list, 2, cairn_str("new"))); /* 1 */
    cairn_pack_int(&out, cairn_list_set(Calls_list, 6, cairn_str("new"))); /* 0 */
    cairn_pack_int(&out, (int64_t)cairn_list_drop_oldest(Calls_list, 1));  /* 1: e1 new e3 e4 e5 */
    cairn_pack_int(&out, (int64_t)cairn_list_drop_newest(Calls_list, 1));  /* 1: e1 new e3 e4 */
    for (it = cairn_list_oldest(Calls_list, 1, 2); cairn_list_next(&it);)  /* new e3 */
        cairn_pack_bytes(&out, it.entry);
    for (it = cairn_list_newest(Calls_list, 1, UINT64_MAX); cairn_list_next(&it);) /* e3 new e1 */
        cairn_pack_bytes(&out, it.entry);
    cairn_pack_int(&out, (int64_t)cairn_list_drop_oldest(Calls_list, 100)); /* 4 */
    cairn_result_packed(cairn_packed(&out));
}

/* `count` entries of `size` bytes each, written, then read back both ways and checked. */
CAIRN_METHOD(Calls, long_list, CAIRN_PUBLIC)
{
    int64_t count = cairn_arg_int(0), seen = 0, wrong = 0;
    uint32_t size = (uint32_t)cairn_arg_int(1);
    uint8_t *entry = cairn_alloc(size);
    struct cairn_list_iter it;

    for (int64_t i = 0; i < count; i++) {
        memset(entry, (int)(i % 251), size);
        cairn_list_push(Calls_list, cairn_bytes(entry, size));
    }
    for (it = cairn_list_oldest(Calls_list, 0, UINT64_MAX); cairn_list_next(&it); seen++)
        wrong += it.entry.size != size || it.entry.data[0] != seen % 251 || it.entry.data[size - 1] != seen % 251;
    for (it = cairn_list_newest(Calls_list, 0, UINT64_MAX); cairn_list_next(&it);) {
        seen--;
        wrong += it.entry.size != size || it.entry.data[size / 2] != seen % 251;
    }
    cairn_result_int(wrong + (seen != 0) * 1000000);
}

CAIRN_METHOD(Calls, newest, CAIRN_PUBLIC, CAIRN_READ_ONLY)
{
    cairn_result_newest(Calls_list, (uint64_t)cairn_arg_int(0), (uint32_t)cairn_arg_int(1));
}

CAIRN_METHOD(Calls, push_value, CAIRN_PUBLIC)
{
    cairn_pack_bytes(&out, cairn_arg(0));
    cairn_list_push(Calls_list, cairn_packed(&out));
}

CAIRN_METHOD(Calls, maps, CAIRN_PUBLIC)
{
    struct cairn_bytes value;
    struct cairn_map_iter it;

    cairn_map_set(Calls_map, cairn_str("a"), cairn_str("1"));
    cairn_map_set(Calls_map, cairn_str("b"), cairn_str("2"));
    cairn_map_set(Calls_map, cairn_str(""), cairn_str(""));
    cairn_map_set(Calls_map, cairn_str("a"), cairn_str("3"));
    cairn_pack_list(&out, 14);
    cairn_pack_int(&out, (int64_t)cairn_map_count(Calls_map));              /* 3 */
    cairn_pack_int(&out, cairn_map_get(Calls_map, cairn_str("a"), &value)); /* 1 */
    cairn_pack_bytes(&out, value);                                          /* 3 */
    cairn_pack_int(&out, cairn_map_get(Calls_map, cairn_str("c"), &value)); /* 0 */
    cairn_pack_int(&out, cairn_map_has(Calls_map, cairn_str("b")));         /* 1 */
    cairn_pack_int(&out, cairn_map_has(Calls_map, cairn_str("c")));         /* 0 */
    for (it = cairn_map_entries(Calls_map, 0, UINT64_MAX); cairn_map_next(&it);) {
        cairn_pack_bytes(&out, it.key);
        cairn_pack_bytes(&out, it.value);
    }
    cairn_pack_int(&out, cairn_map_remove(Calls_map, cairn_str("b"))); /* 1 */
    cairn_pack_int(&out, cairn_map_remove(Calls_map, cairn_str("b"))); /* 0 */
    cairn_result_packed(cairn_packed(&out));
}

CAIRN_METHOD(Calls, long_map, CAIRN_PUBLIC)
{
    int64_t count = cairn_arg_int(0), seen = 0, wrong = 0;
    struct cairn_map_iter it;

    for (int64_t i = 0; i < count; i++)
        cairn_map_set(Calls_map, cairn_bytes(&i, sizeof i), cairn_str(cairn_text("value of %lld", i)));
    for (it = cairn_map_entries(Calls_map, 0, UINT64_MAX); cairn_map_next(&it); seen++) {
        int64_t i;

        wrong += it.key.size != sizeof i;
        memcpy(&i, it.key.data, sizeof i);
        wrong += !cairn_equal(it.value, cairn_str(cairn_text("value of %lld", i)));
    }
    cairn_result_int(wrong + (seen != count) * 1000000);
}

CAIRN_METHOD(Calls, time_and_chance, CAIRN_PUBLIC)
{
    uint64_t a = cairn_random(), b = cairn_random();

    cairn_pack_list(&out, 2);
    cairn_pack_int(&out, cairn_now());
    cairn_pack_int(&out, a != b);
    cairn_result_packed(cairn_packed(&out));
}

/* The bits of a NaN that arithmetic makes: the same on every machine. */
CAIRN_METHOD(Calls, not_a_number, CAIRN_PUBLIC)
{
    volatile float zero = 0;
    volatile double wide = 0;
    float a = zero / zero;
    double b = wide / wide;
    uint32_t a_bits;
    uint64_t b_bits;

    memcpy(&a_bits, &a, sizeof a);
    memcpy(&b_bits, &b, sizeof b);
    cairn_pack_list(&out, 2);
    cairn_pack_int(&out, a_bits);
    cairn_pack_int(&out, (int64_t)b_bits);
    cairn_result_packed(cairn_packed(&out));
}

CAIRN_METHOD(Calls, logs, CAIRN_PUBLIC)
{
    cairn_log(CAIRN_WARNING, "%d %u %x %lld %llu %llx %s %b %% %q", -1, 4294967295u, 0xbeefu, (long long)INT64_MIN,
              (unsigned long long)UINT64_MAX, 0x123456789abcull, "text", cairn_str("bytes"));
    cairn_log(CAIRN_DEBUG, "second");
}

CAIRN_METHOD(Calls, delete, CAIRN_PUBLIC)
{
    cairn_delete_self();
}

CAIRN_METHOD(Calls, undo, CAIRN_PUBLIC)
{
    cairn_undo();
}

CAIRN_METHOD(Calls, call_one, CAIRN_PUBLIC)
{
    struct cairn_args args = {0};
    struct cairn_outcome outcome;
    uint32_t call;

    cairn_args_add(&args, cairn_str("first"));
    cairn_args_add_int(&args, -12);
    call = cairn_call("Calls", cairn_str("other"), "args", &args);
    cairn_set(Calls_value, cairn_str("before"));
    cairn_pack_list(&out, 4);
    cairn_pack_int(&out, cairn_ready(call));
    outcome = cairn_wait(call);
    cairn_pack_int(&out, cairn_ready(call));
    cairn_pack_int(&out, outcome.ok);
    if (outcome.ok)
        cairn_pack_value(&out, outcome.value);
    else
        cairn_pack_error(&out, outcome.code, outcome.message);
    cairn_result_packed(cairn_packed(&out));
}

/* Calls n others and says which of them failed. */
CAIRN_METHOD(Calls, fan_out, CAIRN_PUBLIC)
{
    uint32_t n = (uint32_t)cairn_arg_int(0), failed = 0;

    for (uint32_t i = 0; i < n; i++)
        cairn_call("Calls", cairn_str(cairn_text("%u", i)), "args", 0);
    cairn_wait_all();
    for (uint32_t i = 0; i < n; i++)
        if (!cairn_outcome(i).ok)
            failed++;
    cairn_result_int(failed);
}

/* Waits one after the other: many segments. */
CAIRN_METHOD(Calls, chain, CAIRN_PUBLIC)
{
    int64_t n = cairn_arg_int(0);

    for (int64_t i = 0; i < n; i++)
        if (!cairn_wait(cairn_call("Calls", cairn_str("next"), "args", 0)).ok)
            cairn_fail("broken", "a link failed");
    cairn_result_int(n);
}

CAIRN_METHOD(Calls, unpack, CAIRN_PUBLIC)
{
    struct cairn_unpack u = cairn_unpack(cairn_arg(0));
    uint32_t count = cairn_unpack_list(&u);
    struct cairn_bytes type, id, whole;
    int64_t i = cairn_unpack_int(&u);
    struct cairn_bytes bytes = cairn_unpack_bytes(&u);

    cairn_unpack_object(&u, &type, &id);
    whole = cairn_unpack_value(&u);
    cairn_pack_list(&out, 7);
    cairn_pack_int(&out, u.bad || u.at != u.end);
    cairn_pack_int(&out, count);
    cairn_pack_int(&out, i);
    cairn_pack_bytes(&out, bytes);
    cairn_pack_bytes(&out, type);
    cairn_pack_bytes(&out, id);
    cairn_pack_bytes(&out, whole);
    cairn_result_packed(cairn_packed(&out));
}

/* The C library's functions that clang calls by itself. */
CAIRN_METHOD(Calls, memory_functions, CAIRN_PUBLIC)
{
    enum { SIZE = 300 };
    uint8_t *a = cairn_alloc(SIZE), *b = cairn_alloc(SIZE);
    int64_t wrong = 0;

    for (uint32_t size = 0; size < 100; size++)
        for (uint32_t from = 0; from < 20; from++)
            for (uint32_t to = 0; to < 40; to += 3) {
                for (uint32_t i = 0; i < SIZE; i++)
                    a[i] = b[i] = (uint8_t)(i * 7 + size);
                memmove(a + to, a + from, size);
                for (uint32_t i = 0; i < SIZE; i++) {
                    uint8_t want = (uint8_t)((i >= to && i < to + size ? i - to + from : i) * 7 + size);

                    wrong += a[i] != want;
                }
                memcpy(a, b, SIZE);
                wrong += memcmp(a, b, SIZE) != 0;
                a[from + size] ^= 0x80;
                wrong += (memcmp(a, b, SIZE) < 0) != (a[from + size] < b[from + size]);
                memset(a + from, 0xab, size);
                wrong += size > 0 && (a[from] != 0xab || a[from + size - 1] != 0xab);
                wrong += a[from + size] == 0xab && b[from + size] != (0xab ^ 0x80);
            }
    cairn_result_int(wrong + (strlen("four") != 4) * 1000000);
}

/* Products that do and do not fit: clang makes calls of them, too. */
CAIRN_METHOD(Calls, products, CAIRN_PUBLIC)
{
    static const struct {
        int64_t a, b, low;
        bool overflow;
    } cases[] = {
        {0, INT64_MIN, 0, false},
        {1, INT64_MIN, INT64_MIN, false},
        {-1, INT64_MIN, INT64_MIN, true},
        {-1, INT64_MAX, -INT64_MAX, false},
        {2, INT64_MAX, -2, true},
        {INT64_MIN, INT64_MIN, 0, true},
        {3037000499, 3037000499, 9223372030926249001, false},
        {3037000500, 3037000500, -9223372036709301616, true},
        {-3037000500, 3037000500, 9223372036709301616, true},
        {4294967296, 2147483648, INT64_MIN, true},
        {-4294967296, 2147483648, INT64_MIN, false},
        {0x123456789abcdef, 0x40, 5247073869855161280, false},
        {0x123456789abcdef, 0x80, -7952596333999229056, true},
    };
    int64_t wrong = 0;

    for (uint32_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        for (uint32_t turn = 0; turn < 2; turn++) {
            volatile int64_t a = turn ? cases[i].b : cases[i].a, b = turn ? cases[i].a : cases[i].b;
            int64_t product;

            wrong += __builtin_mul_overflow(a, b, &product) != cases[i].overflow || product != cases[i].low;
        }
    cairn_result_int(wrong);
}

/* bytes, and bytes after the wait: touches so many, waits for a call, touches more. */
CAIRN_METHOD(Calls, hold, CAIRN_PUBLIC)
{
    uint32_t before = (uint32_t)cairn_arg_int(0), after = (uint32_t)cairn_arg_int(1);
    uint32_t call = cairn_call("Type", cairn_str("id"), "method", NULL);

    memset(cairn_alloc(before), 1, before);
    cairn_wait(call);
    memset(cairn_alloc(after), 1, after);
    cairn_result_int(1);
}
