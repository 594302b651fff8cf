/* What the tests of transactions do: cells with a number, and methods that change several of them. */
#include <cairn/guest.h>

CAIRN_MODULE(ledger);
CAIRN_TYPE(Cell);
CAIRN_VALUE(Cell, number);
CAIRN_LIST(Cell, entries);
CAIRN_MAP(Cell, marks);

static int64_t add(int64_t more)
{
    int64_t number = cairn_get_int(Cell_number, 0) + more;

    cairn_set_int(Cell_number, number);
    cairn_list_push_int(Cell_entries, more);
    return number;
}

CAIRN_METHOD(Cell, add, CAIRN_PUBLIC)
{
    cairn_result_int(add(cairn_arg_int(0)));
}

CAIRN_METHOD(Cell, get, CAIRN_PUBLIC, CAIRN_READ_ONLY)
{
    cairn_result_int(cairn_get_int(Cell_number, 0));
}

CAIRN_METHOD(Cell, count, CAIRN_PUBLIC, CAIRN_READ_ONLY)
{
    cairn_result_int((int64_t)cairn_list_count(Cell_entries));
}

CAIRN_METHOD(Cell, refuse, CAIRN_PUBLIC)
{
    add(1000);
    cairn_fail("refused", "on purpose");
}

CAIRN_METHOD(Cell, trap, CAIRN_PUBLIC)
{
    add(1000);
    __builtin_trap();
}

CAIRN_METHOD(Cell, remove, CAIRN_PUBLIC)
{
    cairn_delete_self();
}

CAIRN_METHOD(Cell, renew, CAIRN_PUBLIC)
{
    cairn_delete_self();
    add(cairn_arg_int(0));
}

static uint32_t call(uint32_t arg, const char *method, int64_t number)
{
    struct cairn_args args = {0};

    cairn_args_add_int(&args, number);
    return cairn_call("Cell", cairn_arg(arg), method, &args);
}

/* Takes the number from itself and gives it to each of the others, one after the other. */
static bool give(bool waits)
{
    int64_t amount = cairn_arg_int(0);

    add(-amount * (int64_t)(cairn_arg_count() - 1));
    for (uint32_t i = 1; i < cairn_arg_count(); i++) {
        uint32_t number = call(i, "add", amount);

        if (waits && !cairn_wait(number).ok)
            return false;
    }
    return true;
}

CAIRN_METHOD(Cell, give, CAIRN_PUBLIC, CAIRN_TRANSACTION)
{
    if (give(true))
        cairn_result_int(cairn_get_int(Cell_number, 0));
    else
        cairn_fail("not_given", "a call has failed");
}

/* Its calls run in parallel, and nobody looks. */
CAIRN_METHOD(Cell, give_all, CAIRN_PUBLIC, CAIRN_TRANSACTION)
{
    give(false);
}

CAIRN_METHOD(Cell, give_then_fail, CAIRN_PUBLIC, CAIRN_TRANSACTION)
{
    give(true);
    cairn_fail("refused", "at the end");
}

CAIRN_METHOD(Cell, give_then_trap, CAIRN_PUBLIC, CAIRN_TRANSACTION)
{
    give(true);
    __builtin_trap();
}

/* do(METHOD, ID ...): calls the method with 1, all at once, and looks at nothing. */
CAIRN_METHOD(Cell, each, CAIRN_PUBLIC, CAIRN_TRANSACTION)
{
    char method[64] = {0};
    struct cairn_bytes name = cairn_arg(0);

    memcpy(method, name.data, name.size);
    add(1);
    for (uint32_t i = 1; i < cairn_arg_count(); i++)
        call(i, method, 1);
}

/* The same, one after the other, and failures are handled: the results. */
CAIRN_METHOD(Cell, try_each, CAIRN_PUBLIC, CAIRN_TRANSACTION)
{
    struct cairn_pack p = {0};
    char method[64] = {0};
    struct cairn_bytes name = cairn_arg(0);

    memcpy(method, name.data, name.size);
    add(1);
    cairn_pack_list(&p, cairn_arg_count() - 1);
    for (uint32_t i = 1; i < cairn_arg_count(); i++) {
        struct cairn_outcome outcome = cairn_wait(call(i, method, 1));

        if (outcome.ok)
            cairn_pack_value(&p, outcome.value);
        else
            cairn_pack_error(&p, outcome.code, outcome.message);
    }
    cairn_result_packed(cairn_packed(&p));
}

