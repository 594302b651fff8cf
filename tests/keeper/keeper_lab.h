/* keeper_lab.h - a node in simulation with the keeper, and clients of it: links whose answers and events are kept.
 *
 * What a client was told is one text: "data(/a)" for an event as it comes, and what the test wants of answers. */
#ifndef CAIRN_TESTS_KEEPER_LAB_H
#define CAIRN_TESTS_KEEPER_LAB_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "keeper/keeper.h"
#include "keeper/room.h"
#include "object/node.h"
#include "support/simnode.h"

struct lab {
    struct simnode sim;
    struct cairn_buf module;
    struct keeper_options options;
    struct node_hooks hooks;
    const struct node_hooks *rooms[1];
    bool beats; /* clients say that they are there whenever time goes on */
    struct client *clients;
    struct space *space; /* of clients; NULL: `default` */
};

struct client {
    struct keeper_link link; /* first */
    struct lab *lab;
    struct client *next;
    uint32_t worker;
    bool open;
    enum keeper_end why;
    bool is_over;
    bool gathers; /* the test says when its writes leave */
    char told[65536];
    uint64_t zxid_seen;
    struct lab_ask *first, *last; /* that say, in the order of their replies */
};

/* One request, its own memory, and what it was answered with as text. */
struct lab_ask {
    struct keeper_ask ask; /* first */
    struct client *client;
    struct keeper_part parts[8];
    char paths[8][128], data[8][256];
    uint8_t acl[64];
    bool answered;
    bool decided; /* and its data is being fetched */
    int32_t error;
    uint64_t zxid;
    char text[4096];
    bool says; /* its text goes into what the client was told, in the order of the replies */
    struct lab_ask *next;
    char behind[1024]; /* events that are to come right behind it */
};

static const uint8_t lab_open_acl[] = {0,   0,   0,   1, 0, 0, 0, 31,  0,   0,   0,   5,   'w', 'o',
                                       'r', 'l', 'd', 0, 0, 0, 6, 'a', 'n', 'y', 'o', 'n', 'e'};

static inline void client_say(struct client *client, const char *format, ...)
{
    size_t size = strlen(client->told);
    va_list args;

    va_start(args, format);
    vsnprintf(client->told + size, sizeof client->told - size, format, args);
    va_end(args);
}

/* A front's rule: behind the last answer to a read that has come and stands behind something unanswered; or at once. */
static inline char *lab_place(struct client *client, size_t *ret_room)
{
    struct lab_ask *last = NULL;
    bool waits = false;

    for (struct lab_ask *ask = client->first; ask; ask = ask->next) {
        waits |= !ask->answered;
        if (waits && (ask->answered || ask->decided) && !keeper_op_writes(ask->ask.op))
            last = ask;
    }
    *ret_room = last ? sizeof last->behind : sizeof client->told;
    return last ? last->behind : client->told;
}

static inline void lab_event(struct keeper_link *link, const struct keeper_event *event)
{
    static const char *const names[] = {"?", "created", "deleted", "data", "children"};
    struct client *client = (struct client *)link;

    size_t room, size;
    char *to = lab_place(client, &room);

    size = strlen(to);
    snprintf(to + size, room - size, "%s(%.*s) ", names[event->type], (int)event->path.size,
             (const char *)event->path.data);
    if (event->zxid > client->zxid_seen)
        client->zxid_seen = event->zxid;
}

static inline void lab_over(struct keeper_link *link, enum keeper_end why)
{
    struct client *client = (struct client *)link;

    assert_false(client->is_over);
    client->is_over = true;
    client->why = why;
}

static const struct keeper_front lab_front = {.event = lab_event, .over = lab_over};

static inline void lab_open(struct lab *lab)
{
    struct cairn_err err;

    if (simnode_open(&lab->sim, &err) != CAIRN_OK)
        fail_msg("%s", err.text);
}

/* Not open yet: lab->options may be changed. */
static inline void lab_begin(struct lab *lab, uint64_t seed, const struct simnode_options *options)
{
    struct simnode_options with = options ? *options : (struct simnode_options){0};

    *lab = (struct lab){.beats = true};
    simnode_wasm("keeper", &lab->module);
    lab->options.module = cairn_buf_bytes(&lab->module);
    keeper_hooks(&lab->options, &lab->hooks);
    lab->rooms[0] = &lab->hooks;
    with.rooms = lab->rooms;
    with.room_count = 1;
    simnode_init(&lab->sim, seed, &with);
}

