/* requests_test.c - sessions, writes and native reads over the module of functions.
 *
 * It would catch: a write that is answered with something else than ZooKeeper's, a read that does not see the write
 * before it in its session, a session that cannot be taken up again, or by anybody; and a node that does not exist for
 * a read though it does for a write. */
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

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_writes_and_reads)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
