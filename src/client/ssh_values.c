/*
 * ssh_values.c - numbers, times and limits in values of ssh_config(5). Words, times and sizes are in
 * base/words.c, tokens in ssh_tokens.c, destinations in ssh_destination.c.
 */
#include "base/words.h"
#include "client/ssh_config.h"
#include "keys/pattern.h"

/* ---- numbers ---- */

int nacre_parse_time(const char *text, uint32_t *seconds)
{
    return text && nc_parse_time(text, seconds) ? NACRE_OK : NACRE_SYNTAX;
}

int nacre_parse_bytes(const char *text, uint64_t *bytes)
{
    return text && nc_parse_size(text, bytes) ? NACRE_OK : NACRE_SYNTAX;
}

int nacre_parse_rekey_limit(const char *text, uint64_t *bytes, uint32_t *seconds)
{
    char size[64], time[64];
    const char *p = text;
    *bytes = 0;
    *seconds = 0;
    if (!text || nc_next_word(&p, size, sizeof(size)) != 1 || !nc_parse_rekey_size(size, bytes)) {
        return NACRE_SYNTAX;
    }
    int more = nc_next_word(&p, time, sizeof(time));
    if (more < 0 || (more == 1 && !nc_parse_rekey_time(time, seconds))) {
        return NACRE_SYNTAX;
    }
    return more == 1 && nc_next_word(&p, size, sizeof(size)) != 0 ? NACRE_SYNTAX : NACRE_OK;
}

bool nacre_ssh_pattern(const char *text, const char *pattern)
{
    return nc_pattern_match(nc_span_cstr(text), nc_span_cstr(pattern), false);
}
