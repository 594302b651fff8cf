/* hidden_test.c - a connection is told of no node that it may not read (CVE-2024-23944).
 *
 * It would catch: an event whose path its connection may not read, for creations, changes, deletions, in a multi, by a
 * setWatches, and for the nodes of a session that ends, in one segment and in many; an event that is kept from a
 * connection that has proved an identity since it set the watch; the ACL of one node taken for another's; and ACLs that
 * keep a session from ending. */
#include "keeper_lab.h"

enum { ACL_BYTES_MAX = 8192 };

/* {"digest", "bob:x"}, as an identity and as the only one that may read. */
static const uint8_t bob[] = "\0\0\0\6digest\0\0\0\5bob:x";
static const uint8_t bobs[] = "\0\0\0\1\0\0\0\37\0\0\0\6digest\0\0\0\5bob:x";

static struct cairn_bytes bob_is(void)
{
    return cairn_bytes(bob, sizeof bob - 1);
}

static struct cairn_bytes bobs_acl(void)
{
    return cairn_bytes(bobs, sizeof bobs - 1);
}

static const char *do_as_bob(struct client *client, enum keeper_op op, const char *path, int flags,
                             struct cairn_bytes acl)
{
    static struct lab_ask ask;
    struct keeper_part *part = lab_ask_init(&ask, client, op, path, "x");

    ask.ask.identities = bob_is();
    part->flags = flags;
    part->acl = acl;
    lab_send(&ask);
    lab_wait(client, &ask);
    return ask.text;
}

static void watch_all(struct client *client, const char *path)
{
    struct lab_ask ask;

    lab_ask_init(&ask, client, KEEPER_ADD_WATCH, path, NULL);
    ask.ask.kind = 1;
    lab_send(&ask);
    lab_wait(client, &ask);
    assert_int_equal(ask.error, 0);
}

/* a watches everything and is nobody, b is bob and watches everything, c writes. */
static void start(struct lab *lab, uint64_t seed, struct client *a, struct client *b, struct client *c)
{
    lab_init(lab, seed, &(struct simnode_options){.workers = 2});
    assert_int_equal(client_connect(a, lab, 0, NULL), 0);
    assert_int_equal(client_connect(b, lab, 1, NULL), 0);
    assert_int_equal(client_connect(c, lab, 1, NULL), 0);
    b->link.identities = bob_is();
    watch_all(a, "/");
    watch_all(b, "/");
}

static void test_each_change(void **state)
{
    struct cairn_bytes open = cairn_bytes(lab_open_acl, sizeof lab_open_acl);
    struct lab lab;
    struct client a, b, c;

    (void)state;
    start(&lab, 1, &a, &b, &c);
    lab_do(&a, KEEPER_EXISTS, "/s", NULL, true);
    do_as_bob(&c, KEEPER_CREATE, "/s", 0, bobs_acl());
    do_as_bob(&c, KEEPER_SET_DATA, "/s", 0, open);
    do_as_bob(&c, KEEPER_CREATE, "/s/open", 0, open);
    do_as_bob(&c, KEEPER_CREATE, "/s/open/s", 0, bobs_acl());
    do_as_bob(&c, KEEPER_DELETE, "/s/open/s", 0, open);
    do_as_bob(&c, KEEPER_DELETE, "/s/open", 0, open);
    do_as_bob(&c, KEEPER_DELETE, "/s", 0, open);
    assert_string_equal(client_told(&a), "created(/s/open) deleted(/s/open)");
    assert_string_equal(client_told(&b), "created(/s) data(/s) created(/s/open) created(/s/open/s) deleted(/s/open/s) "
                                         "deleted(/s/open) deleted(/s)");
    /* The ACL is that of the moment. */
    do_as_bob(&c, KEEPER_CREATE, "/t", 0, open);
    lab_do(&a, KEEPER_GET_CHILDREN, "/t", NULL, true);
    do_as_bob(&c, KEEPER_SET_ACL, "/t", 0, bobs_acl());
    do_as_bob(&c, KEEPER_CREATE, "/t/u", 0, open);
    assert_string_equal(client_told(&a), "created(/t) created(/t/u)");
    /* An identity that is proved later counts. */
    a.link.identities = bob_is();
    do_as_bob(&c, KEEPER_SET_DATA, "/t", 0, open);
    assert_string_equal(client_told(&a), "data(/t)");
    lab_done(&lab);
}

static void test_multi(void **state)
{
    struct lab lab;
    struct client a, b, c;
    struct lab_ask ask;

    (void)state;
    start(&lab, 2, &a, &b, &c);
    do_as_bob(&c, KEEPER_CREATE, "/s", 0, bobs_acl());
    lab_ask_init(&ask, &c, KEEPER_MULTI, NULL, NULL);
    ask.ask.identities = bob_is();
    lab_part(&ask, KEEPER_DELETE, "/s", NULL);
    lab_part(&ask, KEEPER_CREATE, "/s", "open now");
    lab_part(&ask, KEEPER_CREATE, "/between", "x")->acl = bobs_acl();
    lab_part(&ask, KEEPER_DELETE, "/between", NULL);
    lab_part(&ask, KEEPER_SET_DATA, "/s", "y");
    lab_send(&ask);
    lab_wait(&c, &ask);
    assert_int_equal(ask.error, 0);
    assert_string_equal(client_told(&a), "created(/s) data(/s)");
    assert_string_equal(client_told(&b),
                        "created(/s) deleted(/s) created(/s) created(/between) deleted(/between) data(/s)");
    lab_done(&lab);
}

