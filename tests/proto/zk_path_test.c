/* Would catch: a path that ZooKeeper refuses and cairn takes, or the other way round; a path that is taken apart
 * wrongly; a sequential node with another name than ZooKeeper's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "proto/zk_path.h"

static const struct {
    const char *path;
    bool plain, sequential; /* is it one */
} paths[] = {
    {"/", true, true},
    {"/a", true, true},
    {"/a/b-c.d_e f", true, true},
    {"/a/", false, true},
    {"", false, false},
    {"a", false, false},
    {"//", false, false},
    {"//a", false, false},
    {"/a//b", false, false},
    {"/a//", false, false},
    {"/.", false, true},
    {"/..", false, true},
    {"/...", true, true},
    {"/./a", false, false},
    {"/../a", false, false},
    {"/a/.", false, true},
    {"/a/../b", false, false},
    {"/.a", true, true},
    {"/a.", true, true},
    {"/..a/b..", true, true},
    {"/zookeeper/quota", true, true},
    {"/a\x01", false, false},
    {"/a\x1f", false, false},
    {"/a\x20", true, true},
    {"/a\x7e", true, true},
    {"/a\x7f", false, false},
    {"/\xc2\x80", false, false},
    {"/\xc2\x9f", false, false},
    {"/\xc2\xa0", true, true},
    {"/\xed\x9f\xbf", true, true},       /* U+D7FF */
    {"/\xed\xa0\x80", false, false},     /* U+D800, a surrogate */
    {"/\xef\xa3\xbf", false, false},     /* U+F8FF, the last for private use */
    {"/\xef\xa4\x80", true, true},       /* U+F900 */
    {"/\xef\xbf\xaf", true, true},       /* U+FFEF */
    {"/\xef\xbf\xb0", false, false},     /* U+FFF0 */
    {"/\xef\xbf\xbd", false, false},     /* U+FFFD, what Java makes of what is not UTF-8 */
    {"/\xf0\x9f\x98\x80", false, false}, /* above U+FFFF: two surrogates in Java */
    {"/\xf4\x90\x80\x80", false, false}, /* above U+10FFFF */
    {"/\xc3", false, false},             /* cut */
    {"/\xe4\xb8", false, false},
    {"/\xc3/a", false, false},
    {"/\x80", false, false},
    {"/\xc0\xaf", false, false}, /* overlong '/' */
    {"/\xe0\x80\xaf", false, false},
    {"/\xff", false, false},
    {"/s\xc3\xa4le/\xe4\xb8\x96", true, true},
};

static void test_paths(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
        /* A copy of its own size, so that a read beyond it is seen. */
        size_t size = strlen(paths[i].path);
        struct cairn_bytes path = {memcpy(malloc(size ? size : 1), paths[i].path, size), size};
        const char *plain = cairn_zk_path_fault(path, false), *sequential = cairn_zk_path_fault(path, true);

        if ((plain == NULL) != paths[i].plain)
            fail_msg("'%s': %s", paths[i].path, plain ? plain : "taken");
        if ((sequential == NULL) != paths[i].sequential)
            fail_msg("'%s', sequential: %s", paths[i].path, sequential ? sequential : "taken");
        free((void *)path.data);
    }
    assert_non_null(cairn_zk_path_fault(cairn_bytes("/a\0b", 4), false));
    assert_non_null(cairn_zk_path_fault(cairn_bytes(NULL, 0), true));
}

static void check(struct cairn_bytes got, const char *want)
{
    if (!cairn_bytes_equal(got, cairn_str(want)))
        fail_msg("got '%.*s', want '%s'", (int)got.size, (const char *)got.data, want);
}

static void test_parts(void **state)
{
    (void)state;
    check(cairn_zk_path_parent(cairn_str("/a")), "/");
    check(cairn_zk_path_parent(cairn_str("/a/b")), "/a");
    check(cairn_zk_path_parent(cairn_str("/a/")), "/a"); /* of a sequential node without a name of its own */
    check(cairn_zk_path_parent(cairn_str("/")), "/");
    check(cairn_zk_path_name(cairn_str("/a")), "a");
    check(cairn_zk_path_name(cairn_str("/a/b")), "b");
    check(cairn_zk_path_name(cairn_str("/a/")), "");
    check(cairn_zk_path_name(cairn_str("/")), "");
    assert_true(cairn_zk_path_within(cairn_str("/a/b"), cairn_str("/")));
    assert_true(cairn_zk_path_within(cairn_str("/a/b"), cairn_str("/a")));
    assert_true(cairn_zk_path_within(cairn_str("/a"), cairn_str("/a")));
    assert_false(cairn_zk_path_within(cairn_str("/ab"), cairn_str("/a")));
    assert_false(cairn_zk_path_within(cairn_str("/"), cairn_str("/a")));
}

static void test_sequence(void **state)
{
    static const struct {
        int32_t creates;
        const char *want;
    } names[] = {{0, "0000000000"},         {7, "0000000007"},          {1234567890, "1234567890"},
                 {INT32_MAX, "2147483647"}, {INT32_MIN, "-2147483648"}, {-1, "-000000001"}};
    struct cairn_buf text = {0};

    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        text.size = 0;
        cairn_zk_sequence_add(&text, names[i].creates);
        check(cairn_buf_bytes(&text), names[i].want);
    }
    cairn_buf_done(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_paths),
        cmocka_unit_test(test_parts),
        cmocka_unit_test(test_sequence),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
