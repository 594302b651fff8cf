/* Would catch: timers that are lost, or whose method takes effect twice, over crashes at any step and whichever write
 * fails; one that runs although it was cancelled, set again, or its object was deleted, or before its time; one that is
 * kept although its segment failed; overdue ones out of their order; a firing that is lost because messages have no
 * room; trees that do not agree with the timers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "admin/admin.h"
#include "io/zones.h"
#include "support/simnode.h"

#define expect(want, ...) simnode_expect(&sim, want, "Alarm", __VA_ARGS__, NULL)

static void reopen(struct simnode *sim)
{
    struct cairn_err err;

    if (simnode_open(sim, &err) != CAIRN_OK)
        fail_msg("%s", err.text);
}

static void open_with(struct simnode *sim, uint64_t seed, const struct simnode_options *options)
{
    simnode_init(sim, seed, options);
    reopen(sim);
    simnode_deploy(sim, "alarm");
}

static void open_node(struct simnode *sim, uint64_t seed, uint32_t workers)
{
    struct simnode_options options = {.workers = workers, .shards = 4};

    open_with(sim, seed, &options);
}

/* The sum of a metric over workers. */
static uint64_t metric(struct simnode *sim, const char *name)
{
    struct cairn_metrics_place place = {0};
    struct cairn_buf page = {0};
    uint64_t sum = 0;
    char start[128];

    snprintf(start, sizeof start, "\n%s{worker=", name);
    while (cairn_admin_metrics(sim->node, &place, CAIRN_PAGE_BYTES, &page))
        ;
    cairn_buf_u8(&page, 0);
    for (const char *at = (const char *)page.data; (at = strstr(at, start)); at++)
        sum += strtoull(strchr(at, '}') + 1, NULL, 10);
    cairn_buf_done(&page);
    return sum;
}

static void let_pass(struct simnode *sim, uint64_t ms)
{
    for (uint64_t step = 0; step < 20; step++) {
        cairn_sim_clock_advance(&sim->clock, ms * 50000);
        simnode_settle(sim);
    }
}

/* Nothing is left of timers and messages. */
static void all_is_over(struct simnode *sim)
{
    assert_int_equal(metric(sim, "cairn_timers_pending"), 0);
    assert_int_equal(metric(sim, "cairn_messages_waiting"), 0);
    assert_int_equal(metric(sim, "cairn_messages_dead"), 0);
    assert_int_equal(metric(sim, "cairn_message_bytes"), 0);
}

static void they_fire_once_when_due(void **state)
{
    (void)state;
    for (uint32_t workers = 1; workers <= 3; workers++) {
        struct simnode sim;

        open_node(&sim, workers, workers);
        expect("nil", "a", "in", "x", "60000", "tick", "first");
        expect("nil", "a", "in", "y", "30000", "tick", "second");
        expect("nil", "b", "in", "x", "30000", "tick", "other");
        expect("nil", "a", "at", "z", "1", "tick", "past");
        simnode_settle(&sim);
        expect("[\"past\"]", "a", "got");
        assert_int_equal(metric(&sim, "cairn_timers_pending"), 3);
        let_pass(&sim, 20000);
        expect("1", "a", "count");
        let_pass(&sim, 15000);
        expect("[\"past\", \"second\"]", "a", "got");
        expect("[\"other\"]", "b", "got");
        let_pass(&sim, 40000);
        expect("[\"past\", \"second\", \"first\"]", "a", "got");
        expect("0", "a", "due");
        expect("nil", "c", "at", "x", "12345", "due");
        expect("nil", "a", "in", "again", "1", "again", "5");
        expect("nil", "b", "in", "x", "1", "call_and_wait", "c");
        expect("nil", "b", "in", "y", "1", "as_one", "c");
        expect("nil", "b", "in", "z", "1", "looks");
        let_pass(&sim, 1000);
        expect("[\"12345\"]", "c", "got");
        expect("2", "c", "count");
        expect("13", "b", "count");
        expect("8", "a", "count");
        assert_int_equal(metric(&sim, "cairn_timers_set_total"), 13);
        assert_int_equal(metric(&sim, "cairn_timers_fired_total"), 13);
        all_is_over(&sim);
        simnode_done(&sim);
    }
}

