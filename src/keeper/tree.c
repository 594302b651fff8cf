#include "keeper/tree.h"

#include <stdlib.h>

#include "keeper/answer.h"
#include "keeper/events.h"
#include "keeper/read.h"
#include "keeper/session.h"
#include "keeper/watch.h"
#include "keeper/write.h"

static void list_move(struct cairn_link *to, struct cairn_link *from)
{
    struct cairn_link *l;

    while ((l = cairn_list_pop_front(from)))
        cairn_list_push_back(to, l);
}

static void end_session(struct keeper_item *item, void *context)
{
    (void)context;
    keeper_session_over(cairn_container(item, struct keeper_session, item));
}

static void free_session(struct keeper_item *item, void *context)
{
    (void)context;
    keeper_session_free(cairn_container(item, struct keeper_session, item));
}

void keeper_tree_free(struct keeper_tree *tree)
{
    struct cairn_link *l;

    keeper_session_drop_parked(tree);
    while ((l = cairn_list_pop_front(&tree->waiting)) || (l = cairn_list_pop_front(&tree->untold)))
        invocation_free(tree->kw->worker, cairn_container(l, struct invocation, link));
    keeper_map_each(&tree->sessions, free_session, NULL);
    keeper_map_done(&tree->sessions);
    keeper_map_done(&tree->watch_paths);
    keeper_map_done(&tree->watches);
    free(tree);
}

/* --- what it is ----------------------------------------------------------------------------------- */

/* Of the present tree, as Tree.begin is to write it. */
static struct cairn_keeper_lineage present_lineage(struct keeper_tree *tree)
{
    return (struct cairn_keeper_lineage){tree->view.incarnation,
                                         cairn_store_restores(tree->kw->worker->node->options.store)};
}

static void add_session(void *context, uint64_t number, const struct cairn_keeper_session *entry)
{
    struct keeper_tree *tree = context;
    struct keeper_session *session = keeper_session_add(tree, number, entry->timeout_ms);

    if (entry->state != CAIRN_KEEPER_OPEN) {
        session->lingers = true;
        keeper_session_close(session, entry->zxid);
    }
}

/* From the fields.  A tree that there is not has neither. */
static enum cairn_code load(struct keeper_tree *tree, struct cairn_err *err)
{
    struct keeper_worker *kw = tree->kw;
    const struct type *type = type_find(kw->worker, tree->space, cairn_str("Tree"));
    struct overlay *overlay = &kw->overlay;
    struct cairn_keeper_lineage lineage = {0}, present;
    struct cairn_bytes value;
    struct object *object;

    if (!type_has_methods(type) || !keeper_view_bind(&tree->view, type))
        return cairn_fail(err, CAIRN_ENOTFOUND, "the namespace has no keeper yet");
    keeper_tree_look(tree);
    object = keeper_tree_object(tree);
    tree->view.incarnation = object->header.incarnation;
    tree->epoch = keeper_tree_at(tree)->log->epoch << 8 | (tree->restored & 0xff);
    tree->loading = true;
    list_move(&tree->waiting, &tree->untold);
    keeper_map_each(&tree->sessions, end_session, NULL);
    tree->loading = false;
    tree->begins = true;
    if (tree->view.incarnation) {
        if (keeper_field_value(tree, overlay, FIELD_ZXID, &value) && value.size >= 8)
            tree->zxid = cairn_get_u64(value.data);
        if (keeper_field_value(tree, overlay, FIELD_LINEAGE, &value) && value.size == sizeof lineage)
            memcpy(&lineage, value.data, sizeof lineage);
        present = present_lineage(tree);
        tree->begins = memcmp(&lineage, &present, sizeof lineage) != 0;
        if (!tree->begins)
            keeper_node_sessions(tree, add_session, tree);
    }
    if (overlay->code != CAIRN_OK) {
        enum cairn_code code = overlay->code;

        *err = overlay->err;
        overlay->code = CAIRN_OK;
        return code;
    }
    tree->loaded = true;
    return CAIRN_OK;
}

