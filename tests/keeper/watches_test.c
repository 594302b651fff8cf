/* watches_test.c - who is told of what, and in which order with answers.
 *
 * It would catch: a watch that fires twice or never, the wrong event for a table, an event that comes before the
 * answer that armed its watch or behind one that shows the change, and a session's own change that is answered
 * before its event has come. */
#include "keeper_lab.h"

static void test_tables(void **state)
{
    struct lab lab;
    struct client a, b;

    (void)state;
    lab_init(&lab, 2, NULL);
    assert_int_equal(client_connect(&a, &lab, 0, NULL), 0);
    assert_int_equal(client_connect(&b, &lab, 1, NULL), 0);
    /* What is not there is watched by exists alone. */
    assert_string_equal(lab_do(&a, KEEPER_EXISTS, "/x", NULL, true), "!-101");
    assert_string_equal(lab_do(&a, KEEPER_GET_DATA, "/y", NULL, true), "!-101");
    assert_string_equal(lab_do(&a, KEEPER_GET_CHILDREN, "/", NULL, true), "zookeeper v0.-1/1");
    lab_do(&b, KEEPER_CREATE, "/x", "1", 0);
    lab_do(&b, KEEPER_CREATE, "/y", "1", 0);
    assert_string_equal(client_told(&a), "created(/x) children(/)");
    /* Once. */
    lab_do(&b, KEEPER_SET_DATA, "/x", "2", 0);
    assert_string_equal(client_told(&a), "");
    lab_do(&a, KEEPER_GET_DATA, "/x", NULL, true);
    lab_do(&b, KEEPER_SET_DATA, "/x", "3", 0);
    lab_do(&b, KEEPER_SET_DATA, "/x", "4", 0);
    assert_string_equal(client_told(&a), "data(/x)");
    /* A deletion is one event for both tables of the node, and one for the parent. */
    lab_do(&a, KEEPER_GET_DATA, "/x", NULL, true);
    lab_do(&a, KEEPER_GET_CHILDREN, "/x", NULL, true);
    lab_do(&a, KEEPER_GET_CHILDREN, "/", NULL, true);
    lab_do(&b, KEEPER_DELETE, "/x", NULL, 0);
    assert_string_equal(client_told(&a), "deleted(/x) children(/)");
    /* A child's creation is not told to who watches the data. */
    lab_do(&a, KEEPER_EXISTS, "/y", NULL, true);
    lab_do(&b, KEEPER_CREATE, "/y/z", "1", 0);
    assert_string_equal(client_told(&a), "");
    assert_string_equal(client_told(&b), "");
    lab_done(&lab);
}

static int32_t ask_kind(struct client *client, enum keeper_op op, const char *path, int32_t kind)
{
    struct lab_ask ask;

    lab_ask_init(&ask, client, op, path, NULL);
    ask.ask.kind = kind;
    lab_send(&ask);
    lab_wait(client, &ask);
    return ask.error;
}

static void test_persistent(void **state)
{
    struct lab lab;
    struct client a, b;

    (void)state;
    lab_init(&lab, 3, NULL);
    assert_int_equal(client_connect(&a, &lab, 0, NULL), 0);
    assert_int_equal(client_connect(&b, &lab, 1, NULL), 0);
    assert_int_equal(ask_kind(&a, KEEPER_ADD_WATCH, "/p", 0), 0);
    assert_int_equal(ask_kind(&b, KEEPER_ADD_WATCH, "/p", 1), 0);
    lab_do(&a, KEEPER_CREATE, "/p", "1", 0);
    lab_do(&a, KEEPER_CREATE, "/p/c", "1", 0);
    lab_do(&a, KEEPER_SET_DATA, "/p/c", "2", 0);
    lab_do(&a, KEEPER_SET_DATA, "/p", "2", 0);
    lab_do(&a, KEEPER_DELETE, "/p/c", "2", 0);
    lab_do(&a, KEEPER_CREATE, "/pq", "1", 0);
    lab_do(&a, KEEPER_DELETE, "/p", "2", 0);
    assert_string_equal(client_told(&a), "created(/p) children(/p) data(/p) children(/p) deleted(/p)");
    assert_string_equal(client_told(&b), "created(/p) created(/p/c) data(/p/c) data(/p) deleted(/p/c) deleted(/p)");
    assert_int_equal(ask_kind(&a, KEEPER_CHECK_WATCHES, "/p", KEEPER_WATCH_PERSISTENT), 0);
    assert_int_equal(ask_kind(&a, KEEPER_CHECK_WATCHES, "/p", KEEPER_WATCH_RECURSIVE), -121);
    assert_int_equal(ask_kind(&a, KEEPER_REMOVE_WATCHES, "/p", KEEPER_WATCH_ANY), 0);
    assert_int_equal(ask_kind(&a, KEEPER_REMOVE_WATCHES, "/p", KEEPER_WATCH_ANY), -121);
    lab_do(&b, KEEPER_CREATE, "/p", "1", 0);
    assert_string_equal(client_told(&a), "");
    /* The root's recursive watch sees everything. */
    assert_int_equal(ask_kind(&b, KEEPER_REMOVE_WATCHES, "/p", KEEPER_WATCH_RECURSIVE), 0);
    assert_int_equal(ask_kind(&b, KEEPER_ADD_WATCH, "/", 1), 0);
    client_told(&b);
    lab_do(&a, KEEPER_CREATE, "/p/d", "1", 0);
    assert_string_equal(client_told(&b), "created(/p/d)");
    lab_done(&lab);
}