static void what_was_taken_back_does_not_run(void **state)
{
    struct simnode sim;

    (void)state;
    open_node(&sim, 4, 2);
    expect("nil", "a", "in", "x", "1000", "tick", "cancelled");
    expect("1", "a", "cancel", "x");
    expect("0", "a", "cancel", "x");
    expect("0", "none", "cancel", "x");
    expect("nil", "a", "in", "y", "1000", "tick", "replaced");
    expect("nil", "a", "in", "y", "90000", "tick", "kept");
    expect("nil", "a", "in", "kept", "3000", "tick", "kept too");
    expect("!failed...", "a", "set_then_fail");
    expect("!not_read_only...", "a", "read_sets");
    expect("!trap...", "a", "long_name");
    expect("!unknown_method...", "a", "in", "x", "1", "no_such_method");
    expect("nil", "b", "in", "x", "1000", "tick");
    expect("nil", "b", "drop");
    expect("nil", "c", "set_then_drop");
    expect("nil", "d", "set_then_cancel");
    let_pass(&sim, 60000);
    expect("[\"kept too\"]", "a", "got");
    expect("0", "b", "count");
    expect("0", "c", "count");
    expect("1", "d", "count");
    let_pass(&sim, 60000);
    expect("[\"kept too\", \"kept\"]", "a", "got");
    /* One that another one cancels in the moment in which both are due: both stand in the line already. */
    expect("nil", "e", "at", "x", "1", "cancels", "y");
    expect("nil", "e", "at", "y", "2", "tick");
    let_pass(&sim, 1000);
    assert_in_range(metric(&sim, "cairn_timers_pending"), 0, 0);
    all_is_over(&sim);
    simnode_done(&sim);
}

/* Timers of a moment: what the first does to the second, and to its object, counts. */
static void one_that_is_due_can_be_taken_back(void **state)
{
    struct simnode sim;

    (void)state;
    open_node(&sim, 5, 1);
    expect("nil", "e", "in", "x", "100", "cancels", "y");
    expect("nil", "e", "in", "y", "100", "tick");
    expect("nil", "f", "in", "x", "100", "drop");
    expect("nil", "f", "in", "y", "100", "tick");
    cairn_sim_clock_advance(&sim.clock, 3000000000); /* both are overdue when the node looks */
    let_pass(&sim, 1000);
    expect("1", "e", "count");
    expect("0", "f", "count");
    all_is_over(&sim);
    simnode_done(&sim);
}

/* Those overdue fire once, in the order due, after a stop. */
static void the_overdue_fire_in_order(void **state)
{
    struct simnode sim;

    (void)state;
    open_node(&sim, 6, 2);
    for (int i = 0; i < 9; i++) {
        char name[8], ms[8];

        snprintf(name, sizeof name, "%d", i * 7 % 9);
        snprintf(ms, sizeof ms, "%d", 1000 + 100 * (i * 7 % 9));
        expect("nil", "a", "in", name, ms, "tick", name);
    }
    simnode_crash(&sim, CAIRN_SIM_DROP);
    cairn_sim_clock_advance(&sim.clock, 3600000000000);
    reopen(&sim);
    let_pass(&sim, 1000);
    expect("[\"0\", \"1\", \"2\", \"3\", \"4\", \"5\", \"6\", \"7\", \"8\"]", "a", "got");
    all_is_over(&sim);
    simnode_done(&sim);
}

static uint64_t count_all(struct simnode *sim, int objects)
{
    uint64_t all = 0;

    for (int i = 0; i < objects; i++) {
        struct simcall call;
        char id[16];

        snprintf(id, sizeof id, "o%d", i);
        simcall_init(&call, CAIRN_OP_INVOKE, "Alarm", id, "count", NULL);
        simcall_run(sim, &call);
        all += strtoull(simvalue_text(cairn_buf_bytes(&call.reply)), NULL, 10);
        simcall_done(&call);
    }
    return all;
}

