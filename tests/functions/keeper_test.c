/* Catches a keeper whose tree is not ZooKeeper's: an error that is another one, a stat, a watch's event, a sequence
 * number, an ACL, a quota that is wrong; a multi that happens by half; a write of a session that is over or of a
 * connection that lost it; ephemerals that outlive their session or a crash between the segments that remove them;
 * containers and nodes with a TTL that stay, or go too soon; sessions that outlive a rollback. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "support/keepers.h"

enum { OPEN, READ_ONLY, DIGEST, AUTH, IP, TWICE, BAD_DIGEST, BAD_SCHEME, BAD_IP, NONE, NULL_ACL, ACLS };

static const struct zkmodel_acls acls[ACLS] = {
    [OPEN] = {1, {{31, "world", "anyone"}}},
    [READ_ONLY] = {1, {{1, "world", "anyone"}}},
    [DIGEST] = {2, {{31, "digest", "bob:x="}, {1, "world", "anyone"}}},
    [AUTH] = {2, {{23, "auth", ""}, {1, "ip", "10.1.1.1"}}},
    [IP] = {1, {{31, "ip", "10.0.0.0/8"}}},
    [TWICE] = {3, {{7, "world", "anyone"}, {7, "world", "anyone"}, {31, "ip", "10.2.0.0/15"}}},
    [BAD_DIGEST] = {1, {{31, "digest", "bob"}}},
    [BAD_SCHEME] = {2, {{31, "world", "anyone"}, {31, "x509", "cn"}}},
    [BAD_IP] = {1, {{31, "ip", "10.0.0.0/33"}}},
    [NONE] = {0, {{0}}},
    [NULL_ACL] = {-1, {{0}}},
};

static struct simnode sim;
static struct zkmodel model;

static void start(uint64_t seed)
{
    keepers_open(&sim, seed, NULL);
    zkmodel_init(&model);
    model.zxid = (int64_t)1 << 32 | 1; /* of the begin */
}

static void opened(struct keeper_client *client, uint64_t session)
{
    struct keeper_reply reply;
    struct simcall call;

    keepers_open_call(&call, client, session, 10000, 1);
    keepers_run(&sim, &call, &reply);
    if (reply.error)
        fail_msg("open: %s", reply.text);
    assert_int_equal(reply.zxid, ++model.zxid);
    model.changes[0] = 0;
}

static void closed(struct keeper_client *client, uint32_t generation)
{
    struct keeper_reply reply;
    struct simcall call;

    keepers_close_call(&call, client, generation, 1);
    keepers_run(&sim, &call, &reply);
    if (reply.error)
        fail_msg("close: %s", reply.text);
    zkmodel_close(&model, client->session);
    assert_int_equal(reply.zxid, model.zxid);
    model.changes[0] = 0; /* its order is tested apart */
}

static struct zkmodel_op make(int32_t op, const char *path)
{
    struct zkmodel_op made = {.op = op, .acls = acls[OPEN], .version = -1, .ttl = 1000};

    snprintf(made.path, sizeof made.path, "%s", path);
    made.data_bytes = snprintf(made.data, sizeof made.data, "data");
    if (op == CAIRN_ZK_OP_CREATE_TTL)
        made.flags = 5;
    return made;
}

static bool same_stat(const struct cairn_zk_stat *a, const struct cairn_zk_stat *b)
{
    return a->czxid == b->czxid && a->mzxid == b->mzxid && a->version == b->version && a->cversion == b->cversion &&
           a->aversion == b->aversion && a->ephemeral_owner == b->ephemeral_owner && a->data_length == b->data_length &&
           a->num_children == b->num_children && a->pzxid == b->pzxid;
}

/* Fails the test unless the answer is the model's. */
static void check(const struct keeper_reply *reply, int32_t error, int index, int count, const char *what)
{
    if (reply->error != error || (error && ((int)reply->index != index || reply->zxid != (uint64_t)model.zxid)))
        fail_msg("%s: %d at %u (%s), not %d at %d", what, reply->error, reply->index, reply->text, error, index);
    if (error)
        return;
    assert_int_equal(reply->zxid, model.zxid);
    assert_int_equal(reply->slot_count, count);
    for (int i = 0; i < count; i++) {
        if (strcmp(reply->slots[i].path, model.slots[i].path) != 0)
            fail_msg("%s: %s, not %s", what, reply->slots[i].path, model.slots[i].path);
        assert_int_equal(reply->slots[i].has_stat, model.slots[i].has_stat);
        if (reply->slots[i].has_stat && !same_stat(&reply->slots[i].stat, &model.slots[i].stat))
            fail_msg("%s: the stat of %s is another", what, reply->slots[i].path);
    }
}

