/*
 * ssh_config.h - what the files of ssh_config(5) share: the object (ssh_config.c), its lines (ssh_lines.c), Match
 * (ssh_match.c), the table of keywords (ssh_keywords.c), what a value may be (ssh_check.c), tokens
 * (ssh_tokens.c), the passes over the files and canonical names (ssh_read.c), and -G (ssh_show.c).
 */
#ifndef NC_CLIENT_SSH_CONFIG_H
#define NC_CLIENT_SSH_CONFIG_H

#include "base/buf.h"
#include "base/error.h"
#include "nacre/account.h"
#include "nacre/ssh_config.h"

typedef enum nc_keyword_kind {
    NC_KW_TEXT,     /* one word */
    NC_KW_LINE,     /* the rest of the line as it is */
    NC_KW_WORDS,    /* the words of the line, which are one value: with one blank between */
    NC_KW_YESNO,    /* yes, no (true, false) */
    NC_KW_CHOICE,   /* one of choices */
    NC_KW_NUMBER,   /* decimal */
    NC_KW_PORT,     /* 1..65535 */
    NC_KW_TIME,     /* seconds, "1h30m", "none" is 0 */
    NC_KW_ALGS,     /* a list; checked when the connection is made */
    NC_KW_ONE_LIST, /* words of one line, the first line wins */
    NC_KW_ADD_LIST, /* words, lines add up */
    NC_KW_ADD,      /* one word a line, lines add up; the same one only once */
    NC_KW_FORWARD,  /* one or two words, joined by a colon; lines add up; the same one only once */
    NC_KW_IGNORED   /* known, has no meaning here */
} nc_keyword_kind;

typedef struct nc_keyword {
    const char *name; /* as in the manual */
    nc_keyword_kind kind;
    const char *choices;   /* CHOICE: comma-separated */
    const char *supported; /* the values that this version can do; NULL: all */
    const char *alias_of;  /* an older name */
} nc_keyword;

/* ---- ssh_keywords.c ---- */

const nc_keyword *nc_keyword_find(nacre_span name); /* any case; NULL: unknown */
/* Old names that ssh takes and forgets (Protocol ...). */
bool nc_keyword_is_dead(nacre_span name);
bool nc_keyword_supports(const nc_keyword *k, const char *value);
/* Whether a value that is not supported may be passed over with a warning. */
bool nc_keyword_is_harmless(const nc_keyword *k);
/* Has no effect here, whatever its value. */
bool nc_keyword_has_no_effect(const nc_keyword *k);
/* A value out of a comma-separated list, in any case of letters. */
bool nc_keyword_listed(const char *list, const char *value);

/* ---- ssh_check.c ---- */

/* Checks one value; err says what would be right. alone: no other stands in its line. */
int nc_keyword_check(const nc_keyword *k, const char *value, bool alone,
                     nacre_error *err) NACRE_MUST_CHECK;
/* LocalForward, RemoteForward and DynamicForward: the words of a line, joined by a colon. */
int nc_forward_check_words(const nc_keyword *k, const char *value, size_t words,
                           nacre_error *err) NACRE_MUST_CHECK;
/* A value of them as ssh -G writes it. */
int nc_forward_show(const nc_keyword *k, const char *value, char *out, size_t size,
                    nacre_error *err) NACRE_MUST_CHECK;

/* ---- ssh_config.c: the object ---- */

typedef struct nc_entry {
    const nc_keyword *keyword;
    char *value;
    char *where;  /* "file:line", "command line" */
    bool of_user; /* from the command line or the user's own file */
} nc_entry;

struct nacre_ssh_config {
    const nacre_allocator *alloc;
    char *host, *user; /* as they were typed */
    char *command;     /* to be run there; NULL: none */
    char *real;        /* the canonical name of the final pass; NULL: not there yet */
    bool final;        /* the final pass */
    bool want_final;   /* somebody asked for it */
    nacre_ssh_hooks hooks;
    nc_entry *entries;
    size_t count, cap;
    /* Looked up when something asks for them. */
    nacre_account *me;
    char local_host[256];
};

