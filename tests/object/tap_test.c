/* Would catch: a tap that misses a commit, sees one twice, out of order, after its result has left, or one that was
 * never made; that is not told when an object becomes another one; that is told of types it was not set for; an event
 * that leaves before the record which it depends on is durable, or an answer that passes it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "object/hold.h"
#include "object/invocation.h"
#include "object/layout.h"
#include "object/operation.h"
#include "object/overlay.h"
#include "object/tap.h"
#include "object/worker.h"
#include "support/simnode.h"

/* What the taps have seen; one thread runs all workers. */
static struct {
    int64_t count; /* the object's field, as the last commit left it */
    uint64_t end;  /* of its record */
    int commits, replaced, overs, failed_overs;
    int events[2]; /* that have left, by worker */
    bool sends, joint, refuses;
    int asked;
} seen;

/* The value that a commit has written as its first value field. */
static bool written_count(struct overlay *overlay, int64_t *ret_count)
{
    for (uint32_t i = 0; i < overlay->count; i++) {
        const struct cairn_write *w = &overlay->writes[i];
        struct cairn_reader r = cairn_reader(w->value);
        struct cairn_value value = {0};

        if (w->key.data[0] == KEY_FIELD && !w->deleted)
            value = cairn_value_read(&r);
        if (value.kind == CAIRN_VALUE_INT) {
            *ret_count = value.integer;
            return true;
        }
    }
    return false;
}

static void event_told(struct cairn_worker *worker, const struct invocation *inv)
{
    assert_null(inv->request);
    assert_true(dependency_met(worker->node, inv->depends));
    seen.events[worker->index]++;
}

static const struct operation event = {.name = "event", .answer = hold_answer, .told = event_told};

static void committed(struct cairn_worker *worker, struct object *object, const struct invocation *inv,
                      struct overlay *overlay)
{
    int64_t count;

    assert_ptr_equal(inv->object, object);
    assert_true(object->last.end > seen.end || seen.joint);
    seen.end = object->last.end;
    if (written_count(overlay, &count))
        seen.count = count;
    seen.commits++;
    for (uint32_t i = 0; seen.sends && i < 2; i++) {
        struct invocation *told = invocation_new(worker, &event);

        told->depends = object->last;
        told->message.receive = hold_answer;
        if (i == worker->index)
            worker_hold(worker, told);
        else
            worker_send(worker, i, &told->message);
    }
    inbox_flush(worker);
}

static void replaced(struct cairn_worker *worker, struct object *object)
{
    (void)worker;
    (void)object;
    seen.replaced++;
}

static void over(struct cairn_worker *worker, const struct invocation *inv)
{
    (void)worker;
    seen.overs++;
    seen.failed_overs += inv->failed;
}

static bool admits(struct cairn_worker *worker, const struct invocation *inv)
{
    (void)worker;
    seen.asked++;
    (void)inv;
    return !seen.refuses;
}

static const struct object_tap tap = {admits, committed, replaced, over};
static const struct tapped_type types[] = {{"Probe", &tap}, {"Cell", &tap}};
static const struct operation *const no_operations[CAIRN_OP_COUNT];

static enum cairn_code open_room(struct cairn_node *node, void *context, struct cairn_err *err)
{
    (void)node;
    (void)context;
    (void)err;
    return CAIRN_OK;
}

static void close_room(struct cairn_node *node)
{
    (void)node;
}

static const struct node_hooks room = {
    .operations = no_operations, .taps = types, .tap_count = 2, .open = open_room, .close = close_room};
static const struct node_hooks *const rooms[] = {&room};

static struct space *inside(struct simnode *sim)
{
    return spaces_compartment(&sim->node->spaces, sim->node->spaces.first);
}

static void deploy(struct simnode *sim, struct space *space, const char *module)
{
    struct cairn_buf wasm = {0};
    struct simcall call;

    simnode_wasm(module, &wasm);
    simcall_init(&call, CAIRN_OP_DEPLOY, NULL, NULL, NULL, NULL);
    call.request.body = cairn_buf_bytes(&wasm);
    call.request.space = space;
    simcall_run(sim, &call);
    if (call.reply.data[0] == CAIRN_VALUE_ERROR)
        fail_msg("%s", simvalue_text(cairn_buf_bytes(&call.reply)));
    simcall_done(&call);
    cairn_buf_done(&wasm);
}

