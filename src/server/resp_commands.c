/* The commands that client libraries send beside FCALL, and FUNCTION.  What a command does is in
 * one table, which COMMAND tells too. */
#include <assert.h>
#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/suggest.h"
#include "server/resp_keys.h"
#include "server/version.h"

/* The table is at the end. */
static const struct cairn_resp_command *command_at(size_t index); /* NULL behind the last */
static size_t count_commands(void);

static struct cairn_buf *begin(struct cairn_resp_session *resp)
{
    return cairn_session_reply_begin(&resp->session);
}

static void end(struct cairn_resp_session *resp)
{
    cairn_session_reply_end(&resp->session);
}

bool cairn_resp_matches(const char *pattern, const char *text, bool fold)
{
    return fnmatch(pattern, text, FNM_NOESCAPE | (fold ? FNM_CASEFOLD : 0)) == 0;
}

/* How much of a word is shown in an error. */
static int shown(struct cairn_bytes word)
{
    return (int)(word.size < 128 ? word.size : 128);
}

static void unknown_subcommand(struct cairn_resp_session *resp, const struct cairn_resp_words *words)
{
    struct cairn_bytes command = cairn_resp_words_at(words, 0), sub = cairn_resp_words_at(words, 1);

    cairn_resp_reply_error(resp, "ERR", "%.*s %.*s is not supported by cairn", shown(command),
                           (const char *)command.data, shown(sub), (const char *)sub.data);
}

/* --- connections --- */

static void run_ping(struct cairn_resp_session *resp, const struct cairn_resp_words *words)
{
    struct cairn_buf *to;

    if (words->count > 2) {
        cairn_resp_reply_error(resp, "ERR", "wrong number of arguments for 'ping' command");
        return;
    }
    to = begin(resp);
    if (words->count == 1)
        cairn_resp_simple(to, "PONG");
    else
        cairn_resp_bulk(to, cairn_resp_words_at(words, 1));
    end(resp);
}

static void run_echo(struct cairn_resp_session *resp, const struct cairn_resp_words *words)
{
    cairn_resp_bulk(begin(resp), cairn_resp_words_at(words, 1));
    end(resp);
}

static void run_quit(struct cairn_resp_session *resp, const struct cairn_resp_words *words)
{
    (void)words;
    cairn_resp_reply_ok(resp);
    cairn_session_end(&resp->session);
}

static void set_text(char **text, struct cairn_bytes word)
{
    free(*text);
    *text = word.size ? cairn_bytes_dup(word) : NULL;
}

static void run_reset(struct cairn_resp_session *resp, const struct cairn_resp_words *words)
{
    (void)words;
    cairn_resp_multi_drop(resp);
    cairn_resp_watches_drop(resp);
    resp->version = 2;
    resp->database = 0;
    cairn_resp_default_space(resp);
    set_text(&resp->name, cairn_bytes(NULL, 0));
    cairn_resp_simple(begin(resp), "RESET");
    end(resp);
}

static void run_select(struct cairn_resp_session *resp, const struct cairn_resp_words *words)
{
    bool cache = resp->session.front->backend->cache;
    int64_t number;

    if (!cairn_resp_number(cairn_resp_words_at(words, 1), &number)) {
        cairn_resp_reply_error(resp, "ERR", "value is not an integer or out of range");
    } else if (number < INT32_MIN || number > INT32_MAX) {
        cairn_resp_reply_error(resp, "ERR", "value is out of range, value must between -2147483648 and 2147483647");
    } else if (number < 0 || number >= CAIRN_CACHE_DATABASES) {
        cairn_resp_reply_error(resp, "ERR", "DB index is out of range");
    } else if (number > 0 && !cache) {
        cairn_resp_reply_error(resp, "ERR", "DB index is out of range: there is only 0 without --cache");
    } else {
        resp->database = (uint32_t)number;
        cairn_resp_reply_ok(resp);
    }
}

static void refuse_auth(struct cairn_resp_session *resp)
{
    cairn_resp_reply_error(resp, "AUTH", "this node has no credentials: connect without user and password");
}

static void run_auth(struct cairn_resp_session *resp, const struct cairn_resp_words *words)
{
    (void)words;
    refuse_auth(resp);
}