enum {
    NC_CONF_LINE_MAX = 65536,   /* longer lines are no configuration */
    NC_CONF_INCLUDE_DEPTH = 16, /* as ssh: deeper is a circle */
    NC_CONF_ENTRIES_MAX = 4096, /* values of one destination; no honest configuration has as many */
    NC_CONF_FILES_MAX = 1024    /* opened in one pass: every level may name all others */
};

/* Where the parser is. */
typedef struct nc_place {
    nacre_ssh_config *c;
    const char *source;
    unsigned line;
    bool active;  /* the present block counts */
    bool never;   /* included from a block that does not */
    bool in_home; /* relative names begin in ~/.ssh, "~" may be used */
    bool may_include;
    bool of_user;
    unsigned depth;
    unsigned *files; /* how many were opened in this pass */
    nacre_error *err;
} nc_place;

bool nc_conf_has(const nacre_ssh_config *c, const nc_keyword *k);
/* Puts a value behind the others. */
int nc_conf_append(const nc_place *p, const nc_keyword *k, const char *value) NACRE_MUST_CHECK;
/* Takes the values of k away that the pattern matches (SendEnv -PATTERN). */
void nc_conf_remove(nacre_ssh_config *c, const nc_keyword *k, const char *pattern);
/* err := "file:line: ..." */
int nc_conf_complain(const nc_place *p, int status, const char *fmt, ...) NACRE_PRINTF(3, 4);
void nc_conf_where(const nc_place *p, char *out, size_t size);
const nacre_account *nc_conf_me(nacre_ssh_config *c); /* NULL: the system does not know us */
const char *nc_conf_local_host(nacre_ssh_config *c);
const char *nc_conf_local_user(nacre_ssh_config *c);

/* ---- ssh_lines.c ---- */

/* The words of a text, as OpenSSH splits lines. at[count] is NULL. */
typedef struct nc_words {
    char **at;
    size_t count;
    char *text;
} nc_words;
/* NACRE_SYNTAX: a quote is not closed. */
int nc_words_split(const nacre_allocator *a, const char *text, nc_words *out) NACRE_MUST_CHECK;
void nc_words_clear(const nacre_allocator *a, nc_words *w);

int nc_conf_line(nc_place *p, const char *line) NACRE_MUST_CHECK;
int nc_conf_keyword(nc_place *p, nacre_span name, const char *rest) NACRE_MUST_CHECK;
int nc_conf_take(nc_place *p, const nc_keyword *k, const char *value, bool alone,
                 bool first_line) NACRE_MUST_CHECK;
int nc_conf_text(nc_place *p, nacre_span text) NACRE_MUST_CHECK;
/* secure: nobody else may write the file. err gets file and reason. */
int nc_conf_file(const nc_place *p, const char *path, bool secure,
                 nacre_error *err) NACRE_MUST_CHECK;

/* ---- ssh_match.c ---- */

/* *active := whether the criteria hold. */
int nc_conf_match(nc_place *p, const nc_words *w, bool *active) NACRE_MUST_CHECK;

/* ---- ssh_tokens.c ---- */

/* The host name as it is known so far: HostName with %h, or the name that was typed. */
int nc_conf_host_so_far(nacre_ssh_config *c, char *out, size_t size,
                        nacre_error *err) NACRE_MUST_CHECK;
/* Tokens, and with flags ~ and ${}, of Include and Match exec. */
enum { NC_EXPAND_HOME = 1, NC_EXPAND_ENV = 2, NC_EXPAND_SHELL = 4 };
int nc_conf_expand(nacre_ssh_config *c, const char *text, unsigned flags, char *out, size_t size,
                   nacre_error *err) NACRE_MUST_CHECK;
/* Characters by which a shell or a terminal could take a name for more than a name. */
bool nc_is_shell_safe(const char *text);

/* ---- ssh_destination.c ---- */

/* "a,user@b:22": whether it can be a list of ProxyJump. */
bool nc_is_jump_list(const char *text);

#endif
