/* What bench/fn_micro.c and the tests of fn/ run: the smallest methods that show a cost or a path. */
#include <cairn/guest.h>

CAIRN_MODULE(micro);
CAIRN_TYPE(Micro);
CAIRN_VALUE(Micro, value);
CAIRN_LIST(Micro, list);

CAIRN_METHOD(Micro, nothing, CAIRN_PUBLIC)
{
}

/* Six host calls: arguments, a read, two writes, a count, a result. */
CAIRN_METHOD(Micro, leaf, CAIRN_PUBLIC)
{
    struct cairn_bytes arg = cairn_arg(0), old;

    if (cairn_get(Micro_value, &old))
        cairn_list_push(Micro_list, old);
    cairn_set(Micro_value, arg);
    cairn_result_int((int64_t)cairn_list_count(Micro_list));
}

CAIRN_METHOD(Micro, one_wait, CAIRN_PUBLIC)
{
    struct cairn_args args = {0};

    cairn_args_add(&args, cairn_self_id());
    cairn_set(Micro_value, cairn_arg(0));
    cairn_wait(cairn_call("Micro", cairn_str("other"), "nothing", &args));
    cairn_result_int(1);
}

/* Memory grows, so the instance is made anew every time. */
CAIRN_METHOD(Micro, grows, CAIRN_PUBLIC)
{
    uint8_t *memory = cairn_alloc(100000);

    memory[99999] = 1;
    cairn_result_int(memory[99999]);
}
