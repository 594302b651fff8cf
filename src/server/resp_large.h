/* resp_large.h - large values on a Redis connection: a command's word that a mover takes in, and replies with values
 * that a mover sends.
 *
 * In: when a word under way is large, and is a value of a command that sets it, the session stops parsing; once all
 * replies before it have left, the connection is lent to a mover, with what had been read of the word.  Then parsing
 * goes on behind the word, which has no bytes, and the value goes along with the command's words.
 *
 * Out: a reply is text with values at places of it (parts).  The text leaves as all output does; at a part the
 * connection is lent.
 *
 * Threads: the session's.  Layer: server (private). */
#ifndef CAIRN_SERVER_RESP_LARGE_H
#define CAIRN_SERVER_RESP_LARGE_H

#include "cache/mover.h"
#include "server/resp_internal.h"

struct cairn_resp_call;

/* A command's word that has become a large value. */
struct cairn_resp_large_word {
    struct cairn_large *value; /* a reference */
    uint32_t word;
};

/* A value in a reply: from `at` of its text on. */
struct cairn_resp_part {
    struct cairn_large *value; /* a reference */
    size_t at;
    uint64_t from, until;
};

/* --- in --- */

/* The word that the parser waits for: looks whether it is to be taken as a large value, or is larger than any that may
 * be.  `rest` begins with the command.  Returns how many of its bytes are used. */
size_t cairn_resp_large_begin(struct cairn_resp_session *resp, struct cairn_bytes rest);
/* APPEND or SETRANGE of a value that is large, or becomes so: begins to make the new one, and returns true.  `text` is
 * the command as it came. */
bool cairn_resp_large_compose(struct cairn_resp_session *resp, const struct cairn_resp_words *words,
                              struct cairn_bytes text);
/* Step of a session whose command waits for its turn. */
void cairn_resp_large_step(struct cairn_resp_session *resp);
/* Its move is over. */
void cairn_resp_large_moved(struct cairn_session *session, struct cairn_move *move);
/* True: a value of the command could not be kept, which has been answered. */
bool cairn_resp_large_refused(struct cairn_resp_session *resp);
/* The command is over: its values are the table's, if it has put them there. */
void cairn_resp_large_forget(struct cairn_resp_session *resp);
void cairn_resp_large_done(struct cairn_resp_session *resp); /* the session is freed */

/* NULL: the word is what it looks like. */
struct cairn_large *cairn_resp_words_large(const struct cairn_resp_words *words, uint32_t word);

/* --- out --- */

/* Writes bytes from .. until - 1 of the value, as a bulk string, to the call's reply. */
void cairn_resp_large_write(struct cairn_resp_call *call, struct cairn_large *value, uint64_t from, uint64_t until);
/* Ends a reply that may have parts; `from` is where it begins in what cairn_session_reply_begin gave. */
void cairn_resp_large_reply_end(struct cairn_resp_session *resp, size_t from);
/* ops->write of a slot with parts. */
void cairn_resp_large_write_part(struct cairn_slot *slot, struct cairn_buf *to);

#endif
