/*
 * ssh_keywords.c - the keywords of ssh_config(5): what kind of value each takes, and what of it this
 * version can do. A keyword that is not here is an error wherever it stands.
 */
#include "base/words.h"
#include "client/ssh_config.h"
#include "wire/rd.h"

#include <string.h>
#include <strings.h>

#define NO_ONLY "no,false"

static const nc_keyword table[] = {
    {"AddKeysToAgent", NC_KW_LINE, NULL, NO_ONLY, NULL},
    {"AddressFamily", NC_KW_CHOICE, "any,inet,inet6", NULL, NULL},
    {"BatchMode", NC_KW_YESNO, NULL, NULL, NULL},
    {"BindAddress", NC_KW_TEXT, NULL, NULL, NULL},
    {"BindInterface", NC_KW_TEXT, NULL, NULL, NULL},
    {"CanonicalDomains", NC_KW_LINE, NULL, "none", NULL},
    {"CanonicalizeFallbackLocal", NC_KW_YESNO, NULL, NULL, NULL},
    {"CanonicalizeHostname", NC_KW_CHOICE, "yes,no,always,none", "no,none", NULL},
    {"CanonicalizeMaxDots", NC_KW_NUMBER, NULL, NULL, NULL},
    {"CanonicalizePermittedCNAMEs", NC_KW_LINE, NULL, NULL, NULL},
    {"CASignatureAlgorithms", NC_KW_ALGS, NULL, NULL, NULL},
    {"CertificateFile", NC_KW_ADD, NULL, "none", NULL},
    {"ChallengeResponseAuthentication", NC_KW_YESNO, NULL, NULL, "KbdInteractiveAuthentication"},
    {"ChannelTimeout", NC_KW_LINE, NULL, "none", NULL},
    {"CheckHostIP", NC_KW_YESNO, NULL, NO_ONLY, NULL},
    {"Ciphers", NC_KW_ALGS, NULL, NULL, NULL},
    {"ClearAllForwardings", NC_KW_YESNO, NULL, NULL, NULL},
    {"Compression", NC_KW_YESNO, NULL, NULL, NULL},
    {"ConnectionAttempts", NC_KW_NUMBER, NULL, NULL, NULL},
    {"ConnectTimeout", NC_KW_TIME, NULL, NULL, NULL},
    {"ControlMaster", NC_KW_CHOICE, "yes,no,ask,auto,autoask", NO_ONLY, NULL},
    {"ControlPath", NC_KW_TEXT, NULL, "none", NULL},
    {"ControlPersist", NC_KW_TEXT, NULL, NO_ONLY, NULL},
    {"DynamicForward", NC_KW_LINE, NULL, "none", NULL},
    {"EnableEscapeCommandline", NC_KW_YESNO, NULL, NULL, NULL},
    {"EnableSSHKeysign", NC_KW_YESNO, NULL, NULL, NULL},
    {"EscapeChar", NC_KW_TEXT, NULL, NULL, NULL},
    {"ExitOnForwardFailure", NC_KW_YESNO, NULL, NULL, NULL},
    {"FingerprintHash", NC_KW_CHOICE, "md5,sha256", "sha256", NULL},
    {"ForkAfterAuthentication", NC_KW_YESNO, NULL, NO_ONLY, NULL},
    {"ForwardAgent", NC_KW_TEXT, NULL, NO_ONLY, NULL},
    {"ForwardX11", NC_KW_YESNO, NULL, NO_ONLY, NULL},
    {"ForwardX11Timeout", NC_KW_TIME, NULL, NULL, NULL},
    {"ForwardX11Trusted", NC_KW_YESNO, NULL, NULL, NULL},
    {"GatewayPorts", NC_KW_YESNO, NULL, NULL, NULL},
    {"GlobalKnownHostsFile", NC_KW_ONE_LIST, NULL, NULL, NULL},
    /* As ssh built without GSSAPI: accepted, and without effect. */
    {"GSSAPIAuthentication", NC_KW_IGNORED, NULL, NULL, NULL},
    {"GSSAPIClientIdentity", NC_KW_IGNORED, NULL, NULL, NULL},
    {"GSSAPIDelegateCredentials", NC_KW_IGNORED, NULL, NULL, NULL},
    {"GSSAPIKexAlgorithms", NC_KW_IGNORED, NULL, NULL, NULL},
    {"GSSAPIKeyExchange", NC_KW_IGNORED, NULL, NULL, NULL},
    {"GSSAPIRenewalForcesRekey", NC_KW_IGNORED, NULL, NULL, NULL},
    {"GSSAPIServerIdentity", NC_KW_IGNORED, NULL, NULL, NULL},
    {"GSSAPITrustDns", NC_KW_IGNORED, NULL, NULL, NULL},
    {"HashKnownHosts", NC_KW_YESNO, NULL, NULL, NULL},
    {"HostbasedAcceptedAlgorithms", NC_KW_ALGS, NULL, NULL, NULL},
    {"HostbasedAuthentication", NC_KW_YESNO, NULL, NO_ONLY, NULL},
    {"HostbasedKeyTypes", NC_KW_ALGS, NULL, NULL, "HostbasedAcceptedAlgorithms"},
    {"HostKeyAlgorithms", NC_KW_ALGS, NULL, NULL, NULL},
    {"HostKeyAlias", NC_KW_TEXT, NULL, NULL, NULL},
    {"HostName", NC_KW_TEXT, NULL, NULL, NULL},
    {"IdentitiesOnly", NC_KW_YESNO, NULL, NULL, NULL},
    {"IdentityAgent", NC_KW_TEXT, NULL, NULL, NULL},
    {"IdentityFile", NC_KW_ADD, NULL, NULL, NULL},
    {"IgnoreUnknown", NC_KW_TEXT, NULL, NULL, NULL},
    {"IPQoS", NC_KW_LINE, NULL, NULL, NULL},
    {"KbdInteractiveAuthentication", NC_KW_YESNO, NULL, NULL, NULL},
    {"KbdInteractiveDevices", NC_KW_TEXT, NULL, NULL, NULL},
    {"KexAlgorithms", NC_KW_ALGS, NULL, NULL, NULL},
    {"KnownHostsCommand", NC_KW_LINE, NULL, "none", NULL},
    {"LocalCommand", NC_KW_LINE, NULL, NULL, NULL}, /* needs PermitLocalCommand yes */
    {"LocalForward", NC_KW_LINE, NULL, "none", NULL},
    {"LogLevel", NC_KW_CHOICE, "QUIET,FATAL,ERROR,INFO,VERBOSE,DEBUG,DEBUG1,DEBUG2,DEBUG3", NULL,
     NULL},
    {"LogVerbose", NC_KW_LINE, NULL, NULL, NULL},
    {"MACs", NC_KW_ALGS, NULL, NULL, NULL},
    {"NoHostAuthenticationForLocalhost", NC_KW_YESNO, NULL, NULL, NULL},
    {"NumberOfPasswordPrompts", NC_KW_NUMBER, NULL, NULL, NULL},
    {"ObscureKeystrokeTiming", NC_KW_LINE, NULL, NULL, NULL},
    {"PasswordAuthentication", NC_KW_YESNO, NULL, NULL, NULL},
    {"PermitLocalCommand", NC_KW_YESNO, NULL, NO_ONLY, NULL},
    {"PermitRemoteOpen", NC_KW_LINE, NULL, "any,none", NULL},
    {"PKCS11Provider", NC_KW_TEXT, NULL, "none", NULL},
    {"Port", NC_KW_PORT, NULL, NULL, NULL},
    {"PreferredAuthentications", NC_KW_TEXT, NULL, NULL, NULL},
    {"ProxyCommand", NC_KW_LINE, NULL, "none", NULL},
    {"ProxyJump", NC_KW_TEXT, NULL, NULL, NULL},
    {"ProxyUseFdpass", NC_KW_YESNO, NULL, NO_ONLY, NULL},
    {"PubkeyAcceptedAlgorithms", NC_KW_ALGS, NULL, NULL, NULL},
    {"PubkeyAcceptedKeyTypes", NC_KW_ALGS, NULL, NULL, "PubkeyAcceptedAlgorithms"},
    {"PubkeyAuthentication", NC_KW_CHOICE, "yes,no,true,false,unbound,host-bound", NULL, NULL},
    {"RefuseConnection", NC_KW_LINE, NULL, "none", NULL},
    {"RekeyLimit", NC_KW_REKEY, NULL, NULL, NULL},
    {"RemoteCommand", NC_KW_LINE, NULL, NULL, NULL},
    {"RemoteForward", NC_KW_LINE, NULL, "none", NULL},
    {"RequestTTY", NC_KW_CHOICE, "yes,no,true,false,force,auto", NULL, NULL},
    {"RequiredRSASize", NC_KW_NUMBER, NULL, NULL, NULL},
    {"RevokedHostKeys", NC_KW_TEXT, NULL, "none", NULL},
    {"RSAMinSize", NC_KW_NUMBER, NULL, NULL, "RequiredRSASize"},
    {"SecurityKeyProvider", NC_KW_TEXT, NULL, NULL, NULL},
    {"SendEnv", NC_KW_ADD_LIST, NULL, NULL, NULL},
    {"ServerAliveCountMax", NC_KW_NUMBER, NULL, NULL, NULL},
    {"ServerAliveInterval", NC_KW_TIME, NULL, NULL, NULL},
    {"SessionType", NC_KW_CHOICE, "none,subsystem,default", NULL, NULL},
    {"SetEnv", NC_KW_ONE_LIST, NULL, NULL, NULL},
    {"StdinNull", NC_KW_YESNO, NULL, NULL, NULL},
    {"StreamLocalBindMask", NC_KW_TEXT, NULL, NULL, NULL},
    {"StreamLocalBindUnlink", NC_KW_YESNO, NULL, NULL, NULL},
    {"StrictHostKeyChecking", NC_KW_CHOICE, "yes,no,true,false,accept-new,ask,off", NULL, NULL},
    {"SyslogFacility", NC_KW_TEXT, NULL, NULL, NULL},
    {"TCPKeepAlive", NC_KW_YESNO, NULL, NULL, NULL},
    {"Tag", NC_KW_TEXT, NULL, NULL, NULL},
    {"Tunnel", NC_KW_CHOICE, "yes,no,true,false,point-to-point,ethernet", NO_ONLY, NULL},
    {"TunnelDevice", NC_KW_TEXT, NULL, NULL, NULL},
    {"UpdateHostKeys", NC_KW_CHOICE, "yes,no,true,false,ask", NULL, NULL},
    {"User", NC_KW_TEXT, NULL, NULL, NULL},
    {"UserKnownHostsFile", NC_KW_ONE_LIST, NULL, NULL, NULL},
    {"VerifyHostKeyDNS", NC_KW_CHOICE, "yes,no,true,false,ask", NO_ONLY, NULL},
    {"VersionAddendum", NC_KW_LINE, NULL, "none", NULL},
    {"VisualHostKey", NC_KW_YESNO, NULL, NO_ONLY, NULL},
    {"WarnWeakCrypto", NC_KW_CHOICE, "yes,no,true,false,no-pq-kex", NULL, NULL},
    {"XAuthLocation", NC_KW_TEXT, NULL, NULL, NULL},
};