/* A time that has passed may have changed what the model knows: the heartbeat's doing is tested apart. */
static int32_t write_ops(struct keeper_client *client, const struct zkmodel_op *ops, int count, bool multi)
{
    struct keeper_reply reply;
    struct simcall call;
    int32_t error;
    int index;

    keepers_write_call(&call, client, 1, ops, count, multi);
    keepers_run(&sim, &call, &reply);
    error = zkmodel_commit(&model, client->session, &client->ids, ops, count, &index);
    check(&reply, error, index, count, ops->path);
    return error;
}

/* At once: each for itself, in their order.  Returns how many failed. */
static int write_txns(struct keeper_client *client, const struct keepers_txn *txns, int count)
{
    struct keeper_reply replies[KEEPERS_TXNS];
    char changes[sizeof model.changes] = "";
    int64_t first = model.zxid + 1, told = first;
    struct simcall call;
    int failed = 0;

    keepers_writes_call(&call, client, 1, txns, count);
    simcall_run(&sim, &call);
    keepers_replies(&call, replies, count);
    for (int i = 0; i < count; i++) {
        int index;
        int32_t error = zkmodel_commit(&model, client->session, &client->ids, txns[i].ops, txns[i].count, &index);

        check(&replies[i], error, index, txns[i].count, txns[i].ops->path);
        failed += error != 0;
        if (!error && model.changes[0]) {
            if (model.zxid != told)
                strcat(changes, "14 ");
            strcat(changes, model.changes);
            told = model.zxid;
        }
    }
    if (told != model.zxid && model.zxid > first)
        strcat(changes, "14 ");
    strcpy(model.changes, model.zxid >= first ? changes : "");
    return failed;
}

static void want(struct keeper_client *client, int32_t error, struct zkmodel_op op)
{
    int32_t got = write_ops(client, &op, 1, false);

    if (got != error)
        fail_msg("%s: %d, not %d", op.path, got, error);
}

static struct zkmodel_op with_flags(struct zkmodel_op op, int32_t flags)
{
    op.flags = flags;
    return op;
}

static struct zkmodel_op with_version(struct zkmodel_op op, int32_t version)
{
    op.version = version;
    return op;
}

static struct zkmodel_op with_acl(struct zkmodel_op op, int acl)
{
    op.acls = acls[acl];
    return op;
}

static struct zkmodel_op with_ttl(struct zkmodel_op op, int64_t ttl)
{
    op.ttl = ttl;
    return op;
}

