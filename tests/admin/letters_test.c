/* Would catch: messages that wait or are dead and are not listed, or twice, or in another namespace; a page that ends
 * early for good; a dead letter that does not tell its error, attempts and effects; one that is tried again and is lost
 * or runs twice, by itself or with all, over crashes; one that was dropped and is still there, or counted, also behind
 * others for its object, or without a type. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "object/messages.h"
#include "object/worker.h"
#include "support/metric.h"
#include "support/simnode.h"

static void open_node(struct simnode *sim, uint64_t seed, const struct simnode_options *options)
{
    struct cairn_err err;

    simnode_init(sim, seed, options);
    if (simnode_open(sim, &err) != CAIRN_OK)
        fail_msg("%s", err.text);
    simnode_deploy(sim, "mail");
}

/* All pages of a list, one item per line; how many there are. */
static uint64_t list(struct simnode *sim, bool dead, const char *type, const char *id, struct cairn_buf *to)
{
    struct cairn_buf cursor = {0};
    uint64_t count = 0;

    to->size = 0;
    do {
        struct simcall call;
        struct cairn_reader r;
        struct cairn_value next;

        simcall_init(&call, CAIRN_OP_MESSAGES, type, id, NULL, NULL);
        call.request.dead = dead;
        call.request.cursor = cairn_buf_bytes(&cursor);
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

/* The number, in text, of the first item. */
static void first_number(const struct cairn_buf *items, char to[48])
{
    const char *from = strchr((const char *)items->data, '"') + 1;

    snprintf(to, 48, "%.*s", (int)strcspn(from, "\""), from);
}

static const char *ask(struct simnode *sim, enum cairn_op op, const char *number)
{
    static char text[2048];
    struct simcall call;

    simcall_init(&call, op, NULL, NULL, NULL, NULL);
    call.request.name = number ? cairn_str(number) : cairn_bytes(NULL, 0);
    simcall_run(sim, &call);
    snprintf(text, sizeof text, "%s", simvalue_text(cairn_buf_bytes(&call.reply)));
    simcall_done(&call);
    return text;
}

#define expect(want, ...) simnode_expect(&sim, want, "Mail", __VA_ARGS__, NULL)
#define has(text, part)                                                 \
    do {                                                                \
        if (!strstr((const char *)(text), part))                        \
            fail_msg("'%s' is not in: %s", part, (const char *)(text)); \
    } while (0)

static void what_is_told_of_them(void **state)
{
    struct simnode_options options = {.workers = 2, .shards = 4};
    struct cairn_buf items = {0};
    struct simnode sim;
    char number[48];
    const char *one;

    (void)state;
    open_node(&sim, 1, &options);
    expect("nil", "a", "send_after", "60000", "add", "b", "1");
    expect("nil", "a", "send_abroad", "Late", "l", "take");
    expect("nil", "a", "send_after", "0", "trap_until", "t", "99");
    simnode_settle(&sim);
    assert_int_equal(list(&sim, false, NULL, NULL, &items), 3);
    has(items.data, "\"later\", \"Mail\", \"b\", \"add\", \"Mail\", \"a\"");
    has(items.data, "\"no type\", \"Late\", \"l\", \"take\"");
    has(items.data, "\"later\", \"Mail\", \"t\", \"trap_until\"");
    has(items.data, "[\"99\"]");
    assert_int_equal(list(&sim, false, "Mail", NULL, &items), 2);
    assert_int_equal(list(&sim, false, "Mail", "b", &items), 1);
    first_number(&items, number);
    has(ask(&sim, CAIRN_OP_MESSAGE, number), "\"later\", \"Mail\", \"b\"");
    assert_int_equal(list(&sim, true, NULL, NULL, &items), 0);
    /* Dead letters. */
    expect("nil", "a", "send_after", "0", "call_then_trap", "d", "e");
    expect("nil", "a", "send_after", "0", "refuse", "d", "word");
    simnode_settle(&sim);
    assert_int_equal(list(&sim, true, NULL, NULL, &items), 2);
    assert_int_equal(list(&sim, true, "Mail", "e", &items), 0);
    assert_int_equal(list(&sim, true, "Mail", "d", &items), 2);
    has(items.data, "\"call_then_trap\"");
    has(items.data, "\"some\"");
    has(items.data, "\"refused\", \"on purpose\", \"none\"");
    first_number(&items, number);
    one = ask(&sim, CAIRN_OP_MESSAGE, number);
    has(one, "\"dead\", \"Mail\", \"d\"");
    has(ask(&sim, CAIRN_OP_MESSAGE, "3-999999"), "!not_found");
    has(ask(&sim, CAIRN_OP_MESSAGE, "nonsense"), "!not_found");
    has(ask(&sim, CAIRN_OP_MESSAGE_DROP, "9999-1"), "!not_found");
    cairn_buf_done(&items);
    simnode_done(&sim);
}

/* The number of the last item with that text. */
static bool last_number(const struct cairn_buf *items, const char *with, char to[48])
{
    bool found = false;

    for (const char *line = (const char *)items->data; *line; line = strchr(line, '\n') + 1) {
        const char *at = strstr(line, with), *from = strchr(line, '"') + 1;

        if (!at || at > strchr(line, '\n'))
            continue;
        snprintf(to, 48, "%.*s", (int)strcspn(from, "\""), from);
        found = true;
    }
    return found;
}

static uint64_t side_lines(const struct simnode *sim)
{
    uint64_t sum = 0;

    for (uint32_t i = 0; i < sim->node->shard_count; i++)
        sum += sim->node->workers[i % sim->node->options.workers].shards[i].messages->numbers.sides;
    return sum;
}

/* They are in side lines, which a number does not tell. */
static void behind_others(void **state)
{
    enum { SENT = 600 };
    struct simnode_options options = {.workers = 2, .shards = 4};
    struct cairn_buf items = {0};
    struct simnode sim;
    char number[48], ran[16];
    int dropped = 0;

    (void)state;
    open_node(&sim, 7, &options);
    expect("nil", "a", "flood", "600", "busy", "8");
    for (int steps = 0; steps < 100000 && !side_lines(&sim); steps++)
        simnode_step(&sim);
    assert_true(side_lines(&sim) > 0);
    list(&sim, false, "Mail", "busy", &items);
    while (dropped < 20 && last_number(&items, "\"waits\"", number)) {
        const char *said = ask(&sim, CAIRN_OP_MESSAGE, number);

        if (strstr(said, "\"waits\"")) {
            assert_string_equal(ask(&sim, CAIRN_OP_MESSAGE_DROP, number), "1");
            has(ask(&sim, CAIRN_OP_MESSAGE, number), "!not_found");
            has(ask(&sim, CAIRN_OP_MESSAGE_DROP, number), "!not_found");
            dropped++;
        }
        list(&sim, false, "Mail", "busy", &items);
    }
    assert_true(dropped > 0);
    simnode_settle(&sim);
    snprintf(ran, sizeof ran, "%d", SENT - dropped);
    expect(ran, "busy", "count");
    assert_int_equal(side_lines(&sim), 0);
    /* Of a type that no module has. */
    for (int i = 0; i < 5; i++)
        expect("nil", "a", "send_abroad", "Nothing", "n", "at_all");
    simnode_settle(&sim);
    assert_int_equal(side_lines(&sim), 1);
    for (int left = 5; left > 0; left--) {
        assert_int_equal(list(&sim, false, "Nothing", NULL, &items), left);
        if (left % 2)
            first_number(&items, number);
        else
            assert_true(last_number(&items, "no type", number));
        has(ask(&sim, CAIRN_OP_MESSAGE, number), "\"no type\", \"Nothing\"");
        assert_string_equal(ask(&sim, CAIRN_OP_MESSAGE_DROP, number), "1");
        has(ask(&sim, CAIRN_OP_MESSAGE_DROP, number), "!not_found");
    }
    assert_int_equal(side_lines(&sim), 0);
    assert_int_equal(list(&sim, false, NULL, NULL, &items), 0);
    cairn_buf_done(&items);
    simnode_done(&sim);
}

static void retried_and_dropped(void **state)
{
    struct simnode_options options = {.workers = 2, .shards = 4};
    struct cairn_buf items = {0};
    struct simnode sim;
    char number[48], again[48];

    (void)state;
    open_node(&sim, 2, &options);
    expect("nil", "a", "send_after", "0", "refuse_at_zero", "b");
    simnode_settle(&sim);
    assert_int_equal(list(&sim, true, NULL, NULL, &items), 1);
    first_number(&items, number);
    /* It fails again: a dead letter under the same number. */
    assert_string_equal(ask(&sim, CAIRN_OP_MESSAGE_RETRY, number), "1");
    simnode_settle(&sim);
    assert_int_equal(list(&sim, true, NULL, NULL, &items), 1);
    first_number(&items, again);
    assert_string_equal(number, again);
    /* Now it goes well. */
    expect("1", "b", "add", "1");
    assert_string_equal(ask(&sim, CAIRN_OP_MESSAGE_RETRY, number), "1");
    simnode_settle(&sim);
    expect("2", "b", "count");
    assert_int_equal(list(&sim, true, NULL, NULL, &items), 0);
    has(ask(&sim, CAIRN_OP_MESSAGE_RETRY, number), "!not_found");
    /* Dropped. */
    expect("nil", "a", "send_after", "0", "refuse", "c");
    simnode_settle(&sim);
    assert_int_equal(list(&sim, true, NULL, NULL, &items), 1);
    first_number(&items, number);
    assert_string_equal(ask(&sim, CAIRN_OP_MESSAGE_DROP, number), "1");
    has(ask(&sim, CAIRN_OP_MESSAGE_DROP, number), "!not_found");
    assert_int_equal(list(&sim, true, NULL, NULL, &items), 0);
    /* One that is due later: it never runs. */
    expect("nil", "a", "send_after", "5000", "add", "d", "1");
    simnode_settle(&sim);
    assert_int_equal(list(&sim, false, NULL, NULL, &items), 1);
    first_number(&items, number);
    has(ask(&sim, CAIRN_OP_MESSAGE_RETRY, number), "!not_found");
    assert_string_equal(ask(&sim, CAIRN_OP_MESSAGE_DROP, number), "1");
    has(ask(&sim, CAIRN_OP_MESSAGE_DROP, number), "!not_found");
    assert_int_equal(list(&sim, false, NULL, NULL, &items), 0);
    cairn_sim_clock_advance(&sim.clock, 60000000000);
    simnode_settle(&sim);
    expect("0", "d", "count");
    assert_int_equal(sim_metric(&sim, "cairn_messages_dead"), 0);
    assert_int_equal(sim_metric(&sim, "cairn_message_bytes"), 0);
    cairn_buf_done(&items);
    simnode_done(&sim);
}

/* 600 dead letters in pages; all tried again, and cut off by crashes at every stage: each runs once. */
static void all_at_once_over_crashes(void **state)
{
    enum { LETTERS = 600 };
    struct simnode_options options = {.workers = 2, .shards = 3};

    (void)state;
    for (uint64_t seed = 1; seed <= 3; seed++) {
        struct cairn_buf items = {0};
        struct simnode sim;
        struct cairn_err err;
        char want[16];

        open_node(&sim, seed, &options);
        for (int i = 0; i < 3; i++)
            expect("nil", "a", "send_many", "200", i == 0 ? "b" : i == 1 ? "c" : "d", "refuse_at_zero");
        simnode_settle(&sim);
        assert_int_equal(list(&sim, true, NULL, NULL, &items), LETTERS);
        assert_int_equal(list(&sim, true, "Mail", "c", &items), LETTERS / 3);
        for (int i = 0; i < 3; i++)
            expect("1", i == 0 ? "b" : i == 1 ? "c" : "d", "add", "1");
        for (uint64_t crash = 0; crash < 3; crash++) {
            struct simcall call;

            simcall_init(&call, CAIRN_OP_MESSAGE_RETRY, NULL, NULL, NULL, NULL);
            simcall_submit(&sim, &call, 0);
            for (uint64_t steps = seed * 7 + crash * 23; steps > 0; steps--)
                simnode_step(&sim);
            simnode_crash(&sim, crash % 2 ? CAIRN_SIM_KEEP : CAIRN_SIM_DROP);
            simcall_done(&call);
            if (simnode_open(&sim, &err) != CAIRN_OK)
                fail_msg("%s", err.text);
        }
        ask(&sim, CAIRN_OP_MESSAGE_RETRY, NULL);
        simnode_settle(&sim);
        assert_int_equal(list(&sim, true, NULL, NULL, &items), 0);
        snprintf(want, sizeof want, "%d", LETTERS / 3 + 1);
        for (int i = 0; i < 3; i++)
            expect(want, i == 0 ? "b" : i == 1 ? "c" : "d", "count");
        assert_int_equal(sim_metric(&sim, "cairn_message_bytes"), 0);
        cairn_buf_done(&items);
        simnode_done(&sim);
    }
}

static void all_dropped(void **state)
{
    struct simnode_options options = {.workers = 2, .shards = 4};
    struct cairn_buf items = {0};
    struct simnode sim;

    (void)state;
    open_node(&sim, 4, &options);
    expect("nil", "a", "send_many", "150", "b", "refuse");
    simnode_settle(&sim);
    assert_string_equal(ask(&sim, CAIRN_OP_MESSAGE_DROP, NULL), "150");
    assert_string_equal(ask(&sim, CAIRN_OP_MESSAGE_DROP, NULL), "0");
    assert_int_equal(list(&sim, true, NULL, NULL, &items), 0);
    assert_int_equal(sim_metric(&sim, "cairn_message_bytes"), 0);
    cairn_buf_done(&items);
    simnode_done(&sim);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_told_of_them), cmocka_unit_test(behind_others),
        cmocka_unit_test(retried_and_dropped),  cmocka_unit_test(all_at_once_over_crashes),
        cmocka_unit_test(all_dropped),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
