/* Catches: a tree that loses, doubles or disorders keys when pages split, empty or go; a cursor that skips or repeats a
 * key, or stands elsewhere than asked, in either direction; a key's place that is counted wrong; pages that stay when a
 * tree is empty; a change that is not in the overlay, or that logs more than it should; a read that fails and is taken
 * for an answer. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/random.h"
#include "engine/engine.h"
#include "object/tree.h"

struct lab {
    struct cairn_engine *engine;
    struct overlay overlay;
    struct tree tree;
};

static void begin(struct lab *lab)
{
    *lab = (struct lab){.engine = cairn_memory_create()};
    overlay_reset(&lab->overlay, &lab->engine->view);
    lab->tree = (struct tree){.overlay = &lab->overlay, .prefix = cairn_str("t")};
}

/* As a segment's commit does it. */
static void commit(struct lab *lab)
{
    for (uint32_t i = 0; i < lab->overlay.count; i++) {
        const struct cairn_write *w = &lab->overlay.writes[i];
        if (w->deleted)
            lab->engine->ops->remove(lab->engine, w->key, w->hash);
        else
            lab->engine->ops->put(lab->engine, w->key, w->hash, w->value);
    }
    overlay_reset(&lab->overlay, &lab->engine->view);
}

static uint64_t keys_in_engine(struct lab *lab)
{
    struct cairn_engine_stats stats;

    lab->engine->ops->stats(lab->engine, &stats);
    return stats.keys;
}

static void end(struct lab *lab)
{
    overlay_done(&lab->overlay);
    lab->engine->ops->close(lab->engine);
}

static bool none_apart(const struct tree *tree, struct cairn_bytes key, struct cairn_bytes *ret_value)
{
    (void)tree, (void)key, (void)ret_value;
    return false;
}

static bool add(const struct tree *tree, struct cairn_bytes key)
{
    bool apart;

    return tree->is_map ? tree_put(tree, key, cairn_str(""), &apart) : tree_add(tree, key);
}

static bool take(const struct tree *tree, struct cairn_bytes key)
{
    bool apart;

    return tree->is_map ? tree_take(tree, key, &apart) : tree_remove(tree, key);
}

/* --- a model: which of the keys 0 .. KEYS - 1 are in it --- */

enum { KEYS = 1500 };

struct key {
    uint8_t bytes[TREE_KEY_BYTES_MAX];
    size_t size;
};

/* In the order of their bytes; of many lengths, one of them empty, some long enough to make a page of four entries. */
static struct key *make_keys(struct cairn_random *random, bool equal_sizes)
{
    struct key *keys = calloc(KEYS, sizeof *keys);

    for (int i = 0; i < KEYS; i++) {
        struct key *k = &keys[i];
        if (i == 0 && !equal_sizes)
            continue;
        k->bytes[0] = (uint8_t)(i >> 8);
        k->bytes[1] = (uint8_t)i;
        k->size = 2;
        if (equal_sizes)
            k->size = 16;
        else if (cairn_random_below(random, 4) == 0)
            k->size += cairn_random_below(random, 40);
        else if (cairn_random_below(random, 40) == 0)
            k->size += cairn_random_below(random, TREE_KEY_BYTES_MAX - 1);
        for (size_t n = 2; n < k->size; n++)
            k->bytes[n] = (uint8_t)cairn_random_u64(random);
    }
    return keys;
}

static struct cairn_bytes bytes_of(const struct key *key)
{
    return cairn_bytes(key->bytes, key->size);
}

static void check_walks(struct lab *lab, const struct key *keys, const bool *in)
{
    struct tree_cursor cursor;
    bool there = tree_seek(&cursor, &lab->tree, TREE_AT_OR_AFTER, cairn_bytes(NULL, 0));

    for (int i = 0; i < KEYS; i++) {
        if (!in[i])
            continue;
        assert_true(there);
        assert_true(cairn_bytes_equal(tree_key(&cursor), bytes_of(&keys[i])));
        there = tree_next(&cursor);
    }
    assert_false(there);
    there = tree_seek(&cursor, &lab->tree, TREE_LAST, cairn_bytes(NULL, 0));
    for (int i = KEYS - 1; i >= 0; i--) {
        if (!in[i])
            continue;
        assert_true(there);
        assert_true(cairn_bytes_equal(tree_key(&cursor), bytes_of(&keys[i])));
        there = tree_previous(&cursor);
    }
    assert_false(there);
    assert_false(tree_next(&cursor));
    assert_int_equal(lab->overlay.code, CAIRN_OK);
}