/* Chains of timers and timers in heaps, cut by a crash after every few steps. */
static void each_fires_once_over_crashes(void **state)
{
    enum { OBJECTS = 6, LINKS = 20, HEAP = 40 };
    static const enum cairn_sim_crash how[] = {CAIRN_SIM_DROP, CAIRN_SIM_KEEP, CAIRN_SIM_TEAR};

    (void)state;
    for (uint64_t seed = 1; seed <= 6; seed++) {
        struct simnode_options options = {.workers = 1 + (uint32_t)seed % 3,
                                          .shards = 4,
                                          .streams = seed % 4 == 0,
                                          .engine = seed % 3 == 0 ? "hybridlog" : NULL};
        struct simnode sim;

        open_with(&sim, seed, &options);
        for (int i = 0; i < OBJECTS; i++) {
            char id[16];

            snprintf(id, sizeof id, "o%d", i);
            expect("nil", id, "in", "again", "1", "again", "20");
            expect("nil", id, "many", "40", "30", "tick");
        }
        for (int crash = 0; crash < 8; crash++) {
            for (uint64_t steps = (seed * 29 + (uint64_t)crash * 97) % 500; steps > 0; steps--)
                simnode_step(&sim);
            simnode_crash(&sim, how[crash % 3]);
            reopen(&sim);
        }
        let_pass(&sim, 10000);
        all_is_over(&sim);
        assert_int_equal(count_all(&sim, OBJECTS), OBJECTS * (LINKS + HEAP));
        simnode_done(&sim);
    }
}

/* Call n to the disk fails, for every n until none does: the node stops, and each timer has fired once in the end. */
static void each_fires_once_whichever_call_fails(void **state)
{
    enum { TIMERS = 12, LINKS = 5 };
    bool fired = true;
    int64_t n;

    (void)state;
    for (n = 0; fired; n++) {
        struct simnode_options options = {.workers = 1, .shards = 2};
        struct simnode sim;

        open_with(&sim, 70, &options);
        expect("nil", "o0", "in", "again", "200", "again", "5");
        expect("nil", "o1", "many", "12", "300", "tick");
        cairn_sim_disk_fail_call(sim.disk, n, CAIRN_EIO);
        for (int steps = 0; steps < 1500 && !sim.log_failed; steps++) {
            cairn_sim_clock_advance(&sim.clock, 400000);
            simnode_step(&sim);
        }
        fired = cairn_sim_disk_fired(sim.disk);
        simnode_crash(&sim, n % 2 ? CAIRN_SIM_DROP : CAIRN_SIM_KEEP);
        cairn_sim_disk_fail_call(sim.disk, -1, CAIRN_OK);
        reopen(&sim);
        let_pass(&sim, 20000);
        assert_int_equal(count_all(&sim, 2), TIMERS + LINKS);
        all_is_over(&sim);
        simnode_done(&sim);
    }
    assert_true(n > 10);
}

static void failures_are_tried_again(void **state)
{
    struct simnode sim;

    (void)state;
    open_node(&sim, 7, 2);
    expect("nil", "a", "in", "x", "10", "trap_until", "3");
    expect("nil", "b", "in", "x", "10", "trap_until", "3");
    expect("nil", "c", "in", "x", "10", "refuse");
    let_pass(&sim, 500);
    expect("0", "a", "count");
    assert_int_equal(metric(&sim, "cairn_timers_pending"), 2);
    assert_int_equal(metric(&sim, "cairn_messages_dead"), 1);
    expect("1", "b", "cancel", "x"); /* between two attempts */
    expect("nil", "a", "in", "y", "1", "tick");
    simnode_crash(&sim, CAIRN_SIM_DROP);
    reopen(&sim);
    let_pass(&sim, 20000);
    expect("2", "a", "count");
    expect("0", "b", "count");
    expect("0", "c", "count");
    assert_int_equal(metric(&sim, "cairn_timers_pending"), 0);
    assert_int_equal(metric(&sim, "cairn_messages_waiting"), 0);
    assert_int_equal(metric(&sim, "cairn_messages_dead"), 1);
    simnode_done(&sim);
}

/* Messages have no room: timers wait for it. */
static void messages_without_room_keep_none_away(void **state)
{
    struct simnode_options options = {.workers = 2, .shards = 4, .limits = {.message_bytes = 4000}};
    struct simnode sim;

    (void)state;
    open_with(&sim, 8, &options);
    expect("nil", "o0", "many", "200", "10", "tick");
    let_pass(&sim, 5000);
    assert_int_equal(count_all(&sim, 1), 200);
    all_is_over(&sim);
    simnode_done(&sim);
}

