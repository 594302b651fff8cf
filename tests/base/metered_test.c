/* What namespaces have used, as text.  Catches numbers that come back as others, and a text that is taken although a
 * byte of it was changed, cut off or added. */
#include "base/metered.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/hash.h"

static void write_two(struct cairn_buf *to)
{
    const uint64_t some[CAIRN_MEASURES] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10}, most[CAIRN_MEASURES] = {UINT64_MAX};

    cairn_metered_begin(to, &(struct cairn_metered_time){.since_ms = 1700000000000, .served_ms = 12});
    cairn_metered_add(to, cairn_str("default"), some);
    cairn_metered_add(to, cairn_str(CAIRN_METERED_REMOVED), most);
    cairn_metered_end(to);
}

struct seen {
    int count;
    uint64_t first[CAIRN_MEASURES], second[CAIRN_MEASURES];
};

static void see(void *context, struct cairn_bytes name, const uint64_t values[CAIRN_MEASURES])
{
    struct seen *seen = context;

    assert_true(cairn_bytes_equal(name, cairn_str(seen->count ? CAIRN_METERED_REMOVED : "default")));
    memcpy(seen->count++ ? seen->second : seen->first, values, sizeof seen->first);
}

static enum cairn_code read_text(struct cairn_bytes text, struct seen *seen)
{
    struct cairn_metered_time time;
    struct cairn_err err;

    *seen = (struct seen){0};
    return cairn_metered_read(text, &time, see, seen, &err);
}

static void numbers_come_back(void **state)
{
    struct cairn_metered_time time;
    struct cairn_buf text = {0};
    struct seen seen = {0};
    struct cairn_err err;

    (void)state;
    write_two(&text);
    assert_int_equal(cairn_metered_read(cairn_buf_bytes(&text), &time, see, &seen, &err), CAIRN_OK);
    assert_true(time.since_ms == 1700000000000 && time.served_ms == 12 && seen.count == 2);
    for (int i = 0; i < CAIRN_MEASURES; i++)
        assert_true(seen.first[i] == (uint64_t)i + 1 && seen.second[i] == (i ? 0 : UINT64_MAX));
    cairn_buf_done(&text);
}

static void damage_is_refused(void **state)
{
    struct cairn_buf text = {0};
    struct seen seen;

    (void)state;
    write_two(&text);
    for (size_t at = 0; at < text.size; at++) {
        text.data[at] ^= 1;
        assert_int_equal(read_text(cairn_buf_bytes(&text), &seen), CAIRN_ECORRUPT);
        text.data[at] ^= 1;
        assert_int_equal(read_text(cairn_bytes(text.data, at), &seen), CAIRN_ECORRUPT);
        assert_int_equal(seen.count, 0);
    }
    cairn_buf_u8(&text, '\n');
    assert_int_equal(read_text(cairn_buf_bytes(&text), &seen), CAIRN_ECORRUPT);
    cairn_buf_done(&text);
}

/* With a good checksum: a node of another version, or a mistake of this one. */
static void other_forms_are_refused(void **state)
{
    static const char *const texts[] = {
        "cairn metered 2\n1 2\n",
        "cairn metered 1\n",
        "cairn metered 1\n1\n",
        "cairn metered 1\n1 2 3\n",
        "cairn metered 1\n1 2\ndefault 1 2 3\n",
        "cairn metered 1\n1 2\ndefault 1 2 3 4 5 6 7 8 9 10 11\n",
        "cairn metered 1\n1 2\n 1 2 3 4 5 6 7 8 9 10\n",
        "cairn metered 1\n1 2\ndefault 1 2 3 4 5 6 7 8 9 -1\n",
        "cairn metered 1\n1 2\ndefault 1 2 3 4 5 6 7 8 9 18446744073709551616\n",
        "cairn metered 1\n1 2\ndefault 1 2 3 4 5 6 7 8 9 10\nx",
    };

    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct cairn_buf text = {0};
        struct seen seen;

        cairn_buf_str(&text, texts[i]);
        cairn_metered_end(&text);
        assert_int_equal(read_text(cairn_buf_bytes(&text), &seen), CAIRN_ECORRUPT);
        assert_int_equal(seen.count, 0);
        cairn_buf_done(&text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_come_back),
        cmocka_unit_test(damage_is_refused),
        cmocka_unit_test(other_forms_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