/* Half of a persistent watch is removed, as in ZooKeeper 3.8. */
static void test_halves(void **state)
{
    static const struct {
        int32_t mode, kind;
        const char *told;
    } cases[] = {
        {0, KEEPER_WATCH_CHILDREN, "data(/p) deleted(/p)"},
        {0, KEEPER_WATCH_DATA, "children(/p) children(/p) deleted(/p)"},
        {1, KEEPER_WATCH_CHILDREN, "data(/p) created(/p/c) deleted(/p/c) deleted(/p)"},
        {1, KEEPER_WATCH_DATA, "deleted(/p/c) deleted(/p)"},
        {0, KEEPER_WATCH_ANY, ""},
        {0, KEEPER_WATCH_PERSISTENT, ""},
        {1, KEEPER_WATCH_RECURSIVE, ""},
    };
    struct lab lab;
    struct client a, b;

    (void)state;
    lab_init(&lab, 5, NULL);
    assert_int_equal(client_connect(&a, &lab, 0, NULL), 0);
    assert_int_equal(client_connect(&b, &lab, 1, NULL), 0);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        lab_do(&b, KEEPER_CREATE, "/p", "1", 0);
        assert_int_equal(ask_kind(&a, KEEPER_ADD_WATCH, "/p", cases[i].mode), 0);
        assert_int_equal(ask_kind(&a, KEEPER_CHECK_WATCHES, "/p", cases[i].kind), 0);
        assert_int_equal(ask_kind(&a, KEEPER_REMOVE_WATCHES, "/p", cases[i].kind), 0);
        assert_int_equal(ask_kind(&a, KEEPER_REMOVE_WATCHES, "/p", cases[i].kind), -121);
        lab_do(&b, KEEPER_SET_DATA, "/p", "2", 0);
        lab_do(&b, KEEPER_CREATE, "/p/c", "1", 0);
        lab_do(&b, KEEPER_DELETE, "/p/c", NULL, 0);
        lab_do(&b, KEEPER_DELETE, "/p", NULL, 0);
        assert_string_equal(client_told(&a), cases[i].told);
        ask_kind(&a, KEEPER_REMOVE_WATCHES, "/p", KEEPER_WATCH_ANY);
    }
    /* One that fires once goes before a half of one that stays. */
    lab_do(&b, KEEPER_CREATE, "/p", "1", 0);
    assert_int_equal(ask_kind(&a, KEEPER_ADD_WATCH, "/p", 0), 0);
    lab_do(&a, KEEPER_GET_DATA, "/p", NULL, true);
    assert_int_equal(ask_kind(&a, KEEPER_REMOVE_WATCHES, "/p", KEEPER_WATCH_DATA), 0);
    lab_do(&b, KEEPER_SET_DATA, "/p", "2", 0);
    lab_do(&b, KEEPER_SET_DATA, "/p", "3", 0);
    assert_string_equal(client_told(&a), "data(/p) data(/p)");
    lab_done(&lab);
}

static void add_path(struct cairn_buf *to, struct keeper_names *names, const char *path)
{
    uint32_t size = __builtin_bswap32((uint32_t)strlen(path));

    cairn_buf_add(to, &size, sizeof size);
    cairn_buf_str(to, path);
    names->items = cairn_buf_bytes(to);
    names->count++;
}