static void transactions_set_timers(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 3; seed++) {
        struct simnode sim;

        open_node(&sim, 20 + seed, 2);
        expect("nil", "o0", "set_all", "o0", "o1", "o2", "o3", "o1");
        expect("!failed...", "o0", "set_all", "o4", "o5", "o3", "fail");
        simnode_settle(&sim); /* all shards have applied it */
        assert_int_equal(metric(&sim, "cairn_timers_pending"), 4);
        for (uint64_t steps = seed * 40; steps > 0; steps--)
            simnode_step(&sim);
        simnode_crash(&sim, CAIRN_SIM_KEEP);
        reopen(&sim);
        let_pass(&sim, 100000);
        assert_int_equal(count_all(&sim, 6), 4);
        all_is_over(&sim);
        simnode_done(&sim);
    }
}

static void the_wall_is(struct simnode *sim, const char *text)
{
    struct tm tm = {0};

    assert_non_null(strptime(text, "%Y-%m-%d %H:%M:%S", &tm));
    sim->clock.wall_offset_ms = (uint64_t)timegm(&tm) * 1000 - sim->clock.now_ns / 1000000;
}

static void open_at(struct simnode *sim, uint64_t seed, const struct cairn_zones *zones, const char *wall)
{
    struct simnode_options options = {.workers = 2, .shards = 4, .zones = zones};

    simnode_init(sim, seed, &options);
    the_wall_is(sim, wall);
    reopen(sim);
    simnode_deploy(sim, "alarm");
}

/* The node is gone, and time goes on. */
static void stop_for(struct simnode *sim, uint64_t ms)
{
    simnode_crash(sim, CAIRN_SIM_DROP);
    cairn_sim_clock_advance(&sim->clock, ms * 1000000);
    reopen(sim);
}

/* What a method says. */
static const char *ask(struct simnode *sim, const char *id, const char *method)
{
    static char text[1024];
    struct simcall call;

    simcall_init(&call, CAIRN_OP_INVOKE, "Alarm", id, method, NULL);
    simcall_run(sim, &call);
    snprintf(text, sizeof text, "%s", simvalue_text(cairn_buf_bytes(&call.reply)));
    simcall_done(&call);
    return text;
}

static long long number_of(struct simnode *sim, const char *id, const char *method)
{
    return strtoll(ask(sim, id, method), NULL, 10);
}

/* So many milliseconds of the node's time, which is slower or faster than the simulated one whenever somebody sets the
 * wall clock. */
static void node_passes(struct simnode *sim, long long ms)
{
    long long end = number_of(sim, "now", "now") + ms, left = ms;

    for (; left > 0; left = end - number_of(sim, "now", "now")) {
        long long step = left > ms / 20 ? ms / 20 : left;

        cairn_sim_clock_advance(&sim->clock, (uint64_t)(step > 0 ? step : 1) * 1000000);
        simnode_settle(sim);
    }
}

