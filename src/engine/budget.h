/* budget.h - memory that the stores of a node share: each has a part of its own, and draws more from a common part
 * while it needs more.
 *
 * A member draws before it grows, and gives back what it no longer needs.  When a draw fails, the member that has drawn
 * most is asked to give some back, if that is more than the one that asks has; the one that asks waits for nothing: it
 * goes on with what it has, as if there were no common part.  All members together never have more than `bytes`.
 * Threads: init and done while no other uses it; else any, and each member from its owner's thread.
 * Layer: engine; uses base. */
#ifndef CAIRN_ENGINE_BUDGET_H
#define CAIRN_ENGINE_BUDGET_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

struct budget_member {
    struct budget *budget; /* NULL: there is no common part, and nothing is ever drawn */
    struct budget_member *next;
    _Atomic size_t drawn; /* written by the owner */
    atomic_bool asked;    /* to give back; set by any thread, cleared by the owner */
    void (*on_asked)(void *context);
    void *context;
};

struct budget {
    pthread_mutex_t lock;          /* guards the list */
    struct budget_member *members; /* those that have joined */
    _Atomic size_t bytes, left;    /* of the common part */
};

void budget_init(struct budget *budget, size_t bytes);
void budget_done(struct budget *budget); /* all members have left */
void budget_add(struct budget *budget, size_t bytes);

/* on_asked may be called by any thread, under the budget's lock: it wakes the owner, which looks at budget_is_asked.
 * `budget` may be NULL. */
void budget_join(struct budget *budget, struct budget_member *member, void (*on_asked)(void *context), void *context);
/* Gives back everything. */
void budget_leave(struct budget_member *member);
/* False: there is not so much. */
bool budget_draw(struct budget_member *member, size_t bytes);
/* At most what was drawn. */
void budget_give(struct budget_member *member, size_t bytes);

static inline size_t budget_drawn(const struct budget_member *member)
{
    return atomic_load_explicit(&member->drawn, memory_order_relaxed);
}

/* The owner cannot give back at once: it looks again soon. */
void budget_ask_again(struct budget_member *member);

/* More than a quarter is left. */
static inline bool budget_is_ample(const struct budget_member *member)
{
    const struct budget *budget = member->budget;

    return budget && atomic_load_explicit(&budget->left, memory_order_relaxed) >
                         atomic_load_explicit(&budget->bytes, memory_order_relaxed) / 4;
}

/* Another needs some of it. */
static inline bool budget_is_asked(const struct budget_member *member)
{
    return atomic_load_explicit(&member->asked, memory_order_relaxed);
}

#endif
