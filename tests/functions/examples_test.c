/* Catches examples that do not do what their comments and the guide say: followers who miss a post, timelines that
 * are out of order or too long, blocked users who still get posts, money that appears or vanishes, half a trip. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "support/simnode.h"

static struct simnode sim;

static void open_with(const char *module, uint64_t seed)
{
    struct cairn_err err;

    simnode_init(&sim, seed, NULL);
    if (simnode_open(&sim, &err) != CAIRN_OK)
        fail_msg("%s", err.text);
    simnode_deploy(&sim, module);
}

#define USER(want, id, ...)     simnode_expect(&sim, want, "User", id, __VA_ARGS__, NULL)
#define ACCOUNT(want, id, ...)  simnode_expect(&sim, want, "Account", id, __VA_ARGS__, NULL)
#define REGISTER(want, id, ...) simnode_expect(&sim, want, "Register", id, __VA_ARGS__, NULL)
#define COUNTER(want, id, ...)  simnode_expect(&sim, want, "Counter", id, __VA_ARGS__, NULL)

/* The texts of a timeline or of posts, oldest last, e.g. "c b a". */
static const char *texts(const char *id, const char *method, const char *count)
{
    static char out[4096];
    struct simcall call;
    struct cairn_reader r;
    uint64_t entries;
    size_t used = 0;

    simcall_init(&call, CAIRN_OP_INVOKE, "User", id, method, count, NULL);
    simcall_run(&sim, &call);
    r = cairn_reader(cairn_buf_bytes(&call.reply));
    entries = cairn_value_read(&r).count;
    out[0] = 0;
    for (uint64_t i = 0; i < entries; i++) {
        struct cairn_bytes text;

        assert_int_equal(cairn_value_read(&r).count, 3);
        assert_int_equal(cairn_value_read(&r).kind, CAIRN_VALUE_BYTES); /* author */
        assert_int_equal(cairn_value_read(&r).kind, CAIRN_VALUE_INT);   /* when */
        text = cairn_value_read(&r).bytes;
        used += (size_t)snprintf(out + used, sizeof out - used, "%s%.*s", i ? " " : "", (int)text.size,
                                 (const char *)text.data);
    }
    assert_false(r.bad);
    simcall_done(&call);
    return out;
}

static void followers_get_posts(void **state)
{
    (void)state;
    open_with("retwis", 1);
    USER("nil", "alice", "create", "Alice");
    USER("\"Alice\"", "alice", "profile");
    USER("nil", "nobody", "profile");
    USER("0", "alice", "post", "first"); /* nobody follows yet */
    USER("1", "bob", "follow", "alice");
    USER("1", "carol", "follow", "alice");
    USER("1", "carol", "follow", "alice"); /* twice is once */
    USER("2", "alice", "post", "second");
    USER("1", "bob", "unfollow", "alice");
    USER("0", "bob", "unfollow", "alice");
    USER("1", "alice", "post", "third");
    assert_string_equal(texts("alice", "posts", "10"), "third second first");
    assert_string_equal(texts("alice", "timeline", "10"), "third second first");
    assert_string_equal(texts("alice", "timeline", "2"), "third second");
    assert_string_equal(texts("bob", "timeline", "10"), "second");
    assert_string_equal(texts("carol", "timeline", "10"), "third second");
    USER("[]", "alice", "timeline", "0");
    USER("!bad_argument...", "alice", "timeline", "-1");
    USER("!bad_argument...", "alice", "timeline", "ten");
    USER("!bad_argument...", "alice", "follow", "alice");
    USER("!bad_argument...", "alice", "post");
    USER("!not_public...", "bob", "deliver", "forged");
    USER("!not_public...", "bob", "add_follower", "eve");
    simnode_done(&sim);
}

static void timelines_keep_a_hundred(void **state)
{
    char text[16];
    struct simcall call;
    struct cairn_reader r;

    (void)state;
    open_with("retwis", 2);
    USER("1", "bob", "follow", "alice");
    for (int i = 0; i < 130; i++) {
        snprintf(text, sizeof text, "%d", i);
        USER("1", "alice", "post", text);
    }
    simcall_init(&call, CAIRN_OP_INVOKE, "User", "bob", "timeline", "1000", NULL);
    simcall_run(&sim, &call);
    r = cairn_reader(cairn_buf_bytes(&call.reply));
    assert_int_equal(cairn_value_read(&r).count, 100);
    simcall_done(&call);
    simcall_init(&call, CAIRN_OP_INVOKE, "User", "alice", "posts", "1000", NULL);
    simcall_run(&sim, &call);
    r = cairn_reader(cairn_buf_bytes(&call.reply));
    assert_int_equal(cairn_value_read(&r).count, 130); /* one's own posts are all kept */
    simcall_done(&call);
    assert_string_equal(texts("bob", "timeline", "3"), "129 128 127");
    simnode_done(&sim);
}

