/* A module whose methods send messages, and fail at them in every way. */
#include <cairn/guest.h>

CAIRN_MODULE(mail);
CAIRN_TYPE(Mail);
CAIRN_VALUE(Mail, count);
CAIRN_LIST(Mail, got);

static void add(int64_t more)
{
    cairn_set_int(Mail_count, cairn_get_int(Mail_count, 0) + more);
}

CAIRN_METHOD(Mail, count, CAIRN_PUBLIC, CAIRN_READ_ONLY)
{
    cairn_result_int(cairn_get_int(Mail_count, 0));
}

/* What has come, with the sender's id before it. */
CAIRN_METHOD(Mail, got, CAIRN_PUBLIC, CAIRN_READ_ONLY)
{
    struct cairn_list_iter it = cairn_list_oldest(Mail_got, 0, UINT64_MAX);
    struct cairn_pack pack = {0};

    cairn_pack_list(&pack, (uint32_t)cairn_list_count(Mail_got));
    while (cairn_list_next(&it))
        cairn_pack_bytes(&pack, it.entry);
    cairn_result_packed(cairn_packed(&pack));
}

CAIRN_METHOD(Mail, take, CAIRN_INTERNAL)
{
    struct cairn_bytes type, id = cairn_str("client");

    cairn_caller(&type, &id);
    add(1);
    cairn_list_push(Mail_got, cairn_str(cairn_text("%b:%b", id, cairn_arg(0))));
}

CAIRN_METHOD(Mail, add, CAIRN_PUBLIC)
{
    add(cairn_arg_int_or(0, 1));
    cairn_result_int(cairn_get_int(Mail_count, 0));
}

/* ids ...: sends `take` with 1, 2, 3, ... to each in turn. */
CAIRN_METHOD(Mail, send, CAIRN_PUBLIC)
{
    for (uint32_t i = 0; i < cairn_arg_count(); i++) {
        struct cairn_args args = {0};

        cairn_args_add_int(&args, i + 1);
        cairn_send("Mail", cairn_arg(i), "take", &args);
    }
    add(1);
}

/* delay, method, id, arguments ... */
CAIRN_METHOD(Mail, send_after, CAIRN_PUBLIC)
{
    struct cairn_args args = {0};

    for (uint32_t i = 3; i < cairn_arg_count(); i++)
        cairn_args_add(&args, cairn_arg(i));
    cairn_send_after(cairn_arg_int(0), "Mail", cairn_arg(2), cairn_text("%b", cairn_arg(1)), &args);
}

/* type, id, method: of another module, or of none. */
CAIRN_METHOD(Mail, send_abroad, CAIRN_PUBLIC)
{
    cairn_send(cairn_text("%b", cairn_arg(0)), cairn_arg(1), cairn_text("%b", cairn_arg(2)), NULL);
}

/* n, id, bytes: n messages of that many bytes. */
CAIRN_METHOD(Mail, flood, CAIRN_PUBLIC)
{
    struct cairn_args args = {0};
    uint32_t size = (uint32_t)cairn_arg_int(2);
    uint8_t *bytes = (uint8_t *)cairn_alloc(size);

    memset(bytes, 'x', size);
    cairn_args_add(&args, cairn_bytes(bytes, size));
    for (int64_t i = cairn_arg_int(0); i > 0; i--)
        cairn_send("Mail", cairn_arg(1), "take", &args);
}

/* type, id, from, to: sends `take` with each number from .. to; and then the last to each further id once. */
CAIRN_METHOD(Mail, send_numbers, CAIRN_PUBLIC)
{
    for (int64_t n = cairn_arg_int(2); n <= cairn_arg_int(3); n++) {
        struct cairn_args args = {0};

        cairn_args_add_int(&args, n);
        cairn_send(cairn_text("%b", cairn_arg(0)), cairn_arg(1), "take", &args);
    }
    for (uint32_t i = 4; i < cairn_arg_count(); i++) {
        struct cairn_args args = {0};

        cairn_args_add_int(&args, 1);
        cairn_send(cairn_text("%b", cairn_arg(0)), cairn_arg(i), "take", &args);
    }
}

/* Sends, and then fails: nothing must leave. */
CAIRN_METHOD(Mail, send_then_fail, CAIRN_PUBLIC)
{
    struct cairn_args args = {0};

    cairn_args_add(&args, cairn_str("never"));
    cairn_send("Mail", cairn_arg(0), "take", &args);
    cairn_fail("failed", "on purpose");
}