static bool name_is_plain(struct cairn_bytes name)
{
    for (size_t i = 0; i < name.size; i++)
        if (name.data[i] <= ' ' || name.data[i] > '~')
            return false;
    return name.size <= 256;
}

/* HELLO [2|3 [AUTH user password] [SETNAME name]] */
static void run_hello(struct cairn_resp_session *resp, const struct cairn_resp_words *words)
{
    int version = resp->version;
    struct cairn_bytes name = {0};
    bool named = false;
    struct cairn_buf *to;

    if (words->count > 1) {
        struct cairn_bytes wanted = cairn_resp_words_at(words, 1);

        if (!cairn_resp_word_is(wanted, "2") && !cairn_resp_word_is(wanted, "3")) {
            cairn_resp_reply_error(resp, "NOPROTO", "unsupported protocol version: 2 and 3 are spoken");
            return;
        }
        version = wanted.data[0] - '0';
    }
    for (uint32_t i = 2; i < words->count; i++) {
        struct cairn_bytes option = cairn_resp_words_at(words, i);

        if (cairn_resp_word_is(option, "AUTH") && i + 2 < words->count) {
            refuse_auth(resp);
            return;
        }
        if (!cairn_resp_word_is(option, "SETNAME") || i + 1 >= words->count) {
            cairn_resp_reply_error(resp, "ERR", "Syntax error in HELLO option '%.*s'", shown(option),
                                   (const char *)option.data);
            return;
        }
        name = cairn_resp_words_at(words, ++i);
        named = true;
        if (!name_is_plain(name)) {
            cairn_resp_reply_error(resp, "ERR", "client names cannot contain spaces or special characters");
            return;
        }
    }
    resp->version = version;
    if (named)
        set_text(&resp->name, name);
    to = begin(resp);
    cairn_resp_map(to, version, 7);
    cairn_resp_text(to, "server");
    cairn_resp_text(to, "cairn");
    cairn_resp_text(to, "version");
    cairn_resp_text(to, CAIRN_VERSION);
    cairn_resp_text(to, "proto");
    cairn_resp_int(to, version);
    cairn_resp_text(to, "id");
    cairn_resp_int(to, (int64_t)resp->session.id);
    cairn_resp_text(to, "mode");
    cairn_resp_text(to, "standalone");
    cairn_resp_text(to, "role");
    cairn_resp_text(to, "master");
    cairn_resp_text(to, "modules");
    cairn_resp_array(to, 0);
    end(resp);
}

/* --- functions --- */

static void load_function(struct cairn_resp_session *resp, const struct cairn_resp_words *words)
{
    uint32_t at = 2;

    /* A deploy always replaces: earlier versions are kept. */
    if (words->count == 4 && cairn_resp_word_is(cairn_resp_words_at(words, 2), "REPLACE"))
        at = 3;
    if (words->count != at + 1) {
        cairn_resp_reply_error(resp, "ERR", "write FUNCTION LOAD [REPLACE] <.wasm>");
        return;
    }
    cairn_resp_submit(resp, CAIRN_OP_DEPLOY, CAIRN_RESP_FORM_DEPLOYED, cairn_bytes(NULL, 0),
                      cairn_resp_words_at(words, at));
}

static void list_functions(struct cairn_resp_session *resp, const struct cairn_resp_words *words)
{
    struct cairn_bytes pattern = cairn_str("*");

    for (uint32_t i = 2; i < words->count; i++) {
        struct cairn_bytes word = cairn_resp_words_at(words, i);

        if (cairn_resp_word_is(word, "LIBRARYNAME") && i + 1 < words->count) {
            pattern = cairn_resp_words_at(words, ++i);
        } else if (!cairn_resp_word_is(word, "WITHCODE")) { /* the code stays where it is */
            cairn_resp_reply_error(resp, "ERR", "write FUNCTION LIST [LIBRARYNAME <pattern>]");
            return;
        }
    }
    cairn_resp_submit(resp, CAIRN_OP_TYPES, CAIRN_RESP_FORM_FUNCTIONS, pattern, cairn_bytes(NULL, 0));
}

