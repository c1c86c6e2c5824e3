/*
 * ssh_setup.c - configuration files and options become a nacre_client_config, and that a connection.
 */
#include "ssh_setup.h"

#include "ssh_jump.h"

#include "nacre/account.h"
#include "nacre/net.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

static const char usual_user_hosts[] = "~/.ssh/known_hosts ~/.ssh/known_hosts2";
static const char usual_global_hosts[] = "/etc/ssh/ssh_known_hosts /etc/ssh/ssh_known_hosts2";

/* ---- values ---- */

int setup_init(ssh_setup *s, const char *program)
{
    memset(s, 0, sizeof(*s));
    s->program = program;
    return nacre_ssh_config_new(&s->conf, NULL, "", NULL);
}

static nacre_ssh_tokens tokens(const ssh_setup *s)
{
    const char *alias = nacre_ssh_config_get(s->conf, "HostKeyAlias");
    nacre_ssh_tokens t = {s->home,      s->host, s->dest.host,  alias ? alias : s->dest.host,
                          s->port_text, s->user, s->local_user, s->local_host,
                          s->uid_text};
    return t;
}

bool setup_expand(ssh_setup *s, const char *text, bool tilde, char *out, size_t size)
{
    nacre_ssh_tokens t = tokens(s);
    nacre_error why = {0};
    memset(&why, 0, sizeof(why));
    if (nacre_ssh_expand(text, &t, tilde, out, size, &why) == NACRE_OK) {
        return true;
    }
    setup_say(s, "%s", why.text);
    return false;
}

static char *keep_path(ssh_setup *s, const char *text)
{
    char path[SETUP_PATH_MAX];
    if (s->file_count == SETUP_FILES_MAX || !setup_expand(s, text, true, path, sizeof(path))) {
        return NULL;
    }
    char *own = strdup(path);
    if (own) {
        s->files[s->file_count++] = own;
    }
    return own;
}

static const char *get(const ssh_setup *s, const char *keyword)
{
    return nacre_ssh_config_get(s->conf, keyword);
}

static bool yes(const ssh_setup *s, const char *keyword, bool fallback)
{
    return nacre_ssh_config_yes(s->conf, keyword, fallback);
}

/* ---- who, where ---- */

static bool know_ourselves(ssh_setup *s)
{
    nacre_account *me = NULL;
    nacre_error why = {0};
    if (nacre_account_lookup_uid(&me, NULL, getuid(), &why) != NACRE_OK) {
        setup_say(s, "%s", why.text);
        return false;
    }
    (void)snprintf(s->home, sizeof(s->home), "%s", me->home);
    (void)snprintf(s->local_user, sizeof(s->local_user), "%s", me->name);
    (void)snprintf(s->uid_text, sizeof(s->uid_text), "%lu", (unsigned long)getuid());
    if (gethostname(s->local_host, sizeof(s->local_host) - 1) != 0) {
        s->local_host[0] = '\0';
    }
    nacre_account_free(me);
    return true;
}

static bool read_one(ssh_setup *s, const char *path, bool user_file, bool must)
{
    nacre_error why = {0};
    int rc = nacre_ssh_config_add_file(s->conf, path, user_file, &why);
    if (rc == NACRE_OK || (!must && rc == NACRE_NOT_FOUND)) {
        setup_debug(s, 1, "Reading configuration data %s", path);
        return true;
    }
    setup_say(s, "%s", why.text);
    return false;
}

static bool read_files(ssh_setup *s)
{
    char path[SETUP_PATH_MAX];
    if (s->config_file) {
        return strcasecmp(s->config_file, "none") == 0 || read_one(s, s->config_file, false, true);
    }
    (void)snprintf(path, sizeof(path), "%s/.ssh/config", s->home);
    return read_one(s, path, true, false) && read_one(s, "/etc/ssh/ssh_config", false, false);
}

static bool find_target(ssh_setup *s)
{
    const char *name = get(s, "HostName");
    const char *user = get(s, "User");
    const char *port = get(s, "Port");
    (void)snprintf(s->port_text, sizeof(s->port_text), "%s", port ? port : "22");
    s->port = (uint16_t)strtoul(s->port_text, NULL, 10);
    (void)snprintf(s->host, sizeof(s->host), "%s", s->dest.host);
    (void)snprintf(s->user, sizeof(s->user), "%s", user ? user : s->local_user);
    /* HostName may speak of the host that was typed: %h. */
    if (name) {
        char host[256];
        if (!setup_expand(s, name, false, host, sizeof(host))) {
            return false;
        }
        (void)snprintf(s->host, sizeof(s->host), "%s", host);
    }
    if (s->host[0] == '-' || s->user[0] == '-') {
        setup_say(s, "a host or user name must not begin with \"-\"");
        return false;
    }
    return true;
}

