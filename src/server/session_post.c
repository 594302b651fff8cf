/* Names of sessions, and what is posted to them from other threads. */
#include <assert.h>
#include <stdlib.h>

#include "server/session_internal.h"

struct cairn_post {
    struct cairn_post *next;
    struct cairn_session_ref to;
    size_t size;
    uint8_t bytes[];
};

struct cairn_session_ref cairn_session_ref(struct cairn_session *session)
{
    struct cairn_front *front = session->front;

    assert(session->state != CAIRN_SESSION_CLOSED);
    if (!session->place) {
        if (front->free_place_count == 0) {
            front->place_count++;
            front->places = cairn_realloc(front->places, front->place_count * sizeof *front->places);
            front->free_places = cairn_realloc(front->free_places, front->place_count * sizeof *front->free_places);
            front->free_places[front->free_place_count++] = front->place_count - 1;
        }
        session->place = front->free_places[--front->free_place_count] + 1;
        front->places[session->place - 1] = session;
    }
    return (struct cairn_session_ref){session->id, front->index, session->place - 1};
}

void cairn_session_forget_ref(struct cairn_session *session)
{
    struct cairn_front *front = session->front;

    if (!session->place)
        return;
    front->places[session->place - 1] = NULL;
    front->free_places[front->free_place_count++] = session->place - 1;
    session->place = 0;
}

bool cairn_session_post(const struct cairn_front_about *about, struct cairn_session_ref to, struct cairn_bytes bytes)
{
    struct cairn_front *front = about->front(about->context, to.worker);
    size_t size = sizeof(struct cairn_post) + bytes.size;
    struct cairn_post *post, *first;

    if (atomic_fetch_add_explicit(&front->post_bytes, size, memory_order_relaxed) + size > front->limits.post_bytes) {
        atomic_fetch_sub_explicit(&front->post_bytes, size, memory_order_relaxed);
        return false;
    }
    post = cairn_alloc(size);
    post->to = to;
    post->size = bytes.size;
    if (bytes.size)
        memcpy(post->bytes, bytes.data, bytes.size);
    first = atomic_load_explicit(&front->posts, memory_order_relaxed);
    do
        post->next = first;
    while (!atomic_compare_exchange_weak_explicit(&front->posts, &first, post, memory_order_release,
                                                  memory_order_relaxed));
    if (!first) /* otherwise the first one's sender has woken the owner */
        about->wake(about->context, to.worker);
    return true;
}

static struct cairn_post *take_all(struct cairn_front *front)
{
    struct cairn_post *post = atomic_exchange_explicit(&front->posts, NULL, memory_order_acquire), *oldest = NULL;

    while (post) {
        struct cairn_post *next = post->next;

        post->next = oldest;
        oldest = post;
        post = next;
    }
    return oldest;
}

static void drop(struct cairn_front *front, struct cairn_post *post)
{
    atomic_fetch_sub_explicit(&front->post_bytes, sizeof *post + post->size, memory_order_relaxed);
    free(post);
}

void cairn_front_take_posts(struct cairn_front *front)
{
    struct cairn_post *post = take_all(front);

    while (post) {
        struct cairn_post *next = post->next;
        struct cairn_session *session = post->to.place < front->place_count ? front->places[post->to.place] : NULL;

        if (session && session->id == post->to.id) /* ids are not used twice */
            cairn_session_push(session, cairn_bytes(post->bytes, post->size));
        drop(front, post);
        post = next;
    }
}

void cairn_front_drop_posts(struct cairn_front *front)
{
    struct cairn_post *post = take_all(front);

    while (post) {
        struct cairn_post *next = post->next;

        drop(front, post);
        post = next;
    }
    free(front->places);
    free(front->free_places);
}
