/* zk_words.h - the four-letter words of ZooKeeper, for its port, or a page.
 *
 * Threads: a front's.  Layer: server (private). */
#ifndef CAIRN_SERVER_ZK_WORDS_H
#define CAIRN_SERVER_ZK_WORDS_H

#include "keeper/keeper.h"
#include "server/session.h"

struct cairn_zk_word;

/* NULL: there is no such word. */
const struct cairn_zk_word *cairn_zk_word_find(struct cairn_bytes name);
/* What the keeper is to be asked for it (enum keeper_op); 0: nothing. */
int cairn_zk_word_asks(const struct cairn_zk_word *word);
/* `ask` is answered without an error; NULL of words that ask nothing. */
void cairn_zk_word_write(struct cairn_front *front, const struct cairn_zk_word *word, const struct keeper_ask *ask,
                         struct cairn_buf *to);

#endif
