/* INFO, CONFIG GET and CLIENT: what a node tells about itself and its connections. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "io/process.h"
#include "server/resp_keys.h"
#include "server/resp_maxmemory.h"
#include "server/version.h"

static struct cairn_buf *begin(struct cairn_resp_session *resp)
{
    return cairn_session_reply_begin(&resp->session);
}

static void end(struct cairn_resp_session *resp)
{
    cairn_session_reply_end(&resp->session);
}

/* --- INFO --- */

struct info {
    struct cairn_resp_session *resp;
    const struct cairn_front *front;
    struct cairn_front_stats sums;
    struct cairn_process process;
};

static void info_server(struct cairn_buf *to, const struct info *info)
{
    const struct cairn_front_about *about = info->front->about;
    uint64_t now_ms = info->front->clock->wall_ms(info->front->clock);

    cairn_buf_printf(to,
                     "redis_version:%s\r\ncairn_version:%s\r\nredis_mode:standalone\r\nos:Linux\r\n"
                     "arch_bits:64\r\nprocess_id:%d\r\ntcp_port:%u\r\nhttp_port:%u\r\nworkers:%u\r\n"
                     "uptime_in_seconds:%" PRIu64 "\r\n",
                     CAIRN_REDIS_VERSION, CAIRN_VERSION, (int)getpid(), about->resp_port, about->http_port,
                     info->front->backend->workers,
                     now_ms > about->started_ms ? (now_ms - about->started_ms) / 1000 : 0);
}

static void info_clients(struct cairn_buf *to, const struct info *info)
{
    cairn_buf_printf(to, "connected_clients:%" PRIu64 "\r\nhttp_connections:%" PRIu64 "\r\nmaxclients:%u\r\n",
                     (uint64_t)info->sums.sessions[CAIRN_PROTOCOL_RESP],
                     (uint64_t)info->sums.sessions[CAIRN_PROTOCOL_HTTP], info->front->about->connections_max);
}

static void info_memory(struct cairn_buf *to, const struct info *info)
{
    if (info->front->backend->cache)
        cairn_resp_info_cache_memory(to, info->front->backend);
    else
        cairn_buf_printf(to, "used_memory:%" PRIu64 "\r\nmaxmemory:0\r\n", info->process.resident_bytes);
    cairn_buf_printf(to, "used_memory_rss:%" PRIu64 "\r\n", info->process.resident_bytes);
}

static void info_persistence(struct cairn_buf *to, const struct info *info)
{
    cairn_buf_str(to, "loading:0\r\n");
    cairn_buf_printf(to, "sync:%s\r\n", info->front->about->sync);
    info->front->backend->info(info->front->backend->context, to);
}

static void info_stats(struct cairn_buf *to, const struct info *info)
{
    const struct cairn_front_stats *sums = &info->sums;

    cairn_buf_printf(to,
                     "total_connections_received:%" PRIu64 "\r\ntotal_commands_processed:%" PRIu64 "\r\n"
                     "total_error_replies:%" PRIu64 "\r\ntotal_net_input_bytes:%" PRIu64 "\r\n"
                     "total_net_output_bytes:%" PRIu64 "\r\nrejected_connections:%" PRIu64 "\r\n"
                     "requests_under_way:%" PRIu64 "\r\n",
                     (uint64_t)sums->sessions_total[0] + sums->sessions_total[1],
                     (uint64_t)sums->requests[0] + sums->requests[1], (uint64_t)sums->errors[0] + sums->errors[1],
                     (uint64_t)sums->bytes_in, (uint64_t)sums->bytes_out, (uint64_t)sums->refused,
                     info->front->backend->admitted(info->front->backend->context));
    if (info->front->backend->cache)
        cairn_resp_info_cache_stats(to, info->front->backend);
}

static void info_keyspace(struct cairn_buf *to, const struct info *info)
{
    cairn_resp_info_keyspace(to, info->resp);
}

