/* Would catch: an object, entry, key or module that an export or an import loses, changes or puts into the wrong order
 * or shard, between engines and numbers of shards; an export of a running node that is of no single moment, or that a
 * checkpoint meanwhile pulls the files from under; a fault of the disk, or a power cut, after which an import's folder
 * is opened although it is not whole; an export that hides a read that has failed; items that make no sense and are
 * taken. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/hash.h"
#include "history/history.h"
#include "log/wal.h"
#include "object/node.h"
#include "support/simnode.h"
#include "transfer/export.h"
#include "transfer/import.h"

enum { USERS = 12, SEGMENT_BYTES = 64 << 10 };

/* --- a node with some state --- */

static void call(struct simnode *sim, const char *id, const char *method, const char *key, const char *arg)
{
    struct simcall c;

    simcall_init(&c, CAIRN_OP_INVOKE, "User", id, method, arg, NULL);
    if (key)
        simcall_key(&c, key);
    simcall_run(sim, &c);
    if (c.reply.data[0] == CAIRN_VALUE_ERROR)
        fail_msg("%s %s: %s", id, method, simvalue_text(cairn_buf_bytes(&c.reply)));
    simcall_done(&c);
}

static void populate(struct simnode *sim, int posts)
{
    char id[16], other[16], key[16], text[32];

    for (int i = 0; i < USERS; i++)
        for (int k = 1; k <= 3; k++) {
            snprintf(id, sizeof id, "u%d", i);
            snprintf(other, sizeof other, "u%d", (i + 5 * k) % USERS);
            if ((i + 5 * k) % USERS != i)
                call(sim, id, "follow", NULL, other);
        }
    for (int i = 0; i < posts; i++) {
        snprintf(id, sizeof id, "u%d", i % USERS);
        snprintf(key, sizeof key, "k%d", i);
        snprintf(text, sizeof text, "post %d", i);
        call(sim, id, "post", i % 2 ? key : NULL, text);
    }
}

static void open_node(struct simnode *sim, uint64_t seed, const char *engine, uint32_t shards)
{
    struct simnode_options options = {.engine = engine, .shards = shards, .workers = 2};
    struct cairn_err err;

    simnode_init(sim, seed, &options);
    if (simnode_open(sim, &err) != CAIRN_OK)
        fail_msg("opening: %s", err.text);
}

/* --- exporting and importing --- */

static enum cairn_code export_moment(struct cairn_moment *moment, struct cairn_disk *disk, struct cairn_buf *to,
                                     struct cairn_err *err)
{
    struct cairn_export_options options = {.moment = moment, .disk = disk, .program = "test"};
    struct cairn_export *export = cairn_export_open(&options);
    enum cairn_code code = CAIRN_OK;
    bool over = false;

    while (code == CAIRN_OK && !over)
        code = cairn_export_next(export, to, &over, err);
    cairn_export_close(export);
    return code;
}

static struct cairn_store_options store_options(struct cairn_disk *disk, struct cairn_sim_clock *clock,
                                                struct cairn_wal_opener *wal)
{
    cairn_wal_opener_init(wal, &(struct cairn_wal_options){.segment_bytes = SEGMENT_BYTES, .sync = CAIRN_SYNC_NONE});
    return (struct cairn_store_options){.disk = disk,
                                        .clock = &clock->clock,
                                        .tasks = cairn_tasks_create(0),
                                        .log = &wal->opener,
                                        .tap = cairn_history_tap};
}

/* Of a folder that no node is on; it stays as it is. */
static enum cairn_code export_disk(struct cairn_disk *disk, struct cairn_buf *to, struct cairn_err *err)
{
    struct cairn_disk *scratch = cairn_sim_disk_create(1), *over = cairn_disk_over(disk, scratch);
    struct cairn_sim_clock clock;
    struct cairn_wal_opener wal;
    struct cairn_store_options options;
    struct cairn_store *store = NULL;
    enum cairn_code code;

