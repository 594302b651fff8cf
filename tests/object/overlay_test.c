/* Would catch: an overlay that reads what it should not, loses a write when its index grows, counts its bytes wrongly,
 * or is not what it was before once later writes are taken back; participants of a commit that are not asked in order,
 * or of which one that fails leaves anything behind. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "base/hash.h"
#include "object/commit.h"

static struct cairn_engine *engine;
static struct overlay overlay;

static int set_up(void **state)
{
    (void)state;
    engine = cairn_memory_create();
    overlay = (struct overlay){0};
    overlay_reset(&overlay, &engine->view);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    overlay_done(&overlay);
    engine->ops->close(engine);
    return 0;
}

static struct cairn_bytes numbered(char *to, int number)
{
    return cairn_bytes(to, (size_t)snprintf(to, 16, "key-%d", number));
}

static void expect(const char *key, const char *want)
{
    struct cairn_bytes value;
    bool found = overlay_get(&overlay, cairn_str(key), &value);

    assert_int_equal(found, want != NULL);
    if (want)
        assert_true(cairn_bytes_equal(value, cairn_str(want)));
}

static void stored(const char *key, const char *value)
{
    engine->ops->put(engine, cairn_str(key), cairn_hash(cairn_str(key)), cairn_str(value));
}

static void a_read_sees_the_overlay_before_the_engine(void **state)
{
    (void)state;
    stored("a", "old");
    stored("b", "old");
    expect("a", "old");
    expect("c", NULL);
    overlay_put(&overlay, cairn_str("a"), cairn_str("new"));
    overlay_remove(&overlay, cairn_str("b"));
    overlay_put(&overlay, cairn_str("c"), cairn_str(""));
    expect("a", "new");
    expect("b", NULL);
    expect("c", "");
    overlay_put(&overlay, cairn_str("b"), cairn_str("longer than before"));
    expect("b", "longer than before");
    assert_int_equal(overlay.count, 3);
    overlay_reset(&overlay, &engine->view);
    expect("a", "old");
    expect("c", NULL);
}

/* What a record of it takes at least: each key and value as it stands, and 16 for each key. */
static void its_bytes_are_those_of_what_stands(void **state)
{
    (void)state;
    overlay_put(&overlay, cairn_str("key"), cairn_str("12345"));
    assert_int_equal(overlay.bytes, 3 + 16 + 5);
    overlay_put(&overlay, cairn_str("key"), cairn_str("1"));
    assert_int_equal(overlay.bytes, 3 + 16 + 1);
    overlay_remove(&overlay, cairn_str("key"));
    assert_int_equal(overlay.bytes, 3 + 16);
    overlay_put(&overlay, cairn_str("key"), cairn_str("123456789"));
    assert_int_equal(overlay.bytes, 3 + 16 + 9);
}

/* From every size to every smaller one, across the index's beginnings and growths. */
static void what_is_taken_back_was_never_there(void **state)
{
    static const int sizes[] = {0, 1, 7, 8, 9, 10, 31, 32, 33, 64, 65, 200};
    enum { SIZES = sizeof sizes / sizeof *sizes };
    struct cairn_bytes value;
    char key[16];

    (void)state;
    for (int from = 0; from < SIZES; from++)
        for (int to = 0; to <= from; to++) {
            size_t bytes = 0;

            overlay_reset(&overlay, &engine->view);
            for (int i = 0; i < sizes[from]; i++) {
                if (i == sizes[to])
                    bytes = overlay.bytes;
                overlay_put(&overlay, numbered(key, i), numbered(key, i));
            }
            if (sizes[to] == sizes[from])
                bytes = overlay.bytes;
            overlay_truncate(&overlay, (uint32_t)sizes[to]);
            assert_int_equal(overlay.count, sizes[to]);
            assert_int_equal(overlay.bytes, bytes);
            for (int i = 0; i < sizes[from]; i++)
                assert_int_equal(overlay_get(&overlay, numbered(key, i), &value), i < sizes[to]);
            for (int i = sizes[to]; i < sizes[from] + 20; i++) /* and it goes on */
                overlay_put(&overlay, numbered(key, i), cairn_str("again"));
            for (int i = 0; i < sizes[from] + 20; i++)
                assert_true(overlay_get(&overlay, numbered(key, i), &value));
        }
}

/* --- participants: three that note what they are asked, of which one may fail ------------------- */

static char trace[64];
static int failing; /* its number, or 0; negative: its read of the overlay fails */

static void note(const char *what)
{
    strncat(trace, what, sizeof trace - strlen(trace) - 1);
}

