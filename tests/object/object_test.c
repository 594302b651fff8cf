/* Would catch: a method whose effects or results are not what it was told, fields that do not keep
 * their order, calls whose results are lost, errors that leave something behind, objects that do not
 * survive a restart, keys that run twice, listings that miss an object, deploys that change too much. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>

#include "support/simnode.h"

static void open_node(struct simnode *sim, uint64_t seed)
{
    struct cairn_err err;

    simnode_init(sim, seed, NULL);
    if (simnode_open(sim, &err) != CAIRN_OK)
        fail_msg("%s", err.text);
}

static void retwis_works(void **state)
{
    struct simnode sim;

    (void)state;
    open_node(&sim, 1);
    simnode_expect(&sim, "!unknown_type...", "User", "alice", "create", "Alice", NULL);
    simnode_deploy(&sim, "retwis");
    simnode_expect(&sim, "!unknown_method...", "User", "alice", "fly", NULL);
    simnode_expect(&sim, "!not_public...", "User", "alice", "deliver", "x", NULL);
    simnode_expect(&sim, "[]", "User", "bob", "timeline", "10", NULL);
    simnode_expect(&sim, "nil", "User", "bob", "follow", "alice", NULL);
    simnode_expect(&sim, "nil", "User", "carol", "follow", "alice", NULL);
    simnode_expect(&sim, "2", "User", "alice", "post", "hello", NULL);
    simnode_done(&sim);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(retwis_works),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
