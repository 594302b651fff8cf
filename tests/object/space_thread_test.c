/* Would catch: two structs for one namespace, or one for two; a namespace that is not found while others are made on
 * another thread, or is read before it is whole; a slot that is moved otherwise than the data folder's format says. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>

#include "object/space.h"

enum { SPACES = 3000, READERS = 3 };

struct reading {
    pthread_t thread;
    struct spaces *spaces;
    atomic_uint *made;
    uint64_t wrong, found;
};

static void name_of(uint32_t i, char to[16])
{
    snprintf(to, 16, "n%u", i);
}

/* Whatever has been made is found, as it was made, and what has not been is not. */
static void *read_all(void *context)
{
    struct reading *reading = context;
    char name[16];

    for (uint32_t i = 0; i < SPACES;) {
        uint32_t made = atomic_load(reading->made);
        const struct space *space;

        for (; i < made; i++) {
            name_of(i, name);
            space = spaces_find(reading->spaces, cairn_str(name));
            reading->wrong += !space || !cairn_bytes_equal(space->name, cairn_str(name)) ||
                              space->hash != cairn_hash(cairn_str(name));
            reading->found++;
        }
        reading->wrong += spaces_find(reading->spaces, cairn_str("none")) != NULL;
    }
    return NULL;
}

static void found_while_others_are_made(void **state)
{
    struct reading readings[READERS];
    struct space *first = NULL;
    struct spaces spaces;
    atomic_uint made = 0;
    char name[16];

    (void)state;
    spaces_init(&spaces, 2);
    for (int i = 0; i < READERS; i++) {
        readings[i] = (struct reading){.spaces = &spaces, .made = &made};
        assert_int_equal(pthread_create(&readings[i].thread, NULL, read_all, &readings[i]), 0);
    }
    for (uint32_t i = 0; i < SPACES; i++) {
        struct space *space;

        name_of(i, name);
        space = spaces_intern(&spaces, cairn_str(name));
        first = i == 0 ? space : first;
        assert_ptr_equal(spaces_intern(&spaces, cairn_str(name)), space);
        atomic_store(&made, i + 1);
    }
    for (int i = 0; i < READERS; i++) {
        assert_int_equal(pthread_join(readings[i].thread, NULL), 0);
        assert_int_equal(readings[i].wrong, 0);
        assert_int_equal(readings[i].found, SPACES);
    }
    assert_ptr_equal(spaces_find(&spaces, cairn_str("n0")), first);
    assert_ptr_equal(spaces_find(&spaces, cairn_str("default")), spaces.first);
    assert_int_equal(spaces.count, SPACES + 1);
    spaces_done(&spaces);
}

/* Names of one length have hashes of their own: it is the name that counts. */
static void hashes_are_of_the_name(void **state)
{
    struct spaces spaces;
    const struct space *a, *b;

    (void)state;
    spaces_init(&spaces, 2);
    a = spaces_intern(&spaces, cairn_str("acme"));
    b = spaces_intern(&spaces, cairn_str("blue"));
    assert_int_not_equal(space_name_hash(a, cairn_str("User")), space_name_hash(b, cairn_str("User")));
    assert_int_equal(a->shift, cairn_hash(cairn_str("acme")) % CAIRN_SLOTS);
    assert_int_not_equal(a->shift, b->shift);
    spaces_done(&spaces);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(found_while_others_are_made),
        cmocka_unit_test(hashes_are_of_the_name),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