static void each_error_is_zookeepers(void **state)
{
    struct keeper_client ann = {.ids = {1, {{"ip", "10.1.1.1"}}}},
                         bob = {.ids = {2, {{"ip", "192.168.0.1"}, {"digest", "bob:x="}}}},
                         root = {.ids = {2, {{"ip", "192.168.0.1"}, {"super", ""}}}};
    struct keeper_reply reply;
    struct simcall call;

    (void)state;
    start(1);
    opened(&ann, 0xa);
    opened(&bob, 0xb);
    opened(&root, 0xc);
    want(&ann, 0, make(CAIRN_ZK_OP_CREATE, "/a"));
    want(&ann, CAIRN_ZK_EEXISTS, make(CAIRN_ZK_OP_CREATE2, "/a"));
    want(&ann, CAIRN_ZK_EEXISTS, make(CAIRN_ZK_OP_CREATE, "/"));
    want(&ann, CAIRN_ZK_ENONODE, make(CAIRN_ZK_OP_CREATE, "/b/c"));
    want(&ann, CAIRN_ZK_EARGUMENTS, make(CAIRN_ZK_OP_CREATE, ""));
    want(&ann, CAIRN_ZK_EARGUMENTS, with_flags(make(CAIRN_ZK_OP_CREATE, "/f"), 7));
    want(&ann, CAIRN_ZK_EARGUMENTS, with_flags(make(CAIRN_ZK_OP_CREATE, "/f"), -1));
    want(&ann, CAIRN_ZK_EARGUMENTS, with_flags(make(CAIRN_ZK_OP_CREATE, "/f"), 5));
    want(&ann, CAIRN_ZK_EARGUMENTS, with_ttl(make(CAIRN_ZK_OP_CREATE_TTL, "/t"), 0));
    want(&ann, CAIRN_ZK_EARGUMENTS, with_ttl(make(CAIRN_ZK_OP_CREATE_TTL, "/t"), (int64_t)1 << 40));
    want(&ann, 0, with_ttl(make(CAIRN_ZK_OP_CREATE_TTL, "/t"), ((int64_t)1 << 40) - 1));
    for (int acl = BAD_DIGEST; acl < ACLS; acl++) {
        want(&ann, CAIRN_ZK_EACL, with_acl(make(CAIRN_ZK_OP_CREATE, "/b/c"), acl));
        want(&ann, CAIRN_ZK_EACL, with_acl(make(CAIRN_ZK_OP_SET_ACL, "/b/c"), acl));
    }
    want(&ann, CAIRN_ZK_EACL, with_acl(make(CAIRN_ZK_OP_CREATE, "/auth"), AUTH)); /* she has proved nothing */
    want(&bob, 0, with_acl(make(CAIRN_ZK_OP_CREATE, "/auth"), AUTH));
    want(&ann, CAIRN_ZK_ENOAUTH, make(CAIRN_ZK_OP_SET_DATA, "/auth"));
    want(&ann, 0, make(CAIRN_ZK_OP_CHECK, "/auth")); /* her address may read */
    want(&bob, 0, make(CAIRN_ZK_OP_SET_DATA, "/auth"));
    want(&bob, CAIRN_ZK_ENOAUTH, make(CAIRN_ZK_OP_DELETE, "/auth/x"));
    want(&root, CAIRN_ZK_ENONODE, make(CAIRN_ZK_OP_DELETE, "/auth/x"));
    want(&bob, 0, make(CAIRN_ZK_OP_CREATE, "/auth/x"));
    want(&ann, CAIRN_ZK_ENOAUTH, make(CAIRN_ZK_OP_SET_ACL, "/auth"));
    want(&root, 0, with_acl(make(CAIRN_ZK_OP_SET_ACL, "/auth"), TWICE));
    want(&ann, 0, make(CAIRN_ZK_OP_CREATE, "/auth/y")); /* anyone may write now */
    want(&ann, CAIRN_ZK_ENOAUTH, make(CAIRN_ZK_OP_DELETE, "/auth/y"));
    want(&ann, CAIRN_ZK_EVERSION, with_version(make(CAIRN_ZK_OP_SET_DATA, "/a"), 1));
    want(&ann, 0, with_version(make(CAIRN_ZK_OP_SET_DATA, "/a"), 0));
    want(&ann, CAIRN_ZK_EVERSION, with_version(make(CAIRN_ZK_OP_CHECK, "/a"), 0));
    want(&ann, CAIRN_ZK_EVERSION, with_version(make(CAIRN_ZK_OP_SET_ACL, "/a"), 1));
    want(&ann, CAIRN_ZK_EVERSION, with_version(make(CAIRN_ZK_OP_DELETE, "/a"), 0));
    want(&ann, CAIRN_ZK_ENONODE, make(CAIRN_ZK_OP_SET_DATA, "/none"));
    want(&ann, CAIRN_ZK_ENONODE, make(CAIRN_ZK_OP_SET_ACL, "/none"));
    want(&ann, CAIRN_ZK_ENONODE, make(CAIRN_ZK_OP_CHECK, "/none"));
    want(&ann, CAIRN_ZK_ENONODE, make(CAIRN_ZK_OP_DELETE, "/none"));
    want(&ann, 0, with_flags(make(CAIRN_ZK_OP_CREATE, "/a/e"), 1));
    want(&ann, CAIRN_ZK_EEPHEMERALPARENT, make(CAIRN_ZK_OP_CREATE, "/a/e/x"));
    want(&ann, CAIRN_ZK_ENOTEMPTY, make(CAIRN_ZK_OP_DELETE, "/a"));
    want(&root, CAIRN_ZK_EARGUMENTS, make(CAIRN_ZK_OP_DELETE, "/"));
    want(&root, CAIRN_ZK_EARGUMENTS, make(CAIRN_ZK_OP_DELETE, "/zookeeper/quota"));
    want(&ann, CAIRN_ZK_ENOAUTH, make(CAIRN_ZK_OP_SET_DATA, "/zookeeper/config"));
    keepers_compare(&sim, &model, false);

    /* sessions: another connection, another password, over */
    keepers_attach_call(&call, &ann, "sixteen bytes no", 0);
    keepers_run(&sim, &call, &reply);
    assert_string_equal(reply.text, "expired: there is no such session, or it has another password");
    keepers_attach_call(&call, &ann, "sixteen bytes ok", 0);
    keepers_run(&sim, &call, &reply);
    assert_int_equal(reply.zxid, 2); /* the generation */
    want(&bob, 0, make(CAIRN_ZK_OP_SET_DATA, "/a"));
    keepers_write_call(&call, &ann, 1, &(struct zkmodel_op){.op = CAIRN_ZK_OP_CHECK, .path = "/a"}, 1, false);
    keepers_run(&sim, &call, &reply);
    assert_int_equal(reply.error, CAIRN_ZK_EMOVED);
    keepers_close_call(&call, &ann, 1, 1);
    keepers_run(&sim, &call, &reply);
    assert_int_equal(reply.error, CAIRN_ZK_EMOVED);
    ann.generation = 2;
    closed(&ann, 2);
    keepers_compare(&sim, &model, false);
    keepers_write_call(&call, &ann, 1, &(struct zkmodel_op){.op = CAIRN_ZK_OP_CHECK, .path = "/a"}, 1, false);
    keepers_run(&sim, &call, &reply);
    assert_int_equal(reply.error, CAIRN_ZK_EEXPIRED);
    closed(&bob, 0); /* it has expired */
    keepers_close_call(&call, &bob, 0, 1);
    keepers_run(&sim, &call, &reply); /* once more is nothing */
    assert_int_equal(reply.error, 0);
    assert_int_equal(reply.zxid, model.zxid);
    keepers_attach_call(&call, &bob, "sixteen bytes ok", 0);
    keepers_run(&sim, &call, &reply);
    assert_string_equal(reply.text, "expired: there is no such session, or it has another password");
    assert_int_equal(keepers_count(&sim, "sessions"), 1);
    simnode_done(&sim);
}

