#include "io/child.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "io/clock.h"

enum { READ_BYTES = 64 << 10, LOOK_MS = 100, GONE_MS = 5 };

/* This side's ends of its three pipes; -1: closed. */
struct child {
    const struct cairn_child_options *options;
    struct cairn_child_outcome *outcome;
    pid_t pid;
    int in, out, errors;
    size_t given, errors_bytes;
    uint64_t deadline_ms;
};

static uint64_t now_ms(void)
{
    return cairn_clock_system()->monotonic_ns(cairn_clock_system()) / 1000000;
}

static void shut(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

static int spawn(struct child *c, const int ends[6])
{
    char *argv[] = {(char *)c->options->program, (char *)c->options->argument, NULL}, *environment[] = {NULL};
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t none, all;
    int error;

    sigemptyset(&none);
    sigfillset(&all);
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, ends[0], 0);
    posix_spawn_file_actions_adddup2(&actions, ends[3], 1);
    posix_spawn_file_actions_adddup2(&actions, ends[5], 2);
    posix_spawn_file_actions_addclosefrom_np(&actions, 3);
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setsigdefault(&attributes, &all);
    posix_spawnattr_setpgroup(&attributes, 0);
    error = posix_spawn(&c->pid, c->options->program, &actions, &attributes, argv, environment);
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
    return error;
}

static enum cairn_code start(struct child *c, struct cairn_err *err)
{
    int ends[6] = {-1, -1, -1, -1, -1, -1}, error = 0; /* of each pipe the one to read first */

    for (int i = 0; i < 3 && !error; i++)
        if (pipe2(ends + 2 * i, O_CLOEXEC) != 0)
            error = errno;
    if (!error)
        error = spawn(c, ends);
    shut(&ends[0]);
    shut(&ends[3]);
    shut(&ends[5]);
    c->in = ends[1];
    c->out = ends[2];
    c->errors = ends[4];
    if (error) {
        shut(&c->in);
        shut(&c->out);
        shut(&c->errors);
        return cairn_fail_errno(err, error, "cannot start %s %s", c->options->program, c->options->argument);
    }
    for (int *fd = (int[]){c->in, c->out, c->errors, -1}; *fd >= 0; fd++)
        fcntl(*fd, F_SETFL, O_NONBLOCK);
    return CAIRN_OK;
}

static void give(struct child *c)
{
    struct cairn_bytes head = c->options->head, input = c->options->input;
    bool in_head = c->given < head.size;
    struct cairn_bytes rest =
        in_head ? cairn_bytes(head.data + c->given, head.size - c->given)
                : cairn_bytes(input.data + (c->given - head.size), input.size - (c->given - head.size));
    ssize_t n = rest.size ? write(c->in, rest.data, rest.size) : 0;

    if (n > 0)
        c->given += (size_t)n;
    else if (n < 0 && errno != EAGAIN && errno != EINTR)
        shut(&c->in); /* it does not want any more */
    if (c->given == head.size + input.size)
        shut(&c->in);
}

static void take_output(struct child *c)
{
    struct cairn_buf *output = &c->outcome->output;
    ssize_t n = read(c->out, cairn_buf_reserve(output, READ_BYTES), READ_BYTES);

    if (n > 0)
        output->size += (size_t)n;
    else if (n == 0 || (errno != EAGAIN && errno != EINTR))
        shut(&c->out);
    c->outcome->too_much = output->size > c->options->output_bytes_max;
}

static void take_errors(struct child *c)
{
    char text[4096];
    size_t room = sizeof c->outcome->errors - 1 - c->errors_bytes;
    ssize_t n = read(c->errors, text, sizeof text);

    if (n > 0) {
        size_t keep = (size_t)n < room ? (size_t)n : room;
        memcpy(c->outcome->errors + c->errors_bytes, text, keep);
        c->errors_bytes += keep;
    } else if (n == 0 || (errno != EAGAIN && errno != EINTR)) {
        shut(&c->errors);
    }
}

/* True as soon as it must be killed. */
static bool enough(struct child *c)
{
    struct cairn_child_outcome *o = c->outcome;

    o->stopped = c->options->stop && atomic_load(c->options->stop);
    o->timed_out = now_ms() >= c->deadline_ms;
    return o->stopped || o->timed_out || o->too_much;
}

static void talk(struct child *c)
{
    while ((c->out >= 0 || c->errors >= 0) && !enough(c)) {
        struct pollfd fds[] = {{c->in, POLLOUT, 0}, {c->out, POLLIN, 0}, {c->errors, POLLIN, 0}};

        if (poll(fds, 3, LOOK_MS) <= 0)
            continue;
        if (fds[0].revents)
            give(c);
        if (fds[1].revents)
            take_output(c);
        if (fds[2].revents)
            take_errors(c);
    }
}

static void end(struct child *c)
{
    struct cairn_child_outcome *o = c->outcome;
    int status = 0;
    pid_t gone;

    while ((gone = waitpid(c->pid, &status, WNOHANG)) == 0 && !enough(c))
        poll(NULL, 0, GONE_MS);
    if (gone == 0) {
        kill(c->pid, SIGKILL);
        while ((gone = waitpid(c->pid, &status, 0)) < 0 && errno == EINTR)
            ;
    } else {
        o->timed_out = o->stopped = false; /* it ended by itself all the same */
    }
    o->exit_status = gone > 0 && WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    o->signal = gone > 0 && WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

enum cairn_code cairn_child_run(const struct cairn_child_options *options, struct cairn_child_outcome *ret_outcome,
                                struct cairn_err *err)
{
    struct child c = {.options = options, .outcome = ret_outcome};
    enum cairn_code code;

    *ret_outcome = (struct cairn_child_outcome){0};
    c.deadline_ms = now_ms() + options->wall_ms_max;
    code = start(&c, err);
    if (code != CAIRN_OK)
        return code;
    talk(&c);
    shut(&c.in);
    end(&c);
    shut(&c.out);
    shut(&c.errors);
    return CAIRN_OK;
}

void cairn_child_limit(uint64_t memory_bytes, uint64_t cpu_seconds)
{
    struct rlimit none = {0, 0}, cpu = {cpu_seconds, cpu_seconds + 1}, memory = {memory_bytes, memory_bytes};

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    prctl(PR_SET_DUMPABLE, 0);
    setrlimit(RLIMIT_CORE, &none);
    if (cpu_seconds)
        setrlimit(RLIMIT_CPU, &cpu);
    if (memory_bytes)
        setrlimit(RLIMIT_AS, &memory);
    (void)!nice(10);
}