/* try_each without a transaction. */
CAIRN_METHOD(Cell, plain_each, CAIRN_PUBLIC)
{
    struct cairn_pack p = {0};
    char method[64] = {0};
    struct cairn_bytes name = cairn_arg(0);

    memcpy(method, name.data, name.size);
    cairn_pack_list(&p, cairn_arg_count() - 1);
    for (uint32_t i = 1; i < cairn_arg_count(); i++) {
        struct cairn_outcome outcome = cairn_wait(call(i, method, 1));

        if (outcome.ok)
            cairn_pack_value(&p, outcome.value);
        else
            cairn_pack_error(&p, outcome.code, outcome.message);
    }
    cairn_result_packed(cairn_packed(&p));
}

/* What it has written is seen by its later calls: add, call itself to add and read, read. */
CAIRN_METHOD(Cell, own, CAIRN_PUBLIC, CAIRN_TRANSACTION)
{
    struct cairn_args args = {0};
    struct cairn_outcome outcome;
    struct cairn_pack p = {0};

    cairn_args_add_int(&args, 10);
    add(1);
    outcome = cairn_wait(cairn_call("Cell", cairn_self_id(), "add", &args));
    cairn_pack_list(&p, 3);
    cairn_pack_value(&p, outcome.value);
    outcome = cairn_wait(cairn_call("Cell", cairn_self_id(), "get", NULL));
    cairn_pack_value(&p, outcome.value);
    cairn_pack_int(&p, (int64_t)cairn_list_count(Cell_entries));
    cairn_result_packed(cairn_packed(&p));
}

/* sum(ID ...): at one moment. */
CAIRN_METHOD(Cell, sum, CAIRN_PUBLIC, CAIRN_READ_ONLY, CAIRN_TRANSACTION)
{
    int64_t sum = cairn_get_int(Cell_number, 0);

    for (uint32_t i = 0; i < cairn_arg_count(); i++)
        cairn_call("Cell", cairn_arg(i), "get", NULL);
    cairn_wait_all();
    for (uint32_t i = 0; i < cairn_arg_count(); i++) {
        struct cairn_outcome outcome = cairn_outcome(i);
        struct cairn_unpack u = cairn_unpack(outcome.value);

        if (!outcome.ok) {
            cairn_fail("not_read", "a call has failed");
            return;
        }
        sum += cairn_unpack_int(&u);
    }
    cairn_result_int(sum);
}

/* many(N): N cells of other names get 1. */
CAIRN_METHOD(Cell, many, CAIRN_PUBLIC, CAIRN_TRANSACTION)
{
    int64_t count = cairn_arg_int(0);
    struct cairn_args args = {0};

    cairn_args_add_int(&args, 1);
    add(count);
    for (int64_t i = 0; i < count; i++) {
        cairn_call("Cell", cairn_str(cairn_text("%b-%lld", cairn_self_id(), (long long)i)), "add", &args);
        if (i % 4000 == 3999)
            cairn_wait_all();
    }
}

/* Looks at its number, takes long, and looks again: the number if it is the same. */
CAIRN_METHOD(Cell, twice, CAIRN_PUBLIC, CAIRN_READ_ONLY)
{
    int64_t number = cairn_get_int(Cell_number, 0);

    for (volatile int64_t i = 0; i < cairn_arg_int(0); i++)
        ;
    if (cairn_get_int(Cell_number, 0) == number)
        cairn_result_int(number);
    else
        cairn_fail("changed", "while it was being read");
}

/* Never ends by itself. */
CAIRN_METHOD(Cell, spin, CAIRN_PUBLIC)
{
    for (volatile int64_t i = 0;; i++)
        ;
}

/* --- lists that transactions append to, and tell what they saw --- */

static void tell_entries(struct cairn_pack *p)
{
    uint64_t count = cairn_list_count(Cell_entries);

    cairn_pack_int(p, (int64_t)count);
    cairn_pack_int(p, count ? cairn_list_get_int(Cell_entries, count - 1, 0) : 0);
}

