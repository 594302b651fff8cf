/* blobs_collect_test.c - what nothing refers to any more goes from the blob store, and nothing else does.
 *
 * It would catch: a blob that is removed while a node, a version of the node that is kept, or a write under way
 * refers to it, whatever was cut off when; one that is never removed; a tombstone that is left, or that counts
 * though its blob was put again; a collector that goes on for ever where nothing happens. */
#include "keeper/blobs.h"
#include "keeper_lab.h"
#include "support/memblob.h"

enum { EVERY_MS = 6400, NODES = 6, CONTENTS = 5 };

static struct lab lab;
static struct memblob *store;
static struct client client;

static bool look(void *context, uint64_t *ret_oldest, uint64_t *ret_oldest_ms, uint64_t *ret_newest)
{
    struct cairn_store_version versions[64];
    size_t count = cairn_store_versions(lab.sim.store, versions, 64);

    (void)context;
    assert_true(count <= 64);
    for (size_t i = 0; i < count; i++) {
        *ret_oldest = versions[i].number < *ret_oldest ? versions[i].number : *ret_oldest;
        *ret_oldest_ms = versions[i].time_ms < *ret_oldest_ms ? versions[i].time_ms : *ret_oldest_ms;
        *ret_newest = versions[i].number > *ret_newest ? versions[i].number : *ret_newest;
    }
    return true;
}

static void reopen(void)
{
    lab_open(&lab);
    assert_int_equal(client_connect(&client, &lab, 0, NULL), 0);
}

static void begin(uint64_t seed, const struct simnode_options *options)
{
    lab_begin(&lab, seed, options);
    store = memblob_open(&lab.sim.clock);
    lab.options.store = &store->base;
    lab.options.blob_bytes = 1;
    lab.options.collect_every_ns = (uint64_t)EVERY_MS * 1000000;
    lab.options.past.look = look;
    reopen();
}

static void end(void)
{
    lab_done(&lab);
    memblob_close(store);
}

/* Of a node, which content it has; -1: it is not there. */
struct model {
    int node[NODES];
};

static const char *path_of(int i)
{
    static char path[16];

    snprintf(path, sizeof path, "/n%d", i);
    return path;
}

static const char *content_of(int k)
{
    static char content[32];

    snprintf(content, sizeof content, "content number %d", k);
    return content;
}

static void change(struct model *model, int i, int k)
{
    if (k < 0 && model->node[i] < 0)
        return;
    if (k < 0)
        assert_string_equal(lab_do(&client, KEEPER_DELETE, path_of(i), NULL, 0), "");
    else
        assert_true(lab_do(&client, model->node[i] < 0 ? KEEPER_CREATE : KEEPER_SET_DATA, path_of(i), content_of(k),
                           0)[0] != '!');
    model->node[i] = k;
}

static void change_some(struct model *model, int count)
{
    while (count-- > 0)
        change(model, (int)cairn_random_below(&lab.sim.random, NODES),
               (int)cairn_random_below(&lab.sim.random, CONTENTS + 3) - 3);
}

static struct memblob_object *object_of(int k)
{
    uint8_t hash[CAIRN_SHA256_BYTES];
    char name[KEEPER_BLOB_NAME_BYTES];

    cairn_sha256(cairn_str(content_of(k)), hash);
    keeper_blob_name(hash, name);
    return memblob_find(store, name);
}

static bool has_object(int k)
{
    return object_of(k) != NULL;
}

/* As a round has left it before the object was put again. */
static void add_old_tombstone(int k)
{
    const struct memblob_object *object = object_of(k);
    uint64_t put_ns = object->put_ns;
    char name[CAIRN_BLOB_NAME_BYTES];

    snprintf(name, sizeof name, "%.80s.0.0", object->name);
    assert_int_equal(memblob_put(&store->base, name, cairn_bytes(NULL, 0), NULL), CAIRN_OK);
    memblob_find(store, name)->put_ns = put_ns - 1000000;
}

static void check_data(const struct model *model)
{
    char want[64];

    for (int i = 0; i < NODES; i++) {
        const char *text = lab_do(&client, KEEPER_GET_DATA, path_of(i), NULL, 0);

        snprintf(want, sizeof want, "'%s' ", content_of(model->node[i] < 0 ? 0 : model->node[i]));
        if (model->node[i] < 0)
            assert_string_equal(text, "!-101");
        else
            assert_memory_equal(text, want, strlen(want));
    }
}

/* The store has what the nodes have, and nothing more. */
static void check_store(const struct model *model)
{
    uint32_t live = 0;

    for (int k = 0; k < CONTENTS; k++) {
        bool is_live = false;

        for (int i = 0; i < NODES; i++)
            is_live |= model->node[i] == k;
        assert_int_equal(has_object(k), is_live);
        live += is_live;
    }
    assert_int_equal(memblob_count(store, "keeper/"), live);
}

/* Steps let time pass, too. */
static void pass_ms(uint64_t ms)
{
    struct cairn_clock *clock = &lab.sim.clock.clock;
    uint64_t until = clock->monotonic_ns(clock) + ms * 1000000;

    while (clock->monotonic_ns(clock) < until)
        lab_pass(&lab, 1, 1);
}

static void pass_rounds(int rounds)
{
    pass_ms((uint64_t)rounds * (EVERY_MS + EVERY_MS / 4));
}

static void init_model(struct model *model)
{
    for (int i = 0; i < NODES; i++)
        model->node[i] = -1;
}

