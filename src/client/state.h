/*
 * state.h - the inside of a nacre_client, for the files of src/client.
 *
 * The client is driven from blocking calls only: each of them waits in nc_client_wait, which turns the
 * loop. Events leave their mark in this struct; nothing that may block or ask happens inside on_event.
 */
#ifndef NC_CLIENT_STATE_H
#define NC_CLIENT_STATE_H

#include "base/buf.h"
#include "base/error.h"
#include "client/openers.h"
#include "io/proxy_command.h"
#include "nacre/client.h"
#include "nacre/net.h"

#include <stdatomic.h>

enum {
    NC_REPLIES_MAX = 256, /* as many as a channel lets wait (nacre/channel.h) */
    NC_METHODS_MAX = 1024,
    NC_PROMPTS_MAX = 64,              /* questions of one round that we answer */
    NC_SECRET_MAX = 1024,             /* the longest answer */
    NC_INBOX_MAX = 256 * 1024 * 1024, /* far above any window, which is the real bound */
    NC_NAME_MAX = 512                 /* "[host]:port" */
};

enum { NC_MAX_ANNOUNCED = 64 }; /* host keys of a server; as many as the engine hands out */

/* Host keys that the server announced, on their way into known_hosts: trust_update.c. */
typedef enum nc_update_stage {
    NC_UPDATE_NONE = 0,
    NC_UPDATE_ANNOUNCED, /* to be compared */
    NC_UPDATE_ASKED,     /* the proof is on its way */
    NC_UPDATE_PROVEN,    /* to be written */
    NC_UPDATE_DONE       /* whatever came of it */
} nc_update_stage;
typedef struct nc_update {
    nc_update_stage stage;
    nacre_key **keys;
    size_t count;
    uint8_t *matched; /* by key: by which names of the host it is known */
    nacre_key **old;  /* known, and not announced */
    size_t old_count;
} nc_update;

/* A channel of the blocking calls, and what it kept until somebody asks. */
typedef struct nc_chan {
    struct nc_chan *next;
    nacre_channel *ch;
    nc_queue in[2]; /* by stream; window goes back as it is read */
    bool opened, failed, eof, closed;
    uint32_t fail_reason;
    char fail_text[256];
    uint8_t replies[NC_REPLIES_MAX]; /* a ring */
    size_t reply_at, reply_count;
    nacre_exit exit;
    nacre_client_event_fn fn;
    void *fn_user;
    bool merge_errors;           /* stderr is kept with stdout */
    bool drop_errors, drop_data; /* nobody wants them */
    struct nacre_stream *stream; /* that stands on it; not ours */
    nacre_relay *relay;
    struct nc_attached *attached; /* that relay is one of nacre_client_attach */
} nc_chan;

/* A question of the server's during authentication, kept until the blocked call serves it. */
typedef enum nc_question {
    NC_ASKS_NOTHING = 0,
    NC_ASKS_SIGN,
    NC_ASKS_PROMPTS,
    NC_ASKS_CHANGE
} nc_question;

typedef struct nc_auth_state {
    nc_question question;
    uint32_t ticket;
    nacre_key *sign_key;
    const char *sign_algorithm; /* static */
    nacre_span sign_data;       /* the engine's, until answered */
    nc_buf texts; /* name, instruction, prompts (or the change prompt), as they came */
    nacre_span name, instruction;
    nacre_prompt prompts[NC_PROMPTS_MAX];
    size_t prompt_count;
    bool prompts_seen; /* in this attempt */

    bool in_flight; /* an attempt whose result is not there */
    bool result;    /* it is there */
    int status;
    char methods[NC_METHODS_MAX];
    bool methods_known;

    /* what the present attempt may draw on */
    const char *key_path; /* of an encrypted key: opened when the server wants its signature */
    nacre_key *signer;    /* the agent's key that signs for the one that is offered; borrowed */
    nacre_key *loaded;    /* a private key that came from a file, with its path */
    const char *loaded_path;
    nacre_key *unlocked; /* the last that a passphrase has opened */
    const char *unlocked_path;
    bool password_spent; /* the configured one was given to a prompt in this login */
    nacre_span password; /* the one of the present password attempt; for a change */

    nacre_agent *agent; /* of this connection; NULL: none, or not opened yet */
    bool agent_tried;
    bool agent_ready; /* its descriptor, for wait_for_agent */
    const char
        *keysign; /* a host key's: the program that signs by it; NULL: it is ours or a caller's */
} nc_auth_state;

struct nacre_client {
    const nacre_allocator *alloc;
    nacre_client_config cfg; /* strings in owned */
    void **owned;
    size_t owned_count;
    nacre_loop *loop;
    bool own_loop;
    atomic_bool cancelled;

