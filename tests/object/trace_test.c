/* Would catch: a job whose spans are not its invocations, whichever workers they ran on, whether their calls ran on
 * top of them or not, and whatever was begun anew; phases out of order; a job that is traced although its client or the
 * ratio says no; a cost without the calls'; more spans kept than are to be; spans that are counted as under way for
 * ever, among them those of jobs that a stop cuts off. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "object/node.h"
#include "object/span.h"
#include "object/tracing.h"
#include "support/simnode.h"

/* What is taken, as "method(calls) method(calls) ...", the first one first; jobs end with ";". */
struct taken {
    char text[4096];
    uint32_t spans, phases_bad;
};

static void read_span(struct taken *taken, struct cairn_bytes encoded)
{
    struct cairn_reader r = cairn_reader(encoded);
    struct cairn_bytes method;
    int64_t begin, end, at = -1, calls = 0;
    uint64_t phases;
    size_t used = strlen(taken->text);

    assert_true(cairn_value_valid(encoded));
    assert_int_equal(cairn_value_read(&r).count, SPAN_FIELDS);
    for (int i = 0; i < 6; i++)
        cairn_value_read(&r);
    method = cairn_value_read(&r).bytes;
    begin = cairn_value_read(&r).integer;
    end = cairn_value_read(&r).integer;
    cairn_value_read(&r);
    cairn_value_read(&r);
    assert_int_equal(cairn_value_read(&r).count, 6);
    for (int i = 0; i < 6; i++)
        calls = cairn_value_read(&r).integer;
    phases = cairn_value_read(&r).count / 2;
    for (uint64_t i = 0; i < phases; i++) {
        int64_t before = at;

        assert_in_range(cairn_value_read(&r).integer, 0, SPAN_PHASES - 1);
        at = cairn_value_read(&r).integer;
        taken->phases_bad += at < before || (i == 0 && at != 0);
    }
    taken->phases_bad += phases == 0 || phases > SPAN_PHASES_NOTED || at > end - begin;
    taken->spans++;
    snprintf(taken->text + used, sizeof taken->text - used, "%.*s(%lld) ", (int)method.size, (const char *)method.data,
             (long long)calls);
}

static void take(void *context, struct cairn_bytes spans)
{
    struct cairn_reader r = cairn_reader(spans);
    struct taken *taken = context;

    while (cairn_reader_left(&r))
        read_span(taken, cairn_read_bytes(&r, cairn_read_u32(&r)));
    assert_false(r.bad);
    snprintf(taken->text + strlen(taken->text), sizeof taken->text - strlen(taken->text), "; ");
}

static void open_node(struct simnode *sim, uint64_t seed, uint32_t workers, double ratio, struct taken *taken)
{
    struct simnode_options options = {
        .workers = workers, .shards = 4, .trace = {.on = true, .ratio = ratio, .take = take, .context = taken}};
    struct cairn_err err;

    memset(taken, 0, sizeof *taken);
    simnode_init(sim, seed, &options);
    if (simnode_open(sim, &err) != CAIRN_OK)
        fail_msg("%s", err.text);
    simnode_deploy(sim, "probe");
    simnode_deploy(sim, "reader");
    taken->text[0] = 0;
}

static void expect_taken(struct simnode *sim, struct taken *taken, const char *want)
{
    simnode_settle(sim);
    assert_string_equal(taken->text, want);
    assert_int_equal(taken->phases_bad, 0);
    assert_int_equal(sim->node->tracing->live, 0);
    taken->text[0] = 0;
}

static void trees_are_those_of_the_calls(void **state)
{
    (void)state;
    for (uint32_t workers = 1; workers <= 3; workers++)
        for (uint64_t seed = 0; seed < 2; seed++) {
            struct taken taken;
            struct simnode sim;

            open_node(&sim, 900 + 10 * workers + seed, workers, 1, &taken);
            simnode_expect(&sim, "1", "Probe", "a", "add", NULL);
            expect_taken(&sim, &taken, "add(0) ; ");
            simnode_expect(&sim, "2", "Probe", "a", "chain", "b", "c", NULL);
            expect_taken(&sim, &taken, "chain(1) chain(1) chain(0) ; ");
            simnode_expect(&sim, "nil", "Probe", "a", "many_adds", "b", "3", NULL);
            expect_taken(&sim, &taken, "many_adds(3) add(0) add(0) add(0) ; ");
            simnode_expect(&sim, "2", "Probe", "a", "leave", "b", "c", NULL);
            expect_taken(&sim, &taken, "leave(2) add(0) add(0) ; ");
            /* Read-only: on top of the run, or through mailboxes, or the one and then the other. */
            simnode_expect(&sim, "[0, 0, 0]", "Reader", "x", "each", "get", "a", "b", "c", NULL);
            expect_taken(&sim, &taken, "each(3) get(0) get(0) get(0) ; ");
            simnode_done(&sim);
        }
}

static struct cairn_traceparent of_client(uint64_t low, bool sampled)
{
    return (struct cairn_traceparent){.job = {1, low}, .span = 2, .sampled = sampled};
}

