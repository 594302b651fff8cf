/* Would catch: a listing, an object or log lines that are not cut into pages, by number or by bytes; pages that leave
 * out or repeat what was there all the time, also while it changes; a cursor at the end, or none before it; a cursor of
 * something else that is taken; a question for less than the page that makes it all the same. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

#include "support/simnode.h"

enum { ENTRIES = 2500, LARGE = 30, LARGE_BYTES = 9000 };

static void open_node(struct simnode *sim, uint64_t seed)
{
    struct cairn_err err;

    simnode_init(sim, seed, NULL);
    if (simnode_open(sim, &err) != CAIRN_OK)
        fail_msg("%s", err.text);
    simnode_deploy(sim, "probe");
}

/* What all pages of a request have; each has its bounds. */
struct told {
    uint32_t pages, entries;
    size_t bytes_most;
    struct cairn_buf items; /* the contents of LIST and LOGS, the entries of SHOW: encoded, one after the other */
};

static struct cairn_bytes whole(struct cairn_reader *r)
{
    const uint8_t *from = r->at;

    for (uint64_t left = 1; left > 0 && !r->bad; left--)
        left += cairn_value_read(r).count;
    return cairn_bytes(from, (size_t)(r->at - from));
}

static uint64_t add_items(struct told *told, struct cairn_reader *r)
{
    struct cairn_value list = cairn_value_read(r);
    uint64_t count = list.kind == CAIRN_VALUE_LIST ? list.count : list.kind == CAIRN_VALUE_BYTES;

    for (uint64_t i = 0; list.kind == CAIRN_VALUE_LIST && i < count; i++) {
        struct cairn_bytes item = whole(r);
        cairn_buf_add(&told->items, item.data, item.size);
    }
    told->entries += (uint32_t)count;
    return count;
}

/* All pages, with the cursor of one for the next; between two of them `meanwhile` is called. */
static void ask_all(struct simnode *sim, enum cairn_op op, const char *id, uint32_t limit, struct told *told,
                    void (*meanwhile)(struct simnode *sim, uint32_t page))
{
    struct cairn_buf cursor = {0};
    bool more = true;

    *told = (struct told){0};
    while (more) {
        struct simcall call;
        struct cairn_reader r;
        uint64_t fields, shown = 0;
        struct cairn_value next;

        simcall_init(&call, op, "Probe", id, NULL, NULL);
        call.request.limit = limit;
        call.request.cursor = cairn_buf_bytes(&cursor);
        simcall_run(sim, &call);
        r = cairn_reader(cairn_buf_bytes(&call.reply));
        assert_int_equal(cairn_value_read(&r).count, 2);
        if (op == CAIRN_OP_SHOW) {
            fields = cairn_value_read(&r).count;
            for (uint64_t i = 0; i < fields; i++) {
                cairn_value_read(&r);
                whole(&r);
                whole(&r);
                whole(&r);
                shown += add_items(told, &r);
            }
        } else {
            shown = add_items(told, &r);
        }
        next = cairn_value_read(&r);
        assert_false(r.bad);
        assert_true(shown <= CAIRN_PAGE_ENTRIES);
        if (call.reply.size > told->bytes_most)
            told->bytes_most = call.reply.size;
        more = next.kind == CAIRN_VALUE_BYTES;
        cursor.size = 0;
        cairn_buf_add(&cursor, next.bytes.data, next.bytes.size);
        simcall_done(&call);
        told->pages++;
        assert_true(told->pages < 2000);
        if (meanwhile)
            meanwhile(sim, told->pages);
    }
    cairn_buf_done(&cursor);
}

/* The next of the items is that text. */
static void expect_item(struct cairn_reader *r, const char *want)
{
    struct cairn_bytes got = cairn_value_read(r).bytes;

    assert_int_equal(got.size, strlen(want));
    assert_memory_equal(got.data, want, got.size);
}

/* What it returns does not matter. */
static void call(struct simnode *sim, const char *id, const char *method, const char *first, const char *second)
{
    struct simcall call;

    simcall_init(&call, CAIRN_OP_INVOKE, "Probe", id, method, first, second, NULL);
    simcall_run(sim, &call);
    simcall_done(&call);
}

static void add_objects(struct simnode *sim, const char *format, int count)
{
    char id[600];

    for (int i = 0; i < count; i++) {
        snprintf(id, sizeof id, format, i);
        simnode_expect(sim, "1", "Probe", id, "add", NULL);
    }
}

