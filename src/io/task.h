/* task.h - work that may block, off the workers: background threads with one queue, and a simulated twin whose tasks
 * run when the simulator says so.
 *
 * A task's `run` tells its owner itself what came of it.  Threads: submit from any.  Layer: io; uses base. */
#ifndef CAIRN_IO_TASK_H
#define CAIRN_IO_TASK_H

#include <stdbool.h>
#include <stddef.h>

struct cairn_task {
    struct cairn_task *next;              /* the queue's */
    void (*run)(struct cairn_task *task); /* last use of the task may be here: it may free itself */
};

struct cairn_tasks;

/* threads >= 1: real threads.  threads == 0: simulated, cairn_tasks_step runs them. */
struct cairn_tasks *cairn_tasks_create(unsigned threads);
/* Runs what is queued to its end, then joins.  Returns NULL; accepts NULL. */
struct cairn_tasks *cairn_tasks_destroy(struct cairn_tasks *tasks);
void cairn_tasks_submit(struct cairn_tasks *tasks, struct cairn_task *task);
/* Runs `task` on the caller's thread, if it is still queued: a caller that waits for it need not wait for a thread
 * first.  False: it has begun, or has ended. */
bool cairn_tasks_run_here(struct cairn_tasks *tasks, struct cairn_task *task);
/* Simulated: runs the oldest task that is queued, which a caller that waits for one has to do; false when there is
 * none.  With real threads false: a caller that helped with any could get a long one while its own is long done. */
bool cairn_tasks_step(struct cairn_tasks *tasks);
bool cairn_tasks_simulated(const struct cairn_tasks *tasks);

#endif
