/* Would catch: an ordered map whose entries are lost, doubled or out of order, or differ after a restart, a crash, a
 * restore of the object or a look at the past; ranks, places and ranges that are wrong, in either direction and at both
 * ends; a walk that repeats or leaves out what stays when the map changes on the way; keys that do not sort as what
 * they were made of; bad input that is taken, or stops more than its own invocation; a deleted map that leaves keys
 * behind; pages of SHOW that are cut wrongly; a module of ABI 1 that no longer runs, or one that says it is and has an
 * ordered map. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "support/simnode.h"

static struct simnode sim;

#define expect(want, id, ...) simnode_expect(&sim, want, "Sorted", id, __VA_ARGS__, NULL)

static void reopen(void)
{
    struct cairn_err err;

    if (simnode_open(&sim, &err) != CAIRN_OK)
        fail_msg("%s", err.text);
}

static void open_with(uint64_t seed, const char *engine)
{
    struct simnode_options options = {.engine = engine};

    simnode_init(&sim, seed, &options);
    reopen();
    simnode_deploy(&sim, "sorted");
}

/* --- each operation ---------------------------------------------------------------------------- */

static void entries_stand_in_order(void **state)
{
    (void)state;
    open_with(1, "memory");
    expect("[nil, nil]", "a", "ends");
    expect("0", "a", "count");
    expect("0", "a", "rank", "x");
    expect("0", "a", "remove", "x");
    expect("[]", "a", "walk", "up", "10");
    expect("4", "a", "set", "cherry", "3", "apple", "1", "date", "4", "banana", "2");
    expect("4", "a", "set", "cherry", "three");
    expect("\"three\"", "a", "get", "cherry");
    expect("nil", "a", "get", "fig");
    expect("[\"apple\", \"date\"]", "a", "ends");
    expect("[\"apple\", \"1\", \"banana\", \"2\", \"cherry\", \"three\", \"date\", \"4\"]", "a", "walk", "up", "9");
    expect("[\"date\", \"4\", \"cherry\", \"three\"]", "a", "walk", "down", "2");
    expect("[]", "a", "walk", "up", "0");
    expect("[\"banana\", \"2\"]", "a", "walk", "range", "9", "banana", "cherry");
    expect("[\"cherry\", \"three\", \"banana\", \"2\"]", "a", "walk", "range_down", "9", "b", "d");
    expect("[]", "a", "walk", "range", "9", "d", "b");
    expect("[]", "a", "walk", "range", "9", "b", "b");
    expect("[\"cherry\", \"three\"]", "a", "walk", "from", "1", "cherry");
    expect("[\"date\", \"4\"]", "a", "walk", "behind", "1", "cherry");
    expect("[\"cherry\", \"three\"]", "a", "walk", "down_from", "1", "cherry");
    expect("[\"banana\", \"2\"]", "a", "walk", "before", "1", "cherry");
    expect("[]", "a", "walk", "behind", "9", "date");
    expect("[]", "a", "walk", "before", "9", "apple");
    expect("[\"banana\", \"2\"]", "a", "walk", "prefix", "9", "b");
    expect("[\"cherry\", \"three\", \"date\", \"4\"]", "a", "walk", "place", "9", "2");
    expect("[\"cherry\", \"three\", \"banana\", \"2\"]", "a", "walk", "down_place", "2", "2");
    expect("[]", "a", "walk", "place", "9", "4");
    expect("[]", "a", "walk", "place", "9", "9223372036854775807");
    expect("0", "a", "rank", "apple");
    expect("2", "a", "rank", "c");
    expect("4", "a", "rank", "zebra");
    expect("2", "a", "count_range", "banana", "date");
    expect("0", "a", "count_range", "date", "banana");
    expect("1", "a", "set_other", "cherry", "another map");
    expect("1", "a", "remove", "cherry", "fig");
    expect("[\"apple\", \"1\", \"banana\", \"2\", \"date\", \"4\"]", "a", "walk", "up", "9");
    expect("4", "a", "set", "", "empty");
    expect("[\"\", \"empty\", \"apple\", \"1\"]", "a", "walk", "up", "2");
    expect("[\"\", \"date\"]", "a", "ends");
    expect("[\"\", \"empty\"]", "a", "walk", "before", "9", "a");
    expect("4", "a", "remove", "", "apple", "banana", "date");
    expect("[nil, nil]", "a", "ends");
    expect("0", "a", "count");
    simnode_done(&sim);
}

