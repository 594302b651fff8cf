/* Methods that say what they may use at most, and one that says nothing where its type does, for method_limits_test. */
#include <cairn/guest.h>

CAIRN_MODULE(limited);

CAIRN_TYPE(Tight);
CAIRN_VALUE(Tight, text);
CAIRN_LIMITS(Tight, CAIRN_LIMIT_CPU(40), CAIRN_LIMIT_RESULT(2));

/* Of its type: the first says nothing. */
CAIRN_TYPE(Plain);
CAIRN_VALUE(Plain, text);
CAIRN_VALUE(Plain, count);

static void spin(void)
{
    for (volatile uint32_t i = 0;; i++)
        ;
}

static void result_of(uint32_t kib)
{
    cairn_result_bytes(cairn_bytes(cairn_alloc(kib << 10), (kib << 10) - 16));
}

static void hold(uint32_t kib)
{
    *(volatile uint8_t *)cairn_alloc(kib << 10) = 1;
    cairn_result_str("held");
}

static void write(struct cairn_value_field field, uint32_t kib)
{
    cairn_set(field, cairn_bytes(cairn_alloc(kib << 10), kib << 10));
}

/* Calls a number of objects: as many as the first argument says. */
static void call_many(const char *method)
{
    for (int64_t i = 0; i < cairn_arg_int(0); i++) {
        uint32_t call = cairn_call("Plain", cairn_str(cairn_text("o%lld", i)), method, 0);

        if (!cairn_wait(call).ok) {
            struct cairn_outcome outcome = cairn_outcome(call);

            cairn_fail(cairn_text("%b", outcome.code), cairn_text("%b", outcome.message));
            return;
        }
    }
    cairn_result_str("called");
}

CAIRN_METHOD(Tight, spin, CAIRN_PUBLIC)
{
    spin();
}
CAIRN_METHOD(Tight, spin_less, CAIRN_PUBLIC, CAIRN_LIMIT_CPU(10))
{
    spin();
}
CAIRN_METHOD(Tight, result, CAIRN_PUBLIC)
{
    result_of((uint32_t)cairn_arg_int(0));
}
CAIRN_METHOD(Tight, result_more, CAIRN_PUBLIC, CAIRN_LIMIT_RESULT(4))
{
    result_of((uint32_t)cairn_arg_int(0));
}

CAIRN_METHOD(Plain, spin, CAIRN_PUBLIC)
{
    spin();
}
CAIRN_METHOD(Plain, hold, CAIRN_PUBLIC, CAIRN_LIMIT_MEMORY(512))
{
    hold((uint32_t)cairn_arg_int(0));
}
/* The same on a stack of its own, from its wait on. */
CAIRN_METHOD(Plain, hold_waiting, CAIRN_PUBLIC, CAIRN_LIMIT_MEMORY(512))
{
    (void)cairn_wait(cairn_call("Plain", cairn_str("other"), "touch", 0));
    hold((uint32_t)cairn_arg_int(0));
}
CAIRN_METHOD(Plain, hold_waiting_freely, CAIRN_PUBLIC)
{
    (void)cairn_wait(cairn_call("Plain", cairn_str("other"), "touch", 0));
    hold((uint32_t)cairn_arg_int(0));
}
CAIRN_METHOD(Plain, hold_freely, CAIRN_PUBLIC)
{
    hold((uint32_t)cairn_arg_int(0));
}
CAIRN_METHOD(Plain, write, CAIRN_PUBLIC, CAIRN_LIMIT_WRITE_SET(16))
{
    write(Plain_text, (uint32_t)cairn_arg_int(0));
}
CAIRN_METHOD(Plain, touch, CAIRN_PUBLIC)
{
    cairn_set_int(Plain_count, cairn_get_int(Plain_count, 0) + 1);
}
CAIRN_METHOD(Plain, count, CAIRN_PUBLIC, CAIRN_READ_ONLY)
{
    cairn_result_int(cairn_get_int(Plain_count, 0));
}
CAIRN_METHOD(Plain, fill, CAIRN_INTERNAL)
{
    write(Plain_text, 3);
}
CAIRN_METHOD(Plain, calls, CAIRN_PUBLIC, CAIRN_LIMIT_CALLS(3))
{
    call_many("touch");
}
CAIRN_METHOD(Plain, all, CAIRN_PUBLIC, CAIRN_TRANSACTION, CAIRN_LIMIT_TRANSACTION_OBJECTS(4),
             CAIRN_LIMIT_TRANSACTION(16), CAIRN_LIMIT_TRANSACTION_TIME(50))
{
    call_many("touch");
}
CAIRN_METHOD(Plain, all_fill, CAIRN_PUBLIC, CAIRN_TRANSACTION, CAIRN_LIMIT_TRANSACTION(16))
{
    call_many("fill");
}
CAIRN_METHOD(Plain, all_long, CAIRN_PUBLIC, CAIRN_TRANSACTION, CAIRN_LIMIT_TRANSACTION_TIME(20))
{
    cairn_set_int(Plain_count, 1);
    (void)cairn_wait(cairn_call("Plain", cairn_str("slow"), "spin", 0));
    cairn_result_str("done");
}
CAIRN_METHOD(Plain, read, CAIRN_PUBLIC, CAIRN_DURABLE, CAIRN_LIMIT_JOURNAL(4))
{
    for (int64_t i = 0; i < cairn_arg_int(0); i++)
        (void)cairn_wait(cairn_call("Plain", cairn_str("x"), "touch", 0));
    cairn_result_str("read");
}
