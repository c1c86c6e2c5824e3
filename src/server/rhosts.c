/*
 * rhosts.c - lines of hosts.equiv(5): which users of which hosts are the same people as here. Read as
 * sshd reads them, which is narrower than rsh did: a lone "+" opens nothing.
 */
#include "nacre/hostbased.h"

#include "keys/key.h"

#include <netdb.h>
#include <string.h>
#include <strings.h>

enum { WORD_MAX = 1024 };

/* One word of a line: "host", "-host", "+@group". */
typedef struct word {
    char text[WORD_MAX]; /* without its sign */
    bool negated;
    bool any; /* nothing but a sign stood there */
} word;

static bool take_word(nacre_span s, word *w)
{
    w->negated = s.n && s.p[0] == '-';
    if (s.n && (s.p[0] == '-' || s.p[0] == '+')) {
        s.p++;
        s.n--;
    }
    w->any = s.n == 0;
    if (s.n >= sizeof(w->text) || (s.n && memchr(s.p, 0, s.n))) {
        return false;
    }
    if (s.n) {
        memcpy(w->text, s.p, s.n);
    }
    w->text[s.n] = '\0';
    return true;
}

static bool host_fits(const word *w, const char *name, const char *address)
{
    if (w->text[0] == '@') {
        return innetgr(w->text + 1, name, NULL, NULL) != 0;
    }
    return strcasecmp(w->text, name) == 0 || strcmp(w->text, address) == 0;
}

static bool user_fits(const word *w, const char *client_user)
{
    if (w->text[0] == '@') {
        return innetgr(w->text + 1, NULL, client_user, NULL) != 0;
    }
    return strcmp(w->text, client_user) == 0;
}

/* A line that is not one (too many or too long words) is passed over: it allows nothing. */
static int judge_line(nacre_span line, const char *name, const char *address,
                      const char *client_user, const char *user)
{
    word host, who;
    nacre_span rest = line;
    nacre_span first = nc_text_word(&rest);
    nacre_span second = nc_text_word(&rest);
    if (first.n == 0 || first.p[0] == '#' || nc_text_word(&rest).n ||
        nc_text_starts(first, "NO_PLUS") || !take_word(first, &host) || !take_word(second, &who)) {
        return NACRE_NOT_FOUND;
    }
    /* A sign alone would mean everybody; a user who is not named is the one who is to log in. */
    bool everybody = host.any || (who.any && second.n);
    if (everybody || !host_fits(&host, name, address)) {
        return NACRE_NOT_FOUND;
    }
    bool same = second.n ? user_fits(&who, client_user) : strcmp(user, client_user) == 0;
    if (!same) {
        return NACRE_NOT_FOUND;
    }
    return host.negated || who.negated ? NACRE_AUTH_FAILED : NACRE_OK;
}

int nacre_rhosts_check(nacre_span text, const char *name, const char *address,
                       const char *client_user, const char *user, uint32_t *line)
{
    nacre_span rest = text;
    nacre_span one;
    uint32_t number = 0;
    while (nc_text_line(&rest, &one)) {
        number++;
        int rc = judge_line(one, name, address, client_user, user);
        if (rc != NACRE_NOT_FOUND) {
            if (line) {
                *line = number;
            }
            return rc;
        }
    }
    return NACRE_NOT_FOUND;
}
