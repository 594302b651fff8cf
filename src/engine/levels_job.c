/* levels_job.c - a store's background jobs: handed to tasks, waited for, and taken over as their kind says. */
#include <assert.h>

#include "engine/levels_internal.h"

enum { JOBS = 5 + MERGES };

static void run_job(struct cairn_task *task)
{
    struct job *job = (struct job *)(void *)task; /* its first member */
    struct levels *levels = job->levels;

    job->work(job);
    pthread_mutex_lock(&levels->lock);
    job->done = true;
    pthread_cond_signal(&levels->ended);
    if (levels->options.on_work) /* under the lock: once it is free the store may be closed */
        levels->options.on_work(levels->options.context);
    pthread_mutex_unlock(&levels->lock);
}

void levels_submit(struct levels *levels, struct job *job, void (*work)(struct job *job),
                   void (*finished)(struct levels *levels, struct job *job))
{
    assert(!job->active);
    job->active = true;
    job->done = false;
    job->levels = levels;
    job->work = work;
    job->finished = finished;
    job->task = (struct cairn_task){.run = run_job};
    cairn_tasks_submit(levels->tasks, &job->task);
}

static bool is_done(struct levels *levels, const struct job *job)
{
    bool done;

    pthread_mutex_lock(&levels->lock);
    done = job->done;
    pthread_mutex_unlock(&levels->lock);
    return done;
}

static struct job *const *all_jobs(struct levels *levels, struct job *jobs[JOBS])
{
    size_t count = 0;

    jobs[count++] = &levels->flush.job;
    for (size_t i = 0; i < MERGES; i++)
        jobs[count++] = &levels->merges[i].job;
    jobs[count++] = &levels->commit.job;
    jobs[count++] = &levels->store.job;
    jobs[count++] = &levels->ahead.job;
    jobs[count++] = &levels->removal.job;
    assert(count == JOBS);
    return jobs;
}

void levels_take_over(struct levels *levels)
{
    struct job *memory[JOBS];
    struct job *const *jobs = all_jobs(levels, memory);

    for (size_t i = 0; i < JOBS; i++)
        if (jobs[i]->active && is_done(levels, jobs[i])) {
            jobs[i]->active = false;
            jobs[i]->finished(levels, jobs[i]);
        }
}

void levels_wait_for(struct levels *levels, struct job *job)
{
    if (!job->active)
        return;
    cairn_tasks_run_here(levels->tasks, &job->task); /* a simulated one has no thread of its own */
    pthread_mutex_lock(&levels->lock);
    while (!job->done)
        pthread_cond_wait(&levels->ended, &levels->lock);
    pthread_mutex_unlock(&levels->lock);
    levels_take_over(levels);
}

void levels_wait_for_all(struct levels *levels)
{
    struct job *memory[JOBS];
    struct job *const *jobs = all_jobs(levels, memory);
    bool any = true;

    while (any) { /* one that ends may start others */
        any = false;
        for (size_t i = 0; i < JOBS; i++) {
            any |= jobs[i]->active;
            levels_wait_for(levels, jobs[i]);
        }
    }
}

void levels_wait_a_little(struct levels *levels, uint64_t ns)
{
    const struct job *jobs[] = {&levels->flush.job, &levels->merges[0].job, &levels->merges[1].job};
    bool any = false;

    if (cairn_tasks_simulated(levels->tasks)) {
        cairn_tasks_step(levels->tasks);
        return;
    }
    pthread_mutex_lock(&levels->lock);
    for (size_t i = 0; i < sizeof jobs / sizeof *jobs; i++)
        any |= jobs[i]->active && !jobs[i]->done;
    if (any)
        cairn_cond_wait_ns(&levels->ended, &levels->lock, ns);
    pthread_mutex_unlock(&levels->lock);
}
