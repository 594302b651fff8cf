/* plain.c - the least that an invocation can do, for bench_inprocess: read a value, write one, call another object. */
#include <cairn/guest.h>

CAIRN_MODULE(plain);
CAIRN_TYPE(Plain);
CAIRN_VALUE(Plain, content);

CAIRN_METHOD(Plain, set, CAIRN_PUBLIC)
{
    cairn_set(Plain_content, cairn_arg(0));
}

CAIRN_METHOD(Plain, get, CAIRN_PUBLIC, CAIRN_READ_ONLY, CAIRN_DETERMINISTIC)
{
    struct cairn_bytes content;

    if (cairn_get(Plain_content, &content))
        cairn_result_bytes(content);
}

/* Calls peek of the object that the first argument names as often as the second one says, one after the other. */
CAIRN_METHOD(Plain, relay, CAIRN_PUBLIC, CAIRN_READ_ONLY, CAIRN_DETERMINISTIC)
{
    struct cairn_bytes whom = cairn_arg(0);

    for (int64_t left = cairn_arg_int(1); left > 0; left--)
        cairn_wait(cairn_call("Plain", whom, "peek", 0));
}

CAIRN_METHOD(Plain, peek, CAIRN_INTERNAL, CAIRN_READ_ONLY, CAIRN_DETERMINISTIC)
{
    struct cairn_bytes content;

    if (cairn_get(Plain_content, &content))
        cairn_result_int(content.size);
}

/* The same with calls that write: first their own segment, then the called one's. */
CAIRN_METHOD(Plain, push, CAIRN_PUBLIC)
{
    struct cairn_bytes whom = cairn_arg(0);
    struct cairn_args args = {0};

    cairn_args_add(&args, cairn_self_id());
    for (int64_t left = cairn_arg_int(1); left > 0; left--) {
        cairn_set(Plain_content, whom);
        cairn_wait(cairn_call("Plain", whom, "take", &args));
    }
}

CAIRN_METHOD(Plain, take, CAIRN_INTERNAL)
{
    cairn_set(Plain_content, cairn_arg(0));
}