/* Beyond what one segment may call, and on both sides of where a post begins to go out in parts. */
static void many_followers_get_posts(void **state)
{
    static const int posts_at[] = {999, 1000, 1001, 2000, 5001, 10000};
    size_t next = 0;
    char id[16], count[16];

    (void)state;
    open_with("retwis", 6);
    for (int n = 1; n <= 10000; n++) {
        snprintf(id, sizeof id, "fan%d", n);
        USER("1", id, "follow", "star");
        if (n != posts_at[next])
            continue;
        next++;
        snprintf(count, sizeof count, "%d", n);
        USER(count, "star", "post", count);
    }
    assert_int_equal(next, sizeof posts_at / sizeof posts_at[0]);
    for (int n = 1; n <= 10000; n++) { /* everybody got, once, what was posted since they began to follow */
        char want[64] = "";

        for (size_t i = next; i-- > 0;)
            if (n <= posts_at[i])
                snprintf(want + strlen(want), sizeof want - strlen(want), "%s%d", *want ? " " : "", posts_at[i]);
        snprintf(id, sizeof id, "fan%d", n);
        assert_string_equal(texts(id, "timeline", "10"), want);
    }
    simnode_done(&sim);
}

static void blocked_users_get_nothing(void **state)
{
    (void)state;
    open_with("retwis", 3);
    USER("1", "bob", "follow", "alice");
    USER("1", "alice", "post", "before");
    USER("nil", "alice", "block", "bob");
    USER("0", "alice", "post", "after");
    USER("!blocked...", "bob", "follow", "alice");
    USER("0", "bob", "unfollow", "alice"); /* the refused one was taken back */
    USER("0", "alice", "post", "still");
    assert_string_equal(texts("bob", "timeline", "10"), "before");
    simnode_done(&sim);
}

static void money_stays(void **state)
{
    static const char *const most = "4611686018427387903";

    (void)state;
    open_with("bank", 4);
    ACCOUNT("0", "a", "balance");
    ACCOUNT("100", "a", "deposit", "100");
    ACCOUNT("70", "a", "withdraw", "30");
    ACCOUNT("!insufficient...", "a", "withdraw", "71");
    ACCOUNT("!bad_amount...", "a", "deposit", "0");
    ACCOUNT("!bad_amount...", "a", "deposit", "-5");
    ACCOUNT("!bad_argument...", "a", "deposit", "much");
    ACCOUNT("!not_public...", "a", "credit", "1000");
    ACCOUNT("50", "a", "transfer", "b", "20");
    ACCOUNT("20", "b", "balance");
    ACCOUNT("!insufficient...", "a", "transfer", "b", "51");
    ACCOUNT("50", "a", "balance");
    ACCOUNT("45", "a", "transfer", "a", "5"); /* to itself: what the debit left, then credited */
    ACCOUNT("50", "a", "balance");
    ACCOUNT(most, "full", "deposit", most);
    ACCOUNT("!too_much...", "full", "deposit", "1");
    ACCOUNT("!refunded...", "a", "transfer", "full", "50"); /* and put back */
    ACCOUNT("50", "a", "balance");
    ACCOUNT(most, "full", "balance");
    ACCOUNT("49", "a", "move", "b", "1");
    ACCOUNT("21", "b", "balance");
    ACCOUNT("70", "a", "total", "b");
    ACCOUNT("!refused...", "a", "move", "full", "5");
    ACCOUNT("!insufficient...", "a", "move", "b", "50");
    ACCOUNT("49", "a", "balance"); /* undone: nothing had to be put back */
    ACCOUNT(most, "full", "balance");
    simnode_done(&sim);
}

static void registers_and_counters(void **state)
{
    (void)state;
    open_with("register", 5);
    REGISTER("0", "r", "get");
    REGISTER("0", "r", "set", "5");
    REGISTER("5", "r", "set", "-7");
    REGISTER("1", "r", "cas", "-7", "8");
    REGISTER("0", "r", "cas", "-7", "9");
    REGISTER("10", "r", "add", "2");
    REGISTER("10", "r", "get");
    REGISTER("9223372036854775807", "max", "add", "9223372036854775807");
    REGISTER("-9223372036854775808", "max", "add", "1");
    COUNTER("1", "c", "add");
    COUNTER("4", "c", "add", "3");
    COUNTER("4", "c", "get");
    simnode_done(&sim);
}

#define BOARD(want, ...) simnode_expect(&sim, want, "Board", "b", __VA_ARGS__, NULL)

