/* Read-only methods that call each other, for direct_test: short ones, long ones, failing ones. */
#include <cairn/guest.h>

CAIRN_MODULE(reader);
CAIRN_TYPE(Reader);
CAIRN_VALUE(Reader, number);

static void spin(int64_t turns)
{
    for (volatile int64_t i = 0; i < turns; i++)
        ;
}

CAIRN_METHOD(Reader, set, CAIRN_PUBLIC)
{
    cairn_set_int(Reader_number, cairn_arg_int(0));
}

/* Holds its object for a while. */
CAIRN_METHOD(Reader, set_slowly, CAIRN_PUBLIC)
{
    cairn_set_int(Reader_number, cairn_arg_int(0));
    spin(3000000);
}

CAIRN_METHOD(Reader, get, CAIRN_PUBLIC, CAIRN_READ_ONLY)
{
    cairn_result_int(cairn_get_int(Reader_number, 0));
}

CAIRN_METHOD(Reader, get_slowly, CAIRN_PUBLIC, CAIRN_READ_ONLY)
{
    spin(3000000);
    cairn_result_int(cairn_get_int(Reader_number, 0));
}

CAIRN_METHOD(Reader, crash, CAIRN_PUBLIC, CAIRN_READ_ONLY)
{
    __builtin_trap();
}

CAIRN_METHOD(Reader, refuse, CAIRN_PUBLIC, CAIRN_READ_ONLY)
{
    cairn_fail("refused", "on purpose");
}

/* A result of 5,000 bytes. */
CAIRN_METHOD(Reader, large, CAIRN_PUBLIC, CAIRN_READ_ONLY)
{
    static uint8_t bytes[5000];

    cairn_result_bytes((struct cairn_bytes){bytes, sizeof bytes});
}

/* method, id ...: calls the method of each, waits for all, and returns what they returned. */
CAIRN_METHOD(Reader, each, CAIRN_PUBLIC, CAIRN_READ_ONLY)
{
    const char *method = cairn_text("%b", cairn_arg(0));
    uint32_t count = cairn_arg_count() - 1;
    struct cairn_pack pack = {0};

    for (uint32_t i = 0; i < count; i++)
        cairn_call("Reader", cairn_arg(1 + i), method, NULL);
    cairn_wait_all();
    cairn_pack_list(&pack, count);
    for (uint32_t i = 0; i < count; i++) {
        struct cairn_outcome outcome = cairn_outcome(i);

        if (outcome.ok)
            cairn_pack_value(&pack, outcome.value);
        else
            cairn_pack_error(&pack, outcome.code, outcome.message);
    }
    cairn_result_packed(cairn_packed(&pack));
}

/* method, id ...: calls one after the other, each only when the last has returned; the sum of the numbers. */
CAIRN_METHOD(Reader, sum, CAIRN_PUBLIC, CAIRN_READ_ONLY)
{
    const char *method = cairn_text("%b", cairn_arg(0));
    int64_t sum = 0;

    for (uint32_t i = 1; i < cairn_arg_count(); i++) {
        struct cairn_outcome outcome = cairn_wait(cairn_call("Reader", cairn_arg(i), method, NULL));
        struct cairn_unpack number = cairn_unpack(outcome.value);

        sum += cairn_unpack_int(&number);
    }
    cairn_result_int(sum);
}

/* id, n: n calls of get at once. */
CAIRN_METHOD(Reader, many, CAIRN_PUBLIC, CAIRN_READ_ONLY)
{
    for (int64_t left = cairn_arg_int(1); left > 0; left--)
        cairn_call("Reader", cairn_arg(0), "get", NULL);
    cairn_wait_all();
    cairn_result_packed(cairn_outcome((uint32_t)cairn_arg_int(1) - 1).value);
}

/* id, id: reads the first through the second, which waits for a call itself. */
CAIRN_METHOD(Reader, deep, CAIRN_PUBLIC, CAIRN_READ_ONLY)
{
    struct cairn_args args = {0};

    cairn_args_add(&args, cairn_str("get"));
    cairn_args_add(&args, cairn_arg(0));
    cairn_result_packed(cairn_wait(cairn_call("Reader", cairn_arg(1), "sum", &args)).value);
}
