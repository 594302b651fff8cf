/* Catches a host call that moves the wrong bytes, misses a bound of the guest's memory or loses the host's error, and
 * mistakes of include/cairn/guest.h; each in a plain run and in a fiber. */
#include "fn/fn_host.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static struct fn_lab *lab;
static struct cairn_module *calls, *hostile;

static int set_up(void **state)
{
    (void)state;
    lab = fn_lab_create(NULL);
    calls = fn_lab_module(lab, "calls");
    hostile = fn_lab_module(lab, "hostile");
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    cairn_module_unref(calls);
    cairn_module_unref(hostile);
    fn_lab_destroy(lab);
    return 0;
}

static void run(const char *method, bool fiber)
{
    fn_lab_force(fn_lab_method(calls, method), fiber);
    if (fn_lab_run(lab, calls, method) != CAIRN_RUN_DONE)
        fail_msg("%s: %s: %s", method, cairn_code_name(lab->err.code), lab->err.text);
}

static const struct {
    const char *method, *args[3], *want, *log;
} rows[] = {
    {"Calls.args", {0}, "[]", ""},
    {"Calls.args", {"", "one", "two"}, "[\"\" \"one\" \"two\"]", ""},
    {"Calls.ints", {"0"}, "[0 -7]", ""},
    {"Calls.ints", {"-9223372036854775808", "+9223372036854775807"}, "[-9223372036854775808 9223372036854775807]", ""},
    {"Calls.who", {0}, "[[\"Type\" \"id\"] [\"Caller\" \"caller id\"]]", ""},
    {"Calls.result", {"0"}, "none", ""},
    {"Calls.result", {"1"}, "nil", ""},
    {"Calls.result", {"2"}, "-9223372036854775808", ""},
    {"Calls.result", {"3"}, "\"text\"", ""},
    {"Calls.result", {"4"}, "[nil [] !code:message]", ""},
    {"Calls.values", {"v"}, "[0 \"v\" 0 40 42]", ""},
    {"Calls.lists", {0}, "[6 1 \"e2\" 0 1 0 1 1 \"new\" \"e3\" \"e3\" \"new\" \"e1\" 4]", ""},
    {"Calls.long_list", {"3000", "10"}, "0", ""},  /* several batches */
    {"Calls.long_list", {"40", "9000"}, "0", ""},  /* batches cut off by the memory's end */
    {"Calls.long_list", {"3", "300000"}, "0", ""}, /* an entry larger than the memory */
    {"Calls.maps", {0}, "[3 1 \"3\" 0 1 0 \"a\" \"3\" \"b\" \"2\" \"\" \"\" 1 0]", ""},
    {"Calls.long_map", {"2500"}, "0", ""},
    {"Calls.time_and_chance", {0}, "[1700000000123 1]", ""},
    {"Calls.not_a_number", {0}, "[2143289344 9221120237041090560]", ""}, /* 7fc00000, 7ff8000000000000 */
    {"Calls.logs",
     {0},
     "none",
     "2 -1 4294967295 beef -9223372036854775808 18446744073709551615 123456789abc text bytes % q\n0 second\n"},
    {"Calls.call_one", {0}, "[0 1 1 \"....first....-12\"]", ""},
    {"Calls.fan_out", {"50"}, "0", ""},
    {"Calls.chain", {"30"}, "30", ""},
    {"Calls.memory_functions", {0}, "0", ""},
    {"Calls.products", {0}, "0", ""},
};

static void every_call(void **state)
{
    (void)state;
    for (int fiber = 0; fiber < 2; fiber++)
        for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
            const char *got;

            fn_host_clear(lab->host);
            fn_host_args(lab->host, rows[i].args[0], rows[i].args[1], rows[i].args[2], NULL);
            run(rows[i].method, fiber);
            got = fn_host_result(lab->host);
            if (strcmp(got, rows[i].want) != 0)
                fail_msg("%s (%s): %s, wanted %s", rows[i].method, fiber ? "fiber" : "plain", got, rows[i].want);
            cairn_buf_u8(&lab->host->log, 0);
            assert_string_equal(lab->host->log.data, rows[i].log);
        }
}