    cairn_sim_clock_init(&clock, 1);
    options = store_options(over, &clock, &wal);
    code = cairn_store_open(&options, &store, err);
    if (code == CAIRN_OK) {
        struct cairn_moment *moment = cairn_moment_still(store);

        code = export_moment(moment, over, to, err);
        cairn_moment_close(moment);
    }
    cairn_store_abandon(store);
    cairn_tasks_destroy(options.tasks);
    cairn_disk_close(over);
    cairn_disk_close(scratch);
    cairn_sim_disk_crash(disk, CAIRN_SIM_KEEP); /* the lock is free again */
    return code;
}

static enum cairn_code import_disk(struct cairn_disk *disk, const char *engine, uint32_t shards,
                                   struct cairn_bytes stream, struct cairn_err *err)
{
    struct cairn_sim_clock clock;
    struct cairn_wal_opener wal;
    struct cairn_store_options options;
    struct cairn_import *import;
    enum cairn_code code;

    cairn_sim_clock_init(&clock, 1);
    options = store_options(disk, &clock, &wal);
    options.engine = engine;
    options.shards = shards;
    code = cairn_import_open(&options, &import, err);
    if (code == CAIRN_OK) {
        for (size_t at = 0; code == CAIRN_OK && at < stream.size; at += 10000)
            code = cairn_import_add(
                import, cairn_bytes(stream.data + at, stream.size - at < 10000 ? stream.size - at : 10000), err);
        if (code == CAIRN_OK)
            code = cairn_import_finish(import, NULL, err);
        else
            cairn_import_abandon(import);
    }
    cairn_tasks_destroy(options.tasks);
    return code;
}

static void must(enum cairn_code code, const struct cairn_err *err)
{
    if (code != CAIRN_OK)
        fail_msg("%s", err->text);
}

/* --- comparing streams: objects with their items, and keys, in any order; what the stream is about has no say --- */

static int by_bytes(const void *a, const void *b)
{
    return cairn_bytes_compare(cairn_buf_bytes(a), cairn_buf_bytes(b));
}

static void canonical(const struct cairn_buf *stream, struct cairn_buf *to)
{
    struct stream_reader reader = {0};
    struct stream_item item;
    struct cairn_buf *groups = NULL;
    enum stream_state state = STREAM_HAS;
    struct cairn_err err;
    size_t count = 0;

    stream_reader_add(&reader, cairn_buf_bytes(stream));
    while (state == STREAM_HAS) {
        must(stream_next(&reader, &state, &item, &err), &err);
        if (state != STREAM_HAS || item.kind == STREAM_ABOUT)
            continue;
        if (item.kind < STREAM_VALUE || item.kind > STREAM_PAIR) {
            groups = cairn_realloc(groups, (count + 1) * sizeof *groups);
            groups[count++] = (struct cairn_buf){0};
        }
        cairn_buf_u8(&groups[count - 1], (uint8_t)item.kind);
        cairn_buf_varint(&groups[count - 1], item.body.size);
        cairn_buf_add(&groups[count - 1], item.body.data, item.body.size);
    }
    assert_int_equal(state, STREAM_OVER);
    stream_reader_done(&reader);
    qsort(groups, count, sizeof *groups, by_bytes);
    to->size = 0;
    for (size_t i = 0; i < count; i++) {
        cairn_buf_add(to, groups[i].data, groups[i].size);
        cairn_buf_done(&groups[i]);
    }
    free(groups);
}

static void expect_same(const struct cairn_buf *a, const struct cairn_buf *b)
{
    struct cairn_buf x = {0}, y = {0};

    canonical(a, &x);
    canonical(b, &y);
    assert_true(cairn_bytes_equal(cairn_buf_bytes(&x), cairn_buf_bytes(&y)));
    cairn_buf_done(&x);
    cairn_buf_done(&y);
}