    char *host;
    uint16_t port;
    char address[64];        /* numeric, of the peer */
    char where[NC_NAME_MAX]; /* "host port 22" for sentences */
    nacre_connecting *connecting;
    int fd;
    int in_fd; /* of the connection; the driver's */
    bool connect_over;
    nacre_error connect_why;
    nc_proxy proxy;          /* of config.proxy_command */
    nacre_client *owned_via; /* config.via, when it goes with this client */

    nacre_transport *t;
    nacre_driver *d;
    bool closed; /* the driver said so */
    nacre_error why;
    bool kex_done;
    bool proxied; /* another process's connection: nacre_client_connect_proxied */
    uint32_t host_ticket;
    nacre_key *host_key;
    bool no_passwords; /* the host key changed, and policy let it pass */
    bool may_update;   /* the server may teach us further keys */
    nc_update update;

    nc_auth_state auth;
    struct nacre_mux_master *mux_master; /* NULL: the connection is not shared */
    nc_chan *chans;
    nc_opener openers[NC_OPENERS_MAX];      /* openers.c */
    struct nc_agent_forward *agent_forward; /* agent_forward.c; NULL: not asked for */
    struct nc_x11 *x11;                     /* x11.c; likewise */
    struct nacre_forward *forwards;         /* forward.c */
    struct nc_forward_conn *forward_conns;
    int run_rc; /* what an event function returned; NACRE_AGAIN: nothing yet */
    nacre_error err;
};

/* ---- client.c: sentences and waiting ---- */

void nc_client_begin(nacre_client *c); /* a call begins: no error */
int nc_client_fail(nacre_client *c, int status, const char *fmt, ...) NACRE_PRINTF(3, 4);
void nc_client_log(const nacre_client *c, nacre_log_level level, const char *fmt, ...)
    NACRE_PRINTF(3, 4);
void nc_client_warn(const nacre_client *c, const char *fmt, ...) NACRE_PRINTF(2, 3);

typedef struct nc_wait {
    uint64_t began, deadline;
    const char *what; /* "the key exchange" */
} nc_wait;
nc_wait nc_client_wait_init(const nacre_client *c, uint32_t timeout_ms, const char *what);
/*
 * Turns the loop until done says something other than NACRE_AGAIN, and returns it. Otherwise the call
 * was cancelled, its time is up or the connection is over: c->err says what, where and after how long.
 */
int nc_client_wait(nacre_client *c, const nc_wait *w, int (*done)(void *user), void *user);
/* Something was queued outside of the loop: let it go. */
void nc_client_push(nacre_client *c);
/* NACRE_OK while there is a connection. */
int nc_client_alive(nacre_client *c, const char *what);
/* Strings and memory that live as long as the client. */
void *nc_client_keep(nacre_client *c, void *p);

/* ---- proxy.c ---- */

/* config.proxy_command says something. */
bool nc_client_has_proxy(const nacre_client *c);
/* c->fd becomes the connection. */
int nc_client_dial_proxy(nacre_client *c, const nc_wait *w);
int nc_client_dial_via(nacre_client *c, const nc_wait *w);
/* Behind a sentence: how the proxy command ended, if it did. */
void nc_client_add_proxy(nacre_client *c, nacre_error *err);

/* ---- client_config.c ---- */

int nc_client_copy_config(nacre_client *c, const nacre_client_config *cfg, nacre_error *err);

/* ---- verify.c ---- */

/* The host key algorithms, those that known_hosts has keys for in front; *list is owned, or NULL when
 * the config shall stand as it is. */
int nc_client_prefer_known(nacre_client *c, char **list);
/* Answers the pending host key question by policy. */
int nc_client_verify(nacre_client *c);
/* trust_find.c: "host" or "[host]:port", as known_hosts has it. */
void nc_client_host_name(const nacre_client *c, char *out, size_t size);

/* ---- auth_agent.c ---- */

/* What an agent holds; nothing when there is none or it fails. Else a failure that ends the login. */
int nc_auth_agent_list(nacre_client *c, nacre_key ***keys, size_t *count);
/* NACRE_AGENT_REFUSED: there are other keys. */
int nc_auth_agent_sign(nacre_client *c, const nacre_key *key, const char *algorithm,
                       nacre_span data, uint8_t **sig, size_t *n);
/* AddKeysToAgent: as configured, a private key that came from a file. */
int nc_auth_agent_add(nacre_client *c, const nacre_key *key, const char *path);
void nc_auth_agent_close(nacre_client *c);

/* ---- trust_update.c ---- */

/* HOST_KEYS and HOST_KEYS_PROVEN, inside the loop: kept. */
void nc_client_update_event(nacre_client *c, const nacre_event *ev);
/* What is to be done about them, outside of it: reads and writes files, asks. c->err stays. */
void nc_client_update_step(nacre_client *c);
void nc_client_update_drop(nacre_client *c);