/* note(NUMBER): how many there were, and the last; then appends it. */
CAIRN_METHOD(Cell, note, CAIRN_PUBLIC)
{
    struct cairn_pack p = {0};

    cairn_pack_list(&p, 2);
    tell_entries(&p);
    cairn_list_push_int(Cell_entries, cairn_arg_int(0));
    cairn_result_packed(cairn_packed(&p));
}

CAIRN_METHOD(Cell, look, CAIRN_PUBLIC, CAIRN_READ_ONLY)
{
    struct cairn_pack p = {0};

    (void)cairn_arg_count();
    cairn_pack_list(&p, 2);
    tell_entries(&p);
    cairn_result_packed(cairn_packed(&p));
}

CAIRN_METHOD(Cell, entries, CAIRN_PUBLIC, CAIRN_READ_ONLY)
{
    struct cairn_list_iter it = cairn_list_oldest(Cell_entries, 0, UINT64_MAX);
    struct cairn_pack p = {0};

    cairn_pack_list(&p, (uint32_t)cairn_list_count(Cell_entries));
    while (cairn_list_next(&it))
        cairn_pack_value(&p, it.entry);
    cairn_result_packed(cairn_packed(&p));
}

static int64_t list_of(struct cairn_bytes id)
{
    return id.data[id.size - 1] - '0';
}

/* mix(NUMBER, wait|all, [+ or ?]ID ...): appends to its own list and to those with +, looks at those with ?. */
CAIRN_METHOD(Cell, mix, CAIRN_PUBLIC, CAIRN_TRANSACTION)
{
    bool waits = cairn_equal(cairn_arg(1), cairn_str("wait"));
    uint32_t count = cairn_arg_count() - 2;
    struct cairn_args args = {0};
    struct cairn_pack p = {0};

    cairn_args_add(&args, cairn_arg(0));
    cairn_pack_list(&p, count + 1);
    cairn_pack_list(&p, 3);
    cairn_pack_int(&p, list_of(cairn_self_id()));
    tell_entries(&p);
    cairn_list_push_int(Cell_entries, cairn_arg_int(0));
    for (uint32_t i = 0; i < count; i++) {
        struct cairn_bytes id = cairn_arg(i + 2);
        bool appends = id.data[0] == '+';
        uint32_t number = cairn_call("Cell", cairn_bytes(id.data + 1, id.size - 1), appends ? "note" : "look",
                                     appends ? &args : NULL);

        if (waits)
            cairn_wait(number);
    }
    cairn_wait_all();
    for (uint32_t i = 0; i < count; i++) {
        struct cairn_outcome outcome = cairn_outcome(i);
        struct cairn_unpack u = cairn_unpack(outcome.value);

        if (!outcome.ok) {
            cairn_fail("not_mixed", "a call has failed");
            return;
        }
        cairn_unpack_list(&u);
        cairn_pack_list(&p, 3);
        cairn_pack_int(&p, list_of(cairn_arg(i + 2)));
        cairn_pack_int(&p, cairn_unpack_int(&u));
        cairn_pack_int(&p, cairn_unpack_int(&u));
    }
    cairn_result_packed(cairn_packed(&p));
}

/* A field that is longer each time. */
CAIRN_METHOD(Cell, swell, CAIRN_PUBLIC)
{
    uint32_t bytes = (uint32_t)cairn_arg_int(0);
    uint8_t *filler = cairn_alloc(bytes);

    memset(filler, 'y', bytes);
    cairn_map_set(Cell_marks, cairn_str("swollen"), cairn_bytes(filler, bytes));
}

/* swell_all(BYTES, TIMES, ID ...): each of them, so often, 64 bytes more each time. */
CAIRN_METHOD(Cell, swell_all, CAIRN_PUBLIC, CAIRN_TRANSACTION)
{
    for (int64_t i = 0; i < cairn_arg_int(1); i++)
        for (uint32_t k = 2; k < cairn_arg_count(); k++)
            if (!cairn_wait(call(k, "swell", cairn_arg_int(0) + 64 * i)).ok) {
                cairn_fail("swollen", "that was too much");
                return;
            }
    cairn_result_int(cairn_arg_int(1));
}