static void check_seeks(struct lab *lab, struct cairn_random *random, const struct key *keys, const bool *in)
{
    for (int n = 0; n < 40; n++) {
        int at = (int)cairn_random_below(random, KEYS);

        assert_int_equal(tree_has(&lab->tree, bytes_of(&keys[at])), in[at]);
        for (enum tree_seek how = TREE_AT_OR_AFTER; how <= TREE_BEFORE; how++) {
            bool forward = how == TREE_AT_OR_AFTER || how == TREE_AFTER;
            int want = at, step = forward ? 1 : -1;
            struct tree_cursor cursor;
            bool there = tree_seek(&cursor, &lab->tree, how, bytes_of(&keys[at]));

            if (how == TREE_AFTER || how == TREE_BEFORE)
                want += step;
            for (int round = 0; round < 3; round++) { /* it goes on from there, and turns round */
                while (want >= 0 && want < KEYS && !in[want])
                    want += step;
                assert_int_equal(there, want >= 0 && want < KEYS);
                if (!there)
                    break;
                assert_true(cairn_bytes_equal(tree_key(&cursor), bytes_of(&keys[want])));
                if (round == 1) {
                    step = -step;
                    forward = !forward;
                }
                there = forward ? tree_next(&cursor) : tree_previous(&cursor);
                want += step;
            }
        }
    }
}

/* Ranks of keys that are in it or not, and keys by their place. */
static void check_places(struct lab *lab, struct cairn_random *random, const struct key *keys, const bool *in)
{
    uint64_t below[KEYS + 1] = {0};
    struct tree_cursor cursor;

    for (int i = 0; i < KEYS; i++)
        below[i + 1] = below[i] + in[i];
    for (int n = 0; n < 200; n++) {
        int at = (int)cairn_random_below(random, KEYS);

        assert_int_equal(tree_rank(&lab->tree, bytes_of(&keys[at]), false), below[at]);
        assert_int_equal(tree_rank(&lab->tree, bytes_of(&keys[at]), true), below[at + 1]);
        if (!in[at])
            continue;
        assert_true(tree_seek_at(&cursor, &lab->tree, below[at]));
        assert_true(cairn_bytes_equal(tree_key(&cursor), bytes_of(&keys[at])));
        assert_int_equal(tree_next(&cursor), below[at + 1] < below[KEYS]);
    }
    assert_false(tree_seek_at(&cursor, &lab->tree, below[KEYS]));
    assert_false(tree_seek_at(&cursor, &lab->tree, below[KEYS] + UINT32_MAX));
    assert_false(tree_seek_at(&cursor, &lab->tree, UINT64_MAX));
    assert_false(tree_next(&cursor) || tree_previous(&cursor));
    assert_int_equal(lab->overlay.code, CAIRN_OK);
}