/* Those that wait are told, the next one tries again. */
static void fail_waiting(struct keeper_tree *tree, const char *why)
{
    struct cairn_link all, *l;

    cairn_list_init(&all);
    list_move(&all, &tree->waiting);
    while ((l = cairn_list_pop_front(&all))) {
        struct invocation *inv = cairn_container(l, struct invocation, link);

        set_error(inv, CAIRN_EUNAVAILABLE, why);
        invocation_end(tree->kw->worker, inv);
    }
}

static void begun(struct keeper_call *call, struct cairn_bytes value)
{
    struct keeper_tree *tree = keeper_tree_find(keeper_worker_of(call->worker), call->request.space);
    char text[CAIRN_ERR_TEXT_BYTES];
    const char *why = keeper_error_text(value, text);

    if (!tree)
        return;
    tree->begin_out = false;
    if (why)
        fail_waiting(tree, why);
    else
        keeper_tree_retry(tree);
}

static void deployed(struct keeper_call *call, struct cairn_bytes value)
{
    struct keeper_tree *tree = keeper_tree_find(keeper_worker_of(call->worker), call->request.space);
    char text[CAIRN_ERR_TEXT_BYTES];
    const char *why = keeper_error_text(value, text);

    if (!tree)
        return;
    tree->module = why || !space_is_open(tree->space->parent) ? TREE_NEW : TREE_DEPLOYED;
    if (why)
        fail_waiting(tree, why);
    else
        keeper_tree_retry(tree);
}

/* The namespace has the module of this binary; false: it is being deployed. */
static bool has_module(struct keeper_tree *tree)
{
    if (tree->module == TREE_NEW) {
        tree->module = TREE_DEPLOYING;
        keeper_call_deploy(tree->kw->worker, tree->space, deployed, NULL);
    }
    return tree->module == TREE_DEPLOYED;
}

bool keeper_tree_ready(struct keeper_tree *tree, enum cairn_code *ret_code, struct cairn_err *err)
{
    struct object *object = keeper_tree_object(tree);

    *ret_code = CAIRN_OK;
    if (tree->loading) {
        tree->kw->waiting = true;
        return false;
    }
    if (tree->loaded && object && object->header.incarnation != tree->view.incarnation)
        keeper_tree_forget(tree);
    if (!tree->loaded)
        *ret_code = load(tree, err);
    if (*ret_code != CAIRN_OK || tree->begin_out)
        return false;
    if (tree->begins) {
        struct cairn_keeper_lineage lineage = present_lineage(tree);

        tree->begin_out = true;
        tree->kw->waiting = true;
        keeper_call_begin(tree->kw->worker, tree->space, lineage.incarnation, lineage.restores, tree->epoch, begun,
                          NULL);
    }
    return !tree->begins;
}

void keeper_trees_replaced(struct keeper_worker *kw, const struct object *object)
{
    for (uint32_t i = 0; i < kw->trees.size; i++)
        for (struct keeper_item *item = kw->trees.slots[i]; item; item = item->next) {
            struct keeper_tree *tree = cairn_container(item, struct keeper_tree, item);

            if (keeper_tree_object(tree) != object)
                continue;
            tree->restored++;
            keeper_tree_forget(tree);
        }
}

void keeper_tree_forget(struct keeper_tree *tree)
{
    tree->loaded = false;
    tree->kw->waiting = true;
}

static void take(struct keeper_tree *tree, struct invocation *inv);

/* What waited is done, or waits again, in its order. */
static void go_on(struct keeper_tree *tree)
{
    struct cairn_link all, *l;

    cairn_list_init(&all);
    list_move(&all, &tree->waiting);
    while ((l = cairn_list_pop_front(&all)))
        take(tree, cairn_container(l, struct invocation, link));
}