static void bad_input_is_refused(void **state)
{
    (void)state;
    open_with(2, "memory");
    expect("!trap: field...", "a", "wrong_kind");
    expect("!trap: host call ordered_read knows no flags 32", "a", "wrong_flags", "32");
    expect("!trap: pointer out of bounds...", "a", "wrong_pointer");
    expect("!not_read_only...", "a", "set_reading", "k", "v");
    expect("!not_read_only...", "a", "remove_reading", "k");
    expect("!limit: an ordered map's key has 1025 bytes; at most 1024 are allowed", "a", "long_key", "1025");
    expect("!no: on purpose", "a", "fill_and_fail");
    expect("0", "a", "count");
    expect("0", "a", "long_key", "1024");
    expect("1", "a", "count");
    expect("!bad_argument...", "a", "walk", "up", "ten");
    expect("!limit: the segment writes more...", "a", "fill", "0", "100000", "1");
    expect("1", "a", "count");
    simnode_done(&sim);
}

/* --- a model: which of the keys 0 .. KEYS - 1 there are, and their values -------------------------- */

enum { KEYS = 700 };

static void key_text(int key, char to[40])
{
    /* In the order of the numbers, and of several lengths. */
    snprintf(to, 40, "%04d%.*s", key, key % 7 * 4, "abcdefghijklmnopqrstuvwxyz");
}

static void expect_walk(const int *values, const char *how, int low, int high, int step, int count)
{
    char first[40], second[40], limit[16];
    struct cairn_reader r;
    struct simcall call;
    struct cairn_value list;
    uint64_t seen = 0;
    int at = step > 0 ? low : high - 1;

    key_text(low, first);
    key_text(high, second);
    snprintf(limit, sizeof limit, "%d", count);
    simcall_init(&call, CAIRN_OP_INVOKE, "Sorted", "m", "walk", how, limit, first, second, NULL);
    simcall_run(&sim, &call);
    r = cairn_reader(cairn_buf_bytes(&call.reply));
    list = cairn_value_read(&r);
    assert_int_equal(list.kind, CAIRN_VALUE_LIST);
    for (; at >= low && at < high && count > 0; at += step) {
        char key[40], value[16];
        struct cairn_bytes got;

        if (values[at] < 0)
            continue;
        key_text(at, key);
        snprintf(value, sizeof value, "%d", values[at]);
        got = cairn_value_read(&r).bytes;
        assert_true(cairn_bytes_equal(got, cairn_str(key)));
        got = cairn_value_read(&r).bytes;
        assert_true(cairn_bytes_equal(got, cairn_str(value)));
        seen += 2;
        count--;
    }
    assert_int_equal(seen, list.count);
    assert_false(r.bad);
    simcall_done(&call);
}

static void check_model(struct cairn_random *random, const int *values)
{
    char key[40], text[24], key2[40];
    int count = 0;

    for (int i = 0; i < KEYS; i++)
        count += values[i] >= 0;
    snprintf(text, sizeof text, "%d", count);
    expect(text, "m", "count");
    expect_walk(values, "up", 0, KEYS, 1, KEYS);
    expect_walk(values, "down", 0, KEYS, -1, KEYS);
    for (int n = 0; n < 12; n++) {
        int low = (int)cairn_random_below(random, KEYS), high = (int)cairn_random_below(random, KEYS), below = 0,
            between = 0;

        for (int i = 0; i < KEYS; i++) {
            below += i < low && values[i] >= 0;
            between += i >= low && i < high && values[i] >= 0;
        }
        key_text(low, key);
        key_text(high, key2);
        snprintf(text, sizeof text, "%d", below);
        expect(text, "m", "rank", key);
        snprintf(text, sizeof text, "%d", between);
        expect(text, "m", "count_range", key, key2);
        expect_walk(values, "range", low, high, 1, 50);
        expect_walk(values, "range_down", low, high, -1, 50);
    }
}

