/*
 * The parser of ls -l lines that servers send: what it finds lies within the line, and what our own
 * writer makes of what it found says the same again.
 */
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "nacre/sftp_attrs.h"

static void within(nacre_span part, nacre_span whole)
{
    if (part.n > 0 && (part.p < whole.p || part.p + part.n > whole.p + whole.n)) {
        abort();
    }
}

static void again(const nacre_sftp_longname_parts *parts)
{
    char text[512];
    nacre_sftp_longname_parts second;
    nacre_sftp_attrs a = {.flags = NACRE_SFTP_ATTR_PERMISSIONS | NACRE_SFTP_ATTR_SIZE,
                          .permissions = parts->permissions,
                          .size = parts->size};
    nacre_span name = {(const uint8_t *)"f", 1};
    size_t n = nacre_sftp_longname(text, sizeof(text), name, &a, 1, "u", "g", 0, 0);
    nacre_span line = {(const uint8_t *)text, n};
    if (n >= sizeof(text) || nacre_sftp_longname_parse(line, &second) != NACRE_OK) {
        abort();
    }
    if ((parts->known & NACRE_SFTP_LONGNAME_SIZE) && second.size != parts->size) {
        abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    /* A block of its own: a reader that goes beyond it is seen. */
    uint8_t *copy = malloc(size ? size : 1);
    nacre_sftp_longname_parts parts;
    if (!copy) {
        return 0;
    }
    if (size) {
        memcpy(copy, data, size);
    }
    nacre_span line = {copy, size};
    if (nacre_sftp_longname_parse(line, &parts) == NACRE_OK) {
        within(parts.user, line);
        within(parts.group, line);
        within(parts.date, line);
        within(parts.name, line);
        again(&parts);
    }
    free(copy);
    return 0;
}