static void info_replication(struct cairn_buf *to, const struct info *info)
{
    (void)info;
    cairn_buf_str(to, "role:master\r\nconnected_slaves:0\r\n");
}

static void info_cpu(struct cairn_buf *to, const struct info *info)
{
    cairn_buf_printf(to, "used_cpu_sys:%.6f\r\nused_cpu_user:%.6f\r\n", info->process.system_seconds,
                     info->process.user_seconds);
}

static const struct {
    const char *name, *title;
    void (*write)(struct cairn_buf *to, const struct info *info);
} sections[] = {
    {"server", "# Server", info_server}, {"clients", "# Clients", info_clients},
    {"memory", "# Memory", info_memory}, {"persistence", "# Persistence", info_persistence},
    {"stats", "# Stats", info_stats},    {"replication", "# Replication", info_replication},
    {"cpu", "# CPU", info_cpu},          {"keyspace", "# Keyspace", info_keyspace},
};

static bool section_wanted(const struct cairn_resp_words *words, const char *name)
{
    for (uint32_t i = 1; i < words->count; i++) {
        struct cairn_bytes word = cairn_resp_words_at(words, i);

        if (cairn_resp_word_is(word, name) || cairn_resp_word_is(word, "all") ||
            cairn_resp_word_is(word, "everything") || cairn_resp_word_is(word, "default"))
            return true;
    }
    return words->count == 1;
}

void cairn_resp_info(struct cairn_resp_session *resp, const struct cairn_resp_words *words)
{
    struct cairn_front *front = resp->session.front;
    struct info info = {.resp = resp, .front = front};
    struct cairn_buf text = {0};

    front->about->totals(front->about->context, &info.sums);
    cairn_process_read(&info.process);
    for (size_t i = 0; i < sizeof sections / sizeof sections[0]; i++) {
        if (!section_wanted(words, sections[i].name))
            continue;
        if (text.size)
            cairn_buf_str(&text, "\r\n");
        cairn_buf_printf(&text, "%s\r\n", sections[i].title);
        sections[i].write(&text, &info);
    }
    cairn_resp_bulk(begin(resp), cairn_buf_bytes(&text));
    end(resp);
    cairn_buf_done(&text);
}

/* --- CONFIG --- */

struct setting {
    const char *name;
    char value[64];
};

/* Names that tools ask for, and cairn's own. */
static size_t list_settings(const struct cairn_front *front, struct setting settings[16])
{
    const struct cairn_front_about *about = front->about;
    const struct cairn_cache *cache = front->backend->cache;
    bool always = strcmp(about->sync, "always") == 0;
    size_t n = 0;

#define SETTING(setting_name, ...)                                            \
    do {                                                                      \
        settings[n].name = setting_name;                                      \
        snprintf(settings[n++].value, sizeof settings[0].value, __VA_ARGS__); \
    } while (0)
    SETTING("save", "%s", "");
    SETTING("appendonly", "yes");
    SETTING("appendfsync", "%s", always ? "always" : strcmp(about->sync, "none") == 0 ? "no" : "everysec");
    SETTING("databases", "%d", cache ? CAIRN_CACHE_DATABASES : 1);
    SETTING("maxmemory", "%" PRIu64, cache ? cairn_cache_bytes_max(cache) : 0);
    if (cache)
        SETTING("maxmemory-policy", "%s", cairn_cache_policy_name(cairn_cache_policy(cache)));
    SETTING("maxclients", "%u", about->connections_max);
    SETTING("port", "%u", about->resp_port);
    SETTING("proto-max-bulk-len", "%u", front->limits.bulk_bytes);
    SETTING("timeout", "0");
    SETTING("io-threads", "%u", front->backend->workers);
    SETTING("sync", "%s", about->sync);
    SETTING("http-port", "%u", about->http_port);
    SETTING("workers", "%u", front->backend->workers);
#undef SETTING
    return n;
}

