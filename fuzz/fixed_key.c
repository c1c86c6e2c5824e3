/*
 * fixed_key.c - keys that do not come from the input: reading one again for each would be most of a target's work.
 */
#include "fixed_key.h"

#include <stdlib.h>
#include <string.h>

const nacre_key *fuzz_key_once(nacre_key **kept, const char *line)
{
    const nacre_span text = {(const uint8_t *)line, strlen(line)};
    if (!*kept && nacre_key_from_public_line(kept, NULL, text, NULL) != NACRE_OK) {
        abort();
    }
    return *kept;
}

const nacre_key *fuzz_fixed_key(void)
{
    static nacre_key *key;
    return fuzz_key_once(&key,
                         "ssh-ed25519 "
                         "AAAAC3NzaC1lZDI1NTE5AAAAINdamAGCsQq31Uv+08lkBzoO4XLz2qYjJa8CGmj3B1Ea");
}