/* --- random streams --- */

static void draw_path(struct cairn_random *random, char to[96])
{
    static const char *const names[] = {"a", "b", "c", "a!", "b\x01"};
    int depth = 1 + (int)cairn_random_below(random, 3), used = 0;

    for (int i = 0; i < depth; i++)
        used += snprintf(to + used, 96 - (size_t)used, "/%s", names[cairn_random_below(random, i ? 3 : 5)]);
}

static struct zkmodel_op draw(struct cairn_random *random)
{
    static const int32_t kinds[] = {CAIRN_ZK_OP_CREATE,  CAIRN_ZK_OP_CREATE, CAIRN_ZK_OP_CREATE2,  CAIRN_ZK_OP_CREATE2,
                                    CAIRN_ZK_OP_DELETE,  CAIRN_ZK_OP_DELETE, CAIRN_ZK_OP_SET_DATA, CAIRN_ZK_OP_SET_DATA,
                                    CAIRN_ZK_OP_SET_ACL, CAIRN_ZK_OP_CHECK}; /* what is reaped is tested apart */
    struct zkmodel_op op = make(kinds[cairn_random_below(random, 10)], "");

    draw_path(random, op.path);
    op.data_bytes = (int32_t)cairn_random_below(random, 38) - 1;
    for (int i = 0; i < op.data_bytes; i++)
        op.data[i] = (char)cairn_random_u64(random);
    if (op.op == CAIRN_ZK_OP_CREATE || op.op == CAIRN_ZK_OP_CREATE2)
        op.flags = (int32_t)cairn_random_below(random, 4);
    if (cairn_random_below(random, 4) == 0)
        op.version = (int32_t)cairn_random_below(random, 3);
    if (cairn_random_below(random, 3) == 0)
        op.acls = acls[cairn_random_below(random, cairn_random_below(random, 2) ? OPEN + 1 : ACLS)];
    return op;
}

/* An open ACL more often than not, or soon nobody may do anything. */
static void a_random_stream(uint64_t seed)
{
    static const struct zkmodel_ids ids[] = {{1, {{"ip", "10.1.1.1"}}},
                                             {2, {{"ip", "192.168.0.1"}, {"digest", "bob:x="}}},
                                             {3, {{"ip", "10.3.0.1"}, {"digest", "bob:x="}, {"digest", "eve:y="}}},
                                             {2, {{"ip", "1.2.3.4"}, {"super", ""}}}};
    struct keeper_client clients[4] = {0};
    struct cairn_random random;
    uint64_t sessions = 0;
    int failed = 0, done = 0;

    start(seed);
    cairn_random_init(&random, seed);
    for (int step = 0; step < 160; step++) {
        struct keeper_client *client = &clients[cairn_random_below(&random, 4)];
        struct zkmodel_op ops[KEEPERS_TXNS][4];
        struct keepers_txn txns[KEEPERS_TXNS];
        int many = 1 + (int)cairn_random_below(&random, KEEPERS_TXNS), fails;

        if (client->session && cairn_random_below(&random, 25) == 0) {
            closed(client, client->generation);
            client->session = 0;
        } else if (!client->session) {
            client->ids = ids[client - clients];
            opened(client, ++sessions << 48 | 1);
        } else {
            for (int i = 0; i < many; i++) {
                bool multi = cairn_random_below(&random, 3) == 0;

                txns[i] = (struct keepers_txn){ops[i], multi ? 1 + (int)cairn_random_below(&random, 4) : 1, multi};
                for (int k = 0; k < txns[i].count; k++)
                    do
                        ops[i][k] = draw(&random);
                    while (multi && ops[i][k].op == CAIRN_ZK_OP_SET_ACL);
            }
            fails = write_txns(client, txns, many);
            failed += fails;
            done += many - fails;
        }
        if (step % 50 == 0 || cairn_random_below(&random, 20) == 0)
            keepers_compare(&sim, &model, false);
    }
    keepers_compare(&sim, &model, false);
    assert_true(failed > 50 && done > 50);
    simnode_crash(&sim, CAIRN_SIM_KEEP);
    keepers_reopen(&sim);
    keepers_compare(&sim, &model, false);
    simnode_done(&sim);
}