static void run_function(struct cairn_resp_session *resp, const struct cairn_resp_words *words)
{
    struct cairn_bytes sub = cairn_resp_words_at(words, 1);

    if (cairn_resp_word_is(sub, "LOAD"))
        load_function(resp, words);
    else if (cairn_resp_word_is(sub, "LIST"))
        list_functions(resp, words);
    else if (cairn_resp_word_is(sub, "DELETE") && words->count == 3)
        cairn_resp_submit(resp, CAIRN_OP_UNDEPLOY, CAIRN_RESP_FORM_OK, cairn_resp_words_at(words, 2),
                          cairn_bytes(NULL, 0));
    else
        unknown_subcommand(resp, words);
}

/* One value of a list that the node made; a list's items are skipped. */
static void skip(struct cairn_reader *r)
{
    uint64_t left = 1;

    while (left-- > 0 && !r->bad)
        left += cairn_value_read(r).count;
}

static struct cairn_bytes read_bytes(struct cairn_reader *r)
{
    return cairn_value_read(r).bytes;
}

static void skip_limits(struct cairn_reader *r)
{
    for (uint64_t limits = cairn_value_read(r).count; limits > 0 && !r->bad; limits--)
        for (uint64_t members = cairn_value_read(r).count; members > 0 && !r->bad; members--)
            cairn_value_read(r);
}

/* [method, access, flags, limits] */
static void write_function(struct cairn_buf *to, int version, struct cairn_bytes type, struct cairn_reader *r)
{
    char name[160];
    bool read_only = false;
    struct cairn_bytes method;
    uint64_t flags;

    cairn_value_read(r);
    method = read_bytes(r);
    read_bytes(r);
    for (flags = cairn_value_read(r).count; flags > 0 && !r->bad; flags--)
        read_only |= cairn_bytes_equal(read_bytes(r), cairn_str("read-only"));
    skip_limits(r);
    snprintf(name, sizeof name, "%.*s.%.*s", (int)type.size, (const char *)type.data, (int)method.size,
             (const char *)method.data);
    cairn_resp_map(to, version, 3);
    cairn_resp_text(to, "name");
    cairn_resp_text(to, name);
    cairn_resp_text(to, "description");
    cairn_resp_null(to, version);
    cairn_resp_text(to, "flags");
    cairn_resp_array(to, read_only ? 1 : 0);
    if (read_only)
        cairn_resp_text(to, "no-writes");
}

/* What slot->more begins with.  Behind it lie the libraries: a struct library_mark, a gap that ends with the text
 * of the library's head, and its functions.  RESP counts before it tells, so the reply is kept until its end, at
 * most as many functions as a node may have; nothing of it is moved again. */
struct libraries {
    size_t last;               /* the library whose functions still come: its place; 0: none, or it is not wanted */
    size_t told, told_end;     /* once all are there: what was told, and the end of the library that is */
    uint64_t count, functions; /* libraries; functions of the last */
    size_t name_bytes;         /* of the last module that came */
    char name[CAIRN_NAME_BYTES_MAX + 1];
};

enum { LIBRARY_HEAD_BYTES = 192 };

struct library_mark {
    size_t head, end;
};

static struct libraries *libraries_of(struct cairn_slot *slot)
{
    return (struct libraries *)(void *)slot->more.data;
}

static void begin_library(struct cairn_slot *slot, struct cairn_bytes module)
{
    struct libraries *l = libraries_of(slot);
    bool wanted;

    l->name_bytes = module.size < sizeof l->name ? module.size : sizeof l->name - 1;
    memcpy(l->name, module.data, l->name_bytes);
    l->name[l->name_bytes] = 0;
    wanted = cairn_resp_matches((const char *)slot->data.data, l->name, true);
    l->last = wanted ? slot->more.size : 0;
    l->functions = 0;
    if (wanted) {
        cairn_buf_reserve(&slot->more, sizeof(struct library_mark) + LIBRARY_HEAD_BYTES);
        slot->more.size += sizeof(struct library_mark) + LIBRARY_HEAD_BYTES;
    }
}