static void run_model(uint64_t seed, bool equal_sizes, bool is_map)
{
    struct cairn_random random;
    struct key *keys;
    bool in[KEYS] = {false};
    struct lab lab;

    cairn_random_init(&random, seed);
    keys = make_keys(&random, equal_sizes);
    begin(&lab);
    lab.tree.is_map = is_map;
    lab.tree.take_apart = none_apart;
    for (int phase = 0; phase < 6; phase++) {
        /* It grows, shrinks, grows again, and becomes empty. */
        uint64_t adds_of_8 = (uint64_t[]){7, 1, 6, 4, 2, 0}[phase];
        for (int i = 0; i < 2500; i++) {
            /* In runs, as ids that come in order, and anywhere. */
            int at = (int)(phase % 2 ? (uint64_t)i % KEYS : cairn_random_below(&random, KEYS));
            bool adds = cairn_random_below(&random, 8) < adds_of_8;

            if (adds)
                assert_int_equal(add(&lab.tree, bytes_of(&keys[at])), !in[at]);
            else
                assert_int_equal(take(&lab.tree, bytes_of(&keys[at])), in[at]);
            in[at] = adds;
            if (cairn_random_below(&random, 20) == 0)
                commit(&lab);
        }
        check_walks(&lab, keys, in);
        check_seeks(&lab, &random, keys, in);
        if (is_map)
            check_places(&lab, &random, keys, in);
    }
    for (int i = 0; i < KEYS; i++)
        assert_int_equal(take(&lab.tree, bytes_of(&keys[i])), in[i]);
    assert_true(tree_empty(&lab.tree));
    commit(&lab);
    assert_int_equal(keys_in_engine(&lab), 0);
    end(&lab);
    free(keys);
}

static void test_model(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 6; seed++)
        for (int is_map = 0; is_map < 2; is_map++)
            run_model(seed, seed % 2, is_map);
}

/* Two trees in one engine, one prefix the other's neighbour. */
static void test_prefixes(void **state)
{
    struct lab lab;
    struct tree other;
    struct tree_cursor cursor;

    (void)state;
    begin(&lab);
    other = (struct tree){.overlay = &lab.overlay, .prefix = cairn_str("u")};
    assert_true(tree_add(&lab.tree, cairn_str("a")));
    assert_true(tree_add(&other, cairn_str("b")));
    assert_false(tree_has(&lab.tree, cairn_str("b")));
    assert_true(tree_seek(&cursor, &other, TREE_LAST, cairn_bytes(NULL, 0)));
    assert_true(cairn_bytes_equal(tree_key(&cursor), cairn_str("b")));
    assert_false(tree_previous(&cursor));
    assert_true(tree_remove(&lab.tree, cairn_str("a")));
    assert_true(tree_empty(&lab.tree));
    assert_false(tree_empty(&other));
    end(&lab);
}

/* Folders of the format before this one have inner pages without offsets of their entries, and are read. */
static void test_pages_without_offsets(void **state)
{
    struct tree_cursor cursor;
    struct lab lab;
    uint64_t seen = 0, stripped = 0;

    (void)state;
    begin(&lab);
    for (uint32_t i = 0; i < 3000; i++)
        assert_true(tree_add(&lab.tree, cairn_bytes((uint8_t[]){(uint8_t)(i >> 8), (uint8_t)i}, 2)));
    commit(&lab);
    for (uint64_t number = 0; number < 100; number++) {
        uint8_t key[16] = {'t'}, copy[4096] = {0};
        struct cairn_bytes k = cairn_bytes(key, 1 + cairn_put_varint(key + 1, number)), page;
        struct cairn_reader r;
        uint64_t count;
        size_t head;

        if (!overlay_get(&lab.overlay, k, &page) || !(page.data[0] & 0x80))
            continue;
        r = cairn_reader(page);
        copy[0] = cairn_read_u8(&r) & 0x7f;
        count = cairn_read_varint(&r);
        head = 1 + cairn_put_varint(copy + 1, count);
        cairn_read_bytes(&r, 2 * (size_t)count);
        memcpy(copy + head, r.at, cairn_reader_left(&r));
        overlay_put(&lab.overlay, k, cairn_bytes(copy, head + cairn_reader_left(&r)));
        stripped++;
    }
    commit(&lab);
    assert_true(stripped > 0);
    for (bool there = tree_seek(&cursor, &lab.tree, TREE_AT_OR_AFTER, cairn_bytes(NULL, 0)); there;
         there = tree_next(&cursor), seen++)
        assert_true(
            cairn_bytes_equal(tree_key(&cursor), cairn_bytes((uint8_t[]){(uint8_t)(seen >> 8), (uint8_t)seen}, 2)));
    assert_int_equal(seen, 3000);
    for (uint32_t i = 0; i < 3001; i++)
        assert_int_equal(tree_has(&lab.tree, cairn_bytes((uint8_t[]){(uint8_t)(i >> 8), (uint8_t)i}, 2)), i < 3000);
    end(&lab);
}

