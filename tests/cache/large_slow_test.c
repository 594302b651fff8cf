/* Would catch: what large_test.c catches, under 100,000 random faults. */
#include "large_faults.h"

static void holds_under_faults(void **state)
{
    static const char *const codes[] = {"10+2", "4+2", "raid6:8", "10+4"};

    (void)state;
    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++) {
        struct faults f;

        faults_open(&f, codes[i], 256 << 20, 1000 + i);
        faults_run(&f, 25000);
        assert_true(f.read > 1000 && f.missed > 100 && f.decoded > 100);
        faults_close(&f);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(holds_under_faults)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
