#include "keeper/list.h"

#include <stdlib.h>

#include "keeper/acl.h"
#include "keeper/answer.h"
#include "keeper/read.h"
#include "keeper/session.h"
#include "keeper/watch.h"

enum { BUDGET_EIGHTHS = 7 };

/* What a turn has gathered, as it was then or was changed since. */
struct chunk {
    struct cairn_buf names; /* as of a slot */
    uint32_t count;
    size_t last_bytes;
    uint8_t last[KEEPER_PATH_BYTES_MAX]; /* name that was looked at: what is not above it belongs here */
};

struct list {
    struct message message;    /* first */
    struct cairn_link of_tree; /* tree->lists */
    struct keeper_tree *tree;
    struct invocation *inv;
    const struct keeper_ask *ask;
    uint64_t session;
    uint32_t generation;
    struct chunk *chunks;
    uint32_t count, room;
};

/* --- chunks --------------------------------------------------------------------------------------- */

static void add_name(struct chunk *chunk, struct cairn_bytes name)
{
    uint32_t size = __builtin_bswap32((uint32_t)name.size);

    cairn_buf_add(&chunk->names, &size, sizeof size);
    cairn_buf_add(&chunk->names, name.data, name.size);
    chunk->count++;
}

static void gather(void *context, struct cairn_bytes name, bool is_absent)
{
    struct chunk *chunk = context;

    if (!is_absent)
        add_name(chunk, name);
    memcpy(chunk->last, name.data, name.size);
    chunk->last_bytes = name.size;
}

static struct cairn_bytes position(const struct list *list)
{
    const struct chunk *last = list->count ? &list->chunks[list->count - 1] : NULL;

    return last ? cairn_bytes(last->last, last->last_bytes) : cairn_bytes(NULL, 0);
}

/* What it keeps, more or less. */
static void charge(const struct list *list, const struct chunk *chunk, int sign)
{
    cairn_purse_add(&list->tree->kw->purse, sign * (int64_t)(sizeof *chunk + chunk->names.capacity));
}

static void chunks_free(struct list *list)
{
    for (uint32_t i = 0; i < list->count; i++) {
        charge(list, &list->chunks[i], -1);
        cairn_buf_done(&list->chunks[i].names);
    }
    list->count = 0;
}

/* With the name, or without it. */
static void chunk_change(struct chunk *chunk, struct cairn_bytes name, bool with)
{
    struct cairn_buf before = chunk->names;
    struct cairn_reader r = cairn_reader(cairn_buf_bytes(&before));
    bool placed = !with;

    chunk->names = (struct cairn_buf){0};
    chunk->count = 0;
    while (cairn_reader_left(&r) && !r.bad) {
        struct cairn_bytes at = cairn_read_bytes(&r, __builtin_bswap32(cairn_read_u32(&r)));
        int order = cairn_bytes_compare(at, name);

        if (order >= 0 && !placed) {
            add_name(chunk, name);
            placed = true;
        }
        if (order != 0)
            add_name(chunk, at);
    }
    if (!placed)
        add_name(chunk, name);
    cairn_buf_done(&before);
}

/* --- turns ---------------------------------------------------------------------------------------- */

static void over(struct list *list)
{
    chunks_free(list);
    free(list->chunks);
    cairn_list_remove(&list->of_tree);
    free(list);
}

/* Reads of the session that wait for it go on. */
static void session_goes_on(struct keeper_tree *tree, uint64_t number, bool counted)
{
    struct keeper_session *session = keeper_session_find(tree, number);

    if (!session)
        return;
    session->waits -= counted && session->waits;
    keeper_session_decided(session, 0);
}

/* It cannot go on as it is: the ask begins anew, in its place before the session's others, or is refused. */
static void begin_again(struct list *list)
{
    struct keeper_tree *tree = list->tree;
    struct invocation *inv = list->inv;
    uint64_t number = list->session;
    struct keeper_session *session = keeper_session_find(tree, number);

    over(list);
    if (session)
        session->waits -= session->waits > 0;
    inv->message.receive(tree->kw->worker, &inv->message);
    session_goes_on(tree, number, false);
}