static void run_model(const char *engine, uint64_t seed)
{
    struct cairn_random random;
    int *values = malloc(KEYS * sizeof *values);

    for (int i = 0; i < KEYS; i++)
        values[i] = -1;
    cairn_random_init(&random, seed);
    open_with(seed, engine);
    for (int round = 0; round < 8; round++) {
        /* It grows, shrinks, and grows again. */
        uint64_t sets_of_8 = (uint64_t[]){8, 6, 2, 5, 1, 7, 4, 0}[round];

        for (int n = 0; n < 250; n++) {
            int at = (int)cairn_random_below(&random, KEYS);
            char key[40], value[16];
            struct simcall call;

            key_text(at, key);
            if (cairn_random_below(&random, 8) < sets_of_8) {
                values[at] = (int)cairn_random_below(&random, 1000);
                snprintf(value, sizeof value, "%d", values[at]);
                simcall_init(&call, CAIRN_OP_INVOKE, "Sorted", "m", "set", key, value, NULL);
                simcall_run(&sim, &call);
                assert_int_equal(call.reply.data[0], CAIRN_VALUE_INT);
                simcall_done(&call);
            } else {
                expect(values[at] >= 0 ? "1" : "0", "m", "remove", key);
                values[at] = -1;
            }
        }
        check_model(&random, values);
        if (round % 3 == 1) { /* what was acknowledged is there again */
            simnode_crash(&sim, CAIRN_SIM_DROP);
            reopen();
            check_model(&random, values);
        } else if (round % 3 == 2) {
            struct cairn_err err;
            assert_int_equal(simnode_close(&sim, &err), CAIRN_OK);
            reopen();
            check_model(&random, values);
        }
    }
    simnode_done(&sim);
    free(values);
}

static void agrees_with_a_sorted_array(void **state)
{
    (void)state;
    run_model("memory", 3);
    run_model("memory", 4);
    run_model("hybridlog", 5);
}

/* --- walking while it changes ------------------------------------------------------------------------ */

/* 2500 keys 0, 2, 4 ..; fetched 1024 at a time.  At the first entry another one far ahead goes, and one comes; each
 * entry is removed when it has been passed. */
static void changes_on_the_way(void **state)
{
    char want[64];
    int64_t sum = 2499LL * 2500;

    (void)state;
    open_with(6, "memory");
    expect("2500", "s", "fill", "0", "5000", "2");
    snprintf(want, sizeof want, "[2500, %" PRId64 ", 0]", sum - 4800 + 4801);
    expect(want, "s", "sweep", "0", "4800", "4801");
    expect("2500", "s", "fill", "0", "5000", "2");
    snprintf(want, sizeof want, "[2500, %" PRId64 ", 0]", sum - 10 + 11);
    expect(want, "s", "sweep", "1", "10", "11");
    /* What was fetched already comes as it was; what comes in between is not seen, and stays. */
    expect("2500", "s", "fill", "0", "5000", "2");
    snprintf(want, sizeof want, "[2500, %" PRId64 ", 1]", sum);
    expect(want, "s", "sweep", "0", "20", "21");
    simnode_done(&sim);
}

/* --- keys ------------------------------------------------------------------------------------------------- */

static int sign(int order)
{
    return order < 0 ? -1 : order > 0;
}

static int64_t bits_of(double number)
{
    int64_t bits;

    memcpy(&bits, &number, sizeof bits);
    return bits;
}

/* What is not a number is above all; -0 is 0. */
static int compare_doubles(double a, double b)
{
    if (isnan(a) || isnan(b))
        return isnan(a) - isnan(b);
    return (a > b) - (a < b);
}

static void expect_order(const char *kind, bool down, const int64_t parts[4], int first, int second)
{
    char text[4][24], want[8];
    int order = first ? down ? -first : first : second;

    for (int i = 0; i < 4; i++)
        snprintf(text[i], sizeof text[i], "%" PRId64, parts[i]);
    snprintf(want, sizeof want, "%d", order);
    expect(want, "k", "order", kind, down ? "1" : "0", text[0], text[1], text[2], text[3]);
}