/* ---- auth.c, auth_keys.c, auth_ask.c ---- */

void nc_auth_event_kept(nacre_client *c, const nacre_event *ev);
void nc_auth_question_drop(nacre_client *c);
int nc_client_authenticate(nacre_client *c);
/* Waits for the result of an attempt that was begun with rc; serves the questions meanwhile. */
int nc_auth_finish(nacre_client *c, int rc);
/* The kept question, answered. NACRE_OK, or a failure of ours that ends the login. */
int nc_auth_serve(nacre_client *c);
/* A secret into out; its length, or -1: none. attempt from 1. */
int nc_auth_ask(nacre_client *c, nacre_answer_kind kind, const char *prompt, bool echo,
                unsigned attempt, char *out, size_t size);
/* Decrypts a key file, asking for its passphrase. */
int nc_auth_unlock(nacre_client *c, const char *path, nacre_key **out);

/* A key that may be tried. */
typedef struct nc_candidate {
    nacre_key *key;        /* what is offered; NULL: only its file is known */
    nacre_key *signer;     /* in held; NULL: its file signs */
    const char *path;      /* of the private file; NULL: none */
    const char *cert_file; /* that named it (CertificateFile) */
    bool named;            /* by the configuration */
    int rank;
} nc_candidate;

typedef struct nc_candidates {
    size_t given; /* index over the configured keys */
    bool ready;   /* the list is made: when the given keys are through */
    nc_candidate *list;
    size_t count, next;
    nacre_key **held; /* by the agent */
    size_t held_count;
} nc_candidates;

/* What to try next. */
typedef struct nc_offer {
    nacre_key *key;    /* owned by who gets it */
    nacre_key *signer; /* of the agent's; borrowed from the candidates */
    const char
        *lock; /* the file to be unlocked when a signature is wanted: key is its public half */
    const char *path; /* the file that the key came from */
    const char *name; /* for messages */
} nc_offer;

/* The next key that is worth an attempt. NACRE_NOT_FOUND: no more. */
int nc_auth_next_key(nacre_client *c, nc_candidates *at, nc_offer *o);
void nc_auth_candidates_clear(nacre_client *c, nc_candidates *at);
/* One that can be tried before the server was asked for its methods. */
bool nc_auth_has_given_key(const nacre_client *c, const nc_candidates *at);

/* An attempt may be made now, from outside of a login; what came of it, as a sentence. */
int nc_auth_begin(nacre_client *c);
int nc_auth_refused(nacre_client *c, int rc, const char *method);

/* ---- auth_hostbased.c, keysign.c ---- */

typedef struct nc_host_candidates {
    size_t next; /* index over host keys and their files */
    bool tried;  /* one of them */
} nc_host_candidates;
/* One attempt by the next host key: its result. NACRE_NOT_FOUND: there are no more. *name: for messages. */
int nc_auth_try_host(nacre_client *c, nc_host_candidates *at, const char **name);
/* A signature by OpenSSH's ssh-keysign; *sig is owned. Waits for it, 10 s at most. */
int nc_keysign(nacre_client *c, const char *program, int connection, nacre_span data, uint8_t **sig,
               size_t *n) NACRE_MUST_CHECK;

/* ---- attach.c ---- */

/* Ends the relay that was attached to k and closes its descriptors; nothing when k has none. */
void nc_attached_free(nc_chan *k);

/* ---- forward.c ---- */

/* GLOBAL_REPLY: true if it is the answer to a forwarding. */
bool nc_forwards_reply(nacre_client *c, const nacre_event *ev);
void nc_forwards_closed(nacre_client *c);
void nc_forwards_clear(nacre_client *c);

/* ---- channels.c ---- */

/* nacre_client_channel with a receive window; 0: as configured. */
int nc_channels_open(nacre_client *c, const char *type, nacre_span data, uint32_t window,
                     uint32_t timeout_ms, nacre_channel **out) NACRE_MUST_CHECK;
bool nc_channels_event(nacre_client *c, const nacre_event *ev);
nc_chan *nc_channels_find(nacre_client *c, const nacre_channel *ch);
/* Takes a channel among those of the blocking calls, as it is; NULL: no memory, and ch is still the caller's. */
nc_chan *nc_channels_adopt(nacre_client *c, nacre_channel *ch);
void nc_channels_clear(nacre_client *c);
/* Puts the bytes of CHANNEL_DATA behind what is kept. */
void nc_channels_keep(nc_chan *k, const nacre_event *ev);
/* Hands what was kept to fn, oldest first, and then the state that was reached. */
void nc_channels_replay(nacre_client *c, nc_chan *k, void (*fn)(void *user, const nacre_event *ev),
                        void *user);

#endif