/* The last library is whole: its head is known. */
static void end_library(struct cairn_slot *slot)
{
    struct libraries *l = libraries_of(slot);
    struct cairn_buf head = {0};
    struct library_mark mark;

    if (!l->last)
        return;
    cairn_resp_map(&head, slot->flags, 3);
    cairn_resp_text(&head, "library_name");
    cairn_resp_bulk(&head, cairn_bytes(l->name, l->name_bytes));
    cairn_resp_text(&head, "engine");
    cairn_resp_text(&head, "WASM");
    cairn_resp_text(&head, "functions");
    cairn_resp_array(&head, l->functions);
    assert(head.size <= LIBRARY_HEAD_BYTES);
    mark = (struct library_mark){l->last + sizeof mark + LIBRARY_HEAD_BYTES - head.size, slot->more.size};
    memcpy(slot->more.data + mark.head, head.data, head.size);
    memcpy(slot->more.data + l->last, &mark, sizeof mark);
    cairn_buf_done(&head);
    l->last = 0;
    l->count++;
}

/* [type, module, version, fields, methods, dropped] */
static void add_type(struct cairn_slot *slot, struct cairn_reader *r)
{
    struct libraries *l;
    struct cairn_bytes type, module;
    uint64_t methods;
    bool wanted;

    cairn_value_read(r);
    type = read_bytes(r);
    module = read_bytes(r);
    skip(r); /* version */
    skip(r); /* fields */
    methods = cairn_value_read(r).count;
    l = libraries_of(slot);
    if (!cairn_bytes_equal(module, cairn_bytes(l->name, l->name_bytes))) {
        end_library(slot);
        begin_library(slot, module);
        l = libraries_of(slot);
    }
    wanted = l->last;
    l->functions += methods;
    for (; methods > 0 && !r->bad; methods--) {
        if (wanted)
            write_function(&slot->more, slot->flags, type, r);
        else
            skip(r);
    }
    skip(r); /* dropped */
}

/* As much as a part has. */
static void tell_libraries(struct cairn_slot *slot, struct cairn_buf *to)
{
    struct libraries *l = libraries_of(slot);
    size_t left = CAIRN_PAGE_BYTES;

    while (left > 0 && l->told < slot->more.size) {
        size_t size;

        if (l->told == l->told_end) {
            struct library_mark mark;

            memcpy(&mark, slot->more.data + l->told, sizeof mark);
            l->told = mark.head;
            l->told_end = mark.end;
        }
        size = l->told_end - l->told < left ? l->told_end - l->told : left;
        cairn_buf_add(to, slot->more.data + l->told, size);
        l->told += size;
        left -= size;
    }
    if (l->told < slot->more.size)
        cairn_slot_go_on_alone(slot);
}

/* Types, as CAIRN_OP_TYPES gives them, become libraries and functions. */
void cairn_resp_write_functions(struct cairn_slot *slot, struct cairn_bytes page, struct cairn_buf *to)
{
    struct cairn_reader r = cairn_reader(page);
    struct cairn_value cursor;
    uint64_t count;

    if (slot->alone) {
        tell_libraries(slot, to);
        return;
    }
    if (!slot->begun) {
        struct libraries none = {.told = sizeof none, .told_end = sizeof none};

        slot->more.size = 0;
        cairn_buf_add(&slot->more, &none, sizeof none);
        slot->begun = true;
    }
    cairn_value_read(&r);
    for (count = cairn_value_read(&r).count; count > 0 && !r.bad; count--)
        add_type(slot, &r);
    cursor = cairn_value_read(&r);
    if (cursor.kind == CAIRN_VALUE_BYTES) {
        cairn_slot_go_on(slot, cursor.bytes);
        return;
    }
    end_library(slot);
    cairn_resp_array(to, libraries_of(slot)->count);
    tell_libraries(slot, to);
}

/* --- COMMAND --- */

static const struct cairn_resp_command *find(struct cairn_resp_session *resp, struct cairn_bytes name)
{
    const struct cairn_resp_command *command = cairn_resp_keys_find(resp->session.front, name);

    if (command)
        return command;
    for (size_t i = 0; (command = command_at(i)) && !command->keys; i++)
        if (cairn_resp_word_is(name, command->name))
            return command;
    return NULL;
}

static bool is_call(const struct cairn_resp_command *command)
{
    return command->in_multi == CAIRN_RESP_QUEUED || command->in_multi == CAIRN_RESP_QUEUED_READ;
}

static const char *group_of(const struct cairn_resp_command *command)
{
    if (is_call(command) || strcmp(command->name, "function") == 0)
        return "scripting";
    if (command->keys)
        return "generic";
    return command->run == cairn_resp_multi || command->run == cairn_resp_exec || command->run == cairn_resp_discard ||
                   command->run == cairn_resp_watch || command->run == cairn_resp_unwatch
               ? "transactions"
               : "connection";
}

