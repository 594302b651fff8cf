/* Would catch: a ZooKeeper's snapshot or log of which a node, a stat, an ACL or a session comes out otherwise than the
 * ZooKeeper itself tells it; one that is read otherwise in other portions; damage and cut ends that pass for whole; a
 * transaction that makes no sense and is applied, or of a multi that failed.
 *
 * The files in tests/proto/zookeeper are those of a ZooKeeper 3.8.0 (Debian) that was killed, and tree.txt is what it
 * had told a client before: path, ACL (but for a digest, which it masks), data and stat of each node. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/zk_database.h"
#include "proto/zk_internal.h"

#define FOLDER "tests/proto/zookeeper/"

static struct cairn_buf read_whole(const char *name)
{
    struct cairn_buf to = {0};
    char path[128], portion[4096];
    FILE *file;
    size_t n;

    snprintf(path, sizeof path, FOLDER "%s", name);
    file = fopen(path, "rb");
    if (!file)
        fail_msg("%s is not there: run tests in the checkout", path);
    while ((n = fread(portion, 1, sizeof portion, file)))
        cairn_buf_add(&to, portion, n);
    fclose(file);
    return to;
}

/* Feeds it; how it ends.  With a database that takes all items.  *ret_items of them. */
static enum cairn_zk_file_step feed(struct cairn_zk_database *database, enum cairn_zk_file_kind kind,
                                    struct cairn_bytes bytes, size_t portion, size_t *ret_items, uint64_t *ret_end,
                                    struct cairn_err *err)
{
    struct cairn_buf window = {0};
    enum cairn_zk_file_step step = CAIRN_ZK_FILE_MORE;
    struct cairn_zk_file file;
    size_t at = 0;

    *ret_items = 0;
    cairn_zk_file_begin(&file, kind);
    while (step == CAIRN_ZK_FILE_ITEM || (step == CAIRN_ZK_FILE_MORE && at < bytes.size)) {
        struct cairn_zk_file_item item;
        uint8_t *exact;
        size_t used;

        if (step == CAIRN_ZK_FILE_MORE) {
            size_t more = bytes.size - at < portion ? bytes.size - at : portion;

            cairn_buf_add(&window, bytes.data + at, more);
            at += more;
        }
        exact = malloc(window.size ? window.size : 1); /* so that nothing beyond it is read unseen */
        if (window.size)
            memcpy(exact, window.data, window.size);
        step = cairn_zk_file_next(&file, cairn_bytes(exact, window.size), &used, &item, err);
        assert_true(used <= window.size);
        if (step == CAIRN_ZK_FILE_ITEM) {
            ++*ret_items;
            if (database && (item.kind == CAIRN_ZK_ITEM_TXN ? cairn_zk_database_apply
                                                            : cairn_zk_database_add)(database, &item, err) != CAIRN_OK)
                step = CAIRN_ZK_FILE_BAD;
        }
        free(exact);
        cairn_buf_consume(&window, used);
    }
    *ret_end = file.position;
    cairn_buf_done(&window);
    return step;
}

static void must_feed(struct cairn_zk_database *database, const char *name, size_t portion)
{
    enum cairn_zk_file_kind kind = name[0] == 's' ? CAIRN_ZK_SNAPSHOT : CAIRN_ZK_LOG;
    struct cairn_buf bytes = read_whole(name);
    struct cairn_err err = {0};
    uint64_t zxid, end;
    size_t items;

    if (feed(database, kind, cairn_buf_bytes(&bytes), portion, &items, &end, &err) != CAIRN_ZK_FILE_END)
        fail_msg("%s: %s", name, err.text);
    assert_true(cairn_zk_file_name(name, kind, &zxid));
    if (kind == CAIRN_ZK_SNAPSHOT)
        cairn_zk_database_set_zxid(database, zxid);
    cairn_buf_done(&bytes);
}

/* --- what the server told --- */

