/*
 * fixed_key.h - the key that targets ask about, when what they are about is the text.
 */
#ifndef NC_FUZZ_FIXED_KEY_H
#define NC_FUZZ_FIXED_KEY_H

#include "nacre/key.h"

/* An Ed25519 key that is read once and kept to the end. */
const nacre_key *fuzz_fixed_key(void);
/* The same of a line ("type base64"): *kept, read when it is NULL. A line that is no key ends the program. */
const nacre_key *fuzz_key_once(nacre_key **kept, const char *line);

#endif
