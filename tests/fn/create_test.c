/* Catches a sandbox that cannot be made on a machine with many cores although nothing was asked for but its defaults,
 * and a process that ends in a panic, instead of an error that says what is needed, where address space is limited. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fn/fn.h"

#include <cmocka.h>

static void many_workers(void **state)
{
    static const uint32_t workers[] = {1, 2, 32, 33, 48, 64, 96, 128, 192, 256};

    (void)state;
    for (size_t i = 0; i < sizeof workers / sizeof *workers; i++) {
        struct cairn_fn_options options = {.clock = cairn_clock_system(), .workers = workers[i]};
        struct cairn_err err;
        struct cairn_fn *fn;

        if (cairn_fn_create(&options, &fn, &err) != CAIRN_OK)
            fail_msg("%u workers: %s", workers[i], err.text);
        cairn_fn_destroy(fn);
    }
}

/* 0: made; 1: the error that is wanted; else something else. */
static int create_within(uint64_t bytes)
{
    struct cairn_fn_options options = {.clock = cairn_clock_system(), .workers = 2};
    struct rlimit limit = {bytes, bytes};
    struct cairn_err err = {0};
    struct cairn_fn *fn;

    if (setrlimit(RLIMIT_AS, &limit) != 0)
        return 3;
    if (cairn_fn_create(&options, &fn, &err) == CAIRN_OK)
        return 0;
    return err.code == CAIRN_ENOMEM && strstr(err.text, "--workers") && strstr(err.text, "MiB") ? 1 : 2;
}

/* From next to nothing to plenty: an error, up to where it is made. */
static void little_address_space(void **state)
{
    int last = 1, status;

    (void)state;
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    skip(); /* these map more than any limit */
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
    skip();
#endif
#endif
    for (uint64_t gib = 1; gib <= 64; gib++) {
        pid_t child = fork();

        if (child == 0)
            _exit(create_within(gib << 30));
        assert_int_equal(waitpid(child, &status, 0), child);
        if (!WIFEXITED(status) || WEXITSTATUS(status) > 1)
            fail_msg("%llu GiB: status %x", (unsigned long long)gib, status);
        if (last == 0)
            assert_int_equal(WEXITSTATUS(status), 0);
        last = WEXITSTATUS(status);
    }
    assert_int_equal(last, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(little_address_space), /* first: it forks, and no thread must be there */
        cmocka_unit_test(many_workers),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