/* What the host was told by those that return nothing of it. */
static void told_to_the_host(void **state)
{
    struct fn_host *h = lab->host;

    (void)state;
    for (int fiber = 0; fiber < 2; fiber++) {
        fn_host_clear(h);
        fn_host_args(h, "this", NULL);
        run("Calls.fail", fiber);
        assert_memory_equal(h->fail_code.data, "refused", 7);
        assert_int_equal(h->fail_message.size, 18);
        assert_memory_equal(h->fail_message.data, "this is not wanted", 18);

        fn_host_clear(h);
        run("Calls.fail_below", fiber);
        assert_memory_equal(h->fail_code.data, "deep", 4); /* nothing ran behind exit */

        fn_host_clear(h);
        run("Calls.args", fiber);
        fn_host_clear(h);
        h->no_caller = true;
        run("Calls.who", fiber);
        assert_string_equal(fn_host_result(h), "[[\"Type\" \"id\"] \"key\"]");

        fn_host_clear(h);
        run("Calls.delete", fiber);
        assert_true(h->deleted);
        run("Calls.undo", fiber);
        assert_int_equal(h->undone, 1);

        fn_host_clear(h);
        run("Calls.call_one", fiber);
        assert_int_equal(h->call_count, 1);
        assert_memory_equal(h->calls[0].type.data, "Calls", 5);
        assert_memory_equal(h->calls[0].id.data, "other", 5);
        assert_memory_equal(h->calls[0].method.data, "args", 4);
        assert_int_equal(h->calls[0].args.size, 4 + 5 + 4 + 3);
        assert_memory_equal(h->values[0].data, "before", 6);
    }
}

static void bad_arguments(void **state)
{
    static const struct {
        const char *args[2], *message;
    } bad[] = {
        {{0}, "argument 1 is missing"},
        {{"one"}, "argument 1 must be an integer"},
        {{""}, "argument 1 must be an integer"},
        {{"-"}, "argument 1 must be an integer"},
        {{"1 "}, "argument 1 must be an integer"},
        {{"9223372036854775808"}, "argument 1 must be an integer"},
        {{"-9223372036854775809"}, "argument 1 must be an integer"},
        {{"99999999999999999999999"}, "argument 1 must be an integer"},
        {{"1", "x"}, "argument 2 must be an integer"},
    };
    struct fn_host *h = lab->host;

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        fn_host_clear(h);
        fn_host_args(h, bad[i].args[0], bad[i].args[1], NULL);
        run("Calls.ints", i % 2);
        assert_memory_equal(h->fail_code.data, "bad_argument", 12);
        if (h->fail_message.size != strlen(bad[i].message) ||
            memcmp(h->fail_message.data, bad[i].message, h->fail_message.size) != 0)
            fail_msg("%.*s, wanted %s", (int)h->fail_message.size, (const char *)h->fail_message.data, bad[i].message);
    }
}

static void an_error_from_a_call(void **state)
{
    struct cairn_buf error = {0};

    (void)state;
    fn_host_clear(lab->host);
    fn_lab_force(fn_lab_method(calls, "Calls.call_one"), false);
    assert_int_equal(fn_lab_start(lab, calls, "Calls.call_one"), CAIRN_RUN_WAITS);
    cairn_value_add_error(&error, cairn_str("blocked"), cairn_str("no way"));
    fn_host_finish(lab->host, 0, cairn_buf_bytes(&error));
    assert_int_equal(fn_lab_resume(lab), CAIRN_RUN_DONE);
    assert_string_equal(fn_host_result(lab->host), "[0 1 0 !blocked:no way]");
    cairn_buf_done(&error);
}

