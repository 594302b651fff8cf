/* blobs_test.c - data of nodes that is in a blob store.
 *
 * It would catch: a write that is answered before its data is in the store, or data in the wrong one of the two; a
 * write or a read that overtakes a write of its session whose data is being put; an event that overtakes the answer
 * to the read that armed its watch while the data is fetched; a store that is away, or an object that has rotted or
 * is gone, that hurts more than what needs it, or that does not heal. */
#include "keeper_lab.h"
#include "support/memblob.h"

enum { BYTES_MIN = 16 };

#define LONG_A "aaaaaaaaaaaaaaaa-the-first"
#define LONG_B "bbbbbbbbbbbbbbbb-the-second"

static struct lab lab;
static struct memblob *store;
static struct client client;

static void begin(uint64_t seed, uint64_t cache_bytes, const struct simnode_options *options)
{
    lab_begin(&lab, seed, options);
    store = memblob_open(&lab.sim.clock);
    lab.options.store = &store->base;
    lab.options.blob_bytes = BYTES_MIN;
    lab.options.cache_bytes = cache_bytes;
    lab_open(&lab);
    assert_int_equal(client_connect(&client, &lab, 0, NULL), 0);
}

static void end(void)
{
    lab_done(&lab);
    memblob_close(store);
}

static struct memblob_object *object_of(const char *data)
{
    uint8_t hash[CAIRN_SHA256_BYTES];
    char name[128] = "";

    cairn_sha256(cairn_str(data), hash);
    snprintf(name, sizeof name, "keeper/%02x/", hash[0]);
    for (int i = 0; i < CAIRN_SHA256_BYTES; i++)
        snprintf(name + strlen(name), sizeof name - strlen(name), "%02x", hash[i]);
    return memblob_find(store, name);
}

static const char *get(const char *path)
{
    return lab_do(&client, KEEPER_GET_DATA, path, NULL, 0);
}

static void test_where_data_is(void **state)
{
    struct lab_ask ask;

    (void)state;
    begin(1, 0, NULL);
    assert_string_equal(lab_do(&client, KEEPER_CREATE, "/a", LONG_A, 0), "/a v0.0/0");
    assert_non_null(object_of(LONG_A));
    assert_string_equal(get("/a"), "'" LONG_A "' v0.0/0");
    assert_string_equal(lab_do(&client, KEEPER_SET_DATA, "/a", "short", 0), "v1.0/0");
    assert_string_equal(get("/a"), "'short' v1.0/0");
    assert_string_equal(lab_do(&client, KEEPER_SET_DATA, "/a", LONG_B, 0), "v2.0/0");
    assert_string_equal(get("/a"), "'" LONG_B "' v2.0/0");
    assert_string_equal(lab_do(&client, KEEPER_CREATE, "/b", NULL, 0), "/b v0.0/0");
    assert_string_equal(lab_do(&client, KEEPER_CREATE, "/c", "", 0), "/c v0.0/0");
    assert_string_equal(get("/b"), "v0.0/0");
    assert_string_equal(get("/c"), "'' v0.0/0");
    /* What the functions read themselves stays with them. */
    lab_do(&client, KEEPER_CREATE, "/zookeeper/quota/a", NULL, 0);
    lab_do(&client, KEEPER_CREATE, "/zookeeper/quota/a/zookeeper_limits",
           "count=2,bytes=-1=;byteHardLimit=-1;countHardLimit=2", 0);
    lab_do(&client, KEEPER_CREATE, "/zookeeper/quota/a/zookeeper_stats", "count=1,bytes=0", 0);
    assert_string_equal(lab_do(&client, KEEPER_CREATE, "/a/1", "1", 0), "/a/1 v0.0/0");
    assert_string_equal(lab_do(&client, KEEPER_CREATE, "/a/2", "2", 0), "!-125");
    assert_int_equal(memblob_count(store, "keeper/"), 2);

    lab_ask_init(&ask, &client, KEEPER_MULTI, NULL, NULL);
    lab_part(&ask, KEEPER_CREATE, "/m", LONG_A);
    lab_part(&ask, KEEPER_SET_DATA, "/b", "few");
    lab_part(&ask, KEEPER_SET_DATA, "/c", "cccccccccccccccccccccc");
    lab_send(&ask);
    lab_wait(&client, &ask);
    assert_int_equal(ask.error, 0);
    assert_non_null(object_of("cccccccccccccccccccccc"));
    lab_ask_init(&ask, &client, KEEPER_MULTI_READ, NULL, NULL);
    lab_part(&ask, KEEPER_GET_DATA, "/m", NULL);
    lab_part(&ask, KEEPER_GET_DATA, "/none", NULL);
    lab_part(&ask, KEEPER_GET_DATA, "/b", NULL);
    lab_part(&ask, KEEPER_GET_DATA, "/c", NULL);
    lab_send(&ask);
    lab_wait(&client, &ask);
    assert_string_equal(ask.text, "'" LONG_A "' v0.0/0 !-101 'few' v1.0/0 'cccccccccccccccccccccc' v1.0/0");

    lab.clients = NULL;
    simnode_crash(&lab.sim, CAIRN_SIM_DROP);
    lab_open(&lab);
    assert_int_equal(client_connect(&client, &lab, 1, NULL), 0);
    assert_string_equal(get("/m"), "'" LONG_A "' v0.0/0");
    end();
}