void keeper_tree_going(struct keeper_tree *tree)
{
    tree->restored++; /* if there is a tree again, its zxids are above those of this one */
    tree->loaded = tree->begins = false;
    list_move(&tree->waiting, &tree->untold);
    keeper_map_each(&tree->sessions, end_session, NULL);
    go_on(tree);
    if (tree->module == TREE_DEPLOYED)
        tree->module = TREE_NEW;
}

void keeper_tree_retry(struct keeper_tree *tree)
{
    enum cairn_code code;
    struct cairn_err err;

    if (tree->begin_out)
        return;
    if (tree->begins) /* a commit since then may have ended that */
        tree->loaded = false;
    if (keeper_tree_ready(tree, &code, &err) || code != CAIRN_OK)
        go_on(tree);
    else
        tree->kw->waiting = true;
}

/* --- asks ----------------------------------------------------------------------------------------- */

static void attach(struct keeper_tree *tree, struct invocation *inv, const struct keeper_task *task)
{
    struct keeper_session *session = keeper_session_find(tree, task->session);

    if (!session || session->closed || session->ends) {
        keeper_tree_answer_error(tree, inv, -112);
    } else if (session->generation >= task->generation) {
        keeper_tree_answer_error(tree, inv, -118); /* another one was quicker */
    } else {
        keeper_session_attach(session, inv->origin, task->generation);
        keeper_tree_answer_error(tree, inv, 0);
    }
}

static void take(struct keeper_tree *tree, struct invocation *inv)
{
    const struct keeper_task *task = inv->request->owner;
    struct keeper_session *session;
    enum cairn_code code = CAIRN_OK;
    struct cairn_err err;

    if (!has_module(tree) || !keeper_tree_ready(tree, &code, &err)) {
        if (code == CAIRN_OK) {
            cairn_list_push_back(&tree->waiting, &inv->link);
            return;
        }
        set_error(inv, code, err.text);
        invocation_end(tree->kw->worker, inv);
        return;
    }
    switch (task->kind) {
    case TASK_ENTER:
        keeper_tree_answer_error(tree, inv, 0);
        return;
    case TASK_ATTACH:
        attach(tree, inv, task);
        return;
    default:
        session = keeper_session_find(tree, task->session);
        if (session && !session->closed && (session->waits || session->decided < task->number))
            cairn_list_push_back(&session->parked, &inv->link);
        else
            keeper_read(tree, inv);
    }
}

void keeper_tree_receive(struct cairn_worker *worker, struct message *message)
{
    struct invocation *inv = (struct invocation *)message;

    inv->worker = worker;
    take(keeper_tree_get(keeper_worker_of(worker), inv->space), inv);
}

/* --- notes ---------------------------------------------------------------------------------------- */

void keeper_tree_heard(struct cairn_worker *worker, struct message *message)
{
    struct keeper_note *note = (struct keeper_note *)message;
    struct keeper_tree *tree = keeper_tree_find(keeper_worker_of(worker), note->space);

    for (uint32_t i = 0; tree && i < note->count; i++) {
        struct keeper_session *session = keeper_session_find(tree, note->sessions[i]);

        if (session && !session->closed)
            keeper_session_heard(session);
    }
    free(note);
}

static struct keeper_session *session_of(struct cairn_worker *worker, const struct keeper_note *note)
{
    struct keeper_tree *tree = keeper_tree_find(keeper_worker_of(worker), note->space);
    struct keeper_session *session = tree ? keeper_session_find(tree, note->session) : NULL;

    return session && !session->closed && session->generation == note->generation ? session : NULL;
}

void keeper_tree_decided(struct cairn_worker *worker, struct message *message)
{
    struct keeper_note *note = (struct keeper_note *)message;
    struct keeper_session *session = session_of(worker, note);

    if (session)
        keeper_session_decided(session, note->number);
    free(note);
}

void keeper_tree_left(struct cairn_worker *worker, struct message *message)
{
    struct keeper_note *note = (struct keeper_note *)message;
    struct keeper_session *session = session_of(worker, note);

    if (session) {
        session->linked = false;
        keeper_watches_drop(session);
    }
    free(note);
}
