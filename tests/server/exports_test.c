/* Would catch: two exports at once, one that goes on with the wrong page, one whose client is gone and that keeps the
 * log and checkpoints for good, or is given up while it is read. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "server/exports.h"
#include "support/simnode.h"
#include "transfer/stream.h"

struct page {
    int64_t id, over;
    size_t bytes;
    char error[64]; /* "" if it was none */
};

static struct page ask(struct cairn_exports *exports, uint64_t id, uint32_t number, uint64_t version)
{
    struct cairn_buf value = {0};
    struct cairn_reader r;
    struct cairn_value head;
    struct page page = {0};

    cairn_exports_page(exports, id, number, version, cairn_str(""), &value);
    r = cairn_reader(cairn_buf_bytes(&value));
    head = cairn_value_read(&r);
    if (head.kind == CAIRN_VALUE_ERROR) {
        memcpy(page.error, head.error.data, head.error.size);
    } else {
        page.id = cairn_value_read(&r).integer;
        page.over = cairn_value_read(&r).integer;
        page.bytes = cairn_value_read(&r).bytes.size;
    }
    cairn_buf_done(&value);
    return page;
}

static void open_node(struct simnode *sim, const char *engine)
{
    struct simnode_options options = {.engine = engine, .shards = 2, .workers = 2};
    struct cairn_err err;
    struct simcall call;

    simnode_init(sim, 5, &options);
    if (simnode_open(sim, &err) != CAIRN_OK)
        fail_msg("%s", err.text);
    simnode_deploy(sim, "retwis");
    for (int i = 0; i < 40; i++) {
        char text[20000];

        memset(text, 'x', sizeof text - 1);
        text[sizeof text - 1] = 0;
        simcall_init(&call, CAIRN_OP_INVOKE, "User", i % 2 ? "a" : "b", "post", text, NULL);
        simcall_run(sim, &call);
        simcall_done(&call);
    }
    simnode_settle(sim);
}

static void close_node(struct simnode *sim)
{
    struct cairn_err err;

    assert_int_equal(simnode_close(sim, &err), CAIRN_OK);
    simnode_done(sim);
}

static void one_at_a_time_in_order(void **state)
{
    struct cairn_exports *exports;
    struct simnode sim;
    struct page page;
    uint64_t id;
    uint32_t next = 1;

    (void)state;
    open_node(&sim, "memory");
    exports = cairn_exports_create(sim.store, &sim.clock.clock);
    page = ask(exports, 0, 0, 0);
    assert_string_equal(page.error, "");
    assert_true(page.id > 0 && !page.over && page.bytes > 0);
    id = (uint64_t)page.id;
    assert_string_equal(ask(exports, 0, 0, 0).error, "conflict");
    assert_string_equal(ask(exports, id, 2, 0).error, "not_found");
    assert_string_equal(ask(exports, id + 1, 1, 0).error, "not_found");
    while (!page.over) { /* these have done no harm */
        page = ask(exports, id, next++, 0);
        assert_string_equal(page.error, "");
    }
    assert_true(next > 2);
    assert_string_equal(ask(exports, id, next, 0).error, "not_found");
    page = ask(exports, 0, 0, 0);
    assert_string_equal(page.error, "");
    assert_true((uint64_t)page.id != id);
    cairn_exports_destroy(exports);
    close_node(&sim);
}

static void one_that_nobody_asks_for_is_given_up(void **state)
{
    struct cairn_exports *exports;
    struct simnode sim;
    struct page page;

    (void)state;
    open_node(&sim, "memory");
    exports = cairn_exports_create(sim.store, &sim.clock.clock);
    page = ask(exports, 0, 0, 0);
    cairn_sim_clock_advance(&sim.clock, UINT64_C(50000000000));
    cairn_exports_look(exports);
    assert_string_equal(ask(exports, 0, 0, 0).error, "conflict");
    assert_string_equal(ask(exports, (uint64_t)page.id, 1, 0).error, "");
    cairn_sim_clock_advance(&sim.clock, UINT64_C(50000000000));
    cairn_exports_look(exports);
    assert_string_equal(ask(exports, 0, 0, 0).error, "conflict"); /* it was asked for lately */
    cairn_sim_clock_advance(&sim.clock, UINT64_C(61000000000));
    cairn_exports_look(exports);
    assert_string_equal(ask(exports, (uint64_t)page.id, 2, 0).error, "not_found");
    assert_string_equal(ask(exports, 0, 0, 0).error, "");
    cairn_exports_destroy(exports);
    close_node(&sim);
}

static void engines_with_versions_need_one(void **state)
{
    struct cairn_exports *exports;
    struct simnode sim;
    struct page page;

    (void)state;
    open_node(&sim, "lsm");
    exports = cairn_exports_create(sim.store, &sim.clock.clock);
    page = ask(exports, 0, 0, 0);
    assert_string_equal(page.error, "");
    assert_true(page.id == 0 && page.bytes == 0);
    assert_string_equal(ask(exports, 0, 0, 77).error, "not_found");
    cairn_exports_destroy(exports);
    close_node(&sim);
    open_node(&sim, "memory");
    exports = cairn_exports_create(sim.store, &sim.clock.clock);
    assert_string_equal(ask(exports, 0, 0, 1).error, "bad_request");
    assert_string_equal(ask(exports, 0, 0, 0).error, ""); /* nothing of that stays open */
    cairn_exports_destroy(exports);
    close_node(&sim);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_at_a_time_in_order),
        cmocka_unit_test(one_that_nobody_asks_for_is_given_up),
        cmocka_unit_test(engines_with_versions_need_one),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