static void add_hex(struct cairn_buf *to, struct cairn_bytes bytes)
{
    if (!bytes.data)
        cairn_buf_str(to, "-");
    for (size_t i = 0; i < bytes.size; i++)
        cairn_buf_printf(to, "%02x", bytes.data[i]);
}

static bool add_node(void *context, const struct cairn_zk_node *node)
{
    struct cairn_buf *to = context, stat = {0};

    cairn_zk_long_add(&stat, node->czxid);
    cairn_zk_long_add(&stat, node->mzxid);
    cairn_zk_long_add(&stat, node->ctime);
    cairn_zk_long_add(&stat, node->mtime);
    cairn_zk_int_add(&stat, node->version);
    cairn_zk_int_add(&stat, 2 * node->creates - (int32_t)node->children);
    cairn_zk_int_add(&stat, node->aversion);
    /* Clients are told 0 of containers, and of nodes with a time to live. */
    cairn_zk_long_add(&stat, node->owner == INT64_MIN || (uint64_t)node->owner >> 56 == 0xff ? 0 : node->owner);
    cairn_zk_int_add(&stat, (int32_t)node->data.size);
    cairn_zk_int_add(&stat, (int32_t)node->children);
    cairn_zk_long_add(&stat, node->pzxid);
    cairn_buf_add(to, node->path.data, node->path.size);
    cairn_buf_str(to, "\t");
    add_hex(to, node->acls);
    cairn_buf_str(to, "\t");
    add_hex(to, node->data);
    cairn_buf_str(to, "\t");
    add_hex(to, cairn_buf_bytes(&stat));
    cairn_buf_str(to, "\n");
    cairn_buf_done(&stat);
    return true;
}

static void count_session(void *context, const struct cairn_zk_session *session)
{
    uint64_t *counts = context;

    assert_int_equal(session->timeout_ms, 30000);
    counts[0]++;
    counts[1] += session->ephemerals;
}

static void expect_tree(struct cairn_zk_database *database)
{
    struct cairn_buf want = read_whole("tree.txt"), got = {0};
    uint64_t sessions[2] = {0};

    cairn_zk_database_nodes(database, add_node, &got);
    cairn_buf_u8(&got, 0);
    cairn_buf_u8(&want, 0);
    for (const char *g = (const char *)got.data, *w = (const char *)want.data; *g || *w;
         g += strcspn(g, "\n") + 1, w += strcspn(w, "\n") + 1)
        if (strcspn(g, "\n") != strcspn(w, "\n") || strncmp(g, w, strcspn(w, "\n")) != 0)
            fail_msg("%.*s\n%.*s is what it told", (int)strcspn(g, "\n"), g, (int)strcspn(w, "\n"), w);
    cairn_zk_database_sessions(database, count_session, sessions);
    assert_int_equal(sessions[0], 3);
    assert_int_equal(sessions[1], 2);
    cairn_buf_done(&want);
    cairn_buf_done(&got);
}

static void as_the_server_told_it(void **state)
{
    static const char *const ways[][5] = {
        {"snapshot.53", "log.42", "log.55"},
        {"snapshot.14", "log.16", "log.28", "log.42", "log.55"},
    };
    static const size_t portions[] = {1, 7, 100, 1 << 20};

    (void)state;
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++)
        for (size_t k = 0; k < sizeof portions / sizeof *portions; k++) {
            struct cairn_zk_database *database = cairn_zk_database_create(1 << 20);

            for (int f = 0; f < 5 && ways[i][f]; f++)
                must_feed(database, ways[i][f], portions[k]);
            expect_tree(database);
            assert_int_equal(cairn_zk_database_zxid(database), 0x59);
            cairn_zk_database_destroy(database);
        }
}

/* --- damage --- */