/* The store has the data when the answer comes, in every interleaving. */
static void test_durable_first(void **state)
{
    char data[64];

    (void)state;
    begin(2, 1 << 20, NULL);
    for (int i = 0; i < 60; i++) {
        struct lab_ask ask;

        snprintf(data, sizeof data, "number %d, and enough to be a blob", i);
        lab_ask_init(&ask, &client, i ? KEEPER_SET_DATA : KEEPER_CREATE, "/a", data);
        lab_send(&ask);
        lab_wait(&client, &ask);
        assert_int_equal(ask.error, 0);
        assert_non_null(object_of(data));
    }
    end();
}

/* A write whose data is put, and behind it one that needs no put, and a read. */
static void test_program_order(void **state)
{
    struct lab_ask asks[3];
    char data[64], want[80];

    (void)state;
    begin(3, 1 << 20, NULL);
    lab_do(&client, KEEPER_CREATE, "/a", "start", 0);
    for (int i = 0; i < 40; i++) {
        snprintf(data, sizeof data, "number %d, and enough to be a blob", i);
        lab_ask_init(&asks[0], &client, KEEPER_SET_DATA, "/a", data);
        lab_ask_init(&asks[1], &client, i % 2 ? KEEPER_SET_DATA : KEEPER_EXISTS, "/a", i % 2 ? "few" : NULL);
        lab_ask_init(&asks[2], &client, KEEPER_GET_DATA, "/a", NULL);
        for (int k = 0; k < 3; k++)
            lab_send(&asks[k]);
        for (int k = 0; k < 3; k++)
            lab_wait(&client, &asks[k]);
        snprintf(want, sizeof want, "'%s' ", i % 2 ? "few" : data);
        assert_memory_equal(asks[2].text, want, strlen(want));
    }
    /* A put that fails: what stands behind it goes on, and sees nothing of it. */
    store->away = true;
    lab_ask_init(&asks[0], &client, KEEPER_SET_DATA, "/a", LONG_A);
    lab_ask_init(&asks[1], &client, KEEPER_SET_DATA, "/a", "after");
    lab_ask_init(&asks[2], &client, KEEPER_GET_DATA, "/a", NULL);
    for (int k = 0; k < 3; k++)
        lab_send(&asks[k]);
    for (int k = 0; k < 3; k++)
        lab_wait(&client, &asks[k]);
    assert_int_equal(asks[0].error, -1);
    assert_int_equal(asks[1].error, 0);
    assert_memory_equal(asks[2].text, "'after' ", 8);
    end();
}

/* As a front does it: the event of a watch stands behind the answer of the read that set it. */
static void test_order_of_events(void **state)
{
    struct client other;
    bool fetched = false;

    (void)state;
    begin(10, 0, NULL);
    assert_int_equal(client_connect(&other, &lab, 1, NULL), 0);
    lab_do(&client, KEEPER_CREATE, "/a", "few", 0);
    for (uint64_t round = 0; round < 120; round++) {
        struct lab_ask read, write;
        const char *told, *answer, *event;

        lab_do(&client, KEEPER_SET_DATA, "/a", LONG_A, 0);
        client_told(&client);
        lab_ask_init(&read, &client, KEEPER_GET_DATA, "/a", NULL)->watch = true;
        read.says = true;
        lab_send(&read);
        lab_ask_init(&write, &other, KEEPER_SET_DATA, "/a", "few");
        for (uint64_t steps = round % 40; steps-- > 0;)
            lab_step(&lab);
        lab_send(&write);
        lab_wait(&other, &write);
        lab_wait(&client, &read);
        told = client_told(&client);
        answer = strstr(told, "[");
        event = strstr(told, "data(/a)");
        assert_non_null(answer);
        assert_true(strstr(told, "few") ? !event : event && event > answer);
        fetched |= event && strstr(answer, LONG_A);
        lab_do(&client, KEEPER_SET_DATA, "/a", "again", 0); /* no watch is left */
    }
    assert_true(fetched);
    end();
}

