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
typedef void (*nc_conf_line_fn)(void *user, const char *text);
typedef void (*nc_conf_print_fn)(const nacre_sshd_config *c, const nc_conf_row *row,
                                 nc_conf_line_fn line, void *user);

enum {
    NC_CONF_ADDS = 1,     /* every line counts, not the first alone */
    NC_CONF_IN_MATCH = 2, /* may stand in a Match block */
    NC_CONF_TEXT = 4,     /* at: a char *, freed with the configuration */
    NC_CONF_LIST = 8      /* at: a nacre_sshd_list, freed with the configuration */
};

struct nc_conf_row {
    const char *name;
    nc_conf_set_fn set;
    nc_conf_print_fn print; /* NULL: -T does not show it */
    unsigned flags;
    size_t at; /* in nacre_sshd_settings */
    const nc_conf_choice *choices;
    uint32_t min, max;
};

#define NC_CONF_AT(field) offsetof(nacre_sshd_settings, field)

/* sshd_keywords.c */
extern const nc_conf_row nc_conf_rows[];
extern const size_t nc_conf_row_count;

/* sshd_values.c: what setters are made of, and those of plain values. */
void *nc_conf_field(const nacre_sshd_config *c, const nc_conf_row *row);
int nc_conf_bad_value(nacre_error *err, const nc_conf_line *l, const nc_conf_row *row,
                      const char *wanted);
int nc_conf_only_one(nacre_error *err, const nc_conf_line *l, const nc_conf_row *row);
int nc_conf_store_text(nacre_sshd_config *c, char **to, const char *text, const nc_conf_line *l,
                       nacre_error *err);
int nc_conf_list_add(nacre_sshd_config *c, nacre_sshd_list *list, const char *item);

/* clang-format off */
#define NC_CONF_SETTER(name) int name(nacre_sshd_config *c, const nc_conf_row *row, const nc_conf_line *l, nacre_error *err)
#define NC_CONF_PRINTER(name) void name(const nacre_sshd_config *c, const nc_conf_row *row, nc_conf_line_fn line, void *user)
/* clang-format on */
extern const nc_conf_choice nc_conf_yes_no[], nc_conf_families[], nc_conf_compressions[],
    nc_conf_roots[], nc_conf_levels[], nc_conf_facilities[];
NC_CONF_SETTER(nc_conf_set_choice);
NC_CONF_SETTER(nc_conf_set_number);
NC_CONF_SETTER(nc_conf_set_time);
NC_CONF_SETTER(nc_conf_set_text);
NC_CONF_SETTER(nc_conf_set_text_or_none);
NC_CONF_SETTER(nc_conf_set_command);
NC_CONF_SETTER(nc_conf_set_list);

/* sshd_special.c: values with a form of their own. */
NC_CONF_SETTER(nc_conf_set_people);
NC_CONF_SETTER(nc_conf_set_env_list);
NC_CONF_SETTER(nc_conf_set_port);
NC_CONF_SETTER(nc_conf_set_listen);
NC_CONF_SETTER(nc_conf_set_rekey);
NC_CONF_SETTER(nc_conf_set_startups);
NC_CONF_SETTER(nc_conf_set_subsystem);
NC_CONF_SETTER(nc_conf_set_key_files);
NC_CONF_SETTER(nc_conf_set_pam);
NC_CONF_SETTER(nc_conf_set_nothing);
NC_CONF_SETTER(nc_conf_set_deprecated);
NC_CONF_SETTER(nc_conf_set_off);
NC_CONF_SETTER(nc_conf_set_methods);
NC_CONF_SETTER(nc_conf_set_match);

/* sshd_show.c */
NC_CONF_PRINTER(nc_conf_print_choice);
NC_CONF_PRINTER(nc_conf_print_number);
NC_CONF_PRINTER(nc_conf_print_text);
NC_CONF_PRINTER(nc_conf_print_algorithms);
NC_CONF_PRINTER(nc_conf_print_list);
NC_CONF_PRINTER(nc_conf_print_words);
NC_CONF_PRINTER(nc_conf_print_ports);
NC_CONF_PRINTER(nc_conf_print_listen);
NC_CONF_PRINTER(nc_conf_print_rekey);
NC_CONF_PRINTER(nc_conf_print_startups);
NC_CONF_PRINTER(nc_conf_print_subsystems);

/* Include, which reads: in sshd_config.c. */
int nc_conf_include(nacre_sshd_config *c, const nc_conf_row *row, const nc_conf_line *l,
                    nacre_error *err);

#endif