static void write_command(struct cairn_buf *to, int version, const struct cairn_resp_command *command)
{
    if (!command) {
        cairn_resp_null(to, version);
        return;
    }
    cairn_resp_array(to, 10);
    cairn_resp_text(to, command->name);
    cairn_resp_int(to, command->arity);
    if (command->keys) {
        bool grows = command->keys->flags & CAIRN_RESP_KEYS_GROWS;

        cairn_resp_array(to, grows ? 2 : 1);
        cairn_resp_simple(to, command->keys->flags & CAIRN_RESP_KEYS_CHANGES ? "write" : "readonly");
        if (grows)
            cairn_resp_simple(to, "denyoom");
        cairn_resp_int(to, command->keys->first);
        cairn_resp_int(to, command->keys->last);
        cairn_resp_int(to, command->keys->step);
    } else {
        cairn_resp_array(to, is_call(command) ? 2 : 1); /* flags */
        if (is_call(command))
            cairn_resp_simple(to, "movablekeys");
        cairn_resp_simple(to, is_call(command) ? (command->name[5] ? "readonly" : "write") : "fast");
        for (int i = 0; i < 3; i++) /* first key, last key, step: keys are found by their number */
            cairn_resp_int(to, 0);
    }
    cairn_resp_array(to, 0); /* categories */
    cairn_resp_array(to, 0); /* tips */
    cairn_resp_array(to, 0); /* key specifications */
    cairn_resp_array(to, 0); /* subcommands */
}

static void write_doc(struct cairn_buf *to, int version, const struct cairn_resp_command *command)
{
    cairn_resp_text(to, command->name);
    cairn_resp_map(to, version, 3);
    cairn_resp_text(to, "summary");
    cairn_resp_text(to, command->summary);
    cairn_resp_text(to, "since");
    cairn_resp_text(to, "0.1.0");
    cairn_resp_text(to, "group");
    cairn_resp_text(to, group_of(command));
}

/* Words behind COMMAND: each is looked for. */
enum { NAMES_MAX = 129 };

static void command_docs(struct cairn_resp_session *resp, const struct cairn_resp_words *words)
{
    struct cairn_buf *to;
    uint32_t known = 0;

    for (uint32_t i = 2; i < words->count; i++)
        known += find(resp, cairn_resp_words_at(words, i)) != NULL;
    to = begin(resp);
    cairn_resp_map(to, resp->version, words->count == 2 ? count_commands() : known);
    if (words->count == 2)
        for (size_t i = 0; i < count_commands(); i++)
            write_doc(to, resp->version, command_at(i));
    for (uint32_t i = 2; i < words->count; i++)
        if (find(resp, cairn_resp_words_at(words, i)))
            write_doc(to, resp->version, find(resp, cairn_resp_words_at(words, i)));
    end(resp);
}

static void run_command(struct cairn_resp_session *resp, const struct cairn_resp_words *words)
{
    struct cairn_bytes sub = words->count > 1 ? cairn_resp_words_at(words, 1) : cairn_bytes(NULL, 0);
    bool all = words->count == 1 || (words->count == 2 && cairn_resp_word_is(sub, "INFO"));
    struct cairn_buf *to;

    if (words->count - 1 > NAMES_MAX) {
        cairn_resp_reply_error(resp, "ERR", "COMMAND tells about at most %d commands at a time", NAMES_MAX - 1);
        return;
    }
    if (cairn_resp_word_is(sub, "DOCS")) {
        command_docs(resp, words);
        return;
    }
    if (!all && !cairn_resp_word_is(sub, "INFO") && !cairn_resp_word_is(sub, "COUNT") &&
        !cairn_resp_word_is(sub, "LIST")) {
        unknown_subcommand(resp, words);
        return;
    }
    to = begin(resp);
    if (cairn_resp_word_is(sub, "COUNT")) {
        cairn_resp_int(to, (int64_t)count_commands());
    } else if (cairn_resp_word_is(sub, "LIST")) {
        cairn_resp_array(to, count_commands());
        for (size_t i = 0; i < count_commands(); i++)
            cairn_resp_text(to, command_at(i)->name);
    } else if (all) {
        cairn_resp_array(to, count_commands());
        for (size_t i = 0; i < count_commands(); i++)
            write_command(to, resp->version, command_at(i));
    } else {
        cairn_resp_array(to, words->count - 2);
        for (uint32_t i = 2; i < words->count; i++)
            write_command(to, resp->version, find(resp, cairn_resp_words_at(words, i)));
    }
    end(resp);
}