static void test_store_away(void **state)
{
    (void)state;
    begin(4, 1 << 20, NULL);
    lab_do(&client, KEEPER_CREATE, "/a", LONG_A, 0);
    lab_do(&client, KEEPER_CREATE, "/b", "few", 0);
    store->away = true;
    assert_string_equal(lab_do(&client, KEEPER_SET_DATA, "/a", LONG_B, 0), "!-1");
    assert_string_equal(lab_do(&client, KEEPER_SET_DATA, "/b", "some", 0), "v1.0/0");
    assert_string_equal(get("/b"), "'some' v1.0/0");
    assert_string_equal(get("/a"), "'" LONG_A "' v0.0/0"); /* from the shelf */
    store->away = false;
    assert_string_equal(lab_do(&client, KEEPER_SET_DATA, "/a", LONG_B, 0), "v1.0/0");
    lab.clients = NULL;
    simnode_crash(&lab.sim, CAIRN_SIM_DROP);
    lab_open(&lab); /* nothing is on the shelf */
    assert_int_equal(client_connect(&client, &lab, 0, NULL), 0);
    store->away = true;
    assert_string_equal(get("/a"), "!-1");
    assert_string_equal(lab_do(&client, KEEPER_EXISTS, "/a", NULL, 0), "v1.0/0");
    store->away = false;
    assert_string_equal(get("/a"), "'" LONG_B "' v1.0/0");
    end();
}

static void test_damage(void **state)
{
    struct lab_ask ask;

    (void)state;
    begin(5, 0, NULL);
    lab_do(&client, KEEPER_CREATE, "/a", LONG_A, 0);
    lab_do(&client, KEEPER_CREATE, "/b", LONG_B, 0);
    object_of(LONG_A)->bytes.data[3] ^= 1;
    assert_string_equal(get("/a"), "!-1");
    assert_string_equal(get("/b"), "'" LONG_B "' v0.0/0");
    lab_ask_init(&ask, &client, KEEPER_MULTI_READ, NULL, NULL);
    lab_part(&ask, KEEPER_GET_DATA, "/a", NULL);
    lab_part(&ask, KEEPER_GET_DATA, "/b", NULL);
    lab_send(&ask);
    lab_wait(&client, &ask);
    assert_string_equal(ask.text, "!-1 '" LONG_B "' v0.0/0");
    assert_string_equal(lab_do(&client, KEEPER_CREATE, "/c", LONG_A, 0), "/c v0.0/0"); /* heals it */
    assert_string_equal(get("/a"), "'" LONG_A "' v0.0/0");
    memblob_remove(&store->base, object_of(LONG_B)->name, NULL);
    assert_string_equal(get("/b"), "!-1");
    assert_string_equal(lab_do(&client, KEEPER_DELETE, "/b", NULL, 0), "");
    object_of(LONG_A)->bytes.size--;
    assert_string_equal(get("/c"), "!-1");
    end();
}

/* What the shelf holds is bounded, and one fetch serves all that ask meanwhile. */
static void test_shelf(void **state)
{
    enum { COUNT = 20 };
    static struct lab_ask asks[COUNT];
    char path[16], data[200];
    uint64_t calls;

    (void)state;
    begin(6, 2 * 1024, &(struct simnode_options){.workers = 1});
    for (int i = 0; i < COUNT; i++) {
        snprintf(path, sizeof path, "/n%d", i);
        memset(data, 'a' + i, sizeof data - 1);
        data[sizeof data - 1] = 0;
        lab_do(&client, KEEPER_CREATE, path, data, 0);
    }
    calls = store->calls;
    assert_memory_equal(get("/n19"), "'tttt", 5);
    assert_int_equal(store->calls, calls); /* put a moment ago */
    assert_memory_equal(get("/n0"), "'aaaa", 5);
    assert_int_equal(store->calls, calls + 1); /* had to go */
    calls = store->calls;
    for (int i = 0; i < COUNT; i++) {
        lab_ask_init(&asks[i], &client, KEEPER_GET_DATA, "/n5", NULL);
        lab_send(&asks[i]);
    }
    for (int i = 0; i < COUNT; i++) {
        lab_wait(&client, &asks[i]);
        assert_memory_equal(asks[i].text, "'ffff", 5);
    }
    assert_in_range(store->calls, calls + 1, calls + 3);
    end();
}

/* A node that closes while data is put and fetched. */
static void test_close(void **state)
{
    (void)state;
    for (int steps = 0; steps < 60; steps += 20) {
        static struct lab_ask asks[4];

        begin(50 + (uint64_t)steps, 0, NULL);
        lab_do(&client, KEEPER_CREATE, "/a", LONG_A, 0);
        lab_ask_init(&asks[0], &client, KEEPER_GET_DATA, "/a", NULL);
        lab_ask_init(&asks[1], &client, KEEPER_SET_DATA, "/a", LONG_B);
        lab_ask_init(&asks[2], &client, KEEPER_SET_DATA, "/a", "few");
        lab_ask_init(&asks[3], &client, KEEPER_GET_DATA, "/a", NULL);
        for (int k = 0; k < 4; k++)
            lab_send(&asks[k]);
        for (int k = 0; k < steps; k++)
            lab_step(&lab);
        lab.clients = NULL;
        end();
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_where_data_is), cmocka_unit_test(test_durable_first),
        cmocka_unit_test(test_program_order), cmocka_unit_test(test_order_of_events),
        cmocka_unit_test(test_store_away),    cmocka_unit_test(test_damage),
        cmocka_unit_test(test_shelf),         cmocka_unit_test(test_close),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
