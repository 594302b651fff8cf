/* list.h - intrusive circular doubly linked lists, and the container macro.
 * Layer: base. */
#ifndef CAIRN_BASE_LIST_H
#define CAIRN_BASE_LIST_H

#include <stdbool.h>
#include <stddef.h>

#define cairn_container(pointer, type, member) ((type *)(void *)((char *)(pointer)-offsetof(type, member)))

/* A list head or a member; a member that is in no list points to itself. */
struct cairn_link {
    struct cairn_link *prev, *next;
};

static inline void cairn_list_init(struct cairn_link *link)
{
    link->prev = link->next = link;
}
static inline bool cairn_list_empty(const struct cairn_link *head)
{
    return head->next == head;
}

static inline void cairn_list_insert(struct cairn_link *after, struct cairn_link *link)
{
    link->prev = after;
    link->next = after->next;
    after->next->prev = link;
    after->next = link;
}

static inline void cairn_list_push_back(struct cairn_link *head, struct cairn_link *link)
{
    cairn_list_insert(head->prev, link);
}
static inline void cairn_list_push_front(struct cairn_link *head, struct cairn_link *link)
{
    cairn_list_insert(head, link);
}

static inline void cairn_list_remove(struct cairn_link *link)
{
    link->prev->next = link->next;
    link->next->prev = link->prev;
    cairn_list_init(link);
}

/* NULL when empty. */
static inline struct cairn_link *cairn_list_pop_front(struct cairn_link *head)
{
    struct cairn_link *link = head->next;

    if (link == head)
        return NULL;
    cairn_list_remove(link);
    return link;
}

#endif
