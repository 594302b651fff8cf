#include "server/talk.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static void no_metrics(void *context, struct cairn_front *front, struct cairn_request *request)
{
    struct cairn_buf page = {0};

    (void)context;
    (void)front;
    cairn_value_add_list(&page, 2);
    cairn_value_add_bytes(&page, cairn_str("numbers\n"));
    cairn_value_add_nil(&page);
    request->reply(request, cairn_buf_bytes(&page));
    cairn_buf_done(&page);
}

static void no_totals(void *context, struct cairn_front_stats *ret_sums)
{
    (void)context;
    memset(ret_sums, 0, sizeof *ret_sums);
}

struct talk *talk_create(struct cairn_session *(*open)(struct cairn_front *front, void *owner),
                         const struct cairn_front_limits *limits)
{
    struct talk *talk = cairn_alloc_zeroed(1, sizeof *talk);

    cairn_sim_clock_init(&talk->clock, 1);
    talk->standin = standin_create(1, NULL, NULL);
    cairn_zk_clients_init(&talk->zk_clients, 1);
    talk->about = (struct cairn_front_about){
        .http_port = 7070,
        .resp_port = 6379,
        .started_ms = talk->clock.clock.wall_ms(&talk->clock.clock),
        .sync = "always",
        .data = "data",
        .connections_max = 10,
        .loopback_only = true,
        .zk_port = 2181,
        .zk = &talk->zk,
        .zk_clients = &talk->zk_clients,
        .metrics = no_metrics,
        .totals = no_totals,
    };
    cairn_front_init(&talk->front, standin_backend(talk->standin), 0, &talk->clock.clock, limits, &talk->about);
    talk->session = open(&talk->front, talk);
    talk->sends = true;
    return talk;
}

void talk_hang_up(struct talk *talk)
{
    if (talk->session)
        cairn_session_close(talk->session);
    talk->session = NULL;
}

void talk_destroy(struct talk *talk)
{
    talk_hang_up(talk);
    /* Requests under way are answered, or never will be. */
    cairn_front_done(&talk->front);
    standin_destroy(talk->standin);
    cairn_zk_clients_done(&talk->zk_clients);
    cairn_buf_done(&talk->got);
    free(talk);
}

bool talk_turn(struct talk *talk)
{
    const struct cairn_backend *backend = standin_backend(talk->standin);
    uint64_t submitted = talk->front.submitted;
    bool more = backend->run(talk->front.worker, 1000000);
    struct cairn_session *session;

    while ((session = cairn_front_next(&talk->front))) {
        struct cairn_bytes output = cairn_session_output(session);

        assert_ptr_equal(session, talk->session);
        assert_ptr_equal(cairn_session_owner(session), talk);
        if (talk->sends && output.size) {
            cairn_buf_add(&talk->got, output.data, output.size);
            cairn_session_sent(session, output.size);
        }
        if (cairn_session_over(session)) {
            talk_hang_up(talk);
            return false;
        }
    }
    return more || talk->front.submitted != submitted;
}

void talk_settle(struct talk *talk)
{
    while (talk_turn(talk))
        ;
}

void talk_input_bytes(struct talk *talk, struct cairn_bytes bytes)
{
    if (talk->session)
        cairn_session_input(talk->session, bytes);
}

void talk_input(struct talk *talk, const char *text)
{
    talk_input_bytes(talk, cairn_str(text));
}

void talk_command(struct talk *talk, const char *line)
{
    struct cairn_buf text = {0}, words = {0};
    uint64_t count = 0;
    char *copy = strdup(line), *at = copy, *word;

    while ((word = strsep(&at, " "))) {
        count++;
        cairn_resp_text(&words, word);
    }
    cairn_resp_array(&text, count);
    cairn_buf_add(&text, words.data, words.size);
    cairn_session_input(talk->session, cairn_buf_bytes(&text));
    cairn_buf_done(&text);
    cairn_buf_done(&words);
    free(copy);
}

const char *talk_received(struct talk *talk)
{
    cairn_buf_u8(&talk->got, 0);
    talk->got.size = 0;
    return (const char *)talk->got.data;
}

void talk_expect(struct talk *talk, const char *label, const char *want)
{
    const char *got = talk_received(talk);

    if (strcmp(got, want) != 0)
        fail_msg("%s: got\n%s\nwant\n%s", label, got, want);
}
