// What a password check says.
// In: nothing. Out: the result type and its shared constant values.
// Invariant: every outcome that an operator can meet is a reason here; none is an exception.

/** Why a password was not accepted; the label of counters and of the access attempt. */
export type PasswordFailureReason =
  /** The password or response differs. */
  | 'wrong-password'
  /** The stored form is one-way, and this method has to know the password (or its NT hash, for MS-CHAP). */
  | 'method-needs-cleartext'
  /** The method is not served: the LM half of MS-CHAPv1. */
  | 'method-unsupported'
  /** An attribute of the method has a wrong length, or its challenge is missing. */
  | 'malformed'
  /** Too many slow hashes are waiting; the server as a whole cannot decide. */
  | 'overloaded';

/** A failed check. */
export interface PasswordFailure {
  readonly ok: false;
  readonly reason: PasswordFailureReason;
}

/** Result of a check that gives nothing but yes or no. */
export type PasswordResult = { readonly ok: true } | PasswordFailure;

const failures: { readonly [Reason in PasswordFailureReason]: PasswordFailure } = {
  'wrong-password': Object.freeze({ ok: false, reason: 'wrong-password' }),
  'method-needs-cleartext': Object.freeze({ ok: false, reason: 'method-needs-cleartext' }),
  'method-unsupported': Object.freeze({ ok: false, reason: 'method-unsupported' }),
  malformed: Object.freeze({ ok: false, reason: 'malformed' }),
  overloaded: Object.freeze({ ok: false, reason: 'overloaded' }),
};

/** The failure of this reason; the same object each time. */
export function failed(reason: PasswordFailureReason): PasswordFailure {
  return failures[reason];
}

/** The success of a check. */
export const accepted: { readonly ok: true } = Object.freeze({ ok: true });
