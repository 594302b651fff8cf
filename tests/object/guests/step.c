/* A module whose methods fail in every place: before anything is committed, and between two segments. */
#include <cairn/guest.h>

CAIRN_MODULE(step);
CAIRN_TYPE(Step);
CAIRN_VALUE(Step, count);
CAIRN_LIST(Step, bulk);

static void add(void)
{
    cairn_set_int(Step_count, cairn_get_int(Step_count, 0) + 1);
}

static void push(int64_t bytes)
{
    uint8_t *filler = cairn_alloc((uint32_t)bytes);

    memset(filler, 'y', (size_t)bytes);
    cairn_list_push(Step_bulk, cairn_bytes(filler, (uint32_t)bytes));
}

CAIRN_METHOD(Step, count, CAIRN_PUBLIC, CAIRN_READ_ONLY)
{
    cairn_result_int(cairn_get_int(Step_count, 0));
}

/* bytes: one segment. */
CAIRN_METHOD(Step, write, CAIRN_PUBLIC)
{
    add();
    push(cairn_arg_int(0));
}

static void result_of(int64_t bytes)
{
    uint8_t *filler = cairn_alloc((uint32_t)bytes);

    memset(filler, 'z', (size_t)bytes);
    cairn_result_bytes(cairn_bytes(filler, (uint32_t)bytes));
}

/* bytes: counts, and returns so many. */
CAIRN_METHOD(Step, count_large, CAIRN_PUBLIC)
{
    add();
    result_of(cairn_arg_int(0));
}

/* bytes: returns so many. */
CAIRN_METHOD(Step, look_large, CAIRN_PUBLIC, CAIRN_READ_ONLY)
{
    result_of(cairn_arg_int(0));
}

/* bytes: a small segment, and one of so many. */
CAIRN_METHOD(Step, two, CAIRN_PUBLIC)
{
    add();
    cairn_wait(cairn_call("Step", cairn_str("other"), "count", NULL));
    push(cairn_arg_int(0));
}

/* bytes: a segment that writes nothing, and one of so many. */
CAIRN_METHOD(Step, read_first, CAIRN_PUBLIC)
{
    cairn_wait(cairn_call("Step", cairn_str("other"), "count", NULL));
    add();
    push(cairn_arg_int(0));
}

/* id, bytes there, bytes here: what another object has written stays, too; its error is handed on. */
CAIRN_METHOD(Step, through, CAIRN_PUBLIC)
{
    struct cairn_args args = {0};
    struct cairn_outcome o;

    cairn_args_add(&args, cairn_arg(1));
    o = cairn_wait(cairn_call("Step", cairn_arg(0), "write", &args));
    if (!o.ok) {
        cairn_fail(cairn_text("%b", o.code), cairn_text("%b", o.message));
        return;
    }
    add();
    push(cairn_arg_int(2));
}

/* bytes: returns while its call is still out. */
CAIRN_METHOD(Step, leaves, CAIRN_PUBLIC)
{
    struct cairn_args args = {0};

    add();
    cairn_args_add(&args, cairn_arg(0));
    cairn_call("Step", cairn_str("other"), "write", &args);
}

CAIRN_METHOD(Step, trap, CAIRN_PUBLIC)
{
    add();
    __builtin_trap();
}

CAIRN_METHOD(Step, trap_later, CAIRN_PUBLIC)
{
    add();
    cairn_wait(cairn_call("Step", cairn_str("other"), "count", NULL));
    __builtin_trap();
}

/* bytes, loops: writes, and then goes on for a while. */
CAIRN_METHOD(Step, burn, CAIRN_PUBLIC)
{
    volatile uint32_t n = (uint32_t)cairn_arg_int(1);

    push(cairn_arg_int(0));
    while (n)
        n--;
}