/* A small node's stream, and the disk that it is of. */
static void make(struct cairn_buf *stream, uint64_t seed, const char *engine, uint32_t shards, int posts,
                 struct simnode *sim)
{
    struct cairn_err err;

    open_node(sim, seed, engine, shards);
    simnode_deploy(sim, "retwis");
    populate(sim, posts);
    simnode_settle(sim);
    must(simnode_close(sim, &err), &err);
    must(export_disk(sim->disk, stream, &err), &err);
}

/* --- tests --- */

static void goes_between_engines_and_shards(void **state)
{
    static const struct {
        const char *engine;
        uint32_t shards;
    } kinds[] = {{"memory", 1}, {"memory", 5}, {"hybridlog", 3}, {"lsm", 7}, {"appendlog", 2}};
    enum { KINDS = sizeof kinds / sizeof kinds[0] };

    (void)state;
    for (size_t from = 0; from < KINDS; from++) {
        struct cairn_buf stream = {0};
        struct simnode sim;
        struct cairn_err err;

        make(&stream, 10 + from, kinds[from].engine, kinds[from].shards, 40, &sim);
        for (size_t to = 0; to < KINDS; to++) {
            struct cairn_disk *disk = cairn_sim_disk_create(3);
            struct cairn_buf again = {0};

            must(import_disk(disk, kinds[to].engine, kinds[to].shards, cairn_buf_bytes(&stream), &err), &err);
            cairn_sim_disk_crash(disk, CAIRN_SIM_DROP); /* all of it is durable */
            must(export_disk(disk, &again, &err), &err);
            expect_same(&stream, &again);
            assert_int_equal(import_disk(disk, kinds[to].engine, kinds[to].shards, cairn_buf_bytes(&stream), &err),
                             CAIRN_ECONFLICT);
            cairn_buf_done(&again);
            cairn_disk_close(disk);
        }
        simnode_done(&sim);
        cairn_buf_done(&stream);
    }
}

/* What the node does with it, too: reads, keys that were used, new objects beside those that came. */
static void a_node_goes_on_with_it(void **state)
{
    struct cairn_buf stream = {0}, again = {0};
    struct simnode sim, other;
    struct simcall c;
    struct cairn_err err;
    struct simnode_options options = {.engine = "lsm", .shards = 6, .workers = 2};

    (void)state;
    make(&stream, 21, "memory", 3, 30, &sim);
    simnode_init(&other, 22, &options);
    must(import_disk(other.disk, "lsm", 6, cairn_buf_bytes(&stream), &err), &err);
    cairn_sim_disk_crash(other.disk, CAIRN_SIM_TEAR);
    must(simnode_open(&other, &err), &err);
    simcall_init(&c, CAIRN_OP_INVOKE, "User", "u3", "post", "post 3", NULL);
    simcall_key(&c, "k3");
    simcall_run(&other, &c); /* it was done there: nothing changes here */
    assert_int_not_equal(c.reply.data[0], CAIRN_VALUE_ERROR);
    simcall_done(&c);
    simcall_init(&c, CAIRN_OP_INVOKE, "User", "u3", "post", "another post", NULL);
    simcall_key(&c, "k3");
    simcall_run(&other, &c);
    assert_non_null(strstr(simvalue_text(cairn_buf_bytes(&c.reply)), "key_reused"));
    simcall_done(&c);
    simnode_settle(&other);
    must(simnode_close(&other, &err), &err);
    must(export_disk(other.disk, &again, &err), &err);
    expect_same(&stream, &again);
    must(simnode_open(&other, &err), &err);
    call(&other, "u3", "post", "new", "more");
    call(&other, "somebody", "follow", NULL, "u3");
    simnode_settle(&other);
    must(simnode_close(&other, &err), &err);
    simnode_done(&other);
    simnode_done(&sim);
    cairn_buf_done(&stream);
    cairn_buf_done(&again);
}

