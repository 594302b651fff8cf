/* Would catch: a pushed message that waits behind a reply which is not there yet, or cuts into one; posts that are
 * lost, come twice or out of their thread's order; a post that reaches another session than its own, or a freed one;
 * posts without a bound; a client that takes nothing and is pushed to without end. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "server/talk.h"

static struct cairn_front *front_of(void *context, uint32_t worker)
{
    struct talk *talk = context;

    assert_int_equal(worker, 0);
    return &talk->front;
}

static atomic_uint wakes;

static void wake(void *context, uint32_t worker)
{
    (void)context;
    (void)worker;
    atomic_fetch_add(&wakes, 1);
}

static struct talk *create(const struct cairn_front_limits *limits)
{
    struct talk *talk = talk_create(cairn_resp_session_open, limits);

    talk->about.front = front_of;
    talk->about.wake = wake;
    talk->about.context = talk;
    return talk;
}

static void test_order(void **state)
{
    struct talk *talk = create(NULL);

    (void)state;
    talk_command(talk, "PING");
    talk_command(talk, "FCALL Box.late 1 b 2 x");
    talk_command(talk, "PING"); /* has its reply, and waits */
    cairn_session_push(talk->session, cairn_str(">1\r\n+event\r\n"));
    talk_settle(talk);
    talk_expect(talk, "order", "+PONG\r\n>1\r\n+event\r\n$1\r\nx\r\n+PONG\r\n");
    cairn_session_push(talk->session, cairn_str("alone"));
    talk_settle(talk);
    talk_expect(talk, "without any request", "alone");
    talk_destroy(talk);
}

static void test_takes_nothing(void **state)
{
    const struct cairn_front_limits limits = {.output_bytes = 1000};
    struct talk *talk = create(&limits);

    (void)state;
    talk->sends = false;
    for (int i = 0; i < 400 && talk->session; i++) {
        cairn_session_push(talk->session, cairn_str("0123456789"));
        assert_in_range(cairn_session_output(talk->session).size, 0, 4000);
        assert_true(cairn_session_output(talk->session).size > 0);
    }
    cairn_session_push(talk->session, cairn_str("0123456789"));
    assert_true(cairn_session_cut(talk->session));
    assert_int_equal(cairn_session_output(talk->session).size, 0);
    talk_settle(talk);
    assert_null(talk->session);
    talk_destroy(talk);
}

static void test_posts(void **state)
{
    const struct cairn_front_limits limits = {.post_bytes = 1000};
    struct talk *talk = create(&limits);
    struct cairn_session_ref ref = cairn_session_ref(talk->session), same = cairn_session_ref(talk->session), other;
    uint8_t large[1000] = {0};

    (void)state;
    assert_memory_equal(&ref, &same, sizeof ref);
    atomic_store(&wakes, 0);
    assert_true(cairn_session_post(&talk->about, ref, cairn_str("one ")));
    assert_true(cairn_session_post(&talk->about, ref, cairn_str("two")));
    assert_int_equal(wakes, 1);
    assert_false(cairn_session_post(&talk->about, ref, cairn_bytes(large, sizeof large)));
    talk_settle(talk);
    talk_expect(talk, "posts", "one two");
    assert_int_equal(talk->front.post_bytes, 0);

    /* One is on its way when its session ends, and the next session takes its place. */
    assert_true(cairn_session_post(&talk->about, ref, cairn_str("late")));
    talk_hang_up(talk);
    talk->session = cairn_resp_session_open(&talk->front, talk);
    other = cairn_session_ref(talk->session);
    assert_int_equal(other.place, ref.place);
    assert_true(cairn_session_post(&talk->about, other, cairn_str("mine")));
    assert_true(cairn_session_post(&talk->about, ref, cairn_str("later")));
    talk_settle(talk);
    talk_expect(talk, "only its own", "mine");
    assert_true(cairn_session_post(&talk->about, other, cairn_str("never seen"))); /* freed: told by the sanitizer */
    talk_destroy(talk);
}

enum { THREADS = 3, POSTS = 5000 };

struct poster {
    struct talk *talk;
    struct cairn_session_ref to;
    int number;
};

static void *post_many(void *context)
{
    const struct poster *poster = context;
    char text[32];

    for (int i = 0; i < POSTS; i++) {
        snprintf(text, sizeof text, "%d %d\n", poster->number, i);
        while (!cairn_session_post(&poster->talk->about, poster->to, cairn_str(text)))
            ;
    }
    return NULL;
}

static void test_threads(void **state)
{
    struct talk *talk = create(NULL);
    struct poster posters[THREADS];
    pthread_t threads[THREADS];
    int next[THREADS] = {0}, number, i, seen = 0;

    (void)state;
    for (int t = 0; t < THREADS; t++) {
        posters[t] = (struct poster){talk, cairn_session_ref(talk->session), t};
        assert_int_equal(pthread_create(&threads[t], NULL, post_many, &posters[t]), 0);
    }
    while (seen < THREADS * POSTS) {
        const char *at;
        int used;

        talk_turn(talk);
        for (at = talk_received(talk); sscanf(at, "%d %d\n%n", &number, &i, &used) == 2; at += used) {
            assert_in_range(number, 0, THREADS - 1);
            assert_int_equal(i, next[number]);
            next[number]++;
            seen++;
        }
    }
    for (int t = 0; t < THREADS; t++)
        pthread_join(threads[t], NULL);
    talk_destroy(talk);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_order),
        cmocka_unit_test(test_takes_nothing),
        cmocka_unit_test(test_posts),
        cmocka_unit_test(test_threads),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
