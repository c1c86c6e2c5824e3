/*
 * dh_groups.h - within src/crypto: the MODP groups of RFC 3526, generated at build time from their
 * formula by gen_pi.py.
 */
#ifndef NC_CRYPTO_DH_GROUPS_H
#define NC_CRYPTO_DH_GROUPS_H

#include "crypto/crypto.h"

enum { NC_DH_2048, NC_DH_3072, NC_DH_4096, NC_DH_6144, NC_DH_8192, NC_DH_GROUP_COUNT };
extern const nc_dh_group nc_dh_groups[NC_DH_GROUP_COUNT]; /* smallest first */

#endif
