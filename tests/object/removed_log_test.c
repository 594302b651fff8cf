/* Would catch: a namespace that is made under the name of one that was removed, and is shown log lines or traces of it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "object/space.h"
#include "support/simnode.h"

/* Of the namespace acme; valid until the next. */
static const char *ask(struct simnode *sim, enum cairn_op op, const char *name, struct cairn_bytes body,
                       const char *line)
{
    static char text[8192];
    struct simcall call;

    simcall_init(&call, op, line ? "Probe" : NULL, line ? "a" : NULL, line ? "say" : NULL, line, NULL);
    call.request.space = cairn_node_space(sim->node, cairn_str("acme"));
    if (name)
        call.request.name = cairn_str(name);
    call.request.body = body;
    call.request.limit = 100;
    simcall_run(sim, &call);
    snprintf(text, sizeof text, "%s", simvalue_text(cairn_buf_bytes(&call.reply)));
    simcall_done(&call);
    return text;
}

/* Lines or spans follow in pages, of which the first is empty.  How many there are that have the text. */
static uint64_t count_with(struct simnode *sim, enum cairn_op op, const char *text)
{
    struct cairn_buf cursor = {0};
    uint64_t found = 0;
    bool more = true;

    for (int i = 0; more && i < 20; i++) {
        struct cairn_reader r;
        struct cairn_value at;
        struct simcall call;

        simcall_init(&call, op, NULL, NULL, NULL, NULL);
        call.request.space = cairn_node_space(sim->node, cairn_str("acme"));
        call.request.limit = 100;
        call.request.cursor = cairn_buf_bytes(&cursor);
        simcall_run(sim, &call);
        r = cairn_reader(cairn_buf_bytes(&call.reply));
        cairn_value_read(&r);
        for (uint64_t count = cairn_value_read(&r).count; count > 0; count--) {
            const uint8_t *from = r.at;

            for (uint64_t values = 1; values > 0 && !r.bad; values--)
                values += cairn_value_read(&r).count;
            found += memmem(from, (size_t)(r.at - from), text, strlen(text)) != NULL;
        }
        at = cairn_value_read(&r);
        assert_false(r.bad);
        more = at.kind == CAIRN_VALUE_BYTES;
        cursor.size = 0;
        if (more)
            cairn_buf_add(&cursor, at.bytes.data, at.bytes.size);
        simcall_done(&call);
    }
    cairn_buf_done(&cursor);
    return found;
}

static void lines_and_traces_do_not_come_back(void **state)
{
    static const struct cairn_bytes none;
    struct cairn_buf wasm = {0};
    struct simnode sim;
    struct cairn_err err;

    (void)state;
    simnode_init(&sim, 1, &(struct simnode_options){.trace = {.on = true, .ratio = 1}});
    if (simnode_open(&sim, &err) != CAIRN_OK)
        fail_msg("%s", err.text);
    simnode_wasm("probe", &wasm);
    for (int life = 0; life < 3; life++) {
        char line[16];

        assert_int_equal(ask(&sim, CAIRN_OP_SPACE_CREATE, "acme", none, NULL)[0], '[');
        assert_int_equal(ask(&sim, CAIRN_OP_DEPLOY, NULL, cairn_buf_bytes(&wasm), NULL)[0], '[');
        for (int k = 0; k <= life; k++) {
            snprintf(line, sizeof line, "life %d", k);
            assert_int_equal(count_with(&sim, CAIRN_OP_LOGS, line), 0);
        }
        assert_int_equal(count_with(&sim, CAIRN_OP_TRACES, "say"), 0);
        assert_string_equal(ask(&sim, CAIRN_OP_INVOKE, NULL, none, line), "nil");
        assert_int_equal(count_with(&sim, CAIRN_OP_LOGS, line), 1);
        assert_int_equal(count_with(&sim, CAIRN_OP_TRACES, "say"), 1);
        assert_string_equal(ask(&sim, CAIRN_OP_UNDEPLOY, "probe", none, NULL), "nil");
        assert_string_equal(ask(&sim, CAIRN_OP_SPACE_REMOVE, "acme", none, NULL), "nil");
        simnode_settle(&sim);
    }
    cairn_buf_done(&wasm);
    simnode_done(&sim);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(lines_and_traces_do_not_come_back)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
