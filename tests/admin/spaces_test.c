/* Would catch: a namespace that a crash loses after it was acknowledged, or that comes back after its removal was; one
 * that others see before its record may be acknowledged; a removal beside a deploy, or of one that has modules; a name
 * that is not one; a page of the list that leaves one out or tells one twice; objects of equal names and ids in two
 * namespaces that are one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "admin/admin_internal.h"
#include "object/method_log.h"
#include "support/simnode.h"

static void open_node(struct simnode *sim)
{
    struct cairn_err err;

    if (simnode_open(sim, &err) != CAIRN_OK)
        fail_msg("%s", err.text);
}

static void begin(struct simcall *call, enum cairn_op op, const char *name)
{
    simcall_init(call, op, NULL, NULL, NULL, NULL);
    call->request.name = cairn_str(name);
}

/* The beginning of what it answers. */
static void expect(struct simnode *sim, enum cairn_op op, const char *name, const char *want)
{
    struct simcall call;
    const char *got;

    begin(&call, op, name);
    simcall_run(sim, &call);
    got = simvalue_text(cairn_buf_bytes(&call.reply));
    if (strncmp(got, want, strlen(want)) != 0)
        fail_msg("%s: %s, not %s", name, got, want);
    simcall_done(&call);
}

static void create(struct simnode *sim, const char *name)
{
    char want[96];

    snprintf(want, sizeof want, "[\"%s\", ", name);
    expect(sim, CAIRN_OP_SPACE_CREATE, name, want);
}

static void deploy_to(struct simnode *sim, const char *space, const char *module, struct simcall *call,
                      struct cairn_buf *wasm)
{
    simnode_wasm(module, wasm);
    simcall_init(call, CAIRN_OP_DEPLOY, NULL, NULL, NULL, NULL);
    call->request.body = cairn_buf_bytes(wasm);
    call->request.space = cairn_node_space(sim->node, cairn_str(space));
    assert_non_null(call->request.space);
}