static int level_of(const char *name)
{
    static const char *const names[] = {"QUIET", "FATAL",  "ERROR",  "INFO",  "VERBOSE",
                                        "DEBUG", "DEBUG1", "DEBUG2", "DEBUG3"};
    static const int levels[] = {-1, -1, -1, 0, 0, 1, 1, 2, 3};
    for (size_t i = 0; i < sizeof(levels) / sizeof(levels[0]); i++) {
        if (strcasecmp(name, names[i]) == 0) {
            return levels[i];
        }
    }
    return 0;
}

/* ---- the client's config ---- */

/*
 * A file that is there and cannot be read ends it: without its lines a changed key would look like
 * that of a new host, and a revoked one like any other.
 */
static bool add_hosts(ssh_setup *s, const char *text, const char *keyword, bool first)
{
    nacre_error why = {0};
    char *path = keep_path(s, text);
    if (!path) {
        return false;
    }
    if (strcasecmp(text, "none") == 0) {
        return true;
    }
    if (first) {
        s->cfg.known_hosts_file = path;
    }
    int rc = nacre_known_hosts_add_file(s->known, path, &why);
    if (rc != NACRE_OK && rc != NACRE_NOT_FOUND) {
        setup_say(
            s,
            "%s: without it a changed host key would not be noticed, so nothing is connected; "
            "mend the file or name another one with %s (or none)",
            why.text, keyword);
        return false;
    }
    return true;
}

static bool add_usual_hosts(ssh_setup *s, const char *keyword, bool user)
{
    const char *list = user ? usual_user_hosts : usual_global_hosts;
    char copy[256];
    char *rest = copy;
    bool first = user;
    (void)snprintf(copy, sizeof(copy), "%s", list);
    for (char *one; (one = strsep(&rest, " ")) != NULL; first = false) {
        if (!add_hosts(s, one, keyword, first)) {
            return false;
        }
    }
    return true;
}

static bool load_known_hosts(ssh_setup *s)
{
    static const char *const keywords[] = {"UserKnownHostsFile", "GlobalKnownHostsFile"};
    if (nacre_known_hosts_new(&s->known, NULL) != NACRE_OK) {
        return false;
    }
    for (int k = 0; k < 2; k++) {
        size_t n = nacre_ssh_config_count(s->conf, keywords[k]);
        if (n == 0 && !add_usual_hosts(s, keywords[k], k == 0)) {
            return false;
        }
        for (size_t i = 0; i < n; i++) {
            const char *text = nacre_ssh_config_value(s->conf, keywords[k], i);
            if (!add_hosts(s, text, keywords[k], k == 0 && i == 0)) {
                return false;
            }
        }
    }
    s->cfg.known_hosts = s->known;
    return true;
}

static bool is_loopback(const char *host)
{
    return strcasecmp(host, "localhost") == 0 || strncmp(host, "127.", 4) == 0 ||
           strcmp(host, "::1") == 0;
}

static bool set_trust(ssh_setup *s)
{
    const char *strict = get(s, "StrictHostKeyChecking");
    nacre_client_config *c = &s->cfg;
    c->host_policy = s->batch ? NACRE_HOST_REJECT : NACRE_HOST_ASK;
    if (strict && (strcasecmp(strict, "yes") == 0 || strcasecmp(strict, "true") == 0)) {
        c->host_policy = NACRE_HOST_REJECT;
    } else if (strict && strcasecmp(strict, "accept-new") == 0) {
        c->host_policy = NACRE_HOST_ACCEPT_NEW;
    } else if (strict && strcasecmp(strict, "ask") != 0) {
        c->host_policy = NACRE_HOST_INSECURE;
    }
    c->hash_known_hosts = yes(s, "HashKnownHosts", false);
    c->host_key_alias = get(s, "HostKeyAlias");
    if (yes(s, "NoHostAuthenticationForLocalhost", false) && is_loopback(s->host)) {
        c->host_policy = NACRE_HOST_INSECURE;
        return true;
    }
    return load_known_hosts(s);
}

static bool set_keys(ssh_setup *s)
{
    size_t n = nacre_ssh_config_count(s->conf, "IdentityFile");
    size_t kept = 0;
    for (size_t i = 0; i < n && kept < SETUP_FILES_MAX; i++) {
        const char *text = nacre_ssh_config_value(s->conf, "IdentityFile", i);
        if (strcasecmp(text, "none") == 0) {
            continue;
        }
        char *path = keep_path(s, text);
        if (!path) {
            return false;
        }
        s->key_files[kept++] = path;
    }
    s->cfg.key_files = s->key_files;
    s->cfg.key_file_count = kept;
    s->cfg.default_key_files = n == 0;
    return true;
}