static void random_streams_are_the_models(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 4; seed++) {
        print_message("seed %llu\n", (unsigned long long)seed);
        a_random_stream(seed);
    }
}

/* --- many at once --- */

/* `count` ephemerals below `parent`, which is made if `make_parent`. */
static void many_ephemerals(struct keeper_client *client, const char *parent, int count)
{
    struct zkmodel_op ops[10];
    char path[96];

    for (int i = 0; i < count; i += 10) {
        for (int k = 0; k < 10; k++) {
            snprintf(path, sizeof path, "%s/%d", parent, i + k);
            ops[k] = with_flags(make(CAIRN_ZK_OP_CREATE, path), 1);
            ops[k].data_bytes = k % 2 ? 4 : -1;
        }
        assert_int_equal(write_ops(client, ops, 10, true), 0);
    }
}

/* As the model has it, at once; what the keeper has left is absent to whatever looks. */
static void a_close_of_many_is_one_step(void **state)
{
    struct keeper_client ann = {.ids = {0}}, bob = {.ids = {0}}, eve = {.ids = {0}};

    (void)state;
    start(5);
    opened(&ann, 0xa);
    opened(&bob, 0xb);
    want(&bob, 0, make(CAIRN_ZK_OP_CREATE, "/p"));
    want(&bob, 0, make(CAIRN_ZK_OP_CREATE, "/q"));
    want(&bob, 0, make(CAIRN_ZK_OP_CREATE, "/p/stays"));
    many_ephemerals(&ann, "/p", 1200);
    many_ephemerals(&ann, "/q", 40);
    want(&bob, 0, with_flags(make(CAIRN_ZK_OP_CREATE, "/p/bobs"), 1));
    closed(&ann, 1);
    assert_true(keepers_count(&sim, "ephemerals") > 1); /* it is not over */
    keepers_compare(&sim, &model, true);
    want(&bob, CAIRN_ZK_ENONODE, make(CAIRN_ZK_OP_CHECK, "/p/1199"));
    want(&bob, CAIRN_ZK_ENONODE, make(CAIRN_ZK_OP_DELETE, "/p/1199"));
    want(&bob, 0, make(CAIRN_ZK_OP_SET_DATA, "/p")); /* its stat counts two children */
    want(&bob, 0, make(CAIRN_ZK_OP_CREATE, "/p/999"));
    want(&bob, 0, make(CAIRN_ZK_OP_CREATE, "/p/999/x"));
    want(&bob, 0, make(CAIRN_ZK_OP_DELETE, "/q")); /* it has no children, although they lie there */
    want(&bob, 0, make(CAIRN_ZK_OP_CREATE, "/q"));
    want(&bob, 0, with_flags(make(CAIRN_ZK_OP_CREATE, "/q/5"), 1));
    want(&bob, 0, make(CAIRN_ZK_OP_SET_DATA, "/q"));
    keepers_compare(&sim, &model, true);
    simnode_settle(&sim);
    model.changes[0] = 0;
    keepers_compare(&sim, &model, false);
    assert_int_equal(keepers_count(&sim, "sessions"), 1);
    opened(&eve, 0xe);
    many_ephemerals(&eve, "/q", 0);
    want(&eve, 0, make(CAIRN_ZK_OP_SET_DATA, "/p"));
    want(&eve, 0, make(CAIRN_ZK_OP_SET_DATA, "/q"));
    simnode_done(&sim);
}

static void set_value(void *context, struct cairn_bytes key, struct cairn_bytes value)
{
    struct cairn_buf *to = context;

    (void)key;
    to->size = 0;
    cairn_buf_add(to, value.data, value.size);
}

