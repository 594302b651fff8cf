/* Would catch: a traceparent that is not well-formed and is taken, or one that is and is refused, whatever single byte
 * of it is another; one that does not come back as it was read; an id of zeros. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/traceparent.h"

#define TRACE  "4bf92f3577b34da6a3ce929d0e0e4736"
#define PARENT "00f067aa0ba902b7"

static const struct {
    const char *label, *text;
    bool good, sampled;
} table[] = {
    {"sampled", "00-" TRACE "-" PARENT "-01", true, true},
    {"not sampled", "00-" TRACE "-" PARENT "-00", true, false},
    {"flags of a later level", "00-" TRACE "-" PARENT "-03", true, true},
    {"all flags but it", "00-" TRACE "-" PARENT "-fe", true, false},
    {"a later version", "01-" TRACE "-" PARENT "-01", true, true},
    {"a later version with more", "cc-" TRACE "-" PARENT "-01-what-the-future", true, true},
    {"a later version with a dash alone", "fe-" TRACE "-" PARENT "-01-", true, true},
    {"a later version with more that is no field", "01-" TRACE "-" PARENT "-01.", false, false},
    {"the version that is none", "ff-" TRACE "-" PARENT "-01", false, false},
    {"more behind version 00", "00-" TRACE "-" PARENT "-01-", false, false},
    {"two of them", "00-" TRACE "-" PARENT "-01,00-" TRACE "-" PARENT "-01", false, false},
    {"trace of zeros", "00-00000000000000000000000000000000-" PARENT "-01", false, false},
    {"parent of zeros", "00-" TRACE "-0000000000000000-01", false, false},
    {"upper case in the version", "0A-" TRACE "-" PARENT "-01", false, false},
    {"upper case in the trace", "00-4BF92F3577B34DA6A3CE929D0E0E4736-" PARENT "-01", false, false},
    {"upper case in the parent", "00-" TRACE "-00F067AA0BA902B7-01", false, false},
    {"upper case in the flags", "00-" TRACE "-" PARENT "-0A", false, false},
    {"blank before", " 00-" TRACE "-" PARENT "-01", false, false},
    {"blank behind", "00-" TRACE "-" PARENT "-01 ", false, false},
    {"nothing", "", false, false},
    {"dashes", "-------------------------------------------------------", false, false},
    {"only the low half of an id", "00-00000000000000000000000000000001-0000000000000001-01", true, true},
    {"only the high half", "00-10000000000000000000000000000000-1000000000000000-00", true, false},
};

static bool reads(const char *text, size_t size, struct cairn_traceparent *ret)
{
    uint8_t *copy = malloc(size ? size : 1); /* so that reading behind it shows */
    bool good;

    memcpy(copy, text, size);
    good = cairn_traceparent_read(cairn_bytes(copy, size), ret);
    free(copy);
    return good;
}

static void well_formed_ones_are_read(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        struct cairn_traceparent parent = {.span = 7};
        char text[CAIRN_TRACEPARENT_BYTES + 1];

        if (reads(table[i].text, strlen(table[i].text), &parent) != table[i].good)
            fail_msg("%s", table[i].label);
        if (!table[i].good) {
            assert_true(parent.span == 7 && !cairn_job_id_is(parent.job));
            continue;
        }
        assert_int_equal(parent.sampled, table[i].sampled);
        cairn_traceparent_write(&parent, text);
        assert_memory_equal(text + 3, table[i].text + 3, 50);
        assert_string_equal(text + 53, table[i].sampled ? "01" : "00");
    }
}

/* Each prefix, and each byte replaced by each other one: what is left is what the grammar says. */
static void each_byte_counts(void **state)
{
    const char good[] = "00-" TRACE "-" PARENT "-01";
    struct cairn_traceparent parent;

    (void)state;
    for (size_t size = 0; size < CAIRN_TRACEPARENT_BYTES; size++)
        assert_false(reads(good, size, &parent));
    for (size_t at = 0; at < CAIRN_TRACEPARENT_BYTES; at++)
        for (int c = 0; c < 256; c++) {
            bool dash = at == 2 || at == 35 || at == 52;
            bool hex = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
            char text[sizeof good];
            bool want = dash ? c == '-' : hex;

            memcpy(text, good, sizeof good);
            text[at] = (char)c;
            if (reads(text, CAIRN_TRACEPARENT_BYTES, &parent) != want)
                fail_msg("byte %zu is %d", at, c);
        }
}

static void ids_are_read_and_written(void **state)
{
    struct cairn_job_id id, again;
    char text[CAIRN_JOB_ID_DIGITS + 1];
    struct cairn_random random;
    uint8_t bytes[CAIRN_JOB_ID_BYTES];

    (void)state;
    cairn_random_init(&random, 5);
    for (int i = 0; i < 1000; i++) {
        id = cairn_job_id_make(&random);
        assert_true(cairn_job_id_is(id));
        cairn_job_id_write(id, text);
        assert_int_equal(strlen(text), CAIRN_JOB_ID_DIGITS);
        assert_true(cairn_job_id_read(cairn_str(text), &again) && cairn_job_id_equal(id, again));
        cairn_job_id_put(id, bytes);
        assert_true(cairn_job_id_equal(id, cairn_job_id_get(bytes)));
    }
    assert_true(cairn_job_id_read(cairn_str("4BF92f3577b34da6a3ce929d0e0e4736"), &id));
    assert_true(id.high == UINT64_C(0x4bf92f3577b34da6) && id.low == UINT64_C(0xa3ce929d0e0e4736));
    assert_false(cairn_job_id_read(cairn_str("00000000000000000000000000000000"), &id));
    assert_false(cairn_job_id_read(cairn_str("4bf92f3577b34da6a3ce929d0e0e473"), &id));
    assert_false(cairn_job_id_read(cairn_str("4bf92f3577b34da6a3ce929d0e0e47360"), &id));
    assert_false(cairn_job_id_read(cairn_str("4bf92f3577b34da6a3ce929d0e0e473g"), &id));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(well_formed_ones_are_read),
        cmocka_unit_test(each_byte_counts),
        cmocka_unit_test(ids_are_read_and_written),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