static bool setting_wanted(const struct cairn_resp_words *words, const char *name)
{
    for (uint32_t i = 2; i < words->count; i++) {
        char *pattern = cairn_bytes_dup(cairn_resp_words_at(words, i));
        bool matches = cairn_resp_matches(pattern, name, true);

        free(pattern);
        if (matches)
            return true;
    }
    return false;
}

void cairn_resp_config(struct cairn_resp_session *resp, const struct cairn_resp_words *words)
{
    struct setting settings[16];
    size_t count, wanted = 0;
    struct cairn_buf *to;

    if (cairn_resp_word_is(cairn_resp_words_at(words, 1), "SET")) {
        cairn_resp_config_set(resp, words);
        return;
    }
    if (!cairn_resp_word_is(cairn_resp_words_at(words, 1), "GET") || words->count < 3) {
        cairn_resp_reply_error(resp, "ERR", "write CONFIG GET <pattern> ...: settings are flags of 'cairn serve'");
        return;
    }
    count = list_settings(resp->session.front, settings);
    for (size_t i = 0; i < count; i++)
        wanted += setting_wanted(words, settings[i].name);
    to = begin(resp);
    cairn_resp_map(to, resp->version, wanted);
    for (size_t i = 0; i < count; i++) {
        if (!setting_wanted(words, settings[i].name))
            continue;
        cairn_resp_text(to, settings[i].name);
        cairn_resp_text(to, settings[i].value);
    }
    end(resp);
}

/* --- CLIENT --- */

static void describe(struct cairn_buf *to, const struct cairn_resp_session *resp)
{
    const struct cairn_session *session = &resp->session;
    uint64_t now_ms = session->front->clock->wall_ms(session->front->clock);

    cairn_buf_printf(to,
                     "id=%" PRIu64 " addr=%s name=%s age=%" PRIu64
                     " db=%u multi=%d qbuf=%zu omem=%zu pending=%u resp=%d "
                     "lib-name=%s lib-ver=%s\n",
                     session->id, session->peer ? session->peer : "?", resp->name ? resp->name : "",
                     now_ms > session->opened_ms ? (now_ms - session->opened_ms) / 1000 : 0, resp->database,
                     resp->multi ? (int)cairn_resp_multi_count(resp) : -1, session->in.size,
                     session->out.size - session->out_sent, session->queued, resp->version,
                     resp->library ? resp->library : "", resp->library_version ? resp->library_version : "");
}

/* What slot->more begins with; the text follows.  A bulk string tells its length first, so the text is kept. */
struct client_list {
    uint64_t last_id; /* the session described last */
    size_t told;      /* once all are described; 0: they are not */
};

enum { CLIENTS_PER_PART = 64 };

/* Sessions stand in the order of their ids.  False: there are more. */
static bool describe_some(struct cairn_slot *slot)
{
    struct cairn_front *front = slot->session->front;
    struct client_list list;
    int count = 0;

    memcpy(&list, slot->more.data, sizeof list);
    for (struct cairn_link *link = front->sessions.next; link != &front->sessions; link = link->next) {
        struct cairn_session *session = cairn_container(link, struct cairn_session, link);

        if (session->id <= list.last_id || session->ops->index != CAIRN_PROTOCOL_RESP ||
            session->state == CAIRN_SESSION_CLOSED)
            continue;
        if (count++ == CLIENTS_PER_PART)
            break;
        describe(&slot->more, cairn_container(session, struct cairn_resp_session, session));
        list.last_id = session->id;
    }
    memcpy(slot->more.data, &list, sizeof list);
    return count <= CLIENTS_PER_PART;
}

