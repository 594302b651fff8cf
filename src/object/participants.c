#include "object/participants.h"

#include "object/kept.h"
#include "object/messages.h"

const struct participant *const participants[] = {
    &purge_participant,   &header_participant, &kept_participant,     &directory_participant,
    &durable_participant, &once_participant,   &messages_participant,
};
const size_t participant_count = sizeof participants / sizeof *participants;
