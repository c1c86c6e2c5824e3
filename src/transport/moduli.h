/*
 * moduli.h - groups for Diffie-Hellman group exchange from the text of a moduli(5) file. Pure.
 */
#ifndef NC_TRANSPORT_MODULI_H
#define NC_TRANSPORT_MODULI_H

#include "crypto/crypto.h"

/*
 * Picks, at random among those that fit best, a group of min to max bits: of the smallest size that is
 * at least preferred, else of the largest there is. Lines that are not safe primes, or are garbled, are
 * passed over. On success p and g are appended to storage and *group points into it. NACRE_NOT_FOUND.
 */
int nc_moduli_choose(nacre_span text, uint32_t min, uint32_t preferred, uint32_t max,
                     const nc_random *rnd, nc_buf *storage, nc_dh_group *group) NACRE_MUST_CHECK;

#endif