static bool same(nacre_span a, const char *b)
{
    return a.n == strlen(b) && strncasecmp((const char *)a.p, b, a.n) == 0;
}

const nc_keyword *nc_keyword_find(nacre_span name)
{
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        if (same(name, table[i].name)) {
            return table[i].alias_of ? nc_keyword_find(nc_span_cstr(table[i].alias_of)) : &table[i];
        }
    }
    return NULL;
}

static bool listed(const char *list, const char *value)
{
    nacre_span rest = nc_span_cstr(list);
    nacre_span one;
    while (nc_namelist_next(&rest, &one)) {
        if (same(one, value)) {
            return true;
        }
    }
    return false;
}

bool nc_keyword_supports(const nc_keyword *k, const char *value)
{
    return !k->supported || listed(k->supported, value);
}

static int check_number(const nc_keyword *k, const char *value, nacre_error *err)
{
    uint32_t n;
    bool port = k->kind == NC_KW_PORT;
    if (!nc_parse_number(value, port ? 1 : 0, port ? 65535 : INT32_MAX, &n)) {
        return nc_fail(err, NACRE_SYNTAX, "%s: \"%s\" is not a %s", k->name,
                       NC_ESC(nc_span_cstr(value)),
                       port ? "port (1 to 65535)" : "number (0 to 2147483647)");
    }
    return NACRE_OK;
}