static enum cairn_code prepare(struct commit *commit, int number, struct cairn_err *err)
{
    char key[16];

    overlay_put(commit->overlay, numbered(key, 100 + number), cairn_str("prepared"));
    if (failing == -number)
        commit->overlay->code = cairn_fail(&commit->overlay->err, CAIRN_EIO, "unreadable");
    return failing == number ? cairn_fail(err, CAIRN_ELIMIT, "no") : CAIRN_OK;
}

#define PARTICIPANT(number)                                                                                     \
    static enum cairn_code prepare_##number(struct commit *commit, struct cairn_err *err)                       \
    {                                                                                                           \
        note("p" #number " ");                                                                                  \
        return prepare(commit, number, err);                                                                    \
    }                                                                                                           \
    static void committed_##number(struct commit *commit)                                                       \
    {                                                                                                           \
        (void)commit;                                                                                           \
        note("c" #number " ");                                                                                  \
    }                                                                                                           \
    static void undo_##number(struct commit *commit)                                                            \
    {                                                                                                           \
        (void)commit;                                                                                           \
        note("u" #number " ");                                                                                  \
    }                                                                                                           \
    static const struct participant participant_##number = {1u << number, prepare_##number, committed_##number, \
                                                            undo_##number}

PARTICIPANT(1);
PARTICIPANT(2);
PARTICIPANT(3);

static const struct participant bare = {1u << 2, prepare_2, NULL, NULL};

static void participants_are_asked_in_order(void **state)
{
    static const struct participant *const list[] = {&participant_1, &participant_2, &participant_3};
    static const struct participant *const with_bare[] = {&participant_1, &bare, &participant_3};
    static const struct {
        int failing;
        enum cairn_code want;
        const char *trace;
    } cases[] = {
        {0, CAIRN_OK, "p1 p2 p3 c1 c2 c3 "},     {1, CAIRN_ELIMIT, "p1 u1 "},     {2, CAIRN_ELIMIT, "p1 p2 u2 u1 "},
        {3, CAIRN_ELIMIT, "p1 p2 p3 u3 u2 u1 "}, {-2, CAIRN_EIO, "p1 p2 u2 u1 "},
    };
    struct commit commit = {.overlay = &overlay};
    struct cairn_err err;

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        enum cairn_code code;

        overlay_reset(&overlay, &engine->view);
        overlay_put(&overlay, cairn_str("own"), cairn_str("write"));
        trace[0] = 0;
        failing = cases[i].failing;
        code = participants_prepare(list, 3, &commit, &err);
        assert_int_equal(code, cases[i].want);
        assert_int_equal(commit.own_writes, 1);
        if (code == CAIRN_OK)
            participants_committed(list, 3, &commit);
        else
            assert_int_equal(err.code, cases[i].want);
        assert_string_equal(trace, cases[i].trace);
        assert_int_equal(overlay.count, code == CAIRN_OK ? 4 : 1);
        expect("own", "write");
        expect("key-101", code == CAIRN_OK ? "prepared" : NULL);
    }
    /* All had prepared, and then there was no room. */
    overlay_reset(&overlay, &engine->view);
    trace[0] = 0;
    failing = 0;
    assert_int_equal(participants_prepare(with_bare, 3, &commit, &err), CAIRN_OK);
    participants_undo(with_bare, 3, &commit);
    assert_string_equal(trace, "p1 p2 p3 u3 u1 ");
    assert_int_equal(overlay.count, 0);
    assert_int_equal(participants_prepare(with_bare, 3, &commit, &err), CAIRN_OK); /* and again */
    participants_committed(with_bare, 3, &commit);
    assert_string_equal(trace, "p1 p2 p3 u3 u1 p1 p2 p3 c1 c3 ");
    /* Those of which it has nothing are passed over, also on the way back. */
    commit.spares = 1u << 1 | 1u << 2;
    trace[0] = 0;
    overlay_reset(&overlay, &engine->view);
    assert_int_equal(participants_prepare(list, 3, &commit, &err), CAIRN_OK);
    participants_undo(list, 3, &commit);
    assert_int_equal(participants_prepare(list, 3, &commit, &err), CAIRN_OK);
    participants_committed(list, 3, &commit);
    assert_string_equal(trace, "p3 u3 p3 c3 ");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_read_sees_the_overlay_before_the_engine, set_up, tear_down),
        cmocka_unit_test_setup_teardown(its_bytes_are_those_of_what_stands, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_taken_back_was_never_there, set_up, tear_down),
        cmocka_unit_test_setup_teardown(participants_are_asked_in_order, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