static bool method_is_off(const ssh_setup *s, const char *name, size_t n)
{
    static const struct {
        const char *method, *keyword;
    } rows[] = {{"publickey", "PubkeyAuthentication"},
                {"password", "PasswordAuthentication"},
                {"keyboard-interactive", "KbdInteractiveAuthentication"}};
    for (size_t i = 0; i < 3; i++) {
        if (strlen(rows[i].method) == n && memcmp(rows[i].method, name, n) == 0) {
            return !yes(s, rows[i].keyword, true);
        }
    }
    return true; /* not one of ours */
}

static void set_methods(ssh_setup *s)
{
    const char *list = get(s, "PreferredAuthentications");
    size_t used = 0;
    list = list ? list : "publickey,keyboard-interactive,password";
    s->preferred[0] = '\0';
    while (*list) {
        size_t n = strcspn(list, ",");
        if (n && !method_is_off(s, list, n) && used + n + 2 < sizeof(s->preferred)) {
            used += (size_t)snprintf(s->preferred + used, sizeof(s->preferred) - used, "%s%.*s",
                                     used ? "," : "", (int)n, list);
        }
        list += n;
        list += *list ? 1 : 0;
    }
    s->cfg.preferred_auth = s->preferred;
    s->cfg.password_prompts =
        (unsigned)nacre_ssh_config_number(s->conf, "NumberOfPasswordPrompts", 3);
}

static uint32_t ms_of(uint64_t seconds)
{
    return seconds > 4000000 ? 4000000000u : (uint32_t)seconds * 1000;
}

static void set_transport(ssh_setup *s)
{
    nacre_config *t = &s->cfg.transport;
    static const nacre_log_level levels[] = {NACRE_LOG_INFO, NACRE_LOG_VERBOSE, NACRE_LOG_DEBUG,
                                             NACRE_LOG_TRACE};
    t->log_user = s;
    t->log_level = s->verbosity < 0 ? NACRE_LOG_QUIET : levels[s->verbosity > 3 ? 3 : s->verbosity];
    t->kex = get(s, "KexAlgorithms");
    t->host_key = get(s, "HostKeyAlgorithms");
    t->cipher_c2s = t->cipher_s2c = get(s, "Ciphers");
    t->mac_c2s = t->mac_s2c = get(s, "MACs");
    t->signature = get(s, "PubkeyAcceptedAlgorithms");
    if (yes(s, "Compression", false)) {
        t->compression_c2s = t->compression_s2c = "zlib@openssh.com,none";
    }
    t->min_rsa_bits = (uint32_t)nacre_ssh_config_number(s->conf, "RequiredRSASize", 1024);
    t->keepalive_ms = ms_of(nacre_ssh_config_number(s->conf, "ServerAliveInterval", 0));
    t->keepalive_max = (uint32_t)nacre_ssh_config_number(s->conf, "ServerAliveCountMax", 3);
    const char *rekey = get(s, "RekeyLimit");
    if (rekey && nacre_parse_rekey_limit(rekey, &t->rekey_bytes, &t->rekey_seconds) != NACRE_OK) {
        t->rekey_bytes = 0; /* it was checked when it was read */
    }
}

static void set_network(ssh_setup *s)
{
    const char *family = get(s, "AddressFamily");
    nacre_client_config *c = &s->cfg;
    c->family = !family || strcasecmp(family, "any") == 0 ? 0 : strcasecmp(family, "inet6") ? 4 : 6;
    c->bind_address = get(s, "BindAddress");
    c->bind_interface = get(s, "BindInterface");
    c->connect_timeout_ms = ms_of(nacre_ssh_config_number(s->conf, "ConnectTimeout", 0));
    c->user = s->user;
}

bool setup_load(ssh_setup *s)
{
    nacre_error why = {0};
    const char *given = get(s, "User");
    if (nacre_ssh_config_target(s->conf, s->dest.host, given) != NACRE_OK) {
        setup_say(s, "out of memory");
        return false;
    }
    if (!know_ourselves(s) || !read_files(s)) {
        return false;
    }
    if (nacre_ssh_config_supported(s->conf, &why) != NACRE_OK) {
        setup_say(s, "%s", why.text);
        return false;
    }
    const char *level = get(s, "LogLevel");
    s->verbosity = level && s->verbosity == 0 ? level_of(level) : s->verbosity;
    s->batch = yes(s, "BatchMode", false);
    nacre_client_config_init(&s->cfg);
    if (!find_target(s) || !set_trust(s) || !set_keys(s)) {
        return false;
    }
    const char *hops = jump_list(s);
    if (hops && !jump_check(s, hops)) {
        return false;
    }
    set_methods(s);
    set_transport(s);
    set_network(s);
    nacre_client_callbacks *cb = &s->cfg.callbacks;
    cb->ask_host = s->batch ? NULL : ask_host;
    cb->ask_secret = s->batch ? NULL : ask_secret;
    setup_listen(s);
    cb->user = s;
    return true;
}

/* ---- connecting ---- */

