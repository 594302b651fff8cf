/* A module that does on request what tests need: every kind of field, calls of every shape, failures in every place. */
#include <cairn/guest.h>

CAIRN_MODULE(probe);
CAIRN_TYPE(Probe);
CAIRN_VALUE(Probe, word);
CAIRN_VALUE(Probe, count);
CAIRN_LIST(Probe, list);
CAIRN_MAP(Probe, map);

static const struct cairn_bytes nothing;

CAIRN_METHOD(Probe, set, CAIRN_PUBLIC)
{
    cairn_set(Probe_word, cairn_arg(0));
}

CAIRN_METHOD(Probe, clear, CAIRN_PUBLIC)
{
    cairn_clear(Probe_word);
}

CAIRN_METHOD(Probe, get, CAIRN_PUBLIC, CAIRN_READ_ONLY, CAIRN_DETERMINISTIC)
{
    struct cairn_bytes word;

    if (cairn_get(Probe_word, &word))
        cairn_result_bytes(word);
}

/* Adds to the count and says what it is now. */
CAIRN_METHOD(Probe, add, CAIRN_PUBLIC)
{
    cairn_set_int(Probe_count, cairn_get_int(Probe_count, 0) + cairn_arg_int_or(0, 1));
    cairn_result_int(cairn_get_int(Probe_count, 0));
}

CAIRN_METHOD(Probe, count, CAIRN_PUBLIC, CAIRN_READ_ONLY, CAIRN_DETERMINISTIC)
{
    cairn_result_int(cairn_get_int(Probe_count, 0));
}

CAIRN_METHOD(Probe, add_then_fail, CAIRN_PUBLIC)
{
    cairn_set_int(Probe_count, cairn_get_int(Probe_count, 0) + 1);
    cairn_fail("failed", "on purpose");
}

CAIRN_METHOD(Probe, add_then_trap, CAIRN_PUBLIC)
{
    cairn_set_int(Probe_count, cairn_get_int(Probe_count, 0) + 1);
    __builtin_trap();
}

/* Writes everywhere and calls, takes it back, and pushes "kept". */
CAIRN_METHOD(Probe, undo, CAIRN_PUBLIC)
{
    cairn_delete_self();
    cairn_set(Probe_word, cairn_str("undone"));
    cairn_list_push(Probe_list, cairn_str("undone"));
    cairn_map_set(Probe_map, cairn_str("undone"), nothing);
    cairn_call("Probe", cairn_arg(0), "add", 0);
    cairn_send("Probe", cairn_arg(0), "add", 0);
    cairn_timer_set("undone", cairn_now(), "add", 0);
    cairn_undo();
    cairn_list_push(Probe_list, cairn_str("kept"));
    cairn_wait(cairn_call("Probe", cairn_arg(0), "add", 0));
    cairn_list_push(Probe_list, cairn_str("undone"));
    cairn_undo();
    cairn_result_int((int64_t)cairn_list_count(Probe_list));
}

CAIRN_METHOD(Probe, spin, CAIRN_PUBLIC)
{
    for (volatile uint32_t i = 0;; i++)
        ;
}

CAIRN_METHOD(Probe, work, CAIRN_PUBLIC)
{
    volatile uint32_t n = (uint32_t)cairn_arg_int(0);

    while (n)
        n--;
    cairn_set_int(Probe_count, cairn_get_int(Probe_count, 0) + 1);
    cairn_result_int(cairn_get_int(Probe_count, 0));
}

/* --- lists and maps --- */

CAIRN_METHOD(Probe, push, CAIRN_PUBLIC)
{
    for (uint32_t i = 0; i < cairn_arg_count(); i++)
        cairn_list_push(Probe_list, cairn_arg(i));
    cairn_result_int((int64_t)cairn_list_count(Probe_list));
}

CAIRN_METHOD(Probe, drop, CAIRN_PUBLIC)
{
    uint64_t old = cairn_list_drop_oldest(Probe_list, (uint64_t)cairn_arg_int(0));

    cairn_result_int((int64_t)(old + cairn_list_drop_newest(Probe_list, (uint64_t)cairn_arg_int(1))));
}