/* In the compartment of the default namespace; what it answers. */
static const char *inside(struct simnode *sim, const char *method, const char *arg)
{
    static char text[64];
    struct simcall c;

    simcall_init(&c, CAIRN_OP_INVOKE, "Probe", "p", method, arg, NULL);
    c.request.space = spaces_compartment(&sim->node->spaces, sim->node->spaces.first);
    simcall_run(sim, &c);
    snprintf(text, sizeof text, "%s", simvalue_text(cairn_buf_bytes(&c.reply)));
    simcall_done(&c);
    return text;
}

/* With what a compartment has; and the new folder's state is known to be another than that which it comes from. */
static void a_compartment_comes_along(void **state)
{
    struct cairn_buf stream = {0}, wasm = {0};
    struct simnode_options options = {.shards = 3};
    struct simnode sim, other;
    struct cairn_err err;
    struct simcall c;

    (void)state;
    open_node(&sim, 31, "memory", 2);
    simnode_wasm("probe", &wasm);
    simcall_init(&c, CAIRN_OP_DEPLOY, NULL, NULL, NULL, NULL);
    c.request.body = cairn_buf_bytes(&wasm);
    c.request.space = spaces_compartment(&sim.node->spaces, sim.node->spaces.first);
    simcall_run(&sim, &c);
    simcall_done(&c);
    assert_string_equal(inside(&sim, "add", "41"), "41");
    assert_int_equal(cairn_store_restores(sim.store), 0);
    must(simnode_close(&sim, &err), &err);
    must(export_disk(sim.disk, &stream, &err), &err);
    simnode_init(&other, 32, &options);
    must(import_disk(other.disk, NULL, 3, cairn_buf_bytes(&stream), &err), &err);
    cairn_sim_disk_crash(other.disk, CAIRN_SIM_DROP);
    must(simnode_open(&other, &err), &err);
    assert_string_equal(inside(&other, "add", "1"), "42");
    assert_int_not_equal(cairn_store_restores(other.store), 0);
    simnode_done(&other);
    simnode_done(&sim);
    cairn_buf_done(&wasm);
    cairn_buf_done(&stream);
}

/* The answer to a keyed request for that many bytes. */
static const char *large(struct simnode *sim, const char *key, const char *bytes)
{
    struct simcall c;
    const char *text;

    simcall_init(&c, CAIRN_OP_INVOKE, "Step", "a", "count_large", bytes, NULL);
    simcall_key(&c, key);
    simcall_run(sim, &c);
    text = simvalue_text(cairn_buf_bytes(&c.reply));
    simcall_done(&c);
    return text;
}

/* Outcomes that are kept apart from their keys, and one that is gone. */
static void large_outcomes_come_along(void **state)
{
    struct simnode_options options = {.engine = "hybridlog", .shards = 1, .workers = 1};
    struct cairn_buf stream = {0};
    struct simnode from, to;
    struct cairn_err err;

    (void)state;
    options.limits.outcome_bytes = 10000;
    simnode_init(&from, 23, &options);
    must(simnode_open(&from, &err), &err);
    simnode_deploy(&from, "step");
    assert_memory_equal(large(&from, "k1", "300"), "\"zzz", 4);
    assert_memory_equal(large(&from, "k2", "5000"), "\"zzz", 4);
    assert_memory_equal(large(&from, "k3", "4990"), "\"zzz", 4); /* k1 goes for it */
    simnode_settle(&from);
    must(simnode_close(&from, &err), &err);
    must(export_disk(from.disk, &stream, &err), &err);
    options.engine = "memory";
    simnode_init(&to, 24, &options);
    must(import_disk(to.disk, "memory", 1, cairn_buf_bytes(&stream), &err), &err);
    cairn_sim_disk_crash(to.disk, CAIRN_SIM_DROP);
    must(simnode_open(&to, &err), &err);
    assert_memory_equal(large(&to, "k1", "300"), "!outcome_gone: ", 15);
    assert_memory_equal(large(&to, "k2", "5000"), "\"zzz", 4);
    assert_memory_equal(large(&to, "k3", "4990"), "\"zzz", 4);
    assert_memory_equal(large(&to, "k4", "300"), "\"zzz", 4);
    assert_memory_equal(large(&to, "k2", "5000"), "!outcome_gone: ", 15); /* counted there, too: the oldest went */
    assert_memory_equal(large(&to, "k3", "4990"), "\"zzz", 4);
    simnode_expect(&to, "4", "Step", "a", "count", NULL);
    simnode_done(&to);
    simnode_done(&from);
    cairn_buf_done(&stream);
}

