/*
 * drive_certs.c - certificates and revocation lists on the command line, and one connection with them, for tests:
 *
 *   drive_certs show CERT                          what it says, a line a field
 *   drive_certs line CERT                          the same certificate as we print it
 *   drive_certs issue CA KEY.pub user|host SERIAL ID PRINCIPALS AFTER BEFORE [+extension[=data]] [!critical[=data]]...
 *                                                  the certificate to stdout; BEFORE 0: for ever
 *   drive_certs check CERT user|host NAME NOW ADDRESS   exit 0 when it is good
 *   drive_certs revoke COMMENT CA|any WHAT...      a list to stdout; WHAT: serial:N, serials:A-B, id:TEXT, key:FILE,
 *                                                  cert:FILE
 *   drive_certs query KRL KEY...                   a line for each; exit 1 when one is revoked
 *   drive_certs login PORT USER KEY CERT|- HOSTCA|- [ALGORITHM]    logs in with the engine
 *   drive_certs serve HOSTKEY HOSTCERT|- USERCA    serves one connection; prints its port
 */
#include <nacre/nacre.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { FILE_MAX = 256 * 1024 };

static void die(const char *what, const nacre_error *err)
{
    fprintf(stderr, "%s: %s\n", what, err && err->text[0] ? err->text : "failed");
    exit(2);
}

static nacre_span span(const char *s)
{
    return (nacre_span){(const uint8_t *)s, strlen(s)};
}

static nacre_span slurp(const char *path)
{
    uint8_t *p = malloc(FILE_MAX);
    FILE *f = fopen(path, "rb");
    if (!p || !f) {
        die(path, NULL);
    }
    nacre_span s = {p, fread(p, 1, FILE_MAX, f)};
    fclose(f);
    return s;
}

static nacre_key *public_key(const char *path)
{
    nacre_key *k = NULL;
    nacre_error err;
    nacre_span text = slurp(path);
    if (nacre_key_from_public_line(&k, NULL, text, &err) != NACRE_OK) {
        die(path, &err);
    }
    free((void *)text.p);
    return k;
}

static nacre_key *private_key(const char *path)
{
    nacre_key *k = NULL;
    nacre_error err;
    if (nacre_key_from_file(&k, NULL, path, (nacre_span){NULL, 0}, false, &err) != NACRE_OK) {
        die(path, &err);
    }
    return k;
}

static nacre_cert_kind kind_of(const char *word)
{
    return strcmp(word, "host") == 0 ? NACRE_CERT_HOST : NACRE_CERT_USER;
}

/* ---- certificates ------------------------------------------------------------------------------ */

static void show_options(const char *title, nacre_span list)
{
    nacre_span name, data;
    while (nacre_cert_next_option(&list, &name, &data)) {
        printf("%s %.*s=%.*s\n", title, (int)name.n, (const char *)name.p, (int)data.n,
               (const char *)data.p);
    }
}

static int show(char **argv)
{
    nacre_key *c = public_key(argv[2]);
    nacre_cert_info i;
    char print[128], ca[128];
    if (nacre_key_cert_info(c, &i) != NACRE_OK) {
        die("not a certificate", NULL);
    }
    (void)nacre_key_fingerprint(c, "sha256", print, sizeof(print));
    (void)nacre_key_fingerprint(i.ca, "sha256", ca, sizeof(ca));
    printf(
        "type %s\nkind %s\nkey %s %s\nca %s %s (using %s)\nid %.*s\nserial %llu\nvalid %llu %llu\n",
        nacre_key_type(c), i.kind == NACRE_CERT_HOST ? "host" : "user", nacre_key_label(c), print,
        nacre_key_label(i.ca), ca, i.ca_algorithm, (int)i.key_id.n, (const char *)i.key_id.p,
        (unsigned long long)i.serial, (unsigned long long)i.valid_after,
        (unsigned long long)i.valid_before);
    for (nacre_span name; nacre_cert_next_principal(&i.principals, &name);) {
        printf("principal %.*s\n", (int)name.n, (const char *)name.p);
    }
    show_options("critical", i.critical);
    show_options("extension", i.extensions);
    nacre_key_free(c);
    return 0;
}

static int print_line(const nacre_key *k)
{
    static char line[128 * 1024];
    if (nacre_key_public_line(k, line, sizeof(line)) < 0) {
        die("line", NULL);
    }
    printf("%s %s\n", line, nacre_key_comment(k));
    return 0;
}

