/* sessions_test.c - sessions and what hangs on them.
 *
 * It would catch: an ephemeral that outlives its session or goes before it, for anybody; a session that ends too
 * early, twice or never, also when the process stood still or was restarted; one that anybody can take up without
 * its password, or two connections have at once; a client that goes back behind what it has seen. */
#include "keeper_lab.h"

#define expect_told(client, want) assert_string_equal(client_told(client), want)

static void restart(struct lab *lab, enum cairn_sim_crash how)
{
    lab->clients = NULL;
    simnode_crash(&lab->sim, how);
    lab_open(lab);
}

static void test_close(void **state)
{
    struct lab lab;
    struct client a, b;

    (void)state;
    lab_init(&lab, 1, NULL);
    assert_int_equal(client_connect(&a, &lab, 0, NULL), 0);
    assert_int_equal(client_connect(&b, &lab, 1, NULL), 0);
    assert_string_equal(lab_do(&a, KEEPER_CREATE, "/e", "1", 1), "/e v0.0/0");
    assert_string_equal(lab_do(&a, KEEPER_CREATE, "/e/c", "1", 0), "!-108");
    assert_string_equal(lab_do(&a, KEEPER_GET_EPHEMERALS, "", NULL, 0), "/e");
    lab_do(&b, KEEPER_EXISTS, "/e", NULL, true);
    lab_do(&b, KEEPER_GET_CHILDREN, "/", NULL, true);
    assert_string_equal(lab_do(&a, KEEPER_CLOSE, NULL, NULL, 0), "");
    assert_false(a.is_over);
    expect_told(&b, "deleted(/e) children(/)");
    assert_string_equal(lab_do(&b, KEEPER_EXISTS, "/e", NULL, 0), "!-101");
    assert_string_equal(lab_do(&a, KEEPER_EXISTS, "/", NULL, 0), "!-112");
    assert_int_equal(client_connect(&a, &lab, 0, &a), -112);
    lab_done(&lab);
}

static void test_expiry(void **state)
{
    struct lab lab;
    struct client a, b;

    (void)state;
    lab_init(&lab, 2, NULL);
    assert_int_equal(client_connect(&a, &lab, 0, NULL), 0);
    assert_int_equal(client_connect(&b, &lab, 1, NULL), 0);
    lab_do(&a, KEEPER_CREATE, "/e", "1", 1);
    lab_do(&b, KEEPER_EXISTS, "/e", NULL, true);
    lab_pass(&lab, 20000, 100); /* who is heard lives */
    expect_told(&b, "");
    client_leave(&a); /* its session lives on, for its timeout of 4 s */
    lab_pass(&lab, 3600, 100);
    expect_told(&b, "");
    assert_string_equal(lab_do(&b, KEEPER_EXISTS, "/e", NULL, true), "v0.0/0");
    lab_pass(&lab, 2500, 100);
    expect_told(&b, "deleted(/e)");
    assert_int_equal(client_connect(&a, &lab, 0, &a), -112);
    lab_done(&lab);
}

static void test_silence_of_a_link(void **state)
{
    struct lab lab;
    struct client a;

    (void)state;
    lab_init(&lab, 3, NULL);
    assert_int_equal(client_connect(&a, &lab, 0, NULL), 0);
    lab.beats = false;
    lab_pass(&lab, 7000, 100);
    assert_true(a.is_over);
    assert_int_equal(a.why, KEEPER_END_EXPIRED);
    assert_string_equal(lab_do(&a, KEEPER_CREATE, "/a", NULL, 0), "!-112");
    lab_done(&lab);
}

/* Nobody was heard while nothing ran. */
static void test_pause(void **state)
{
    struct lab lab;
    struct client a;

    (void)state;
    lab_init(&lab, 4, NULL);
    assert_int_equal(client_connect(&a, &lab, 0, NULL), 0);
    lab_do(&a, KEEPER_CREATE, "/e", "1", 1);
    cairn_sim_clock_advance(&lab.sim.clock, UINT64_C(60000000000));
    lab_pass(&lab, 1000, 100);
    assert_string_equal(lab_do(&a, KEEPER_EXISTS, "/e", NULL, 0), "v0.0/0");
    assert_false(a.is_over);
    lab_done(&lab);
}

