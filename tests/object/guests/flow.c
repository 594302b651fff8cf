/* Durable methods, and what they call: each effect is counted, so that one that is lost or made twice shows. */
#include <cairn/guest.h>

CAIRN_MODULE(flow);
CAIRN_TYPE(Tally);
CAIRN_VALUE(Tally, count);
CAIRN_TYPE(Flow);
CAIRN_VALUE(Flow, begun);
CAIRN_VALUE(Flow, done);
CAIRN_VALUE(Flow, word);
CAIRN_LIST(Flow, line);
CAIRN_MAP(Flow, table);
CAIRN_ORDERED(Flow, order);

/* --- what is called --- */

static int64_t add(void)
{
    int64_t count = cairn_get_int(Tally_count, 0) + 1;

    cairn_set_int(Tally_count, count);
    cairn_result_int(count);
    return count;
}

CAIRN_METHOD(Tally, add, CAIRN_PUBLIC)
{
    add();
}

CAIRN_METHOD(Tally, count, CAIRN_PUBLIC, CAIRN_READ_ONLY)
{
    cairn_result_int(cairn_get_int(Tally_count, 0));
}

/* id: counts, then has another count: a plain method of two segments. */
CAIRN_METHOD(Tally, both, CAIRN_PUBLIC)
{
    int64_t count = add();

    cairn_wait(cairn_call("Tally", cairn_arg(0), "add", NULL));
    cairn_result_int(count);
}

CAIRN_METHOD(Tally, refuse, CAIRN_PUBLIC)
{
    add();
    cairn_fail("refused", "on purpose");
}

/* --- durable methods --- */

static void begin(void)
{
    cairn_set_int(Flow_begun, cairn_get_int(Flow_begun, 0) + 1);
}

static void end(void)
{
    cairn_set_int(Flow_done, cairn_get_int(Flow_done, 0) + 1);
}

static void pack_outcome(struct cairn_pack *pack, struct cairn_outcome o)
{
    if (o.ok)
        cairn_pack_value(pack, o.value);
    else
        cairn_pack_error(pack, o.code, o.message);
}

/* method, ids: calls one after the other; the outcomes. */
CAIRN_METHOD(Flow, steps, CAIRN_PUBLIC, CAIRN_DURABLE)
{
    struct cairn_pack pack = {0};
    const char *method = cairn_text("%b", cairn_arg(0));

#ifdef FLOW_SECOND
    cairn_random();
#endif
    begin();
    cairn_pack_list(&pack, cairn_arg_count() - 1);
    for (uint32_t i = 1; i < cairn_arg_count(); i++) {
        struct cairn_args args = {0};

        if (cairn_equal(cairn_arg(0), cairn_str("both")))
            cairn_args_add(&args, cairn_str(cairn_text("%b+", cairn_arg(i))));
        pack_outcome(&pack, cairn_wait(cairn_call("Tally", cairn_arg(i), method, &args)));
    }
    end();
    cairn_result_packed(cairn_packed(&pack));
}

/* ids: calls all at once, and looks at them while they come back. */
CAIRN_METHOD(Flow, fan, CAIRN_PUBLIC, CAIRN_DURABLE)
{
    struct cairn_pack pack = {0};
    uint32_t count = cairn_arg_count();

    begin();
    for (uint32_t i = 0; i < count; i++)
        cairn_call("Tally", cairn_arg(i), "add", NULL);
    for (uint32_t i = count; i-- > 0;) {
        int64_t ready = 0;

        cairn_wait(i);
        for (uint32_t k = 0; k < count; k++)
            ready += cairn_ready(k);
        cairn_list_push_int(Flow_line, ready);
    }
    end();
    cairn_pack_list(&pack, count);
    for (uint32_t i = 0; i < count; i++)
        pack_outcome(&pack, cairn_outcome(i));
    cairn_result_packed(cairn_packed(&pack));
}

/* ids: returns while its calls are out. */
CAIRN_METHOD(Flow, leave, CAIRN_PUBLIC, CAIRN_DURABLE)
{
    begin();
    for (uint32_t i = 0; i < cairn_arg_count(); i++)
        cairn_call("Tally", cairn_arg(i), "add", NULL);
    end();
    cairn_result_int(cairn_arg_count());
}

