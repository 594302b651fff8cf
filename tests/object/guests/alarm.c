/* A module whose methods set timers, and are run by them. */
#include <cairn/guest.h>

CAIRN_MODULE(alarm);
CAIRN_TYPE(Alarm);
CAIRN_VALUE(Alarm, count);
CAIRN_LIST(Alarm, got);

static void add(int64_t more)
{
    cairn_set_int(Alarm_count, cairn_get_int(Alarm_count, 0) + more);
}

static struct cairn_args args_of(uint32_t from)
{
    struct cairn_args args = {0};

    for (uint32_t i = from; i < cairn_arg_count(); i++)
        cairn_args_add(&args, cairn_arg(i));
    return args;
}

CAIRN_METHOD(Alarm, count, CAIRN_PUBLIC, CAIRN_READ_ONLY)
{
    cairn_result_int(cairn_get_int(Alarm_count, 0));
}

CAIRN_METHOD(Alarm, got, CAIRN_PUBLIC, CAIRN_READ_ONLY)
{
    struct cairn_list_iter it = cairn_list_oldest(Alarm_got, 0, UINT64_MAX);
    struct cairn_pack pack = {0};

    cairn_pack_list(&pack, (uint32_t)cairn_list_count(Alarm_got));
    while (cairn_list_next(&it))
        cairn_pack_bytes(&pack, it.entry);
    cairn_result_packed(cairn_packed(&pack));
}

CAIRN_METHOD(Alarm, now, CAIRN_PUBLIC)
{
    cairn_result_int(cairn_now());
}

/* name, ms from now, method, arguments ... */
CAIRN_METHOD(Alarm, in, CAIRN_PUBLIC)
{
    struct cairn_args args = args_of(3);

    cairn_timer_set(cairn_text("%b", cairn_arg(0)), cairn_now() + cairn_arg_int(1), cairn_text("%b", cairn_arg(2)),
                    &args);
}

/* name, time, method, arguments ... */
CAIRN_METHOD(Alarm, at, CAIRN_PUBLIC)
{
    struct cairn_args args = args_of(3);

    cairn_timer_set(cairn_text("%b", cairn_arg(0)), cairn_arg_int(1), cairn_text("%b", cairn_arg(2)), &args);
}

CAIRN_METHOD(Alarm, cancel, CAIRN_PUBLIC)
{
    cairn_result_int(cairn_timer_cancel(cairn_text("%b", cairn_arg(0))));
}

/* name, period, method, arguments ... */
CAIRN_METHOD(Alarm, every, CAIRN_PUBLIC)
{
    struct cairn_args args = args_of(3);

    cairn_timer_every(cairn_text("%b", cairn_arg(0)), cairn_arg_int(1), cairn_text("%b", cairn_arg(2)), &args);
}

/* name, line, zone, method, arguments ... */
CAIRN_METHOD(Alarm, cron, CAIRN_PUBLIC)
{
    struct cairn_args args = args_of(4);

    cairn_timer_cron(cairn_text("%b", cairn_arg(0)), cairn_text("%b", cairn_arg(1)), cairn_text("%b", cairn_arg(2)),
                     cairn_text("%b", cairn_arg(3)), &args);
}

CAIRN_METHOD(Alarm, fixed_every, CAIRN_PUBLIC, CAIRN_DETERMINISTIC)
{
    cairn_timer_every("x", 1000, "tick", NULL);
}

/* Ends after n. */
CAIRN_METHOD(Alarm, tick_until, CAIRN_PUBLIC)
{
    add(1);
    if (cairn_get_int(Alarm_count, 0) >= cairn_arg_int(0))
        cairn_timer_cancel("every");
}

/* When it was due, and what was missed. */
CAIRN_METHOD(Alarm, tell, CAIRN_PUBLIC)
{
    add(1);
    cairn_list_push(Alarm_got, cairn_str(cairn_text("%lld+%llu", cairn_timer_due(), cairn_timer_missed())));
}

/* n, ms, method: timers t0 .. */
CAIRN_METHOD(Alarm, many, CAIRN_PUBLIC)
{
    int64_t now = cairn_now(), ms = cairn_arg_int(1);

    for (int64_t i = 0; i < cairn_arg_int(0); i++)
        cairn_timer_set(cairn_text("t%lld", i), now + ms, cairn_text("%b", cairn_arg(2)), NULL);
}