/* The moment is begun, then much is written and checkpointed, and only then it is read. */
static void a_running_node_is_of_one_moment(void **state)
{
    (void)state;
    for (uint64_t seed = 30; seed < 34; seed++) {
        struct simnode_options options = {
            .engine = "memory", .shards = 4, .workers = 2, .log_segment_bytes = 16 << 10, .log_bytes_max = 32 << 10};
        struct cairn_buf before = {0}, seen = {0};
        struct cairn_store_stats stats;
        struct cairn_moment *moment = NULL, *second = NULL;
        struct simnode sim;
        struct cairn_err err;

        simnode_init(&sim, seed, &options);
        must(simnode_open(&sim, &err), &err);
        simnode_deploy(&sim, "retwis");
        populate(&sim, 60);
        simnode_settle(&sim);
        must(simnode_close(&sim, &err), &err);
        must(export_disk(sim.disk, &before, &err), &err);
        must(simnode_open(&sim, &err), &err);
        must(cairn_moment_begin(sim.store, 0, &moment, &err), &err);
        assert_int_equal(cairn_moment_begin(sim.store, 0, &second, &err), CAIRN_ECONFLICT);
        assert_int_equal(cairn_moment_begin(sim.store, 1, &second, &err), CAIRN_EINVAL);
        populate(&sim, 200);
        simnode_settle(&sim);
        cairn_store_stats(sim.store, &stats);
        assert_true(stats.checkpoints > 4);
        must(export_moment(moment, sim.disk, &seen, &err), &err);
        cairn_moment_close(moment);
        expect_same(&before, &seen);
        populate(&sim, 100); /* and what was kept for it goes */
        simnode_settle(&sim);
        must(simnode_close(&sim, &err), &err);
        simnode_done(&sim);
        cairn_buf_done(&before);
        cairn_buf_done(&seen);
    }
}

static void take_version(struct simnode *sim, uint64_t *ret_number)
{
    struct simcall c;
    struct cairn_reader r;

    simcall_init(&c, CAIRN_OP_SNAPSHOT, "", "", "", NULL);
    simcall_run(sim, &c);
    r = cairn_reader(cairn_buf_bytes(&c.reply));
    *ret_number = (uint64_t)cairn_value_read(&r).integer;
    assert_true(*ret_number > 0);
    simcall_done(&c);
}

static void a_running_node_is_exported_at_a_version(void **state)
{
    struct cairn_buf before = {0}, seen = {0};
    struct cairn_moment *moment = NULL;
    struct simnode sim;
    struct cairn_err err;
    uint64_t number;

    (void)state;
    make(&before, 41, "hybridlog", 3, 40, &sim);
    must(simnode_open(&sim, &err), &err);
    take_version(&sim, &number);
    populate(&sim, 50);
    assert_int_equal(cairn_moment_begin(sim.store, 0, &moment, &err), CAIRN_EINVAL);
    assert_int_equal(cairn_moment_begin(sim.store, number + 100, &moment, &err), CAIRN_ENOTFOUND);
    must(cairn_moment_begin(sim.store, number, &moment, &err), &err);
    must(export_moment(moment, sim.disk, &seen, &err), &err);
    cairn_moment_close(moment);
    expect_same(&before, &seen);
    must(simnode_close(&sim, &err), &err);
    simnode_done(&sim);
    cairn_buf_done(&before);
    cairn_buf_done(&seen);
}

