/* Would catch: a suggestion of a name that is not near, the farther of two names, a name with a NUL or longer than the
 * table of distances (which would be written past its end), and one in another case where case does not count. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/suggest.h"

static const struct {
    const char *typed;
    bool fold;
    const char *want; /* what is said; NULL: nothing */
} cases[] = {
    {"timelin", false, " (did you mean 'timeline'?)"},
    {"tiemline", false, " (did you mean 'timeline'?)"},
    {"timelines", false, " (did you mean 'timeline'?)"},
    {"time", false, " (did you mean 'timeline'?)"}, /* cut short */
    {"timeXXne", false, " (did you mean 'timeline'?)"},
    {"tXmeXXne", false, NULL},
    {"pots", false, " (did you mean 'post'?)"},
    {"posts", false, " (did you mean 'posts2'?)"}, /* cut short, and offered first of two at 1 */
    {"POST", false, NULL},
    {"POST", true, " (did you mean 'post'?)"},
    {"p", false, NULL},
    {"", false, NULL},
    {"a-name-that-is-longer-than-every-name-that-there-is", false, NULL},
};

static const char *const names[] = {"posts2", "timeline", "post", "follow",
                                    "a-name-that-is-longer-than-every-name-that-there-is"};

static void test_cases(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct cairn_suggest suggest = {.typed = cairn_str(cases[i].typed), .fold = cases[i].fold};
        char text[CAIRN_SUGGEST_TEXT_BYTES];

        for (size_t j = 0; j < sizeof names / sizeof names[0]; j++)
            cairn_suggest_offer(&suggest, cairn_str(names[j]), cairn_str(names[j]));
        cairn_suggest_text(&suggest, text);
        if (strcmp(text, cases[i].want ? cases[i].want : "") != 0)
            fail_msg("'%s': got '%s'", cases[i].typed, text);
    }
}

static void test_bytes(void **state)
{
    struct cairn_suggest suggest = {.typed = cairn_bytes("a\0b", 3)};

    (void)state;
    cairn_suggest_offer(&suggest, cairn_bytes(NULL, 0), cairn_str("nothing"));
    assert_null(suggest.name.data);
    cairn_suggest_offer(&suggest, cairn_bytes("a\0c", 3), cairn_str("near"));
    assert_int_equal(suggest.distance, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_cases), cmocka_unit_test(test_bytes)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
