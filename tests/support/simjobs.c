#include "support/simjobs.h"

#include <stdio.h>
#include <stdlib.h>

enum kind { MESSAGE, AS_ONE, TIMER, DURABLE, PROMISE, KINDS };

/* What of it is looked at: three numbers, each of which is 1 once it has happened, and 0 if it has not. */
enum { EFFECTS = 3, CALL_FAILED = -100 /* jobs.c */ };

struct simjob {
    enum kind kind;
    size_t number;
    bool done, refused; /* neither: it may have happened */
};

static const char *const names[KINDS] = {"message", "transaction with a message", "timer", "durable method",
                                         "promise that a method settles"};

static const char *const methods[KINDS] = {"send", "send_as_one", "ring", "steps", "pledge"};

static const char *id(const char *letter, size_t number)
{
    static char ids[8][32];
    static int at;
    char *name = ids[at++ % 8];

    snprintf(name, sizeof ids[0], "%s%zu", letter, number);
    return name;
}

size_t simjobs_begin(struct simjobs *model, struct cairn_random *random, struct simcall *call)
{
    struct simjob *job;
    char ms[16];

    if (model->count == model->room) {
        model->room = model->room ? 2 * model->room : 64;
        model->jobs = cairn_realloc(model->jobs, model->room * sizeof *model->jobs);
    }
    job = &model->jobs[model->count];
    *job = (struct simjob){.kind = (enum kind)cairn_random_below(random, KINDS), .number = model->count};
    if (job->kind == TIMER) {
        snprintf(ms, sizeof ms, "%d", (int)cairn_random_below(random, 200));
        simcall_init(call, CAIRN_OP_INVOKE, "Job", id("x", job->number), "ring", ms, NULL);
    } else {
        simcall_init(call, CAIRN_OP_INVOKE, "Job", id("x", job->number), methods[job->kind], id("y", job->number),
                     id("z", job->number), NULL);
    }
    return model->count++;
}

void simjobs_finish(struct simjobs *model, size_t at, bool done, bool unknown)
{
    struct simjob *job = &model->jobs[at];

    job->done = done;
    job->refused = !done && !unknown;
}

static int64_t count_of(const char *of, void (*ask)(void *context, struct simcall *call), void *context)
{
    struct simcall call;
    struct cairn_reader r;
    struct cairn_value v;

    simcall_init(&call, CAIRN_OP_INVOKE, "Job", of, "count", NULL);
    ask(context, &call);
    r = cairn_reader(cairn_buf_bytes(&call.reply));
    v = cairn_value_read(&r);
    simcall_done(&call);
    return v.kind == CAIRN_VALUE_INT ? v.integer : -1;
}

static void look(const struct simjob *job, int64_t counts[EFFECTS], void (*ask)(void *context, struct simcall *call),
                 void *context)
{
    counts[0] = counts[1] = counts[2] = count_of(id("x", job->number), ask, context);
    if (job->kind == TIMER)
        return;
    counts[1] = count_of(id("y", job->number), ask, context);
    counts[2] = count_of(id("z", job->number), ask, context);
}

/* All of it is there, or nothing. */
static bool is_at_its_end(const struct simjob *job, const int64_t counts[EFFECTS])
{
    if (counts[0] == CALL_FAILED) /* refused, for want of room say */
        return true;
    if (counts[0] != counts[1] || counts[1] != counts[2])
        return false;
    return counts[0] == 1 || !job->done;
}

bool simjobs_check(struct simjobs *model, struct simnode *sim, bool all,
                   void (*ask)(void *context, struct simcall *call), void *context, char wrong[200])
{
    for (size_t i = all ? 0 : model->checked; i < model->count; i++) {
        const struct simjob *job = &model->jobs[i];
        int64_t counts[EFFECTS];
        int waits = 0;

        look(job, counts, ask, context);
        while (!is_at_its_end(job, counts) && waits++ < 4000) {
            for (int k = 0; k < 50; k++)
                simnode_step(sim);
            look(job, counts, ask, context);
        }
        if (!is_at_its_end(job, counts) || counts[0] > 1 || counts[1] > 1 || counts[2] > 1 ||
            (job->refused && counts[0] != 0)) {
            snprintf(wrong, 200, "the %s of job %zu, which was %s, has happened %lld, %lld and %lld times",
                     names[job->kind], job->number,
                     job->done      ? "acknowledged"
                     : job->refused ? "refused"
                                    : "cut off",
                     (long long)counts[0], (long long)counts[1], (long long)counts[2]);
            return false;
        }
    }
    model->checked = model->count;
    return true;
}

void simjobs_back(struct simjobs *model, size_t count)
{
    model->count = model->checked = count;
}

void simjobs_done(struct simjobs *model)
{
    free(model->jobs);
    *model = (struct simjobs){0};
}