/* What one addition logs: a leaf, seldom more, and a few small counts. */
static uint64_t written_bytes(uint64_t keys, bool is_map)
{
    struct cairn_random random;
    struct lab lab;
    uint64_t bytes = 0;

    cairn_random_init(&random, 3);
    begin(&lab);
    lab.tree.is_map = is_map;
    lab.tree.take_apart = none_apart;
    for (uint64_t i = 0; i < keys; i++) {
        uint8_t key[32];
        for (size_t n = 0; n < sizeof key; n += 8)
            cairn_put_u64(key + n, cairn_random_u64(&random));
        assert_true(add(&lab.tree, cairn_bytes(key, sizeof key)));
        bytes += lab.overlay.bytes;
        commit(&lab);
    }
    end(&lab);
    return bytes / keys;
}

static void test_written_bytes(void **state)
{
    (void)state;
    assert_in_range(written_bytes(20000, false), 300, 700);
    assert_in_range(written_bytes(1000000, true), 400, 1000);
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

static void test_failing_reads(void **state)
{
    struct lab lab;
    int failures = 0;

    (void)state;
    begin(&lab);
    lab.tree.is_map = true;
    lab.tree.take_apart = none_apart;
    for (int i = 0; i < 3000; i++) {
        uint8_t key[4] = {(uint8_t)i, (uint8_t)(i >> 8)};

        assert_true(add(&lab.tree, cairn_bytes(key, sizeof key)));
    }
    commit(&lab);
    for (int n = 0;; n++) {
        struct cairn_view_ops ops = *lab.engine->view.ops;
        struct failing failing = {.view = lab.engine->view, .below = lab.engine, .reads_left = n};
        struct overlay overlay = {0};
        struct tree tree = {.overlay = &overlay, .prefix = cairn_str("t"), .is_map = true, .take_apart = none_apart};
        struct tree_cursor cursor;
        uint64_t seen = 0;
        bool failed;

        ops.get = failing_get;
        failing.view.ops = &ops;
        overlay_reset(&overlay, &failing.view);
        for (bool there = tree_seek(&cursor, &tree, TREE_AT_OR_AFTER, cairn_bytes(NULL, 0)); there;
             there = tree_next(&cursor))
            seen++;
        failed = overlay.code != CAIRN_OK;
        assert_true(failed || seen == 3000);
        failures += failed;
        overlay_reset(&overlay, &failing.view);
        failing.reads_left = n;
        take(&tree, cairn_bytes((uint8_t[]){9, 0, 0, 0}, 4));
        add(&tree, cairn_str("another"));
        for (int i = 0; i < 40; i++) /* pages split */
            add(&tree, cairn_bytes((uint8_t[]){9, 0, (uint8_t)i, 1, 1}, 5));
        for (int i = 0; i < 3000; i++) /* and go */
            take(&tree, cairn_bytes((uint8_t[]){(uint8_t)i, (uint8_t)(i >> 8), 0, 0}, 4));
        assert_true(overlay.code != CAIRN_OK || overlay.count > 0);
        failing.reads_left = n;
        overlay_reset(&overlay, &failing.view);
        seen = tree_rank(&tree, cairn_bytes((uint8_t[]){255, 255}, 2), true);
        assert_true(overlay.code != CAIRN_OK || seen == 3000);
        failing.reads_left = n;
        overlay_reset(&overlay, &failing.view);
        assert_true(tree_seek_at(&cursor, &tree, 2999) || overlay.code != CAIRN_OK);
        overlay_done(&overlay);
        if (!failed)
            break;
    }
    assert_true(failures > 5);
    end(&lab);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_model),
        cmocka_unit_test(test_prefixes),
        cmocka_unit_test(test_pages_without_offsets),
        cmocka_unit_test(test_written_bytes),
        cmocka_unit_test(test_failing_reads),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
