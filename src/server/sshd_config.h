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
    NC_CONF_MAX_LINES = 65536, /* of all files: an Include of many files by many others ends here */
    NC_CONF_MAX_BLOCKS = 4096, /* Match lines */
    NC_CONF_ROWS = 160         /* keywords, at most */
};

/* A line that counted, kept for nacre_sshd_config_match. */
typedef struct nc_conf_kept {
    char *text;
    char *file;
    unsigned number;
    size_t block; /* index + 1 of the Match block that it stands in; 0: none */
} nc_conf_kept;

typedef struct nc_conf_criterion_row nc_conf_criterion_row;

typedef struct nc_conf_criterion {
    const nc_conf_criterion_row *row;
    char *value; /* "" where there is none */
} nc_conf_criterion;

/* A Match line; one that was included from within another holds only where that one does. */
typedef struct nc_conf_block {
    nc_conf_criterion *criteria;
    size_t count;
    size_t parent; /* as nc_conf_kept.block */
} nc_conf_block;

struct nacre_sshd_config {
    const nacre_allocator *alloc;
    nacre_sshd_settings s;
    bool seen[NC_CONF_ROWS]; /* by row: the first value is there */
    bool finished;
    unsigned depth;
    char *warnings[NC_CONF_MAX_WARNINGS];
    size_t warning_count;
    nc_conf_kept *lines;
    size_t line_count, line_room;
    nc_conf_block *blocks;
    size_t block_count;
    size_t block;           /* that the next line stands in, as nc_conf_kept.block */
    size_t outer;           /* that the Include of this file stands in */
    bool rekey_time;        /* RekeyLimit named a time */
    uint32_t penalty_words; /* of PerSourcePenalties, that were named: a bit each */
    bool is_copy;           /* made by nacre_sshd_config_match: keeps no lines */
    bool defaulting;        /* lines are our own defaults */
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
    char *whole; /* the line as it came, without blanks at both ends */
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
    NC_CONF_LIST = 8,     /* at: a nacre_sshd_list, freed with the configuration */
    NC_CONF_NOW = 16      /* not a value: done where it stands (Include, Match) */
};

struct nc_conf_row {
    const char *name;
    nc_conf_set_fn set;
    nc_conf_print_fn print; /* NULL: -T does not show it */
    unsigned flags;
    size_t at; /* in nacre_sshd_settings */
    const nc_conf_choice *choices;
    uint32_t min, max; /* of numbers; min of algorithm lists: their nacre_algorithm_kind */
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
    nc_conf_roots[], nc_conf_levels[], nc_conf_facilities[], nc_conf_forwards[], nc_conf_rhosts[],
    nc_conf_gateways[], nc_conf_tunnels[], nc_conf_hashes[];
NC_CONF_SETTER(nc_conf_set_choice);
NC_CONF_SETTER(nc_conf_set_number);
NC_CONF_SETTER(nc_conf_set_time);
NC_CONF_SETTER(nc_conf_set_time_or_none);
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

/* sshd_rights.c: whom to believe, and what a session may. */
NC_CONF_SETTER(nc_conf_set_files);
NC_CONF_SETTER(nc_conf_set_pattern);
NC_CONF_SETTER(nc_conf_set_program);
NC_CONF_SETTER(nc_conf_set_pubkey_options);
NC_CONF_SETTER(nc_conf_set_user_environment);
NC_CONF_SETTER(nc_conf_set_targets);
NC_CONF_SETTER(nc_conf_set_mask);
NC_CONF_SETTER(nc_conf_set_channel_timeouts);

/* sshd_sources.c: whom to count, and how. */
NC_CONF_SETTER(nc_conf_set_per_source);
NC_CONF_SETTER(nc_conf_set_net_blocks);
NC_CONF_SETTER(nc_conf_set_penalties);
NC_CONF_SETTER(nc_conf_set_exempt_list);
void nc_conf_penalties_text(const nacre_source_rules *r, char *text, size_t size);
/* Do they make sense together? */
int nc_conf_check_sources(const nacre_sshd_config *c, nacre_error *err);

/* sshd_show.c */
NC_CONF_PRINTER(nc_conf_print_per_source);
NC_CONF_PRINTER(nc_conf_print_net_blocks);
NC_CONF_PRINTER(nc_conf_print_penalties);
NC_CONF_PRINTER(nc_conf_print_line);
NC_CONF_PRINTER(nc_conf_print_mask);
NC_CONF_PRINTER(nc_conf_print_pubkey_options);
NC_CONF_PRINTER(nc_conf_print_user_environment);
NC_CONF_PRINTER(nc_conf_print_any_line);
NC_CONF_PRINTER(nc_conf_print_none_line);
NC_CONF_PRINTER(nc_conf_print_time_or_none);
NC_CONF_PRINTER(nc_conf_print_choice);
NC_CONF_PRINTER(nc_conf_print_number);
NC_CONF_PRINTER(nc_conf_print_text);
NC_CONF_PRINTER(nc_conf_print_algorithms);
NC_CONF_PRINTER(nc_conf_print_list);
NC_CONF_PRINTER(nc_conf_print_ports);
NC_CONF_PRINTER(nc_conf_print_listen);
NC_CONF_PRINTER(nc_conf_print_rekey);
NC_CONF_PRINTER(nc_conf_print_startups);
NC_CONF_PRINTER(nc_conf_print_subsystems);

/* sshd_match.c */
NC_CONF_SETTER(nc_conf_set_match);
/* Do lines here hold for everybody? Behind "Match all" they do. */
bool nc_conf_unconditional(const nacre_sshd_config *c);
void nc_conf_drop_blocks(nacre_sshd_config *c);

/* sshd_config.c: the row of a keyword, nc_conf_row_count when there is none; a line at its row. */
size_t nc_conf_find_row(const char *keyword);
/* Keeps a line of a block for later. NACRE_NO_MEMORY, NACRE_LIMIT. */
int nc_conf_keep(nacre_sshd_config *c, const nc_conf_line *l, size_t block) NACRE_MUST_CHECK;
/* Reads one line; only: NULL, or rows whose lines are passed over. */
int nc_conf_one_line(nacre_sshd_config *c, nacre_span text, const char *file, unsigned number,
                     const bool *passed, nacre_error *err) NACRE_MUST_CHECK;

/* Include, which reads: in sshd_config.c. */
int nc_conf_include(nacre_sshd_config *c, const nc_conf_row *row, const nc_conf_line *l,
                    nacre_error *err);

#endif
