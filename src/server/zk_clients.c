#include "server/zk_clients.h"

#include <stdlib.h>

static void *lines(size_t align, size_t bytes)
{
    void *memory = aligned_alloc(align, bytes);

    if (!memory)
        abort(); /* as cairn_alloc */
    return memset(memory, 0, bytes);
}

void cairn_zk_clients_init(struct cairn_zk_clients *clients, uint32_t workers)
{
    memset(clients, 0, sizeof *clients);
    clients->workers = workers;
    clients->counts = lines(_Alignof(struct cairn_zk_counts), workers * sizeof *clients->counts);
    clients->operations = lines(_Alignof(struct cairn_zk_operations), workers * sizeof *clients->operations);
    pthread_mutex_init(&clients->lock, NULL);
    cairn_list_init(&clients->list);
}

void cairn_zk_clients_done(struct cairn_zk_clients *clients)
{
    free(clients->counts);
    free(clients->operations);
    pthread_mutex_destroy(&clients->lock);
}

struct cairn_zk_client *cairn_zk_client_open(struct cairn_zk_clients *clients, uint32_t worker, uint64_t now_ms)
{
    struct cairn_zk_client *client = lines(_Alignof(struct cairn_zk_client), sizeof *client);

    client->of_worker = &clients->counts[worker];
    client->operations = &clients->operations[worker];
    client->since_ms = now_ms;
    atomic_store(&client->last_xid, -1);
    pthread_mutex_lock(&clients->lock);
    cairn_list_push_back(&clients->list, &client->link);
    clients->count++;
    pthread_mutex_unlock(&clients->lock);
    return client;
}

void cairn_zk_client_name(struct cairn_zk_clients *clients, struct cairn_zk_client *client, const char *peer)
{
    size_t size = strlen(peer);

    pthread_mutex_lock(&clients->lock);
    memcpy(client->peer, peer, size < CAIRN_ZK_PEER_BYTES ? size : CAIRN_ZK_PEER_BYTES - 1);
    pthread_mutex_unlock(&clients->lock);
}

void cairn_zk_client_close(struct cairn_zk_clients *clients, struct cairn_zk_client *client)
{
    pthread_mutex_lock(&clients->lock);
    cairn_list_remove(&client->link);
    clients->count--;
    pthread_mutex_unlock(&clients->lock);
    free(client);
}

static uint64_t get(const atomic_uint_least64_t *from)
{
    return atomic_load_explicit(from, memory_order_relaxed);
}

static void set(atomic_uint_least64_t *to, uint64_t value)
{
    atomic_store_explicit(to, value, memory_order_relaxed);
}

/* One thread writes, but for a reset, and one count that it misses does no harm. */
static void count(atomic_uint_least64_t *to, uint64_t more)
{
    set(to, get(to) + more);
}

static void time_one(struct cairn_zk_counts *counts, uint64_t us)
{
    count(&counts->answered, 1);
    count(&counts->us_total, us);
    if (us > get(&counts->us_max))
        set(&counts->us_max, us);
    if (get(&counts->us_min) == 0 || us + 1 < get(&counts->us_min))
        set(&counts->us_min, us + 1);
}

void cairn_zk_client_received(struct cairn_zk_client *client)
{
    count(&client->of_worker->received, 1);
    count(&client->counts.received, 1);
    atomic_fetch_add_explicit(&client->queued, 1, memory_order_relaxed);
}

void cairn_zk_client_sent(struct cairn_zk_client *client)
{
    count(&client->of_worker->sent, 1);
    count(&client->counts.sent, 1);
}

void cairn_zk_client_answered(struct cairn_zk_client *client, int32_t op, uint64_t us)
{
    if (op >= CAIRN_ZK_OP_FIRST && op <= CAIRN_ZK_OP_LAST)
        count(&client->operations->of[op - CAIRN_ZK_OP_FIRST], 1);
    time_one(client->of_worker, us);
    time_one(&client->counts, us);
    set(&client->last_us, us);
    atomic_fetch_sub_explicit(&client->queued, 1, memory_order_relaxed);
    cairn_zk_client_sent(client);
}

