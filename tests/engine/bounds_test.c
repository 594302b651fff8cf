/* Would catch: a value of the documented size that ends the process or is not there again, in any engine, put or
 * written in a batch, with a log, after a restart, or at a version; one byte more that is not refused; the same for
 * keys. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "cairn/engine.h"

enum { VALUE_MAX = 64 << 20, KEY_MAX = 1 << 20 };

static char folder[64];
static uint8_t *value, *key;
static struct cairn_err err;

static int make_folder(void **state)
{
    (void)state;
    value = malloc(VALUE_MAX + 1);
    key = malloc(KEY_MAX + 1);
    strcpy(folder, "/tmp/cairn-bounds-XXXXXX");
    return value && key && mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
    char command[100];

    (void)state;
    free(value);
    free(key);
    snprintf(command, sizeof command, "rm -rf %s", folder);
    return system(command);
}

static void ok(enum cairn_code code)
{
    if (code != CAIRN_OK)
        fail_msg("%s", err.text);
}

static void fill(uint32_t number)
{
    for (size_t i = 0; i < VALUE_MAX / sizeof number; i++)
        memcpy(value + i * sizeof number, &(uint32_t){(uint32_t)i * number}, sizeof number);
    memset(key, 'k', KEY_MAX + 1);
}

static void check_there(struct cairn_state *state, uint32_t number)
{
    const void *got;
    size_t size;
    bool found;

    fill(number);
    ok(cairn_state_get(state, key, KEY_MAX, &found, &got, &size, &err));
    assert_true(found);
    assert_int_equal(size, VALUE_MAX);
    assert_memory_equal(got, value, VALUE_MAX);
}

static struct cairn_state *open_state(const char *engine)
{
    struct cairn_state_options options = {.engine = engine, .log = CAIRN_STATE_LOG_NONE};
    struct cairn_state *state;

    ok(cairn_state_open(folder, &options, &state, &err));
    return state;
}

static void at_the_bound(void **context)
{
    struct cairn_state *state = open_state(*context);
    struct cairn_state_change change = {.key = key, .key_bytes = KEY_MAX, .value = value, .value_bytes = VALUE_MAX + 1};
    uint64_t version;

    fill(1);
    assert_int_equal(cairn_state_put(state, key, KEY_MAX, value, VALUE_MAX + 1, &err), CAIRN_ELIMIT);
    assert_int_equal(cairn_state_write(state, &change, 1, NULL, &err), CAIRN_ELIMIT);
    assert_int_equal(cairn_state_put(state, key, KEY_MAX + 1, value, 1, &err), CAIRN_EINVAL);
    ok(cairn_state_put(state, key, KEY_MAX, value, VALUE_MAX, &err));
    check_there(state, 1);
    ok(cairn_state_snapshot(state, NULL, 0, &version, &err));
    fill(2);
    change.value_bytes = VALUE_MAX;
    ok(cairn_state_write(state, &change, 1, NULL, &err));
    check_there(state, 2);
    cairn_state_close(state);
    state = open_state(*context); /* from the log */
    check_there(state, 2);
    ok(cairn_state_restore(state, version, &err));
    check_there(state, 1);
    cairn_state_close(state);
}

int main(void)
{
    static const char *const engines[] = {"memory", "lsm", "appendlog", "hybridlog"};
    struct CMUnitTest tests[4];

    for (size_t i = 0; i < 4; i++)
        tests[i] =
            (struct CMUnitTest){engines[i], at_the_bound, make_folder, remove_folder, (void *)(uintptr_t)engines[i]};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