static void listings_come_in_pages(void **state)
{
    struct simnode sim;
    struct told told;
    struct cairn_reader r;
    char want[16];

    (void)state;
    open_node(&sim, 21);
    add_objects(&sim, "o%04d", ENTRIES);
    ask_all(&sim, CAIRN_OP_LIST, NULL, 10000, &told, NULL);
    assert_int_equal(told.entries, ENTRIES);
    assert_int_equal(told.pages, (ENTRIES + CAIRN_PAGE_ENTRIES - 1) / CAIRN_PAGE_ENTRIES);
    r = cairn_reader(cairn_buf_bytes(&told.items));
    for (int i = 0; i < ENTRIES; i++) {
        snprintf(want, sizeof want, "o%04d", i);
        expect_item(&r, want);
    }
    cairn_buf_done(&told.items);
    ask_all(&sim, CAIRN_OP_LIST, NULL, ENTRIES / 50, &told, NULL); /* exactly: no empty page at the end */
    assert_int_equal(told.pages, 50);
    assert_int_equal(told.entries, ENTRIES);
    cairn_buf_done(&told.items);
    simnode_done(&sim);
}

static void long_ids_end_a_page(void **state)
{
    struct simnode sim;
    struct told told;

    (void)state;
    open_node(&sim, 22);
    add_objects(&sim, "%0500d", 400);
    ask_all(&sim, CAIRN_OP_LIST, NULL, 1000, &told, NULL);
    assert_int_equal(told.entries, 400);
    assert_int_equal(told.pages, 7); /* 66 ids each */
    assert_true(told.bytes_most <= CAIRN_PAGE_BYTES + 1000);
    cairn_buf_done(&told.items);
    simnode_done(&sim);
}

/* Time goes on whenever somebody looks at it: reading is slow. */
static uint64_t (*look)(struct cairn_clock *clock);

static uint64_t slow_ns(struct cairn_clock *clock)
{
    cairn_sim_clock_advance(cairn_container(clock, struct cairn_sim_clock, clock), 40000);
    return look(clock);
}

static void slow_pages_end_early(void **state)
{
    struct simnode sim;
    struct told told;
    struct cairn_reader r;
    char want[16];

    (void)state;
    open_node(&sim, 28);
    add_objects(&sim, "o%04d", ENTRIES);
    look = sim.clock.clock.monotonic_ns;
    sim.clock.clock.monotonic_ns = slow_ns;
    ask_all(&sim, CAIRN_OP_LIST, NULL, 10000, &told, NULL);
    sim.clock.clock.monotonic_ns = look;
    assert_true(told.pages > 2 * ENTRIES / CAIRN_PAGE_ENTRIES);
    assert_true(told.pages <= ENTRIES / 16);
    assert_int_equal(told.entries, ENTRIES);
    r = cairn_reader(cairn_buf_bytes(&told.items));
    for (int i = 0; i < ENTRIES; i++) {
        snprintf(want, sizeof want, "o%04d", i);
        expect_item(&r, want);
    }
    cairn_buf_done(&told.items);
    simnode_done(&sim);
}

static void fill(struct simnode *sim, const char *id)
{
    char key[16], value[16];

    for (int i = 0; i < ENTRIES; i++) {
        snprintf(key, sizeof key, "k%04d", i);
        snprintf(value, sizeof value, "v%04d", i);
        call(sim, id, "push", value, NULL);
        call(sim, id, "map_set", key, value);
    }
    call(sim, id, "set", "word", NULL);
}

/* Its list in the items, which begin with that. */
static void expect_list(struct cairn_reader *r, int first)
{
    char want[16];

    for (int i = first; i < ENTRIES; i++) {
        snprintf(want, sizeof want, "v%04d", i);
        expect_item(r, want);
    }
}

static void objects_come_in_pages(void **state)
{
    struct simnode sim;
    struct told told;
    struct cairn_reader r;

    (void)state;
    open_node(&sim, 23);
    fill(&sim, "a");
    ask_all(&sim, CAIRN_OP_SHOW, "a", 10000, &told, NULL);
    assert_true(told.pages >= 2 * ENTRIES / CAIRN_PAGE_ENTRIES && told.pages <= 2 * ENTRIES / CAIRN_PAGE_ENTRIES + 2);
    assert_int_equal(told.entries, 2 * ENTRIES + 1);
    r = cairn_reader(cairn_buf_bytes(&told.items));
    expect_list(&r, 0);
    cairn_buf_done(&told.items);
    ask_all(&sim, CAIRN_OP_SHOW, "a", 1200, &told, NULL); /* the newest of the list */
    r = cairn_reader(cairn_buf_bytes(&told.items));
    assert_int_equal(told.entries, 2 * 1200 + 1);
    expect_list(&r, ENTRIES - 1200);
    cairn_buf_done(&told.items);
    ask_all(&sim, CAIRN_OP_SHOW, "a", 5, &told, NULL);
    assert_int_equal(told.pages, 1);
    assert_int_equal(told.entries, 11);
    cairn_buf_done(&told.items);
    simnode_done(&sim);
}

