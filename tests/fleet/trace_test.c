/* Would catch: a made-up trace that is not like the registry's; one that is another with the same seed; a table that is
 * read wrongly (columns by name, quotes, order, methods), wrong rows that are taken, facts that are not the trace's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>

#include "fleet/trace.h"

static void within(double got, double least, double most)
{
    if (!(got >= least && got <= most))
        fail_msg("%g is not between %g and %g", got, least, most);
}

static void is_like_the_registry(void **state)
{
    static const double sizes[CAIRN_TRACE_QUANTILES - 1] = {214, 975, 14.8e3, 5.3e6, 31.1e6, 137e6};
    static const double gets[CAIRN_TRACE_QUANTILES - 1] = {0, 0, 11.5e3, 3.3e6, 35.3e6, 118e6};
    struct cairn_trace_options options = cairn_trace_options();
    struct cairn_trace trace = {0};
    struct cairn_trace_facts facts;

    (void)state;
    cairn_trace_generate(&options, &trace);
    cairn_trace_tell(&trace, &facts);
    within(facts.hours, 49.9, 50);
    within(facts.gets, 3654, 3656);
    within(facts.large_gets, 650, 800);
    within(facts.footprint, 1100e9, 1300e9);
    within(facts.large_footprint, 1000e9, 1250e9);
    within(facts.again, 0.67, 0.69);
    within(facts.large_keys, 0.19, 0.22);
    within(facts.large_footprint / facts.footprint, 0.95, 1);
    within(facts.large_soon, 0.37, 0.46);
    for (int q = 0; q < CAIRN_TRACE_QUANTILES - 1; q++) {
        within((double)facts.key_bytes[q], sizes[q] / 1.35, sizes[q] * 1.35);
        if (gets[q] > 0)
            within((double)facts.request_bytes[q], gets[q] / 1.8, gets[q] * 1.8);
    }
    cairn_trace_done(&trace);
}

static struct cairn_trace small_trace(uint64_t seed)
{
    struct cairn_trace_options options = cairn_trace_options();
    struct cairn_trace trace = {0};

    options.seed = seed;
    options.hours = 1;
    cairn_trace_generate(&options, &trace);
    return trace;
}

static bool same(const struct cairn_trace *a, const struct cairn_trace *b)
{
    if (a->count != b->count || a->keys != b->keys)
        return false;
    for (size_t i = 0; i < a->count; i++)
        if (a->events[i].at_ms != b->events[i].at_ms || a->events[i].key != b->events[i].key ||
            a->events[i].bytes != b->events[i].bytes)
            return false;
    return true;
}

static void written_and_read_it_is_the_same(void **state)
{
    struct cairn_trace trace = small_trace(3), again = small_trace(3), other = small_trace(4), read = {0};
    struct cairn_err err;
    FILE *file = tmpfile();

    (void)state;
    assert_true(same(&trace, &again));
    assert_false(same(&trace, &other));
    cairn_trace_write(&trace, file);
    rewind(file);
    assert_int_equal(cairn_trace_read(file, &read, &err), CAIRN_OK);
    assert_true(same(&trace, &read));
    fclose(file);
    cairn_trace_done(&trace);
    cairn_trace_done(&again);
    cairn_trace_done(&other);
    cairn_trace_done(&read);
}

static enum cairn_code read_text(const char *text, struct cairn_trace *ret, struct cairn_err *err)
{
    FILE *file = fmemopen((void *)(uintptr_t)text, strlen(text), "r");
    enum cairn_code code = cairn_trace_read(file, ret, err);

    fclose(file);
    return code;
}

static void registry_s_columns_are_read(void **state)
{
    static const char text[] = "host,http.request.method,http.request.uri,http.response.written,timestamp\r\n"
                               "\"a, \"\"b\"\"\",GET,v2/x/blobs/1,700,2017-06-20T03:30:01.500Z\r\n"
                               "h,PUT,v2/x/blobs/9,5,2017-06-20T03:30:02Z\n"
                               "\n"
                               "h,GET,v2/x/blobs/2,20000000,2017-06-20T03:30:00Z\n"
                               "h,GET,v2/x/blobs/1,700,2017-06-21T03:30:00Z\n";
    struct cairn_trace trace = {0};
    struct cairn_trace_facts facts;
    struct cairn_err err;

    (void)state;
    assert_int_equal(read_text(text, &trace, &err), CAIRN_OK);
    assert_int_equal(trace.count, 3);
    assert_int_equal(trace.keys, 2);
    assert_int_equal(trace.events[0].at_ms, 0); /* the earliest is the first, whatever row it had */
    assert_int_equal(trace.events[0].bytes, 20000000);
    assert_int_equal(trace.events[0].key, 0);
    assert_int_equal(trace.events[1].at_ms, 1500);
    assert_int_equal(trace.events[1].key, 1);
    assert_int_equal(trace.events[2].at_ms, 86400000);
    assert_int_equal(trace.events[2].key, 1);
    cairn_trace_tell(&trace, &facts);
    within(facts.hours, 24, 24);
    within(facts.again * 3, 0.999, 1.001);
    within(facts.footprint, 20000700, 20000700);
    within(facts.large_keys, 0.5, 0.5);
    cairn_trace_keep_large(&trace, 1000);
    assert_int_equal(trace.count, 1);
    assert_int_equal(trace.keys, 1);
    cairn_trace_done(&trace);
}

static void wrong_rows_are_told_by_their_line(void **state)
{
    static const struct {
        const char *text, *part;
    } wrong[] = {
        {"", "'ms'"},
        {"ms,key\n", "'bytes'"},
        {"ms,key,bytes\n1,a\n", "line 2"},
        {"ms,key,bytes\n1,a,5\n-1,a,5\n", "line 3"},
        {"ms,key,bytes\n1,a,5\nx,a,5\n", "line 3"},
        {"ms,key,bytes\n1,a,\n", "line 2"},
        {"ms,key,bytes\n1,a,5x\n", "line 2"},
        {"ms,key,bytes\n1,a,99999999999999999999\n", "line 2"},
        {"timestamp,key,bytes\n2017-13-20T03:30:00Z,a,5\n", "line 2"},
        {"timestamp,key,bytes\n2017-06-20T03:30:00+02:00,a,5\n", "line 2"},
    };
    struct cairn_trace trace = {0};
    struct cairn_err err;

    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        FILE *file = tmpfile();

        fputs(wrong[i].text, file);
        rewind(file);
        assert_int_equal(cairn_trace_read(file, &trace, &err), CAIRN_EINVAL);
        assert_non_null(strstr(err.text, wrong[i].part));
        assert_null(trace.events);
        fclose(file);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(is_like_the_registry),
        cmocka_unit_test(written_and_read_it_is_the_same),
        cmocka_unit_test(registry_s_columns_are_read),
        cmocka_unit_test(wrong_rows_are_told_by_their_line),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
