/* Catches requests that run for a client that has hung up, and requests that a client that has hung up counts on (they
 * have a key, or are durable, or have begun) and that do not run. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/budget.h"
#include "support/metric.h"
#include "support/simnode.h"

static struct simnode sim;
static struct cairn_account account;

static void open_with(const char *module)
{
    struct cairn_err err;

    simnode_init(&sim, 7, NULL);
    if (simnode_open(&sim, &err) != CAIRN_OK)
        fail_msg("%s", err.text);
    simnode_deploy(&sim, module);
    account = (struct cairn_account){.limit = UINT64_MAX};
}

#define REGISTER(want, id, ...) simnode_expect(&sim, want, "Register", id, __VA_ARGS__, NULL)

static void what_has_not_begun_does_not_run(void **state)
{
    struct simcall calls[20];

    (void)state;
    open_with("register");
    for (int i = 0; i < 20; i++) {
        simcall_init(&calls[i], CAIRN_OP_INVOKE, "Register", "r", "add", "1", NULL);
        calls[i].request.account = &account;
        if (i == 12)
            simcall_key(&calls[i], "counts");
        simcall_submit(&sim, &calls[i], (uint32_t)i % 2);
    }
    while (!calls[0].replied && !calls[1].replied)
        simnode_step(&sim);
    atomic_store(&account.gone, true);
    simnode_settle(&sim);
    {
        int64_t ran = 0;
        char want[8];

        for (int i = 0; i < 20; i++) {
            assert_true(calls[i].replied); /* its memory is free again */
            ran += simvalue_text(cairn_buf_bytes(&calls[i].reply))[0] != '!';
        }
        assert_true(simvalue_text(cairn_buf_bytes(&calls[12].reply))[0] != '!');
        assert_true(ran < 20);
        assert_int_equal(sim_metric(&sim, "cairn_abandoned_total"), 20 - ran);
        snprintf(want, sizeof want, "%d", (int)ran);
        REGISTER(want, "r", "get");
    }
    for (int i = 0; i < 20; i++)
        simcall_done(&calls[i]);
    simnode_done(&sim);
}

/* It waits for calls when its client hangs up, and for a durable one nothing matters. */
static void what_has_begun_or_lasts_goes_on(void **state)
{
    struct simcall call, before;

    (void)state;
    open_with("trip");
    simnode_expect(&sim, "nil", "Flight", "f", "offer", "1", NULL);
    simnode_expect(&sim, "nil", "Hotel", "h", "offer", "1", NULL);
    atomic_store(&account.gone, true);
    simcall_init(&call, CAIRN_OP_INVOKE, "Trip", "t", "book", "f", "h", NULL);
    call.request.account = &account;
    simcall_submit(&sim, &call, 0);
    simcall_init(&before, CAIRN_OP_INVOKE, "Flight", "f", "offer", "1", NULL);
    before.request.account = &account;
    simcall_submit(&sim, &before, 0);
    simnode_settle(&sim);
    assert_true(before.replied);
    simnode_expect(&sim, "\"booked\"", "Trip", "t", "state", NULL);
    simnode_expect(&sim, "0", "Flight", "f", "left", NULL);
    simcall_done(&call);
    simcall_done(&before);
    simnode_done(&sim);

    open_with("bank");
    simnode_expect(&sim, "100", "Account", "a", "deposit", "100", NULL);
    simcall_init(&call, CAIRN_OP_INVOKE, "Account", "a", "transfer", "b", "30", NULL);
    call.request.account = &account;
    simcall_submit(&sim, &call, 0);
    while (sim_metric(&sim, "cairn_records_total") < 3) /* deploy, deposit, and what the transfer takes */
        simnode_step(&sim);
    atomic_store(&account.gone, true);
    simnode_settle(&sim);
    assert_string_equal(simvalue_text(cairn_buf_bytes(&call.reply)), "70");
    simnode_expect(&sim, "30", "Account", "b", "balance", NULL);
    simcall_done(&call);
    simnode_done(&sim);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_has_not_begun_does_not_run),
        cmocka_unit_test(what_has_begun_or_lasts_goes_on),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
