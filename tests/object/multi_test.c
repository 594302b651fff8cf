/* Would catch: a client's transaction of which a part happens though a call of it fails, or does not though it was
 * acknowledged; calls that do not see what those before them wrote, or do not run in their order; others that see a
 * part of it; an error that does not say which call it is; one that happens though a watched object has changed, or
 * does not though none has; two that wait for each other for ever; a key with which it happens twice, or not at all,
 * that is used up by one that did nothing, or stands for other calls. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/simnode.h"

enum { CALLS_MAX = 8 };

/* Cell's calls and watches, as a client would send them. */
struct multi {
    struct simcall call;
    struct cairn_multi_call calls[CALLS_MAX];
    struct cairn_multi_watch watches[CALLS_MAX];
    struct cairn_buf args[CALLS_MAX];
    char *text[CALLS_MAX], *watched[CALLS_MAX];
};

static struct cairn_bytes cell(void)
{
    return cairn_str("Cell");
}

static void init(struct multi *multi, enum cairn_op op)
{
    memset(multi, 0, sizeof *multi);
    simcall_init(&multi->call, op, NULL, NULL, NULL, NULL);
    multi->call.request.calls = multi->calls;
    multi->call.request.watches = multi->watches;
}

/* "ID METHOD [ARG ...]"; with FCALL_RO a '?' before it. */
static void add(struct multi *multi, const char *text)
{
    uint32_t at = multi->call.request.call_count++;
    struct cairn_multi_call *call = &multi->calls[at];
    char *word, *rest = multi->text[at] = strdup(text + (*text == '?'));

    assert_true(at < CALLS_MAX);
    *call = (struct cairn_multi_call){.type = cell(), .read_only = *text == '?'};
    call->id = cairn_str(strsep(&rest, " "));
    call->method = cairn_str(strsep(&rest, " "));
    while ((word = strsep(&rest, " ")))
        cairn_args_add(&multi->args[at], cairn_str(word));
    call->args = cairn_buf_bytes(&multi->args[at]);
}

static void watch(struct multi *multi, const char *id, struct cairn_bytes change)
{
    uint32_t at = multi->call.request.watch_count++;

    assert_true(at < CALLS_MAX);
    multi->watched[at] = strdup(id);
    multi->watches[at] = (struct cairn_multi_watch){cell(), cairn_str(multi->watched[at]), change};
}

static void done(struct multi *multi)
{
    simcall_done(&multi->call);
    for (int i = 0; i < CALLS_MAX; i++) {
        cairn_buf_done(&multi->args[i]);
        free(multi->text[i]);
        free(multi->watched[i]);
    }
}

static const char *text_of(const struct multi *multi)
{
    return simvalue_text(cairn_buf_bytes(&multi->call.reply));
}

static bool is_list(const struct multi *multi)
{
    return multi->call.replied && multi->call.reply.data[0] == (uint8_t)CAIRN_VALUE_LIST;
}

/* Runs the calls and compares. */
static void expect_multi(struct simnode *sim, const char *want, ...)
{
    struct multi multi;
    const char *text;
    va_list calls;

    init(&multi, CAIRN_OP_MULTI);
    va_start(calls, want);
    while ((text = va_arg(calls, const char *)))
        add(&multi, text);
    va_end(calls);
    simcall_run(sim, &multi.call);
    if (strcmp(text_of(&multi), want) != 0)
        fail_msg("got %s, not %s", text_of(&multi), want);
    assert_int_equal(multi.call.request.effects, *want == '!' ? CAIRN_EFFECTS_NONE : multi.call.request.effects);
    done(&multi);
}

#define expect(want, ...)   simnode_expect(&sim, want, "Cell", __VA_ARGS__, NULL)
#define together(want, ...) expect_multi(&sim, want, __VA_ARGS__, NULL)