static void test_set_watches(void **state)
{
    static const char *const paths[] = {"/s", "/open"};
    struct cairn_buf bytes = {0};
    struct lab lab;
    struct client a, b, c;
    struct lab_ask ask;

    (void)state;
    start(&lab, 3, &a, &b, &c);
    do_as_bob(&c, KEEPER_CREATE, "/s", 0, bobs_acl());
    do_as_bob(&c, KEEPER_CREATE, "/open", 0, cairn_bytes(lab_open_acl, sizeof lab_open_acl));
    client_told(&a);
    client_told(&b);
    for (int i = 0; i < 2; i++) {
        uint32_t size = __builtin_bswap32((uint32_t)strlen(paths[i]));

        cairn_buf_add(&bytes, &size, sizeof size);
        cairn_buf_str(&bytes, paths[i]);
    }
    for (int i = 0; i < 2; i++) {
        struct client *client = i ? &b : &a;

        lab_ask_init(&ask, client, KEEPER_SET_WATCHES, NULL, NULL);
        ask.ask.watches[KEEPER_SET_DATA_WATCHES] = (struct keeper_names){2, cairn_buf_bytes(&bytes)};
        lab_send(&ask);
        lab_wait(client, &ask);
    }
    assert_string_equal(client_told(&a), "data(/open)");
    assert_string_equal(client_told(&b), "data(/s) data(/open)");
    cairn_buf_done(&bytes);
    lab_done(&lab);
}

static int count_of(const char *text, const char *word)
{
    int count = 0;

    for (; (text = strstr(text, word)); text += strlen(word))
        count++;
    return count;
}

/* Sessions with ephemerals that end: the node loses them in one segment, or in many. */
static void end_with(uint64_t seed, int nodes)
{
    struct lab lab;
    struct client a, b, c;
    struct lab_ask ask;
    const char *told;
    char path[32];

    start(&lab, seed, &a, &b, &c);
    for (int i = 0; i < nodes; i++) {
        snprintf(path, sizeof path, "/%s%d", i % 2 ? "open" : "secret", i);
        do_as_bob(&c, KEEPER_CREATE, path, 1, i % 2 ? cairn_bytes(lab_open_acl, sizeof lab_open_acl) : bobs_acl());
    }
    client_told(&a);
    client_told(&b);
    lab_ask_init(&ask, &c, KEEPER_CLOSE, NULL, NULL);
    lab_send(&ask);
    lab_wait(&c, &ask);
    told = client_told(&a);
    assert_int_equal(count_of(told, "secret"), 0);
    assert_int_equal(count_of(told, "deleted(/open"), nodes / 2);
    told = client_told(&b);
    assert_int_equal(count_of(told, "deleted(/secret"), nodes / 2);
    assert_int_equal(count_of(told, "deleted(/open"), nodes / 2);
    lab_done(&lab);
}

static void test_ends(void **state)
{
    (void)state;
    end_with(4, 20);
    end_with(5, 700);
}

/* {digest, "bob:x"} may all, and as many others as fill `bytes`. */
static void fill_acl(struct cairn_buf *acl, size_t bytes, int unlike)
{
    uint32_t count = 0;

    cairn_buf_add(acl, bobs, sizeof bobs - 1);
    for (count = 1; acl->size + 24 <= bytes; count++) {
        cairn_buf_add(acl, "\0\0\0\1\0\0\0\6digest\0\0\0\6", 18);
        cairn_buf_u8(acl, (uint8_t)('a' + count % 26));
        cairn_buf_u8(acl, (uint8_t)('a' + count / 26 % 26));
        cairn_buf_u8(acl, (uint8_t)('a' + unlike % 26));
        cairn_buf_u8(acl, (uint8_t)('a' + unlike / 26 % 26));
        cairn_buf_str(acl, ":x");
    }
    count = __builtin_bswap32(count);
    memcpy(acl->data, &count, sizeof count);
}

/* What is told of a segment has room for as many ACLs as nodes. */
static void test_large_acls(void **state)
{
    enum { NODES = 80 };
    struct cairn_buf acl = {0};
    struct lab lab;
    struct client a, b, c;
    struct lab_ask ask;
    char path[32];

    (void)state;
    start(&lab, 6, &a, &b, &c);
    for (int i = 0; i < NODES; i++) {
        acl.size = 0;
        fill_acl(&acl, 8000, i);
        snprintf(path, sizeof path, "/e%d", i);
        assert_int_equal(do_as_bob(&c, KEEPER_CREATE, path, 1, cairn_buf_bytes(&acl))[0], '/');
    }
    acl.size = 0;
    fill_acl(&acl, ACL_BYTES_MAX, 0);
    assert_true(acl.size > ACL_BYTES_MAX - 24);
    assert_string_equal(do_as_bob(&c, KEEPER_CREATE, "/e", 1, cairn_buf_bytes(&acl)), "/e v0.0/0");
    acl.size = 0;
    fill_acl(&acl, ACL_BYTES_MAX + 24, 0);
    assert_string_equal(do_as_bob(&c, KEEPER_CREATE, "/more", 1, cairn_buf_bytes(&acl)), "!-114");
    client_told(&a);
    client_told(&b);
    lab_ask_init(&ask, &c, KEEPER_CLOSE, NULL, NULL);
    lab_send(&ask);
    lab_wait(&c, &ask);
    assert_int_equal(ask.error, 0);
    assert_string_equal(client_told(&a), "");
    assert_int_equal(count_of(client_told(&b), "deleted(/e"), NODES + 1);
    assert_string_equal(lab_do(&a, KEEPER_GET_CHILDREN, "/", NULL, false), "zookeeper v0.161/1");
    lab_done(&lab);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_change), cmocka_unit_test(test_multi),      cmocka_unit_test(test_set_watches),
        cmocka_unit_test(test_ends),        cmocka_unit_test(test_large_acls),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
