#include "engine/budget.h"

#include <assert.h>

void budget_init(struct budget *budget, size_t bytes)
{
    pthread_mutex_init(&budget->lock, NULL);
    budget->members = NULL;
    atomic_init(&budget->bytes, bytes);
    atomic_init(&budget->left, bytes);
}

void budget_add(struct budget *budget, size_t bytes)
{
    atomic_fetch_add(&budget->bytes, bytes);
    atomic_fetch_add(&budget->left, bytes);
}

void budget_done(struct budget *budget)
{
    assert(!budget->members);
    pthread_mutex_destroy(&budget->lock);
}

void budget_join(struct budget *budget, struct budget_member *member, void (*on_asked)(void *context), void *context)
{
    member->budget = budget;
    member->on_asked = on_asked;
    member->context = context;
    atomic_init(&member->drawn, 0);
    atomic_init(&member->asked, false);
    if (!budget)
        return;
    pthread_mutex_lock(&budget->lock);
    member->next = budget->members;
    budget->members = member;
    pthread_mutex_unlock(&budget->lock);
}

void budget_leave(struct budget_member *member)
{
    struct budget *budget = member->budget;
    struct budget_member **at;

    if (!budget)
        return;
    budget_give(member, budget_drawn(member));
    pthread_mutex_lock(&budget->lock);
    for (at = &budget->members; *at != member;)
        at = &(*at)->next;
    *at = member->next;
    pthread_mutex_unlock(&budget->lock);
}

/* The one that has drawn most, unless that is no more than `member` has, or it was asked already. */
static void ask(struct budget *budget, const struct budget_member *member)
{
    struct budget_member *most = NULL;

    pthread_mutex_lock(&budget->lock);
    for (struct budget_member *other = budget->members; other; other = other->next)
        if (other != member && (!most || budget_drawn(other) > budget_drawn(most)))
            most = other;
    if (most && budget_drawn(most) > budget_drawn(member) && !atomic_exchange(&most->asked, true) && most->on_asked)
        most->on_asked(most->context);
    pthread_mutex_unlock(&budget->lock);
}

bool budget_draw(struct budget_member *member, size_t bytes)
{
    struct budget *budget = member->budget;
    size_t left;

    if (!budget)
        return false;
    left = atomic_load_explicit(&budget->left, memory_order_relaxed);
    do {
        if (left < bytes) {
            ask(budget, member);
            return false;
        }
    } while (!atomic_compare_exchange_weak(&budget->left, &left, left - bytes));
    atomic_fetch_add(&member->drawn, bytes);
    return true;
}

void budget_give(struct budget_member *member, size_t bytes)
{
    assert(bytes <= budget_drawn(member));
    if (!bytes)
        return;
    atomic_fetch_sub(&member->drawn, bytes);
    atomic_fetch_add(&member->budget->left, bytes);
}

void budget_ask_again(struct budget_member *member)
{
    if (!atomic_exchange(&member->asked, true) && member->on_asked)
        member->on_asked(member->context);
}
