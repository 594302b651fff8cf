/* letters.h - the messages that a shard keeps, for people: walked, looked up, and what is done about dead letters.
 *
 * Threads: the shard's owner.  Layer: object, seen by admin. */
#ifndef CAIRN_OBJECT_LETTERS_H
#define CAIRN_OBJECT_LETTERS_H

#include "object/messages.h"

enum letter_state {
    LETTER_WAITS,   /* in the line, or behind others for its object */
    LETTER_RUNS,    /* or is next in its object's mailbox */
    LETTER_LATER,   /* until it is due */
    LETTER_NO_TYPE, /* until a module has its type */
    LETTER_LEAVES,  /* it is for another shard, which has not taken it in: it has no number yet */
    LETTER_DEAD,
};

enum { LETTER_KEY_BYTES_MAX = 24 };

struct letter {
    enum letter_state state;
    uint64_t number;
    uint8_t key[LETTER_KEY_BYTES_MAX]; /* where it lies */
    size_t key_size;
    struct posted posted; /* borrowed until the next read of the overlay */
};

struct letters_walk {
    struct messages *messages;
    struct overlay *overlay;
    bool dead;           /* dead letters, else those that wait */
    bool sides_alone;    /* letters_walk_sides */
    struct cairn_buf at; /* where the walk is; empty: at its begin */
    /* NULL: a place where there is none.  False: enough for now, it goes on behind that one. */
    bool (*visit)(void *context, const struct letter *letter);
    void *context;
};

/* True: that was all of the shard's.  `at` may come from a client: what is none is the end. */
bool letters_walk(struct letters_walk *walk);
/* So that the walk goes through the side lines alone: through those that are served, then those that are parked. */
void letters_walk_sides(struct letters_walk *walk);
/* A dead letter, or one that waits where it was put first, or is due later.  One in a side line is found by a walk: its
 * number does not tell which that is. */
bool letters_find(struct messages *messages, struct overlay *overlay, uint64_t number, struct letter *ret_letter);

/* Within a housekeeper's record: the dead letter is a new message again, or is no more.  False: there is none, or it
 * cannot be run. */
bool letters_revive(struct messages *messages, struct overlay *overlay, uint64_t number);
bool letters_drop(struct messages *messages, struct overlay *overlay, uint64_t number);
/* The same of one that waits, is due later or has no type, as it has just been found.  A firing is used up. */
void letters_withdraw(struct messages *messages, struct overlay *overlay, const struct letter *letter);

#endif
