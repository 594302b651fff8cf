/* budget.h - an account of the bytes that clients make the node keep.
 *
 *   node budget <- budget of a use <- purse of a thread <- what is kept
 *                                                       <- account of a session, or of a job
 *
 * A budget sums bytes over threads.  A thread charges its own purse, which takes from its budget, and from that
 * one's parents, in chunks: a charge is an addition and a comparison, and touches shared memory once in CHUNK bytes.
 * Charging never fails.  Before a thread takes something new in, it asks how much of the budget is used
 * (cairn_budget_over), and does not if that is too much; so a budget is exceeded by what was being taken in at that
 * moment, and by two chunks per purse.  docs/design/0019-bounds-in-bytes.md says which part of the node's budget is
 * asked for where.
 *
 * Threads: a budget is any thread's; a purse belongs to one.  Bytes may be charged to one purse and released from
 * another of the same budget.
 * Layer: base, uses nothing. */
#ifndef CAIRN_BASE_BUDGET_H
#define CAIRN_BASE_BUDGET_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct cairn_budget {
    struct cairn_budget *parent; /* NULL: none */
    uint64_t limit;
    _Atomic uint64_t used; /* relaxed: a sum, nothing hangs on its order */
};

enum { CAIRN_PURSE_CHUNK = 64 << 10 };

struct cairn_purse {
    struct cairn_budget *budget;
    int64_t spent; /* negative when others charged what was released here */
    int64_t taken; /* from the budget: spent .. spent + 2 chunks */
};

static inline uint64_t cairn_budget_used(const struct cairn_budget *budget)
{
    return atomic_load_explicit(&budget->used, memory_order_relaxed);
}

/* True if `eighths` eighths of the limit are used. */
static inline bool cairn_budget_over(const struct cairn_budget *budget, unsigned eighths)
{
    return cairn_budget_used(budget) >= budget->limit / 8 * eighths;
}

void cairn_purse_settle(struct cairn_purse *purse);

static inline void cairn_purse_add(struct cairn_purse *purse, int64_t bytes)
{
    purse->spent += bytes;
    if (__builtin_expect((uint64_t)(purse->taken - purse->spent) > 2 * CAIRN_PURSE_CHUNK, 0))
        cairn_purse_settle(purse);
}

/* What one client makes the node keep.  The client's session owns it. */
struct cairn_account {
    uint64_t limit;
    _Atomic uint64_t held;    /* requests under way and replies; only the session's thread writes */
    _Atomic uint64_t results; /* on their way to the session; any thread */
    _Atomic bool gone;        /* the client takes no reply any more; only the session's thread writes */
};

static inline bool cairn_account_full(const struct cairn_account *account)
{
    return atomic_load_explicit(&account->held, memory_order_relaxed) +
               atomic_load_explicit(&account->results, memory_order_relaxed) >=
           account->limit;
}

#endif
