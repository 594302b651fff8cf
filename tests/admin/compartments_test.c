/* Would catch: a compartment that a client can name, list, deploy to or limit; one that is used without being counted
 * for its namespace, or past the limits of it; one that a restart loses, or of which another namespace is made; a
 * namespace that is removed under its compartment. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "admin/admin.h"
#include "object/quota.h"
#include "object/worker.h"
#include "support/simnode.h"

static void open_node(struct simnode *sim)
{
    struct cairn_err err;

    if (simnode_open(sim, &err) != CAIRN_OK)
        fail_msg("%s", err.text);
}

static struct space *acme_of(struct simnode *sim)
{
    return cairn_node_space(sim->node, cairn_str("acme"));
}

static struct space *inside(struct simnode *sim)
{
    return spaces_compartment(&sim->node->spaces, acme_of(sim));
}

/* The beginning of what it answers. */
static void expect(struct simnode *sim, enum cairn_op op, struct space *space, const char *name, const char *want)
{
    struct simcall call;

    simcall_init(&call, op, NULL, NULL, NULL, NULL);
    call.request.name = cairn_str(name);
    call.request.space = space;
    simcall_run(sim, &call);
    if (strncmp(simvalue_text(cairn_buf_bytes(&call.reply)), want, strlen(want)) != 0)
        fail_msg("%s: %s, not %s", name, simvalue_text(cairn_buf_bytes(&call.reply)), want);
    simcall_done(&call);
}

static void set_limit(struct simnode *sim, enum space_limit limit, uint64_t value)
{
    struct cairn_buf limits = {0};
    struct simcall call;

    cairn_buf_u8(&limits, (uint8_t)limit);
    cairn_buf_varint(&limits, value);
    simcall_init(&call, CAIRN_OP_SPACE_SET, NULL, NULL, NULL, NULL);
    call.request.name = cairn_str("acme");
    call.request.body = cairn_buf_bytes(&limits);
    simcall_run(sim, &call);
    assert_int_equal(call.reply.data[0], CAIRN_VALUE_LIST);
    simcall_done(&call);
    cairn_buf_done(&limits);
}

/* What it answers; valid until the next. */
static const char *run(struct simnode *sim, struct space *space, const char *id, const char *method, const char *arg)
{
    static char text[256];
    struct simcall call;

    simcall_init(&call, CAIRN_OP_INVOKE, "Probe", id, method, arg, NULL);
    call.request.space = space;
    simcall_run(sim, &call);
    snprintf(text, sizeof text, "%s", simvalue_text(cairn_buf_bytes(&call.reply)));
    simcall_done(&call);
    return text;
}

/* A module in the compartment of acme. */
static void begin(struct simnode *sim, uint64_t seed)
{
    struct cairn_buf wasm = {0};
    struct simcall call;

    simnode_init(sim, seed, &(struct simnode_options){0});
    open_node(sim);
    expect(sim, CAIRN_OP_SPACE_CREATE, NULL, "acme", "[\"acme\"");
    simnode_wasm("probe", &wasm);
    simcall_init(&call, CAIRN_OP_DEPLOY, NULL, NULL, NULL, NULL);
    call.request.body = cairn_buf_bytes(&wasm);
    call.request.space = inside(sim);
    simcall_run(sim, &call);
    assert_int_equal(call.reply.data[0], CAIRN_VALUE_LIST);
    simcall_done(&call);
    cairn_buf_done(&wasm);
}

static void nobody_names_one(void **state)
{
    struct simnode sim;

    (void)state;
    begin(&sim, 1);
    for (int pass = 0; pass < 2; pass++) {
        assert_false(space_name_valid(cairn_str("zk:acme")));
        assert_null(cairn_node_space(sim.node, cairn_str("zk:acme")));
        expect(&sim, CAIRN_OP_SPACE_CREATE, NULL, "zk:acme", "!bad_request");
        expect(&sim, CAIRN_OP_SPACE_REMOVE, NULL, "zk:acme", "!bad_request");
        expect(&sim, CAIRN_OP_SPACE_SET, NULL, "zk:acme", "!bad_request");
        expect(&sim, CAIRN_OP_SPACES, NULL, "zk:acme", "!bad_request");
        expect(&sim, CAIRN_OP_SPACES, NULL, "acme", "[\"acme\", "); /* and it has no modules: */
        expect(&sim, CAIRN_OP_MODULES, acme_of(&sim), "", "[[], nil]");
        expect(&sim, CAIRN_OP_TYPES, acme_of(&sim), "", "[[], nil]");
        assert_string_equal(run(&sim, acme_of(&sim), "p", "get", NULL),
                            "!unknown_type: there is no type Probe; see `cairn types`");
        expect(&sim, CAIRN_OP_SPACE_REMOVE, NULL, "acme", "!conflict: ZooKeeper's clients have used");
        simnode_crash(&sim, CAIRN_SIM_DROP);
        open_node(&sim);
    }
    simnode_done(&sim);
}

