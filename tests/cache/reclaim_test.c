/* Would catch: a policy that is read as another, or wrong text that is taken; a rate that is not the one that was told,
 * or does not grow with the instances; a script that is not followed; an instance that is taken before its time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "cache/reclaim.h"

enum { MINUTES = 60000 };

static struct cairn_reclaim policy(const char *text)
{
    struct cairn_reclaim reclaim;
    struct cairn_err err;

    assert_int_equal(cairn_reclaim_parse(text, &reclaim, &err), CAIRN_OK);
    return reclaim;
}

static void wrong_text_is_refused(void **state)
{
    static const char *const texts[] = {"",          "Never",      "idle",         "idle:",     "idle:5",   "idle:-5m",
                                        "idle:5m ",  "life:0s",    "life:nan",     "life:5d",   "poisson:", "poisson:0",
                                        "poisson:x", "poisson:-1", "poisson:1e9",  "zipf:inf",  "script:",  "script:1,",
                                        "script:,1", "script:1;2", "script:70000", "poisson:3m"};
    struct cairn_reclaim reclaim;
    struct cairn_err err;

    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        assert_int_equal(cairn_reclaim_parse(texts[i], &reclaim, &err), CAIRN_EINVAL);
        assert_true(strlen(err.text) > 20);
    }
}

static void time_takes_what_is_due(void **state)
{
    struct cairn_reclaim never = policy("never"), idle = policy("idle:1.5m"), life = policy("life:2h");
    struct cairn_random random;

    (void)state;
    cairn_random_init(&random, 1);
    assert_false(cairn_reclaim_due(&never, UINT64_MAX, UINT64_MAX));
    assert_false(cairn_reclaim_due(&idle, 89999, UINT64_MAX));
    assert_true(cairn_reclaim_due(&idle, 90000, 90000));
    assert_false(cairn_reclaim_due(&life, 7199999, 7199999));
    assert_true(cairn_reclaim_due(&life, 0, 7200000));
    assert_int_equal(cairn_reclaim_count(&never, &random, 0, 400), 0);
    assert_int_equal(cairn_reclaim_count(&life, &random, 0, 400), 0);
}

static void script_is_followed(void **state)
{
    struct cairn_reclaim reclaim = policy("script:0,3,22");
    struct cairn_random random;

    (void)state;
    cairn_random_init(&random, 1);
    for (uint64_t turn = 0; turn < 3; turn++) {
        assert_int_equal(cairn_reclaim_count(&reclaim, &random, 3 * turn, 400), 0);
        assert_int_equal(cairn_reclaim_count(&reclaim, &random, 3 * turn + 1, 10), 3);
        assert_int_equal(cairn_reclaim_count(&reclaim, &random, 3 * turn + 2, 400), 22);
        assert_int_equal(cairn_reclaim_count(&reclaim, &random, 3 * turn + 2, 10), 10); /* all */
    }
}

/* Mean and variance of what is taken in a minute of 400. */
static void moments(const char *text, uint32_t instances, double *ret_mean, double *ret_variance, uint32_t *ret_most)
{
    struct cairn_reclaim reclaim = policy(text);
    struct cairn_random random;
    double sum = 0, squares = 0;

    cairn_random_init(&random, 7);
    *ret_most = 0;
    for (uint64_t minute = 0; minute < MINUTES; minute++) {
        uint32_t count = cairn_reclaim_count(&reclaim, &random, minute, instances);

        sum += count;
        squares += (double)count * count;
        *ret_most = count > *ret_most ? count : *ret_most;
    }
    *ret_mean = sum / MINUTES;
    *ret_variance = squares / MINUTES - *ret_mean * *ret_mean;
}

static void near(double got, double expected, double apart)
{
    if (!(got >= expected - apart && got <= expected + apart))
        fail_msg("%g is not %g +- %g", got, expected, apart);
}

static void rates_are_those_told(void **state)
{
    double mean, variance;
    uint32_t most;

    (void)state;
    moments("poisson:12", 400, &mean, &variance, &most);
    near(mean, 0.2, 0.01);
    near(variance, 0.2, 0.02); /* as Poisson's is */
    moments("poisson:36", 800, &mean, &variance, &most);
    near(mean, 1.2, 0.03);
    moments("poisson:12000", 400, &mean, &variance, &most);
    near(mean, 200, 1);
    near(variance, 200, 10);
    moments("zipf:36", 400, &mean, &variance, &most);
    near(mean, 0.6, 0.15);
    assert_true(variance > 5 * mean && most > 50); /* some minutes take many */
    moments("zipf:36", 800, &mean, &variance, &most);
    near(mean, 1.2, 0.3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(wrong_text_is_refused),
        cmocka_unit_test(time_takes_what_is_due),
        cmocka_unit_test(script_is_followed),
        cmocka_unit_test(rates_are_those_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