static void open_node(struct simnode *sim, uint64_t seed, const struct simnode_options *options)
{
    struct cairn_err err;

    simnode_init(sim, seed, options);
    if (simnode_open(sim, &err) != CAIRN_OK)
        fail_msg("%s", err.text);
    simnode_deploy(sim, "ledger");
}

static const struct simnode_options shapes[] = {{.workers = 1, .shards = 1},
                                                {.workers = 1, .shards = 4},
                                                {.workers = 3, .shards = 7},
                                                {.workers = 2, .shards = 16}};
enum { SHAPES = sizeof shapes / sizeof *shapes };

static void all_or_nothing(void **state)
{
    (void)state;
    for (int s = 0; s < SHAPES; s++) {
        struct simnode sim;

        open_node(&sim, 700 + (uint64_t)s, &shapes[s]);
        together("[5, 1, 6, 6]", "a add 5", "b add 1", "a add 1", "?a get");
        together("[-1, [7], 5, 7]", "x give 1 a", "b plain_each get a", "c add 5", "a get");
        together("!refused: call 2 of 3, Cell.refuse of b: on purpose", "a add 5", "b refuse", "c add 1");
        together("!not_read_only: call 2 of 2, Cell.add of a: Cell.add may write, and only reading is allowed here",
                 "a add 5", "?a add 1");
        together("!refused: call 3 of 3, Cell.give_then_fail of a: at the end", "a add 5", "b add 5",
                 "a give_then_fail 1 b c");
        expect("7", "a", "get");
        expect("1", "b", "get");
        expect("5", "c", "get");
        /* What a call handles itself is as in any transaction. */
        together("[[!refused: on purpose], 6]", "c try_each refuse a", "c add 0");
        expect("7", "a", "get");
        together("[nil, 0, 3]", "a remove", "a count", "a add 3");
        together("[0]", "?new count");
        simnode_done(&sim);
    }
}

static void what_cannot_be(void **state)
{
    static const char long_id[] = "0123456789";
    struct simnode sim;
    struct multi multi;
    char id[600];

    (void)state;
    open_node(&sim, 710, &shapes[2]);
    simnode_deploy(&sim, "bank");
    simnode_deploy(&sim, "trip");
    together("!unknown_method: call 2 of 2, Cell.fly of b: type Cell has no method fly; see `cairn types`", "a add 1",
             "b fly");
    together("!unknown_method: call 1 of 1, Cell.fly of b: type Cell has no method fly; see `cairn types`", "b fly");
    init(&multi, CAIRN_OP_MULTI);
    simcall_run(&sim, &multi.call);
    assert_string_equal(text_of(&multi), "!bad_request: a transaction needs a call");
    add(&multi, "a add 1");
    add(&multi, "b credit 5");
    multi.calls[1].type = cairn_str("Account");
    simcall_run(&sim, &multi.call);
    assert_string_equal(text_of(&multi), "!not_public: call 2 of 2, Account.credit of b: Account.credit is internal: "
                                         "only objects of its own module may call it");
    multi.calls[1].type = cairn_str("Nothing");
    simcall_run(&sim, &multi.call);
    assert_non_null(
        strstr(text_of(&multi), "!unknown_type: call 2 of 2, Nothing.credit of b: there is no type Nothing"));
    multi.calls[0].type = cairn_str("Nothing");
    simcall_run(&sim, &multi.call);
    assert_non_null(strstr(text_of(&multi), "!unknown_type: there is no type Nothing"));
    multi.calls[0].type = cell();
    memset(id, 'i', sizeof id);
    multi.calls[1].id = cairn_bytes(id, sizeof id);
    simcall_run(&sim, &multi.call);
    assert_non_null(strstr(text_of(&multi), "!bad_request: call 2 of 2: an id has 1 to "));
    done(&multi);
    init(&multi, CAIRN_OP_WATCH);
    simcall_run(&sim, &multi.call);
    assert_string_equal(text_of(&multi), "!bad_request: there is nothing to watch");
    watch(&multi, "a", cairn_bytes(NULL, 0));
    watch(&multi, long_id, cairn_bytes(NULL, 0));
    multi.watches[1].type = cairn_str("Nothing");
    simcall_run(&sim, &multi.call);
    assert_non_null(strstr(text_of(&multi), "!unknown_type: watching, Nothing of 0123456789: there is no type"));
    done(&multi);
    expect("0", "a", "count");
    simnode_done(&sim);
}

