/*
 * sshd_keywords.c - the keywords of sshd_config(5): a row each.
 *
 * A keyword that would restrict something, and that nothing here enforces, is refused unless it is
 * switched off; one that would only allow or tune what this server does not have is read and forgotten.
 */
#include "server/sshd_config.h"

#include "nacre/transport.h"

/* clang-format off */
#define AT NC_CONF_AT
#define YES_NO(name, member, flags)       {name, nc_conf_set_choice, nc_conf_print_choice, flags, AT(member), nc_conf_yes_no, 0, 0}
#define CHOICE(name, member, of, flags)   {name, nc_conf_set_choice, nc_conf_print_choice, flags, AT(member), nc_conf_##of, 0, 0}
#define NUMBER(name, member, a, b, flags) {name, nc_conf_set_number, nc_conf_print_number, flags, AT(member), NULL, a, b}
#define TIME(name, member, flags)         {name, nc_conf_set_time, nc_conf_print_number, flags, AT(member), NULL, 0, 0}
#define ALGORITHMS(name, member, kind, flags) {name, nc_conf_set_text, nc_conf_print_algorithms, (flags) | NC_CONF_TEXT, AT(member), NULL, kind, 0}
#define TEXT(name, member, flags)         {name, nc_conf_set_text_or_none, nc_conf_print_text, (flags) | NC_CONF_TEXT, AT(member), NULL, 0, 0}
#define LISTED(name, member, fn, flags)   {name, fn, nc_conf_print_list, (flags) | NC_CONF_LIST | NC_CONF_ADDS, AT(member), NULL, 0, 0}
#define WORDS(name, member, fn, flags)    {name, fn, nc_conf_print_line, (flags) | NC_CONF_LIST, AT(member), NULL, 0, 0}
#define PATTERN(name, member, flags)      {name, nc_conf_set_pattern, nc_conf_print_text, (flags) | NC_CONF_TEXT, AT(member), NULL, 0, 0}
#define PROGRAM(name, member, flags)      {name, nc_conf_set_program, nc_conf_print_text, (flags) | NC_CONF_TEXT, AT(member), NULL, 0, 0}
#define ANY_WORDS(name, member, fn, flags) {name, fn, nc_conf_print_any_line, (flags) | NC_CONF_LIST, AT(member), NULL, 0, 0}
#define OWN(name, set, print, flags)      {name, set, print, flags, 0, NULL, 0, 0}
#define FORGOTTEN(name, flags)            OWN(name, nc_conf_set_nothing, NULL, (flags) | NC_CONF_ADDS)
#define DEPRECATED(name)                  OWN(name, nc_conf_set_deprecated, NULL, NC_CONF_ADDS)
#define OFF(name, flags)                  OWN(name, nc_conf_set_off, NULL, (flags) | NC_CONF_ADDS)

enum { G = 0, M = NC_CONF_IN_MATCH };