void setup_explain(const ssh_setup *s, const nacre_client *c, int rc)
{
    const nacre_error *why = nacre_client_error(c);
    if (s->verbosity < 0 && nacre_status_class(rc) != NACRE_CLASS_TRUST) {
        return;
    }
    if (rc == NACRE_HOST_KEY_CHANGED) {
        (void)fprintf(stderr, "@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@\n"
                              "@    WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!     @\n"
                              "@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@\n");
    }
    if (rc == NACRE_AUTH_FAILED) {
        (void)fprintf(stderr, "%s\n", why->text);
    } else {
        setup_say(s, "%s", why->text[0] ? why->text : nacre_status_text(rc));
    }
    if (nacre_status_class(rc) == NACRE_CLASS_TRUST) {
        (void)fprintf(stderr, "Host key verification failed.\n");
    }
}

static bool worth_another_try(int rc)
{
    return rc == NACRE_CONNECT || rc == NACRE_RESOLVE || rc == NACRE_TIMEOUT;
}

/* The way, then the handshake and the login. NACRE_CANCELLED: it has complained already. */
static int connect_once(ssh_setup *s, nacre_client **out)
{
    nacre_error why = {0};
    const char *hops = jump_list(s);
    int fd = -1;
    s->cfg.loop = s->loop;
    if (hops) {
        fd = jump_connect(s, hops);
        if (fd < 0) {
            return NACRE_CANCELLED;
        }
    }
    int rc = nacre_client_new(out, &s->cfg, &why);
    if (rc != NACRE_OK) {
        setup_say(s, "%s", why.text);
        rc = NACRE_CANCELLED;
    } else {
        rc = nacre_client_login(*out, fd, fd, s->host, s->port);
    }
    if (rc != NACRE_OK && fd >= 0 && !(*out && nacre_client_transport(*out))) {
        (void)close(fd); /* not taken */
    }
    return rc;
}

static void drop_client(ssh_setup *s, nacre_client **out)
{
    nacre_client_disconnect(*out);
    nacre_client_free(*out);
    *out = NULL;
    if (s->jump) {
        jump_free(s->jump);
        s->jump = NULL;
    }
}

bool setup_connect(ssh_setup *s, nacre_client **out)
{
    uint64_t attempts = nacre_ssh_config_number(s->conf, "ConnectionAttempts", 1);
    *out = NULL;
    for (uint64_t i = 0;; i++) {
        int rc = connect_once(s, out);
        if (rc == NACRE_OK) {
            break;
        }
        bool again = worth_another_try(rc) && i + 1 < attempts;
        if (!again && rc != NACRE_CANCELLED) {
            setup_explain(s, *out, rc);
        }
        drop_client(s, out);
        if (!again) {
            return false;
        }
        (void)sleep(1);
    }
    if (!s->jump) {
        nacre_net_set_keepalive(nacre_driver_fd(nacre_client_driver(*out)),
                                yes(s, "TCPKeepAlive", true));
    }
    return true;
}

static int dscp_of(const char *name, size_t n)
{
    static const struct {
        const char *name;
        int dscp;
    } rows[] = {{"af11", 10},      {"af12", 12},      {"af13", 14}, {"af21", 18}, {"af22", 20},
                {"af23", 22},      {"af31", 26},      {"af32", 28}, {"af33", 30}, {"af41", 34},
                {"af42", 36},      {"af43", 38},      {"cs0", 0},   {"cs1", 8},   {"cs2", 16},
                {"cs3", 24},       {"cs4", 32},       {"cs5", 40},  {"cs6", 48},  {"cs7", 56},
                {"ef", 46},        {"le", 1},         {"va", 44},   {"none", -1}, {"lowdelay", 4},
                {"throughput", 2}, {"reliability", 1}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (strlen(rows[i].name) == n && strncasecmp(rows[i].name, name, n) == 0) {
            return rows[i].dscp;
        }
    }
    return -1;
}

void setup_quality(const ssh_setup *s, nacre_client *c, bool interactive)
{
    const char *text = get(s, "IPQoS");
    int dscp = interactive ? dscp_of("ef", 2) : -1;
    if (text) {
        size_t n = strcspn(text, " \t");
        const char *second = text + n + strspn(text + n, " \t");
        dscp = interactive || !*second ? dscp_of(text, n) : dscp_of(second, strcspn(second, " \t"));
    }
    if (dscp >= 0) {
        nacre_net_set_dscp(nacre_driver_fd(nacre_client_driver(c)), (unsigned)dscp);
    }
}

void setup_clear(ssh_setup *s)
{
    nacre_ssh_config_free(s->conf);
    nacre_known_hosts_free(s->known);
    jump_free(s->jump);
    for (size_t i = 0; i < s->file_count; i++) {
        free(s->files[i]);
    }
    memset(s, 0, sizeof(*s));
}