static void damage_shows(void **state)
{
    static const char *const names[] = {"snapshot.53", "log.55"};

    (void)state;
    for (int n = 0; n < 2; n++) {
        enum cairn_zk_file_kind kind = n ? CAIRN_ZK_LOG : CAIRN_ZK_SNAPSHOT;
        struct cairn_buf bytes = read_whole(names[n]);
        size_t whole, items;
        struct cairn_err err;
        uint64_t end, at;

        assert_int_equal(feed(NULL, kind, cairn_buf_bytes(&bytes), 4096, &whole, &end, &err), CAIRN_ZK_FILE_END);
        if (kind == CAIRN_ZK_SNAPSHOT)
            end += 13; /* the checksum and what is behind it */
        for (size_t i = 0; i < end; i++) {
            struct cairn_zk_database *database = cairn_zk_database_create(1 << 20);
            enum cairn_zk_file_step step;

            if (i == 8 && kind == CAIRN_ZK_LOG) /* a number that is nobody's concern, and in no sum */
                i = 16;
            bytes.data[i] ^= 1 + i % 255;
            step = feed(database, kind, cairn_buf_bytes(&bytes), 64, &items, &at, &err);
            if (step == CAIRN_ZK_FILE_END && (kind == CAIRN_ZK_SNAPSHOT || items >= whole))
                fail_msg("%s: byte %zu", names[n], i);
            bytes.data[i] ^= 1 + i % 255;
            cairn_zk_database_destroy(database);
        }
        for (size_t cut = 0; cut < end; cut++) {
            enum cairn_zk_file_step step = feed(NULL, kind, cairn_bytes(bytes.data, cut), 64, &items, &at, &err);

            if (step != CAIRN_ZK_FILE_MORE && step != CAIRN_ZK_FILE_END)
                fail_msg("%s, cut at %zu: %s", names[n], cut, err.text);
            if (step == CAIRN_ZK_FILE_END && kind == CAIRN_ZK_SNAPSHOT)
                fail_msg("%s, cut at %zu, passes for whole", names[n], cut);
        }
        cairn_buf_done(&bytes);
    }
}

/* --- transactions --- */

static void add_text(struct cairn_buf *to, const char *text)
{
    cairn_zk_bytes_add(to, text ? cairn_str(text) : (struct cairn_bytes){0});
}

static void add_create(struct cairn_buf *to, const char *path)
{
    add_text(to, path);
    add_text(to, "data");
    cairn_zk_int_add(to, 0); /* no ACL */
    cairn_buf_u8(to, 0);
    cairn_zk_int_add(to, 1);
}

static void apply(struct cairn_zk_database *database, int32_t type, struct cairn_buf *body, const char *label,
                  enum cairn_code want)
{
    struct cairn_zk_file_item item = {.kind = CAIRN_ZK_ITEM_TXN,
                                      .type = type,
                                      .zxid = (int64_t)cairn_zk_database_zxid(database) + 1,
                                      .body = cairn_buf_bytes(body)};
    struct cairn_err err = {0};

    if (cairn_zk_database_apply(database, &item, &err) != want)
        fail_msg("%s: %s", label, err.text);
    body->size = 0;
}

