/* Catches: an ordered map whose values, in a leaf or apart from it, are lost, old, or another key's, after changes,
 * splits, removals and coming again; ranges that differ from single reads, in either direction; a change of a value
 * that writes a page; anything that stays in the engine when a map is empty; a read that fails and is taken for an
 * answer. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/random.h"
#include "engine/engine.h"
#include "object/ordered.h"

enum { KEYS = 1200, VALUE_MAX = 200, INCARNATION = 9, FIELD = 3 };

struct lab {
    struct cairn_engine *engine;
    struct overlay overlay;
    struct ordered map;
    struct cairn_random random;
    /* The model. */
    bool in[KEYS];
    uint8_t values[KEYS][VALUE_MAX];
    size_t sizes[KEYS];
};

static struct lab *begin(uint64_t seed)
{
    struct lab *lab = calloc(1, sizeof *lab);

    lab->engine = cairn_memory_create();
    cairn_random_init(&lab->random, seed);
    overlay_reset(&lab->overlay, &lab->engine->view);
    ordered_init(&lab->map, &lab->overlay, INCARNATION, FIELD);
    return lab;
}

static void end(struct lab *lab)
{
    overlay_done(&lab->overlay);
    lab->engine->ops->close(lab->engine);
    free(lab);
}

static void commit(struct lab *lab)
{
    assert_int_equal(lab->overlay.code, CAIRN_OK);
    for (uint32_t i = 0; i < lab->overlay.count; i++) {
        const struct cairn_write *w = &lab->overlay.writes[i];
        if (w->deleted)
            lab->engine->ops->remove(lab->engine, w->key, w->hash);
        else
            lab->engine->ops->put(lab->engine, w->key, w->hash, w->value);
    }
    overlay_reset(&lab->overlay, &lab->engine->view);
}

static struct cairn_bytes key_of(int at, uint8_t to[20])
{
    memset(to, 'k', 20);
    to[0] = (uint8_t)(at >> 8);
    to[1] = (uint8_t)at;
    return cairn_bytes(to, 2 + (size_t)at % 19);
}

static struct cairn_bytes value_of(const struct lab *lab, int at)
{
    return cairn_bytes(lab->values[at], lab->sizes[at]);
}

static void put(struct lab *lab, int at)
{
    static const size_t sizes[] = {0, 1, 16, TREE_VALUE_BYTES_MAX, TREE_VALUE_BYTES_MAX + 1, VALUE_MAX};
    uint8_t to[20];

    lab->sizes[at] = sizes[cairn_random_below(&lab->random, sizeof sizes / sizeof *sizes)];
    cairn_random_fill(&lab->random, lab->values[at], lab->sizes[at]);
    assert_int_equal(ordered_put(&lab->map, key_of(at, to), value_of(lab, at)), !lab->in[at]);
    lab->in[at] = true;
}

static void drop(struct lab *lab, int at)
{
    uint8_t to[20];

    assert_int_equal(ordered_remove(&lab->map, key_of(at, to)), lab->in[at]);
    lab->in[at] = false;
}

static void check_get(struct lab *lab, int at)
{
    uint8_t to[20];
    struct cairn_bytes value;

    assert_int_equal(ordered_has(&lab->map, key_of(at, to)), lab->in[at]);
    assert_int_equal(ordered_get(&lab->map, key_of(at, to), &value), lab->in[at]);
    if (lab->in[at])
        assert_true(cairn_bytes_equal(value, value_of(lab, at)));
}

struct walk {
    struct cairn_taker taker; /* first */
    struct lab *lab;
    int at, step;
    uint32_t seen;
};

static bool walk_take(struct cairn_taker *taker, struct cairn_bytes key, struct cairn_bytes value)
{
    struct walk *walk = (struct walk *)taker;
    uint8_t to[20];

    while (walk->at >= 0 && walk->at < KEYS && !walk->lab->in[walk->at])
        walk->at += walk->step;
    assert_in_range(walk->at, 0, KEYS - 1);
    assert_true(cairn_bytes_equal(key, key_of(walk->at, to)));
    if (!taker->keys_only)
        assert_true(cairn_bytes_equal(value, value_of(walk->lab, walk->at)));
    walk->at += walk->step;
    walk->seen++;
    return true;
}

/* From the key of one number on to before that of another. */
static void check_range(struct lab *lab, int low, int high, bool backward, bool keys_only)
{
    struct walk walk = {.taker = {.take = walk_take, .want = UINT32_MAX, .keys_only = keys_only},
                        .lab = lab,
                        .at = backward ? high - 1 : low,
                        .step = backward ? -1 : 1};
    uint8_t low_key[20], high_key[20];
    struct cairn_range range = {.low = key_of(low, low_key), .high = key_of(high, high_key), .backward = backward};
    uint32_t want = 0;

    for (int i = low; i < high; i++)
        want += lab->in[i];
    ordered_read(&lab->map, &range, &walk.taker);
    assert_int_equal(walk.seen, want);
}

static void run_model(uint64_t seed)
{
    struct lab *lab = begin(seed);
    struct cairn_engine_stats stats;

    for (int phase = 0; phase < 5; phase++) {
        uint64_t puts_of_8 = (uint64_t[]){7, 4, 8, 2, 6}[phase];

        for (int i = 0; i < 3000; i++) {
            int at = (int)cairn_random_below(&lab->random, KEYS);

            if (cairn_random_below(&lab->random, 8) < puts_of_8)
                put(lab, at);
            else
                drop(lab, at);
            if (cairn_random_below(&lab->random, 10) == 0)
                commit(lab);
            check_get(lab, (int)cairn_random_below(&lab->random, KEYS));
        }
        for (int i = 0; i < KEYS; i++)
            check_get(lab, i);
        for (int i = 0; i < 40; i++) {
            int low = (int)cairn_random_below(&lab->random, KEYS), high = (int)cairn_random_below(&lab->random, KEYS);
            check_range(lab, low < high ? low : high, low < high ? high : low, i & 1, i % 3 == 0);
        }
    }
    for (uint32_t left = 1; left;) {
        left = ordered_remove_some(&lab->map, 100) == 100;
        commit(lab);
    }
    lab->engine->ops->stats(lab->engine, &stats);
    assert_int_equal(stats.keys, 0);
    end(lab);
}