static void periods_repeat_and_skip_what_they_missed(void **state)
{
    long long due[4] = {0}, missed[4] = {0}, begin;
    struct simnode sim;
    const char *at;

    (void)state;
    open_at(&sim, 31, NULL, "2026-01-01 00:00:00");
    expect("!bad_request...", "a", "every", "x", "0", "tick");
    expect("!bad_request...", "a", "every", "x", "-5", "tick");
    expect("!not_deterministic...", "a", "fixed_every");
    begin = number_of(&sim, "a", "now");
    expect("nil", "a", "every", "x", "60000", "tell");
    node_passes(&sim, 60500);
    assert_int_equal(number_of(&sim, "a", "count"), 1);
    node_passes(&sim, 60000);
    assert_int_equal(number_of(&sim, "a", "count"), 2);
    stop_for(&sim, 600000);
    node_passes(&sim, 100);
    assert_int_equal(number_of(&sim, "a", "count"), 3); /* once for ten, and in step afterwards */
    node_passes(&sim, 60000);
    assert_int_equal(number_of(&sim, "a", "count"), 4);
    expect("1", "a", "cancel", "x");
    node_passes(&sim, 200000);
    at = ask(&sim, "a", "got");
    for (int i = 0; i < 4; i++) {
        assert_int_equal(sscanf(strchr(at, '"') + 1, "%lld+%lld", &due[i], &missed[i]), 2);
        at = strchr(strchr(at, '"') + 1, '"') + 1;
    }
    assert_null(strchr(at, '+'));
    assert_in_range(due[0] - begin, 60000, 60200);
    assert_int_equal(due[1] - due[0], 60000);
    assert_int_equal(due[2] - due[1], 60000);
    assert_int_equal(missed[0] + missed[1] + missed[3], 0);
    assert_in_range(missed[2], 8, 10);
    assert_int_equal(due[3] - due[2], 60000 * (missed[2] + 1));
    /* A method may cancel its own timer, and set it again. */
    expect("nil", "b", "every", "every", "10", "tick_until", "7");
    node_passes(&sim, 2000);
    assert_int_equal(number_of(&sim, "b", "count"), 7);
    /* One that fails for good goes on. */
    expect("nil", "c", "every", "x", "5000", "refuse");
    node_passes(&sim, 21000);
    assert_in_range(metric(&sim, "cairn_messages_dead"), 3, 5);
    assert_int_equal(metric(&sim, "cairn_timers_pending"), 1);
    expect("1", "c", "cancel", "x");
    /* Nor does one that is tried again pile up. */
    expect("nil", "d", "every", "x", "10", "trap_until", "3");
    node_passes(&sim, 3000);
    assert_int_equal(number_of(&sim, "d", "count"), 0);
    assert_int_equal(metric(&sim, "cairn_messages_waiting"), 1);
    expect("1", "d", "cancel", "x");
    node_passes(&sim, 20000);
    assert_int_equal(metric(&sim, "cairn_timers_pending"), 0);
    assert_int_equal(metric(&sim, "cairn_messages_waiting"), 0);
    simnode_done(&sim);
}

/* In the night in which summer time begins, in a month asleep, at a month's end. */
static void cron_lines_follow_local_time(void **state)
{
    struct cairn_zones *zones = cairn_zones_load(CAIRN_ZONES_FOLDER, 1735689600);
    struct simnode sim;

    (void)state;
    open_at(&sim, 32, zones, "2026-03-28 12:00:00");
    expect("!bad_request...", "a", "cron", "x", "* * * *", "UTC", "tell");
    expect("!bad_request...", "a", "cron", "x", "* * * * *", "Europe/Nowhere", "tell");
    expect("!bad_request...", "a", "cron", "x", "0 0 30 2 *", "UTC", "tell");
    expect("nil", "a", "cron", "x", "30 2 * * *", "Europe/Berlin", "tell");
    expect("nil", "b", "cron", "x", "0 0 31 * *", "", "tell");
    node_passes(&sim, 50 * 3600000);
    /* 02:30 is left out on the 29th: due at 03:00 of summer time, 01:00 UTC; and the next day at 00:30 UTC. */
    expect("[\"1774746000000+0\", \"1774830600000+0\"]", "a", "got");
    expect("1", "a", "cancel", "x");
    stop_for(&sim, 29ull * 86400000);
    node_passes(&sim, 1000);
    expect("[\"1774915200000+0\"]", "b", "got"); /* 31 March */
    expect("nil", "b", "cron", "x", "*/30 * * * *", "Asia/Kolkata", "tick");
    stop_for(&sim, 30ull * 86400000);
    node_passes(&sim, 100);
    assert_int_equal(number_of(&sim, "b", "count"), 2); /* once for the month */
    simnode_done(&sim);
    cairn_zones_free(zones);
}

/* The wall clock is set back and forward by an hour: no timer is lost, doubled or early; the node's time does not
 * jump. */