/* Cut off at every so many steps of the close and of what follows it. */
static void a_close_is_finished_after_a_crash(void **state)
{
    bool between = false;

    (void)state;
    for (int steps = 10, over = 0; !over; steps = steps * 5 / 4) {
        struct keeper_client ann = {.ids = {0}}, bob = {.ids = {0}};
        struct keeper_reply reply;
        struct simcall call;
        int left;

        start(100 + (uint64_t)steps);
        opened(&ann, 0xa);
        opened(&bob, 0xb);
        want(&bob, 0, make(CAIRN_ZK_OP_CREATE, "/p"));
        many_ephemerals(&ann, "/p", 1100);
        want(&bob, 0, with_flags(make(CAIRN_ZK_OP_CREATE, "/p/bobs"), 1));
        keepers_close_call(&call, &ann, 1, 1);
        simcall_submit(&sim, &call, 0);
        for (int i = 0; i < steps; i++)
            simnode_step(&sim);
        left = keepers_count(&sim, "ephemerals");
        over = left == 1 && steps > 1000;
        between |= left > 1 && left < 1101;
        simnode_crash(&sim, steps % 2 ? CAIRN_SIM_DROP : CAIRN_SIM_KEEP);
        simcall_done(&call);
        keepers_reopen(&sim);
        keepers_close_call(&call, &ann, 0, 2); /* its deadline has passed */
        keepers_run(&sim, &call, &reply);
        assert_int_equal(reply.error, 0);
        simnode_settle(&sim);
        zkmodel_close(&model, ann.session);
        for (int i = 0; i < model.count; i++) /* its zxid depends on when the crash was */
            if (strcmp(model.nodes[i].path, "/p") == 0) {
                struct cairn_buf zxid = {0};

                keepers_field(&sim, "zxid", set_value, &zxid);
                assert_int_equal(zxid.size, 16); /* nobody lingers */
                memcpy(&model.nodes[i].pzxid, zxid.data, 8);
                cairn_buf_done(&zxid);
            }
        model.changes[0] = 0;
        keepers_compare(&sim, &model, false);
        assert_int_equal(keepers_count(&sim, "sessions"), 1);
        simnode_done(&sim);
    }
    assert_true(between);
}

static void no_session_outlives_a_rollback(void **state)
{
    struct keeper_client ann = {.ids = {0}}, bob = {.ids = {0}};
    struct keeper_reply reply;
    struct simcall call;

    (void)state;
    for (int crash = 0; crash < 2; crash++) {
        start(9);
        opened(&ann, 0xa);
        opened(&bob, 0xb);
        want(&bob, 0, make(CAIRN_ZK_OP_CREATE, "/p"));
        many_ephemerals(&ann, "/p", 1100);
        want(&bob, 0, with_flags(make(CAIRN_ZK_OP_CREATE, "/p/bobs"), 1));
        keepers_begin_call(&call, 7, 0, 1); /* the same state: nothing is new */
        keepers_run(&sim, &call, &reply);
        assert_int_equal(reply.zxid, model.zxid);
        keepers_compare(&sim, &model, false);
        keepers_begin_call(&call, 8, 0, 2);
        if (crash) {
            keepers_run(&sim, &call, &reply);
            simnode_crash(&sim, CAIRN_SIM_KEEP);
            keepers_reopen(&sim);
            keepers_begin_call(&call, 8, 0, 3);
        }
        keepers_run(&sim, &call, &reply);
        simnode_settle(&sim);
        assert_int_equal(keepers_count(&sim, "sessions"), 0);
        assert_int_equal(keepers_count(&sim, "ephemerals"), 0);
        assert_int_equal(keepers_count(&sim, "nodes"), 5);
        keepers_write_call(&call, &bob, 2, &(struct zkmodel_op){.op = CAIRN_ZK_OP_CHECK, .path = "/p"}, 1, false);
        keepers_run(&sim, &call, &reply);
        assert_int_equal(reply.error, CAIRN_ZK_EEXPIRED);
        assert_true(reply.zxid >> 32 >= 2);
        keepers_open_call(&call, &bob, 0xbb, 1000, 1); /* an epoch that is past */
        keepers_run(&sim, &call, &reply);
        assert_true(reply.error == 0 && reply.zxid >> 32 >= 2);
        keepers_begin_call(&call, 6, 0, 1); /* one that comes late */
        keepers_run(&sim, &call, &reply);
        assert_int_equal(keepers_count(&sim, "sessions"), 1);
        simnode_done(&sim);
    }
}

/* Sixteen at once take effect in the order in which they were sent. */
static void writes_keep_their_order(void **state)
{
    struct keeper_client ann = {.ids = {0}}, bob = {.ids = {0}};

    (void)state;
    start(11);
    opened(&ann, 0xa1);
    opened(&bob, 0xb7);
    for (int round = 0; round < 20; round++) {
        struct simcall calls[2][16];
        int64_t last[2] = {0};

        for (int i = 0; i < 16; i++)
            for (int c = 0; c < 2; c++) {
                struct zkmodel_op op = with_flags(make(CAIRN_ZK_OP_CREATE, "/s-"), i % 2 ? 2 : 3);

                keepers_write_call(&calls[c][i], c ? &bob : &ann, 1, &op, 1, false);
                simcall_submit(&sim, &calls[c][i], (uint32_t)c);
            }
        for (int i = 0; i < 16; i++)
            for (int c = 0; c < 2; c++) {
                struct keeper_reply reply;

                while (!calls[c][i].replied)
                    simnode_step(&sim);
                keepers_reply(&calls[c][i], &reply);
                assert_int_equal(reply.error, 0);
                assert_true((int64_t)reply.zxid > last[c]);
                last[c] = (int64_t)reply.zxid;
            }
    }
    assert_int_equal(keepers_count(&sim, "nodes"), 4 + 20 * 32);
    simnode_done(&sim);
}