/* Refused, or a new folder that nothing was put into, or whole. */
static void check_whole_or_refused(struct cairn_disk *disk, const struct cairn_buf *stream, bool must_be_whole)
{
    struct cairn_buf again = {0}, ignored = {0};
    struct cairn_err err;
    enum cairn_code code;

    if (cairn_disk_read_file(disk, "FORMAT", 4096, &ignored, NULL) != CAIRN_OK) {
        assert_false(must_be_whole);
    } else {
        code = export_disk(disk, &again, &err);
        if (code == CAIRN_OK)
            expect_same(stream, &again);
        else
            assert_false(must_be_whole);
        if (code != CAIRN_OK)
            assert_non_null(strstr(err.text, "did not come to its end"));
    }
    cairn_buf_done(&ignored);
    cairn_buf_done(&again);
}

static void imports_fail_whole(void **state)
{
    static const char *const engines[] = {"memory", "lsm"};
    struct cairn_buf stream = {0};
    struct simnode sim;

    (void)state;
    make(&stream, 51, "memory", 2, 6, &sim);
    simnode_done(&sim);
    for (size_t e = 0; e < 2; e++) {
        bool fired = true;

        for (int64_t n = 0; fired; n++) {
            struct cairn_disk *disk = cairn_sim_disk_create((uint64_t)n);
            struct cairn_err err;
            enum cairn_code code;

            cairn_sim_disk_fail_call(disk, n, n % 2 ? CAIRN_EIO : CAIRN_EFULL);
            code = import_disk(disk, engines[e], 2, cairn_buf_bytes(&stream), &err);
            fired = cairn_sim_disk_fired(disk);
            cairn_sim_disk_fail_call(disk, -1, CAIRN_OK);
            cairn_sim_disk_crash(disk, (enum cairn_sim_crash)(n % 3));
            check_whole_or_refused(disk, &stream, code == CAIRN_OK);
            cairn_disk_close(disk);
        }
    }
    cairn_buf_done(&stream);
}

static void power_cuts_leave_nothing_half(void **state)
{
    struct cairn_buf stream = {0};
    struct simnode sim;
    enum cairn_code code = CAIRN_EIO;
    int64_t n;

    (void)state;
    make(&stream, 61, "memory", 2, 6, &sim);
    simnode_done(&sim);
    for (n = 0; code != CAIRN_OK; n++) {
        struct cairn_disk *disk = cairn_sim_disk_create((uint64_t)n);
        struct cairn_err err;

        cairn_sim_disk_halt_at(disk, n);
        code = import_disk(disk, n % 2 ? "hybridlog" : "memory", 2, cairn_buf_bytes(&stream), &err);
        cairn_sim_disk_halt_at(disk, -1);
        cairn_sim_disk_crash(disk, (enum cairn_sim_crash)(n % 3));
        check_whole_or_refused(disk, &stream, code == CAIRN_OK);
        cairn_disk_close(disk);
    }
    assert_true(n > 50);
    cairn_buf_done(&stream);
}

/* A read that fails is told, or made up for; never is something missing. */
static void exports_tell_of_reads(void **state)
{
    static const char *const engines[] = {"memory", "lsm"};

    (void)state;
    for (size_t e = 0; e < 2; e++) {
        struct cairn_buf stream = {0};
        struct simnode sim;
        bool fired = true;
        int failures = 0;

        make(&stream, 71, engines[e], 2, 6, &sim);
        for (int64_t n = 0; fired; n++) {
            struct cairn_disk *disk = cairn_sim_disk_clone(sim.disk);
            struct cairn_buf again = {0};
            struct cairn_err err;

            cairn_sim_disk_fail_call(disk, n, CAIRN_EIO);
            if (export_disk(disk, &again, &err) == CAIRN_OK)
                expect_same(&stream, &again);
            else
                failures++;
            fired = cairn_sim_disk_fired(disk);
            cairn_buf_done(&again);
            cairn_disk_close(disk);
        }
        assert_true(failures > 3);
        simnode_done(&sim);
        cairn_buf_done(&stream);
    }
}