/* id of a Flow, ids: a durable method that calls one. */
CAIRN_METHOD(Flow, nest, CAIRN_PUBLIC, CAIRN_DURABLE)
{
    struct cairn_args args = {0};
    struct cairn_outcome o;

    begin();
    cairn_args_add(&args, cairn_str("add"));
    for (uint32_t i = 1; i < cairn_arg_count(); i++)
        cairn_args_add(&args, cairn_arg(i));
    o = cairn_wait(cairn_call("Flow", cairn_arg(0), "steps", &args));
    end();
    if (o.ok)
        cairn_result_packed(o.value);
    else
        cairn_fail(cairn_text("%b", o.code), cairn_text("%b", o.message));
}

/* id: every host call whose result could differ, before and behind waits; what it saw, as one text. */
CAIRN_METHOD(Flow, all, CAIRN_PUBLIC, CAIRN_DURABLE)
{
    struct cairn_pack pack = {0};
    struct cairn_bytes word = {0};
    int64_t first = cairn_now();
    uint64_t random = cairn_random();

    begin();
    cairn_pack_list(&pack, 4 * 7);
    for (int64_t round = 0; round < 4; round++) {
        struct cairn_list_iter list;
        struct cairn_map_iter map;
        struct cairn_ordered_iter order;
        int64_t sum = 0;

        cairn_list_push_int(Flow_line, round);
        cairn_list_push_int(Flow_line, 10 + round);
        cairn_list_set_int(Flow_line, 0, 100 * round);
        cairn_map_set_int(Flow_table, cairn_str(cairn_text("k%d", (int)round)), round);
        if (round == 2)
            cairn_map_remove(Flow_table, cairn_str("k0"));
        cairn_get(Flow_word, &word);
        cairn_set(Flow_word, cairn_str(cairn_text("%bx", word)));
        cairn_pack_bytes(&pack, word);
        cairn_pack_int(&pack, (int64_t)cairn_list_count(Flow_line));
        cairn_pack_int(&pack, (int64_t)cairn_list_drop_oldest(Flow_line, 1));
        for (list = cairn_list_oldest(Flow_line, 0, UINT64_MAX); cairn_list_next(&list);) {
            struct cairn_unpack entry = cairn_unpack(list.entry);
            sum = 7 * sum + cairn_unpack_int(&entry);
        }
        for (map = cairn_map_entries(Flow_table, 0, UINT64_MAX); cairn_map_next(&map);)
            sum = 7 * sum + map.key.size;
        cairn_ordered_set_int(Flow_order, cairn_str(cairn_text("o%d", (int)(7 - round))), round);
        for (order = cairn_ordered_upward(Flow_order, UINT64_MAX); cairn_ordered_next(&order);)
            sum = 7 * sum + order.key.data[1];
        for (order = cairn_ordered_from_place(Flow_order, 1, 2); cairn_ordered_next(&order);)
            sum = 7 * sum + order.key.data[1];
        sum += (int64_t)(cairn_ordered_count(Flow_order) + 3 * cairn_ordered_rank(Flow_order, cairn_str("o6")));
        sum +=
            cairn_ordered_get_int(Flow_order, cairn_str("o7"), -1) + cairn_ordered_remove(Flow_order, cairn_str("o5"));
        cairn_pack_int(&pack, sum);
        cairn_pack_int(&pack, cairn_map_get_int(Flow_table, cairn_str("k1"), -1));
        pack_outcome(&pack, cairn_wait(cairn_call("Tally", cairn_arg(0), "add", NULL)));
        cairn_pack_int(&pack, cairn_now() >= first && random != cairn_random());
    }
    end();
    cairn_result_packed(cairn_packed(&pack));
}

/* id, ms: calls, sleeps and calls; whether that much time has passed for it. */
CAIRN_METHOD(Flow, doze, CAIRN_PUBLIC, CAIRN_DURABLE)
{
    int64_t from = cairn_now(), ms = cairn_arg_int(1);

    begin();
    cairn_wait(cairn_call("Tally", cairn_arg(0), "add", NULL));
    cairn_sleep(ms);
    cairn_wait(cairn_call("Tally", cairn_arg(0), "add", NULL));
    end();
    cairn_result_int(cairn_now() - from >= ms && cairn_now() - from < 2 * ms);
}