static void keys_sort_as_their_parts(void **state)
{
    static const int64_t ints[] = {INT64_MIN, INT64_MIN + 1, -257, -256, -1, 0, 1, 255, 256, INT64_MAX - 1, INT64_MAX};
    static const double doubles[] = {-INFINITY, -1.5e300, -1, -5e-324, -0.0,     0.0,
                                     5e-324,    0.1,      1,  1.5e300, INFINITY, NAN};
    static const char *const strings[] = {"", "\x01", "a", "a\x01", "aa", "ab", "b", "\xff", "\xff\xff"};
    static const char *const zeros[] = {"", "0", "00", "01", "0a", "a", "a0", "a00", "a01", "a0a", "aa"};
    struct cairn_random random;

    (void)state;
    open_with(7, "memory");
    cairn_random_init(&random, 7);
    for (int n = 0; n < 150; n++) {
        int64_t i[4], d[4];
        double f[4];
        const char *s[4];
        bool down = n & 1;
        char want[8];
        int first, second;

        for (int k = 0; k < 4; k++) {
            i[k] = ints[cairn_random_below(&random, sizeof ints / sizeof *ints)];
            f[k] = doubles[cairn_random_below(&random, sizeof doubles / sizeof *doubles)];
            d[k] = bits_of(f[k]);
            s[k] = strings[cairn_random_below(&random, sizeof strings / sizeof *strings)];
        }
        expect_order("int", down, i, (i[0] > i[2]) - (i[0] < i[2]), (i[1] > i[3]) - (i[1] < i[3]));
        expect_order("uint", down, i, ((uint64_t)i[0] > (uint64_t)i[2]) - ((uint64_t)i[0] < (uint64_t)i[2]),
                     ((uint64_t)i[1] > (uint64_t)i[3]) - ((uint64_t)i[1] < (uint64_t)i[3]));
        expect_order("double", down, d, compare_doubles(f[0], f[2]), compare_doubles(f[1], f[3]));
        first = sign(strcmp(s[0], s[2]));
        second = sign(strcmp(s[1], s[3]));
        snprintf(want, sizeof want, "%d", first ? down ? -first : first : second);
        expect(want, "k", "order", "bytes", down ? "1" : "0", s[0], s[1], s[2], s[3]);
        for (int k = 0; k < 4; k++)
            s[k] = zeros[cairn_random_below(&random, sizeof zeros / sizeof *zeros)];
        first = sign(strcmp(s[0], s[2])); /* nothing in them is below "0" */
        second = sign(strcmp(s[1], s[3]));
        snprintf(want, sizeof want, "%d", first ? down ? -first : first : second);
        expect(want, "k", "order", "zeros", down ? "1" : "0", s[0], s[1], s[2], s[3]);
    }
    simnode_done(&sim);
}

/* --- objects that go, and come back ------------------------------------------------------------------------- */

static uint64_t keys_of_all(void)
{
    uint64_t keys = 0;

    for (uint32_t i = 0; i < cairn_store_shards(sim.store); i++) {
        struct cairn_engine_stats stats;
        cairn_shard_engine_stats(cairn_store_shard(sim.store, i), &stats);
        keys += stats.keys;
    }
    return keys;
}

static const char *ask(enum cairn_op op, const char *id, uint64_t number)
{
    struct simcall call;
    const char *text;

    simcall_init(&call, op, op == CAIRN_OP_SNAPSHOT ? NULL : "Sorted", id, NULL, NULL);
    call.request.number = number;
    simcall_run(&sim, &call);
    text = simvalue_text(cairn_buf_bytes(&call.reply));
    simcall_done(&call);
    return text;
}

static void deleted_leaves_nothing(void **state)
{
    uint64_t before;

    (void)state;
    open_with(8, "memory");
    for (int i = 0; i < 32; i++) { /* every shard has its own numbers from here on */
        char id[8];
        snprintf(id, sizeof id, "w%d", i);
        expect("1", id, "set", "k", "v");
        assert_string_equal(ask(CAIRN_OP_DELETE, id, 0), "1");
    }
    simnode_settle(&sim);
    before = keys_of_all();
    expect("3000", "d", "fill", "0", "3000", "1");
    expect("1", "d", "set_other", "k", "v");
    expect("3001", "d", "set", "one more", "v"); /* and one map that became empty by itself */
    expect("1", "e", "set", "k", "v");
    expect("1", "e", "remove", "k");
    assert_string_equal(ask(CAIRN_OP_DELETE, "d", 0), "1");
    expect("0", "d", "count");
    expect("1", "d", "set", "k", "again");
    expect("nil", "d", "remove_self");
    expect("1", "d", "count");
    expect("[\"after\", \"after\"]", "d", "ends");
    assert_string_equal(ask(CAIRN_OP_DELETE, "d", 0), "1");
    assert_string_equal(ask(CAIRN_OP_DELETE, "e", 0), "1");
    simnode_settle(&sim);
    assert_int_equal(keys_of_all(), before);
    simnode_done(&sim);
}