static uint32_t traced(struct simnode *sim, struct taken *taken, struct cairn_traceparent parent)
{
    uint32_t before = taken->spans;
    struct simcall call;

    simcall_init(&call, CAIRN_OP_INVOKE, "Probe", "a", "count", NULL);
    call.request.parent = parent;
    simcall_run(sim, &call);
    if (cairn_job_id_is(parent.job))
        assert_true(cairn_job_id_equal(call.request.parent.job, parent.job));
    simcall_done(&call);
    simnode_settle(sim);
    return taken->spans - before;
}

static void the_client_decides_and_else_the_ratio(void **state)
{
    static const double ratios[] = {0, 0.25, 1};

    (void)state;
    for (int i = 0; i < 3; i++) {
        struct taken taken;
        struct simnode sim;
        uint32_t count = 0;

        open_node(&sim, 950, 2, ratios[i], &taken);
        assert_int_equal(traced(&sim, &taken, of_client(1, true)), 1);
        assert_int_equal(traced(&sim, &taken, of_client(UINT64_MAX, false)), 0);
        for (int n = 0; n < 100; n++)
            count += traced(&sim, &taken, (struct cairn_traceparent){0});
        if (i == 1)
            assert_in_range(count, 10, 45);
        else
            assert_int_equal(count, i ? 100 : 0);
        simnode_done(&sim);
    }
}

static void costs_have_the_calls(void **state)
{
    struct cairn_job_cost one = {0}, sum = {0};
    struct taken taken;
    struct simnode sim;

    (void)state;
    open_node(&sim, 960, 3, 0, &taken);
    for (int calls = 0; calls <= 5; calls += 5) {
        struct simcall call;

        simcall_init(&call, CAIRN_OP_INVOKE, "Probe", "a", "leave", NULL);
        for (int i = 0; i < calls; i++)
            simcall_arg(&call, (const char *[]){"b", "c", "d", "e", "f"}[i]);
        call.request.wants_job = call.request.wants_cost = true;
        simcall_run(&sim, &call);
        *(calls ? &sum : &one) = call.request.cost;
        assert_true(cairn_job_id_is(call.request.parent.job));
        simcall_done(&call);
    }
    assert_int_equal(one.invocations, 1);
    assert_int_equal(sum.invocations, 6);
    assert_true(sum.operations >= one.operations + 10 && sum.written_bytes >= one.written_bytes + 50);
    assert_true(sum.memory_bytes >= 65536 && sum.cpu_ns > one.cpu_ns);
    simnode_done(&sim);
}

/* As many spans as are kept, and of one job as many as it may have. */
static void what_is_kept_is_bounded(void **state)
{
    struct taken taken;
    struct simnode sim;
    const struct trace_ring *ring;

    (void)state;
    open_node(&sim, 970, 1, 1, &taken);
    ring = &sim.node->tracing->rings[0];
    simnode_expect(&sim, "nil", "Probe", "a", "many_calls", "b", "3000", NULL);
    taken.text[0] = 0;
    assert_in_range(ring->end - ring->first, 500, 2999); /* TRACE_JOB_BYTES of them */
    assert_int_equal(ring->end - ring->first + sim.node->tracing->dropped, 3001);
    assert_int_equal(sim.node->tracing->live, 0);
    for (int i = 0; i < 15; i++) {
        simnode_expect(&sim, "nil", "Probe", "a", "many_calls", "b", "600", NULL);
        taken.text[0] = 0;
        assert_true(ring->end - ring->first <= TRACE_SPANS_KEPT && ring->bytes <= TRACE_BYTES_KEPT);
        assert_true(ring->spans[ring->first % TRACE_SPANS_KEPT].first); /* whole jobs go */
    }
    assert_true(ring->first > 0 && ring->end - ring->first > TRACE_SPANS_KEPT / 2);
    simnode_done(&sim);
}

/* Spans of jobs under way when the power fails are given up: tracing_close insists on it. */
static void nothing_is_left_of_what_is_cut_off(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 8; seed++) {
        struct taken taken;
        struct simcall calls[4];
        struct simnode sim;
        struct cairn_err err;

        open_node(&sim, 980 + seed, 2, 1, &taken);
        for (int i = 0; i < 4; i++) {
            simcall_init(&calls[i], CAIRN_OP_INVOKE, "Probe", (const char *[]){"a", "b", "c", "d"}[i], "many_adds", "z",
                         "5", NULL);
            simcall_submit(&sim, &calls[i], (uint32_t)i % 2);
        }
        for (uint64_t i = 0; i < 5 + 8 * seed; i++)
            simnode_step(&sim);
        simnode_crash(&sim, CAIRN_SIM_DROP);
        if (simnode_open(&sim, &err) != CAIRN_OK)
            fail_msg("%s", err.text);
        for (int i = 0; i < 4; i++)
            simcall_done(&calls[i]);
        simnode_done(&sim);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(trees_are_those_of_the_calls),
        cmocka_unit_test(the_client_decides_and_else_the_ratio),
        cmocka_unit_test(costs_have_the_calls),
        cmocka_unit_test(what_is_kept_is_bounded),
        cmocka_unit_test(nothing_is_left_of_what_is_cut_off),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