CAIRN_METHOD(Mail, send_then_delete, CAIRN_PUBLIC)
{
    struct cairn_args args = {0};

    cairn_args_add(&args, cairn_str("last"));
    cairn_send("Mail", cairn_arg(0), "take", &args);
    cairn_delete_self();
}

CAIRN_METHOD(Mail, read_sends, CAIRN_PUBLIC, CAIRN_READ_ONLY)
{
    cairn_send("Mail", cairn_str("x"), "add", NULL);
}

/* n, modulo: goes from object to object until n is 0; each counts it. */
CAIRN_METHOD(Mail, relay, CAIRN_PUBLIC)
{
    int64_t n = cairn_arg_int(0), modulo = cairn_arg_int(1);
    struct cairn_args args = {0};

    add(1);
    if (n == 0)
        return;
    cairn_args_add_int(&args, n - 1);
    cairn_args_add_int(&args, modulo);
    cairn_send("Mail", cairn_str(cairn_text("r%lld", n % modulo)), "relay", &args);
}

/* --- failing --- */

CAIRN_METHOD(Mail, trap_until, CAIRN_PUBLIC)
{
    add(1);
    if (cairn_attempts() < (uint64_t)cairn_arg_int(0))
        __builtin_trap();
}

/* Poison: always traps, three times, after 10 s and 15 s. */
CAIRN_METHOD(Mail, poison, CAIRN_PUBLIC, CAIRN_RETRIES(3, 10000, 15000))
{
    add(1);
    __builtin_trap();
}

CAIRN_METHOD(Mail, retry_until, CAIRN_PUBLIC)
{
    add(1);
    if (cairn_attempts() < (uint64_t)cairn_arg_int(0))
        cairn_retry(cairn_arg_int_or(1, 0));
}

CAIRN_METHOD(Mail, refuse, CAIRN_PUBLIC)
{
    add(1);
    cairn_fail("refused", "on purpose");
}

/* Goes well once something was added. */
CAIRN_METHOD(Mail, refuse_at_zero, CAIRN_PUBLIC)
{
    if (!cairn_get_int(Mail_count, 0)) {
        cairn_fail("refused", "nothing was added yet");
        return;
    }
    add(1);
}

/* n, id, method: n messages to it. */
CAIRN_METHOD(Mail, send_many, CAIRN_PUBLIC)
{
    for (int64_t i = cairn_arg_int(0); i > 0; i--) {
        struct cairn_args args = {0};

        cairn_args_add_int(&args, i);
        cairn_send("Mail", cairn_arg(1), cairn_text("%b", cairn_arg(2)), &args);
    }
}

/* id: has an effect there first. */
CAIRN_METHOD(Mail, call_then_trap, CAIRN_PUBLIC)
{
    add(1);
    cairn_wait(cairn_call("Mail", cairn_arg(0), "add", NULL));
    __builtin_trap();
}

/* id: calls it and waits. */
CAIRN_METHOD(Mail, call_and_wait, CAIRN_PUBLIC)
{
    cairn_wait(cairn_call("Mail", cairn_arg(0), "add", NULL));
    add(1);
}

/* id: calls it and does not wait. */
CAIRN_METHOD(Mail, call_and_leave, CAIRN_PUBLIC)
{
    add(1);
    cairn_call("Mail", cairn_arg(0), "add", NULL);
}

/* --- in transactions --- */

CAIRN_METHOD(Mail, add_and_send, CAIRN_PUBLIC)
{
    struct cairn_args args = {0};

    add(1);
    cairn_args_add(&args, cairn_self_id());
    cairn_send("Mail", cairn_arg(0), "take", &args);
}

/* id, ids ...: each of the others adds, and sends to the first, and so does this one; "fail" as the last undoes all. */
CAIRN_METHOD(Mail, all_send, CAIRN_PUBLIC, CAIRN_TRANSACTION)
{
    struct cairn_args args = {0};
    uint32_t last = cairn_arg_count() - 1;

    cairn_args_add(&args, cairn_arg(0));
    add(1);
    cairn_send("Mail", cairn_arg(0), "take", &args);
    for (uint32_t i = 1; i < last; i++)
        if (!cairn_wait(cairn_call("Mail", cairn_arg(i), "add_and_send", &args)).ok)
            cairn_fail("failed", "a call");
    if (cairn_equal(cairn_arg(last), cairn_str("fail")))
        cairn_fail("failed", "on purpose");
}
