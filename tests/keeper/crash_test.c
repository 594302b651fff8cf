/* crash_test.c - power cuts at any step, of a node whose clients write without waiting.
 *
 * It would catch: an answered write that is gone, or half of a multi; a sequential number that is given twice; an
 * ephemeral without its session, or a session without its ephemerals; a client that comes back and finds a state behind
 * what it has seen. */
#include "keeper_lab.h"

enum { CLIENTS = 3, ASKS = 12, ROUNDS = 12 };

/* What one client has done in all rounds. */
struct actor {
    struct client client;
    struct lab_ask asks[ASKS];
    int asked;
    int sent, answered; /* the number that its node has */
    char answered_path[16];
    int ephemerals_sent, ephemerals_answered;
    bool closes;
};

/* Of sequential nodes: the greatest number that was answered. */
static int last_sequence = -1;

static const char *ephemeral_path(int i, int k)
{
    static char path[32];

    snprintf(path, sizeof path, "/e/%d-%d", i, k);
    return path;
}

/* Sets its node to the next number, by a multi with a check before it and an ephemeral behind it, or makes a sequential
 * node. */
static void act(struct lab *lab, struct actor *actor, int i)
{
    struct lab_ask *ask = &actor->asks[actor->asked++];
    char path[16], number[16];

    if (cairn_random_below(&lab->sim.random, 3) == 0) {
        lab_ask_init(ask, &actor->client, KEEPER_CREATE, "/q/n-", NULL)->flags = 2;
    } else {
        snprintf(path, sizeof path, "/n%d", i);
        snprintf(number, sizeof number, "%d", ++actor->sent);
        lab_ask_init(ask, &actor->client, KEEPER_MULTI, NULL, NULL);
        lab_part(ask, KEEPER_CHECK, "/q", NULL);
        lab_part(ask, KEEPER_SET_DATA, path, number);
        lab_part(ask, KEEPER_CREATE, ephemeral_path(i, actor->ephemerals_sent++), NULL)->flags = 1;
    }
    lab_send(ask);
}

/* What was answered until the cut. */
static void note_answers(struct actor *actor)
{
    for (int k = 0; k < actor->asked; k++) {
        struct lab_ask *ask = &actor->asks[k];
        int sequence;

        if (!ask->answered || ask->error)
            continue;
        if (ask->ask.op == KEEPER_MULTI) {
            actor->answered = atoi(ask->data[1]);
            sscanf(ask->paths[2], "/e/%*d-%d", &sequence);
            actor->ephemerals_answered = sequence + 1;
        } else if (ask->ask.op == KEEPER_CREATE) {
            assert_int_equal(sscanf(ask->text, "/q/n-%d", &sequence), 1);
            if (sequence > last_sequence)
                last_sequence = sequence;
        }
    }
}

static int number_of(struct client *client, int i)
{
    char path[16];
    int number = -1;

    snprintf(path, sizeof path, "/n%d", i);
    assert_int_equal(sscanf(lab_do(client, KEEPER_GET_DATA, path, NULL, 0), "'%d'", &number), 1);
    return number;
}

static bool is_there(struct client *client, const char *path)
{
    const char *text = lab_do(client, KEEPER_EXISTS, path, NULL, 0);

    assert_true(text[0] == 'v' || strcmp(text, "!-101") == 0);
    return text[0] == 'v';
}

static void start_over(struct actor *actor, int i)
{
    char path[16];

    actor->ephemerals_sent = actor->ephemerals_answered = 0;
    actor->closes = false;
    snprintf(path, sizeof path, "/n%d", i);
    lab_do(&actor->client, KEEPER_CREATE, path, "0", 0);
}

/* The session is there with all that it has made, or is over, and all of it is gone. */
static void check(struct lab *lab, struct client *witness, struct actor *actor, int i)
{
    bool close_answered = actor->closes && actor->asks[actor->asked - 1].answered;
    struct client was = actor->client;
    int32_t error = client_connect(&actor->client, lab, (uint32_t)i % 2, &was);
    int number = number_of(witness, i), there = 0;

    assert_true(number >= actor->answered && number <= actor->sent);
    for (int k = 0; k < actor->ephemerals_sent; k++) {
        bool found = is_there(witness, ephemeral_path(i, k));

        there += found;
        assert_true(error == 0 || !found);
        assert_true(error != 0 || found || k >= actor->ephemerals_answered);
    }
    if (error == 0) {
        assert_false(close_answered);
        assert_true(actor->client.zxid_seen >= was.zxid_seen);
        /* A multi is whole: its number and its ephemeral came together. */
        assert_int_equal(there, actor->ephemerals_sent - (actor->sent - number));
        actor->ephemerals_sent = actor->ephemerals_answered = there;
    } else {
        assert_int_equal(error, -112);
        assert_true(actor->closes);
        assert_int_equal(client_connect(&actor->client, lab, (uint32_t)i % 2, NULL), 0);
        actor->client.zxid_seen = 0;
        start_over(actor, i);
    }
    actor->sent = actor->answered = number;
    actor->asked = 0;
    actor->closes = false;
}

static void check_sequence(struct client *witness)
{
    const char *text = lab_do(witness, KEEPER_CREATE, "/q/n-", NULL, 2);
    int sequence = -1;

    assert_int_equal(sscanf(text, "/q/n-%d", &sequence), 1);
    assert_true(sequence > last_sequence);
    last_sequence = sequence;
}

static void test_power_cuts(void **state)
{
    static struct actor actors[CLIENTS];
    struct lab lab;
    struct client witness;

    (void)state;
    lab_init(&lab, 1, NULL);
    assert_int_equal(client_connect(&witness, &lab, 0, NULL), 0);
    lab_do(&witness, KEEPER_CREATE, "/q", NULL, 0);
    lab_do(&witness, KEEPER_CREATE, "/e", NULL, 0);
    for (int i = 0; i < CLIENTS; i++) {
        assert_int_equal(client_connect(&actors[i].client, &lab, (uint32_t)i % 2, NULL), 0);
        start_over(&actors[i], i);
    }
    for (int round = 0; round < ROUNDS; round++) {
        enum cairn_sim_crash how = round % 2 ? CAIRN_SIM_DROP : CAIRN_SIM_TEAR;
        struct client was;

        for (int k = 0; k < ASKS - 1; k++)
            for (int i = 0; i < CLIENTS; i++)
                act(&lab, &actors[i], i);
        if (round % 3 == 0) {
            struct actor *actor = &actors[round / 3 % CLIENTS];

            lab_ask_init(&actor->asks[actor->asked], &actor->client, KEEPER_CLOSE, NULL, NULL);
            lab_send(&actor->asks[actor->asked++]);
            actor->closes = true;
        }
        for (uint64_t steps = cairn_random_below(&lab.sim.random, 700); steps-- > 0;)
            lab_step(&lab);
        lab.clients = NULL;
        simnode_crash(&lab.sim, how);
        for (int i = 0; i < CLIENTS; i++)
            note_answers(&actors[i]);
        lab_open(&lab);
        was = witness;
        assert_int_equal(client_connect(&witness, &lab, 0, &was), 0);
        for (int i = 0; i < CLIENTS; i++)
            check(&lab, &witness, &actors[i], i);
        check_sequence(&witness);
    }
    lab_done(&lab);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_power_cuts)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
