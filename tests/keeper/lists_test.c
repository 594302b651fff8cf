/* lists_test.c - lists of children that take several turns.
 *
 * It would catch: a list that is of no moment, as it misses a child that was there all the time, or has one twice, or
 * shows a removal and not a creation before it; one whose stat is of another moment; a later read of the session that
 * overtakes it; and a watch that fires for what the list shows. */
#include "keeper_lab.h"

enum { CHILDREN = 2500, CHANGES = 400, LISTS = 6 };

struct list_ask {
    struct lab_ask ask; /* first */
    uint32_t count;
    struct cairn_buf names, stat;
    int order; /* in which it was answered */
};

static int answers;

static void take_list(struct keeper_ask *keeper_ask)
{
    struct list_ask *list = (struct list_ask *)keeper_ask;

    assert_int_equal(keeper_ask->error, 0);
    list->count = keeper_ask->slots[0].names.count;
    cairn_buf_add(&list->names, keeper_ask->slots[0].names.items.data, keeper_ask->slots[0].names.items.size);
    *cairn_buf_reserve(&list->names, 1) = 0; /* the last name ends for atoi, too */
    cairn_buf_add(&list->stat, keeper_ask->slots[0].stat.data, KEEPER_STAT_BYTES);
    list->order = answers++;
    lab_answer(keeper_ask);
}

/* The writer creates c-K and removes o-K by turns, K from 0 on; there were o-0 to o-2499 before. */
static void check_list(const struct list_ask *list)
{
    struct cairn_bytes stat = cairn_buf_bytes(&list->stat);
    uint32_t children = (uint32_t)lab_be(stat, 56, 4), cversion = (uint32_t)lab_be(stat, 36, 4);
    uint32_t creates = (cversion + children) / 2, removed = creates - children, created = creates - CHILDREN;
    struct cairn_reader r = cairn_reader(cairn_buf_bytes(&list->names));
    static bool seen[2][CHILDREN];
    struct cairn_bytes before = {0};

    assert_int_equal(list->count, children);
    memset(seen, 0, sizeof seen);
    for (uint32_t i = 0; i < list->count; i++) {
        struct cairn_bytes name = cairn_read_bytes(&r, __builtin_bswap32(cairn_read_u32(&r)));
        int number = atoi((const char *)name.data + 2);

        assert_true(i == 0 || cairn_bytes_compare(before, name) < 0);
        seen[name.data[0] == 'o'][number] = true;
        before = name;
    }
    assert_int_equal(cairn_reader_left(&r), 0);
    for (uint32_t i = 0; i < CHILDREN; i++) {
        assert_int_equal(seen[0][i], i < created);
        assert_int_equal(seen[1][i], i >= removed);
    }
}

static void create(struct lab *lab, struct client *client)
{
    static struct lab_ask asks[CHILDREN];

    for (int i = 0; i < CHILDREN; i++) {
        char path[32];

        snprintf(path, sizeof path, "/p/o-%04d", i);
        lab_ask_init(&asks[i], client, KEEPER_CREATE, path, NULL);
        lab_send(&asks[i]);
        if (i % 50 == 49)
            lab_wait(client, &asks[i]);
    }
    simnode_settle(&lab->sim);
}

static void test_lists(void **state)
{
    static struct list_ask lists[LISTS];
    static struct lab_ask changes[CHANGES], behind[LISTS];
    struct lab lab;
    struct client a, b;

    (void)state;
    lab_init(&lab, 1, NULL);
    assert_int_equal(client_connect(&a, &lab, 0, NULL), 0);
    assert_int_equal(client_connect(&b, &lab, 1, NULL), 0);
    lab_do(&a, KEEPER_CREATE, "/p", NULL, 0);
    create(&lab, &a);
    for (int i = 0; i < CHANGES; i++) {
        char path[32];

        snprintf(path, sizeof path, "/p/%c-%04d", i % 2 ? 'o' : 'c', i / 2);
        lab_ask_init(&changes[i], &a, i % 2 ? KEEPER_DELETE : KEEPER_CREATE, path, NULL);
        lab_send(&changes[i]);
        if (i % 60 == 30 && i / 60 < LISTS) {
            struct list_ask *list = &lists[i / 60];

            lab_ask_init(&list->ask, &b, KEEPER_GET_CHILDREN2, "/p", NULL);
            list->ask.ask.answer = take_list;
            lab_send(&list->ask);
            lab_ask_init(&behind[i / 60], &b, KEEPER_EXISTS, "/p", NULL);
            lab_send(&behind[i / 60]);
            assert_false(behind[i / 60].answered);
        }
        for (int k = 0; k < 12; k++)
            lab_step(&lab);
    }
    for (int i = 0; i < LISTS; i++) {
        int version, cversion, children;
        struct cairn_bytes stat;

        lab_wait(&b, &behind[i]);
        assert_true(lists[i].ask.answered);
        check_list(&lists[i]);
        /* What was asked behind it is not older. */
        assert_int_equal(sscanf(behind[i].text, "v%d.%d/%d", &version, &cversion, &children), 3);
        stat = cairn_buf_bytes(&lists[i].stat);
        assert_true(cversion >= (int)lab_be(stat, 36, 4));
        cairn_buf_done(&lists[i].names);
        cairn_buf_done(&lists[i].stat);
    }
    for (int i = 0; i < CHANGES; i++)
        lab_wait(&a, &changes[i]);
    /* Armed at the moment of the list, and not before. */
    lab_do(&b, KEEPER_GET_CHILDREN, "/p", NULL, true);
    assert_string_equal(client_told(&b), "");
    lab_do(&a, KEEPER_CREATE, "/p/x", NULL, 0);
    assert_string_equal(client_told(&b), "children(/p)");
    lab_done(&lab);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_lists)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