static void a_clock_that_is_set_moves_no_timer(void **state)
{
    static const int64_t hours[] = {-1, 1};

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct simnode sim;

        open_at(&sim, 40 + i, NULL, "2026-01-01 00:00:00");
        expect("nil", "a", "in", "x", "1800000", "tick");
        expect("nil", "a", "every", "y", "600000", "tell");
        node_passes(&sim, 300000);
        sim.clock.wall_offset_ms += (uint64_t)(hours[i] * 3600000);
        node_passes(&sim, 100000);
        assert_int_equal(number_of(&sim, "a", "count"), 0);
        node_passes(&sim, 400000); /* 800 s */
        assert_int_equal(number_of(&sim, "a", "count"), 1);
        node_passes(&sim, 1200000); /* 2,000 s: three of y, one of x */
        assert_int_equal(number_of(&sim, "a", "count"), 4);
        /* Accepted: forward at once, and back by and by. */
        assert_true(cairn_timekeeper_accept(sim.keeper));
        node_passes(&sim, 60000);
        assert_int_equal(number_of(&sim, "a", "count"), i ? 5 : 4);
        stop_for(&sim, 1000);
        node_passes(&sim, 1000);
        assert_int_equal(number_of(&sim, "a", "count"), i ? 5 : 4);
        assert_int_equal(metric(&sim, "cairn_timers_pending"), 1);
        simnode_done(&sim);
    }
}

static void operate(struct simnode *sim, enum cairn_op op, const char *id, uint64_t version, const char *want)
{
    struct simcall call;

    simcall_init(&call, op, "Alarm", id, NULL, NULL);
    call.request.number = version;
    simcall_run(sim, &call);
    assert_string_equal(simvalue_text(cairn_buf_bytes(&call.reply)), want);
    simcall_done(&call);
}

/* A rolled-back object has the timers that it had, those that have fired since and those that were cancelled; not those
 * that it has set since.  Crashes on the way leave nothing. */
static void restoring_an_object_takes_its_timers_back(void **state)
{
    (void)state;
    for (int crash = 0; crash < 2; crash++) {
        struct simnode_options options = {.workers = 2, .shards = 4, .engine = "hybridlog"};
        struct simnode sim;

        open_with(&sim, 50, &options);
        expect("nil", "a", "in", "fires", "60000", "tick", "once");
        expect("nil", "a", "in", "goes", "7000000", "tick", "twice");
        expect("nil", "b", "in", "fires", "60000", "tick", "other");
        expect("nil", "a", "many", "1000", "5000000", "tick");
        operate(&sim, CAIRN_OP_SNAPSHOT, "a", 0, "1");
        node_passes(&sim, 100000);
        assert_int_equal(number_of(&sim, "a", "count"), 1);
        expect("1", "a", "cancel", "goes");
        expect("nil", "a", "in", "late", "3000000", "tick", "never");
        for (int attempt = 0; crash && attempt < 3; attempt++) {
            struct simcall call;

            simcall_init(&call, CAIRN_OP_RESTORE, "Alarm", "a", NULL, NULL);
            call.request.number = 1;
            simcall_submit(&sim, &call, 0);
            for (int steps = 0; steps < 20 + 20 * attempt && !call.replied; steps++)
                simnode_step(&sim);
            simnode_crash(&sim, CAIRN_SIM_KEEP);
            simcall_done(&call);
            reopen(&sim);
            simnode_settle(&sim);
        }
        operate(&sim, CAIRN_OP_RESTORE, "a", 1, "1");
        simnode_settle(&sim);
        node_passes(&sim, 1000); /* one that is overdue fires again: what it did is undone */
        assert_string_equal(ask(&sim, "a", "got"), "[\"once\"]");
        assert_int_equal(metric(&sim, "cairn_timers_pending"), 1001);
        node_passes(&sim, 8000000);
        assert_string_equal(ask(&sim, "a", "got"), "[\"once\", \"twice\"]");
        assert_int_equal(number_of(&sim, "a", "count"), 1002);
        assert_int_equal(number_of(&sim, "b", "count"), 1);
        all_is_over(&sim);
        simnode_done(&sim);
    }
}

