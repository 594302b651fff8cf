/* Catches a shop that sells what it has not, holds what nobody pays, loses what was given back, checks a cart out by
 * half or twice, takes money for what is released, sends no receipt or two. */
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

static void reopen(void)
{
    struct cairn_err err;

    if (simnode_open(&sim, &err) != CAIRN_OK)
        fail_msg("%s", err.text);
}

static void open_with(uint64_t seed)
{
    simnode_init(&sim, seed, NULL);
    reopen();
    simnode_deploy(&sim, "shop");
}

#define STOCK(want, id, ...) simnode_expect(&sim, want, "Stock", id, __VA_ARGS__, NULL)
#define CART(want, id, ...)  simnode_expect(&sim, want, "Cart", id, __VA_ARGS__, NULL)
#define ORDER(want, id, ...) simnode_expect(&sim, want, "Order", id, __VA_ARGS__, NULL)
#define MAIL(want, id, ...)  simnode_expect(&sim, want, "Mailbox", id, __VA_ARGS__, NULL)

static void pass(uint64_t minutes)
{
    cairn_sim_clock_advance(&sim.clock, minutes * 60 * UINT64_C(1000000000));
    simnode_settle(&sim);
}

/* Of bob's cart, and the key is the order's id. */
static void keyed_checkout(const char *want, const char *key)
{
    struct simcall call;

    simcall_init(&call, CAIRN_OP_INVOKE, "Cart", "bob", "checkout", NULL);
    simcall_key(&call, key);
    simcall_run(&sim, &call);
    if (strncmp(simvalue_text(cairn_buf_bytes(&call.reply)), want, strcspn(want, ".")) != 0)
        fail_msg("%s gave %s, wanted %s", key, simvalue_text(cairn_buf_bytes(&call.reply)), want);
    simcall_done(&call);
}

static void a_checkout_is_whole(void **state)
{
    (void)state;
    open_with(1);
    STOCK("10", "tea", "put", "10", "250");
    STOCK("1", "pot", "put", "1", "4000");
    STOCK("!bad_argument...", "tea", "put", "-1", "250");
    CART("!empty...", "ann", "checkout", "o1");
    CART("2", "ann", "add", "tea", "2");
    CART("3", "ann", "add", "tea");
    CART("1", "ann", "add", "pot");
    CART("!bad_argument...", "ann", "add", "pot", "0");
    CART("4750", "ann", "checkout", "o1");
    CART("[]", "ann", "items");
    CART("[\"o1\"]", "ann", "orders");
    ORDER("\"open\"", "o1", "state");
    ORDER("4750", "o1", "total");
    STOCK("[7, 3, 0]", "tea", "counts");
    STOCK("[0, 1, 0]", "pot", "counts");

    CART("1", "bob", "add", "pot");
    CART("1", "bob", "add", "tea");
    CART("!sold_out...", "bob", "checkout", "o2"); /* and nothing is held */
    STOCK("[7, 3, 0]", "tea", "counts");
    ORDER("nil", "o2", "state");
    CART("1", "bob", "remove", "pot");
    CART("!ordered_before...", "bob", "checkout", "o1");
    CART("!bad_argument...", "bob", "checkout");
    keyed_checkout("!ordered_before...", "o1");
    STOCK("[7, 3, 0]", "tea", "counts");
    CART("[[\"tea\", 1]]", "bob", "items");
    ORDER("!not_public...", "o1", "paid");

    keyed_checkout("250", "o3");
    keyed_checkout("250", "o3"); /* twice is once */
    ORDER("\"open\"", "o3", "state");
    STOCK("[6, 4, 0]", "tea", "counts");
    ORDER("nil", "o3", "cancel");
    STOCK("[7, 3, 0]", "tea", "counts");

    ORDER("nil", "o1", "cancel");
    ORDER("!not_open...", "o1", "cancel");
    ORDER("!not_found...", "o9", "cancel");
    ORDER("\"released\"", "o1", "state");
    STOCK("[10, 0, 0]", "tea", "counts");
    STOCK("[1, 0, 0]", "pot", "counts");
    simnode_done(&sim);
}

static void what_nobody_pays_is_released(void **state)
{
    (void)state;
    open_with(2);
    STOCK("10", "tea", "put", "10", "250");
    CART("2", "ann", "add", "tea", "2");
    CART("500", "ann", "checkout", "o1");
    pass(14);
    ORDER("\"open\"", "o1", "state");
    CART("1", "bob", "add", "tea", "1");
    CART("250", "bob", "checkout", "o2");
    simnode_crash(&sim, CAIRN_SIM_KEEP);
    reopen();
    pass(2);
    ORDER("\"released\"", "o1", "state");
    ORDER("\"open\"", "o2", "state");
    STOCK("[9, 1, 0]", "tea", "counts");
    pass(14);
    STOCK("[10, 0, 0]", "tea", "counts");
    simnode_done(&sim);
}