/* --- others beside it --- */

enum { CELLS = 6, AT_ONCE = 24 };

static void name(char to[8], uint64_t n)
{
    snprintf(to, 8, "c%llu", (unsigned long long)(n % CELLS));
}

static void draw_move(struct simnode *sim, struct multi *multi)
{
    char text[64], from[8], to[8];

    init(multi, CAIRN_OP_MULTI);
    for (int i = 0; i < 2; i++) {
        name(from, cairn_random_u64(&sim->random));
        name(to, cairn_random_u64(&sim->random));
        snprintf(text, sizeof text, "%s add -1", from);
        add(multi, text);
        snprintf(text, sizeof text, "%s add 1", to);
        add(multi, text);
    }
}

static int64_t sum_of(struct multi *multi)
{
    struct cairn_reader r = cairn_reader(cairn_buf_bytes(&multi->call.reply));
    int64_t sum = 0;

    for (uint64_t n = cairn_value_read(&r).count; n > 0; n--)
        sum += cairn_value_read(&r).integer;
    return sum;
}

/* Many at once, in all orders: each happens once or not at all, and those that read all see the sum that never changes.
 * The power is cut in the middle. */
static void others_see_all_of_it(void **state)
{
    uint64_t happened = 0, looked = 0;

    (void)state;
    for (uint64_t seed = 0; seed < SHAPES; seed++) {
        struct simnode_options options = shapes[seed];
        struct multi multis[AT_ONCE];
        struct cairn_err err;
        struct simnode sim;

        options.limits.transaction_attempts = 200;
        if (seed % 2)
            options.engine = "hybridlog";
        open_node(&sim, 720 + seed, &options);
        for (int round = 0; round < 4; round++) {
            uint64_t steps = round % 2 ? 30 + cairn_random_below(&sim.random, 600) : 40000;

            for (int i = 0; i < AT_ONCE; i++) {
                if (i % 4 == 3) {
                    init(&multis[i], CAIRN_OP_MULTI);
                    for (int c = 0; c < CELLS; c++) {
                        char text[16];

                        snprintf(text, sizeof text, "?c%d get", c);
                        add(&multis[i], text);
                    }
                } else {
                    draw_move(&sim, &multis[i]);
                }
                simcall_submit(&sim, &multis[i].call, (uint32_t)i % options.workers);
                for (uint64_t k = cairn_random_below(&sim.random, 30); k > 0; k--)
                    simnode_step(&sim);
            }
            for (uint64_t k = 0; k < steps; k++)
                simnode_step(&sim);
            if (round % 2) {
                simnode_crash(&sim, (enum cairn_sim_crash)(seed % 3));
                if (simnode_open(&sim, &err) != CAIRN_OK)
                    fail_msg("%s", err.text);
            } else {
                simnode_settle(&sim);
            }
            for (int i = 0; i < AT_ONCE; i++) {
                if (round % 2 == 0 && !is_list(&multis[i]))
                    fail_msg("seed %d: %s", (int)seed, text_of(&multis[i]));
                happened += is_list(&multis[i]);
                if (i % 4 == 3 && is_list(&multis[i])) {
                    assert_int_equal(sum_of(&multis[i]), 0);
                    looked++;
                }
                done(&multis[i]);
            }
            expect("0", "c0", "sum", "c1", "c2", "c3", "c4", "c5");
        }
        simnode_done(&sim);
    }
    assert_true(happened > 170);
    assert_true(looked > 45);
}

/* --- WATCH --- */

static struct cairn_bytes change_of(struct simnode *sim, const char *id, struct cairn_buf *to)
{
    struct cairn_bytes bytes;
    struct cairn_reader r;
    struct multi multi;