/* id, ms: sleeps and calls under way together; which were over in the end, and which after the first wait. */
CAIRN_METHOD(Flow, mixed, CAIRN_PUBLIC, CAIRN_DURABLE)
{
    uint32_t longer = cairn_sleep_start(2 * cairn_arg_int(1)), call, shorter;
    int64_t over = 0;

    begin();
    call = cairn_call("Tally", cairn_arg(0), "add", NULL);
    shorter = cairn_sleep_start(cairn_arg_int(1));
    cairn_wait(shorter);
    over = cairn_ready(shorter) + 2 * cairn_ready(longer) + 4 * cairn_ready(call);
    cairn_wait_all();
    over = 10 * over + cairn_ready(shorter) + 2 * cairn_ready(longer) + 4 * cairn_ready(call);
    cairn_wait(cairn_sleep_start(0));
    end();
    cairn_result_int(over);
}

/* id: sends to it, sleeps, and sends again. */
CAIRN_METHOD(Flow, tell, CAIRN_PUBLIC, CAIRN_DURABLE)
{
    begin();
    cairn_send("Tally", cairn_arg(0), "add", NULL);
    cairn_sleep(50);
    cairn_send("Tally", cairn_arg(0), "add", NULL);
    cairn_send_after(20, "Tally", cairn_arg(0), "add", NULL);
    cairn_wait(cairn_call("Tally", cairn_arg(1), "add", NULL));
    end();
}

/* ms: a plain method that sleeps. */
CAIRN_METHOD(Flow, plain_doze, CAIRN_PUBLIC)
{
    cairn_sleep(cairn_arg_int(0));
}

static void vow(int64_t within, int64_t rest)
{
    struct cairn_pack pack = {0};
    struct cairn_bytes id;
    uint32_t promise;

    begin();
    promise = within ? cairn_promise_within(within, &id) : cairn_promise(&id);
    cairn_set(Flow_word, id);
    pack_outcome(&pack, cairn_wait(promise));
    cairn_wait(cairn_call("Tally", cairn_arg(0), "add", NULL));
    if (rest)
        cairn_sleep(rest);
    end();
    cairn_result_packed(cairn_packed(&pack));
}

/* id, ms, ms: waits for a promise, so long at most; has a count; sleeps.  What it was told. */
CAIRN_METHOD(Flow, vow, CAIRN_PUBLIC, CAIRN_DURABLE)
{
    vow(cairn_arg_int(1), cairn_arg_int(2));
}

CAIRN_METHOD(Flow, word, CAIRN_PUBLIC, CAIRN_READ_ONLY)
{
    struct cairn_bytes word;

    if (cairn_get(Flow_word, &word))
        cairn_result_bytes(word);
}

CAIRN_METHOD(Flow, plain_vow, CAIRN_PUBLIC)
{
    vow(0, 0);
}

static bool is_cancelled(struct cairn_outcome o)
{
    return !o.ok && cairn_equal(o.code, cairn_str("cancelled"));
}

static bool is_asked(const char *how)
{
    return cairn_equal(cairn_arg(0), cairn_str(how));
}

static void put_back(void)
{
    cairn_wait(cairn_sleep_start(20));
    if (cairn_wait(cairn_call("Tally", cairn_arg(2), "add", NULL)).ok)
        end();
}

/* how, id, id: has a count at the first id, waits in the way that is asked for until it is cancelled, and has one at
 * the second to put the first back. */
CAIRN_METHOD(Flow, saga, CAIRN_PUBLIC, CAIRN_DURABLE)
{
    struct cairn_args args = {0};
    struct cairn_bytes id;
    struct cairn_outcome o;
    uint32_t call;

    begin();
    call = cairn_call("Tally", cairn_arg(1), "add", NULL);
    o = cairn_wait(call);
    if (is_cancelled(o) && cairn_wait(call).ok)
        put_back();
    if (!o.ok)
        return;
    if (is_asked("call")) {
        cairn_args_add_int(&args, 100000000);
        call = cairn_call("Flow", cairn_str(cairn_text("%b.nap", cairn_arg(1))), "nap", &args);
    } else if (is_asked("loop")) { /* it is never told in a wait that it is in */
        do {
            call = cairn_call("Tally", cairn_str("loop"), "add", NULL);
            o = cairn_wait(call);
        } while (!is_cancelled(o));
    } else {
        call = is_asked("sleep") ? cairn_sleep_start(100000000) : cairn_promise(&id);
    }
    if (is_asked("all")) {
        cairn_wait_all();
        o = cairn_outcome(call);
    } else if (!is_asked("loop")) {
        o = cairn_wait(call);
    }
    if (!is_cancelled(o))
        return;
    if (is_asked("call")) { /* the called one is told, too: it is waited for to its end */
        o = cairn_wait(call);
        cairn_set(Flow_word, cairn_str(cairn_text("%b: %b", o.code, o.message)));
    }
    if (is_asked("never"))
        cairn_wait(call);
    if (is_asked("steps"))
        for (;;)
            cairn_random();
    put_back();
    if (is_asked("fail"))
        cairn_fail("failed", "on purpose");
}