static void leaders_keeps_ranks(void **state)
{
    (void)state;
    open_with("leaders", 9);
    BOARD("nil", "rank", "ann");
    BOARD("[]", "top");
    BOARD("!not_found...", "neighbours", "ann");
    BOARD("1", "score", "ann", "10");
    BOARD("1", "score", "bob", "20");
    BOARD("3", "score", "cid", "-5");
    BOARD("3", "score", "dan", "10"); /* as many as ann, behind her */
    BOARD("3", "rank", "dan");
    BOARD("[[\"bob\", 20], [\"ann\", 10], [\"dan\", 10], [\"cid\", -5]]", "top");
    BOARD("[[\"bob\", 20], [\"ann\", 10]]", "top", "2");
    BOARD("1", "add", "cid", "30");
    BOARD("[[\"cid\", 25], [\"bob\", 20]]", "neighbours", "cid", "1");
    BOARD("[[\"bob\", 20], [\"ann\", 10], [\"dan\", 10]]", "neighbours", "ann", "1");
    BOARD("[[\"ann\", 10], [\"dan\", 10]]", "neighbours", "dan", "1");
    BOARD("1", "leave", "bob");
    BOARD("0", "leave", "bob");
    BOARD("3", "players");
    BOARD("[[\"cid\", 25], [\"ann\", 10], [\"dan\", 10]]", "top", "1000");
    BOARD("!bad_argument...", "add", "cid", "9223372036854775807");
    BOARD("!bad_argument...", "score", "", "1");
    BOARD("1", "rank", "cid");
    simnode_done(&sim);
}

static void a_trip_is_all_or_nothing(void **state)
{
    struct simcall call;
    struct cairn_err err;

    (void)state;
    open_with("trip", 9);
    simnode_expect(&sim, "nil", "Flight", "LH1", "offer", "2", NULL);
    simnode_expect(&sim, "nil", "Hotel", "Ritz", "offer", "1", NULL);
    simnode_expect(&sim, "\"booked\"", "Trip", "t1", "book", "LH1", "Ritz", NULL);
    simnode_expect(&sim, "!booked_before...", "Trip", "t1", "book", "LH1", "Ritz", NULL);
    simnode_expect(&sim, "\"sold_out\"", "Trip", "t2", "book", "LH1", "Ritz", NULL);
    simnode_expect(&sim, "1", "Flight", "LH1", "left", NULL); /* given back */
    simnode_expect(&sim, "\"failed\"", "Trip", "t2", "state", NULL);
    simnode_expect(&sim, "nil", "Hotel", "Ritz", "offer", "1", NULL);
    simcall_init(&call, CAIRN_OP_INVOKE, "Trip", "t3", "book", "LH1", "Ritz", NULL);
    simcall_key(&call, "k");
    simcall_submit(&sim, &call, 0);
    for (int i = 0; i < 60; i++)
        simnode_step(&sim);
    simnode_crash(&sim, CAIRN_SIM_KEEP);
    if (simnode_open(&sim, &err) != CAIRN_OK)
        fail_msg("%s", err.text);
    simcall_run(&sim, &call);
    assert_string_equal(simvalue_text(cairn_buf_bytes(&call.reply)), "\"booked\"");
    simnode_expect(&sim, "0", "Flight", "LH1", "left", NULL);
    simnode_expect(&sim, "0", "Hotel", "Ritz", "left", NULL);
    simcall_done(&call);
    simnode_done(&sim);
}

#define DAYS(want, ...) simnode_expect(&sim, want, "Days", "g", __VA_ARGS__, NULL)

/* Board by day: midnight begins a new one, and days on which the node was stopped count. */
static void leaders_begins_days(void **state)
{
    struct cairn_err err;

    (void)state;
    open_with("leaders", 10);
    DAYS("!not_open...", "add", "ann", "1");
    DAYS("!bad_request...", "open", "Europe/Nowhere");
    DAYS("nil", "open");
    DAYS("\"g:1\"", "today");
    DAYS("1", "add", "ann", "10");
    DAYS("1", "add", "bob", "20");
    DAYS("!bad_argument...", "add", "", "1");
    cairn_sim_clock_advance(&sim.clock, 24ull * 3600 * 1000000000);
    simnode_settle(&sim);
    DAYS("\"g:2\"", "today");
    DAYS("1", "add", "ann", "5");
    simnode_expect(&sim, "[[\"bob\", 20], [\"ann\", 10]]", "Board", "g:1", "top", NULL);
    simnode_expect(&sim, "[[\"ann\", 5]]", "Board", "g:2", "top", NULL);
    DAYS("nil", "open"); /* again: nothing else than before */
    DAYS("\"g:2\"", "today");
    simnode_crash(&sim, CAIRN_SIM_DROP);
    cairn_sim_clock_advance(&sim.clock, 72ull * 3600 * 1000000000);
    if (simnode_open(&sim, &err) != CAIRN_OK)
        fail_msg("%s", err.text);
    simnode_settle(&sim);
    DAYS("\"g:5\"", "today");
    simnode_done(&sim);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_trip_is_all_or_nothing),  cmocka_unit_test(followers_get_posts),
        cmocka_unit_test(timelines_keep_a_hundred),  cmocka_unit_test(many_followers_get_posts),
        cmocka_unit_test(blocked_users_get_nothing), cmocka_unit_test(money_stays),
        cmocka_unit_test(registers_and_counters),    cmocka_unit_test(leaders_keeps_ranks),
        cmocka_unit_test(leaders_begins_days),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
