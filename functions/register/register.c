/* Registers and counters: the smallest objects, whose histories a checker of linearizability can judge. */
#include <cairn/guest.h>

CAIRN_MODULE(register);
CAIRN_TYPE(Register);
CAIRN_VALUE(Register, value);
CAIRN_TYPE(Counter);
CAIRN_VALUE(Counter, count);

/* A register holds an integer, 0 at first. */
CAIRN_METHOD(Register, get, CAIRN_PUBLIC, CAIRN_READ_ONLY, CAIRN_DETERMINISTIC)
{
    cairn_result_int(cairn_get_int(Register_value, 0));
}

/* Returns the old value. */
CAIRN_METHOD(Register, set, CAIRN_PUBLIC)
{
    cairn_result_int(cairn_get_int(Register_value, 0));
    cairn_set_int(Register_value, cairn_arg_int(0));
}

/* Returns the new value; wraps around. */
CAIRN_METHOD(Register, add, CAIRN_PUBLIC)
{
    int64_t value = (int64_t)((uint64_t)cairn_get_int(Register_value, 0) + (uint64_t)cairn_arg_int(0));

    cairn_set_int(Register_value, value);
    cairn_result_int(value);
}

/* cas(expected, new): 1 if the value was as expected and is new now. */
CAIRN_METHOD(Register, cas, CAIRN_PUBLIC)
{
    bool as_expected = cairn_get_int(Register_value, 0) == cairn_arg_int(0);

    if (as_expected)
        cairn_set_int(Register_value, cairn_arg_int(1));
    cairn_result_int(as_expected);
}

CAIRN_METHOD(Counter, get, CAIRN_PUBLIC, CAIRN_READ_ONLY, CAIRN_DETERMINISTIC)
{
    cairn_result_int(cairn_get_int(Counter_count, 0));
}

/* add([n]): adds n or 1, returns the new count. */
CAIRN_METHOD(Counter, add, CAIRN_PUBLIC)
{
    int64_t count = (int64_t)((uint64_t)cairn_get_int(Counter_count, 0) + (uint64_t)cairn_arg_int_or(0, 1));

    cairn_set_int(Counter_count, count);
    cairn_result_int(count);
}