/* promise, text: says so; whether that is a promise's id. */
static void say(void)
{
    begin();
    cairn_result_int(cairn_promise_resolve(cairn_arg(0), cairn_arg(1)));
}

CAIRN_METHOD(Flow, say, CAIRN_PUBLIC)
{
    say();
}

/* The same, and says no before; the first counts. */
CAIRN_METHOD(Flow, say_no, CAIRN_PUBLIC)
{
    cairn_promise_reject(cairn_arg(0), "no", "not now");
    say();
}

CAIRN_METHOD(Flow, say_and_fail, CAIRN_PUBLIC)
{
    say();
    cairn_fail("failed", "on purpose");
}

CAIRN_METHOD(Flow, say_at_once, CAIRN_PUBLIC, CAIRN_TRANSACTION)
{
    say();
    cairn_wait(cairn_call("Tally", cairn_str("said"), "add", NULL));
    if (cairn_arg_count() > 2)
        cairn_fail("failed", "on purpose");
}

CAIRN_METHOD(Flow, say_later, CAIRN_PUBLIC, CAIRN_DURABLE)
{
    begin();
    cairn_sleep(20);
    cairn_result_int(cairn_promise_resolve(cairn_arg(0), cairn_arg(1)));
    cairn_sleep(20);
    end();
}

CAIRN_METHOD(Flow, say_and_read, CAIRN_PUBLIC, CAIRN_READ_ONLY)
{
    cairn_promise_resolve(cairn_arg(0), cairn_arg(1));
}

/* ms: begins, sleeps, ends. */
CAIRN_METHOD(Flow, nap, CAIRN_PUBLIC, CAIRN_DURABLE)
{
    begin();
    cairn_sleep(cairn_arg_int(0));
    end();
}

/* id of a Flow, ms, id: calls one that sleeps, and has a count. */
CAIRN_METHOD(Flow, nurse, CAIRN_PUBLIC, CAIRN_DURABLE)
{
    struct cairn_args args = {0};

    begin();
    cairn_args_add(&args, cairn_arg(1));
    cairn_wait(cairn_call("Flow", cairn_arg(0), "nap", &args));
    cairn_wait(cairn_call("Tally", cairn_arg(2), "add", NULL));
    end();
}

/* id of a Flow, ms: returns while one that it has called sleeps. */
CAIRN_METHOD(Flow, abandon, CAIRN_PUBLIC, CAIRN_DURABLE)
{
    struct cairn_args args = {0};

    begin();
    cairn_args_add(&args, cairn_arg(1));
    cairn_call("Flow", cairn_arg(0), "nap", &args);
    end();
    cairn_result_int(7);
}

/* id, bytes: an error behind a committed segment. */
CAIRN_METHOD(Flow, fail, CAIRN_PUBLIC, CAIRN_DURABLE)
{
    begin();
    cairn_wait(cairn_call("Tally", cairn_arg(0), "add", NULL));
    end();
    cairn_fail("failed", "on purpose");
}

/* bytes: reads so much, and waits. */
CAIRN_METHOD(Flow, bulk, CAIRN_PUBLIC, CAIRN_DURABLE)
{
    int64_t bytes = cairn_arg_int(0);

    for (int64_t at = 0; at < bytes; at += 65536)
        cairn_random_fill(cairn_alloc(65536), 65536);
    cairn_wait(cairn_call("Tally", cairn_str("bulk"), "add", NULL));
    end();
}