static void split_option(char *word, nacre_cert_option *out)
{
    char *equals = strchr(word, '=');
    out->data = equals ? span(equals + 1) : (nacre_span){NULL, 0};
    out->name =
        (nacre_span){(const uint8_t *)word, equals ? (size_t)(equals - word) : strlen(word)};
}

static int issue(int argc, char **argv)
{
    nacre_cert_option extensions[32], critical[32];
    nacre_span principals[32];
    nacre_cert_request r;
    nacre_key *ca = private_key(argv[2]), *subject = public_key(argv[3]), *made = NULL;
    nacre_error err;
    nacre_cert_request_init(&r, kind_of(argv[4]));
    r.serial = strtoull(argv[5], NULL, 10);
    r.key_id = span(argv[6]);
    r.principals = principals;
    for (char *rest = argv[7], *name;
         (name = strsep(&rest, ",")) != NULL && r.principal_count < 32;) {
        principals[r.principal_count] = span(name);
        r.principal_count += *name ? 1 : 0;
    }
    r.valid_after = strtoull(argv[8], NULL, 10);
    r.valid_before = strtoull(argv[9], NULL, 10);
    r.valid_before = r.valid_before ? r.valid_before : NACRE_CERT_FOREVER;
    r.extensions = extensions;
    r.critical = critical;
    for (int i = 10; i < argc && i < 40; i++) {
        split_option(argv[i] + 1, argv[i][0] == '+' ? &extensions[r.extension_count++]
                                                    : &critical[r.critical_count++]);
    }
    if (nacre_cert_issue(&made, subject, ca, &r, &err) != NACRE_OK) {
        die("issue", &err);
    }
    print_line(made);
    nacre_key_free(made);
    nacre_key_free(ca);
    nacre_key_free(subject);
    return 0;
}

static int check(char **argv)
{
    nacre_cert_rules r;
    nacre_error why;
    nacre_key *c = public_key(argv[2]);
    nacre_cert_rules_init(&r, kind_of(argv[3]));
    r.principal = argv[4];
    r.now = strtoull(argv[5], NULL, 10);
    r.peer_address = argv[6];
    int rc = nacre_cert_check(c, &r, &why);
    printf("%s\n", rc == NACRE_OK ? "good" : why.text);
    nacre_key_free(c);
    return rc == NACRE_OK ? 0 : 1;
}

/* ---- revocation lists ------------------------------------------------------------------------- */

static int revoke_one(nacre_krl *k, const nacre_key *ca, const char *what)
{
    const char *value = strchr(what, ':') + 1;
    char *end = NULL;
    uint64_t lo = strtoull(value, &end, 10);
    if (strncmp(what, "serial:", 7) == 0) {
        return nacre_krl_revoke_serials(k, ca, lo, lo);
    }
    if (strncmp(what, "serials:", 8) == 0) {
        return nacre_krl_revoke_serials(k, ca, lo, strtoull(end + 1, NULL, 10));
    }
    if (strncmp(what, "id:", 3) == 0) {
        return nacre_krl_revoke_key_id(k, ca, span(value));
    }
    nacre_key *key = public_key(value);
    int rc = what[0] == 'c' ? nacre_krl_revoke_cert(k, key) : nacre_krl_revoke_key(k, key);
    nacre_key_free(key);
    return rc;
}

static int revoke_all(int argc, char **argv)
{
    nacre_krl *k = NULL;
    nacre_key *ca = strcmp(argv[3], "any") == 0 ? NULL : public_key(argv[3]);
    const nacre_krl_info info = {7, 1750000000, argv[2]};
    uint8_t *out = NULL;
    size_t n = 0;
    if (nacre_krl_new(&k, NULL) != NACRE_OK || nacre_krl_set_info(k, &info) != NACRE_OK) {
        die("krl", NULL);
    }
    for (int i = 4; i < argc; i++) {
        if (revoke_one(k, ca, argv[i]) != NACRE_OK) {
            die(argv[i], NULL);
        }
    }
    if (nacre_krl_write(k, &out, &n) != NACRE_OK) {
        die("write", NULL);
    }
    fwrite(out, 1, n, stdout);
    nacre_secret_free(NULL, out, n);
    nacre_krl_free(k);
    nacre_key_free(ca);
    return 0;
}

