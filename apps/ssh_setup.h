/*
 * ssh_setup.h - from a command line and configuration files to a connected client: what nacre-ssh and
 * the file transfer programs have in common.
 */
#ifndef APPS_SSH_SETUP_H
#define APPS_SSH_SETUP_H

#include "nacre/client.h"
#include "nacre/ssh_config.h"

#include <stdio.h>

enum { SETUP_FILES_MAX = 64, SETUP_PATH_MAX = 4096 };

typedef struct ssh_jump ssh_jump;

typedef struct ssh_setup {
    const char *program; /* in front of messages */
    nacre_ssh_config *conf;
    nacre_destination dest;
    const char *config_file; /* -F; NULL: the usual ones */
    int verbosity;           /* -1 quiet, 0, 1 to 3: -v */
    bool use_syslog;         /* -y: messages go there */
    FILE *log;               /* -E: to this file instead of standard error; NULL */
    bool batch;
    bool only_show;      /* -G: read and name what counts, no more */
    const char *command; /* what is to run there, for Match; NULL: a shell */
    nacre_loop *loop;    /* to be borrowed; NULL: one of its own */
    unsigned hops;       /* how many hosts there are behind this one on the way */

    /* filled by setup_load */
    char host[256]; /* the real host name */
    char user[256];
    char port_text[8];
    uint16_t port;
    char home[1024];
    char *files[SETUP_FILES_MAX]; /* expanded paths, owned */
    size_t file_count;
    const char *key_files[SETUP_FILES_MAX], *cert_files[SETUP_FILES_MAX];
    char preferred[256], addendum[256];
    char jump_text[1024]; /* ProxyJump with its tokens replaced; "": none */
    nacre_known_hosts *known;
    const char *hosts_files[SETUP_FILES_MAX]; /* the user's known_hosts */
    size_t hosts_file_count;
    nacre_client_config cfg;

    ssh_jump *jump; /* filled by setup_connect: the hosts in front of this one, NULL: none */
} ssh_setup;

/* Complains on stderr, in one line. */
void setup_say(const ssh_setup *s, const char *fmt, ...) NACRE_PRINTF(2, 3);
/* Likewise, without the program's name in front. */
void setup_note(const ssh_setup *s, const char *fmt, ...) NACRE_PRINTF(2, 3);
/* Like ssh's: "debug1: ...", when verbosity is at least level. */
void setup_debug(const ssh_setup *s, int level, const char *fmt, ...) NACRE_PRINTF(3, 4);

/* destination is as typed; user (-l) may be NULL. Options are added to s->conf afterwards. */
int setup_init(ssh_setup *s, const char *program);
/* Reads the files, and fills cfg. False: it has complained. Everything in cfg lives as long as s. */
bool setup_load(ssh_setup *s);
/*
 * Connects and logs in, through the hosts of ProxyJump if any, as often as ConnectionAttempts says. False: it
 * has complained. The client must be freed before setup_clear.
 */
bool setup_connect(ssh_setup *s, nacre_client **out);
void setup_clear(ssh_setup *s);
/* A value of keyword, with what it may hold of tokens, ~ and ${} replaced; false: it has complained. */
bool setup_expand(ssh_setup *s, const char *keyword, const char *text, char *out, size_t size);

/* The same for a value that names a file: kept until setup_clear; NULL: it has complained. */
char *setup_keep_path(ssh_setup *s, const char *keyword, const char *text);

/* ---- ssh_keys.c ---- */

/* The keys to log in with, and the agent; false: it has complained. */
bool setup_keys(ssh_setup *s);

/* ---- ssh_connect.c ---- */

/* Marks the packets of the connection (IPQoS). */
void setup_quality(const ssh_setup *s, nacre_client *c, bool interactive);

/* ---- ssh_explain.c ---- */

/* Prints the failed call's sentence as ssh would put it, and for a person what to try. */
void setup_explain(const ssh_setup *s, const nacre_client *c, int rc);

/* The file that a value of keyword names, kept in s; NULL: it has complained. */
char *setup_keep_path(ssh_setup *s, const char *keyword, const char *text);

/* ---- ssh_hosts.c ---- */

/* Everything about the host's key. False: it has complained. */
bool hosts_setup(ssh_setup *s);

/* ---- ssh_notes.c: setup_say and setup_debug, and ---- */

/* Does standard error take what is written, within half a second? */
bool setup_is_heard(void);
/* For -E: messages go to this file; what the program over there says on its standard error does not. */
bool setup_log_to(ssh_setup *s, const char *path);
/* What the library logs with so many -v. */
nacre_log_level setup_log_level(int verbosity);
/* As -v, while the connection is there. */
void setup_set_verbosity(ssh_setup *s, nacre_client *c, int verbosity);
/* For -y: messages go to the system's log, under SyslogFacility. */
void setup_open_log(ssh_setup *s);
/* Sets the callbacks of s->cfg by which the library tells something. */
void setup_listen(ssh_setup *s);

/* ---- ssh_hostbased.c ---- */

/* hostbased and its keys, and whether user keys are bound to the server's. */
void setup_host_auth(ssh_setup *s);

/* ---- ssh_ask.c ---- */

/* The callbacks of nacre_client; user is the ssh_setup. */
bool ask_host(void *user, const nacre_host_question *q);
bool ask_add_key(void *user, const nacre_key *key, const char *path); /* AddKeysToAgent ask */
/* May another program use the connection so? "yes", or nothing at all, is yes. */
bool ask_permission(const ssh_setup *s, const char *question);
/* Any question with an answer in clear, terminated; false: nobody answered. */
bool ask_text(const ssh_setup *s, const char *prompt, char *out, size_t size);
int ask_secret(void *user, nacre_answer_kind kind, const char *prompt, bool echo, unsigned attempt,
               char *out, size_t size);

#endif