    init(&multi, CAIRN_OP_WATCH);
    watch(&multi, id, cairn_bytes(NULL, 0));
    simcall_run(sim, &multi.call);
    assert_true(is_list(&multi));
    r = cairn_reader(cairn_buf_bytes(&multi.call.reply));
    assert_int_equal(cairn_value_read(&r).count, 1);
    to->size = 0;
    bytes = cairn_value_read(&r).bytes;
    cairn_buf_add(to, bytes.data, bytes.size);
    done(&multi);
    return cairn_buf_bytes(to);
}

/* What happens between the watching and the calls; of the objects "N-a" (there, watched), "N-b" (watched), "N-d". */
static const struct {
    const char *label, *between[2]; /* "ID METHOD [ARG]" */
    bool changed;
} watched[] = {
    {"nothing", {NULL}, false},
    {"another object", {"d add 1"}, false},
    {"a reader", {"a get"}, false},
    {"a method that fails", {"a refuse"}, false},
    {"a writer", {"a add 1"}, true},
    {"the first writer of one that did not exist", {"b add 1"}, true},
    {"a transaction", {"d give 1 a"}, true},
    {"deleted", {"a remove"}, true},
    {"deleted and made again", {"a renew 5"}, true},
    {"made and deleted", {"b add 1", "b remove"}, true},
};

static void watch_case(struct simnode *sim, size_t n)
{
    struct cairn_buf changes[2] = {0};
    char ids[4][8], text[64];
    struct multi multi;

    for (int i = 0; i < 4; i++)
        snprintf(ids[i], sizeof ids[i], "%zu-%c", n, "abcd"[i]);
    simnode_expect(sim, "5", "Cell", ids[0], "add", "5", NULL);
    init(&multi, CAIRN_OP_MULTI);
    watch(&multi, ids[0], change_of(sim, ids[0], &changes[0]));
    watch(&multi, ids[1], change_of(sim, ids[1], &changes[1]));
    snprintf(text, sizeof text, "%s add 1", ids[0]);
    add(&multi, text);
    snprintf(text, sizeof text, "%s add 1", ids[2]);
    add(&multi, text);
    for (int i = 0; i < 2 && watched[n].between[i]; i++) {
        char method[16] = "", arg[16] = "", letter, to[8] = "";
        struct simcall call;

        assert_true(sscanf(watched[n].between[i], "%c %15s %15s %7s", &letter, method, arg, to) >= 2);
        simcall_init(&call, CAIRN_OP_INVOKE, "Cell", ids[letter - 'a'], method, *arg ? arg : NULL,
                     *to ? ids[*to - 'a'] : NULL, NULL);
        simcall_run(sim, &call);
        simcall_done(&call);
    }
    simcall_run(sim, &multi.call);
    if (strcmp(text_of(&multi), watched[n].changed ? "nil" : "[6, 1]") != 0)
        fail_msg("%s: %s", watched[n].label, text_of(&multi));
    simnode_expect(sim, watched[n].changed ? "0" : "1", "Cell", ids[2], "get", NULL);
    if (!watched[n].changed) { /* its own change is one, too */
        simcall_run(sim, &multi.call);
        assert_string_equal(text_of(&multi), "nil");
    }
    done(&multi);
    for (int i = 0; i < 2; i++)
        cairn_buf_done(&changes[i]);
}

static void watched_objects(void **state)
{
    (void)state;
    for (size_t s = 0; s < SHAPES; s++) {
        struct simnode sim;

        open_node(&sim, 740 + s, &shapes[s]);
        for (size_t n = 0; n < sizeof watched / sizeof *watched; n++)
            watch_case(&sim, n);
        simnode_done(&sim);
    }
}

