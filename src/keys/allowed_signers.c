/*
 * allowed_signers.c - the allowed_signers format of ssh-keygen(1): whose key is it, for which namespaces
 * and when?
 *
 * A line that is malformed, or has an option that is not known, allows nothing; the lines after it are
 * looked at all the same, and each such line is told to the caller's note. Not here: signatures (sshsig.c).
 */
#include "keys/key.h"
#include "keys/key_options.h"
#include "keys/pattern.h"
#include "nacre/cert.h"
#include "nacre/sshsig.h"

#include <stdio.h>
#include <string.h>

enum {
    /* namespaces="...": a list of short words; more than any sane line has. */
    MAX_VALUE = 16384
};

void nacre_signer_rules_init(nacre_signer_rules *rules)
{
    memset(rules, 0, sizeof(*rules));
    rules->size = sizeof(*rules);
}

/* What one line says. */
typedef struct signer_line {
    const nacre_allocator *alloc;
    const nacre_signer_rules *rules;
    nacre_error *err;
    uint32_t number;
    nc_buf principals; /* the first word without its quotes */
    nacre_key *key;
    bool authority;
    bool has_namespaces;
    nc_buf namespaces;
    uint64_t valid_after, valid_before; /* 0: not given */
} signer_line;

static void clear_line(signer_line *l)
{
    nc_buf_clear(&l->principals);
    nc_buf_clear(&l->namespaces);
    nacre_key_free(l->key);
    l->key = NULL;
    l->authority = false;
    l->has_namespaces = false;
    l->valid_after = 0;
    l->valid_before = 0;
}

static void init_line(signer_line *l, const nacre_allocator *a, const nacre_signer_rules *rules,
                      nacre_error *err)
{
    memset(l, 0, sizeof(*l));
    l->alloc = a;
    l->rules = rules;
    l->err = err;
    nc_buf_init(&l->principals, a, NC_MAX_KEY_FILE);
    nc_buf_init(&l->namespaces, a, MAX_VALUE);
}

static const char *source_of(const signer_line *l)
{
    return l->rules->source ? l->rules->source : "allowed_signers";
}

/* Tells why this line is of no use; the last such reason is what the caller gets. */
static int refuse(signer_line *l, int status, const char *fmt, ...) NACRE_PRINTF(3, 4);
static int refuse(signer_line *l, int status, const char *fmt, ...)
{
    char what[600], text[900];
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(what, sizeof(what), fmt, ap);
    va_end(ap);
    (void)snprintf(text, sizeof(text), "%s:%lu: %s", NC_ESC(nc_span_cstr(source_of(l))),
                   (unsigned long)l->number, what);
    if (l->rules->note) {
        l->rules->note(l->rules->note_user, NACRE_LOG_ERROR, text);
    }
    nc_error_clear(l->err);
    return nc_fail(l->err, status, "%s", text);
}

/* ---- words ----------------------------------------------------------------------------------- */