static void answer(struct list *list, struct keeper_session *session)
{
    struct keeper_tree *tree = list->tree;
    const struct keeper_part *part = &list->ask->parts[0];
    struct invocation *inv = list->inv;
    uint64_t number = list->session;
    uint8_t stat[KEEPER_STAT_BYTES];
    struct keeper_node node;
    int32_t error = keeper_read_find(tree, list->ask, part->path, &node);
    size_t slot;

    if (!error)
        keeper_node_stat(tree, part->path, &node, stat);
    if (tree->saw_untold || tree->kw->overlay.code != CAIRN_OK) { /* it waits, or fails */
        begin_again(list);
        return;
    }
    inv->result.size = 0;
    answer_begin(&inv->result, 0, tree->zxid, tree->epoch);
    if (!error) {
        slot = answer_slot(&inv->result, 0);
        slot_stat(&inv->result, slot, stat);
        for (uint32_t i = 0; i < list->count; i++)
            slot_names(&inv->result, slot, list->chunks[i].count, cairn_buf_bytes(&list->chunks[i].names));
        if (part->watch && !keeper_watch_set(session, TABLE_CHILD, part->path))
            error = -1;
    }
    over(list);
    keeper_tree_count_read(tree, inv);
    if (error)
        keeper_tree_answer_error(tree, inv, error);
    else
        keeper_tree_answer(tree, inv);
    session_goes_on(tree, number, true);
}

static void refuse(struct list *list, int32_t error)
{
    struct keeper_tree *tree = list->tree;
    struct invocation *inv = list->inv;
    uint64_t number = list->session;

    over(list);
    keeper_tree_answer_error(tree, inv, error);
    session_goes_on(tree, number, true);
}

static struct chunk *chunk_add(struct list *list)
{
    if (list->count == list->room) {
        list->room = list->room ? list->room * 2 : 4;
        list->chunks = cairn_realloc(list->chunks, list->room * sizeof *list->chunks);
    }
    list->chunks[list->count] = (struct chunk){0};
    return &list->chunks[list->count++];
}

static void take_turn(struct cairn_worker *worker, struct message *message)
{
    struct list *list = (struct list *)message;
    struct keeper_tree *tree = list->tree;
    struct keeper_session *session = tree->loaded ? keeper_session_find(tree, list->session) : NULL;
    struct cairn_bytes after = position(list);
    struct chunk *chunk;
    uint32_t looked;

    if (!session || session->closed || !session->linked || session->generation != list->generation) {
        begin_again(list);
        return;
    }
    if (cairn_budget_over(&worker->node->memory, BUDGET_EIGHTHS)) {
        refuse(list, -1);
        return;
    }
    keeper_tree_look(tree);
    if (after.size)
        after = cairn_arena_copy(&tree->kw->overlay.arena, after); /* chunks move */
    chunk = chunk_add(list);
    looked = keeper_node_children(tree, list->ask->parts[0].path, after, KEEPER_LIST_NAMES, gather, chunk);
    charge(list, chunk, 1);
    if (tree->saw_untold || tree->kw->overlay.code != CAIRN_OK)
        begin_again(list);
    else if (looked < KEEPER_LIST_NAMES)
        answer(list, session);
    else
        worker_await_turn(worker, message);
}

static void drop(struct cairn_worker *worker, struct message *message)
{
    struct list *list = (struct list *)message;

    invocation_free(worker, list->inv);
    over(list);
}

void keeper_list_begin(struct keeper_session *session, struct invocation *inv)
{
    const struct keeper_task *task = inv->request->owner;
    struct list *list = cairn_alloc_zeroed(1, sizeof *list);

    list->message.receive = take_turn;
    list->message.drop = drop;
    list->tree = session->tree;
    list->inv = inv;
    list->ask = task->ask;
    list->session = session->item.key;
    list->generation = session->generation;
    cairn_list_push_back(&session->tree->lists, &list->of_tree);
    session->waits++;
    worker_await_turn(session->tree->kw->worker, &list->message);
}

/* --- what commits change -------------------------------------------------------------------------- */

static void list_change(struct list *list, struct cairn_bytes name, bool created)
{
    for (uint32_t i = 0; i < list->count; i++) {
        struct chunk *chunk = &list->chunks[i];

        if (cairn_bytes_compare(name, cairn_bytes(chunk->last, chunk->last_bytes)) > 0)
            continue;
        charge(list, chunk, -1);
        chunk_change(chunk, name, created);
        charge(list, chunk, 1);
        return;
    }
}

void keeper_list_changed(struct keeper_tree *tree, struct cairn_bytes path, bool created)
{
    size_t name = path.size;

    if (cairn_list_empty(&tree->lists))
        return;
    while (name > 0 && path.data[name - 1] != '/')
        name--;
    for (struct cairn_link *l = tree->lists.next; l != &tree->lists; l = l->next) {
        struct list *list = cairn_container(l, struct list, of_tree);
        struct cairn_bytes parent = list->ask->parts[0].path;

        if (cairn_bytes_equal(parent, cairn_bytes(path.data, name > 1 ? name - 1 : name)))
            list_change(list, cairn_bytes(path.data + name, path.size - name), created);
    }
}

void keeper_list_again(struct keeper_tree *tree)
{
    for (struct cairn_link *l = tree->lists.next; l != &tree->lists; l = l->next)
        chunks_free(cairn_container(l, struct list, of_tree));
}