/* An export writes nothing: every call but reads would fail. */
static void the_folder_is_left_as_it_is(void **state)
{
    struct cairn_buf stream = {0}, again = {0};
    struct simnode sim;
    struct cairn_err err;

    (void)state;
    make(&stream, 81, "hybridlog", 2, 20, &sim);
    simnode_crash(&sim, CAIRN_SIM_KEEP);
    cairn_sim_disk_set_room(sim.disk, 0); /* not a byte more */
    for (int i = 0; i < 2; i++) {
        again.size = 0;
        must(export_disk(sim.disk, &again, &err), &err);
        assert_true(cairn_bytes_equal(cairn_buf_bytes(&stream), cairn_buf_bytes(&again)));
    }
    simnode_done(&sim);
    cairn_buf_done(&stream);
    cairn_buf_done(&again);
}

/* --- items that make no sense --- */

#define ITEM(text) text, sizeof text - 1

static void nonsense_is_refused(void **state)
{
    /* Behind a type T, number 1, of the module m: value 0, list 1, map 2. */
    static const struct {
        const char *label;
        struct {
            enum stream_kind kind;
            const char *body;
            size_t size;
        } items[4];
    } cases[] = {
        {"an object of no type", {{STREAM_OBJECT, ITEM("\2id")}}},
        {"an object without an id", {{STREAM_OBJECT, ITEM("\1")}}},
        {"an object twice", {{STREAM_OBJECT, ITEM("\1id")}, {STREAM_OBJECT, ITEM("\1id")}}},
        {"a value of no object", {{STREAM_VALUE, ITEM("\0v")}}},
        {"a value of a list", {{STREAM_OBJECT, ITEM("\1id")}, {STREAM_VALUE, ITEM("\1v")}}},
        {"an entry of a map", {{STREAM_OBJECT, ITEM("\1id")}, {STREAM_ENTRY, ITEM("\2v")}}},
        {"an entry of no field", {{STREAM_OBJECT, ITEM("\1id")}, {STREAM_ENTRY, ITEM("\7v")}}},
        {"a pair twice", {{STREAM_OBJECT, ITEM("\1id")}, {STREAM_PAIR, ITEM("\2\1kv")}, {STREAM_PAIR, ITEM("\2\1kw")}}},
        {"a pair that is cut", {{STREAM_OBJECT, ITEM("\1id")}, {STREAM_PAIR, ITEM("\2\5k")}}},
        {"a key of no state", {{STREAM_KEY, ITEM("\1\2id\1m\1k\0hhhhhhhh\0o")}}},
        {"a key of no name", {{STREAM_KEY, ITEM("\1\2id\1m\0\2hhhhhhhh\0o")}}},
        {"a key of no type", {{STREAM_KEY, ITEM("\5\2id\1m\1k\2hhhhhhhh\0o")}}},
        {"a type twice", {{STREAM_TYPE, ITEM("\7default\1T\2\1m\0")}}},
        {"a type's number twice", {{STREAM_TYPE, ITEM("\7default\1U\1\1m\0")}}},
        {"a type of no module", {{STREAM_TYPE, ITEM("\7default\1U\2\1n\0")}}},
        {"a type with a field of no kind", {{STREAM_TYPE, ITEM("\7default\1U\2\1m\1\1f\5\0")}}},
        {"an ordered map with a key twice",
         {{STREAM_TYPE, ITEM("\7default\1U\2\1m\1\1f\4\0")},
          {STREAM_OBJECT, ITEM("\2id")},
          {STREAM_PAIR, ITEM("\0\1kv")},
          {STREAM_PAIR, ITEM("\0\1kw")}}},
        {"an ordered map with a key that is cut",
         {{STREAM_TYPE, ITEM("\7default\1U\2\1m\1\1f\4\0")},
          {STREAM_OBJECT, ITEM("\2id")},
          {STREAM_PAIR, ITEM("\0\5k")}}},
        {"a type with a number twice", {{STREAM_TYPE, ITEM("\7default\1U\2\1m\2\1f\1\0\1g\1\0")}}},
        {"a module twice", {{STREAM_MODULE, ITEM("\7default\1m\0\0\0")}}},
        {"a module of no namespace", {{STREAM_MODULE, ITEM("\4blue\1n\0\0\0")}}},
        {"a namespace behind a module", {{STREAM_SPACE, ITEM("\4blue\0\0")}}},
        {"a module that lacks its file",
         {{STREAM_MODULE, ITEM("\7default\1n\1\0\1\1hhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhh\0\0")}}},
    };

    (void)state;
    for (size_t i = 0; i <= sizeof cases / sizeof cases[0]; i++) {
        bool good = i == sizeof cases / sizeof cases[0]; /* the last: without nonsense it is taken */
        struct cairn_disk *disk = cairn_sim_disk_create(i);
        struct stream_writer writer = {0};
        struct cairn_buf stream = {0}, module = {0};
        uint8_t hash[CAIRN_SHA256_BYTES];
        struct cairn_bytes body;
        struct cairn_err err;

        stream_begin(&stream);
        body = cairn_bytes("\1\1\6memory\4test", 13);
        stream_add(&writer, STREAM_ABOUT, &body, 1, NULL);
        cairn_sha256(cairn_str("wasm"), hash);
        cairn_buf_add(&module, "\7default\1m\1\0\1\1", 14);
        cairn_buf_add(&module, hash, sizeof hash);
        cairn_buf_add(&module, "\0\4", 2);
        body = cairn_buf_bytes(&module);
        stream_add(&writer, STREAM_MODULE, &body, 1, NULL);
        body = cairn_str("wasm");
        stream_add(&writer, STREAM_FILE, &body, 1, NULL);
        body = cairn_bytes("\7default\1T\1\1m\3\1a\1\0\1b\2\1\1c\3\2", 26);
        stream_add(&writer, STREAM_TYPE, &body, 1, NULL);
        for (size_t k = 0; !good && k < 4 && cases[i].items[k].body; k++) {
            body = cairn_bytes(cases[i].items[k].body, cases[i].items[k].size);
            stream_add(&writer, cases[i].items[k].kind, &body, 1, NULL);
        }
        stream_add_end(&writer);
        stream_flush(&writer, &stream);
        stream_writer_done(&writer);
        if (import_disk(disk, "memory", 2, cairn_buf_bytes(&stream), &err) != (good ? CAIRN_OK : CAIRN_ECORRUPT))
            fail_msg("%s: %s", good ? "without nonsense" : cases[i].label, err.text);
        cairn_buf_done(&stream);
        cairn_buf_done(&module);
        cairn_disk_close(disk);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(goes_between_engines_and_shards),
        cmocka_unit_test(a_node_goes_on_with_it),
        cmocka_unit_test(a_compartment_comes_along),
        cmocka_unit_test(large_outcomes_come_along),
        cmocka_unit_test(a_running_node_is_of_one_moment),
        cmocka_unit_test(a_running_node_is_exported_at_a_version),
        cmocka_unit_test(imports_fail_whole),
        cmocka_unit_test(power_cuts_leave_nothing_half),
        cmocka_unit_test(exports_tell_of_reads),
        cmocka_unit_test(the_folder_is_left_as_it_is),
        cmocka_unit_test(nonsense_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