static struct cairn_zk_client_now now(const struct cairn_zk_client *client)
{
    struct cairn_zk_client_now now = {
        .since_ms = client->since_ms,
        .received = get(&client->counts.received),
        .sent = get(&client->counts.sent),
        .answered = get(&client->counts.answered),
        .us_total = get(&client->counts.us_total),
        .us_min = get(&client->counts.us_min),
        .us_max = get(&client->counts.us_max),
        .session = get(&client->session),
        .last_zxid = get(&client->last_zxid),
        .last_ms = get(&client->last_ms),
        .last_us = get(&client->last_us),
        .timeout_ms = atomic_load_explicit(&client->timeout_ms, memory_order_relaxed),
        .queued = atomic_load_explicit(&client->queued, memory_order_relaxed),
        .last_op = atomic_load_explicit(&client->last_op, memory_order_relaxed),
        .last_xid = atomic_load_explicit(&client->last_xid, memory_order_relaxed),
    };

    memcpy(now.peer, client->peer, sizeof now.peer);
    return now;
}

struct cairn_zk_client_now *cairn_zk_clients_list(struct cairn_zk_clients *clients, size_t *ret_count)
{
    struct cairn_zk_client_now *list;
    size_t i = 0;

    pthread_mutex_lock(&clients->lock);
    list = cairn_alloc((clients->count + 1) * sizeof *list);
    for (struct cairn_link *link = clients->list.next; link != &clients->list; link = link->next)
        list[i++] = now(cairn_container(link, struct cairn_zk_client, link));
    pthread_mutex_unlock(&clients->lock);
    *ret_count = i;
    return list;
}

uint64_t cairn_zk_clients_count(struct cairn_zk_clients *clients)
{
    uint64_t clients_now;

    pthread_mutex_lock(&clients->lock);
    clients_now = clients->count;
    pthread_mutex_unlock(&clients->lock);
    return clients_now;
}

struct cairn_zk_client_now cairn_zk_clients_total(struct cairn_zk_clients *clients)
{
    struct cairn_zk_client_now total = {0};

    for (uint32_t i = 0; i < clients->workers; i++) {
        const struct cairn_zk_counts *counts = &clients->counts[i];
        uint64_t us_min = get(&counts->us_min), us_max = get(&counts->us_max);

        total.received += get(&counts->received);
        total.sent += get(&counts->sent);
        total.answered += get(&counts->answered);
        total.us_total += get(&counts->us_total);
        if (us_max > total.us_max)
            total.us_max = us_max;
        if (us_min && (!total.us_min || us_min < total.us_min))
            total.us_min = us_min;
    }
    return total;
}

uint64_t cairn_zk_clients_operations(const struct cairn_zk_clients *clients, int32_t op)
{
    uint64_t sum = 0;

    for (uint32_t i = 0; i < clients->workers; i++)
        sum += get(&clients->operations[i].of[op - CAIRN_ZK_OP_FIRST]);
    return sum;
}

static void reset(struct cairn_zk_counts *counts)
{
    set(&counts->received, 0);
    set(&counts->sent, 0);
    set(&counts->answered, 0);
    set(&counts->us_total, 0);
    set(&counts->us_min, 0);
    set(&counts->us_max, 0);
}

void cairn_zk_clients_reset(struct cairn_zk_clients *clients, bool of_workers)
{
    for (uint32_t i = 0; of_workers && i < clients->workers; i++)
        reset(&clients->counts[i]);
    if (of_workers)
        return;
    pthread_mutex_lock(&clients->lock);
    for (struct cairn_link *link = clients->list.next; link != &clients->list; link = link->next)
        reset(&cairn_container(link, struct cairn_zk_client, link)->counts);
    pthread_mutex_unlock(&clients->lock);
}
