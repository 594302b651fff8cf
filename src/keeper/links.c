#include "keeper/links.h"

#include <stdlib.h>

/* --- homes and links ---------------------------------------------------------------------------- */

struct keeper_home *keeper_home_find(struct cairn_worker *worker, const struct space *space)
{
    struct keeper_item *item = keeper_map_find(&keeper_worker_of(worker)->homes, (uintptr_t)space);

    return item ? cairn_container(item, struct keeper_home, item) : NULL;
}

struct keeper_home *keeper_home_get(struct cairn_worker *worker, struct space *space)
{
    struct keeper_home *home = keeper_home_find(worker, space);

    if (home)
        return home;
    home = cairn_alloc_zeroed(1, sizeof *home);
    home->worker = worker;
    home->space = space;
    home->compartment = spaces_compartment(&worker->node->spaces, space);
    home->owner = node_owner(worker->node, keeper_tree_shard(worker->node, home->compartment));
    cairn_list_init(&home->links);
    keeper_map_add(&keeper_worker_of(worker)->homes, &home->item, (uintptr_t)space);
    return home;
}

struct keeper_link *keeper_link_find(const struct keeper_home *home, uint64_t session, uint32_t generation)
{
    struct keeper_item *item = home ? keeper_map_find(&home->by_session, session) : NULL;

    for (; item; item = keeper_map_next(item)) {
        struct keeper_link *link = cairn_container(item, struct keeper_link, item);

        if (link->generation == generation)
            return link;
    }
    return NULL;
}

void keeper_link_open(struct keeper_link *link, uint64_t session, uint32_t generation, uint32_t timeout_ms)
{
    struct keeper_home *home = link->home;

    link->session = session;
    link->generation = generation;
    link->timeout_ms = timeout_ms;
    link->number = keeper_first_number(generation);
    link->state = KEEPER_LINK_OPEN;
    cairn_list_push_back(&home->links, &link->of_home);
    keeper_map_add(&home->by_session, &link->item, session);
    keeper_worker_of(home->worker)->link_count++;
}

void keeper_link_shut(struct keeper_link *link)
{
    if (link->state == KEEPER_LINK_OPEN) {
        cairn_list_remove(&link->of_home);
        keeper_map_remove(&link->home->by_session, &link->item);
        keeper_worker_of(link->home->worker)->link_count--;
    }
    link->state = KEEPER_LINK_LEFT;
}

/* --- notes ---------------------------------------------------------------------------------------- */

struct keeper_note *keeper_note_new(struct space *space, uint32_t count,
                                    void (*receive)(struct cairn_worker *worker, struct message *message))
{
    struct keeper_note *note = cairn_alloc_zeroed(1, sizeof *note + count * sizeof note->sessions[0]);

    note->message.receive = receive;
    note->message.drop = keeper_note_drop;
    note->space = space;
    return note;
}

void keeper_note_drop(struct cairn_worker *worker, struct message *message)
{
    (void)worker;
    free(message);
}

void keeper_link_over(struct cairn_worker *worker, struct message *message)
{
    struct keeper_note *note = (struct keeper_note *)message;
    struct keeper_link *link = keeper_link_find(keeper_home_find(worker, note->space), note->session, note->generation);

    if (link && !link->closing) { /* else its answer says so */
        enum keeper_end why = note->why;

        keeper_link_shut(link);
        link->front->over(link, why);
    }
    free(note);
}

/* --- the end -------------------------------------------------------------------------------------- */

static void free_home(struct keeper_item *item, void *context)
{
    struct keeper_home *home = cairn_container(item, struct keeper_home, item);

    (void)context;
    keeper_map_done(&home->by_session);
    free(home);
}

void keeper_links_free(struct keeper_worker *kw)
{
    keeper_map_each(&kw->homes, free_home, NULL);
    keeper_map_done(&kw->homes);
}
