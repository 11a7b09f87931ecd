// What one attempt to tell somebody came to. Enters: nothing. Leaves: the type that mail and webhooks share. Invariant: what may succeed later is told
// apart from what never will.

/** `failed`: it may succeed later; `refused`: it would not. */
export type DeliveryAttempt = { readonly end: 'sent' } | { readonly end: 'failed' | 'refused'; readonly error: string };
