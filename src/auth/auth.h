/*
 * auth.h - userauth (RFC 4252, RFC 4256, RFC 8308 3.1, RFC 8332, OpenSSH PROTOCOL 3.1), both roles, as a service of the
 * transport. The engine forwards the public nacre_transport_auth_* calls here.
 */
#ifndef NC_AUTH_AUTH_H
#define NC_AUTH_AUTH_H

#include "transport/link.h"

typedef struct nc_auth nc_auth;

/* Returns owned. The link outlives it; link->role decides which machine runs. */
int nc_auth_new(nc_auth **out, nc_link *link) NACRE_MUST_CHECK;
void nc_auth_free(nc_auth *a); /* wipes; NULL ok */
/* "ssh-userauth"; borrows a. */
nc_service nc_auth_service(nc_auth *a);

/*
 * Client. One attempt at a time: NACRE_WRONG_STATE while one runs, after success, and in a server;
 * NACRE_AUTH_LIMIT after config->max_auth_tries failures (0: no limit). An attempt made before the
 * service starts is kept and leaves with start. The end of each attempt is NACRE_EVENT_AUTH_RESULT.
 *
 * A keyboard-interactive request without prompts is answered by us; when it carries text,
 * NACRE_EVENT_AUTH_PROMPTS comes with ticket 0 and count 0: to be shown, nothing to be answered.
 */
int nc_auth_none(nc_auth *a, const char *user) NACRE_MUST_CHECK;
/* NACRE_TOO_LARGE above NC_MAX_PASSWORD. */
int nc_auth_password(nc_auth *a, const char *user, nacre_span password) NACRE_MUST_CHECK;
/*
 * Keeps a reference. NACRE_UNSUPPORTED: no signature algorithm that the key, the configuration and
 * the server (server-sig-algs) agree on; NACRE_BAD_KEY: RSA below config->min_rsa_bits.
 */
int nc_auth_publickey(nc_auth *a, const char *user, nacre_key *key,
                      const char *algorithm) NACRE_MUST_CHECK;
int nc_auth_interactive(nc_auth *a, const char *user, const char *submethods) NACRE_MUST_CHECK;

/*
 * Keeps a reference. client_host: our name as the server knows it, fully qualified; client_user: ours
 * on this host. Errors as of publickey. A public key makes NACRE_EVENT_SIGN, with no question to the
 * server before it.
 */
int nc_auth_hostbased(nc_auth *a, const char *user, nacre_key *key, const char *algorithm,
                      const char *client_host, const char *client_user) NACRE_MUST_CHECK;

/*
 * Server: copied. It leaves with the first request of the client, or at once when that has come.
 * NACRE_WRONG_STATE after success and in a client, NACRE_TOO_LARGE above 64 KiB.
 */
int nc_auth_send_banner(nc_auth *a, const char *text) NACRE_MUST_CHECK;

#endif
