/*
 * DNS messages with SSHFP records: whatever a resolver hands over, and what it says of a key.
 */
#include "nacre/sshfp.h"
#include "fuzz.h"

#include <stdlib.h>

static const char line[] = "ssh-ed25519 "
                           "AAAAC3NzaC1lZDI1NTE5AAAAINdamAGCsQq31Uv+08lkBzoO4XLz2qYjJa8CGmj3B1Ea";

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static nacre_sshfp_answer answer;
    static nacre_sshfp record;
    const nacre_span message = {data, size};
    const nacre_span key_line = {(const uint8_t *)line, sizeof(line) - 1};
    nacre_key *key = NULL;
    (void)!nacre_sshfp_parse(message, &record);
    int rc = nacre_sshfp_read_answer(message, &answer);
    if (rc != NACRE_OK && (answer.count != 0 && answer.authenticated)) {
        abort(); /* what failed must not vouch */
    }
    if (nacre_key_from_public_line(&key, NULL, key_line, NULL) == NACRE_OK) {
        (void)nacre_sshfp_check(&answer, key);
    }
    nacre_key_free(key);
    return 0;
}
