/* quota_test.c - a quota of a large subtree is counted in turns, while others write.
 *
 * It would catch: a count that is one segment, however many nodes there are; a node that is counted twice or not at
 * all as it is created, changed or deleted before the turns come to it or behind them; a neighbour's nodes in it. */
#include "keeper_lab.h"

enum { NODES = 4000 };

static void create_many(struct client *client, const char *pattern, int count)
{
    static struct lab_ask asks[16];
    char path[64];

    for (int i = 0; i < count; i += 8) {
        struct lab_ask *ask = &asks[i / 8 % 16];

        if (i >= 16 * 8)
            lab_wait(client, ask);
        lab_ask_init(ask, client, KEEPER_MULTI, NULL, NULL);
        for (int k = i; k < i + 8 && k < count; k++) {
            snprintf(path, sizeof path, pattern, k);
            lab_part(ask, KEEPER_CREATE, path, "12");
        }
        lab_send(ask);
    }
    for (int i = 0; i < 16 && i * 8 < count; i++)
        lab_wait(client, &asks[i]);
}

static void usage(struct client *client, int *ret_count, int *ret_bytes)
{
    const char *text = lab_do(client, KEEPER_GET_DATA, "/zookeeper/quota/a/zookeeper_stats", NULL, 0);

    assert_int_equal(sscanf(text, "'count=%d,bytes=%d'", ret_count, ret_bytes), 2);
}

/* One of the nodes of /a, at random, is created, changed or deleted; what there is then. */
static void change(struct client *client, struct lab_ask *ask, uint64_t draw, int *count, int *bytes)
{
    static bool gone[NODES];
    uint64_t node = draw % NODES;
    char path[64];

    snprintf(path, sizeof path, "/a/n%d", (int)node);
    if (gone[node]) {
        lab_ask_init(ask, client, KEEPER_CREATE, path, "12");
        *count += 1;
        *bytes += 2;
        gone[node] = false;
    } else if (draw >> 32 & 1) {
        lab_ask_init(ask, client, KEEPER_MULTI, NULL, NULL);
        lab_part(ask, KEEPER_SET_DATA, path, "1234567");
        lab_part(ask, KEEPER_DELETE, path, NULL);
        *count -= 1;
        *bytes -= 2;
        gone[node] = true;
    } else {
        lab_ask_init(ask, client, KEEPER_MULTI, NULL, NULL);
        lab_part(ask, KEEPER_SET_DATA, path, "1234567");
        lab_part(ask, KEEPER_SET_DATA, path, "12");
    }
    lab_send(ask);
}

static void test_turns(void **state)
{
    enum { CHANGES = 300 };
    static struct lab_ask asks[CHANGES], stats, first;
    int count, bytes, want_count = 1 + NODES + 40, want_bytes = 2 * (NODES + 40) + 1, partial, whole;
    struct lab lab;
    struct client a, b;

    (void)state;
    lab_init(&lab, 1, NULL);
    assert_int_equal(client_connect(&a, &lab, 0, NULL), 0);
    assert_int_equal(client_connect(&b, &lab, 1, NULL), 0);
    lab_do(&a, KEEPER_CREATE, "/a", "1", 0);
    lab_do(&a, KEEPER_CREATE, "/a-", "1", 0);
    lab_do(&a, KEEPER_CREATE, "/a/d", NULL, 0);
    want_count++;
    create_many(&a, "/a/n%d", NODES);
    create_many(&a, "/a-/n%d", 1500);
    create_many(&a, "/a/d/n%d", 40);
    lab_do(&a, KEEPER_CREATE, "/zookeeper/quota/a", NULL, 0);
    lab_do(&a, KEEPER_CREATE, "/zookeeper/quota/a/zookeeper_limits", "count=-1,bytes=-1", 0);
    lab_ask_init(&stats, &a, KEEPER_CREATE, "/zookeeper/quota/a/zookeeper_stats", "count=0,bytes=0");
    lab_send(&stats);
    lab_ask_init(&first, &a, KEEPER_GET_DATA, "/zookeeper/quota/a/zookeeper_stats", NULL);
    lab_send(&first);
    whole = want_count;
    for (int i = 0; i < CHANGES; i++) {
        change(&b, &asks[i], cairn_random_u64(&lab.sim.random), &want_count, &want_bytes);
        for (uint64_t steps = cairn_random_below(&lab.sim.random, 4); steps > 0; steps--)
            lab_step(&lab);
    }
    lab_wait(&a, &first);
    assert_int_equal(sscanf(first.text, "'count=%d,", &partial), 1);
    assert_true(partial > 0 && partial < whole / 2);
    for (int i = 0; i < CHANGES; i++) {
        lab_wait(&b, &asks[i]);
        assert_int_equal(asks[i].error, 0);
    }
    lab_pass(&lab, 2000, 100);
    usage(&a, &count, &bytes);
    assert_int_equal(count, want_count);
    assert_int_equal(bytes, want_bytes);
    /* From here on it is kept up, and one that is removed and set again is counted anew. */
    lab_do(&b, KEEPER_CREATE, "/a/z", "1234", 0);
    usage(&a, &count, &bytes);
    assert_int_equal(count, want_count + 1);
    assert_int_equal(bytes, want_bytes + 4);
    lab_do(&a, KEEPER_DELETE, "/zookeeper/quota/a/zookeeper_stats", NULL, 0);
    lab_do(&b, KEEPER_DELETE, "/a/z", NULL, 0);
    lab_do(&a, KEEPER_CREATE, "/zookeeper/quota/a/zookeeper_stats", "count=0,bytes=0", 0);
    lab_pass(&lab, 2000, 100);
    usage(&a, &count, &bytes);
    assert_int_equal(count, want_count);
    lab_done(&lab);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_turns),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