/* Settles the payment's promise as the payment provider does: with a value, or with an error of that code. */
static void settle(const char *order, const char *code)
{
    struct simcall ask, call;
    struct cairn_buf value = {0};
    struct cairn_reader r;

    simcall_init(&ask, CAIRN_OP_INVOKE, "Payment", order, "promise", NULL);
    simcall_run(&sim, &ask);
    r = cairn_reader(cairn_buf_bytes(&ask.reply));
    simcall_init(&call, CAIRN_OP_SETTLE, NULL, NULL, NULL, NULL);
    call.request.name = cairn_value_read(&r).bytes;
    if (code)
        cairn_value_add_error(&value, cairn_str(code), cairn_str("no"));
    else
        cairn_value_add_bytes(&value, cairn_str("paid"));
    call.request.body = cairn_buf_bytes(&value);
    simcall_run(&sim, &call);
    if (simvalue_text(cairn_buf_bytes(&call.reply))[0] == '!')
        fail_msg("%s: %s", order, simvalue_text(cairn_buf_bytes(&call.reply)));
    simcall_done(&call);
    simcall_done(&ask);
    cairn_buf_done(&value);
}

/* Begins to pay, and goes on until it waits for its promise. */
static void pay(struct simcall *call, const char *order)
{
    simcall_init(call, CAIRN_OP_INVOKE, "Payment", order, "pay", NULL);
    simcall_key(call, order);
    simcall_submit(&sim, call, 0);
    for (;;) {
        struct simcall ask;
        bool has;

        simcall_init(&ask, CAIRN_OP_INVOKE, "Payment", order, "promise", NULL);
        simcall_run(&sim, &ask);
        has = strcmp(simvalue_text(cairn_buf_bytes(&ask.reply)), "nil") != 0;
        simcall_done(&ask);
        if (has)
            return;
        simnode_step(&sim);
    }
}

static void paid_with(struct simcall *call, const char *want)
{
    simcall_run(&sim, call); /* the key: it gets the outcome, however often the node was killed */
    if (strncmp(simvalue_text(cairn_buf_bytes(&call->reply)), want, strcspn(want, ".")) != 0)
        fail_msg("gave %s, wanted %s", simvalue_text(cairn_buf_bytes(&call->reply)), want);
    simcall_done(call);
}

static void a_payment_waits_for_its_word(void **state)
{
    struct simcall o1, o2, o3;

    (void)state;
    open_with(3);
    STOCK("10", "tea", "put", "10", "250");
    for (int i = 1; i <= 3; i++) {
        char order[8];

        snprintf(order, sizeof order, "o%d", i);
        CART("2", "ann", "add", "tea", "2");
        CART("500", "ann", "checkout", order);
    }
    simnode_expect(&sim, "!not_found...", "Payment", "o9", "pay", NULL);
    MAIL("nil", "ann", "close", "1");
    pay(&o1, "o1");
    pay(&o2, "o2");
    pay(&o3, "o3");
    simnode_crash(&sim, CAIRN_SIM_KEEP);
    reopen();
    settle("o1", NULL);
    settle("o2", "card_refused");
    paid_with(&o1, "500");
    paid_with(&o2, "!card_refused...");
    simnode_settle(&sim);
    ORDER("\"paid\"", "o1", "state");
    ORDER("\"released\"", "o2", "state");
    ORDER("\"open\"", "o3", "state");
    STOCK("[6, 2, 2]", "tea", "counts");
    MAIL("[]", "ann", "receipts"); /* the mailbox is closed */
    MAIL("nil", "ann", "close", "0");
    pass(5);
    MAIL("[\"order o1: 500 cents\"]", "ann", "receipts");
    pass(11); /* nothing was heard of the third */
    ORDER("\"released\"", "o3", "state");
    paid_with(&o3, "!timed_out...");
    STOCK("[8, 0, 2]", "tea", "counts");
    simnode_expect(&sim, "!not_open...", "Payment", "o1", "pay", NULL);
    pass(60);
    MAIL("[\"order o1: 500 cents\"]", "ann", "receipts");
    simnode_done(&sim);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_checkout_is_whole),
        cmocka_unit_test(what_nobody_pays_is_released),
        cmocka_unit_test(a_payment_waits_for_its_word),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
