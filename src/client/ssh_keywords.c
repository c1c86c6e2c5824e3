/*
 * ssh_keywords.c - the keywords of ssh_config(5): what kind of value each takes, and what of it this
 * version can do. A keyword that is not here is an error wherever it stands.
 */
#include "client/ssh_config.h"
#include "wire/rd.h"

#include <string.h>
#include <strings.h>

#define NO_ONLY "no,false"

static const nc_keyword table[] = {
    {"AddKeysToAgent", NC_KW_WORDS, NULL, NULL, NULL},
    {"AddressFamily", NC_KW_CHOICE, "any,inet,inet6", NULL, NULL},
    {"BatchMode", NC_KW_YESNO, NULL, NULL, NULL},
    {"BindAddress", NC_KW_TEXT, NULL, NULL, NULL},
    {"BindInterface", NC_KW_TEXT, NULL, NULL, NULL},
    {"CanonicalDomains", NC_KW_ONE_LIST, NULL, NULL, NULL},
    {"CanonicalizeFallbackLocal", NC_KW_YESNO, NULL, NULL, NULL},
    {"CanonicalizeHostname", NC_KW_CHOICE, "yes,no,true,false,always,none", NULL, NULL},
    {"CanonicalizeMaxDots", NC_KW_NUMBER, NULL, NULL, NULL},
    {"CanonicalizePermittedCNAMEs", NC_KW_ONE_LIST, NULL, NULL, NULL},
    {"CASignatureAlgorithms", NC_KW_ALGS, NULL, NULL, NULL},
    {"CertificateFile", NC_KW_ADD, NULL, NULL, NULL},
    {"ChallengeResponseAuthentication", NC_KW_YESNO, NULL, NULL, "KbdInteractiveAuthentication"},
    {"ChannelTimeout", NC_KW_ONE_LIST, NULL, "none", NULL},
    {"CheckHostIP", NC_KW_YESNO, NULL, NULL, NULL},
    {"Ciphers", NC_KW_ALGS, NULL, NULL, NULL},
    {"ClearAllForwardings", NC_KW_YESNO, NULL, NULL, NULL},
    {"Compression", NC_KW_YESNO, NULL, NULL, NULL},
    {"ConnectionAttempts", NC_KW_NUMBER, NULL, NULL, NULL},
    {"ConnectTimeout", NC_KW_TIME, NULL, NULL, NULL},
    {"ControlMaster", NC_KW_CHOICE, "yes,no,true,false,ask,auto,autoask", NULL, NULL},
    {"ControlPath", NC_KW_TEXT, NULL, NULL, NULL},
    {"ControlPersist", NC_KW_TEXT, NULL, NULL, NULL},
    {"DynamicForward", NC_KW_FORWARD, NULL, NULL, NULL},
    {"DSAAuthentication", NC_KW_CHOICE, NULL, NULL, "PubkeyAuthentication"},
    {"EnableEscapeCommandline", NC_KW_YESNO, NULL, NULL, NULL},
    {"EnableSSHKeysign", NC_KW_YESNO, NULL, NULL, NULL},
    {"EscapeChar", NC_KW_TEXT, NULL, NULL, NULL},
    {"ExitOnForwardFailure", NC_KW_YESNO, NULL, NULL, NULL},
    {"FingerprintHash", NC_KW_CHOICE, "md5,sha256", NULL, NULL},
    {"ForkAfterAuthentication", NC_KW_YESNO, NULL, NULL, NULL},
    {"ForwardAgent", NC_KW_TEXT, NULL, NULL, NULL},
    {"ForwardX11", NC_KW_YESNO, NULL, NULL, NULL},
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
    {"HostbasedAuthentication", NC_KW_YESNO, NULL, NULL, NULL},
    {"HostbasedKeyTypes", NC_KW_ALGS, NULL, NULL, "HostbasedAcceptedAlgorithms"},
    {"HostKeyAlgorithms", NC_KW_ALGS, NULL, NULL, NULL},
    {"HostKeyAlias", NC_KW_TEXT, NULL, NULL, NULL},
    {"HostName", NC_KW_TEXT, NULL, NULL, NULL},
    {"IdentitiesOnly", NC_KW_YESNO, NULL, NULL, NULL},
    {"IdentityAgent", NC_KW_TEXT, NULL, NULL, NULL},
    {"IdentityFile", NC_KW_ADD, NULL, NULL, NULL},
    {"IdentityFile2", NC_KW_ADD, NULL, NULL, "IdentityFile"},
    {"IgnoreUnknown", NC_KW_TEXT, NULL, NULL, NULL},
    {"IPQoS", NC_KW_WORDS, NULL, NULL, NULL},
    {"KbdInteractiveAuthentication", NC_KW_YESNO, NULL, NULL, NULL},
    {"KbdInteractiveDevices", NC_KW_TEXT, NULL, NULL, NULL},
    {"KeepAlive", NC_KW_YESNO, NULL, NULL, "TCPKeepAlive"},
    {"KexAlgorithms", NC_KW_ALGS, NULL, NULL, NULL},
    {"KnownHostsCommand", NC_KW_LINE, NULL, NULL, NULL},
    {"LocalCommand", NC_KW_LINE, NULL, NULL, NULL}, /* needs PermitLocalCommand yes */
    {"LocalForward", NC_KW_FORWARD, NULL, NULL, NULL},
    {"LogLevel", NC_KW_CHOICE, "SILENT,QUIET,FATAL,ERROR,INFO,VERBOSE,DEBUG,DEBUG1,DEBUG2,DEBUG3",
     NULL, NULL},
    {"LogVerbose", NC_KW_ONE_LIST, NULL, NULL, NULL},
    {"MACs", NC_KW_ALGS, NULL, NULL, NULL},
    {"NoHostAuthenticationForLocalhost", NC_KW_YESNO, NULL, NULL, NULL},
    {"NumberOfPasswordPrompts", NC_KW_NUMBER, NULL, NULL, NULL},
    {"ObscureKeystrokeTiming", NC_KW_WORDS, NULL, NO_ONLY, NULL},
    {"PasswordAuthentication", NC_KW_YESNO, NULL, NULL, NULL},
    {"PermitLocalCommand", NC_KW_YESNO, NULL, NULL, NULL},
    {"PermitRemoteOpen", NC_KW_ONE_LIST, NULL, NULL, NULL},
    {"PKCS11Provider", NC_KW_TEXT, NULL, "none", NULL},
    {"Port", NC_KW_PORT, NULL, NULL, NULL},
    {"PreferredAuthentications", NC_KW_TEXT, NULL, NULL, NULL},
    {"ProxyCommand", NC_KW_LINE, NULL, NULL, NULL},
    {"ProxyJump", NC_KW_LINE, NULL, NULL, NULL},
    {"ProxyUseFdpass", NC_KW_YESNO, NULL, NULL, NULL},
    {"PubkeyAcceptedAlgorithms", NC_KW_ALGS, NULL, NULL, NULL},
    {"PubkeyAcceptedKeyTypes", NC_KW_ALGS, NULL, NULL, "PubkeyAcceptedAlgorithms"},
    {"PubkeyAuthentication", NC_KW_CHOICE, "yes,no,true,false,unbound,host-bound", NULL, NULL},
    {"RefuseConnection", NC_KW_TEXT, NULL, NULL, NULL},
    {"RekeyLimit", NC_KW_WORDS, NULL, NULL, NULL},
    {"RemoteCommand", NC_KW_LINE, NULL, NULL, NULL},
    {"RemoteForward", NC_KW_FORWARD, NULL, NULL, NULL},
    {"RequestTTY", NC_KW_CHOICE, "yes,no,true,false,force,auto", NULL, NULL},
    {"RequiredRSASize", NC_KW_NUMBER, NULL, NULL, NULL},
    {"RevokedHostKeys", NC_KW_TEXT, NULL, NULL, NULL},
    {"RSAMinSize", NC_KW_NUMBER, NULL, NULL, "RequiredRSASize"},
    {"SecurityKeyProvider", NC_KW_TEXT, NULL, "none", NULL},
    {"SendEnv", NC_KW_ADD_LIST, NULL, NULL, NULL},
    {"ServerAliveCountMax", NC_KW_NUMBER, NULL, NULL, NULL},
    {"ServerAliveInterval", NC_KW_TIME, NULL, NULL, NULL},
    {"SessionType", NC_KW_CHOICE, "none,subsystem,default", NULL, NULL},
    {"SetEnv", NC_KW_ONE_LIST, NULL, NULL, NULL},
    {"SkeyAuthentication", NC_KW_YESNO, NULL, NULL, "KbdInteractiveAuthentication"},
    {"SmartcardDevice", NC_KW_TEXT, NULL, NULL, "PKCS11Provider"},
    {"StdinNull", NC_KW_YESNO, NULL, NULL, NULL},
    {"StreamLocalBindMask", NC_KW_TEXT, NULL, NULL, NULL},
    {"StreamLocalBindUnlink", NC_KW_YESNO, NULL, NULL, NULL},
    {"StrictHostKeyChecking", NC_KW_CHOICE, "yes,no,true,false,accept-new,ask,off", NULL, NULL},
    {"SyslogFacility", NC_KW_TEXT, NULL, NULL, NULL},
    {"TCPKeepAlive", NC_KW_YESNO, NULL, NULL, NULL},
    {"TISAuthentication", NC_KW_YESNO, NULL, NULL, "KbdInteractiveAuthentication"},
    {"Tag", NC_KW_TEXT, NULL, NULL, NULL},
    {"Tunnel", NC_KW_CHOICE, "yes,no,true,false,point-to-point,ethernet", NO_ONLY, NULL},
    {"TunnelDevice", NC_KW_TEXT, NULL, NULL, NULL},
    {"UpdateHostKeys", NC_KW_CHOICE, "yes,no,true,false,ask", NULL, NULL},
    {"User", NC_KW_TEXT, NULL, NULL, NULL},
    {"UserKnownHostsFile", NC_KW_ONE_LIST, NULL, NULL, NULL},
    {"VerifyHostKeyDNS", NC_KW_CHOICE, "yes,no,true,false,ask", NULL, NULL},
    {"VersionAddendum", NC_KW_LINE, NULL, NULL, NULL},
    {"VisualHostKey", NC_KW_YESNO, NULL, NULL, NULL},
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

/*
 * Values that ask for comfort or speed that is not there: to pass over them opens nothing and shows nothing to
 * anybody. A warning says so.
 */
static const char harmless[] = "ChannelTimeout,LogVerbose,ObscureKeystrokeTiming";
/* They tune what is refused or not there anyway. */
static const char no_effect[] = "KbdInteractiveDevices,LogVerbose,TunnelDevice";
/* Of protocol 1 and of long ago; ssh takes them without a word, too. */
static const char dead[] =
    "Protocol,Cipher,FallBackToRsh,GlobalKnownHostsFile2,RhostsAuthentication,"
    "UserKnownHostsFile2,UseRoaming,UseRsh,UsePrivilegedPort,AFSTokenPassing,"
    "KerberosAuthentication,KerberosTgtPassing,RSAAuthentication,"
    "RhostsRSAAuthentication,CompressionLevel";

bool nc_keyword_listed(const char *list, const char *value)
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

bool nc_keyword_is_dead(nacre_span name)
{
    nacre_span rest = nc_span_cstr(dead);
    nacre_span one;
    while (nc_namelist_next(&rest, &one)) {
        if (one.n == name.n &&
            strncasecmp((const char *)one.p, (const char *)name.p, name.n) == 0) {
            return true;
        }
    }
    return false;
}

bool nc_keyword_supports(const nc_keyword *k, const char *value)
{
    return !k->supported || nc_keyword_listed(k->supported, value);
}

bool nc_keyword_is_harmless(const nc_keyword *k)
{
    return nc_keyword_listed(harmless, k->name);
}

bool nc_keyword_has_no_effect(const nc_keyword *k)
{
    return nc_keyword_listed(no_effect, k->name);
}