static void open_node(struct simnode *sim, uint64_t seed, const char *engine)
{
    struct cairn_err err;

    memset(&seen, 0, sizeof seen);
    simnode_init(sim, seed, &(struct simnode_options){.engine = engine, .rooms = rooms, .room_count = 1});
    if (simnode_open(sim, &err) != CAIRN_OK)
        fail_msg("%s", err.text);
    deploy(sim, inside(sim), "probe");
}

/* Runs it in the compartment; `want` is how the answer begins. */
static void run(struct simnode *sim, const char *type, const char *id, const char *method, const char *arg,
                const char *want)
{
    struct simcall call;

    simcall_init(&call, CAIRN_OP_INVOKE, type, id, method, arg, NULL);
    call.request.space = inside(sim);
    simcall_run(sim, &call);
    if (strncmp(simvalue_text(cairn_buf_bytes(&call.reply)), want, strlen(want)) != 0)
        fail_msg("%s: %s, not %s", method, simvalue_text(cairn_buf_bytes(&call.reply)), want);
    simcall_done(&call);
}

static void on_reply(struct simcall *call, void *context)
{
    struct cairn_reader r = cairn_reader(cairn_buf_bytes(&call->reply));
    struct cairn_value value = cairn_value_read(&r);
    const int *events = context; /* of its worker */

    assert_int_equal(value.kind, CAIRN_VALUE_INT);
    assert_true(seen.count >= value.integer); /* the tap has seen its commit before */
    if (seen.sends)
        assert_true(*events >= value.integer); /* and the event was told before */
}

/* Many at once, from both workers; a read sees what was committed before it, and no event stays behind it. */
static void each_commit_once(void **state)
{
    enum { CALLS = 60, ADDS = 2 * CALLS / 3 };
    struct simcall calls[CALLS];

    (void)state;
    for (uint64_t seed = 1; seed <= 40; seed++) {
        struct simnode sim;

        open_node(&sim, seed, NULL);
        seen.sends = seed % 2;
        seen.end = 0;
        for (int i = 0; i < CALLS; i++) {
            simcall_init(&calls[i], CAIRN_OP_INVOKE, "Probe", "p", i % 3 ? "add" : "count", NULL);
            calls[i].request.space = inside(&sim);
            calls[i].on_reply = on_reply;
            calls[i].context = &seen.events[i % 2];
            simcall_submit(&sim, &calls[i], (uint32_t)i % 2);
            for (uint64_t steps = seed % 4; steps > 0; steps--)
                simnode_step(&sim);
        }
        simnode_settle(&sim);
        for (int i = 0; i < CALLS; i++) {
            assert_true(calls[i].replied);
            simcall_done(&calls[i]);
        }
        assert_int_equal(seen.commits, ADDS);
        assert_int_equal(seen.count, ADDS);
        assert_int_equal(seen.overs, CALLS);
        for (int i = 0; i < 2; i++)
            assert_int_equal(seen.events[i], seen.sends ? ADDS : 0);
        simnode_done(&sim);
    }
}

static void what_is_told(void **state)
{
    static const struct {
        const char *method, *arg, *want;
        int commits, replaced, overs, failed;
    } cases[] = {
        {"add", "1", "1", 1, 0, 1, 0},
        {"count", NULL, "1", 0, 0, 1, 0},
        {"add_then_fail", NULL, "!failed", 0, 0, 1, 1},
        {"add_then_trap", NULL, "!trap", 0, 0, 1, 1},
        {"leave", "q", "1", 1, 0, 2, 0}, /* of the object that it calls */
        {"fail_after_call", "q", "!failed", 2, 0, 2, 1},
        {"remove", NULL, "nil", 0, 1, 1, 0},
        {"remove", NULL, "nil", 0, 0, 1, 0},
        {"add", "1", "1", 1, 0, 1, 0},
        {"remove_and_set", "x", "", 0, 1, 1, 0},
        {"fly", NULL, "!unknown_method", 0, 0, 0, 0}, /* it never came to the object */
    };
    struct simnode sim;

    (void)state;
    open_node(&sim, 1, NULL);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int commits = seen.commits, before = seen.replaced, overs = seen.overs, failed = seen.failed_overs;

        run(&sim, "Probe", "p", cases[i].method, cases[i].arg, cases[i].want);
        if (seen.commits - commits != cases[i].commits || seen.replaced - before != cases[i].replaced ||
            seen.overs - overs != cases[i].overs || seen.failed_overs - failed != cases[i].failed)
            fail_msg("%s: %d commits, %d replaced, %d over, %d of them failed", cases[i].method, seen.commits - commits,
                     seen.replaced - before, seen.overs - overs, seen.failed_overs - failed);
    }
    simnode_done(&sim);
}