static void test_dead_ones_go(void **state)
{
    struct model model;
    uint64_t calls;

    (void)state;
    begin(1, NULL);
    init_model(&model);
    change(&model, 0, 0);
    change(&model, 1, 1);
    change(&model, 2, 1);
    change(&model, 3, 2);
    change(&model, 0, 3); /* nothing has 0 any more, and 1 has one left below */
    change(&model, 1, 4);
    change(&model, 3, -1);
    pass_rounds(1);
    assert_true(has_object(0) && has_object(2)); /* too young */
    pass_rounds(4);
    check_store(&model);
    check_data(&model);
    change(&model, 3, 0); /* and again */
    check_data(&model);
    change(&model, 3, -1);
    pass_rounds(5);
    check_store(&model);
    calls = store->calls;
    pass_rounds(3);
    assert_int_equal(store->calls, calls); /* nothing has happened */
    end();
}

/* A blob that is put again gets out of its tombstone, whenever that is. */
static void test_put_again(void **state)
{
    struct model model;

    (void)state;
    begin(2, NULL);
    init_model(&model);
    for (int round = 0; round < 4; round++) {
        change(&model, 0, 0);
        change(&model, 0, 1);
        pass_ms((uint64_t)EVERY_MS * 2 + (uint64_t)round * EVERY_MS / 3);
        change(&model, 1, 0);
        pass_rounds(1);
        check_data(&model);
        change(&model, 1, -1);
    }
    pass_rounds(5);
    check_store(&model);
    end();
}

/* Power is cut, and the store cut off, at any step of a client's writes and of the collector's. */
static void test_crashes(void **state)
{
    struct model model;

    (void)state;
    begin(3, NULL);
    init_model(&model);
    for (int round = 0; round < 8; round++) {
        struct lab_ask ask;
        int i = round % NODES, k = (int)cairn_random_below(&lab.sim.random, CONTENTS), was = model.node[i];
        const char *text;

        change_some(&model, 4);
        pass_ms(cairn_random_below(&lab.sim.random, 3 * EVERY_MS));
        was = model.node[i];
        store->halt_at = (int64_t)(store->calls + cairn_random_below(&lab.sim.random, 300));
        lab_ask_init(&ask, &client, was < 0 ? KEEPER_CREATE : KEEPER_SET_DATA, path_of(i), content_of(k));
        lab_send(&ask);
        for (uint64_t steps = cairn_random_below(&lab.sim.random, 2000); steps-- > 0;) {
            lab_step(&lab);
            if (steps % 16 == 0)
                cairn_sim_clock_advance(&lab.sim.clock, EVERY_MS / 128 * UINT64_C(1000000));
        }
        lab.clients = NULL;
        simnode_crash(&lab.sim, round % 2 ? CAIRN_SIM_DROP : CAIRN_SIM_TEAR);
        store->halt_at = -1;
        reopen();
        /* The write that was under way has happened, or not; if it was answered it has. */
        text = lab_do(&client, KEEPER_GET_DATA, path_of(i), NULL, 0);
        if (strncmp(text + 1, content_of(k), strlen(content_of(k))) == 0)
            model.node[i] = k;
        else
            assert_true(!ask.answered || ask.error);
        check_data(&model);
    }
    pass_rounds(6);
    check_data(&model);
    check_store(&model);
    end();
}

/* Versions of the node that are kept keep what they refer to; restoring finds it. */
static void test_versions(void **state)
{
    struct simnode_options options = {
        .engine = "hybridlog", .engine_memory_bytes = 1 << 20, .snapshot_every_ns = (uint64_t)4 * EVERY_MS * 1000000};
    struct cairn_store_version versions[64];
    struct model model, then;
    struct cairn_err err;
    size_t count;

    (void)state;
    begin(4, &options);
    init_model(&model);
    change(&model, 0, 0);
    change(&model, 1, 1);
    for (int passed = 0; cairn_store_versions(lab.sim.store, versions, 64) == 0; passed++) {
        assert_true(passed < 100);
        pass_ms(EVERY_MS / 4);
    }
    count = cairn_store_versions(lab.sim.store, versions, 64);
    then = model;
    change(&model, 0, 2); /* 0 is the version's alone now */
    change(&model, 1, -1);
    add_old_tombstone(0);
    pass_rounds(4); /* enough for them to go, but for the version */
    assert_true(has_object(0) && has_object(1));
    assert_true(cairn_store_versions(lab.sim.store, NULL, 0) >= count);
    lab.clients = NULL;
    assert_int_equal(simnode_restore(&lab.sim, versions[count - 1].number, -1, &err), CAIRN_OK);
    reopen();
    check_data(&then);
    model = then;
    pass_rounds(2);
    check_data(&model);
    assert_true(has_object(2)); /* the restore has made a version that leads back */
    /* Two are kept: after some more the first is gone, and what it alone had. */
    change(&model, 0, 3);
    change(&model, 1, 3);
    count = cairn_store_versions(lab.sim.store, versions, 64);
    for (size_t i = 0; i < count; i++)
        if (!versions[i].scheduled)
            assert_int_equal(cairn_store_version_forget(lab.sim.store, versions[i].number, &err), CAIRN_OK);
    pass_rounds(12);
    check_data(&model);
    check_store(&model);
    end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_dead_ones_go),
        cmocka_unit_test(test_put_again),
        cmocka_unit_test(test_crashes),
        cmocka_unit_test(test_versions),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