/* --- the table --- */

static void run_fcall(struct cairn_resp_session *resp, const struct cairn_resp_words *words)
{
    cairn_resp_fcall(resp, words, false);
}

static void run_fcall_ro(struct cairn_resp_session *resp, const struct cairn_resp_words *words)
{
    cairn_resp_fcall(resp, words, true);
}

static const struct cairn_resp_command commands[] = {
    {"auth", -2, "Refused: this node has no credentials", run_auth, NULL, CAIRN_RESP_REFUSED, NULL},
    {"cairn.cancel", -2, "Tells a durable invocation to end, or ends it: CAIRN.CANCEL ID [NOW]", cairn_resp_cancel,
     NULL, CAIRN_RESP_REFUSED, NULL},
    {"cairn.job", -1, "Tells the id of the job that the next FCALL or EXEC begins: CAIRN.JOB [TRACEPARENT]",
     cairn_resp_job, NULL, CAIRN_RESP_REFUSED, NULL},
    {"cairn.namespace", -1, "Chooses the namespace of this connection, or tells which it is", cairn_resp_namespace,
     NULL, CAIRN_RESP_REFUSED, NULL},
    {"cairn.reject", -2, "Settles a promise with an error: CAIRN.REJECT ID [CODE [MESSAGE]]", cairn_resp_reject, NULL,
     CAIRN_RESP_REFUSED, NULL},
    {"cairn.resolve", -2, "Settles a promise: CAIRN.RESOLVE ID [VALUE]", cairn_resp_resolve, NULL, CAIRN_RESP_REFUSED,
     NULL},
    {"cairn.send", -4, "Sends a message: CAIRN.SEND [DELAY MS] TYPE.METHOD 1 ID [ARG ...], or 2 ID KEY [ARG ...]",
     cairn_resp_send, cairn_resp_check_send, CAIRN_RESP_REFUSED, NULL},
    {"client", -2, "Names this connection and tells about it", cairn_resp_client, NULL, CAIRN_RESP_REFUSED, NULL},
    {"command", -1, "Tells which commands there are", run_command, NULL, CAIRN_RESP_REFUSED, NULL},
    {"config", -2, "Tells settings (CONFIG GET)", cairn_resp_config, NULL, CAIRN_RESP_REFUSED, NULL},
    {"discard", 1, "Drops the calls that are queued since MULTI", cairn_resp_discard, NULL, CAIRN_RESP_AT_ONCE, NULL},
    {"echo", 2, "Gives its argument back", run_echo, NULL, CAIRN_RESP_QUEUED_KEYS, NULL},
    {"exec", -1, "Has the calls that are queued since MULTI happen together, or not at all: EXEC [KEY]",
     cairn_resp_exec, NULL, CAIRN_RESP_AT_ONCE, NULL},
    {"fcall", -3, "Calls a method: FCALL TYPE.METHOD 1 ID [ARG ...], or 2 ID KEY [ARG ...]", run_fcall,
     cairn_resp_check_fcall, CAIRN_RESP_QUEUED, NULL},
    {"fcall_ro", -3, "Calls a read-only method", run_fcall_ro, cairn_resp_check_fcall, CAIRN_RESP_QUEUED_READ, NULL},
    {"function", -2, "Deploys, lists and removes modules: LOAD, LIST, DELETE", run_function, NULL, CAIRN_RESP_REFUSED,
     NULL},
    {"hello", -1, "Chooses the version of the protocol", run_hello, NULL, CAIRN_RESP_REFUSED, NULL},
    {"info", -1, "Tells about the node", cairn_resp_info, NULL, CAIRN_RESP_REFUSED, NULL},
    {"multi", 1, "Queues the calls that follow, until EXEC", cairn_resp_multi, NULL, CAIRN_RESP_AT_ONCE, NULL},
    {"ping", -1, "Answers", run_ping, NULL, CAIRN_RESP_QUEUED_KEYS, NULL},
    {"quit", -1, "Ends the connection", run_quit, NULL, CAIRN_RESP_AT_ONCE, NULL},
    {"reset", 1, "Puts the connection back to its beginning", run_reset, NULL, CAIRN_RESP_AT_ONCE, NULL},
    {"select", 2, "Chooses a database of the cache", run_select, NULL, CAIRN_RESP_QUEUED_KEYS, NULL},
    {"unwatch", 1, "Forgets what is watched", cairn_resp_unwatch, NULL, CAIRN_RESP_QUEUED_KEYS, NULL},
    {"watch", -2, "EXEC does nothing if an object or a key has changed since: WATCH TYPE/ID|KEY [..]", cairn_resp_watch,
     NULL, CAIRN_RESP_AT_ONCE, NULL},
};

