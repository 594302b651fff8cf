/* removed_test.c - a namespace goes that clients of ZooKeeper's protocol use.
 *
 * It would catch: a client that is not told that its session is over, or that waits for an answer for ever; a node, a
 * session or a watch that is there in a namespace that is made under the name again; keys that stay; a namespace that
 * clients keep from going. */
#include "keeper_lab.h"

#include "object/layout.h"
#include "object/space.h"

static const char *ask_space(struct lab *lab, enum cairn_op op)
{
    static char text[512];
    struct simcall call;

    simcall_init(&call, op, NULL, NULL, NULL, NULL);
    call.request.name = cairn_str("acme");
    simcall_run(&lab->sim, &call);
    snprintf(text, sizeof text, "%s", simvalue_text(cairn_buf_bytes(&call.reply)));
    simcall_done(&call);
    return text;
}

static void create(struct lab *lab)
{
    for (int i = 0; i < 100 && ask_space(lab, CAIRN_OP_SPACE_CREATE)[0] != '['; i++)
        lab_pass(lab, 100, 20);
    lab->space = cairn_node_space(lab->sim.node, cairn_str("acme"));
    assert_non_null(lab->space);
}

static void count_header(void *context, struct cairn_bytes key, struct cairn_bytes value)
{
    (void)value;
    *(uint64_t *)context += key.data[0] == KEY_HEADER || key.data[0] == KEY_FIELD || key.data[0] == KEY_PURGE ||
                            key.data[0] == KEY_MODULE || key.data[0] == KEY_TYPE;
}

static uint64_t keys(const struct lab *lab)
{
    uint64_t count = 0;

    for (uint32_t i = 0; i <= lab->sim.node->shard_count; i++) {
        struct cairn_view *view = cairn_shard_view(cairn_store_shard(lab->sim.store, i));

        view->ops->visit(view, count_header, &count);
    }
    return count;
}

static void all_of_it_goes(void **state)
{
    (void)state;
    for (uint32_t workers = 1; workers <= 3; workers++) {
        static struct lab_ask many[40];
        struct client a, b, late;
        struct lab lab;

        lab_init(&lab, workers, &(struct simnode_options){.workers = workers});
        lab.beats = true;
        create(&lab);
        assert_int_equal(client_connect(&a, &lab, 0, NULL), 0);
        assert_int_equal(client_connect(&b, &lab, workers - 1, NULL), 0);
        assert_string_equal(lab_do(&a, KEEPER_CREATE, "/a", "data", 0), "/a v0.0/0");
        assert_string_equal(lab_do(&a, KEEPER_CREATE, "/a/e", "data", 1), "/a/e v0.0/0");
        lab_ask_init(&many[0], &b, KEEPER_GET_DATA, "/a", NULL)->watch = true;
        lab_send(&many[0]);
        lab_wait(&b, &many[0]);
        client_told(&b);
        for (int i = 1; i < 40; i++) { /* some of them are under way as it goes */
            lab_ask_init(&many[i], i % 2 ? &a : &b, i % 4 ? KEEPER_GET_CHILDREN : KEEPER_CREATE, i % 4 ? "/a" : "/a/n-",
                         NULL)
                ->flags = i % 4 ? 0 : 2;
            lab_send(&many[i]);
        }
        assert_non_null(strstr(ask_space(&lab, CAIRN_OP_SPACE_REMOVE), "rm acme --drop"));
        assert_int_equal(ask_space(&lab, CAIRN_OP_SPACE_REMOVE_ALL)[0], '[');
        for (int i = 0; i < 200 && strncmp(ask_space(&lab, CAIRN_OP_SPACES), "!not_found", 10) != 0; i++)
            lab_pass(&lab, 100, 20);
        assert_non_null(strstr(ask_space(&lab, CAIRN_OP_SPACES), "!not_found"));
        assert_true(a.is_over && b.is_over);
        assert_int_equal(a.why, KEEPER_END_EXPIRED);
        assert_int_equal(b.why, KEEPER_END_EXPIRED);
        for (int i = 0; i < 40; i++)
            assert_true(many[i].answered);
        assert_int_equal(keys(&lab), 0);
        assert_int_not_equal(client_connect(&late, &lab, 0, NULL), 0);
        create(&lab);
        assert_int_equal(client_connect(&late, &lab, 0, &a), -112);
        assert_int_equal(client_connect(&late, &lab, 0, NULL), 0);
        assert_string_equal(lab_do(&late, KEEPER_EXISTS, "/a", NULL, 0), "!-101");
        assert_string_equal(lab_do(&late, KEEPER_CREATE, "/a", "data", 0), "/a v0.0/0");
        lab_done(&lab);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(all_of_it_goes)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