static void what_transactions_do(void **state)
{
    struct cairn_zk_database *database = cairn_zk_database_create(4096);
    struct cairn_zk_file_item root = {.kind = CAIRN_ZK_ITEM_NODE, .acl = -1};
    struct cairn_buf body = {0}, part = {0};
    struct cairn_err err;

    (void)state;
    assert_int_equal(cairn_zk_database_add(database, &root, &err), CAIRN_OK);
    assert_int_equal(cairn_zk_database_add(database, &root, &err), CAIRN_ECORRUPT);
    add_create(&body, "/a");
    apply(database, CAIRN_ZK_OP_CREATE, &body, "create", CAIRN_OK);
    add_create(&body, "/b/c");
    apply(database, CAIRN_ZK_OP_CREATE, &body, "a parent that is gone", CAIRN_OK);
    assert_int_equal(cairn_zk_database_node_count(database), 2);
    for (int failed = 0; failed < 2; failed++) {
        cairn_zk_int_add(&body, 2);
        cairn_zk_int_add(&body, CAIRN_ZK_OP_CREATE);
        part.size = 0;
        add_create(&part, failed ? "/c" : "/b");
        cairn_zk_bytes_add(&body, cairn_buf_bytes(&part));
        cairn_zk_int_add(&body, failed ? CAIRN_ZK_OP_ERROR : CAIRN_ZK_OP_CHECK);
        part.size = 0;
        cairn_zk_int_add(&part, -2);
        cairn_zk_bytes_add(&body, cairn_buf_bytes(&part));
        apply(database, CAIRN_ZK_OP_MULTI, &body, "a multi", CAIRN_OK);
        assert_int_equal(cairn_zk_database_node_count(database), 3);
    }
    cairn_zk_int_add(&body, 1);
    cairn_zk_int_add(&body, CAIRN_ZK_OP_MULTI);
    cairn_zk_bytes_add(&body, cairn_str(""));
    apply(database, CAIRN_ZK_OP_MULTI, &body, "a multi in a multi", CAIRN_EVERSION);
    apply(database, 99, &body, "an unknown type", CAIRN_EVERSION);
    apply(database, CAIRN_ZK_OP_CREATE, &body, "nothing", CAIRN_ECORRUPT);
    add_create(&body, "no path");
    apply(database, CAIRN_ZK_OP_CREATE, &body, "no path", CAIRN_ECORRUPT);
    add_text(&body, "/");
    apply(database, CAIRN_ZK_OP_DELETE, &body, "the root", CAIRN_ECORRUPT);
    cairn_zk_int_add(&body, INT32_MAX);
    apply(database, CAIRN_ZK_OP_MULTI, &body, "a multi of many", CAIRN_ECORRUPT);
    cairn_buf_add(&body, "\x00\x00\x00\x02/d\xff\xff\xff\xff\x7f\xff\xff\xff", 14);
    apply(database, CAIRN_ZK_OP_CREATE, &body, "an ACL of many", CAIRN_ECORRUPT);
    add_text(&body, "/a");
    cairn_zk_bytes_add(&body, cairn_bytes(body.data, 0));
    apply(database, CAIRN_ZK_OP_SET_DATA, &body, "without a version", CAIRN_ECORRUPT);
    part.size = 0;
    for (int i = 0; i < 5000; i++)
        cairn_buf_u8(&part, 'x');
    add_text(&body, "/a");
    cairn_zk_bytes_add(&body, cairn_buf_bytes(&part));
    cairn_zk_int_add(&body, 1);
    apply(database, CAIRN_ZK_OP_SET_DATA, &body, "more than the bound", CAIRN_ELIMIT);
    add_text(&body, "/b");
    apply(database, CAIRN_ZK_TXN_DELETE_CONTAINER, &body, "a container goes", CAIRN_OK);
    assert_int_equal(cairn_zk_database_node_count(database), 2);
    cairn_buf_done(&body);
    cairn_buf_done(&part);
    cairn_zk_database_destroy(database);
}

static void names(void **state)
{
    uint64_t zxid;

    (void)state;
    assert_true(cairn_zk_file_name("snapshot.1f", CAIRN_ZK_SNAPSHOT, &zxid) && zxid == 0x1f);
    assert_true(cairn_zk_file_name("log.ffffffffffffffff", CAIRN_ZK_LOG, &zxid) && zxid == UINT64_MAX);
    assert_false(cairn_zk_file_name("snapshot.1f.gz", CAIRN_ZK_SNAPSHOT, &zxid));
    assert_false(cairn_zk_file_name("snapshot.", CAIRN_ZK_SNAPSHOT, &zxid));
    assert_false(cairn_zk_file_name("log.1", CAIRN_ZK_SNAPSHOT, &zxid));
    assert_false(cairn_zk_file_name("log.11111111111111111", CAIRN_ZK_LOG, &zxid));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(as_the_server_told_it),
        cmocka_unit_test(damage_shows),
        cmocka_unit_test(what_transactions_do),
        cmocka_unit_test(names),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
