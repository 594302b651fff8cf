#include "io/task.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>

#include "base/bytes.h"

struct cairn_tasks {
    pthread_mutex_t lock; /* guards all below but threads */
    pthread_cond_t wake;
    struct cairn_task *first, **last;
    bool stopping;
    unsigned thread_count;
    pthread_t threads[];
};

static struct cairn_task *take(struct cairn_tasks *tasks)
{
    struct cairn_task *task = tasks->first;

    if (task) {
        tasks->first = task->next;
        if (!tasks->first)
            tasks->last = &tasks->first;
        task->next = NULL;
    }
    return task;
}

static void *work(void *context)
{
    struct cairn_tasks *tasks = context;
    struct cairn_task *task;

    pthread_mutex_lock(&tasks->lock);
    for (;;) {
        task = take(tasks);
        if (task) {
            pthread_mutex_unlock(&tasks->lock);
            task->run(task);
            pthread_mutex_lock(&tasks->lock);
        } else if (tasks->stopping) {
            break;
        } else {
            pthread_cond_wait(&tasks->wake, &tasks->lock);
        }
    }
    pthread_mutex_unlock(&tasks->lock);
    return NULL;
}

struct cairn_tasks *cairn_tasks_create(unsigned threads)
{
    struct cairn_tasks *tasks = cairn_alloc_zeroed(1, sizeof *tasks + threads * sizeof tasks->threads[0]);

    pthread_mutex_init(&tasks->lock, NULL);
    pthread_cond_init(&tasks->wake, NULL);
    tasks->last = &tasks->first;
    for (unsigned i = 0; i < threads; i++)
        if (pthread_create(&tasks->threads[i], NULL, work, tasks) == 0)
            tasks->thread_count++;
        else
            abort(); /* like memory: a node that cannot start its few threads cannot work */
    return tasks;
}

struct cairn_tasks *cairn_tasks_destroy(struct cairn_tasks *tasks)
{
    if (!tasks)
        return NULL;
    pthread_mutex_lock(&tasks->lock);
    tasks->stopping = true;
    pthread_cond_broadcast(&tasks->wake);
    pthread_mutex_unlock(&tasks->lock);
    for (unsigned i = 0; i < tasks->thread_count; i++)
        pthread_join(tasks->threads[i], NULL);
    while (tasks->thread_count == 0 && cairn_tasks_step(tasks))
        ;
    assert(!tasks->first);
    pthread_cond_destroy(&tasks->wake);
    pthread_mutex_destroy(&tasks->lock);
    free(tasks);
    return NULL;
}

void cairn_tasks_submit(struct cairn_tasks *tasks, struct cairn_task *task)
{
    pthread_mutex_lock(&tasks->lock);
    task->next = NULL;
    *tasks->last = task;
    tasks->last = &task->next;
    pthread_cond_signal(&tasks->wake);
    pthread_mutex_unlock(&tasks->lock);
}

/* Under the lock: whether it was still there. */
static bool take_out(struct cairn_tasks *tasks, const struct cairn_task *task)
{
    struct cairn_task **at = &tasks->first;

    while (*at && *at != task)
        at = &(*at)->next;
    if (!*at)
        return false;
    *at = task->next;
    if (tasks->last == &task->next)
        tasks->last = at;
    return true;
}

bool cairn_tasks_run_here(struct cairn_tasks *tasks, struct cairn_task *task)
{
    bool queued;

    pthread_mutex_lock(&tasks->lock);
    queued = take_out(tasks, task);
    pthread_mutex_unlock(&tasks->lock);
    if (queued)
        task->run(task);
    return queued;
}

bool cairn_tasks_step(struct cairn_tasks *tasks)
{
    struct cairn_task *task = NULL;

    pthread_mutex_lock(&tasks->lock);
    if (cairn_tasks_simulated(tasks))
        task = take(tasks);
    pthread_mutex_unlock(&tasks->lock);
    if (!task)
        return false;
    task->run(task);
    return true;
}

bool cairn_tasks_simulated(const struct cairn_tasks *tasks)
{
    return tasks->thread_count == 0;
}