CAIRN_METHOD(Alarm, drop, CAIRN_PUBLIC)
{
    cairn_delete_self();
}

CAIRN_METHOD(Alarm, set_then_drop, CAIRN_PUBLIC)
{
    cairn_timer_set("lost", cairn_now() + 10, "tick", NULL);
    cairn_delete_self();
}

CAIRN_METHOD(Alarm, set_then_fail, CAIRN_PUBLIC)
{
    cairn_timer_set("never", cairn_now() + 10, "tick", NULL);
    cairn_timer_cancel("kept");
    cairn_fail("failed", "on purpose");
}

CAIRN_METHOD(Alarm, set_then_cancel, CAIRN_PUBLIC)
{
    cairn_timer_set("a", cairn_now() + 10, "tick", NULL);
    cairn_timer_set("b", cairn_now() + 10, "tick", NULL);
    cairn_timer_cancel("a");
    cairn_timer_set("b", cairn_now() + 20, "tick", NULL);
}

CAIRN_METHOD(Alarm, read_sets, CAIRN_PUBLIC, CAIRN_READ_ONLY)
{
    cairn_timer_set("x", 1, "tick", NULL);
}

CAIRN_METHOD(Alarm, long_name, CAIRN_PUBLIC)
{
    cairn_timer_set("12345678901234567890123456789012345678901234567890123456789012345", 1, "tick", NULL);
}

/* In one transaction: ids of which each sets a timer that ticks after 10 ms; the last may be `fail`. */
CAIRN_METHOD(Alarm, set_all, CAIRN_PUBLIC, CAIRN_TRANSACTION)
{
    for (uint32_t i = 0; i < cairn_arg_count(); i++) {
        struct cairn_args args = {0};

        if (cairn_equal(cairn_arg(i), cairn_str("fail")))
            cairn_fail("failed", "on purpose");
        cairn_args_add(&args, cairn_str("both"));
        cairn_args_add_int(&args, 60000);
        cairn_args_add(&args, cairn_str("tick"));
        cairn_wait(cairn_call("Alarm", cairn_arg(i), "in", &args));
    }
}

/* --- what timers run --- */

CAIRN_METHOD(Alarm, tick, CAIRN_PUBLIC)
{
    add(1);
    if (cairn_arg_count())
        cairn_list_push(Alarm_got, cairn_arg(0));
}

/* Sets itself again, n times. */
CAIRN_METHOD(Alarm, again, CAIRN_PUBLIC)
{
    struct cairn_args args = {0};

    add(1);
    if (cairn_arg_int(0) <= 1)
        return;
    cairn_args_add_int(&args, cairn_arg_int(0) - 1);
    cairn_timer_set("again", cairn_now() + 7, "again", &args);
}

CAIRN_METHOD(Alarm, cancels, CAIRN_PUBLIC)
{
    add(1);
    cairn_timer_cancel(cairn_text("%b", cairn_arg(0)));
}

CAIRN_METHOD(Alarm, trap_until, CAIRN_PUBLIC)
{
    add(1);
    if (cairn_attempts() < (uint64_t)cairn_arg_int(0))
        __builtin_trap();
}

CAIRN_METHOD(Alarm, refuse, CAIRN_PUBLIC)
{
    add(1);
    cairn_fail("refused", "on purpose");
}

CAIRN_METHOD(Alarm, looks, CAIRN_PUBLIC, CAIRN_READ_ONLY)
{
}

CAIRN_METHOD(Alarm, due, CAIRN_PUBLIC)
{
    cairn_list_push(Alarm_got, cairn_str(cairn_text("%lld", cairn_timer_due())));
    cairn_result_int(cairn_timer_due());
}

/* Calls another object before it is over. */
CAIRN_METHOD(Alarm, call_and_wait, CAIRN_PUBLIC)
{
    add(1);
    cairn_wait(cairn_call("Alarm", cairn_arg(0), "tick", NULL));
    add(10);
}

CAIRN_METHOD(Alarm, as_one, CAIRN_PUBLIC, CAIRN_TRANSACTION)
{
    add(1);
    cairn_wait(cairn_call("Alarm", cairn_arg(0), "tick", NULL));
}