static int query(int argc, char **argv)
{
    nacre_krl *k = NULL;
    nacre_error err;
    int status = 0;
    if (nacre_krl_load_file(&k, NULL, argv[2], &err) != NACRE_OK) {
        die("query", &err);
    }
    for (int i = 3; i < argc; i++) {
        nacre_key *key = public_key(argv[i]);
        int rc = nacre_krl_check(k, key, &err);
        printf("%s %s\n", argv[i], rc == NACRE_OK ? "ok" : err.text);
        status = rc == NACRE_OK ? status : 1;
        nacre_key_free(key);
    }
    nacre_krl_free(k);
    return status;
}

/* ---- a connection ------------------------------------------------------------------------------ */

typedef struct session {
    nacre_transport *t;
    nacre_key *ca; /* of the other side; NULL: plain keys are taken */
    bool server, over, good;
} session;

static uint64_t now_ms(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

/* A certificate of that CA and for that name, or any plain key where no CA was given. */
static bool trusted(const session *s, const nacre_key *key, nacre_cert_kind kind, const char *name)
{
    nacre_cert_rules r;
    nacre_cert_info i;
    nacre_error why;
    if (nacre_key_cert_info(key, &i) != NACRE_OK) {
        return s->ca == NULL;
    }
    nacre_cert_rules_init(&r, kind);
    r.principal = name;
    r.now = (uint64_t)time(NULL);
    r.peer_address = "127.0.0.1";
    if (nacre_cert_check(key, &r, &why) != NACRE_OK) {
        printf("refused %s\n", why.text);
        return false;
    }
    return s->ca && nacre_key_equal(i.ca, s->ca);
}

static int judge(session *s, const nacre_event *ev)
{
    char name[256];
    bool host = ev->type == NACRE_EVENT_HOST_KEY;
    const nacre_key *key = host ? ev->u.host_key.key : ev->u.auth.key;
    snprintf(name, sizeof(name), "%.*s", host ? 9 : (int)ev->u.auth.user.n,
             host ? "localhost" : (const char *)ev->u.auth.user.p);
    printf("%s %s\n", host ? "host" : "user",
           host ? ev->u.host_key.algorithm : ev->u.auth.algorithm);
    fflush(stdout);
    bool yes = trusted(s, key, host ? NACRE_CERT_HOST : NACRE_CERT_USER, name);
    return yes ? nacre_transport_accept(s->t, ev->ticket)
               : nacre_transport_refuse(s->t, ev->ticket);
}

static int serve_request(session *s, const nacre_event *ev)
{
    size_t took = 0;
    bool exec = ev->u.request.name.n == 4 && memcmp(ev->u.request.name.p, "exec", 4) == 0;
    if (!exec) {
        return ev->ticket ? nacre_transport_refuse(s->t, ev->ticket) : NACRE_OK;
    }
    int rc = ev->ticket ? nacre_transport_accept(s->t, ev->ticket) : NACRE_OK;
    rc = rc == NACRE_OK ? nacre_channel_write(ev->channel, NACRE_STDOUT, "in\n", 3, &took) : rc;
    rc = rc == NACRE_OK ? nacre_channel_exit_status(ev->channel, 0) : rc;
    rc = rc == NACRE_OK ? nacre_channel_eof(ev->channel) : rc;
    return rc == NACRE_OK ? nacre_channel_close(ev->channel) : rc;
}

static int handle(session *s, const nacre_event *ev)
{
    switch (ev->type) {
    case NACRE_EVENT_HOST_KEY:
    case NACRE_EVENT_AUTH_KEY:
    case NACRE_EVENT_AUTH_KEY_PROBE:
        return judge(s, ev);
    case NACRE_EVENT_AUTH_RESULT:
        s->good = ev->u.auth_result.status == NACRE_OK;
        printf("auth %s\n", s->good ? "in" : "out");
        return nacre_transport_disconnect(s->t, 11, "seen enough");
    case NACRE_EVENT_CHANNEL_OPEN:
        return nacre_transport_accept(s->t, ev->ticket);
    case NACRE_EVENT_CHANNEL_REQUEST:
        return serve_request(s, ev);
    case NACRE_EVENT_CHANNEL_CLOSED:
        s->over = true;
        return NACRE_OK;
    default:
        return ev->ticket ? nacre_transport_refuse(s->t, ev->ticket) : NACRE_OK;
    }
}

static bool work(session *s, int fd)
{
    nacre_event ev;
    int rc;
    while ((rc = nacre_transport_next_event(s->t, &ev)) == NACRE_OK) {
        rc = handle(s, &ev);
        if (rc != NACRE_OK) {
            fprintf(stderr, "%s\n", nacre_status_text(rc));
            return false;
        }
    }
    for (nacre_span out = nacre_transport_output(s->t); out.n > 0;
         out = nacre_transport_output(s->t)) {
        ssize_t sent = send(fd, out.p, out.n, MSG_NOSIGNAL);
        if (sent < 0) {
            return false;
        }
        nacre_transport_sent(s->t, (size_t)sent);
    }
    return rc == NACRE_AGAIN && !s->over;
}

static int run(session *s, int fd)
{
    while (work(s, fd)) {
        struct pollfd p = {fd, POLLIN, 0};
        size_t room = 0;
        uint8_t *to = nacre_transport_recv_buffer(s->t, &room);
        if (to && poll(&p, 1, 60000) > 0) {
            ssize_t got = read(fd, to, room);
            (void)nacre_transport_received(s->t, got > 0 ? (size_t)got : 0);
        }
        nacre_transport_advance(s->t, now_ms());
    }
    const nacre_error *err = nacre_transport_error(s->t);
    if (err->status != NACRE_OK && !s->good) {
        printf("error %s\n", err->text);
    }
    close(fd);
    nacre_transport_free(s->t);
    nacre_key_free(s->ca);
    return s->good || (s->server && s->over) ? 0 : 1;
}

static void make(session *s, nacre_role role)
{
    nacre_config cfg;
    nacre_error err;
    nacre_config_init(&cfg, role);
    if (nacre_transport_new(&s->t, &cfg, now_ms(), &err) != NACRE_OK) {
        die("engine", &err);
    }
}

static nacre_key *shown(const char *key_path, const char *cert_path)
{
    nacre_key *key = private_key(key_path), *both = NULL;
    nacre_error err;
    if (strcmp(cert_path, "-") == 0) {
        return key;
    }
    nacre_key *cert = public_key(cert_path);
    if (nacre_key_attach_cert(&both, key, cert, &err) != NACRE_OK) {
        die(cert_path, &err);
    }
    nacre_key_free(key);
    nacre_key_free(cert);
    return both;
}

static int login_with(int argc, char **argv)
{
    session s = {0};
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atol(argv[2]))};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (connect(fd, (struct sockaddr *)&to, sizeof(to)) != 0) {
        die("connect", NULL);
    }
    make(&s, NACRE_CLIENT);
    s.ca = strcmp(argv[6], "-") == 0 ? NULL : public_key(argv[6]);
    nacre_key *key = shown(argv[4], argv[5]);
    if (nacre_transport_auth_publickey(s.t, argv[3], key, argc > 7 ? argv[7] : NULL) != NACRE_OK) {
        die("key", NULL);
    }
    nacre_key_free(key);
    return run(&s, fd);
}