CAIRN_METHOD(Probe, replace, CAIRN_PUBLIC)
{
    cairn_result_int(cairn_list_set(Probe_list, (uint64_t)cairn_arg_int(0), cairn_arg(1)));
}

CAIRN_METHOD(Probe, list, CAIRN_PUBLIC, CAIRN_READ_ONLY)
{
    struct cairn_list_iter it = cairn_list_oldest(Probe_list, 0, UINT64_MAX);
    struct cairn_pack pack = {0};

    cairn_pack_list(&pack, (uint32_t)cairn_list_count(Probe_list));
    while (cairn_list_next(&it))
        cairn_pack_bytes(&pack, it.entry);
    cairn_result_packed(cairn_packed(&pack));
}

CAIRN_METHOD(Probe, map_set, CAIRN_PUBLIC)
{
    cairn_map_set(Probe_map, cairn_arg(0), cairn_arg(1));
    cairn_result_int((int64_t)cairn_map_count(Probe_map));
}

CAIRN_METHOD(Probe, map_remove, CAIRN_PUBLIC)
{
    cairn_result_int(cairn_map_remove(Probe_map, cairn_arg(0)));
}

CAIRN_METHOD(Probe, map_get, CAIRN_PUBLIC, CAIRN_READ_ONLY)
{
    struct cairn_bytes value;

    if (cairn_map_get(Probe_map, cairn_arg(0), &value))
        cairn_result_bytes(value);
}

CAIRN_METHOD(Probe, map, CAIRN_PUBLIC, CAIRN_READ_ONLY)
{
    struct cairn_map_iter it = cairn_map_entries(Probe_map, 0, UINT64_MAX);
    struct cairn_pack pack = {0};

    cairn_pack_list(&pack, 2 * (uint32_t)cairn_map_count(Probe_map));
    while (cairn_map_next(&it)) {
        cairn_pack_bytes(&pack, it.key);
        cairn_pack_bytes(&pack, it.value);
    }
    cairn_result_packed(cairn_packed(&pack));
}

CAIRN_METHOD(Probe, remove, CAIRN_PUBLIC)
{
    cairn_delete_self();
}

CAIRN_METHOD(Probe, remove_and_set, CAIRN_PUBLIC)
{
    cairn_delete_self();
    cairn_set(Probe_word, cairn_arg(0));
    cairn_result_int((int64_t)cairn_list_count(Probe_list));
}

/* --- calls --- */

static void call_each(const char *method, uint32_t first)
{
    uint32_t calls = cairn_arg_count() - first;
    struct cairn_pack pack = {0};

    for (uint32_t i = 0; i < calls; i++)
        cairn_call("Probe", cairn_arg(first + i), method, NULL);
    if (calls)
        cairn_wait_all();
    cairn_pack_list(&pack, calls);
    for (uint32_t i = 0; i < calls; i++) {
        struct cairn_outcome o = cairn_outcome(i);
        if (o.ok)
            cairn_pack_value(&pack, o.value);
        else
            cairn_pack_error(&pack, o.code, o.message);
    }
    cairn_result_packed(cairn_packed(&pack));
}

/* method, id ...: calls the method of each, and waits for all. */
CAIRN_METHOD(Probe, fan, CAIRN_PUBLIC)
{
    call_each(cairn_text("%b", cairn_arg(0)), 1);
}

/* The same, having written first: what was written stays, whatever the calls do. */
CAIRN_METHOD(Probe, add_and_fan, CAIRN_PUBLIC)
{
    cairn_set_int(Probe_count, cairn_get_int(Probe_count, 0) + 1);
    call_each(cairn_text("%b", cairn_arg(0)), 1);
}

/* Writes, calls, writes again, fails: the first write stays, the second does not. */
CAIRN_METHOD(Probe, fail_after_call, CAIRN_PUBLIC)
{
    cairn_set_int(Probe_count, 1);
    cairn_wait(cairn_call("Probe", cairn_arg(0), "add", NULL));
    cairn_set_int(Probe_count, 2);
    cairn_fail("failed", "after the call");
}