static inline void lab_init(struct lab *lab, uint64_t seed, const struct simnode_options *options)
{
    lab_begin(lab, seed, options);
    lab_open(lab);
}

static inline void lab_done(struct lab *lab)
{
    simnode_done(&lab->sim);
    cairn_buf_done(&lab->module);
}

/* --- asks ----------------------------------------------------------------------------------------- */

static inline uint64_t lab_be(struct cairn_bytes stat, size_t at, size_t size)
{
    uint64_t value = 0;

    for (size_t i = 0; i < size; i++)
        value = value << 8 | stat.data[at + i];
    return value;
}

static inline void lab_text(struct lab_ask *ask, const char *format, ...)
{
    size_t size = strlen(ask->text);
    va_list args;

    va_start(args, format);
    vsnprintf(ask->text + size, sizeof ask->text - size, format, args);
    va_end(args);
}

static inline void lab_slot(struct lab_ask *ask, const struct keeper_slot *slot)
{
    struct cairn_reader r = cairn_reader(slot->names.items);

    if (slot->error)
        lab_text(ask, "!%d ", slot->error);
    if (slot->path.size)
        lab_text(ask, "%.*s ", (int)slot->path.size, (const char *)slot->path.data);
    if (slot->data.data)
        lab_text(ask, "'%.*s' ", (int)slot->data.size, (const char *)slot->data.data);
    if (slot->number)
        lab_text(ask, "n%d ", slot->number);
    for (uint32_t i = 0; i < slot->names.count && i < 64; i++) {
        struct cairn_bytes name = cairn_read_bytes(&r, __builtin_bswap32(cairn_read_u32(&r)));

        lab_text(ask, "%.*s ", (int)name.size, (const char *)name.data);
    }
    if (slot->stat.size) /* version, cversion, children */
        lab_text(ask, "v%d.%d/%d ", (int)lab_be(slot->stat, 32, 4), (int)lab_be(slot->stat, 36, 4),
                 (int)lab_be(slot->stat, 56, 4));
}

static inline void lab_answer(struct keeper_ask *keeper_ask)
{
    struct lab_ask *ask = (struct lab_ask *)keeper_ask;

    assert_false(ask->answered);
    ask->answered = true;
    ask->error = keeper_ask->error;
    ask->zxid = keeper_ask->zxid;
    ask->text[0] = 0;
    if (ask->error)
        lab_text(ask, "!%d ", ask->error);
    for (uint32_t i = 0; !ask->error && i < keeper_ask->slot_count; i++)
        lab_slot(ask, &keeper_ask->slots[i]);
    if (ask->text[0])
        ask->text[strlen(ask->text) - 1] = 0;
    while (ask->client->first && ask->client->first->answered) {
        struct lab_ask *done = ask->client->first;

        client_say(ask->client, "[%s] %s", done->text, done->behind);
        ask->client->first = done->next;
    }
    if (ask->zxid > ask->client->zxid_seen)
        ask->client->zxid_seen = ask->zxid;
}

static inline void lab_decided(struct keeper_ask *keeper_ask)
{
    struct lab_ask *ask = (struct lab_ask *)keeper_ask;

    assert_false(ask->decided || ask->answered);
    ask->decided = true;
}

static inline struct cairn_worker *client_worker(struct client *client)
{
    return cairn_node_worker(client->lab->sim.node, client->worker);
}

static inline void lab_step(struct lab *lab)
{
    for (struct client *c = lab->clients; lab->beats && c; c = c->next)
        c->link.heard = true;
    simnode_step(&lab->sim);
}

static inline void lab_wait(struct client *client, struct lab_ask *ask)
{
    for (int steps = 0; !ask->answered; steps++) {
        assert_true(steps < 3000000);
        lab_step(client->lab);
    }
}