static void test_attach(void **state)
{
    struct lab lab;
    struct client a, b, c;

    (void)state;
    lab_init(&lab, 5, NULL);
    assert_int_equal(client_connect(&a, &lab, 0, NULL), 0);
    lab_do(&a, KEEPER_CREATE, "/e", "1", 1);
    lab_do(&a, KEEPER_GET_DATA, "/e", NULL, true);
    assert_int_equal(client_connect(&b, &lab, 1, &a), 0);
    simnode_settle(&lab.sim);
    assert_true(a.is_over);
    assert_int_equal(a.why, KEEPER_END_MOVED);
    assert_string_equal(lab_do(&b, KEEPER_GET_EPHEMERALS, "", NULL, 0), "/e");
    assert_string_equal(lab_do(&b, KEEPER_SET_DATA, "/e", "2", 0), "v1.0/0");
    expect_told(&a, ""); /* its watches are gone with it */
    expect_told(&b, "");
    /* Another password, a client that comes from the future, one that was never there. */
    c = b;
    c.link.password[3] ^= 1;
    assert_int_equal(client_connect(&a, &lab, 0, &c), -112);
    c = b;
    c.zxid_seen += 100;
    assert_int_equal(client_connect(&a, &lab, 0, &c), -2);
    c = b;
    c.link.session ^= 1;
    assert_int_equal(client_connect(&a, &lab, 0, &c), -112);
    lab_done(&lab);
}

/* A write of the old connection that is under way when another one takes the session over. */
static void test_old_connection(void **state)
{
    struct lab lab;
    struct client a, b;
    struct lab_ask late, read;

    (void)state;
    lab_init(&lab, 6, NULL);
    assert_int_equal(client_connect(&a, &lab, 0, NULL), 0);
    assert_int_equal(client_connect(&b, &lab, 1, &a), 0);
    /* It has not been told yet. */
    lab_ask_init(&late, &a, KEEPER_CREATE, "/late", "1");
    lab_ask_init(&read, &a, KEEPER_EXISTS, "/", NULL);
    lab_send(&late);
    lab_send(&read);
    lab_wait(&a, &late);
    lab_wait(&a, &read);
    assert_true(late.error == -118 || late.error == -112);
    assert_true(read.error == -118 || read.error == -112);
    assert_string_equal(lab_do(&b, KEEPER_EXISTS, "/late", NULL, 0), "!-101");
    lab_done(&lab);
}

/* After a restart every session has its full timeout again, and not more, though no client comes. */
static void test_restart(void **state)
{
    struct lab lab;
    struct client a, b, c;
    uint64_t seen;

    (void)state;
    lab_init(&lab, 7, NULL);
    assert_int_equal(client_connect(&a, &lab, 0, NULL), 0);
    assert_int_equal(client_connect(&b, &lab, 1, NULL), 0);
    lab_do(&a, KEEPER_CREATE, "/e", "1", 1);
    lab_do(&b, KEEPER_CREATE, "/f", "1", 1);
    seen = b.zxid_seen;
    client_leave(&a);
    lab_pass(&lab, 3000, 100);
    restart(&lab, CAIRN_SIM_DROP);
    assert_int_equal(client_connect(&c, &lab, 0, &b), 0);
    assert_true(c.zxid_seen >= seen);
    lab_pass(&lab, 3600, 100);
    assert_string_equal(lab_do(&c, KEEPER_EXISTS, "/e", NULL, true), "v0.0/0");
    lab_pass(&lab, 2500, 100);
    expect_told(&c, "deleted(/e)");
    assert_string_equal(lab_do(&c, KEEPER_GET_EPHEMERALS, "", NULL, 0), "/f");
    lab_do(&c, KEEPER_CREATE, "/g", "1", 0);
    assert_true(c.zxid_seen >> 32 > seen >> 32); /* a new epoch */
    /* Nobody comes: the timer of the tree has it loaded. */
    restart(&lab, CAIRN_SIM_DROP);
    lab_pass(&lab, 100000, 500);
    assert_int_equal(client_connect(&a, &lab, 0, NULL), 0);
    assert_string_equal(lab_do(&a, KEEPER_EXISTS, "/f", NULL, 0), "!-101");
    assert_string_equal(lab_do(&a, KEEPER_EXISTS, "/g", NULL, 0), "v0.0/0");
    assert_int_equal(client_connect(&b, &lab, 0, &c), -112);
    lab_done(&lab);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_close),   cmocka_unit_test(test_expiry), cmocka_unit_test(test_silence_of_a_link),
        cmocka_unit_test(test_pause),   cmocka_unit_test(test_attach), cmocka_unit_test(test_old_connection),
        cmocka_unit_test(test_restart),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