static void only_in_compartments(void **state)
{
    struct simnode sim;

    (void)state;
    open_node(&sim, 1, NULL);
    simnode_deploy(&sim, "probe");
    simnode_expect(&sim, "1", "Probe", "p", "add", NULL);
    assert_int_equal(seen.commits + seen.overs + seen.replaced, 0);
    simnode_done(&sim);
}

/* By a client's request, to what it was. */
static void restored_and_deleted(void **state)
{
    struct simnode sim;
    struct simcall call;
    uint64_t version;

    (void)state;
    open_node(&sim, 3, "lsm");
    run(&sim, "Probe", "p", "add", "1", "1");
    simcall_init(&call, CAIRN_OP_SNAPSHOT, NULL, NULL, NULL, NULL);
    simcall_run(&sim, &call);
    version = strtoull(simvalue_text(cairn_buf_bytes(&call.reply)), NULL, 10);
    simcall_done(&call);
    run(&sim, "Probe", "p", "add", "1", "2");
    assert_int_equal(seen.replaced, 0);
    simcall_init(&call, CAIRN_OP_RESTORE, "Probe", "p", NULL, NULL);
    call.request.space = inside(&sim);
    call.request.number = version;
    simcall_run(&sim, &call);
    assert_string_equal(simvalue_text(cairn_buf_bytes(&call.reply)), "1");
    simcall_done(&call);
    assert_int_equal(seen.replaced, 1);
    run(&sim, "Probe", "p", "count", NULL, "1");
    simcall_init(&call, CAIRN_OP_DELETE, "Probe", "p", NULL, NULL);
    call.request.space = inside(&sim);
    simcall_run(&sim, &call);
    simcall_done(&call);
    assert_int_equal(seen.replaced, 2);
    simnode_done(&sim);
}

/* Each object of it by itself, once it is decided. */
static void transactions(void **state)
{
    struct simnode sim;
    struct simcall call;

    (void)state;
    open_node(&sim, 1, NULL);
    deploy(&sim, inside(&sim), "ledger");
    seen.commits = 0;
    seen.joint = true; /* one record for all */
    for (int i = 0; i < 2; i++) {
        simcall_init(&call, CAIRN_OP_INVOKE, "Cell", "a", i ? "give_then_fail" : "give", "5", "b", NULL);
        call.request.space = inside(&sim);
        simcall_run(&sim, &call);
        assert_int_equal(call.reply.data[0] == CAIRN_VALUE_ERROR, i);
        simcall_done(&call);
        simnode_settle(&sim);
        assert_int_equal(seen.commits, 2);
    }
    simnode_done(&sim);
}

/* Nothing of it runs, and what it would have called does not either; then everything is as before. */
static void not_admitted(void **state)
{
    struct simnode sim;

    (void)state;
    open_node(&sim, 1, NULL);
    run(&sim, "Probe", "p", "add", "1", "1");
    assert_int_equal(seen.asked, 1);
    seen.refuses = true;
    run(&sim, "Probe", "p", "add", "1", "!unavailable");
    run(&sim, "Probe", "p", "leave", "q", "!unavailable");
    assert_int_equal(seen.commits, 1);
    seen.refuses = false;
    run(&sim, "Probe", "p", "count", NULL, "1");
    run(&sim, "Probe", "p", "add", "1", "2");
    simnode_done(&sim);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_commit_once),     cmocka_unit_test(what_is_told), cmocka_unit_test(only_in_compartments),
        cmocka_unit_test(restored_and_deleted), cmocka_unit_test(transactions), cmocka_unit_test(not_admitted),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