static void test_model(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 4; seed++)
        run_model(seed);
}

/* Once: what is written is the value, and the marks of the leaf's page above.  Again: the value alone. */
static void test_changes_touch_no_page(void **state)
{
    struct lab *lab = begin(1);
    uint8_t pages[FIELD_KEY_FIXED_MAX];
    struct cairn_bytes prefix = cairn_bytes(pages, key_ordered_pages(pages, INCARNATION, FIELD));

    (void)state;
    for (int i = 0; i < KEYS; i++)
        put(lab, i);
    commit(lab);
    for (int round = 0; round < 2; round++)
        for (int at = 0; at < KEYS; at++) {
            put(lab, at);
            assert_in_range(lab->overlay.count, 1, 2 - round);
            for (uint32_t i = 0; i < lab->overlay.count; i++) {
                struct cairn_bytes key = lab->overlay.writes[i].key;
                if (key.size >= prefix.size && memcmp(key.data, prefix.data, prefix.size) == 0)
                    assert_int_equal(key.data[key.size - 1], 'n');
            }
            commit(lab);
            check_get(lab, at);
        }
    check_range(lab, 0, KEYS - 1, false, false);
    end(lab);
}

/* A root that is a leaf has its mark elsewhere: it must not outlive the map. */
static void test_small_map(void **state)
{
    struct lab *lab = begin(1);
    struct cairn_engine_stats stats;

    (void)state;
    for (int round = 0; round < 20; round++) {
        for (int i = 0; i < 4; i++) {
            put(lab, i);
            commit(lab);
            put(lab, i);
            commit(lab);
            check_range(lab, 0, 10, i & 1, false);
        }
        for (int i = 0; i < 4; i++) {
            drop(lab, i);
            commit(lab);
        }
        lab->engine->ops->stats(lab->engine, &stats);
        assert_int_equal(stats.keys, 0);
    }
    end(lab);
}

/* --- an engine whose n-th read fails --- */

struct failing {
    struct cairn_view view; /* first */
    struct cairn_engine *below;
    int reads_left;
};

static bool failing_get(struct cairn_view *view, struct cairn_bytes key, uint64_t hash, struct cairn_bytes *ret_value)
{
    struct failing *failing = (struct failing *)view;

    if (failing->reads_left-- <= 0) {
        view->failed = true;
        cairn_fail(&view->failure, CAIRN_EIO, "read failed");
        return false;
    }
    return failing->below->view.ops->get(&failing->below->view, key, hash, ret_value);
}

static void failing_prefetch(struct cairn_view *view, uint64_t hash, int step)
{
    (void)view, (void)hash, (void)step;
}

static bool count(struct cairn_taker *taker, struct cairn_bytes key, struct cairn_bytes value)
{
    (void)key, (void)value;
    taker->want--;
    return true;
}

static void test_failing_reads(void **state)
{
    struct lab *lab = begin(1);
    int failures = 0;

    (void)state;
    for (int i = 0; i < 400; i++)
        put(lab, i);
    commit(lab);
    for (int i = 0; i < 400; i += 5)
        put(lab, i);
    commit(lab);
    for (int n = 0;; n++) {
        struct cairn_view_ops ops = *lab->engine->view.ops;
        struct failing failing = {.view = lab->engine->view, .below = lab->engine};
        struct overlay overlay = {0};
        struct ordered map;
        struct cairn_range all = {.no_high = true};
        struct cairn_taker taker = {.take = count, .want = 100000};
        struct cairn_bytes value;
        uint8_t to[20];
        bool failed;

        ops.get = failing_get;
        ops.prefetch = failing_prefetch;
        failing.view.ops = &ops;
        ordered_init(&map, &overlay, INCARNATION, FIELD);
        overlay_reset(&overlay, &failing.view);
        failing.reads_left = n;
        ordered_read(&map, &all, &taker);
        failed = overlay.code != CAIRN_OK;
        assert_true(failed || taker.want == 100000 - 400);
        failures += failed;
        for (int i = 0; i < 100; i++) { /* some values are changed, some keys are new; leaves split */
            overlay_reset(&overlay, &failing.view);
            failing.reads_left = n;
            if (!ordered_get(&map, key_of(i, to), &value))
                assert_int_not_equal(overlay.code, CAIRN_OK);
            ordered_put(&map, key_of(i, to), cairn_str("another"));
            ordered_put(&map, key_of(1000, to), cairn_str("new"));
            if (!ordered_remove(&map, key_of(i, to)))
                assert_int_not_equal(overlay.code, CAIRN_OK);
        }
        overlay_reset(&overlay, &failing.view);
        failing.reads_left = n;
        for (int i = 400; i < 600; i++)
            ordered_put(&map, key_of(i, to), cairn_str("new"));
        assert_true(overlay.code != CAIRN_OK || overlay.count > 10);
        overlay_done(&overlay);
        if (!failed)
            break;
    }
    assert_true(failures > 20);
    end(lab);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_model),
        cmocka_unit_test(test_changes_touch_no_page),
        cmocka_unit_test(test_small_map),
        cmocka_unit_test(test_failing_reads),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
