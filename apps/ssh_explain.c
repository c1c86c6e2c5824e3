/*
 * ssh_explain.c - what is told when a connection fails: the library's sentence, which names host, phase and time, as
 * ssh would put it, and where it does not say so already what can be tried.
 */
#include "ssh_setup.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

enum { ANY = -1, BEFORE = 0, AFTER = 1 }; /* the login */

#define LET_GO                                                                                     \
    "the server lets go of who has not logged in: it may have too many such connections "          \
    "(MaxStartups), or want none from this address; its log says which"

static const struct {
    int status;
    int detail; /* errno, or ANY */
    int login;  /* BEFORE, AFTER or ANY */
    const char *text;
} hints[] = {
    {NACRE_RESOLVE, ANY, ANY,
     "check how the name is spelled; -G shows what the configuration makes of it, \"getent hosts\" "
     "what this "
     "machine knows of it"},
    {NACRE_CONNECT, ECONNREFUSED, ANY,
     "the host answers, but nothing listens on that port: is the server running, is the port right "
     "(-p)?"},
    {NACRE_CONNECT, EHOSTUNREACH, ANY,
     "no way leads to that address: check the network or the VPN, and -4 or -6"},
    {NACRE_CONNECT, ENETUNREACH, ANY,
     "no way leads to that address: check the network or the VPN, and -4 or -6"},
    {NACRE_CONNECT, ETIMEDOUT, ANY,
     "nothing came back: the host is down, or a firewall drops packets; ConnectTimeout says how "
     "long to wait"},
    {NACRE_CONNECT, EADDRNOTAVAIL, ANY, "is the address of -b or BindAddress one of this machine?"},
    {NACRE_TIMEOUT, ANY, BEFORE,
     "the other end has taken the connection and says nothing: is it an SSH server, and is it "
     "overloaded? "
     "ConnectTimeout says how long to wait"},
    {NACRE_VERSION, ANY, ANY, "is that the port of an SSH server (-p)?"},
    {NACRE_NO_COMMON_ALGORITHM, ANY, ANY,
     "-Q kex, -Q cipher, -Q mac and -Q key list what can be allowed, for instance by -o "
     "KexAlgorithms=+NAME"},
    {NACRE_CLOSED, ANY, BEFORE, LET_GO},
    {NACRE_PEER_DISCONNECTED, ANY, BEFORE, "the server's log says more"},
    {NACRE_AUTH_FAILED, ANY, ANY,
     "-v shows which keys and methods were tried; -i names a key, -l another user"},
    {NACRE_AUTH_LIMIT, ANY, ANY,
     "the server takes no more attempts: name the right key with -i and -o IdentitiesOnly=yes"},
    {NACRE_KEEPALIVE, ANY, ANY,
     "the network between may be gone, or the server; ServerAliveInterval times "
     "ServerAliveCountMax is how "
     "long it may be silent"},
    {NACRE_INTEGRITY, ANY, ANY,
     "somebody or something on the way changes data: do not trust this network"},
};

static const char *find_hint(const nacre_client *c, int rc, const nacre_error *why)
{
    const nacre_transport *t = nacre_client_transport((nacre_client *)(uintptr_t)c);
    if (strchr(why->text, '?')) {
        return NULL; /* it asks about the likely cause itself */
    }
    int login = t && nacre_transport_authenticated(t) ? AFTER : BEFORE;
    for (size_t i = 0; i < sizeof(hints) / sizeof(hints[0]); i++) {
        if (hints[i].status == rc && (hints[i].login == ANY || hints[i].login == login) &&
            (hints[i].detail == ANY || hints[i].detail == (int)why->detail)) {
            return hints[i].text;
        }
    }
    return NULL;
}

void setup_explain(const ssh_setup *s, const nacre_client *c, int rc)
{
    const nacre_error *why = nacre_client_error(c);
    bool trust = nacre_status_class(rc) == NACRE_CLASS_TRUST;
    if (s->verbosity < 0 && !trust) {
        return;
    }
    if (rc == NACRE_HOST_KEY_CHANGED) {
        setup_note(s, "@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@");
        setup_note(s, "@    WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!     @");
        setup_note(s, "@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@");
    }
    if (rc == NACRE_AUTH_FAILED) {
        setup_note(s, "%s", why->text);
    } else {
        setup_say(s, "%s", why->text[0] ? why->text : nacre_status_text(rc));
    }
    if (trust) {
        setup_note(s, "Host key verification failed.");
    }
    const char *hint = find_hint(c, rc, why);
    if (hint) {
        setup_note(s, "(%s)", hint);
    }
}