/* --- time --- */

static void pass(uint64_t seconds)
{
    for (uint64_t i = 0; i < seconds; i++) {
        cairn_sim_clock_advance(&sim.clock, UINT64_C(1000000000));
        for (int k = 0; k < 40; k++)
            simnode_step(&sim);
    }
    simnode_settle(&sim);
}

static int timers(void)
{
    struct simcall call;
    struct cairn_reader r;
    int count;

    simcall_init(&call, CAIRN_OP_TIMERS, "Tree", CAIRN_KEEPER_TREE_ID, NULL, NULL);
    call.request.limit = 10;
    simcall_run(&sim, &call);
    r = cairn_reader(cairn_buf_bytes(&call.reply));
    cairn_value_read(&r);
    count = (int)cairn_value_read(&r).count;
    simcall_done(&call);
    return count;
}

static bool there(struct keeper_client *client, const char *path)
{
    struct zkmodel_op op = make(CAIRN_ZK_OP_CHECK, path);
    struct keeper_reply reply;
    struct simcall call;

    keepers_write_call(&call, client, 1, &op, 1, false);
    keepers_run(&sim, &call, &reply);
    return reply.error == 0;
}

static void write_plainly(struct keeper_client *client, struct zkmodel_op op)
{
    struct keeper_reply reply;
    struct simcall call;

    keepers_write_call(&call, client, 1, &op, 1, false);
    keepers_run(&sim, &call, &reply);
    if (reply.error)
        fail_msg("%s: %s", op.path, reply.text);
}

static void what_is_over_is_reaped(void **state)
{
    struct keeper_client ann = {.ids = {0}};
    struct keeper_reply reply;
    struct simcall call;

    (void)state;
    start(13);
    assert_int_equal(timers(), 0);
    opened(&ann, 0xa);
    assert_int_equal(timers(), 1);
    write_plainly(&ann, make(CAIRN_ZK_OP_CREATE_CONTAINER, "/used"));
    write_plainly(&ann, make(CAIRN_ZK_OP_CREATE_CONTAINER, "/new"));
    write_plainly(&ann, make(CAIRN_ZK_OP_CREATE_CONTAINER, "/again"));
    write_plainly(&ann, make(CAIRN_ZK_OP_CREATE, "/used/x"));
    write_plainly(&ann, make(CAIRN_ZK_OP_CREATE, "/again/x"));
    write_plainly(&ann, with_ttl(make(CAIRN_ZK_OP_CREATE_TTL, "/short"), 5000));
    write_plainly(&ann, with_ttl(make(CAIRN_ZK_OP_CREATE_TTL, "/parent"), 5000));
    write_plainly(&ann, with_ttl(make(CAIRN_ZK_OP_CREATE_TTL, "/changed"), 150000));
    write_plainly(&ann, make(CAIRN_ZK_OP_CREATE, "/parent/x"));
    write_plainly(&ann, make(CAIRN_ZK_OP_DELETE, "/used/x"));
    write_plainly(&ann, make(CAIRN_ZK_OP_DELETE, "/again/x"));
    write_plainly(&ann, make(CAIRN_ZK_OP_CREATE, "/again/y"));
    pass(100);
    assert_false(there(&ann, "/used"));
    assert_true(there(&ann, "/new")); /* it never had a child */
    assert_true(there(&ann, "/again/y"));
    assert_false(there(&ann, "/short"));
    assert_true(there(&ann, "/parent/x"));
    assert_true(there(&ann, "/changed"));
    write_plainly(&ann, make(CAIRN_ZK_OP_SET_DATA, "/changed"));
    write_plainly(&ann, make(CAIRN_ZK_OP_DELETE, "/parent/x"));
    simnode_crash(&sim, CAIRN_SIM_KEEP);
    keepers_reopen(&sim);
    pass(100);
    assert_false(there(&ann, "/parent"));
    assert_true(there(&ann, "/changed"));
    pass(100);
    assert_false(there(&ann, "/changed"));
    assert_int_equal(keepers_count(&sim, "reap"), 0);
    for (int i = 0; i < 1200; i++) { /* more than a segment reaps */
        char path[96];

        snprintf(path, sizeof path, "/t%d", i);
        write_plainly(&ann, with_ttl(make(CAIRN_ZK_OP_CREATE_TTL, path), 60000));
    }
    write_plainly(&ann, make(CAIRN_ZK_OP_DELETE, "/t7"));
    assert_int_equal(keepers_count(&sim, "reap"), 1199);
    pass(120);
    assert_int_equal(keepers_count(&sim, "reap"), 0);
    assert_int_equal(keepers_count(&sim, "nodes"), 4 + 3); /* /new, /again, /again/y */
    keepers_close_call(&call, &ann, 1, 1);
    keepers_run(&sim, &call, &reply);
    assert_int_equal(reply.error, 0);
    assert_int_equal(timers(), 0); /* nobody is there: it costs nothing */
    simnode_done(&sim);
}