enum { COMMANDS = sizeof commands / sizeof commands[0] };

static size_t count_commands(void)
{
    size_t count = COMMANDS;

    while (command_at(count))
        count++;
    return count;
}

/* Those of the cache follow. */
static const struct cairn_resp_command *command_at(size_t index)
{
    return index < COMMANDS ? &commands[index] : cairn_resp_keys_at(index - COMMANDS);
}

static void unknown_command(struct cairn_resp_session *resp, const struct cairn_resp_words *words)
{
    struct cairn_bytes name = cairn_resp_words_at(words, 0);
    struct cairn_suggest suggest = {.typed = name, .fold = true};
    char nearest[CAIRN_SUGGEST_TEXT_BYTES];
    struct cairn_buf args = {0};
    size_t at = 0;

    cairn_buf_str(&args, "");
    for (uint32_t i = 1; i < words->count && args.size < 128; i++) {
        struct cairn_bytes word = cairn_resp_words_at(words, i);

        cairn_buf_printf(&args, "'%.*s' ", shown(word), (const char *)word.data);
    }
    for (const struct cairn_resp_command *known; (known = command_at(at)); at++)
        if (!known->keys || resp->session.front->backend->cache)
            cairn_suggest_offer(&suggest, cairn_str(known->name), cairn_str(known->name));
    if (suggest.distance > 1) /* LSET is meant as it is, and not as RESET */
        suggest.name.data = NULL;
    cairn_resp_reply_error(resp, "ERR",
                           "unknown command '%.*s', with args beginning with: %.*s"
                           "(methods are called by FCALL TYPE.METHOD 1 ID [ARG ...])%s",
                           shown(name), (const char *)name.data, (int)args.size, (const char *)args.data,
                           cairn_suggest_text(&suggest, nearest));
    cairn_buf_done(&args);
}

/* A browser or a forwarder that speaks HTTP here is not a Redis client: the rest may be a body that another party
 * chose. */
static bool speaks_http(const struct cairn_resp_words *words)
{
    struct cairn_bytes name = cairn_resp_words_at(words, 0), last = cairn_resp_words_at(words, words->count - 1);

    return cairn_resp_word_is(name, "POST") || cairn_resp_word_is(name, "HOST:") ||
           (cairn_resp_word_is(name, "GET") && words->count == 3 && last.size > 5 &&
            memcmp(last.data, "HTTP/", 5) == 0);
}

const struct cairn_resp_command *cairn_resp_find(struct cairn_resp_session *resp, const struct cairn_resp_words *words)
{
    const struct cairn_resp_command *command = find(resp, cairn_resp_words_at(words, 0));

    if (resp->parser.is_inline && speaks_http(words)) {
        cairn_resp_reply_error(resp, "ERR", "this port speaks RESP, not HTTP");
        cairn_session_end(&resp->session);
        return NULL;
    }
    if (!command) {
        unknown_command(resp, words);
        return NULL;
    }
    if (command->arity > 0 ? words->count != (uint32_t)command->arity : words->count < (uint32_t)-command->arity) {
        cairn_resp_reply_error(resp, "ERR", "wrong number of arguments for '%s' command", command->name);
        return NULL;
    }
    return command;
}

void cairn_resp_dispatch(struct cairn_resp_session *resp, const struct cairn_resp_words *words)
{
    const struct cairn_resp_command *command = cairn_resp_find(resp, words);

    if (command && command->keys)
        cairn_resp_keys_run(resp, command, words);
    else if (command)
        command->run(resp, words);
}
