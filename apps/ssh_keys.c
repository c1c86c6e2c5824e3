/*
 * ssh_keys.c - which keys a login may try: IdentityFile, CertificateFile, the agent, and what of them is
 * given to the agent (ssh_config(5)).
 */
#include "ssh_setup.h"

#include "nacre/ssh_config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static const char *get(const ssh_setup *s, const char *keyword)
{
    return nacre_ssh_config_get(s->conf, keyword);
}

/* The files that a keyword names, expanded; *none: it stands there and names nothing. */
static bool list_files(ssh_setup *s, const char *keyword, const char **files, size_t *count,
                       bool *given)
{
    size_t n = nacre_ssh_config_count(s->conf, keyword);
    size_t kept = 0;
    *given = n > 0;
    for (size_t i = 0; i < n && kept < SETUP_FILES_MAX; i++) {
        const char *text = nacre_ssh_config_value(s->conf, keyword, i);
        if (strcasecmp(text, "none") == 0) {
            continue;
        }
        const char *path = setup_keep_path(s, keyword, text);
        if (!path) {
            return false;
        }
        files[kept++] = path;
    }
    *count = kept;
    return true;
}

/* none, SSH_AUTH_SOCK, $NAME, or a path. */
static bool set_agent(ssh_setup *s)
{
    const char *text = get(s, "IdentityAgent");
    nacre_client_config *c = &s->cfg;
    c->use_agent = !text || strcasecmp(text, "none") != 0;
    if (!text || !c->use_agent || strcmp(text, "SSH_AUTH_SOCK") == 0) {
        return true;
    }
    if (text[0] == '$' && text[1] != '{') {
        c->agent_path = getenv(text + 1);
        c->use_agent = c->agent_path && *c->agent_path;
        return true;
    }
    c->agent_path = setup_keep_path(s, "IdentityAgent", text);
    return c->agent_path != NULL;
}

/* yes, no, ask, "confirm [time]", time. */
static void set_additions(ssh_setup *s)
{
    const char *text = get(s, "AddKeysToAgent");
    nacre_client_config *c = &s->cfg;
    const char *life = text;
    c->add_keys_to_agent = NACRE_ADD_KEYS_NO;
    if (!text || strcasecmp(text, "no") == 0 || strcasecmp(text, "false") == 0) {
        return;
    }
    if (strcasecmp(text, "yes") == 0 || strcasecmp(text, "true") == 0) {
        c->add_keys_to_agent = NACRE_ADD_KEYS_YES;
        return;
    }
    if (strcasecmp(text, "ask") == 0) {
        c->add_keys_to_agent = NACRE_ADD_KEYS_ASK;
        return;
    }
    c->add_keys_to_agent = NACRE_ADD_KEYS_YES;
    if (strncasecmp(text, "confirm", 7) == 0) {
        c->add_keys_to_agent = NACRE_ADD_KEYS_CONFIRM;
        life = text + 7 + strspn(text + 7, " ");
    }
    if (*life && nacre_parse_time(life, &c->add_keys_seconds) != NACRE_OK) {
        c->add_keys_to_agent = NACRE_ADD_KEYS_NO; /* it was checked when it was read */
    }
}

bool setup_keys(ssh_setup *s)
{
    nacre_client_config *c = &s->cfg;
    bool given;
    if (!list_files(s, "IdentityFile", s->key_files, &c->key_file_count, &given)) {
        return false;
    }
    c->key_files = s->key_files;
    c->default_key_files = !given;
    if (!list_files(s, "CertificateFile", s->cert_files, &c->certificate_file_count, &given)) {
        return false;
    }
    c->certificate_files = s->cert_files;
    c->identities_only = nacre_ssh_config_yes(s->conf, "IdentitiesOnly", false);
    c->ask_add_key = s->batch ? NULL : ask_add_key;
    set_additions(s);
    return set_agent(s);
}
