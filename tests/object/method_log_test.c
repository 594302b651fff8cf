/* Would catch: more arguments than a method reads that nobody is told of; a line for each call of it; a line for a
 * method that has read all, has failed before it could, or asked for more than there were. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "support/simnode.h"

/* Adds a page's lines as "method: text; ..."; the cursor of the next page, or nil. */
static struct cairn_value add_page(char *text, size_t room, struct cairn_bytes reply)
{
    struct cairn_reader r = cairn_reader(reply);
    uint64_t count;

    assert_int_equal(cairn_value_read(&r).count, 2);
    count = cairn_value_read(&r).count;
    for (uint64_t i = 0; i < count; i++) {
        struct cairn_bytes method, line;
        size_t used = strlen(text);

        for (int k = 0; k < 5; k++)
            cairn_value_read(&r);
        method = cairn_value_read(&r).bytes;
        line = cairn_value_read(&r).bytes;
        assert_int_equal(cairn_value_read(&r).bytes.size, 32); /* the job's id */
        snprintf(text + used, room - used, "%.*s: %.*s; ", (int)method.size, (const char *)method.data, (int)line.size,
                 (const char *)line.data);
    }
    return cairn_value_read(&r);
}

static const char *lines(struct simnode *sim)
{
    static char text[1024];
    struct cairn_buf cursor = {0};
    bool more = true;

    text[0] = 0;
    while (more) {
        struct simcall call;
        struct cairn_value next;

        simcall_init(&call, CAIRN_OP_LOGS, NULL, NULL, NULL, NULL);
        call.request.limit = 100;
        call.request.cursor = cairn_buf_bytes(&cursor);
        simcall_run(sim, &call);
        next = add_page(text, sizeof text, cairn_buf_bytes(&call.reply));
        more = next.kind == CAIRN_VALUE_BYTES;
        cursor.size = 0;
        cairn_buf_add(&cursor, next.bytes.data, next.bytes.size);
        simcall_done(&call);
    }
    cairn_buf_done(&cursor);
    return text;
}

static void open_node(struct simnode *sim, uint64_t seed)
{
    struct simnode_options options = {.workers = 1};
    struct cairn_err err;

    simnode_init(sim, seed, &options);
    if (simnode_open(sim, &err) != CAIRN_OK)
        fail_msg("%s", err.text);
    simnode_deploy(sim, "probe");
}

static void unread_arguments_are_told(void **state)
{
    struct simnode sim;

    (void)state;
    open_node(&sim, 31);
    simnode_expect(&sim, "1", "Probe", "a", "map_set", "key", "value", "more", "and more", NULL);
    assert_string_equal(lines(&sim), "map_set: called with 4 arguments, of which it has read 2; ");
    simnode_expect(&sim, "0", "Probe", "a", "count", "7", NULL);
    assert_string_equal(lines(&sim), "map_set: called with 4 arguments, of which it has read 2; "
                                     "count: called with 1 argument, of which it has read 0; ");
    simnode_done(&sim);
}

/* A method that waits has run twice: on the worker's stack first, then as a fiber. */
static void methods_that_wait_tell_once(void **state)
{
    struct simnode sim;

    (void)state;
    open_node(&sim, 32);
    simnode_expect(&sim, "nil", "Probe", "a", "many_adds", "b", "3", "x", NULL);
    assert_string_equal(lines(&sim), "many_adds: called with 3 arguments, of which it has read 2; ");
    simnode_done(&sim);
}

static void a_method_is_told_of_once_a_minute(void **state)
{
    struct simnode sim;
    const char *once = "count: called with 1 argument, of which it has read 0; ";
    const char *twice = "count: called with 1 argument, of which it has read 0; "
                        "count: called with 2 arguments, of which it has read 0; ";

    (void)state;
    open_node(&sim, 33);
    for (int i = 0; i < 50; i++)
        simnode_expect(&sim, "0", "Probe", "a", "count", "7", NULL);
    assert_string_equal(lines(&sim), once);
    cairn_sim_clock_advance(&sim.clock, 61000000000);
    simnode_expect(&sim, "0", "Probe", "b", "count", "7", "8", NULL);
    assert_string_equal(lines(&sim), twice);
    simnode_done(&sim);
}

static void others_are_not_told_of(void **state)
{
    struct simnode sim;

    (void)state;
    open_node(&sim, 34);
    simnode_expect(&sim, "1", "Probe", "a", "add", NULL);      /* asks for one that is not there */
    simnode_expect(&sim, "3", "Probe", "a", "add", "2", NULL); /* reads all */
    simnode_expect(&sim, "3", "Probe", "a", "push", "x", "y", "z", NULL);
    simnode_expect(&sim, "!failed: on purpose", "Probe", "a", "add_then_fail", "x", NULL);
    assert_string_equal(lines(&sim), "");
    simnode_done(&sim);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(unread_arguments_are_told),
        cmocka_unit_test(methods_that_wait_tell_once),
        cmocka_unit_test(a_method_is_told_of_once_a_minute),
        cmocka_unit_test(others_are_not_told_of),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