void cairn_resp_write_clients(struct cairn_slot *slot, struct cairn_buf *to)
{
    struct client_list list;
    size_t size;

    memcpy(&list, slot->more.data, sizeof list);
    if (!list.told) {
        if (!describe_some(slot)) {
            cairn_slot_go_on_alone(slot);
            return;
        }
        list.told = sizeof list;
        cairn_buf_printf(to, "$%zu\r\n", slot->more.size - sizeof list);
        cairn_buf_str(&slot->more, "\r\n");
    }
    size = slot->more.size - list.told;
    if (size > CAIRN_PAGE_BYTES) {
        size = CAIRN_PAGE_BYTES;
        cairn_slot_go_on_alone(slot);
    }
    cairn_buf_add(to, slot->more.data + list.told, size);
    list.told += size;
    memcpy(slot->more.data, &list, sizeof list);
}

static void client_list(struct cairn_resp_session *resp)
{
    struct cairn_slot *slot = cairn_slot_take(&resp->session);
    struct client_list list = {0};

    slot->form = CAIRN_RESP_FORM_CLIENTS;
    slot->more.size = 0;
    cairn_buf_add(&slot->more, &list, sizeof list);
    cairn_slot_begin_alone(slot);
}

static bool plain(struct cairn_bytes name)
{
    for (size_t i = 0; i < name.size; i++)
        if (name.data[i] <= ' ' || name.data[i] > '~')
            return false;
    return name.size <= 256;
}

static void keep(struct cairn_resp_session *resp, char **text, struct cairn_bytes word)
{
    if (!plain(word)) {
        cairn_resp_reply_error(resp, "ERR",
                               "names cannot contain spaces, newlines or special characters, "
                               "and have at most 256 bytes");
        return;
    }
    free(*text);
    *text = word.size ? cairn_bytes_dup(word) : NULL;
    cairn_resp_reply_ok(resp);
}

static void client_info(struct cairn_resp_session *resp)
{
    struct cairn_buf text = {0};

    describe(&text, resp);
    cairn_resp_bulk(begin(resp), cairn_buf_bytes(&text));
    end(resp);
    cairn_buf_done(&text);
}

void cairn_resp_client(struct cairn_resp_session *resp, const struct cairn_resp_words *words)
{
    struct cairn_bytes sub = cairn_resp_words_at(words, 1), word = {0};

    if (words->count > 2)
        word = cairn_resp_words_at(words, 2);
    if (cairn_resp_word_is(sub, "SETNAME") && words->count == 3) {
        keep(resp, &resp->name, word);
    } else if (cairn_resp_word_is(sub, "SETINFO") && words->count == 4 && cairn_resp_word_is(word, "LIB-NAME")) {
        keep(resp, &resp->library, cairn_resp_words_at(words, 3));
    } else if (cairn_resp_word_is(sub, "SETINFO") && words->count == 4 && cairn_resp_word_is(word, "LIB-VER")) {
        keep(resp, &resp->library_version, cairn_resp_words_at(words, 3));
    } else if (cairn_resp_word_is(sub, "GETNAME")) {
        struct cairn_buf *to = begin(resp);

        if (resp->name)
            cairn_resp_text(to, resp->name);
        else
            cairn_resp_null(to, resp->version);
        end(resp);
    } else if (cairn_resp_word_is(sub, "ID")) {
        cairn_resp_int(begin(resp), (int64_t)resp->session.id);
        end(resp);
    } else if (cairn_resp_word_is(sub, "LIST")) {
        client_list(resp);
    } else if (cairn_resp_word_is(sub, "INFO")) {
        client_info(resp);
    } else if (cairn_resp_word_is(sub, "NO-EVICT") || cairn_resp_word_is(sub, "NO-TOUCH") ||
               ((cairn_resp_word_is(sub, "REPLY") && cairn_resp_word_is(word, "ON")) ||
                (cairn_resp_word_is(sub, "TRACKING") && cairn_resp_word_is(word, "OFF")))) {
        cairn_resp_reply_ok(resp); /* as it is anyway */
    } else {
        cairn_resp_reply_error(resp, "ERR", "CLIENT %.*s is not supported by cairn",
                               (int)(sub.size < 64 ? sub.size : 64), (const char *)sub.data);
    }
}
