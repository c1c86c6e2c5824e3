/*
 * sshd_config.h - what the parts of the configuration reader share: words, the keyword table, the
 * object.
 */
#ifndef NC_SERVER_SSHD_CONFIG_H
#define NC_SERVER_SSHD_CONFIG_H

#include "nacre/sshd_config.h"

#include "base/buf.h"
#include "base/error.h"

enum {
    NC_CONF_MAX_FILE = 1 << 20, /* far above any real one */
    NC_CONF_MAX_WORDS = 256,    /* on a line */
    NC_CONF_MAX_LIST = 4096,    /* entries of one list */
    NC_CONF_MAX_DEPTH = 16,     /* Include within Include */
    NC_CONF_MAX_WARNINGS = 64,
    NC_CONF_ROWS = 128 /* keywords, at most */
};

struct nacre_sshd_config {
    const nacre_allocator *alloc;
    nacre_sshd_settings s;
    bool seen[NC_CONF_ROWS]; /* by row: the first value is there */
    bool finished;
    unsigned depth;
    char *warnings[NC_CONF_MAX_WARNINGS];
    size_t warning_count;
};

/* One line, cut into words. text is a copy with quotes removed that words point into. */
typedef struct nc_conf_line {
    const char *file;
    unsigned number; /* 0: from the command line */
    char *text;
    char *words[NC_CONF_MAX_WORDS];
    size_t count;     /* words[0] is the keyword */
    const char *rest; /* everything behind the keyword as it stands, without blanks at both ends */
    char *raw;
} nc_conf_line;

/* Cuts a line. count 0: nothing but blanks or a comment. NACRE_SYNTAX, NACRE_NO_MEMORY, NACRE_LIMIT. */
int nc_conf_split(nc_conf_line *l, const nacre_allocator *a, nacre_span text, nacre_error *err);
void nc_conf_clear(nc_conf_line *l, const nacre_allocator *a);
/* nc_fail with file and line in front. */
int nc_conf_fail(nacre_error *err, const nc_conf_line *l, int status, const char *fmt, ...)
    NACRE_PRINTF(4, 5);
void nc_conf_warn(nacre_sshd_config *c, const nc_conf_line *l, const char *fmt, ...)
    NACRE_PRINTF(3, 4);

typedef struct nc_conf_choice {
    const char *name;
    int value;
} nc_conf_choice;

typedef struct nc_conf_row nc_conf_row;
typedef int (*nc_conf_set_fn)(nacre_sshd_config *c, const nc_conf_row *row, const nc_conf_line *l,
                              nacre_error *err);
typedef void (*nc_conf_print_fn)(const nacre_sshd_config *c, const nc_conf_row *row,
                                 void (*line)(void *user, const char *text), void *user);
struct nc_conf_row {
    const char *name;
    nc_conf_set_fn set;
    nc_conf_print_fn print; /* NULL: -T does not show it */
    size_t at;              /* in nacre_sshd_settings */
    const nc_conf_choice *choices;
    uint32_t min, max;
    bool adds; /* every line counts, not the first alone */
};

/* sshd_keywords.c */
extern const nc_conf_row nc_conf_rows[];
extern const size_t nc_conf_row_count;
int nc_conf_list_add(nacre_sshd_config *c, nacre_sshd_list *list, const char *item);

/* Include, which reads: in sshd_config.c. */
int nc_conf_include(nacre_sshd_config *c, const nc_conf_row *row, const nc_conf_line *l,
                    nacre_error *err);

#endif