/* Clients that watch, read, and add one if nothing has changed, all at once: none is lost. */
static void none_is_lost(void **state)
{
    int lists = 0, nils = 0;

    (void)state;
    for (uint64_t seed = 0; seed < SHAPES; seed++) {
        struct multi multis[AT_ONCE];
        struct cairn_buf change = {0}, other = {0};
        struct simnode sim;
        char want[24];
        int done_now = 0;

        open_node(&sim, 760 + seed, &shapes[seed % SHAPES]);
        change_of(&sim, "a", &change);
        change_of(&sim, "b", &other);
        for (int i = 0; i < AT_ONCE; i++) {
            init(&multis[i], CAIRN_OP_MULTI);
            watch(&multis[i], "a", cairn_buf_bytes(&change));
            watch(&multis[i], "b", cairn_buf_bytes(&other));
            add(&multis[i], i % 2 ? "b add 0" : "x add 1");
            add(&multis[i], "a add 1");
            simcall_submit(&sim, &multis[i].call, (uint32_t)i % shapes[seed % SHAPES].workers);
            for (uint64_t k = cairn_random_below(&sim.random, 20); k > 0; k--)
                simnode_step(&sim);
        }
        simnode_settle(&sim);
        for (int i = 0; i < AT_ONCE; i++) {
            bool is_nil = strcmp(text_of(&multis[i]), "nil") == 0;

            if (!is_nil && !is_list(&multis[i]))
                assert_non_null(strstr(text_of(&multis[i]), "!conflict"));
            done_now += is_list(&multis[i]);
            nils += is_nil;
            done(&multis[i]);
        }
        assert_int_equal(done_now, 1); /* all others saw its change */
        lists += done_now;
        snprintf(want, sizeof want, "%d", done_now);
        expect(want, "a", "get");
        cairn_buf_done(&change);
        cairn_buf_done(&other);
        simnode_done(&sim);
    }
    assert_int_equal(lists, SHAPES);
    assert_true(nils > 60);
}

/* With a log for each shard it keeps to one. */
static void logs_of_their_own(void **state)
{
    struct simnode_options options = {.workers = 2, .shards = 4, .streams = true};
    struct simnode sim;

    (void)state;
    open_node(&sim, 780, &options);
    together("[1, 1]", "{x}a add 1", "{x}b add 1");
    together("!limit: call 2 of 4, Cell.add of {y}b: shards have logs of their own here: a transaction cannot come to "
             "objects of several; give them one {tag}",
             "{x}a add 1", "{y}b add 1", "{z}b add 1", "{u}b add 1");
    expect("1", "{x}a", "get");
    simnode_done(&sim);
}

/* As expect_multi, with a key, and a watch if `change` is one of "a". */
static void expect_keyed(struct simnode *sim, const char *key, struct cairn_bytes change, const char *want, ...)
{
    struct multi multi;
    const char *text;
    va_list calls;

    init(&multi, CAIRN_OP_MULTI);
    simcall_key(&multi.call, key);
    if (change.size)
        watch(&multi, "a", change);
    va_start(calls, want);
    while ((text = va_arg(calls, const char *)))
        add(&multi, text);
    va_end(calls);
    simcall_run(sim, &multi.call);
    if (!strstr(text_of(&multi), want))
        fail_msg("got %s, not %s", text_of(&multi), want);
    done(&multi);
}

#define keyed(key, want, ...) expect_keyed(&sim, key, (struct cairn_bytes){0}, want, __VA_ARGS__, NULL)