static void past_and_restored(void **state)
{
    (void)state;
    open_with(9, "hybridlog");
    expect("3000", "p", "fill", "0", "9000", "3");
    expect("3000", "p", "drain", "0");
    expect("2990", "p", "drain", "10");
    expect("1", "p", "set_other", "k", "v");
    expect("[2990, 13405665, 2990]", "p", "sum");
    assert_string_equal(ask(CAIRN_OP_SNAPSHOT, NULL, 0), "1");
    expect("5995", "p", "fill", "0", "9000", "2");
    expect("0", "p", "drain", "9000");
    assert_string_equal(ask(CAIRN_OP_RESTORE, "p", 1), "1");
    expect("[2990, 13405665, 2990]", "p", "sum");
    expect("1", "p", "set_other", "k", "v");
    expect("5995", "p", "fill", "0", "9000", "2"); /* it goes on from there */
    simnode_crash(&sim, CAIRN_SIM_DROP);
    reopen();
    expect("5995", "p", "count");
    assert_string_equal(ask(CAIRN_OP_DELETE, "p", 0), "1");
    assert_string_equal(ask(CAIRN_OP_RESTORE, "p", 1), "1");
    expect("[2990, 13405665, 2990]", "p", "sum");
    simnode_done(&sim);
}

/* --- SHOW ------------------------------------------------------------------------------------------------------- */

/* The numbers of the keys of the field, from all pages; at least `pages` of them. */
static uint64_t show(uint32_t limit, const struct cairn_request *range, int64_t *numbers, uint64_t room, int pages)
{
    struct cairn_buf cursor = {0};
    uint64_t count = 0;
    int page = 0;

    do {
        struct simcall call;
        struct cairn_reader r;
        struct cairn_value list;

        simcall_init(&call, CAIRN_OP_SHOW, "Sorted", "v", NULL, NULL);
        call.request.limit = limit;
        call.request.name = cairn_str("map");
        call.request.cursor = cairn_buf_bytes(&cursor);
        call.request.from = range->from;
        call.request.to = range->to;
        call.request.has_to = range->has_to;
        call.request.reverse = range->reverse;
        call.request.number = range->number;
        simcall_run(&sim, &call);
        r = cairn_reader(cairn_buf_bytes(&call.reply));
        if (cairn_value_read(&r).kind != CAIRN_VALUE_LIST)
            fail_msg("%s", simvalue_text(cairn_buf_bytes(&call.reply)));
        assert_int_equal(cairn_value_read(&r).count, 1);
        assert_int_equal(cairn_value_read(&r).count, 4);
        cairn_value_read(&r);
        assert_true(cairn_bytes_equal(cairn_value_read(&r).bytes, cairn_str("ordered")));
        cairn_value_read(&r);
        list = cairn_value_read(&r);
        assert_true(list.count <= CAIRN_PAGE_ENTRIES);
        for (uint64_t i = 0; i < list.count; i++) {
            struct cairn_bytes key;
            assert_int_equal(cairn_value_read(&r).count, 2);
            key = cairn_value_read(&r).bytes;
            assert_int_equal(key.size, 8);
            assert_true(count < room);
            numbers[count++] = (int64_t)(cairn_get_be64(key.data) ^ (uint64_t)1 << 63);
            cairn_value_read(&r);
        }
        list = cairn_value_read(&r);
        assert_false(r.bad);
        cursor.size = 0;
        cairn_buf_add(&cursor, list.bytes.data, list.kind == CAIRN_VALUE_BYTES ? list.bytes.size : 0);
        simcall_done(&call);
        page++;
    } while (cursor.size);
    assert_true(page >= pages);
    cairn_buf_done(&cursor);
    return count;
}

static struct cairn_bytes number_key(int64_t number, uint8_t to[8])
{
    cairn_put_be64(to, (uint64_t)number ^ (uint64_t)1 << 63);
    return cairn_bytes(to, 8);
}