/* Issues calls and returns without waiting for them. */
CAIRN_METHOD(Probe, leave, CAIRN_PUBLIC)
{
    for (uint32_t i = 0; i < cairn_arg_count(); i++)
        cairn_call("Probe", cairn_arg(i), "add", NULL);
    cairn_result_int(cairn_arg_count());
}

/* next ...: calls the next one with the rest; a chain, or a cycle. */
CAIRN_METHOD(Probe, chain, CAIRN_PUBLIC)
{
    struct cairn_args args = {0};

    cairn_set_int(Probe_count, cairn_get_int(Probe_count, 0) + 1);
    if (cairn_arg_count() == 0) {
        cairn_result_int(0);
        return;
    }
    for (uint32_t i = 1; i < cairn_arg_count(); i++)
        cairn_args_add(&args, cairn_arg(i));
    struct cairn_outcome o = cairn_wait(cairn_call("Probe", cairn_arg(0), "chain", &args));
    if (!o.ok) {
        cairn_fail(cairn_text("%b", o.code), cairn_text("%b", o.message));
        return;
    }
    struct cairn_unpack u = cairn_unpack(o.value);
    cairn_result_int(cairn_unpack_int(&u) + 1);
}

/* Calls the other one, which calls back, without end. */
CAIRN_METHOD(Probe, endless, CAIRN_PUBLIC)
{
    struct cairn_args args = {0};

    cairn_args_add(&args, cairn_self_id());
    struct cairn_outcome o = cairn_wait(cairn_call("Probe", cairn_arg(0), "endless", &args));
    if (!o.ok)
        cairn_fail(cairn_text("%b", o.code), cairn_text("%b", o.message));
}

CAIRN_METHOD(Probe, many_calls, CAIRN_PUBLIC)
{
    int64_t calls = cairn_arg_int(1);

    while (calls > 0) {
        for (int i = 0; i < 1000 && calls > 0; i++, calls--)
            cairn_call("Probe", cairn_arg(0), "count", NULL);
        cairn_wait_all();
    }
}

/* One after the other, a segment each. */
CAIRN_METHOD(Probe, many_adds, CAIRN_PUBLIC)
{
    int64_t calls = cairn_arg_int(1);

    cairn_set_int(Probe_count, 0);
    for (; calls > 0; calls--)
        cairn_wait(cairn_call("Probe", cairn_arg(0), "add", NULL));
}

CAIRN_METHOD(Probe, read_calls_write, CAIRN_PUBLIC, CAIRN_READ_ONLY)
{
    struct cairn_outcome o = cairn_wait(cairn_call("Probe", cairn_arg(0), "add", NULL));

    cairn_result_bytes(o.code);
}

CAIRN_METHOD(Probe, read_writes, CAIRN_PUBLIC, CAIRN_READ_ONLY)
{
    cairn_set(Probe_word, nothing);
}

CAIRN_METHOD(Probe, sure_time, CAIRN_PUBLIC, CAIRN_READ_ONLY, CAIRN_DETERMINISTIC)
{
    cairn_result_int(cairn_now());
}

CAIRN_METHOD(Probe, time, CAIRN_PUBLIC, CAIRN_READ_ONLY)
{
    cairn_result_int(cairn_now());
}

CAIRN_METHOD(Probe, who, CAIRN_PUBLIC, CAIRN_READ_ONLY)
{
    struct cairn_bytes type, id;

    if (!cairn_caller(&type, &id))
        cairn_result_str("a client");
    else
        cairn_result_bytes(id);
}

CAIRN_METHOD(Probe, secret, CAIRN_INTERNAL)
{
    cairn_result_str("told");
}

CAIRN_METHOD(Probe, say, CAIRN_PUBLIC)
{
    cairn_log(CAIRN_INFO, "%b", cairn_arg(0));
}