/* --- quotas --- */

static void want_usage(const char *path, const char *usage)
{
    struct zkmodel_node *node = zkmodel_find(&model, path);

    node->data_bytes = snprintf(node->data, sizeof node->data, "%s", usage);
    keepers_compare(&sim, &model, false); /* without a version, and nobody is told */
}

static struct zkmodel_op with_data(struct zkmodel_op op, const char *data)
{
    op.data_bytes = snprintf(op.data, sizeof op.data, "%s", data);
    return op;
}

static void over_quota(struct keeper_client *client, struct zkmodel_op op)
{
    struct keeper_reply reply;
    struct simcall call;

    keepers_write_call(&call, client, 1, &op, 1, false);
    keepers_run(&sim, &call, &reply);
    if (reply.error != CAIRN_ZK_EQUOTA)
        fail_msg("%s: %d", op.path, reply.error);
}

static void quotas_count_and_refuse(void **state)
{
    static const char limits[] = "/zookeeper/quota/a/zookeeper_limits", stats[] = "/zookeeper/quota/a/zookeeper_stats";
    struct keeper_client ann = {.ids = {0}};

    (void)state;
    start(17);
    opened(&ann, 0xa);
    want(&ann, 0, make(CAIRN_ZK_OP_CREATE, "/a"));
    want(&ann, 0, make(CAIRN_ZK_OP_CREATE, "/a!"));
    want(&ann, 0, make(CAIRN_ZK_OP_CREATE, "/a/b"));
    want(&ann, 0, make(CAIRN_ZK_OP_CREATE, "/a/b/c"));
    want(&ann, 0, make(CAIRN_ZK_OP_CREATE, "/zookeeper/quota/a"));
    want(&ann, 0, with_data(make(CAIRN_ZK_OP_CREATE, limits), "count=3,bytes=-1=;countHardLimit=5"));
    want(&ann, 0, with_data(make(CAIRN_ZK_OP_CREATE, stats), "count=0,bytes=0"));
    want_usage(stats, "count=3,bytes=12"); /* what was there */
    want(&ann, 0, with_data(make(CAIRN_ZK_OP_CREATE, "/a/d"), "123456"));
    want_usage(stats, "count=4,bytes=18");
    want(&ann, 0, make(CAIRN_ZK_OP_CREATE, "/a!/x"));
    want(&ann, 0, with_data(make(CAIRN_ZK_OP_SET_DATA, "/a/b/c"), ""));
    want_usage(stats, "count=4,bytes=14");
    want(&ann, 0, make(CAIRN_ZK_OP_CREATE, "/a/e"));
    over_quota(&ann, make(CAIRN_ZK_OP_CREATE, "/a/b/f"));
    want(&ann, 0, make(CAIRN_ZK_OP_DELETE, "/a/d"));
    want_usage(stats, "count=4,bytes=12");
    want(&ann, 0, with_data(make(CAIRN_ZK_OP_SET_DATA, limits), "count=-1,bytes=5=;byteHardLimit=14"));
    over_quota(&ann, make(CAIRN_ZK_OP_CREATE, "/a/b/f"));
    over_quota(&ann, with_data(make(CAIRN_ZK_OP_SET_DATA, "/a/e"), "1234567"));
    want(&ann, 0, with_data(make(CAIRN_ZK_OP_SET_DATA, "/a/e"), "123456"));
    want_usage(stats, "count=4,bytes=14");
    want(&ann, 0, with_data(make(CAIRN_ZK_OP_SET_DATA, "/a/e"), "12"));
    want(&ann, 0, with_data(make(CAIRN_ZK_OP_SET_DATA, limits), "count=1,bytes=1")); /* soft: nothing is refused */
    want(&ann, 0, make(CAIRN_ZK_OP_CREATE, "/a/f"));
    want_usage(stats, "count=5,bytes=14");
    want(&ann, 0, make(CAIRN_ZK_OP_DELETE, limits));
    want(&ann, 0, make(CAIRN_ZK_OP_CREATE, "/a/g"));
    want_usage(stats, "count=5,bytes=14"); /* there is none any more */
    simnode_done(&sim);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_error_is_zookeepers),       cmocka_unit_test(random_streams_are_the_models),
        cmocka_unit_test(a_close_of_many_is_one_step),    cmocka_unit_test(a_close_is_finished_after_a_crash),
        cmocka_unit_test(no_session_outlives_a_rollback), cmocka_unit_test(writes_keep_their_order),
        cmocka_unit_test(what_is_over_is_reaped),         cmocka_unit_test(quotas_count_and_refuse),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
