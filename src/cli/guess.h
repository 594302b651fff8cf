/* guess.h - what somebody meant who typed a name that does not exist.  Layer: cli. */
#ifndef CAIRN_CLI_GUESS_H
#define CAIRN_CLI_GUESS_H

/* Offer it every name there is; then `name` is the nearest one, or NULL if none is near enough. */
struct cairn_guess {
    const char *typed;
    const char *name;
    unsigned distance;
};

/* `word` is what is compared; `name`, what is then suggested (both are kept, not copied). */
void cairn_guess_offer(struct cairn_guess *guess, const char *word, const char *name);

#endif
