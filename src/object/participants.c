#include "object/participants.h"

const struct participant *const participants[] = {
    &purge_participant, &header_participant, &directory_participant, &durable_participant, &once_participant,
};
const size_t participant_count = sizeof participants / sizeof *participants;