/* An encoded tuple is taken apart as the encoding says, and what is none sets bad. */
static void unpacking(void **state)
{
    struct cairn_buf value = {0}, args = {0};
    uint8_t size[4];

    (void)state;
    cairn_value_add_list(&value, 4);
    cairn_value_add_int(&value, -5);
    cairn_value_add_bytes(&value, cairn_str("b"));
    cairn_value_add_list(&value, 2);
    cairn_value_add_bytes(&value, cairn_str("User"));
    cairn_value_add_bytes(&value, cairn_str("alice"));
    cairn_value_add_list(&value, 1);
    cairn_value_add_nil(&value);
    for (size_t cut = 0; cut <= value.size; cut++) {
        fn_host_clear(lab->host);
        args.size = 0;
        cairn_put_u32(size, (uint32_t)(value.size - cut));
        cairn_buf_add(&args, size, 4);
        cairn_buf_add(&args, value.data, value.size - cut);
        cairn_buf_add(&lab->host->args, args.data, args.size);
        run("Calls.unpack", cut % 2);
        if (cut == 0)
            assert_string_equal(fn_host_result(lab->host), "[0 4 -5 \"b\" \"User\" \"alice\" \"...\"]");
        else
            assert_memory_equal(fn_host_result(lab->host), "[1", 2);
    }
    cairn_buf_done(&value);
    cairn_buf_done(&args);
}

/* Batches that hand out encoded entries as a list. */
static void newest_entries(void **state)
{
    static const struct {
        const char *skip, *count, *want;
    } reads[] = {
        {"0", "2", "[\"d\" \"c\"]"},
        {"1", "2", "[\"c\" \"b\"]"},
        {"3", "9", "[\"a\"]"},
        {"4", "1", "[]"},
        {"9", "9", "[]"},
        {"0", "0", "[]"},
    };
    static const char *const entries[] = {"a", "b", "c", "d"};
    uint64_t seen = 0;

    (void)state;
    for (size_t i = 0; i < sizeof reads / sizeof *reads; i++) {
        fn_host_clear(lab->host);
        for (int k = 0; k < 4; k++) {
            fn_host_args(lab->host, entries[k], NULL);
            run("Calls.push_value", false);
        }
        fn_host_args(lab->host, reads[i].skip, reads[i].count, NULL);
        run("Calls.newest", i % 2);
        assert_string_equal(fn_host_result(lab->host), reads[i].want);
    }
    for (int k = 0; k < 500; k++) { /* a count of two bytes, more than the memory at first holds */
        char text[300];

        memset(text, 'x', sizeof text - 1);
        text[sizeof text - 1] = 0;
        fn_host_args(lab->host, text, NULL);
        run("Calls.push_value", false);
    }
    fn_host_args(lab->host, "0", "500", NULL);
    run("Calls.newest", false);
    assert_true(cairn_value_valid(cairn_buf_bytes(&lab->host->result)));
    assert_int_equal(lab->host->result.size, 3 + 500 * (3 + 299));
    seen = lab->host->result.data[1] % 128 + lab->host->result.data[2] * 128;
    assert_int_equal(seen, 500);
}

/* Pointers out of bounds, in every host call that takes one, in four ways. */
static void wild_pointers(void **state)
{
    static const char *const kinds[] = {"0", "1", "2", "3"};
    char which[12];

    (void)state;
    for (int fiber = 0; fiber < 2; fiber++)
        for (int kind = 0; kind < 4; kind++)
            for (int call = 0; call <= 23; call++) {
                fn_host_clear(lab->host);
                snprintf(which, sizeof which, "%d", call);
                fn_host_args(lab->host, which, kinds[kind], NULL);
                fn_lab_force(fn_lab_method(hostile, "Hostile.wild_host_call"), fiber);
                fn_lab_start(lab, hostile, "Hostile.wild_host_call");
                if (lab->state != CAIRN_RUN_FAILED || lab->err.code != CAIRN_ETRAP ||
                    !strstr(lab->err.text, "pointer out of bounds in host call "))
                    fail_msg("call %d, kind %d: state %d, %s", call, kind, lab->state, lab->err.text);
            }
    fn_host_clear(lab->host);
    fn_host_args(lab->host, "24", "0", NULL);
    fn_lab_start(lab, hostile, "Hostile.wild_host_call");
    assert_string_equal(fn_host_result(lab->host), "\"no such host call\""); /* all were tried */
}

