// Enters: why an Access-Request was answered as it was. Leaves: a sentence for the page, the log and `explain`. Invariant:
// reasons are a closed set, so that counters have bounded labels and every one has a sentence.

const SENTENCES = {
  'unknown-login': 'no subscriber has this login',
  'unknown-mac': 'no subscriber has this MAC address',
  'unknown-address': 'no subscriber has this static address',
  'unknown-line':
    'nobody is plugged in where the request says, or no rule of lines.toml and no device knows that place',
  'untold-line': 'the subscriber with this MAC address is known by access line, and the request tells none',
  'no-identity':
    'the request names nobody: neither login nor MAC nor access line nor address that the profile looks at',
  ambiguous: 'several subscribers match, and nothing says which one is meant',
  'wrong-password': 'the password is wrong',
  'no-password': 'the request carries no password, and the profile of this NAS wants one',
  'no-stored-password': 'the subscriber has no password, so none can be right',
  'method-needs-cleartext':
    'the password is stored in a one-way form that this method cannot use; set it anew or use PAP on the NAS',
  'method-unsupported': 'the password method of the request is not served',
  'malformed-password': 'a password attribute of the request has a wrong length or lacks its challenge',
  'stored-password-unreadable': 'the stored password cannot be read: wrong form, or sealed under another key',
  deleted: 'the subscriber is deleted',
  'admin-blocked': 'blocked by the administration',
  'own-disabled': 'voluntarily blocked by the subscriber',
  redirect: 'in the walled garden (no money or a limit reached), and the profile of this NAS rejects that',
  'no-plan': 'the account has no plan',
  'plan-inactive': 'the plan is switched off or outside its dates',
  'nas-binding': 'the subscriber belongs to another NAS',
  'mac-binding': 'the device has another MAC address than the one that the subscriber is bound to',
  'line-binding': 'the device is not plugged in at the access line that the subscriber is bound to',
  'address-binding': 'Calling-Station-Id is not the static address that the subscriber is bound to',
  'session-limit': 'the session limit of the plan is reached by other devices',
  'address-in-use': 'the static address is in use by another session',
  'pool-empty': 'the pool has no free address',
  'no-pool': 'the pool does not exist in the routing domain of this NAS',
  'unsafe-attribute': 'an attribute of the profile cannot be said truly for this subscriber; see explain',
} as const;

/** Why a request was rejected: one subscriber's trouble. */
export type RejectReason = keyof typeof SENTENCES;

const DISCARD_SENTENCES = {
  'not-loaded': 'the subscribers are not loaded yet',
  draining: 'the server is stopping',
  overloaded: 'too many password checks are waiting',
  'spool-unavailable': 'the spool cannot record the address that would be granted',
  'unknown-nas': 'no entry in nas.d has this address and NAS-Identifier',
  'internal-error': 'a fault of the server itself; see its log',
  'reply-too-long': 'the reply does not fit a RADIUS packet',
} as const;

/** Why a request got no answer: the server as a whole cannot decide, and a NAS may try another one. */
export type DiscardReason = keyof typeof DISCARD_SENTENCES;

/** All reasons of a Reject. */
export const REJECT_REASONS = Object.keys(SENTENCES) as readonly RejectReason[];

/** All reasons of a discard. */
export const DISCARD_REASONS = Object.keys(DISCARD_SENTENCES) as readonly DiscardReason[];

/** The sentence for people; it says nothing that a subscriber must not see in a log of his provider. */
export function describeReason(reason: RejectReason | DiscardReason): string {
  return reason in SENTENCES ? SENTENCES[reason as RejectReason] : DISCARD_SENTENCES[reason as DiscardReason];
}