static void once_with_a_key(void **state)
{
    struct cairn_buf change = {0};
    struct cairn_bytes before;
    struct simnode sim;
    struct cairn_err err;

    (void)state;
    open_node(&sim, 790, &shapes[0]);
    for (int i = 0; i < 3; i++)
        keyed("k", "[5, 7]", "a add 5", "b add 7");
    keyed("k2", "[10, 14]", "a add 5", "b add 7"); /* another key */
    keyed("k", "!key_reused", "a add 6", "b add 7");
    keyed("k", "!key_reused", "a add 5", "b add 7", "c add 1");
    keyed("k", "!key_reused", "a add 5");
    keyed("k", "[1]", "c add 1"); /* the key is the first call's object's */
    keyed("f", "!refused: call 2 of 2", "a add 1", "b refuse");
    together("[14]", "?b get");
    keyed("f", "!refused: call 2 of 2", "a add 1", "b refuse"); /* an outcome, too */
    keyed("r", "[10]", "?a get");                               /* what only reads has one as well */
    together("[11]", "a add 1");
    keyed("r", "[10]", "?a get");
    /* Nothing has happened: the key is unused, and what is watched is none of the calls. */
    before = change_of(&sim, "a", &change);
    expect("12", "a", "add", "1");
    expect_keyed(&sim, "w", before, "nil", "a add 100", "b add 100", NULL);
    before = change_of(&sim, "a", &change);
    expect_keyed(&sim, "w", before, "[112, 114]", "a add 100", "b add 100", NULL);
    expect_keyed(&sim, "w", before, "[112, 114]", "a add 100", "b add 100", NULL);
    keyed("w", "[112, 114]", "a add 100", "b add 100");
    assert_int_equal(simnode_close(&sim, &err), CAIRN_OK);
    if (simnode_open(&sim, &err) != CAIRN_OK)
        fail_msg("%s", err.text);
    keyed("w", "[112, 114]", "a add 100", "b add 100");
    expect("112", "a", "get");
    cairn_buf_done(&change);
    simnode_done(&sim);
}

/* Many with one key at once, and the power is cut: it has happened once or not at all, and with the key it does. */
static void keys_and_crashes(void **state)
{
    int happened = 0, lost = 0;

    (void)state;
    for (uint64_t seed = 0; seed < 20; seed++) {
        const struct simnode_options *options = &shapes[seed % SHAPES];
        struct multi multis[AT_ONCE];
        struct simnode sim;
        struct cairn_err err;
        char want[24];
        bool acknowledged = false;
        uint64_t steps;

        open_node(&sim, 800 + seed, options);
        for (int i = 0; i < AT_ONCE; i++) {
            init(&multis[i], CAIRN_OP_MULTI);
            simcall_key(&multis[i].call, "k");
            add(&multis[i], "a add 1");
            add(&multis[i], "b add 1");
            simcall_submit(&sim, &multis[i].call, (uint32_t)i % options->workers);
        }
        for (steps = cairn_random_below(&sim.random, 200); steps > 0; steps--)
            simnode_step(&sim);
        for (int i = 0; i < AT_ONCE; i++) {
            acknowledged |= multis[i].call.replied;
            if (multis[i].call.replied)
                assert_string_equal(text_of(&multis[i]), "[1, 1]");
        }
        simnode_crash(&sim, (enum cairn_sim_crash)(seed % 3));
        if (simnode_open(&sim, &err) != CAIRN_OK)
            fail_msg("%s", err.text);
        {
            struct multi look;
            bool is_there;

            init(&look, CAIRN_OP_MULTI);
            add(&look, "?a get");
            add(&look, "?b get");
            simcall_run(&sim, &look.call);
            is_there = strcmp(text_of(&look), "[1, 1]") == 0;
            if (!is_there)
                assert_string_equal(text_of(&look), "[0, 0]");
            assert_true(is_there || !acknowledged);
            happened += is_there;
            lost += !is_there;
            done(&look);
        }
        keyed("k", "[1, 1]", "a add 1", "b add 1");
        snprintf(want, sizeof want, "%d", 1);
        expect(want, "a", "get");
        for (int i = 0; i < AT_ONCE; i++)
            done(&multis[i]);
        simnode_done(&sim);
    }
    assert_true(happened > 1 && lost > 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_or_nothing),  cmocka_unit_test(what_cannot_be),   cmocka_unit_test(others_see_all_of_it),
        cmocka_unit_test(watched_objects), cmocka_unit_test(none_is_lost),     cmocka_unit_test(logs_of_their_own),
        cmocka_unit_test(once_with_a_key), cmocka_unit_test(keys_and_crashes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