static void drop_and_push(struct simnode *sim, uint32_t page)
{
    if (page == 1) /* of the list: 100 that were shown, and more behind what was there */
        call(sim, "a", "drop", "100", "0");
    call(sim, "a", "push", "new", NULL);
}

static void entries_keep_their_place_between_pages(void **state)
{
    struct simnode sim;
    struct told told;
    struct cairn_reader r;

    (void)state;
    open_node(&sim, 24);
    fill(&sim, "a");
    ask_all(&sim, CAIRN_OP_SHOW, "a", 10000, &told, drop_and_push);
    r = cairn_reader(cairn_buf_bytes(&told.items));
    expect_list(&r, 0);
    cairn_buf_done(&told.items);
    simnode_done(&sim);
}

static void large_entries_end_a_page(void **state)
{
    struct simnode sim;
    struct told told;
    char value[LARGE_BYTES + 1];

    (void)state;
    open_node(&sim, 25);
    memset(value, 'x', LARGE_BYTES);
    value[LARGE_BYTES] = 0;
    for (int i = 0; i < LARGE; i++)
        call(&sim, "a", "push", value, NULL);
    ask_all(&sim, CAIRN_OP_SHOW, "a", 1000, &told, NULL);
    assert_int_equal(told.entries, LARGE);
    assert_int_equal(told.pages, 8); /* four each */
    assert_true(told.bytes_most <= CAIRN_PAGE_BYTES + 2 * LARGE_BYTES);
    cairn_buf_done(&told.items);
    simnode_done(&sim);
}

static void log_lines_come_in_pages(void **state)
{
    struct simnode sim;
    struct told told;
    struct cairn_reader r;
    char text[16], id[16];

    (void)state;
    open_node(&sim, 26);
    for (int i = 0; i < 700; i++) {
        snprintf(text, sizeof text, "l%04d", i);
        snprintf(id, sizeof id, "o%d", i % 50);
        simnode_expect(&sim, "nil", "Probe", id, "say", text, NULL);
        cairn_sim_clock_advance(&sim.clock, 20000000); /* each has its millisecond */
    }
    ask_all(&sim, CAIRN_OP_LOGS, NULL, 650, &told, NULL);
    assert_int_equal(told.entries, 650);
    assert_true(told.pages > 1);
    r = cairn_reader(cairn_buf_bytes(&told.items));
    for (int i = 50; i < 700; i++) {
        cairn_value_read(&r);
        for (int k = 0; k < 5; k++)
            cairn_value_read(&r);
        snprintf(text, sizeof text, "l%04d", i);
        expect_item(&r, text);
        cairn_value_read(&r); /* the job */
    }
    cairn_buf_done(&told.items);
    simnode_done(&sim);
}

static const char *ask_once(struct simnode *sim, enum cairn_op op, const char *id, const char *cursor, bool peek)
{
    static char kept[256];
    struct simcall call;

    simcall_init(&call, op, "Probe", id, NULL, NULL);
    call.request.cursor = cairn_str(cursor);
    call.request.peek = peek;
    simcall_run(sim, &call);
    snprintf(kept, sizeof kept, "%.20s", simvalue_text(cairn_buf_bytes(&call.reply)));
    simcall_done(&call);
    return kept;
}

static void foreign_cursors_are_refused(void **state)
{
    struct simnode sim;

    (void)state;
    open_node(&sim, 27);
    simnode_expect(&sim, "1", "Probe", "a", "add", NULL);
    assert_string_equal(ask_once(&sim, CAIRN_OP_SHOW, "a", "\x7f\x01\x01", false), "!bad_request: that c");
    assert_string_equal(ask_once(&sim, CAIRN_OP_SHOW, "a", "\xff", false), "!bad_request: that c");
    assert_string_equal(ask_once(&sim, CAIRN_OP_LOGS, NULL, "\x01", false), "!bad_request: that c");
    assert_string_equal(ask_once(&sim, CAIRN_OP_TYPES, NULL, "\x01", false), "!bad_request: that c");
    assert_string_equal(ask_once(&sim, CAIRN_OP_SHOW, "a", "", true), "nil");
    assert_string_equal(ask_once(&sim, CAIRN_OP_SHOW, "b", "", true), "!not_found: there is");
    assert_string_equal(ask_once(&sim, CAIRN_OP_LIST, NULL, "", true), "nil");
    assert_string_equal(ask_once(&sim, CAIRN_OP_TYPES, NULL, "", true), "nil");
    simnode_done(&sim);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(listings_come_in_pages),
        cmocka_unit_test(long_ids_end_a_page),
        cmocka_unit_test(slow_pages_end_early),
        cmocka_unit_test(objects_come_in_pages),
        cmocka_unit_test(entries_keep_their_place_between_pages),
        cmocka_unit_test(large_entries_end_a_page),
        cmocka_unit_test(log_lines_come_in_pages),
        cmocka_unit_test(foreign_cursors_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