static int serve(char **argv)
{
    session s = {.server = true};
    struct sockaddr_in at = {.sin_family = AF_INET};
    socklen_t n = sizeof(at);
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (bind(listener, (struct sockaddr *)&at, sizeof(at)) != 0 || listen(listener, 1) != 0 ||
        getsockname(listener, (struct sockaddr *)&at, &n) != 0) {
        die("listen", NULL);
    }
    make(&s, NACRE_SERVER);
    s.ca = public_key(argv[4]);
    nacre_key *host = shown(argv[2], argv[3]);
    if (nacre_transport_add_host_key(s.t, host) != NACRE_OK) {
        die("host key", NULL);
    }
    nacre_key_free(host);
    printf("port %d\n", ntohs(at.sin_port));
    fflush(stdout);
    int fd = accept(listener, NULL, NULL);
    close(listener);
    return fd < 0 ? 2 : run(&s, fd);
}

int main(int argc, char **argv)
{
    const char *verb = argc > 2 ? argv[1] : "";
    if (strcmp(verb, "show") == 0) {
        return show(argv);
    }
    if (strcmp(verb, "line") == 0) {
        nacre_key *c = public_key(argv[2]);
        int rc = print_line(c);
        nacre_key_free(c);
        return rc;
    }
    if (strcmp(verb, "issue") == 0 && argc > 9) {
        return issue(argc, argv);
    }
    if (strcmp(verb, "check") == 0 && argc > 6) {
        return check(argv);
    }
    if (strcmp(verb, "revoke") == 0 && argc > 3) {
        return revoke_all(argc, argv);
    }
    if (strcmp(verb, "query") == 0) {
        return query(argc, argv);
    }
    if (strcmp(verb, "login") == 0 && argc > 6) {
        return login_with(argc, argv);
    }
    if (strcmp(verb, "serve") == 0 && argc > 4) {
        return serve(argv);
    }
    fprintf(stderr, "see the head of drive_certs.c\n");
    return 2;
}
