/*
 * auth_state.h - what the files of this floor share: the state of the two machines, the methods, and
 * the data that a publickey request signs. Private to src/auth.
 */
#ifndef NC_AUTH_AUTH_STATE_H
#define NC_AUTH_AUTH_STATE_H

#include "auth/auth.h"
#include "keys/cert.h"

typedef enum nc_auth_method {
    NC_AUTH_NONE,
    NC_AUTH_PASSWORD,
    NC_AUTH_PUBLICKEY,
    NC_AUTH_INTERACTIVE,
    NC_AUTH_HOSTBASED,
    NC_AUTH_UNKNOWN /* also the number of methods */
} nc_auth_method;

extern const char nc_auth_service_wanted[]; /* "ssh-connection": the only one that follows us */
/* "publickey-hostbound-v00@openssh.com": on the wire; to everybody else it is publickey. */
extern const char nc_auth_hostbound[];

const char *nc_auth_method_name(nc_auth_method m); /* static */
nc_auth_method nc_auth_method_find(nacre_span name);

enum {
    /* Texts of a banner: OpenSSH caps the banner file of a server at the same size. */
    NC_AUTH_MAX_BANNER = 64 * 1024,
    /* A server has one banner and perhaps a few notices; more than this is a flood of events. */
    NC_AUTH_MAX_BANNERS = 128,
    /* PAM stacks ask for a handful; each costs an entry of an array. */
    NC_AUTH_MAX_PROMPTS = 256,
    /* Rounds of one keyboard-interactive or password-change dialogue, each asked for by the peer. */
    NC_AUTH_MAX_ROUNDS = 100,
    /* All responses of one round together; the packet must stay below what every peer accepts. */
    NC_AUTH_MAX_RESPONSES = 30 * 1024,
    /* Messages of a client until login, whether they count as failures or not. OpenSSH has the same. */
    NC_AUTH_MAX_REQUESTS = 1024,
    /* A request that waits for the verdict on the one before it. */
    NC_AUTH_MAX_QUEUED = 64 * 1024,
    /* Good methods before the last one; each may pin a key. */
    NC_AUTH_MAX_PARTIALS = 8,
    /* Session id, user, names and an encoded key: what a signature covers. */
    NC_AUTH_MAX_SIGNED = NC_MAX_KEY_BLOB + 4 * 1024
};

typedef enum nc_client_state {
    NC_CLIENT_IDLE,     /* nothing asked */
    NC_CLIENT_KEPT,     /* an attempt waits for the service to start */
    NC_CLIENT_SENT,     /* the server has the word */
    NC_CLIENT_PROBED,   /* the same, after a publickey request without signature */
    NC_CLIENT_SIGN_DUE, /* SIGN is told at the next step */
    NC_CLIENT_SIGNING,  /* the application has the word: SIGN */
    NC_CLIENT_ASKING,   /* the application has the word: AUTH_PROMPTS */
    NC_CLIENT_CHANGING, /* the application has the word: AUTH_CHANGE_PASSWORD */
    NC_CLIENT_DONE      /* logged in, or the connection is over */
} nc_client_state;

typedef struct nc_auth_client {
    nc_client_state state;
    /* the attempt; 60 means what its method says (RFC 4252 6) */
    nc_auth_method method;
    char *user;
    nc_buf password; /* only while the attempt is kept */
    nacre_key *key;
    const nc_sig_alg *algorithm; /* NULL: chosen when the request leaves */
    char *submethods;
    char *client_host, *client_user; /* hostbased: who we say we are */
    nc_buf signed_data;              /* session id and request, while a signature is awaited */
    size_t request_at;               /* where the request begins in it */
    uint32_t rounds;
    bool secret_given; /* a password, a response to a prompt or a signature has left */
    bool proved;       /* ... and was good for a partial success */
    /* the connection */
    uint32_t ticket; /* of the open question, or 0 */
    size_t prompt_count;
    nacre_prompt *prompts; /* of the last event; freed at the next step */
    nc_buf methods;        /* as the server last listed them */
    uint32_t banners;
    uint32_t failures;
    bool gave_up; /* an AUTH_RESULT waits that the server knows nothing of */
} nc_auth_client;

typedef enum nc_question {
    NC_ASK_NOTHING,
    NC_ASK_NONE,
    NC_ASK_PASSWORD,
    NC_ASK_PROBE,
    NC_ASK_KEY,
    NC_ASK_INTERACTIVE,
    NC_ASK_RESPONSES,
    NC_ASK_HOSTBASED
} nc_question;

