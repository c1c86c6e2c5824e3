/*
 * ssh_setup.c - configuration files and options become a nacre_client_config, and that a connection.
 */
#include "ssh_setup.h"

#include "ssh_jump.h"

#include "nacre/account.h"
#include "nacre/process.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

/* ---- values ---- */

int setup_init(ssh_setup *s, const char *program)
{
    memset(s, 0, sizeof(*s));
    s->program = program;
    return nacre_ssh_config_new(&s->conf, NULL, "", NULL);
}

bool setup_expand(ssh_setup *s, const char *keyword, const char *text, char *out, size_t size)
{
    nacre_error why = {0};
    if (nacre_ssh_config_expand(s->conf, keyword, text, NULL, out, size, &why) == NACRE_OK) {
        return true;
    }
    setup_say(s, "%s: %s", keyword, why.text);
    return false;
}

char *setup_keep_path(ssh_setup *s, const char *keyword, const char *text)
{
    char path[SETUP_PATH_MAX];
    if (s->file_count == SETUP_FILES_MAX || !setup_expand(s, keyword, text, path, sizeof(path))) {
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
    nacre_account_free(me);
    return true;
}

static int run_exec(void *user, const char *command, bool *matches, nacre_error *err)
{
    const ssh_setup *s = user;
    int status = 0;
    setup_debug(s, 3, "Executing command: '%s'", command);
    int rc = nacre_shell_run(command, true, &status, err);
    *matches = rc == NACRE_OK && status == 0;
    return rc;
}

static void on_passed_over(void *user, const char *text)
{
    setup_say(user, "%s", text);
}

static bool read_files(ssh_setup *s)
{
    nacre_error why = {0};
    nacre_ssh_hooks hooks;
    nacre_ssh_source given = {.path = s->config_file, .in_home = true};
    nacre_ssh_hooks_init(&hooks);
    hooks.exec = run_exec;
    hooks.warning = s->verbosity < 0 ? NULL : on_passed_over;
    hooks.user = s;
    nacre_ssh_config_hooks(s->conf, &hooks);
    if (s->config_file && strcasecmp(s->config_file, "none") == 0) {
        given = (nacre_ssh_source){.name = "none"};
    }
    if (nacre_ssh_config_read(s->conf, &given, s->config_file ? 1 : 0, &why) == NACRE_OK) {
        return true;
    }
    setup_say(s, "%s", why.text);
    return false;
}

static bool find_target(ssh_setup *s)
{
    const char *host = nacre_ssh_config_host(s->conf), *user = nacre_ssh_config_user(s->conf);
    s->port = nacre_ssh_config_port(s->conf);
    (void)snprintf(s->port_text, sizeof(s->port_text), "%u", (unsigned)s->port);
    if (strlen(host) >= sizeof(s->host) || strlen(user) >= sizeof(s->user)) {
        setup_say(s, "the name of the host or user is too long");
        return false;
    }
    (void)snprintf(s->host, sizeof(s->host), "%s", host);
    (void)snprintf(s->user, sizeof(s->user), "%s", user);
    if (s->host[0] == '-' || s->user[0] == '-') {
        setup_say(s, "a host or user name must not begin with \"-\"");
        return false;
    }
    return true;
}

static int level_of(const char *name)
{
    static const char *const names[] = {"SILENT",  "QUIET", "FATAL",  "ERROR",  "INFO",
                                        "VERBOSE", "DEBUG", "DEBUG1", "DEBUG2", "DEBUG3"};
    static const int levels[] = {-1, -1, -1, -1, 0, 0, 1, 1, 2, 3};
    for (size_t i = 0; i < sizeof(levels) / sizeof(levels[0]); i++) {
        if (strcasecmp(name, names[i]) == 0) {
            return levels[i];
        }
    }
    return 0;
}

/* ---- the client's config ---- */

static bool method_is_off(const ssh_setup *s, const char *name, size_t n)
{
    static const struct {
        const char *method, *keyword;
        bool fallback;
    } rows[] = {{"publickey", "PubkeyAuthentication", true},
                {"password", "PasswordAuthentication", true},
                {"keyboard-interactive", "KbdInteractiveAuthentication", true},
                {"hostbased", "HostbasedAuthentication", false}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (strlen(rows[i].method) == n && memcmp(rows[i].method, name, n) == 0) {
            return !yes(s, rows[i].keyword, rows[i].fallback);
        }
    }
    return true; /* not one of ours */
}

static void set_methods(ssh_setup *s)
{
    const char *list = get(s, "PreferredAuthentications");
    size_t used = 0;
    list = list ? list : "hostbased,publickey,keyboard-interactive,password";
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
    t->log_user = s;
    t->log_level = setup_log_level(s->verbosity);
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

static bool set_version(ssh_setup *s)
{
    const char *text = get(s, "VersionAddendum");
    if (text && strcasecmp(text, "none") != 0) {
        if (!setup_expand(s, "VersionAddendum", text, s->addendum, sizeof(s->addendum))) {
            return false;
        }
        s->cfg.transport.comments = s->addendum;
    }
    return true;
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
    if (given && !nacre_ssh_is_user_name(given)) {
        setup_say(s, "remote username contains invalid characters");
        return false;
    }
    if (nacre_ssh_config_command(s->conf, s->command) != NACRE_OK) {
        setup_say(s, "out of memory");
        return false;
    }
    if (!know_ourselves(s) || !read_files(s) || !find_target(s)) {
        return false;
    }
    if (s->only_show) {
        return true;
    }
    if (nacre_ssh_config_supported(s->conf, &why) != NACRE_OK) {
        setup_say(s, "%s", why.text);
        return false;
    }
    const char *level = get(s, "LogLevel");
    s->verbosity = level && s->verbosity == 0 ? level_of(level) : s->verbosity;
    s->batch = yes(s, "BatchMode", false);
    nacre_client_config_init(&s->cfg);
    if (!hosts_setup(s) || !setup_keys(s)) {
        return false;
    }
    if (!jump_find(s) || !set_version(s)) {
        return false;
    }
    set_methods(s);
    set_transport(s);
    setup_host_auth(s);
    set_network(s);
    nacre_client_callbacks *cb = &s->cfg.callbacks;
    cb->ask_host = s->batch ? NULL : ask_host;
    cb->ask_secret = s->batch ? NULL : ask_secret;
    setup_listen(s);
    cb->user = s;
    return true;
}

void setup_clear(ssh_setup *s)
{
    nacre_ssh_config_free(s->conf);
    nacre_known_hosts_free(s->known);
    jump_free(s->jump);
    if (s->log) {
        (void)fclose(s->log);
    }
    for (size_t i = 0; i < s->file_count; i++) {
        free(s->files[i]);
    }
    memset(s, 0, sizeof(*s));
}