static void names(void **state)
{
    static const struct {
        const char *label, *name;
        bool good;
    } cases[] = {
        {"one letter", "a", true},
        {"all kinds", "a0-_z", true},
        {"64 bytes", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", true},
        {"65 bytes", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", false},
        {"none", "", false},
        {"a digit first", "0a", false},
        {"a dash first", "-a", false},
        {"upper case", "aB", false},
        {"a dot", "a.b", false},
        {"a slash", "a/b", false},
        {"a quote", "a\"b", false},
        {"beyond ASCII", "caf\xc3\xa9", false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        if (space_name_valid(cairn_str(cases[i].name)) != cases[i].good)
            fail_msg("%s: wrong", cases[i].label);
}

/* A crash at any step: what was acknowledged holds. */
static void what_is_acknowledged_stays(void **state)
{
    int outcomes[2] = {0};

    (void)state;
    for (uint64_t seed = 1; seed <= 60; seed++) {
        struct simnode sim;
        struct simcall call;
        bool removes = seed % 2, done, there;

        simnode_init(&sim, seed, &(struct simnode_options){0});
        open_node(&sim);
        if (removes)
            create(&sim, "acme");
        begin(&call, removes ? CAIRN_OP_SPACE_REMOVE : CAIRN_OP_SPACE_CREATE, "acme");
        simcall_submit(&sim, &call, (uint32_t)seed % 2);
        for (uint64_t steps = seed / 2; steps > 0 && !call.replied; steps--)
            simnode_step(&sim);
        done = call.replied;
        outcomes[done]++;
        there = cairn_node_space(sim.node, cairn_str("acme")) != NULL;
        if (there != (removes ? !done : done))
            fail_msg("seed %llu: it is %s before the reply", (unsigned long long)seed, there ? "seen" : "missed");
        simnode_crash(&sim, CAIRN_SIM_DROP);
        open_node(&sim);
        there = cairn_node_space(sim.node, cairn_str("acme")) != NULL;
        if (done && there == removes)
            fail_msg("seed %llu: the crash took it back", (unsigned long long)seed);
        expect(&sim, CAIRN_OP_SPACES, "acme", there ? "[\"acme\", " : "!not_found");
        simcall_done(&call);
        simnode_done(&sim);
    }
    assert_true(outcomes[0] > 5 && outcomes[1] > 5);
}

static void not_beside_a_deploy(void **state)
{
    struct cairn_buf wasm = {0};
    struct simcall deploy, again;
    struct simnode sim;

    (void)state;
    simnode_init(&sim, 1, &(struct simnode_options){0});
    open_node(&sim);
    create(&sim, "acme");
    deploy_to(&sim, "acme", "probe", &deploy, &wasm);
    simcall_submit(&sim, &deploy, 0);
    cairn_worker_run(cairn_node_worker(sim.node, 0), 0);
    expect(&sim, CAIRN_OP_SPACE_REMOVE, "acme", "!conflict");
    for (int i = 0; i < 100000 && !deploy.replied; i++)
        simnode_step(&sim);
    assert_true(deploy.replied);
    expect(&sim, CAIRN_OP_SPACE_REMOVE, "acme", "!conflict");
    expect(&sim, CAIRN_OP_SPACE_REMOVE, "default", "!bad_request");
    simcall_done(&deploy);
    /* One that arrives behind the removal finds nothing. */
    begin(&again, CAIRN_OP_UNDEPLOY, "probe");
    again.request.space = cairn_node_space(sim.node, cairn_str("acme"));
    simcall_run(&sim, &again);
    assert_string_equal(simvalue_text(cairn_buf_bytes(&again.reply)), "nil");
    simcall_done(&again);
    deploy_to(&sim, "acme", "probe", &deploy, &wasm);
    expect(&sim, CAIRN_OP_SPACE_REMOVE, "acme", "nil");
    simcall_run(&sim, &deploy);
    assert_non_null(strstr(simvalue_text(cairn_buf_bytes(&deploy.reply)), "namespaces create acme"));
    simcall_done(&deploy);
    cairn_buf_done(&wasm);
    simnode_done(&sim);
}

/* All of them, by name, over pages. */
static void listed_in_pages(void **state)
{
    enum { SPACES = 700 };
    struct cairn_buf cursor = {0};
    struct simnode sim;
    uint32_t seen = 0;
    char name[16];

    (void)state;
    simnode_init(&sim, 1, &(struct simnode_options){0});
    open_node(&sim);
    for (uint32_t i = 0; i < SPACES; i++) {
        snprintf(name, sizeof name, "n%04u", i * 367 % SPACES);
        create(&sim, name);
    }
    for (bool more = true; more;) {
        struct simcall call;
        struct cairn_reader r;
        struct cairn_value next;
        uint64_t count;

        begin(&call, CAIRN_OP_SPACES, "");
        call.request.cursor = cairn_buf_bytes(&cursor);
        simcall_run(&sim, &call);
        r = cairn_reader(cairn_buf_bytes(&call.reply));
        cairn_value_read(&r);
        count = cairn_value_read(&r).count;
        assert_in_range(count, 1, CAIRN_PAGE_ENTRIES);
        for (uint64_t i = 0; i < count; i++, seen++) {
            struct cairn_bytes got;

            cairn_value_read(&r);
            got = cairn_value_read(&r).bytes;
            snprintf(name, sizeof name, "n%04u", seen - 1);
            assert_true(cairn_bytes_equal(got, cairn_str(seen == 0 ? "default" : name)));
            for (int member = 0; member < 2 + 1 + SPACE_LIMITS + 1 + 11 + 1;
                 member++) /* heads of lists, and integers */
                cairn_value_read(&r);
        }
        next = cairn_value_read(&r);
        more = next.kind == CAIRN_VALUE_BYTES;
        cursor.size = 0;
        cairn_buf_add(&cursor, next.bytes.data, more ? next.bytes.size : 0);
        simcall_done(&call);
    }
    assert_int_equal(seen, SPACES + 1);
    cairn_buf_done(&cursor);
    simnode_done(&sim);
}

static void equal_names_are_not_one(void **state)
{
    static const char *const spaces[] = {"default", "acme", "blue"};
    struct cairn_buf wasm = {0};
    struct simnode sim;
    struct simcall call;
    char value[16];

    (void)state;
    simnode_init(&sim, 1, &(struct simnode_options){0});
    open_node(&sim);
    create(&sim, "acme");
    create(&sim, "blue");
    for (int i = 0; i < 3; i++) {
        wasm.size = 0;
        deploy_to(&sim, spaces[i], "probe", &call, &wasm);
        simcall_run(&sim, &call);
        simcall_done(&call);
    }
    for (int pass = 0; pass < 2; pass++)
        for (int i = 0; i < 3; i++) {
            snprintf(value, sizeof value, pass ? "\"%d\"" : "%d", 10 + i);
            simcall_init(&call, CAIRN_OP_INVOKE, "Probe", "p", pass ? "get" : "set", pass ? NULL : value, NULL);
            call.request.space = cairn_node_space(sim.node, cairn_str(spaces[i]));
            simcall_run(&sim, &call);
            if (pass && strcmp(simvalue_text(cairn_buf_bytes(&call.reply)), value) != 0)
                fail_msg("%s: %s, not %s", spaces[i], simvalue_text(cairn_buf_bytes(&call.reply)), value);
            simcall_done(&call);
        }
    cairn_buf_done(&wasm);
    simnode_done(&sim);
}

/* Jobs of a namespace whose calls may have so many bytes; what was counted is given back, however a job ends. */
static void jobs_have_a_limit(void **state)
{
    static const struct {
        const char *space, *calls, *want;
    } cases[] = {
        {"acme", "10", "nil"},
        {"acme", "900", "!limit: the calls and results of the namespace acme"},
        {"acme", "10", "nil"},
        {"default", "900", "nil"},
    };
    struct cairn_buf wasm = {0}, limits = {0};
    struct space *acme;
    struct simnode sim;
    struct simcall call;

    (void)state;
    simnode_init(&sim, 1, &(struct simnode_options){0});
    open_node(&sim);
    begin(&call, CAIRN_OP_SPACE_CREATE, "acme");
    cairn_buf_u8(&limits, SPACE_MEMORY);
    cairn_buf_varint(&limits, 64 << 10);
    call.request.body = cairn_buf_bytes(&limits);
    simcall_run(&sim, &call);
    simcall_done(&call);
    acme = cairn_node_space(sim.node, cairn_str("acme"));
    assert_int_equal(atomic_load(&acme->limits[SPACE_MEMORY]), 64 << 10);
    for (int i = 0; i < 2; i++) {
        wasm.size = 0;
        deploy_to(&sim, i ? "acme" : "default", "probe", &call, &wasm);
        simcall_run(&sim, &call);
        simcall_done(&call);
    }
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const char *got;

        simcall_init(&call, CAIRN_OP_INVOKE, "Probe", "p", "many_calls", "other", cases[i].calls, NULL);
        call.request.space = cairn_node_space(sim.node, cairn_str(cases[i].space));
        simcall_run(&sim, &call);
        got = simvalue_text(cairn_buf_bytes(&call.reply));
        if (strncmp(got, cases[i].want, strlen(cases[i].want)) != 0)
            fail_msg("%s calls in %s: %s", cases[i].calls, cases[i].space, got);
        simcall_done(&call);
        simnode_settle(&sim);
        assert_int_equal(atomic_load(&acme->job_bytes), 0);
    }
    cairn_buf_done(&wasm);
    cairn_buf_done(&limits);
    simnode_done(&sim);
}

static void say(struct simnode *sim, const char *space, const char *line)
{
    struct simcall call;

    simcall_init(&call, CAIRN_OP_INVOKE, "Probe", "p", "say", line, NULL);
    call.request.space = cairn_node_space(sim->node, cairn_str(space));
    simcall_run(sim, &call);
    assert_string_equal(simvalue_text(cairn_buf_bytes(&call.reply)), "nil");
    simcall_done(&call);
}

/* Of the namespace, on the only worker. */
static uint32_t lines_of(struct simnode *sim, const char *space)
{
    struct cairn_worker *worker = cairn_node_worker(sim->node, 0);
    const struct method_log *log = method_log_of(worker, cairn_node_space(sim->node, cairn_str(space)));

    return log ? (uint32_t)(log->end - log->first) : 0;
}

/* One that writes much pushes out its own lines; together they are bounded; none outlives its namespace. */
static void log_lines_are_apart(void **state)
{
    enum { LOUD = 9 };
    struct cairn_buf wasm = {0};
    char name[16], line[16];
    struct simnode sim;
    struct simcall call;

    (void)state;
    simnode_init(&sim, 1, &(struct simnode_options){.workers = 1});
    open_node(&sim);
    for (int i = 0; i <= LOUD; i++) {
        snprintf(name, sizeof name, i < LOUD ? "loud%d" : "calm", i);
        create(&sim, name);
        wasm.size = 0;
        deploy_to(&sim, name, "probe", &call, &wasm);
        simcall_run(&sim, &call);
        simcall_done(&call);
    }
    for (int n = 0; n < 3; n++)
        say(&sim, "calm", "here");
    for (int i = 0; i < LOUD; i++) {
        snprintf(name, sizeof name, "loud%d", i);
        for (int n = 0; n < LOG_LINES_MAX + 50; n++) {
            snprintf(line, sizeof line, "%d", n);
            say(&sim, name, line);
        }
        assert_in_range(lines_of(&sim, name), LOG_ALL_LINES_MAX / (LOUD + 1), LOG_LINES_MAX);
        assert_true(cairn_node_worker(sim.node, 0)->logs.kept <= LOG_ALL_LINES_MAX);
        assert_int_equal(lines_of(&sim, "calm"), 3);
    }
    simcall_init(&call, CAIRN_OP_UNDEPLOY, NULL, NULL, NULL, NULL);
    call.request.name = cairn_str("probe");
    call.request.space = cairn_node_space(sim.node, cairn_str("calm"));
    simcall_run(&sim, &call);
    simcall_done(&call);
    expect(&sim, CAIRN_OP_SPACE_REMOVE, "calm", "nil");
    simnode_settle(&sim); /* what was left of it is gone */
    create(&sim, "calm");
    assert_int_equal(lines_of(&sim, "calm"), 0);
    cairn_buf_done(&wasm);
    simnode_done(&sim);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names),
        cmocka_unit_test(what_is_acknowledged_stays),
        cmocka_unit_test(not_beside_a_deploy),
        cmocka_unit_test(listed_in_pages),
        cmocka_unit_test(equal_names_are_not_one),
        cmocka_unit_test(jobs_have_a_limit),
        cmocka_unit_test(log_lines_are_apart),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
