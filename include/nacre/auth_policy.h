/*
 * nacre/auth_policy.h - which methods a server wants from a user, and in which order: the lists of
 * sshd_config(5)'s AuthenticationMethods, and how far one connection has come in them.
 *
 *     lists: "publickey,password" and "publickey,keyboard-interactive"
 *     offered: publickey; it was good: partial success, password and keyboard-interactive are offered ...
 *
 * An element is the name of a method, or "method:way" where only that way of it will do (as in
 * "keyboard-interactive:pam"). Inside a list the order counts; whichever list is completed first lets
 * in. "any", alone, or no list at all: one method that is enabled is enough. That one key does not
 * count for two elements is the engine's care (RFC 4252 7).
 *
 * No I/O, no globals. One object belongs to one connection and one thread.
 */
#ifndef NACRE_AUTH_POLICY_H
#define NACRE_AUTH_POLICY_H

#include "nacre/base.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct nacre_auth_policy nacre_auth_policy;

/* Is that one list as it can be written? NACRE_SYNTAX, with a sentence; it need not be enabled. */
NACRE_API int nacre_auth_policy_check(const char *list, nacre_error *err) NACRE_MUST_CHECK;

/*
 * Copies count lists (0: as "any"); *out is owned. enabled: the methods that the server can check,
 * comma-separated. A list with a method that is not among them can never be completed and is left out;
 * when none remains nobody can log in: NACRE_UNSUPPORTED, and the sentence names the method.
 * NACRE_SYNTAX as above, also for "any" beside other lists. alloc (NULL ok) is kept.
 */
NACRE_API int nacre_auth_policy_new(nacre_auth_policy **out, const nacre_allocator *alloc,
                                    const char *const *lists, size_t count, const char *enabled,
                                    nacre_error *err) NACRE_MUST_CHECK;
NACRE_API void nacre_auth_policy_free(nacre_auth_policy *p); /* NULL ok */

/* The methods that can continue, "publickey,password": for nacre_answer.methods. Borrowed until the
 * next call on p. */
NACRE_API const char *nacre_auth_policy_methods(const nacre_auth_policy *p);
/*
 * May this method be tried now? way: NULL while it is not known, then a list that names one is enough.
 */
NACRE_API bool nacre_auth_policy_allows(const nacre_auth_policy *p, const char *method,
                                        const char *way);
/*
 * The method was good (way NULL: no special one). NACRE_OK: a list is complete, the user is in;
 * NACRE_AUTH_PARTIAL: more is wanted, answer with partial and nacre_auth_policy_methods;
 * NACRE_AUTH_FAILED: it was not its turn, refuse. Only the first two change p.
 */
NACRE_API int nacre_auth_policy_passed(nacre_auth_policy *p, const char *method,
                                       const char *way) NACRE_MUST_CHECK;

#ifdef __cplusplus
}
#endif
#endif