/* All pages of a list, one timer per line; how many there are. */
static uint64_t list(struct simnode *sim, const char *type, const char *id, uint32_t limit, struct cairn_buf *to)
{
    struct cairn_buf cursor = {0};
    uint64_t count = 0;

    to->size = 0;
    do {
        struct simcall call;
        struct cairn_reader r;
        struct cairn_value next;

        simcall_init(&call, CAIRN_OP_TIMERS, type, id, NULL, NULL);
        call.request.cursor = cairn_buf_bytes(&cursor);
        call.request.limit = limit;
        simcall_run(sim, &call);
        r = cairn_reader(cairn_buf_bytes(&call.reply));
        assert_int_equal(cairn_value_read(&r).count, 2);
        for (uint64_t left = cairn_value_read(&r).count; left > 0; left--, count++) {
            const uint8_t *from = r.at;

            for (uint64_t values = 1; values > 0 && !r.bad; values--)
                values += cairn_value_read(&r).count;
            cairn_buf_str(to, simvalue_text(cairn_bytes(from, (size_t)(r.at - from))));
            cairn_buf_u8(to, '\n');
        }
        next = cairn_value_read(&r);
        assert_false(r.bad);
        cursor.size = 0;
        cairn_buf_add(&cursor, next.bytes.data, next.bytes.size);
        simcall_done(&call);
    } while (cursor.size);
    cairn_buf_u8(to, 0);
    cairn_buf_done(&cursor);
    return count;
}

#define has(text, part)                                                 \
    do {                                                                \
        if (!strstr((const char *)(text), part))                        \
            fail_msg("'%s' is not in: %s", part, (const char *)(text)); \
    } while (0)

static void they_are_listed(void **state)
{
    struct cairn_buf items = {0};
    struct simnode sim;

    (void)state;
    open_at(&sim, 60, NULL, "2026-01-01 00:00:00");
    assert_int_equal(list(&sim, NULL, NULL, 0, &items), 0);
    expect("nil", "a", "at", "once", "99000000000000", "tick", "argument");
    expect("nil", "a", "every", "often", "86400000", "tick");
    expect("nil", "b", "cron", "daily", "0 0 * * *", "", "tell");
    expect("nil", "c", "many", "700", "86400000", "tick");
    expect("nil", "d", "in", "gone", "86400000", "tick");
    expect("nil", "d", "drop");
    assert_int_equal(list(&sim, NULL, NULL, 0, &items), 703);
    assert_int_equal(list(&sim, "Alarm", NULL, 0, &items), 703);
    assert_int_equal(list(&sim, "Alarm", NULL, 650, &items), 650);
    assert_int_equal(list(&sim, "Other", NULL, 0, &items), 0);
    assert_int_equal(list(&sim, "Alarm", "c", 0, &items), 700);
    has(items.data, "\"c\", \"t699\", \"pending\"");
    assert_int_equal(list(&sim, "Alarm", "nobody", 0, &items), 0);
    assert_int_equal(list(&sim, "Alarm", "a", 0, &items), 2);
    has(items.data, "[\"Alarm\", \"a\", \"once\", \"pending\", 99000000000000, \"once\", 0, \"\", \"\", \"tick\", 12]");
    has(items.data, "\"every\", 86400000, \"\", \"\", \"tick\", 0]");
    assert_int_equal(list(&sim, "Alarm", "b", 0, &items), 1);
    has(items.data, "\"cron\", 0, \"0 0 * * *\", \"UTC\", \"tell\", 0]");
    expect("nil", "b", "at", "daily", "1", "trap_until", "9");
    simnode_settle(&sim);
    assert_int_equal(list(&sim, "Alarm", "b", 0, &items), 1);
    has(items.data, "\"daily\", \"fired\", 1, \"once\"");
    cairn_buf_done(&items);
    simnode_done(&sim);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(they_fire_once_when_due),
        cmocka_unit_test(what_was_taken_back_does_not_run),
        cmocka_unit_test(one_that_is_due_can_be_taken_back),
        cmocka_unit_test(the_overdue_fire_in_order),
        cmocka_unit_test(each_fires_once_over_crashes),
        cmocka_unit_test(each_fires_once_whichever_call_fails),
        cmocka_unit_test(failures_are_tried_again),
        cmocka_unit_test(messages_without_room_keep_none_away),
        cmocka_unit_test(transactions_set_timers),
        cmocka_unit_test(periods_repeat_and_skip_what_they_missed),
        cmocka_unit_test(cron_lines_follow_local_time),
        cmocka_unit_test(a_clock_that_is_set_moves_no_timer),
        cmocka_unit_test(restoring_an_object_takes_its_timers_back),
        cmocka_unit_test(they_are_listed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