/* Adds an operation; `data` NULL: null, or none. */
static inline struct keeper_part *lab_part(struct lab_ask *ask, enum keeper_op op, const char *path, const char *data)
{
    uint32_t i = ask->ask.part_count++;
    struct keeper_part *part = &ask->parts[i];

    snprintf(ask->paths[i], sizeof ask->paths[i], "%s", path);
    *part = (struct keeper_part){.op = op,
                                 .path = cairn_str(ask->paths[i]),
                                 .acl = cairn_bytes(lab_open_acl, sizeof lab_open_acl),
                                 .version = -1};
    if (data) {
        snprintf(ask->data[i], sizeof ask->data[i], "%s", data);
        part->data = cairn_str(ask->data[i]);
    }
    ask->ask.parts = ask->parts;
    return part;
}

static inline struct keeper_part *lab_ask_init(struct lab_ask *ask, struct client *client, enum keeper_op op,
                                               const char *path, const char *data)
{
    *ask = (struct lab_ask){.client = client};
    ask->ask = (struct keeper_ask){.op = op, .answer = lab_answer, .decided = lab_decided};
    return path ? lab_part(ask, op, path, data) : NULL;
}

static inline void lab_send(struct lab_ask *ask)
{
    if (ask->says) {
        if (ask->client->first)
            ask->client->last->next = ask;
        else
            ask->client->first = ask;
        ask->client->last = ask;
    }
    keeper_ops.ask(client_worker(ask->client), &ask->client->link, &ask->ask);
    if (!ask->client->gathers)
        keeper_ops.flush(client_worker(ask->client), &ask->client->link);
}

/* What is answered, until the next call. */
static inline const char *lab_do(struct client *client, enum keeper_op op, const char *path, const char *data,
                                 int flags)
{
    static struct lab_ask ask;
    struct keeper_part *part = lab_ask_init(&ask, client, op, path, data);

    if (part && keeper_op_writes(op))
        part->flags = flags;
    else if (part)
        part->watch = flags;
    lab_send(&ask);
    lab_wait(client, &ask);
    return ask.text;
}

static inline void client_forget(struct client *client)
{
    for (struct client **at = &client->lab->clients; *at; at = &(*at)->next)
        if (*at == client) {
            *at = client->next;
            return;
        }
}

static inline void client_begin(struct client *client, struct lab *lab, uint32_t worker)
{
    client->lab = lab;
    client_forget(client);
    *client = (struct client){.lab = lab, .worker = worker, .next = lab->clients};
    lab->clients = client;
    client->link.space = lab->space ? lab->space : lab->sim.node->spaces.first;
    client->link.front = &lab_front;
}

/* A new session, or with `of` that one's, which may be the same; the error. */
static inline int32_t client_connect(struct client *client, struct lab *lab, uint32_t worker, const struct client *of)
{
    struct client was = of ? *of : (struct client){0};
    struct lab_ask ask;

    client_begin(client, lab, worker);
    lab_ask_init(&ask, client, 0, NULL, NULL);
    ask.ask.timeout_ms = 4000;
    if (of) {
        ask.ask.session = was.link.session;
        ask.ask.password = cairn_bytes(was.link.password, sizeof was.link.password);
        ask.ask.zxid_seen = was.zxid_seen;
    }
    keeper_ops.connect(client_worker(client), &client->link, &ask.ask);
    lab_wait(client, &ask);
    return ask.error;
}

static inline void client_leave(struct client *client)
{
    keeper_ops.leave(client_worker(client), &client->link);
    client_forget(client);
}

/* What it was told since the last time. */
static inline const char *client_told(struct client *client)
{
    static char text[65536];

    simnode_settle(&client->lab->sim);
    snprintf(text, sizeof text, "%s", client->told);
    if (text[0])
        text[strlen(text) - 1] = 0;
    client->told[0] = 0;
    return text;
}

/* So much time passes, in steps of `step_ms`. */
static inline void lab_pass(struct lab *lab, uint64_t ms, uint64_t step_ms)
{
    for (uint64_t passed = 0; passed < ms; passed += step_ms) {
        for (struct client *c = lab->clients; lab->beats && c; c = c->next)
            c->link.heard = true;
        cairn_sim_clock_advance(&lab->sim.clock, step_ms * 1000000);
        simnode_settle(&lab->sim);
    }
}

#endif