const nc_conf_row nc_conf_rows[] = {
    OWN("Port", nc_conf_set_port, nc_conf_print_ports, G | NC_CONF_ADDS),
    CHOICE("AddressFamily", family, families, G),
    OWN("ListenAddress", nc_conf_set_listen, nc_conf_print_listen, G | NC_CONF_ADDS),
    LISTED("HostKey", host_keys, nc_conf_set_list, G),
    ALGORITHMS("HostKeyAlgorithms", host_key_algorithms, NACRE_ALG_HOST_KEY, G),
    ALGORITHMS("KexAlgorithms", kex, NACRE_ALG_KEX, G),
    ALGORITHMS("Ciphers", ciphers, NACRE_ALG_CIPHER, G),
    ALGORITHMS("MACs", macs, NACRE_ALG_MAC, G),
    ALGORITHMS("PubkeyAcceptedAlgorithms", pubkey_algorithms, NACRE_ALG_SIGNATURE, M),
    CHOICE("Compression", compression, compressions, G),
    OWN("RekeyLimit", nc_conf_set_rekey, nc_conf_print_rekey, M),
    TIME("LoginGraceTime", login_grace_seconds, G),
    NUMBER("MaxAuthTries", max_auth_tries, 1, 1000000, M),
    NUMBER("MaxSessions", max_sessions, 0, 1000000, M),
    OWN("MaxStartups", nc_conf_set_startups, nc_conf_print_startups, G),
    OWN("PerSourceMaxStartups", nc_conf_set_per_source, nc_conf_print_per_source, G),
    OWN("PerSourceNetBlockSize", nc_conf_set_net_blocks, nc_conf_print_net_blocks, G),
    OWN("PerSourcePenalties", nc_conf_set_penalties, nc_conf_print_penalties, G | NC_CONF_ADDS),
    {"PerSourcePenaltyExemptList", nc_conf_set_exempt_list, nc_conf_print_text, G | NC_CONF_TEXT, AT(penalty_exempt),
     NULL, 0, 0},
    CHOICE("PermitRootLogin", permit_root, roots, M),
    YES_NO("PasswordAuthentication", password_authentication, M),
    YES_NO("KbdInteractiveAuthentication", interactive_authentication, M),
    YES_NO("PubkeyAuthentication", pubkey_authentication, M),
    OFF("PermitEmptyPasswords", M),
    WORDS("AuthorizedKeysFile", authorized_keys_files, nc_conf_set_key_files, M),
    YES_NO("StrictModes", strict_modes, G),
    LISTED("AcceptEnv", accept_env, nc_conf_set_env_list, M),
    {"SetEnv", nc_conf_set_env_list, nc_conf_print_list, M | NC_CONF_LIST, AT(set_env), NULL, 0, 0},
    YES_NO("PermitTTY", permit_tty, M),
    {"PermitUserEnvironment", nc_conf_set_user_environment, nc_conf_print_user_environment, G | NC_CONF_TEXT,
     AT(permit_user_environment_pattern), NULL, 0, 0},
    OWN("Subsystem", nc_conf_set_subsystem, nc_conf_print_subsystems, M | NC_CONF_ADDS),
    {"ForceCommand", nc_conf_set_command, nc_conf_print_text, M | NC_CONF_TEXT, AT(force_command), NULL, 0, 0},
    TEXT("Banner", banner, M),
    TEXT("PidFile", pid_file, G),
    TEXT("ModuliFile", moduli_file, G),
    CHOICE("LogLevel", log_level, levels, M),
    CHOICE("SyslogFacility", log_facility, facilities, G),
    {"UsePAM", nc_conf_set_pam, nc_conf_print_choice, G, AT(use_pam), nc_conf_yes_no, 0, 0},
    YES_NO("PrintMotd", print_motd, G),
    YES_NO("PrintLastLog", print_last_log, G),
    YES_NO("TCPKeepAlive", tcp_keepalive, G),
    TIME("ClientAliveInterval", alive_interval_seconds, M),
    NUMBER("ClientAliveCountMax", alive_count_max, 0, INT32_MAX, M),
    NUMBER("RequiredRSASize", required_rsa_bits, 1024, 16384, G),
    LISTED("AllowUsers", allow_users, nc_conf_set_people, M),
    LISTED("DenyUsers", deny_users, nc_conf_set_people, M),
    LISTED("AllowGroups", allow_groups, nc_conf_set_people, M),
    LISTED("DenyGroups", deny_groups, nc_conf_set_people, M),
    /* whom to believe */
    LISTED("HostCertificate", host_certificates, nc_conf_set_files, G),
    ALGORITHMS("CASignatureAlgorithms", ca_algorithms, NACRE_ALG_CA_SIGNATURE, M),
    TEXT("TrustedUserCAKeys", trusted_user_ca_keys, M),
    WORDS("RevokedKeys", revoked_keys, nc_conf_set_files, M),
    PATTERN("AuthorizedPrincipalsFile", authorized_principals_file, M),
    PROGRAM("AuthorizedKeysCommand", authorized_keys_command, M),
    TEXT("AuthorizedKeysCommandUser", authorized_keys_command_user, M),
    PROGRAM("AuthorizedPrincipalsCommand", authorized_principals_command, M),
    TEXT("AuthorizedPrincipalsCommandUser", authorized_principals_command_user, M),
    OWN("PubkeyAuthOptions", nc_conf_set_pubkey_options, nc_conf_print_pubkey_options, M),
    YES_NO("ExposeAuthInfo", expose_auth_info, M),
    CHOICE("FingerprintHash", fingerprint_md5, hashes, G),
    YES_NO("UseDNS", use_dns, G),
    /* what sessions may */
    CHOICE("AllowTcpForwarding", allow_tcp_forwarding, forwards, M),
    CHOICE("AllowStreamLocalForwarding", allow_streamlocal_forwarding, forwards, M),
    YES_NO("AllowAgentForwarding", allow_agent_forwarding, M),
    YES_NO("DisableForwarding", disable_forwarding, M),
    YES_NO("X11Forwarding", x11_forwarding, M),
    YES_NO("X11UseLocalhost", x11_use_localhost, M),
    NUMBER("X11DisplayOffset", x11_display_offset, 0, 65000, M),
    TEXT("XAuthLocation", xauth_location, G),
    CHOICE("GatewayPorts", gateway_ports, gateways, M),
    CHOICE("PermitTunnel", permit_tunnel, tunnels, M),
    YES_NO("PermitUserRC", permit_user_rc, M),
    ANY_WORDS("PermitOpen", permit_open, nc_conf_set_targets, M),
    ANY_WORDS("PermitListen", permit_listen, nc_conf_set_targets, M),
    {"StreamLocalBindMask", nc_conf_set_mask, nc_conf_print_mask, M, AT(streamlocal_bind_mask), NULL, 0, 0},
    YES_NO("StreamLocalBindUnlink", streamlocal_bind_unlink, M),
    PATTERN("ChrootDirectory", chroot_directory, M),
    YES_NO("RefuseConnection", refuse_connection, M),
    {"ChannelTimeout", nc_conf_set_channel_timeouts, nc_conf_print_none_line, M | NC_CONF_LIST, AT(channel_timeouts),
     NULL, 0, 0},
    {"UnusedConnectionTimeout", nc_conf_set_time_or_none, nc_conf_print_time_or_none, M, AT(unused_timeout_seconds), NULL,
     0, 0},
    OWN("Include", nc_conf_include, NULL, M | NC_CONF_NOW),
    OWN("Match", nc_conf_set_match, NULL, M | NC_CONF_NOW),
    ANY_WORDS("AuthenticationMethods", authentication_methods, nc_conf_set_methods, M),
    YES_NO("HostbasedAuthentication", hostbased_authentication, M),
    ALGORITHMS("HostbasedAcceptedAlgorithms", hostbased_algorithms, NACRE_ALG_SIGNATURE, M),
    YES_NO("HostbasedUsesNameFromPacketOnly", hostbased_name_from_packet, M),
    CHOICE("IgnoreRhosts", ignore_rhosts, rhosts, M),
    YES_NO("IgnoreUserKnownHosts", ignore_user_known_hosts, G),
    /* Restrictions and methods that are not here: only their absence can be had. */
    OFF("GSSAPIAuthentication", M), OFF("GSSAPIKeyExchange", G),
    OFF("HostKeyAgent", G), OFF("KerberosAuthentication", M),
    OFF("RDomain", M), OFF("VersionAddendum", G),
    /* They tune or limit what is not offered at all, or not looked at. */
    FORGOTTEN("DebianBanner", G), FORGOTTEN("GSSAPICleanupCredentials", G),
    FORGOTTEN("GSSAPIDelegateCredentials", G), FORGOTTEN("GSSAPIKexAlgorithms", G),
    FORGOTTEN("GSSAPIStoreCredentialsOnRekey", G), FORGOTTEN("GSSAPIStrictAcceptorCheck", G),
    FORGOTTEN("IPQoS", M),
    FORGOTTEN("KerberosGetAFSToken", G), FORGOTTEN("KerberosOrLocalPasswd", G),
    FORGOTTEN("KerberosTicketCleanup", G), FORGOTTEN("LogVerbose", M), FORGOTTEN("PAMServiceName", M),
    FORGOTTEN("SecurityKeyProvider", G), FORGOTTEN("SshdAuthPath", G), FORGOTTEN("SshdSessionPath", G),
    DEPRECATED("KeyRegenerationInterval"), DEPRECATED("Protocol"), DEPRECATED("RhostsRSAAuthentication"),
    DEPRECATED("RSAAuthentication"), DEPRECATED("ServerKeyBits"), DEPRECATED("UseLogin"),
    DEPRECATED("UsePrivilegeSeparation"),
};
/* clang-format on */
const size_t nc_conf_row_count = sizeof(nc_conf_rows) / sizeof(nc_conf_rows[0]);
_Static_assert(sizeof(nc_conf_rows) / sizeof(nc_conf_rows[0]) <= NC_CONF_ROWS,
               "more rows than marks");
