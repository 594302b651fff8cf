/* state_kill_main.c - what kill_test.py kills: changes to a state with a log, each told on standard output once
 * it is acknowledged; or, with "check", what is there.
 *
 *   state_kill FOLDER ENGINE always|none|interval write|check
 *
 * Change n sets the keys "last" and "k<n mod 500>" to n, in one batch; every 1000 there is a snapshot. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cairn/engine.h"

enum { KEYS = 500, SNAPSHOT_EVERY = 1000 };

static struct cairn_state *state;
static struct cairn_err err;

static void fail(void)
{
    fprintf(stderr, "%s\n", err.text);
    exit(1);
}

static uint64_t get(const char *key)
{
    const void *value;
    uint64_t number = 0;
    size_t size;
    bool found;

    if (cairn_state_get(state, key, strlen(key), &found, &value, &size, &err) != CAIRN_OK)
        fail();
    if (found)
        memcpy(&number, value, sizeof number);
    return number;
}

static void check(uint64_t last)
{
    for (uint64_t i = 0; i < KEYS; i++) {
        uint64_t want =
            last < i ? 0 : last - (last - i) % KEYS; /* the last number up to `last` that is i modulo KEYS */
        char key[16];

        snprintf(key, sizeof key, "k%" PRIu64, i);
        if (get(key) != want) {
            fprintf(stderr, "%s is %" PRIu64 ", not %" PRIu64 ", at %" PRIu64 "\n", key, get(key), want, last);
            exit(1);
        }
    }
}

static void change(uint64_t n)
{
    char key[16];
    struct cairn_state_change changes[2] = {
        {.key = "last", .key_bytes = 4, .value = &n, .value_bytes = sizeof n},
        {.key = key, .value = &n, .value_bytes = sizeof n},
    };
    uint64_t version;

    changes[1].key_bytes = (size_t)snprintf(key, sizeof key, "k%" PRIu64, n % KEYS);
    if (cairn_state_write(state, changes, 2, NULL, &err) != CAIRN_OK)
        fail();
    if (write(STDOUT_FILENO, &n, sizeof n) != sizeof n)
        exit(1);
    if (n % SNAPSHOT_EVERY == 0 && cairn_state_snapshot(state, NULL, 0, &version, &err) != CAIRN_OK)
        fail();
}

int main(int argc, char **argv)
{
    struct cairn_state_options options = {.log_bytes_max = 200000,
                                          .log_file_bytes = 64 << 10,
                                          .threshold = 10000,
                                          .memtable_bytes_limit = 10000,
                                          .mem_segment_len = 60000};

    if (argc != 5)
        return 2;
    options.engine = argv[2];
    options.log = strcmp(argv[3], "always") == 0 ? CAIRN_STATE_LOG_ALWAYS
                  : strcmp(argv[3], "none") == 0 ? CAIRN_STATE_LOG_NONE
                                                 : CAIRN_STATE_LOG_INTERVAL;
    if (cairn_state_open(argv[1], &options, &state, &err) != CAIRN_OK)
        fail();
    check(get("last"));
    if (strcmp(argv[4], "check") == 0) {
        printf("%" PRIu64 "\n", get("last"));
        cairn_state_close(state);
        return 0;
    }
    for (uint64_t n = get("last") + 1;; n++)
        change(n);
}