/* The host's own errors end the run with their code and text, from every host call. */
static void errors_of_the_host(void **state)
{
    static const struct {
        const char *call, *method, *args[2];
    } fails[] = {
        {"result", "Calls.result", {"3"}},
        {"fail", "Calls.fail", {"x"}},
        {"value_get", "Calls.values", {"x"}},
        {"value_set", "Calls.values", {"x"}},
        {"value_clear", "Calls.values", {"x"}},
        {"list_push", "Calls.lists", {0}},
        {"list_count", "Calls.lists", {0}},
        {"list_get", "Calls.lists", {0}},
        {"list_set", "Calls.lists", {0}},
        {"list_drop", "Calls.lists", {0}},
        {"map_set", "Calls.maps", {0}},
        {"map_count", "Calls.maps", {0}},
        {"map_get", "Calls.maps", {0}},
        {"map_at", "Calls.maps", {0}},
        {"map_remove", "Calls.maps", {0}},
        {"now", "Calls.time_and_chance", {0}},
        {"random", "Calls.time_and_chance", {0}},
        {"delete_self", "Calls.delete", {0}},
        {"undo", "Calls.undo", {0}},
        {"call", "Calls.call_one", {0}},
        {"ready", "Calls.fan_out", {"1"}},
        {"call_result", "Calls.call_one", {0}},
    };

    (void)state;
    for (int fiber = 0; fiber < 2; fiber++)
        for (size_t i = 0; i < sizeof fails / sizeof *fails; i++) {
            fn_host_clear(lab->host);
            fn_host_args(lab->host, fails[i].args[0], fails[i].args[1], NULL);
            lab->host->fail_call = fails[i].call;
            lab->host->fail_with = CAIRN_ELIMIT;
            fn_lab_force(fn_lab_method(calls, fails[i].method), fiber);
            fn_lab_run(lab, calls, fails[i].method);
            if (lab->state != CAIRN_RUN_FAILED || lab->err.code != CAIRN_ELIMIT ||
                !strstr(lab->err.text, "was told to fail"))
                fail_msg("%s: state %d, %s", fails[i].call, lab->state, lab->err.text);
        }
}

/* Host calls that are given nonsense. */
static void nonsense(void **state)
{
    static const struct {
        const char *method;
        enum cairn_code want;
        const char *says;
    } bad[] = {
        {"Hostile.no_such_field", CAIRN_EINVAL, "no field 1000"},
        {"Hostile.wait_for_nothing", CAIRN_EINVAL, "call 77"},
        {"Hostile.malformed_args", CAIRN_ETRAP, "malformed arguments"},
    };

    (void)state;
    for (int fiber = 0; fiber < 2; fiber++)
        for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
            fn_host_clear(lab->host);
            fn_lab_force(fn_lab_method(hostile, bad[i].method), fiber);
            fn_lab_start(lab, hostile, bad[i].method);
            if (lab->state != CAIRN_RUN_FAILED || lab->err.code != bad[i].want || !strstr(lab->err.text, bad[i].says))
                fail_msg("%s: state %d, %s", bad[i].method, lab->state, lab->err.text);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(every_call, set_up, tear_down),
        cmocka_unit_test_setup_teardown(told_to_the_host, set_up, tear_down),
        cmocka_unit_test_setup_teardown(bad_arguments, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_error_from_a_call, set_up, tear_down),
        cmocka_unit_test_setup_teardown(unpacking, set_up, tear_down),
        cmocka_unit_test_setup_teardown(newest_entries, set_up, tear_down),
        cmocka_unit_test_setup_teardown(wild_pointers, set_up, tear_down),
        cmocka_unit_test_setup_teardown(errors_of_the_host, set_up, tear_down),
        cmocka_unit_test_setup_teardown(nonsense, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