static void listed_names(void **state)
{
    struct simnode sim;
    struct simcall call;

    (void)state;
    begin(&sim, 1);
    for (int pass = 0; pass < 2; pass++) {
        struct cairn_buf page = {0};
        struct cairn_metrics_place place = {0};

        run(&sim, inside(&sim), "p", "get", NULL);
        simcall_init(&call, CAIRN_OP_SPACES, NULL, NULL, NULL, NULL);
        simcall_run(&sim, &call);
        assert_null(strstr(simvalue_text(cairn_buf_bytes(&call.reply)), "zk:"));
        assert_non_null(strstr(simvalue_text(cairn_buf_bytes(&call.reply)), "acme"));
        simcall_done(&call);
        while (cairn_admin_metrics(sim.node, &place, 1000, &page))
            ;
        cairn_buf_u8(&page, 0);
        assert_null(strstr((const char *)page.data, "cairn_namespace_objects{namespace=\"zk:"));
        assert_non_null(strstr((const char *)page.data, "cairn_namespace_objects{namespace=\"acme\""));
        cairn_buf_done(&page);
        simnode_crash(&sim, CAIRN_SIM_DROP);
        open_node(&sim);
    }
    simnode_done(&sim);
}

static void meters_and_limits_are_the_namespaces(void **state)
{
    struct space_usage usage;
    struct simnode sim;

    (void)state;
    begin(&sim, 2);
    assert_string_equal(run(&sim, inside(&sim), "p", "set", "word"), "nil");
    assert_string_equal(run(&sim, inside(&sim), "p", "say", "a line"), "nil");
    quota_usage(acme_of(&sim), sim.node->options.workers, &usage);
    assert_int_equal(usage.metered[CAIRN_METERED_INVOCATIONS], 2);
    assert_int_equal(usage.kept.objects, 1);
    assert_true(usage.kept.bytes > 0 && usage.metered[CAIRN_METERED_CPU_NS] > 0 && usage.operations > 0);
    set_limit(&sim, SPACE_OBJECTS, 1);
    assert_non_null(strstr(run(&sim, inside(&sim), "q", "set", "word"), "!quota: the namespace acme has 1 objects"));
    assert_string_equal(run(&sim, inside(&sim), "p", "get", NULL), "\"word\"");
    simnode_settle(&sim);
    simnode_crash(&sim, CAIRN_SIM_DROP);
    open_node(&sim);
    quota_usage(acme_of(&sim), sim.node->options.workers, &usage);
    assert_int_equal(usage.kept.objects, 1);
    assert_string_equal(run(&sim, inside(&sim), "p", "get", NULL), "\"word\"");
    assert_non_null(strstr(run(&sim, inside(&sim), "q", "set", "word"), "!quota: the namespace acme has 1 objects"));
    set_limit(&sim, SPACE_METHOD_LIMITS + CAIRN_LIMIT_RESULT, 3);
    assert_non_null(strstr(run(&sim, inside(&sim), "p", "get", NULL), "!limit: "));
    set_limit(&sim, SPACE_METHOD_LIMITS + CAIRN_LIMIT_RESULT, 0);
    set_limit(&sim, SPACE_REQUESTS, 1);
    run(&sim, inside(&sim), "p", "get", NULL);
    assert_non_null(strstr(run(&sim, inside(&sim), "p", "get", NULL), "!quota: the namespace acme has had"));
    set_limit(&sim, SPACE_REQUESTS, 0);
    assert_string_equal(run(&sim, inside(&sim), "p", "remove", NULL), "nil");
    simnode_settle(&sim); /* what is left of it is purged */
    quota_usage(acme_of(&sim), sim.node->options.workers, &usage);
    assert_int_equal(usage.kept.objects, 0);
    assert_int_equal(usage.kept.bytes, 0);
    simnode_done(&sim);
}

/* Both have a lane and log lines on each worker: they are one. */
static void one_lane_and_log(void **state)
{
    struct simnode sim;

    (void)state;
    begin(&sim, 3);
    for (int i = 0; i < 2; i++) {
        struct cairn_worker *worker = cairn_node_worker(sim.node, (uint32_t)i);

        assert_ptr_equal(worker_lane(worker, inside(&sim)), worker_lane(worker, acme_of(&sim)));
        assert_ptr_equal(worker_lane(worker, inside(&sim))->space, acme_of(&sim));
    }
    assert_ptr_equal(space_payer(inside(&sim)), acme_of(&sim));
    assert_ptr_equal(spaces_intern(&sim.node->spaces, cairn_str("zk:acme")), inside(&sim));
    assert_ptr_equal(spaces_intern(&sim.node->spaces, cairn_str("zk:new"))->parent,
                     spaces_intern(&sim.node->spaces, cairn_str("new")));
    expect(&sim, CAIRN_OP_SPACE_CREATE, NULL, "blue", "[\"blue\"");
    expect(&sim, CAIRN_OP_SPACE_REMOVE, NULL, "blue", "nil");
    assert_null(spaces_find(&sim.node->spaces, cairn_str("zk:blue"))); /* names that were used are bounded */
    simnode_done(&sim);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nobody_names_one),
        cmocka_unit_test(listed_names),
        cmocka_unit_test(meters_and_limits_are_the_namespaces),
        cmocka_unit_test(one_lane_and_log),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
