/* A thread's heap that grows by a page at a time: each is a system call, and holds up all other threads. */
#include <inttypes.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "io/process.h"

enum { LEAST_BYTES = 32 << 20 };

/* The size of the mapping that an address lies in, if it may be written to. */
static uint64_t writable_around(const void *at)
{
    FILE *maps = fopen("/proc/self/maps", "re");
    uint64_t from, to, bytes = 0;
    char line[512], may_write;

    while (maps && fgets(line, sizeof line, maps))
        if (sscanf(line, "%" SCNx64 "-%" SCNx64 " r%c", &from, &to, &may_write) == 3 && may_write == 'w' &&
            (uintptr_t)at >= from && (uintptr_t)at < to)
            bytes = to - from;
    if (maps)
        fclose(maps);
    return bytes;
}

static void *allocate(void *ret_bytes)
{
    void *some = malloc(1000);

    *(uint64_t *)ret_bytes = writable_around(some);
    free(some);
    return NULL;
}

static void test_heap_of_a_thread(void **state)
{
    uint64_t before = cairn_process_resident(), bytes = 0;
    pthread_t thread;

    (void)state;
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    skip(); /* their malloc is not glibc's */
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
    skip();
#endif
#endif
    cairn_process_roomy_heaps();
    assert_int_equal(pthread_create(&thread, NULL, allocate, &bytes), 0);
    pthread_join(thread, NULL);
    assert_in_range(bytes, LEAST_BYTES, UINT64_MAX);
    assert_in_range(cairn_process_resident(), 0, before + (4 << 20)); /* that is room, not memory */
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_heap_of_a_thread)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
