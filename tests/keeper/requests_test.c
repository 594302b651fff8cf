/* requests_test.c - sessions, writes and native reads over the module of functions.
 *
 * It would catch: a write that is answered with something else than ZooKeeper's, a read that does not see the write
 * before it in its session, or sees one behind it; writes that go together and fail together; a session that cannot be
 * taken up again, or by anybody; and a node that does not exist for a read though it does for a write. */
#include "keeper_lab.h"

static void test_writes_and_reads(void **state)
{
    struct lab lab;
    struct client client;

    (void)state;
    lab_init(&lab, 1, NULL);
    assert_int_equal(client_connect(&client, &lab, 0, NULL), 0);
    assert_string_equal(lab_do(&client, KEEPER_EXISTS, "/", NULL, 0), "v0.-1/1");
    assert_string_equal(lab_do(&client, KEEPER_CREATE, "/a", "one", 0), "/a v0.0/0");
    assert_string_equal(lab_do(&client, KEEPER_GET_DATA, "/a", NULL, 0), "'one' v0.0/0");
    assert_string_equal(lab_do(&client, KEEPER_SET_DATA, "/a", "two", 0), "v1.0/0");
    assert_string_equal(lab_do(&client, KEEPER_GET_DATA, "/a", NULL, 0), "'two' v1.0/0");
    assert_string_equal(lab_do(&client, KEEPER_CREATE, "/a", "one", 0), "!-110");
    assert_string_equal(lab_do(&client, KEEPER_GET_DATA, "/b", NULL, 0), "!-101");
    assert_string_equal(lab_do(&client, KEEPER_CREATE, "/a/n-", NULL, 2), "/a/n-0000000000 v0.0/0");
    assert_string_equal(lab_do(&client, KEEPER_CREATE, "/a/n-", "", 2), "/a/n-0000000001 v0.0/0");
    assert_string_equal(lab_do(&client, KEEPER_GET_DATA, "/a/n-0000000000", NULL, 0), "v0.0/0");
    assert_string_equal(lab_do(&client, KEEPER_GET_DATA, "/a/n-0000000001", NULL, 0), "'' v0.0/0");
    assert_string_equal(lab_do(&client, KEEPER_GET_CHILDREN, "/a", NULL, 0), "n-0000000000 n-0000000001 v1.2/2");
    assert_string_equal(lab_do(&client, KEEPER_GET_CHILDREN, "/", NULL, 0), "a zookeeper v0.0/2");
    assert_string_equal(lab_do(&client, KEEPER_GET_ALL_CHILDREN_NUMBER, "/a", NULL, 0), "n2");
    assert_string_equal(lab_do(&client, KEEPER_GET_ALL_CHILDREN_NUMBER, "/", NULL, 0), "n6");
    assert_string_equal(lab_do(&client, KEEPER_DELETE, "/a", NULL, 0), "!-111");
    assert_string_equal(lab_do(&client, KEEPER_SYNC, "/a", NULL, 0), "/a");
    lab_done(&lab);
}

/* Asked for at once.  Between the reads the writes go together. */
static void test_what_is_asked_at_once(void **state)
{
    static const struct {
        enum keeper_op op;
        const char *path, *data, *want;
    } row[] = {
        {KEEPER_CREATE, "/a", "one", "/a v0.0/0"},
        {KEEPER_CREATE, "/a", "two", "!-110"},
        {KEEPER_SET_DATA, "/a", "three", "v1.0/0"},
        {KEEPER_GET_DATA, "/a", NULL, "'three' v1.0/0"},
        {KEEPER_SET_DATA, "/a", "four", "v2.0/0"},
        {KEEPER_CREATE, "/a/b", "five", "/a/b v0.0/0"},
        {KEEPER_DELETE, "/a", NULL, "!-111"},
        {KEEPER_EXISTS, "/a/b", NULL, "v0.0/0"},
        {KEEPER_GET_DATA, "/a", NULL, "'four' v2.1/1"},
        {KEEPER_MULTI, "/a/b", "six", "!-110"},
        {KEEPER_CREATE, "/a/d", "seven", "/a/d v0.0/0"},
        {KEEPER_GET_DATA, "/a/b", NULL, "'five' v0.0/0"},
        {KEEPER_GET_CHILDREN, "/a", NULL, "b d v2.2/2"},
        {KEEPER_SET_DATA, "/a/d", "eight", "v1.0/0"},
    };
    enum { ROW = sizeof row / sizeof *row };
    static struct lab_ask asks[ROW];
    struct lab lab;
    struct client client;

    (void)state;
    for (uint32_t worker = 0; worker < 2; worker++) {
        uint64_t zxid = 0;

        lab_init(&lab, 2, NULL);
        assert_int_equal(client_connect(&client, &lab, worker, NULL), 0);
        client.gathers = true;
        for (int i = 0; i < ROW; i++) {
            if (row[i].op == KEEPER_MULTI) { /* its second part fails */
                lab_ask_init(&asks[i], &client, KEEPER_MULTI, NULL, NULL);
                lab_part(&asks[i], KEEPER_SET_DATA, "/a/b", row[i].data);
                lab_part(&asks[i], KEEPER_CREATE, "/a", "x");
            } else {
                lab_ask_init(&asks[i], &client, row[i].op, row[i].path, row[i].data);
            }
            lab_send(&asks[i]);
        }
        keeper_ops.flush(client_worker(&client), &client.link);
        for (int i = 0; i < ROW; i++) {
            lab_wait(&client, &asks[i]);
            assert_string_equal(asks[i].text, row[i].want);
            assert_true(asks[i].zxid >= zxid);
            zxid = asks[i].zxid;
        }
        client_leave(&client);
        lab_done(&lab);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_writes_and_reads),
                                       cmocka_unit_test(test_what_is_asked_at_once)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