static bool is_space(uint8_t c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static void skip_spaces(nacre_span *s)
{
    while (s->n && is_space(s->p[0])) {
        s->p++;
        s->n--;
    }
}

/*
 * The first word, which may have, or be, a part in quotes, and ends with them. *rest moves behind the
 * blanks that follow. False: a quote does not close.
 */
static bool take_principals(nacre_span *rest, nc_buf *out, int *rc)
{
    size_t n = 0;
    while (n < rest->n && !is_space(rest->p[n]) && rest->p[n] != '"') {
        n++;
    }
    *rc = nc_buf_append(out, rest->p, n);
    bool quoted = n < rest->n && rest->p[n] == '"';
    *rest = nc_span(rest->p + n, rest->n - n);
    if (quoted) {
        const uint8_t *end = memchr(rest->p + 1, '"', rest->n - 1);
        if (!end) {
            return false;
        }
        size_t inside = (size_t)(end - rest->p) - 1;
        *rc = *rc == NACRE_OK ? nc_buf_append(out, rest->p + 1, inside) : *rc;
        *rest = nc_span(end + 1, rest->n - inside - 2);
    }
    skip_spaces(rest);
    return true;
}

/* "type base64" at the head of rest, whatever follows. */
static int read_key(const nacre_allocator *a, nacre_span rest, nacre_key **out, nacre_error *err)
{
    nacre_span line = rest;
    nacre_span type = nc_text_word(&rest);
    nacre_span text = nc_text_trim(nc_text_word(&rest));
    if (type.n == 0 || text.n == 0) {
        *out = NULL;
        return NACRE_KEY_FORMAT;
    }
    return nacre_key_from_public_line(out, a, nc_span(line.p, (size_t)(text.p + text.n - line.p)),
                                      err);
}

/* ---- options --------------------------------------------------------------------------------- */

/* Reads "..." at *s, where \" stands for a quote; *s moves behind it. NULL: good. */
static const char *take_value(nacre_span *s, nc_buf *out, int *rc)
{
    if (s->n == 0 || s->p[0] != '"') {
        return "missing start quote";
    }
    size_t i = 1;
    while (i < s->n && s->p[i] != '"') {
        if (s->p[i] == '\\' && i + 1 < s->n && s->p[i + 1] == '"') {
            i++;
        }
        *rc = *rc == NACRE_OK ? nc_buf_append(out, s->p + i, 1) : *rc;
        i++;
    }
    if (i >= s->n) {
        return "missing end quote";
    }
    *s = nc_span(s->p + i + 1, s->n - i - 1);
    return NULL;
}

static const char *apply_namespaces(signer_line *l, nacre_span *s, int *rc)
{
    if (l->has_namespaces) {
        return "multiple \"namespaces\" clauses";
    }
    l->has_namespaces = true;
    return take_value(s, &l->namespaces, rc);
}

static const char *take_date(signer_line *l, nacre_span *s, uint64_t *date, const char *twice,
                             const char *wrong, int *rc)
{
    if (*date != 0) {
        return twice;
    }
    nc_buf value;
    nc_buf_init(&value, l->alloc, MAX_VALUE);
    const char *bad = take_value(s, &value, rc);
    if (!bad && *rc == NACRE_OK &&
        (nacre_date_parse(nc_buf_span(&value), l->rules->zone, l->rules->zone_user, date) !=
             NACRE_OK ||
         *date == 0)) {
        bad = wrong;
    }
    nc_buf_clear(&value);
    return bad;
}

static const char *apply_after(signer_line *l, nacre_span *s, int *rc)
{
    return take_date(l, s, &l->valid_after, "multiple \"valid-after\" clauses",
                     "invalid \"valid-after\" time", rc);
}

static const char *apply_before(signer_line *l, nacre_span *s, int *rc)
{
    return take_date(l, s, &l->valid_before, "multiple \"valid-before\" clauses",
                     "invalid \"valid-before\" time", rc);
}

static const char *apply_authority(signer_line *l, nacre_span *s, int *rc)
{
    (void)s;
    (void)rc;
    l->authority = true;
    return NULL;
}

static const struct {
    const char *name; /* with its "=" where it takes a value */
    const char *(*apply)(signer_line *l, nacre_span *s, int *rc);
} option_rows[] = {
    {"cert-authority", apply_authority},
    {"namespaces=", apply_namespaces},
    {"valid-after=", apply_after},
    {"valid-before=", apply_before},
};

/* NULL: good, with *s behind the option. What is no option at all is left where it stands. */
static const char *apply_option(signer_line *l, nacre_span *s, int *rc)
{
    for (size_t i = 0; i < sizeof(option_rows) / sizeof(option_rows[0]); i++) {
        size_t n = strlen(option_rows[i].name);
        if (s->n >= n && nc_text_is_nocase(nc_span(s->p, n), option_rows[i].name)) {
            *s = nc_span(s->p + n, s->n - n);
            return option_rows[i].apply(l, s, rc);
        }
    }
    return NULL;
}

/* NULL: good. *rc: memory, or the cap of a value. */
static const char *apply_options(signer_line *l, nacre_span s, int *rc)
{
    while (s.n) {
        const char *bad = apply_option(l, &s, rc);
        if (bad || s.n == 0) {
            if (bad) {
                return bad;
            }
            break;
        }
        if (s.p[0] != ',') {
            return "unknown key option";
        }
        s = nc_span(s.p + 1, s.n - 1);
        if (s.n == 0) {
            return "unexpected end-of-options";
        }
    }
    if (l->valid_after && l->valid_before && l->valid_before <= l->valid_after) {
        return "\"valid-before\" time is before \"valid-after\"";
    }
    return NULL;
}

/* ---- one line -------------------------------------------------------------------------------- */

static int parse_rest(signer_line *l, nacre_span rest)
{
    nacre_span options = nc_span(rest.p, 0);
    nacre_error why;
    int rc = read_key(l->alloc, rest, &l->key, &why);
    if (rc == NACRE_NO_MEMORY) {
        return nc_fail(l->err, rc, "%s", nacre_status_text(rc));
    }
    if (rc != NACRE_OK) {
        if (!nc_options_cut(&rest, &options)) {
            return refuse(l, NACRE_SYNTAX, "invalid options");
        }
        if (rest.n == 0) {
            return refuse(l, NACRE_SYNTAX, "missing key");
        }
        rc = read_key(l->alloc, rest, &l->key, &why);
        if (rc == NACRE_NO_MEMORY) {
            return nc_fail(l->err, rc, "%s", nacre_status_text(rc));
        }
        if (rc != NACRE_OK) {
            return refuse(l, NACRE_SYNTAX, "invalid key");
        }
    }
    rc = NACRE_OK;
    const char *bad = apply_options(l, options, &rc);
    if (rc == NACRE_NO_MEMORY) {
        return nc_fail(l->err, rc, "%s", nacre_status_text(rc));
    }
    bad = bad || rc == NACRE_OK ? bad : "a value is too long";
    return bad ? refuse(l, NACRE_SYNTAX, "bad options: %s", bad) : NACRE_OK;
}

/* NACRE_END: an empty line, a comment, or one that does not mean the principal. */
static int parse_line(signer_line *l, nacre_span line)
{
    clear_line(l);
    skip_spaces(&line);
    if (line.n == 0 || line.p[0] == '#') {
        return NACRE_END;
    }
    /* Text behind a zero byte is what other readers of the file never see. */
    if (memchr(line.p, 0, line.n)) {
        return refuse(l, NACRE_SYNTAX, "invalid line");
    }
    int rc = NACRE_OK;
    bool good = take_principals(&line, &l->principals, &rc);
    if (rc != NACRE_OK) {
        return nc_fail(l->err, rc, "%s", nacre_status_text(rc));
    }
    if (!good) {
        return refuse(l, NACRE_SYNTAX, "invalid line");
    }
    if (l->rules->principal &&
        nc_pattern_list(nc_span_cstr(l->rules->principal), nc_buf_span(&l->principals), false) !=
            NC_MATCH_YES) {
        return NACRE_END;
    }
    return parse_rest(l, line);
}

/* ---- may this key sign? ---------------------------------------------------------------------- */

static int check_time(signer_line *l)
{
    const nacre_signer_rules *r = l->rules;
    char at[32], limit[32];
    if (nacre_date_write(r->verify_time, r->zone, r->zone_user, at, sizeof(at)) < 0) {
        return NACRE_INVALID_ARGUMENT;
    }
    if (l->valid_after && r->verify_time < l->valid_after) {
        (void)nacre_date_write(l->valid_after, r->zone, r->zone_user, limit, sizeof(limit));
        return refuse(l, NACRE_NOT_FOUND, "key is not yet valid: verify time %s < valid-after %s",
                      at, limit);
    }
    if (l->valid_before && r->verify_time > l->valid_before) {
        (void)nacre_date_write(l->valid_before, r->zone, r->zone_user, limit, sizeof(limit));
        return refuse(l, NACRE_NOT_FOUND, "key has expired: verify time %s > valid-before %s", at,
                      limit);
    }
    return NACRE_OK;
}

static int check_namespace(signer_line *l)
{
    const char *wanted = l->rules->sig_namespace;
    if (!wanted || !l->has_namespaces ||
        nc_pattern_list(nc_span_cstr(wanted), nc_buf_span(&l->namespaces), false) == NC_MATCH_YES) {
        return NACRE_OK;
    }
    return refuse(l, NACRE_NOT_FOUND, "key is not permitted for use in signature namespace \"%s\"",
                  NC_ESC(nc_span_cstr(wanted)));
}

/* ---- certificates ---------------------------------------------------------------------------- */

static bool has_principal(nacre_span list, const char *name)
{
    nacre_span one;
    while (nacre_cert_next_principal(&list, &one)) {
        if (nc_span_is(one, name)) {
            return true;
        }
    }
    return false;
}

/* Why the certificate does not speak for that principal (NULL: for anybody) at that time; NULL: it does. */
static const char *cert_wrong(const nacre_cert_info *c, uint64_t at, const char *principal)
{
    if (c->kind != NACRE_CERT_USER) {
        return "Certificate invalid: not a user certificate";
    }
    if (at < c->valid_after) {
        return "Certificate invalid: not yet valid";
    }
    if (at >= c->valid_before) {
        return "Certificate invalid: expired";
    }
    if (c->principals.n == 0) {
        return "Certificate lacks principal list";
    }
    if (principal && !has_principal(c->principals, principal)) {
        return "Certificate invalid: name is not a listed principal";
    }
    return NULL;
}

static int append_matching(nacre_span principals, nacre_span pattern, nc_buf *out)
{
    nacre_span one;
    while (nacre_cert_next_principal(&principals, &one)) {
        /* A name with a comma in it would be read as two. */
        if (!nc_pattern_match(one, pattern, false) || memchr(one.p, ',', one.n)) {
            continue;
        }
        int rc = out->len ? nc_buf_append(out, ",", 1) : NACRE_OK;
        rc = rc == NACRE_OK ? nc_buf_append(out, one.p, one.n) : rc;
        if (rc != NACRE_OK) {
            return rc;
        }
    }
    return NACRE_OK;
}

/* Puts those of the certificate's principals that match the line in the place of its list. */
static int filter_principals(signer_line *l, const nacre_cert_info *c)
{
    nc_buf names;
    nc_buf_init(&names, l->alloc, NC_MAX_KEY_FILE);
    nacre_span list = nc_buf_span(&l->principals);
    int rc = NACRE_OK;
    bool good = cert_wrong(c, l->rules->verify_time, NULL) == NULL;
    while (good && rc == NACRE_OK && list.n) {
        const uint8_t *comma = memchr(list.p, ',', list.n);
        size_t n = comma ? (size_t)(comma - list.p) : list.n;
        rc = append_matching(c->principals, nc_span(list.p, n), &names);
        n += comma ? 1 : 0;
        list = nc_span(list.p + n, list.n - n);
    }
    if (rc == NACRE_OK && names.len == 0) {
        rc = refuse(l, NACRE_NOT_FOUND, "no valid principals found");
    }
    if (rc != NACRE_OK) {
        nc_buf_clear(&names);
        return rc;
    }
    nc_buf_clear(&l->principals);
    l->principals = names;
    return NACRE_OK;
}

static int check_cert(signer_line *l, const nacre_key *key)
{
    nacre_cert_info c;
    if (!nacre_key_is_cert(key) || nacre_key_cert_info(key, &c) != NACRE_OK ||
        !nacre_key_equal(c.ca, l->key)) {
        return NACRE_END;
    }
    if (!l->rules->principal) {
        return filter_principals(l, &c);
    }
    const char *wrong = cert_wrong(&c, l->rules->verify_time, l->rules->principal);
    return wrong ? refuse(l, NACRE_NOT_FOUND, "certificate not authorized: %s", wrong) : NACRE_OK;
}

static int check_line(signer_line *l, nacre_span line, const nacre_key *key)
{
    int rc = parse_line(l, line);
    if (rc == NACRE_OK && l->authority) {
        rc = check_cert(l, key);
    } else if (rc == NACRE_OK && !nacre_key_equal(l->key, key)) {
        rc = NACRE_END;
    }
    if (rc != NACRE_OK) {
        return rc;
    }
    rc = check_namespace(l);
    return rc == NACRE_OK ? check_time(l) : rc;
}

static int give_principals(const signer_line *l, char **out)
{
    if (!out) {
        return NACRE_OK;
    }
    *out = nc_strndup(l->alloc, nc_buf_span(&l->principals));
    return *out ? NACRE_OK : NACRE_NO_MEMORY;
}

int nacre_allowed_signers_check(nacre_span text, const nacre_key *key,
                                const nacre_signer_rules *rules, char **principals,
                                nacre_error *err)
{
    nc_error_clear(err);
    if (principals) {
        *principals = NULL;
    }
    signer_line l;
    init_line(&l, nc_key_allocator(key), rules, err);
    nacre_span line;
    int rc = NACRE_NOT_FOUND;
    while (nc_text_line(&text, &line)) {
        l.number++;
        rc = check_line(&l, line, key);
        if (rc == NACRE_OK || rc == NACRE_NO_MEMORY) {
            break;
        }
        rc = NACRE_NOT_FOUND;
    }
    if (rc == NACRE_OK) {
        rc = give_principals(&l, principals);
    }
    clear_line(&l);
    if (rc == NACRE_OK) {
        nc_error_clear(err); /* lines before it no longer matter */
        return rc;
    }
    if (err && err->status != NACRE_OK && rc == NACRE_NOT_FOUND) {
        err->status = NACRE_NOT_FOUND;
        return rc;
    }
    return nc_fail(err, rc, "%s",
                   rc == NACRE_NOT_FOUND ? "no line of the allowed signers has this key"
                                         : nacre_status_text(rc));
}

int nacre_allowed_signers_next(nacre_span *text, uint32_t *line, const nacre_allocator *a,
                               const nacre_signer_rules *rules, char **list, nacre_error *err)
{
    nc_error_clear(err);
    *list = NULL;
    signer_line l;
    init_line(&l, a, rules, err);
    nacre_span one;
    int rc = NACRE_END;
    while (rc == NACRE_END && nc_text_line(text, &one)) {
        l.number = ++*line;
        rc = parse_line(&l, one);
    }
    if (rc == NACRE_OK) {
        rc = give_principals(&l, list);
    }
    clear_line(&l);
    return rc == NACRE_OK || rc == NACRE_END ? rc : nc_fail(err, rc, "%s", nacre_status_text(rc));
}