static void test_set_watches(void **state)
{
    struct cairn_buf bytes[KEEPER_SET_COUNT] = {0};
    struct lab lab;
    struct client a, b, c;
    struct lab_ask ask;

    (void)state;
    lab_init(&lab, 4, NULL);
    assert_int_equal(client_connect(&a, &lab, 0, NULL), 0);
    assert_int_equal(client_connect(&b, &lab, 1, NULL), 0);
    lab_do(&a, KEEPER_CREATE, "/same", "1", 0);
    lab_do(&a, KEEPER_CREATE, "/changed", "1", 0);
    lab_do(&a, KEEPER_CREATE, "/gone", "1", 0);
    lab_do(&a, KEEPER_GET_DATA, "/same", NULL, true);
    client_leave(&a);
    lab_do(&b, KEEPER_SET_DATA, "/changed", "2", 0);
    lab_do(&b, KEEPER_DELETE, "/gone", NULL, 0);
    lab_do(&b, KEEPER_CREATE, "/come", "1", 0);
    lab_do(&b, KEEPER_CREATE, "/same/child", "1", 0);
    assert_int_equal(client_connect(&c, &lab, 1, &a), 0);
    lab_ask_init(&ask, &c, KEEPER_SET_WATCHES, NULL, NULL);
    ask.ask.zxid_seen = a.zxid_seen;
    ask.says = true;
    add_path(&bytes[0], &ask.ask.watches[KEEPER_SET_DATA_WATCHES], "/same");
    add_path(&bytes[0], &ask.ask.watches[KEEPER_SET_DATA_WATCHES], "/changed");
    add_path(&bytes[0], &ask.ask.watches[KEEPER_SET_DATA_WATCHES], "/gone");
    add_path(&bytes[1], &ask.ask.watches[KEEPER_SET_EXIST], "/come");
    add_path(&bytes[1], &ask.ask.watches[KEEPER_SET_EXIST], "/later");
    add_path(&bytes[2], &ask.ask.watches[KEEPER_SET_CHILD], "/same");
    add_path(&bytes[2], &ask.ask.watches[KEEPER_SET_CHILD], "/changed");
    lab_send(&ask);
    lab_wait(&c, &ask);
    assert_string_equal(client_told(&c), "data(/changed) deleted(/gone) created(/come) children(/same) []");
    /* The others are armed again; of the first connection nothing is left. */
    lab_do(&b, KEEPER_SET_DATA, "/same", "2", 0);
    lab_do(&b, KEEPER_CREATE, "/later", "2", 0);
    lab_do(&b, KEEPER_CREATE, "/changed/child", "2", 0);
    assert_string_equal(client_told(&c), "data(/same) created(/later) children(/changed)");
    assert_string_equal(client_told(&a), "");
    for (int i = 0; i < KEEPER_SET_COUNT; i++)
        cairn_buf_done(&bytes[i]);
    lab_done(&lab);
}

enum { ROUNDS = 6 };

/* In the order told: versions do not go back; between an answer that armed the watch and one that shows a later version
 * there is an event. */
static void check_told(const char *at)
{
    int version = 0;
    bool armed = false, told = false;

    for (; *at; at += strcspn(at, " "), at += strspn(at, " ")) {
        int seen = 0;

        if (*at != '[') {
            assert_true(strncmp(at, "data(", 5) == 0);
            assert_true(armed);
            told = true;
            continue;
        }
        assert_int_equal(sscanf(at, "[v%d.", &seen), 1);
        if (seen != version) {
            assert_true(seen > version);
            assert_true(!armed || told);
            version = seen;
            told = false;
        }
        armed = true;
    }
}

/* Two clients change a node, and one of them watches it, without waiting for answers. */
static void change_and_watch(struct lab *lab, struct client *a, struct client *b, const char *path)
{
    struct lab_ask gets[ROUNDS], sets[ROUNDS], own[ROUNDS];

    lab_do(a, KEEPER_CREATE, path, "0", 0);
    client_told(a);
    for (int i = 0; i < ROUNDS; i++) {
        lab_ask_init(&sets[i], b, KEEPER_SET_DATA, path, "b");
        lab_ask_init(&gets[i], a, KEEPER_EXISTS, path, NULL)->watch = true;
        lab_ask_init(&own[i], a, KEEPER_SET_DATA, path, "a");
        gets[i].says = own[i].says = true;
        lab_send(&sets[i]);
        if (i % 2)
            lab_send(&own[i]);
        else
            own[i].answered = true;
        lab_send(&gets[i]);
        for (uint64_t steps = cairn_random_below(&lab->sim.random, 60); steps-- > 0;)
            lab_step(lab);
    }
    for (int i = 0; i < ROUNDS; i++) {
        lab_wait(b, &sets[i]);
        lab_wait(a, &own[i]);
        lab_wait(a, &gets[i]);
    }
    check_told(client_told(a));
}

/* In every interleaving that is drawn what the client is told is checked against the rule, whichever it is; also after
 * it has come back at another worker than its session's. */
static void test_order(void **state)
{
    (void)state;
    for (uint32_t workers = 1; workers <= 3; workers++) {
        struct lab lab;
        struct client first, a, b;

        lab_init(&lab, 100 + workers, &(struct simnode_options){.workers = workers});
        assert_int_equal(client_connect(&first, &lab, 0, NULL), 0);
        assert_int_equal(client_connect(&b, &lab, workers - 1, NULL), 0);
        for (int i = 0; i < 24; i++) {
            char path[16];

            snprintf(path, sizeof path, "/n%d", i);
            if (i == 12)
                assert_int_equal(client_connect(&a, &lab, workers - 1, &first), 0);
            change_and_watch(&lab, i < 12 ? &first : &a, &b, path);
        }
        assert_true(first.is_over);
        assert_int_equal(first.why, KEEPER_END_MOVED);
        lab_done(&lab);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tables),      cmocka_unit_test(test_persistent), cmocka_unit_test(test_halves),
        cmocka_unit_test(test_set_watches), cmocka_unit_test(test_order),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
