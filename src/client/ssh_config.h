/*
 * ssh_config.h - between the parser (ssh_config.c), the table of keywords (ssh_keywords.c) and the
 * little languages inside of values (ssh_values.c).
 */
#ifndef NC_CLIENT_SSH_CONFIG_H
#define NC_CLIENT_SSH_CONFIG_H

#include "base/buf.h"
#include "base/error.h"
#include "nacre/ssh_config.h"

typedef enum nc_keyword_kind {
    NC_KW_TEXT,     /* one word */
    NC_KW_LINE,     /* the rest of the line as it is */
    NC_KW_YESNO,    /* yes, no (true, false) */
    NC_KW_CHOICE,   /* one of choices */
    NC_KW_NUMBER,   /* decimal */
    NC_KW_PORT,     /* 1..65535 */
    NC_KW_TIME,     /* seconds, "1h30m", "none" is 0 */
    NC_KW_REKEY,    /* bytes and time */
    NC_KW_ALGS,     /* a list; checked when the connection is made */
    NC_KW_ONE_LIST, /* words of one line, the first line wins */
    NC_KW_ADD_LIST, /* words, lines add up */
    NC_KW_ADD,      /* one word a line, lines add up */
    NC_KW_IGNORED   /* known, has no meaning here */
} nc_keyword_kind;

typedef struct nc_keyword {
    const char *name; /* as in the manual */
    nc_keyword_kind kind;
    const char *choices;   /* CHOICE: comma-separated */
    const char *supported; /* the values that this version can do; NULL: all */
    const char *alias_of;  /* an older name */
} nc_keyword;

const nc_keyword *nc_keyword_find(nacre_span name); /* any case; NULL: unknown */
/* Checks one value; err says what would be right. */
int nc_keyword_check(const nc_keyword *k, const char *value, nacre_error *err) NACRE_MUST_CHECK;
bool nc_keyword_supports(const nc_keyword *k, const char *value);

#endif
