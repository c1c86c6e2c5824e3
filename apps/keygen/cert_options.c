/*
 * cert_options.c - how long a certificate is valid (-V).
 */
#include "keygen.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static uint64_t relative(const char *text, time_t now)
{
    uint32_t seconds = 0;
    if (nacre_duration_parse(text + 1, &seconds) != NACRE_OK) {
        kg_die("Invalid relative certificate time %s", text);
    }
    if (*text == '-' && (time_t)seconds > now) {
        kg_die("Certificate time %s cannot be represented", text);
    }
    return *text == '-' ? (uint64_t)now - seconds : (uint64_t)now + seconds;
}

static uint64_t hexadecimal(const char *text)
{
    char *end = NULL;
    errno = 0;
    unsigned long long v = strtoull(text, &end, 16);
    if (*end || end == text) {
        kg_die("Invalid certificate time: not a number");
    }
    if (errno == ERANGE) {
        kg_die("parse_hex_u64: Invalid certificate time: %s", strerror(errno));
    }
    return v;
}

static uint64_t one_time(const char *text, time_t now, const char *word, uint64_t word_is,
                         const char *bad)
{
    if (*text == '-' || *text == '+') {
        return relative(text, now);
    }
    if (strcmp(text, word) == 0) {
        return word_is;
    }
    if (strncmp(text, "0x", 2) == 0) {
        return hexadecimal(text);
    }
    uint64_t at = 0;
    if (nacre_date_parse(kg_text(text), nacre_zone_local, NULL, &at) != NACRE_OK) {
        kg_die("Invalid %s time \"%s\"", bad, text);
    }
    return at;
}

void kg_parse_validity(keygen *g, char *text)
{
    time_t now = time(NULL);
    char *colon = strchr(text, ':');
    if (*text == '+' && !colon) {
        uint32_t seconds = 0;
        if (nacre_duration_parse(text + 1, &seconds) != NACRE_OK) {
            kg_die("Invalid relative certificate life %s", text);
        }
        g->valid_to = (uint64_t)now + seconds;
        /* A minute ago, for hosts whose clocks are behind. */
        g->valid_from = (uint64_t)((now - 59) / 60) * 60;
        return;
    }
    if (!colon || colon == text || !colon[1]) {
        kg_die("Invalid certificate life specification %s", text);
    }
    *colon = '\0';
    g->valid_from = one_time(text, now, "always", 0, "from");
    g->valid_to = one_time(colon + 1, now, "forever", NACRE_CERT_FOREVER, "to");
    *colon = ':';
    if (g->valid_to <= g->valid_from) {
        kg_die("Empty certificate validity interval");
    }
}
