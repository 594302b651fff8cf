/* ready.c - which object runs next.
 *
 * Objects whose mailbox's head may start stand in one of three lines, by what that head is: a call or a resumption, a
 * request from outside, or, in the third, a page of an object and anything of a job that has already made many
 * calls.  While more than one line has somebody in it, each gets time in proportion to its weight (stride scheduling,
 * Waldspurger and Weihl 1995): what a line has run counts against it the more the less it weighs, and the line with
 * the least to its account goes on.  So calls, which end work that has begun, come before new work but never stop it,
 * and a job that multiplies waits for the others and not they for it.
 * A line that was empty starts where the others are: it is served after what runs now, and saves nothing up. */
#include "object/ready.h"

#include "object/invocation.h"
#include "object/table.h"
#include "object/worker.h"

static const unsigned strides[READY_LINES] = {[READY_CALLS] = 1, [READY_OUTSIDE] = 4, [READY_HEAVY] = 8};

static enum ready_line line_of(const struct invocation *head)
{
    const struct job *job = head->job;

    if (head->operation->heavy || (job && atomic_load_explicit(&job->calls, memory_order_relaxed) > HEAVY_CALLS))
        return READY_HEAVY;
    return invocation_from_outside(head) && !head->resumes ? READY_OUTSIDE : READY_CALLS;
}

void ready_init(struct ready *ready)
{
    *ready = (struct ready){.last = READY_LINES};
    for (int i = 0; i < READY_LINES; i++)
        cairn_list_init(&ready->lines[i]);
}

void ready_add(struct ready *ready, struct object *object, const struct invocation *head)
{
    cairn_list_push_back(&ready->lines[line_of(head)], &object->ready);
}

bool ready_empty(const struct ready *ready)
{
    for (int i = 0; i < READY_LINES; i++)
        if (!cairn_list_empty(&ready->lines[i]))
            return false;
    return true;
}

/* What has run since it was chosen counts for its line. */
void ready_pause(struct cairn_worker *worker)
{
    struct ready *ready = &worker->ready;

    if (ready->last == READY_LINES)
        return;
    ready->spent[ready->last] += (worker_clock_ns(worker) - ready->since_ns) * strides[ready->last];
    ready->last = READY_LINES;
}

struct object *ready_next(struct cairn_worker *worker)
{
    struct ready *ready = &worker->ready;
    int waiting = 0, next = READY_LINES;

    ready_pause(worker);
    ready->heavy = false;
    for (int i = 0; i < READY_LINES; i++) {
        if (cairn_list_empty(&ready->lines[i])) {
            if (ready->spent[i] < ready->floor)
                ready->spent[i] = ready->floor;
            continue;
        }
        waiting++;
        if (next == READY_LINES || ready->spent[i] < ready->spent[next])
            next = i;
    }
    if (next == READY_LINES)
        return NULL;
    if (waiting > 1) { /* else nobody is kept waiting, and the clock need not be asked */
        ready->floor = ready->spent[next];
        ready->last = next;
        ready->since_ns = worker_recent_ns(worker); /* mostly just read, by ready_pause */
    }
    ready->heavy = next == READY_HEAVY;
    return cairn_container(cairn_list_pop_front(&ready->lines[next]), struct object, ready);
}

const struct object *ready_peek(const struct ready *ready)
{
    for (int i = 0; i < READY_LINES; i++)
        if (!cairn_list_empty(&ready->lines[i]))
            return cairn_container(ready->lines[i].next, struct object, ready);
    return NULL;
}