/* bytes, ms: reads so much, and sleeps. */
CAIRN_METHOD(Flow, bulk_nap, CAIRN_PUBLIC, CAIRN_DURABLE)
{
    int64_t bytes = cairn_arg_int(0);

    begin();
    for (int64_t at = 0; at < bytes; at += 65536)
        cairn_random_fill(cairn_alloc(65536), 65536);
    cairn_sleep(cairn_arg_int(1));
    end();
}

/* id, method, arguments ...: a plain method that sends that to a Flow. */
CAIRN_METHOD(Flow, post, CAIRN_PUBLIC)
{
    struct cairn_args args = {0};

    for (uint32_t i = 2; i < cairn_arg_count(); i++)
        cairn_args_add(&args, cairn_arg(i));
    cairn_send("Flow", cairn_arg(0), cairn_text("%b", cairn_arg(1)), &args);
}

/* ms, method, arguments ...: a plain method that has a timer run that, in so many ms. */
CAIRN_METHOD(Flow, alarm, CAIRN_PUBLIC)
{
    struct cairn_args args = {0};

    for (uint32_t i = 2; i < cairn_arg_count(); i++)
        cairn_args_add(&args, cairn_arg(i));
    cairn_timer_set("alarm", cairn_now() + cairn_arg_int(0), cairn_text("%b", cairn_arg(1)), &args);
}

CAIRN_METHOD(Flow, silence, CAIRN_PUBLIC)
{
    cairn_result_int(cairn_timer_cancel("alarm"));
}

/* id: traps at its first attempts, has a count, and tells how many these were, and if a timer runs it. */
CAIRN_METHOD(Flow, moody, CAIRN_INTERNAL, CAIRN_DURABLE)
{
    begin();
    if (cairn_attempts() == 0)
        __builtin_trap();
    if (cairn_attempts() == 1)
        cairn_retry(10);
    if (cairn_attempts() < 2)
        return;
    cairn_wait(cairn_call("Tally", cairn_arg(0), "add", NULL));
    cairn_set(Flow_word, cairn_str(cairn_text("%d %d", (int)cairn_attempts(), cairn_timer_due() != 0)));
    cairn_wait(cairn_call("Tally", cairn_arg(0), "add", NULL));
    end();
}

/* id, ms: sets a timer that has a count, and another, which it cancels after a while. */
CAIRN_METHOD(Flow, clockwork, CAIRN_PUBLIC, CAIRN_DURABLE)
{
    struct cairn_args args = {0};

    begin();
    cairn_args_add(&args, cairn_arg(0));
    cairn_timer_set("once", cairn_now() + cairn_arg_int(1), "count_there", &args);
    cairn_timer_every("often", 100 * cairn_arg_int(1), "count_there", &args);
    cairn_wait(cairn_call("Tally", cairn_arg(0), "add", NULL));
    cairn_sleep(cairn_arg_int(1) / 2);
    cairn_list_push_int(Flow_line, cairn_timer_cancel("often") + 2 * cairn_timer_cancel("never"));
    cairn_wait(cairn_call("Tally", cairn_arg(0), "add", NULL));
    end();
}

CAIRN_METHOD(Flow, count_there, CAIRN_INTERNAL)
{
    cairn_send("Tally", cairn_arg(0), "add", NULL);
}

/* bytes: a plain method that writes so much. */
CAIRN_METHOD(Flow, fill, CAIRN_PUBLIC)
{
    uint32_t bytes = (uint32_t)cairn_arg_int(0);

    cairn_set(Flow_word, cairn_bytes(memset(cairn_alloc(bytes), 'y', bytes), bytes));
}

/* A durable method of one segment. */
CAIRN_METHOD(Flow, touch, CAIRN_PUBLIC, CAIRN_DURABLE)
{
    begin();
    cairn_result_int(cairn_random() != 0);
}

CAIRN_METHOD(Flow, counts, CAIRN_PUBLIC, CAIRN_READ_ONLY)
{
    struct cairn_pack pack = {0};

    cairn_pack_list(&pack, 2);
    cairn_pack_int(&pack, cairn_get_int(Flow_begun, 0));
    cairn_pack_int(&pack, cairn_get_int(Flow_done, 0));
    cairn_result_packed(cairn_packed(&pack));
}