static void shown_in_pages(void **state)
{
    uint8_t low[8], high[8];
    struct cairn_request all = {0}, down = {.reverse = true}, range = {0}, was = {.number = 1};
    int64_t numbers[1000];

    (void)state;
    open_with(10, "hybridlog");
    expect("900", "v", "fill", "0", "900", "1");
    assert_string_equal(ask(CAIRN_OP_SNAPSHOT, NULL, 0), "1");
    assert_int_equal(show(1000, &all, numbers, 1000, 3), 900);
    for (int i = 0; i < 900; i++)
        assert_int_equal(numbers[i], i);
    assert_int_equal(show(600, &down, numbers, 1000, 2), 600);
    for (int i = 0; i < 600; i++)
        assert_int_equal(numbers[i], 899 - i);
    range = (struct cairn_request){.from = number_key(100, low), .to = number_key(700, high), .has_to = true};
    assert_int_equal(show(1000, &range, numbers, 1000, 2), 600);
    assert_int_equal(numbers[0], 100);
    assert_int_equal(numbers[599], 699);
    range.reverse = true;
    assert_int_equal(show(1000, &range, numbers, 1000, 2), 600);
    assert_int_equal(numbers[0], 699);
    assert_int_equal(numbers[599], 100);
    assert_int_equal(show(10, &range, numbers, 1000, 1), 10);
    expect("0", "v", "drain", "900");
    assert_int_equal(show(1000, &was, numbers, 1000, 3), 900);
    assert_int_equal(show(1000, &all, numbers, 1000, 1), 0);
    simnode_done(&sim);
}

/* --- the ABI before ------------------------------------------------------------------------------------------- */

static void read_file(const char *path, struct cairn_buf *to)
{
    const char *source = getenv("CAIRN_SOURCE");
    char name[1024];
    FILE *file;
    size_t n;

    snprintf(name, sizeof name, "%s/%s", source ? source : ".", path);
    file = fopen(name, "rb");
    if (!file)
        fail_msg("%s is missing", name);
    while ((n = fread(cairn_buf_reserve(to, 65536), 1, 65536, file)) > 0)
        to->size += n;
    fclose(file);
}

static const char *deploy(struct cairn_bytes wasm)
{
    static char text[400];
    struct simcall call;

    simcall_init(&call, CAIRN_OP_DEPLOY, NULL, NULL, NULL, NULL);
    call.request.body = wasm;
    simcall_run(&sim, &call);
    snprintf(text, sizeof text, "%s", simvalue_text(cairn_buf_bytes(&call.reply)));
    simcall_done(&call);
    return text;
}

/* tests/object/abi1/probe.wasm was built when ABI 1 was the only one. */
static void modules_of_abi_1_run(void **state)
{
    struct cairn_buf wasm = {0}, sorted = {0};
    uint8_t *at;

    (void)state;
    open_with(11, "memory");
    read_file("tests/object/abi1/probe.wasm", &wasm);
    assert_non_null(memmem(wasm.data, wasm.size, "abi 1\n", 6));
    assert_null(strstr(deploy(cairn_buf_bytes(&wasm)), "!"));
    simnode_expect(&sim, "nil", "Probe", "a", "set", "word", NULL);
    simnode_expect(&sim, "\"word\"", "Probe", "a", "get", NULL);
    simnode_expect(&sim, "3", "Probe", "a", "push", "x", "y", "z", NULL);
    simnode_expect(&sim, "[\"x\", \"y\", \"z\"]", "Probe", "a", "list", NULL);
    simnode_expect(&sim, "1", "Probe", "a", "map_set", "k", "v", NULL);
    simnode_expect(&sim, "[\"k\", \"v\"]", "Probe", "a", "map", NULL);
    /* One that says so and has an ordered map is refused. */
    simnode_wasm("sorted", &sorted);
    at = memmem(sorted.data, sorted.size, "abi 2\n", 6);
    assert_non_null(at);
    at[4] = '1';
    assert_non_null(strstr(deploy(cairn_buf_bytes(&sorted)), "ordered maps are of guest ABI 2"));
    at[4] = '3';
    assert_non_null(strstr(deploy(cairn_buf_bytes(&sorted)), "guest ABI 3, this node has 1 to 2"));
    expect("0", "a", "count");
    cairn_buf_done(&wasm);
    cairn_buf_done(&sorted);
    simnode_done(&sim);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(entries_stand_in_order),     cmocka_unit_test(bad_input_is_refused),
        cmocka_unit_test(agrees_with_a_sorted_array), cmocka_unit_test(changes_on_the_way),
        cmocka_unit_test(keys_sort_as_their_parts),   cmocka_unit_test(deleted_leaves_nothing),
        cmocka_unit_test(past_and_restored),          cmocka_unit_test(shown_in_pages),
        cmocka_unit_test(modules_of_abi_1_run),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