int nc_keyword_check(const nc_keyword *k, const char *value, nacre_error *err)
{
    uint64_t bytes;
    uint32_t seconds;
    int rc = NACRE_OK;
    switch (k->kind) {
    case NC_KW_YESNO:
        rc = listed("yes,no,true,false", value)
                 ? NACRE_OK
                 : nc_fail(err, NACRE_SYNTAX, "%s: \"%s\" is neither yes nor no", k->name,
                           NC_ESC(nc_span_cstr(value)));
        break;
    case NC_KW_CHOICE:
        rc = listed(k->choices, value) ? NACRE_OK
                                       : nc_fail(err, NACRE_SYNTAX, "%s: \"%s\" is none of %s",
                                                 k->name, NC_ESC(nc_span_cstr(value)), k->choices);
        break;
    case NC_KW_NUMBER:
    case NC_KW_PORT:
        rc = check_number(k, value, err);
        break;
    case NC_KW_TIME:
        if (strcasecmp(value, "none") != 0 && nacre_parse_time(value, &seconds) != NACRE_OK) {
            rc = nc_fail(err, NACRE_SYNTAX, "%s: \"%s\" is not a time (30, 5m, 1h30m)", k->name,
                         NC_ESC(nc_span_cstr(value)));
        }
        break;
    case NC_KW_REKEY:
        if (nacre_parse_rekey_limit(value, &bytes, &seconds) != NACRE_OK) {
            rc = nc_fail(err, NACRE_SYNTAX, "%s: \"%s\" is not a limit (1G, \"512M 1h\")", k->name,
                         NC_ESC(nc_span_cstr(value)));
        }
        break;
    default:
        break;
    }
    return rc;
}