typedef struct nc_auth_server {
    char *user; /* NULL until the first request with an acceptable name; never changes after */
    nc_question question;
    uint32_t ticket;       /* of the open question, or 0 */
    nacre_key *offered;    /* of the question PROBE, KEY or HOSTBASED */
    nacre_key *verified;   /* set in one place only: where its signature proved good */
    const nc_sig_alg *alg; /* of offered */
    nacre_sk_details sk;   /* of its signature */
    char *methods;         /* that can continue */
    nacre_key *used[NC_AUTH_MAX_PARTIALS]; /* keys that were good for a partial success */
    const nc_sig_alg *used_alg;            /* of the last of them */
    uint32_t keys_used;
    uint32_t partials;
    uint32_t requests;
    uint32_t failures;
    bool info_open; /* an INFO_REQUEST of ours is unanswered */
    size_t info_prompts;
    nacre_span *responses; /* of the last event; freed at the next step */
    size_t response_count;
    bool queue_full;
    nc_buf queued;         /* one request that came while a question was open */
    nc_buf current;        /* the one that was taken out of it: the last event points into it */
    nc_buf banner;         /* until the first request */
    bool tell;             /* NACRE_EVENT_AUTHENTICATED waits */
    nc_auth_method method; /* by which the user got in */
} nc_auth_server;

struct nc_auth {
    nc_link *link;
    bool started;
    bool done;   /* authenticated */
    bool closed; /* the connection is over */
    nc_auth_client client;
    nc_auth_server server;
};

/* auth.c */
void nc_auth_event(nacre_event *ev, nacre_event_type type, uint32_t ticket);
/* Ends the open question, if any. */
void nc_auth_ticket_done(nc_auth *a, uint32_t *ticket);

/* auth_sigdata.c */
/* What a signature of publickey or hostbased says. */
typedef struct nc_auth_claim {
    nc_auth_method method; /* one of the two */
    const char *user;
    nacre_span algorithm, key;
    nacre_span host_key; /* publickey: p not NULL makes it publickey-hostbound-v00@openssh.com */
    nacre_span client_host, client_user; /* hostbased */
} nc_auth_claim;

/*
 * Appends what the signature covers (RFC 4252 7 and 9, PROTOCOL 3.1): the session id as a string,
 * then the request up to the signature. *request_at: where the request begins.
 */
int nc_auth_signed_data(nc_buf *out, nacre_span session_id, const nc_auth_claim *claim,
                        size_t *request_at) NACRE_MUST_CHECK;
/*
 * Policy: is the algorithm in the list of its method, config->signature or config->hostbased (NULL:
 * every secure one)?
 */
bool nc_auth_algorithm_allowed(const nc_link *l, nc_auth_method m, nacre_span name,
                               const nc_sig_alg *alg);
bool nc_auth_key_too_small(const nc_link *l, const nacre_key *k);
/*
 * The best algorithm for a key of ours, by configuration and, for publickey, server-sig-algs; NULL:
 * none.
 */
const nc_sig_alg *nc_auth_choose_algorithm(const nc_link *l, nc_auth_method m, const nacre_key *k);

/* auth_client.c */
void nc_auth_client_init(nc_auth *a);
void nc_auth_client_clear(nc_auth *a);
int nc_auth_client_start(nc_auth *a);
int nc_auth_client_packet(nc_auth *a, uint8_t number, nc_rd *r, nacre_event *ev);
int nc_auth_client_poll(nc_auth *a, nacre_event *ev);
int nc_auth_client_answer(nc_auth *a, uint32_t ticket, const nacre_answer *ans);
/* Forgets the attempt and its secrets. */
void nc_auth_client_forget(nc_auth *a);

/* auth_request.c: what a client sends */
int nc_auth_client_send(nc_auth *a);
/* Fills signed_data with what the key is to sign. */
int nc_auth_client_claim(nc_auth *a);
int nc_auth_send_password(nc_auth *a, nacre_span password, const nacre_span *new_password);
int nc_auth_send_signed(nc_auth *a, nacre_span signature);
int nc_auth_send_responses(nc_auth *a, const nacre_span *responses, size_t count);

/* auth_server.c */
int nc_auth_server_init(nc_auth *a) NACRE_MUST_CHECK;
void nc_auth_server_clear(nc_auth *a);
int nc_auth_server_packet(nc_auth *a, uint8_t number, nc_rd *r, nacre_event *ev);
int nc_auth_server_poll(nc_auth *a, nacre_event *ev);
/* Opens a question and fills what all of them have. */
void nc_auth_server_ask(nc_auth *a, nc_question q, nacre_event *ev);
/* Sends FAILURE, or ends the connection when there were too many. NACRE_AGAIN, or the error. */
int nc_auth_server_refuse(nc_auth *a, bool counts);
int nc_auth_server_send_banner(nc_auth *a);
/* A name without control characters, which would reach logs, paths and pam: no account has them. */
bool nc_auth_fit_name(nacre_span name);

/* auth_pubkey.c: the methods of a server that are proved by a key */
int nc_auth_server_publickey(nc_auth *a, nacre_span data, nacre_event *ev);
int nc_auth_server_hostbound(nc_auth *a, nacre_span data, nacre_event *ev);
int nc_auth_server_hostbased(nc_auth *a, nacre_span data, nacre_event *ev);
void nc_auth_server_drop_key(nc_auth *a);

/* auth_verdict.c: what a server does with the application's answers */
int nc_auth_server_answer(nc_auth *a, uint32_t ticket, const nacre_answer *ans);
nc_auth_method nc_auth_question_method(nc_question q);
nacre_event_type nc_auth_question_event(nc_question q);

#endif
